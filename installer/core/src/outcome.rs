//! How a command ends: its exit code, and the state of the disk that its last line tells.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    Done,
    InternalError,
    Cancelled,
    BadAnswers,
    DiskNotFound,
    RefusedToDestroy,
    Unsuitable,
    HashMismatch,
    SourceFailed,
    NotUpgradeable,
    IoBeforeCommit,
    IoAtCommit,
    ToolFailed,
    CleanupPending,
}

impl Exit {
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::InternalError => 1,
            Self::Cancelled => 2,
            Self::BadAnswers => 10,
            Self::DiskNotFound => 11,
            Self::RefusedToDestroy => 12,
            Self::Unsuitable => 13,
            Self::HashMismatch => 14,
            Self::SourceFailed => 15,
            Self::NotUpgradeable => 16,
            Self::IoBeforeCommit => 20,
            Self::IoAtCommit => 21,
            Self::ToolFailed => 22,
            Self::CleanupPending => 23,
        }
    }
}

/// What the machine would boot if the power went now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskState {
    Untouched,
    OldSystemBoots,
    NotBootable,
    NewSystemBoots,
    NewSystemBootsCleanupPending,
}

impl fmt::Display for DiskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Untouched => "untouched",
            Self::OldSystemBoots => "old system boots",
            Self::NotBootable => "not bootable, rerun installer",
            Self::NewSystemBoots => "new system boots",
            Self::NewSystemBootsCleanupPending => "new system boots, cleanup pending",
        })
    }
}
