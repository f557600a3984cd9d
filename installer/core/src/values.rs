//! The values of an answer file that have a grammar of their own. One that exists is valid.
//!
//! Names of time zones and keyboards come from lists kept beside this file, so that a typing
//! mistake is found before a disk is written and not at the first login.

use std::fmt;
use std::net::Ipv4Addr;

use serde::Serialize;

mod boot;
mod digest;
mod net;
mod password;
mod redact;
mod root_password;
mod secret;
mod size;
mod ssh_key;
mod time;
mod url;
mod web;

pub use boot::{BootArg, Minutes, SerialConsole};
pub(crate) use digest::hex;
pub use digest::{key_digest, sha256, sha256_digits};
pub use net::{Cidr, Glob, LinkName, Server, VlanId, ip, ipv4, ipv6};
pub use password::PasswordHash;
pub use redact::Redactor;
pub use root_password::{PASSWORD_CHARS_MIN, PasswordSource, RootPassword, SALT_BYTES};
pub use secret::Secret;
pub use size::{SizeRule, parse_size, size_text};
pub use ssh_key::SshKey;
pub use time::TimeLimit;
pub use url::{ProxyUrl, redact_url};
pub use web::{MachineNames, Scheme, Template, WebUrl};

use crate::nearest::nearest;

/// Why a text is not the value that was asked for. Holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ValueError {
    pub what: String,
    pub hint: Option<String>,
}

impl ValueError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Names an installation: a machine that carries it already is not installed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct DeploymentId(String);

impl DeploymentId {
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if text.is_empty() || 64 < text.len() || !text.chars().all(allowed) {
            return Err(ValueError::new(format!(
                "`{text}` is not 1 to 64 of the characters A-Z a-z 0-9 . _ -"
            )));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A host name: labels of letters, digits and hyphens, at most 64 characters in all, which is what
/// Linux keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Hostname(String);

impl Hostname {
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let no = |why: &str| Err(ValueError::new(format!("`{text}` is not a host name: {why}")));
        if text.is_empty() {
            return no("it is empty");
        }
        if 64 < text.len() {
            return no("it is longer than 64 characters");
        }
        if text.parse::<Ipv4Addr>().is_ok() || text.chars().all(|c| c.is_ascii_digit()) {
            return no("it is a number");
        }
        for label in text.split('.') {
            if label.is_empty() || 63 < label.len() {
                return no("each part between dots has 1 to 63 characters");
            }
            if let Some(c) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
                return no(&format!("`{c}` is not a letter, a digit or a hyphen"));
            }
            if label.starts_with('-') || label.ends_with('-') {
                return no("a part begins or ends with a hyphen");
            }
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its domain.
    pub fn short(&self) -> &str {
        self.0.split_once('.').map_or(self.as_str(), |(short, _)| short)
    }
}

/// A name of the time zone database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Timezone(String);

impl Timezone {
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        listed(text, include_str!("values/timezones.txt"), "time zone", "Etc/UTC, Europe/Berlin")
            .map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Timezone {
    fn default() -> Self {
        Self("Etc/UTC".to_owned())
    }
}

/// A keyboard layout, by the name that the X keyboard database gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Keymap(String);

impl Keymap {
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        listed(text, include_str!("values/keymaps.txt"), "keyboard layout", "us, gb, de, fr")
            .map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Keymap {
    fn default() -> Self {
        Self("us".to_owned())
    }
}

fn listed(text: &str, list: &str, what: &str, examples: &str) -> Result<String, ValueError> {
    if list.lines().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    let error = ValueError::new(format!("`{text}` is not a {what} that this installer knows"));
    Err(match nearest(text, list.lines()) {
        Some(name) => error.hint(format!("did you mean `{name}`?")),
        None => error.hint(format!("for example {examples}")),
    })
}

/// The address of one Ethernet interface. Shows in lower case with colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac([u8; 6]);

impl Mac {
    /// Six bytes in hexadecimal, with colons or hyphens between them, in either case.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let no = |why: &str| Err(ValueError::new(format!("`{text}` is not a MAC address: {why}")));
        let mut bytes = [0_u8; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().unwrap_or_default();
            let hex = part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
            match u8::from_str_radix(part, 16) {
                Ok(n) if hex => *byte = n,
                _ => return no("six pairs of hexadecimal digits are needed, 00:16:3e:aa:bb:cc"),
            }
        }
        if parts.next().is_some() {
            return no("six pairs of hexadecimal digits are needed, 00:16:3e:aa:bb:cc");
        }
        if bytes == [0; 6] {
            return no("no interface has it");
        }
        if bytes[0] & 1 == 1 {
            return no("it is a group address");
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.0.map(|byte| format!("{byte:02x}"));
        f.write_str(&pairs.join(":"))
    }
}

impl Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
