//! GRUB environment blocks, as GRUB's `load_env` reads them.

use std::collections::BTreeMap;

const MAGIC: &[u8] = b"# GRUB Environment Block\n";

/// The variables; `None` where GRUB says "invalid environment block".
pub fn variables(bytes: &[u8]) -> Option<BTreeMap<String, String>> {
    let body = bytes.strip_prefix(MAGIC)?;
    let mut variables = BTreeMap::new();
    for line in body.split(|byte| *byte == b'\n') {
        let Ok(line) = std::str::from_utf8(line) else { continue };
        if line.starts_with('#') {
            continue;
        }
        if let Some((name, value)) = line.split_once('=') {
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    Some(variables)
}

/// The boot state, if each of its words is one that the dispatcher accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub slot: char,
    /// `a`, `b`, `o` for the old system, or `n` for none.
    pub other: char,
    pub pending: bool,
}

impl State {
    /// From a state file of 1024 bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let variables = variables(bytes)?;
        let word = |name: &str| variables.get(name).map(String::as_str);
        let slot = match word("slot")? {
            "a" => 'a',
            "b" => 'b',
            _ => return None,
        };
        let other = match word("other")? {
            "a" => 'a',
            "b" => 'b',
            "old" => 'o',
            "none" => 'n',
            _ => return None,
        };
        let pending = match word("pending")? {
            "0" => false,
            "1" => true,
            _ => return None,
        };
        Some(Self { slot, other: if other == slot { 'n' } else { other }, pending })
    }
}

/// What `tries.env` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tries {
    Left(u8),
    /// Not one of 0 to 3: no try is made.
    Unreadable,
}

impl Tries {
    pub fn of(bytes: Option<&[u8]>) -> Self {
        let variables = bytes.and_then(variables).unwrap_or_default();
        match variables.get("tries").map(String::as_str) {
            Some("3") => Self::Left(3),
            Some("2") => Self::Left(2),
            Some("1") => Self::Left(1),
            Some("0") => Self::Left(0),
            _ => Self::Unreadable,
        }
    }
}
