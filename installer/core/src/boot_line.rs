//! What the installer's kernel was told: where the answers are, which plan is meant, and how the
//! network is reached.
//!
//! In: the text of `/proc/cmdline`. Out: what concerns the installer, or everything that is wrong.
//! A word of ours with a typing mistake is a problem: a plan that somebody meant to pin, and a
//! hash that was to be held against the answers, must not be lost in silence.

use crate::nearest::nearest;
use crate::values::{Mac, Template, key_digest, redact_url, sha256_digits};

mod ip;
mod words;

pub use ip::{Ip, StaticIp};

/// Longer is no kernel line: x86 takes 2048 bytes.
const LENGTH_MAX: usize = 4096;
/// Words that begin with `xenhost.` or `answerfile`.
const OURS: [&str; 8] = [
    "answerfile",
    "answerfile-ca",
    "answerfile-key",
    "answerfile-sha256",
    "xenhost.confirm",
    "xenhost.plain",
    "xenhost.rescue",
    "xenhost.test",
];

/// Where the kernel line says that the answers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// On the medium, or in the installer environment.
    File(String),
    Web(Template),
}

/// What the kernel line says to the installer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootLine {
    pub answers: Option<Location>,
    /// SHA-256 of the answer file, in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// The file with the certificates that are trusted in place of the usual ones.
    pub ca: Option<String>,
    /// SHA-256 of the public key that the server of the answers must have.
    pub key: Option<[u8; 32]>,
    /// The digest that the plan must have.
    pub confirm: Option<String>,
    pub ip: Option<Ip>,
    /// The interface that the machine started from, as PXELINUX and iPXE tell it.
    pub boot_interface: Option<Mac>,
}

/// Reads the kernel line. Every mistake is told, none shows a password of an address.
pub fn parse(text: &str) -> Result<BootLine, Vec<String>> {
    if LENGTH_MAX < text.len() {
        return Err(vec![format!("the kernel line is longer than {LENGTH_MAX} bytes")]);
    }
    let mut reader = Reader::default();
    for word in words::split(text) {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), None),
        };
        reader.word(name, value);
    }
    reader.finish()
}

#[derive(Debug, Default)]
struct Reader {
    line: BootLine,
    seen: Vec<String>,
    wrong: Vec<String>,
}

impl Reader {
    fn word(&mut self, name: &str, value: Option<&str>) {
        let ours = name.starts_with("xenhost.") || name.starts_with("answerfile");
        if !ours && !matches!(name, "ip" | "BOOTIF") {
            return;
        }
        if ours && !OURS.contains(&name) {
            let hint = match nearest(name, OURS.into_iter()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", OURS.join(", ")),
            };
            self.wrong.push(format!("{name}: unknown argument; {hint}"));
            return;
        }
        if self.seen.iter().any(|seen| seen == name) {
            self.wrong.push(format!("{name} is there twice"));
            return;
        }
        self.seen.push(name.to_owned());
        // Flags that the program before us looks at.
        if matches!(name, "xenhost.rescue" | "xenhost.test" | "xenhost.plain") {
            return;
        }
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            self.wrong.push(format!("{name} needs a value"));
            return;
        };
        if let Err(why) = self.value(name, value) {
            self.wrong.push(format!("{name}: {why}"));
        }
    }

    fn value(&mut self, name: &str, value: &str) -> Result<(), String> {
        let line = &mut self.line;
        match name {
            "answerfile" => line.answers = Some(location(value)?),
            "answerfile-sha256" => line.sha256 = Some(sha256_digits(value).map_err(|e| e.what)?),
            "answerfile-ca" => line.ca = Some(file(value).to_owned()),
            "answerfile-key" => line.key = Some(key_digest(value).map_err(|e| e.what)?),
            "xenhost.confirm" => line.confirm = Some(sha256_digits(value).map_err(|e| e.what)?),
            "ip" => line.ip = Some(Ip::parse(value)?),
            "BOOTIF" => line.boot_interface = boot_interface(value),
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Result<BootLine, Vec<String>> {
        let line = &self.line;
        if line.answers.is_none() && line.sha256.is_some() {
            self.wrong.push("answerfile-sha256 belongs to `answerfile=`".to_owned());
        }
        let https = match &line.answers {
            Some(Location::Web(url)) => url.is_https(),
            Some(Location::File(_)) | None => false,
        };
        if line.key.is_some() && !https {
            self.wrong.push("answerfile-key belongs to `answerfile=https://…`".to_owned());
        }
        if self.wrong.is_empty() { Ok(self.line) } else { Err(self.wrong) }
    }
}

fn location(value: &str) -> Result<Location, String> {
    if let Some((scheme, _)) = value.split_once("://") {
        return match scheme {
            "file" => Ok(Location::File(file(value).to_owned())),
            "http" | "https" => {
                Template::parse(value).map(Location::Web).map_err(|error| error.what)
            }
            _ => Err(format!(
                "`{}`: answers come from file://, http:// and https:// only",
                redact_url(value)
            )),
        };
    }
    Ok(Location::File(value.to_owned()))
}

/// A path, with or without `file://` in front.
fn file(value: &str) -> &str {
    value.strip_prefix("file://").unwrap_or(value)
}

/// `01-00-16-3e-aa-bb-cc`: the type of the network, then the address. Another form says nothing.
fn boot_interface(value: &str) -> Option<Mac> {
    let address = value.strip_prefix("01-").or_else(|| value.strip_prefix("01:"))?;
    Mac::parse(&address.replace('-', ":")).ok()
}

impl Location {
    /// As it is shown: without user and password.
    pub fn shown(&self) -> String {
        match self {
            Self::File(path) => path.clone(),
            Self::Web(url) => redact_url(url.as_str()),
        }
    }
}

#[cfg(test)]
mod tests;
