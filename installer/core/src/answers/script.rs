//! Scripts of the answers: where their text comes from, when they run, what their end means.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ServerTrust;
use crate::values::{Secret, TimeLimit, WebUrl, sha256};

/// A longer text is no script.
pub const SCRIPT_BYTES_MAX: u64 = 1 << 20;

/// Where the text of a script comes from. May hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum ScriptSource {
    /// Begins with `#!`.
    Inline(Secret),
    Web(Box<WebScript>),
    /// A file of the installer environment or of the medium, by its whole path.
    File {
        path: String,
        sha256: Option<String>,
    },
}

/// A script on a web server. Invariant: over http the hash is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebScript {
    /// May hold a password.
    pub url: WebUrl,
    /// In lower-case hexadecimal.
    pub sha256: Option<String>,
    pub trust: ServerTrust,
}

/// Why a text is not taken for the script. Holds nothing of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    #[error("it has SHA-256 {have}, {want} was asked for")]
    Hash { have: String, want: String },
    #[error("{why}")]
    NotOne { why: &'static str },
}

impl ScriptSource {
    /// The text, where it is here.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Inline(text) => Some(text.expose()),
            Self::Web(_) | Self::File { .. } => None,
        }
    }

    /// Makes what was fetched, or read, the script, if it is what was asked for.
    pub fn accept(&self, bytes: &[u8]) -> Result<Self, ScriptError> {
        let want = match self {
            Self::Inline(_) => None,
            Self::Web(web) => web.sha256.as_ref(),
            Self::File { sha256, .. } => sha256.as_ref(),
        };
        let have = sha256(bytes);
        if let Some(want) = want.filter(|want| **want != have) {
            return Err(ScriptError::Hash { have, want: want.clone() });
        }
        let not = |why| ScriptError::NotOne { why };
        let text =
            std::str::from_utf8(bytes).map_err(|_| not("not UTF-8: this is not a script"))?;
        script_text(text).map(Self::Inline).map_err(not)
    }

    /// What a person who agreed to a plan agreed to: the text, as far as it is known.
    pub(crate) fn pin(&self) -> String {
        match self {
            Self::Inline(text) => sha256(text.expose()),
            Self::Web(web) => match &web.sha256 {
                Some(sha256) => format!("sha256:{sha256}"),
                None => sha256(web.url.expose()),
            },
            Self::File { path, sha256 } => {
                sha256.as_ref().map_or_else(|| path.clone(), |sha256| format!("sha256:{sha256}"))
            }
        }
    }
}

/// A script as it is kept, or why it is none.
pub(super) fn script_text(text: &str) -> Result<Secret, &'static str> {
    if !text.starts_with("#!/") {
        return Err("a script begins with #! and its interpreter");
    }
    if text.contains('\0') {
        return Err("a NUL byte: this is not a script");
    }
    Ok(Secret::new(if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }))
}

impl fmt::Display for ScriptSource {
    /// Where it comes from, without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("in the answers"),
            Self::Web(web) => write!(f, "{}", web.url),
            Self::File { path, .. } => f.write_str(path),
        }
    }
}

impl fmt::Debug for ScriptSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScriptSource({self})")
    }
}

/// A script that runs once in the installed host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    pub source: ScriptSource,
    /// Nothing: after network, Xen and SSH have started.
    pub when: Option<When>,
    pub timeout: TimeLimit,
}

impl Script {
    /// What the installed host's runner takes where it is told nothing.
    pub const TIMEOUT_DEFAULT: TimeLimit = TimeLimit::seconds(3600);
}

/// When a script of the first boot runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    BeforeNetwork,
    NetworkOnline,
    /// The host is blessed and its repositories are made.
    FullyUp,
}

impl When {
    pub const ALL: [Self; 3] = [Self::BeforeNetwork, Self::NetworkOnline, Self::FullyUp];

    pub const fn word(self) -> &'static str {
        match self {
            Self::BeforeNetwork => "before-network",
            Self::NetworkOnline => "network-online",
            Self::FullyUp => "fully-up",
        }
    }
}

/// A moment of an installation at which scripts of the answers run in the installer environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before the first write.
    Pre,
    /// The partitions are there, and empty.
    StorageReady,
    /// dom0's files are in place, and its root is mounted.
    FilesReady,
    /// The new system boots.
    Post,
    /// After an error, whenever it came.
    Failed,
}

impl Stage {
    pub const ALL: [Self; 5] =
        [Self::Pre, Self::StorageReady, Self::FilesReady, Self::Post, Self::Failed];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Pre => "pre",
            Self::StorageReady => "storage_ready",
            Self::FilesReady => "files_ready",
            Self::Post => "post",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One script of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub source: ScriptSource,
    pub timeout: TimeLimit,
    pub on_fail: OnFail,
}

impl Hook {
    pub const TIMEOUT_DEFAULT: TimeLimit = TimeLimit::seconds(300);
}

/// What a script that fails means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFail {
    /// The end of the installation.
    Abort,
    Warn,
}

impl OnFail {
    pub const ALL: [Self; 2] = [Self::Abort, Self::Warn];

    /// A script of `failed` always warns: the first error is the one that counts.
    pub const fn default_of(stage: Stage) -> Self {
        match stage {
            Stage::Pre | Stage::StorageReady | Stage::FilesReady | Stage::Post => Self::Abort,
            Stage::Failed => Self::Warn,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Warn => "warn",
        }
    }
}

/// The scripts of each stage, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks(BTreeMap<Stage, Vec<Hook>>);

impl Hooks {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn of(&self, stage: Stage) -> &[Hook] {
        self.0.get(&stage).map_or(&[], Vec::as_slice)
    }

    /// Stages that have scripts, in the order in which they are reached.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, &[Hook])> {
        self.0.iter().map(|(stage, hooks)| (*stage, hooks.as_slice()))
    }

    pub fn push(&mut self, stage: Stage, hook: Hook) {
        self.0.entry(stage).or_default().push(hook);
    }

    /// Every script, by the path that it has in the answers.
    pub fn sources_mut(&mut self) -> impl Iterator<Item = (Stage, usize, &mut ScriptSource)> {
        self.0.iter_mut().flat_map(|(stage, hooks)| {
            let sources = hooks.iter_mut().map(|hook| &mut hook.source);
            sources.enumerate().map(|(index, source)| (*stage, index, source))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_the_script_if_it_is_what_was_asked_for() {
        let want = sha256("#!/bin/sh\nhunter2");
        let file = |sha256| ScriptSource::File { path: "/s".to_owned(), sha256 };
        let taken = file(Some(want)).accept(b"#!/bin/sh\nhunter2").unwrap();
        assert_eq!(taken.text(), Some("#!/bin/sh\nhunter2\n"));
        assert!(!format!("{taken} {taken:?}").contains("hunter2"));
        let error = file(Some("0".repeat(64))).accept(b"#!/bin/sh\nhunter2").unwrap_err();
        assert!(error.to_string().starts_with("it has SHA-256"), "{error}");
        for bad in [&b"<html>hunter2"[..], b"#!/bin/sh\n\0", b"#!/bin/sh\n\xff", b""] {
            let error = file(None).accept(bad).unwrap_err().to_string();
            assert!(error.contains("script") && !error.contains("hunter2"), "{error}");
        }
    }
}
