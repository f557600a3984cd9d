//! The boot state: which slot boots, what to fall back to, and whether a system is on trial.
//!
//! It lies on the boot partition in GRUB environment blocks of 1024 bytes. All variables are in the
//! first 512 bytes, so that one sector is one state; GRUB only ever writes the block of `tries`.
//! Pure: who reads and writes the sectors, and in which order, is decided elsewhere.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

mod aside;

pub use aside::aside;

/// Length of each state file.
pub const BLOCK_BYTES: usize = 1024;
/// The part that holds variables, and the only part that is overwritten.
pub const LIVE_BYTES: usize = 512;
/// Boots that a system on trial gets.
pub const TRIES: u8 = 3;
/// The reason of a trial that an administrator has given up.
pub const GIVEN_UP: &str = "given up with `host-installer rollback`";
const MAGIC: &str = "# GRUB Environment Block\n";

/// One of the two partitions that hold a dom0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    A,
    B,
}

impl Slot {
    pub const fn letter(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.letter())
    }
}

/// What boots when the chosen slot does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Other {
    A,
    B,
    /// The boot chain of a host that was taken over.
    Old,
    None,
}

impl Other {
    pub const fn word(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::Old => "old",
            Self::None => "none",
        }
    }
}

impl From<Slot> for Other {
    fn from(slot: Slot) -> Self {
        match slot {
            Slot::A => Self::A,
            Slot::B => Self::B,
        }
    }
}

/// Whether the chosen slot has yet to prove itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trial {
    Pending,
    Over,
}

/// The content of `state.env` and of its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootState {
    pub slot: Slot,
    pub other: Other,
    pub trial: Trial,
    /// Grows with each change.
    pub generation: u32,
}

/// Why a block is no boot state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    #[error("a state block has {have} bytes, {LIVE_BYTES} needed")]
    TooShort { have: usize },
    #[error("the state block does not begin with GRUB's signature")]
    NoSignature,
    #[error("the state block has no `{name}`")]
    Missing { name: &'static str },
    #[error("the state block has `{name}` twice")]
    Twice { name: String },
    #[error("the state block has `{name}={value}`, which is not one of {allowed}")]
    BadValue { name: &'static str, value: String, allowed: &'static str },
}

impl BootState {
    /// What a fresh installation writes: there is nothing to fall back to.
    pub const FRESH: Self =
        Self { slot: Slot::A, other: Other::None, trial: Trial::Over, generation: 1 };

    pub fn encode(self) -> [u8; BLOCK_BYTES] {
        let pending = match self.trial {
            Trial::Pending => 1,
            Trial::Over => 0,
        };
        block(&format!(
            "slot={}\nother={}\npending={pending}\ngen={}\n",
            self.slot,
            self.other.word(),
            self.generation
        ))
    }

    /// Reads the first 512 bytes; whatever follows them does not count.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let vars = variables(bytes)?;
        let slot = match value(&vars, "slot")? {
            "a" => Slot::A,
            "b" => Slot::B,
            other => return Err(bad("slot", other, "a, b")),
        };
        let other = match value(&vars, "other")? {
            "a" => Other::A,
            "b" => Other::B,
            "old" => Other::Old,
            "none" => Other::None,
            other => return Err(bad("other", other, "a, b, old, none")),
        };
        let trial = match value(&vars, "pending")? {
            "1" => Trial::Pending,
            "0" => Trial::Over,
            other => return Err(bad("pending", other, "0, 1")),
        };
        let text = value(&vars, "gen")?;
        let generation = text.parse().map_err(|_| bad("gen", text, "0 to 4294967295"))?;
        Ok(Self { slot, other, trial, generation })
    }

    /// The next generation, no longer on trial. What bless writes.
    #[must_use]
    pub const fn blessed(self) -> Self {
        Self { trial: Trial::Over, generation: self.generation.saturating_add(1), ..self }
    }
}

/// `tries.env`. A count above [`TRIES`] is written as [`TRIES`].
pub fn tries_block(tries: u8) -> [u8; BLOCK_BYTES] {
    block(&format!("tries={}\n", tries.min(TRIES)))
}

/// How many boots the trial has left, from `tries.env`.
pub fn decode_tries(bytes: &[u8]) -> Result<u8, StateError> {
    let vars = variables(bytes)?;
    let text = value(&vars, "tries")?;
    match text.parse() {
        Ok(tries @ 0..=TRIES) if text.len() == 1 => Ok(tries),
        _ => Err(bad("tries", text, "0 to 3")),
    }
}

/// `reason.txt`: why a trial was given up. Cut to what fits into one sector; padded with newlines,
/// so that the file is text to every reader. An empty reason is a block of newlines.
pub fn reason_block(reason: &str) -> [u8; BLOCK_BYTES] {
    let mut block = [b'\n'; BLOCK_BYTES];
    // One byte stays free for the newline that ends the text.
    let most = LIVE_BYTES.saturating_sub(1).min(reason.len());
    let end = (0..=most).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
    for (to, from) in block.iter_mut().zip(reason.as_bytes().iter().take(end)) {
        *to = *from;
    }
    block
}

/// The reason, or `None` where none was given.
pub fn decode_reason(bytes: &[u8]) -> Option<String> {
    let live = bytes.get(..LIVE_BYTES).unwrap_or(bytes);
    let text = String::from_utf8_lossy(live);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

fn block(variables: &str) -> [u8; BLOCK_BYTES] {
    let mut block = [b'#'; BLOCK_BYTES];
    let text = MAGIC.bytes().chain(variables.bytes());
    assert!(
        MAGIC.len().saturating_add(variables.len()) <= LIVE_BYTES,
        "the variables fit into one sector"
    );
    for (to, from) in block.iter_mut().zip(text) {
        *to = from;
    }
    block
}

/// The variables as GRUB reads them: a line that begins with `#` is padding or a comment.
fn variables(bytes: &[u8]) -> Result<BTreeMap<String, String>, StateError> {
    let live = bytes.get(..LIVE_BYTES).ok_or(StateError::TooShort { have: bytes.len() })?;
    let body = live.strip_prefix(MAGIC.as_bytes()).ok_or(StateError::NoSignature)?;
    let mut vars = BTreeMap::new();
    for line in body.split(|b| *b == b'\n') {
        let text = String::from_utf8_lossy(line);
        if text.starts_with('#') {
            continue;
        }
        if let Some((name, value)) = text.split_once('=')
            && vars.insert(name.to_owned(), value.to_owned()).is_some()
        {
            return Err(StateError::Twice { name: name.to_owned() });
        }
    }
    Ok(vars)
}

fn value<'v>(
    vars: &'v BTreeMap<String, String>,
    name: &'static str,
) -> Result<&'v str, StateError> {
    vars.get(name).map(String::as_str).ok_or(StateError::Missing { name })
}

fn bad(name: &'static str, value: &str, allowed: &'static str) -> StateError {
    StateError::BadValue { name, value: value.to_owned(), allowed }
}

#[cfg(test)]
mod tests;
