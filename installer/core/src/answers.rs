//! The answer file: YAML in, every answer or every problem out.
//!
//! Parsing knows nothing of the machine. What an answer means there is decided by
//! [`crate::request`]. A field that is accepted here is honoured; a field that will exist later is
//! refused by name.

use std::collections::BTreeMap;

use partitioner::table::LayoutChoice;
use partitioner::units::Bytes;
use serde::Serialize;

mod file;
mod node;
mod section;
mod sections;

use crate::problem::Problems;
use crate::request::Selector;
use crate::values::{DeploymentId, Hostname, Keymap, Mac, PasswordHash, SshKey, Timezone};

/// The value of `schema`.
pub const SCHEMA: &str = "xenhost/v1";
/// A larger answer file is a mistake.
pub const SIZE_MAX: usize = 256 * 1024;

/// What the operator asked for, before anything is known of the machine.
#[derive(Clone, Debug)]
pub struct RawAnswers {
    pub deployment_id: Option<DeploymentId>,
    /// By the names that the file gives them.
    pub disks: BTreeMap<String, Selector>,
    /// Which of `disks` becomes the host disk. Invariant: a key of `disks`.
    pub target: String,
    pub layout: LayoutChoice,
    pub boot_size: Option<Bytes>,
    pub on_existing: OnExisting,
    /// The interface that the management bridge stands on.
    pub management: Mac,
    pub system: System,
    pub access: Access,
    pub finish: Finish,
}

/// What may be destroyed on the chosen disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnExisting {
    /// Nothing: the disk must be blank.
    #[default]
    Refuse,
    /// An earlier xenhost.
    ReplaceOwn,
    /// Whatever is there.
    Wipe,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    pub hostname: Hostname,
    pub timezone: Timezone,
    pub keymap: Keymap,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub root_password: PasswordHash,
    pub ssh_keys: Vec<SshKey>,
}

/// What the machine does after a successful installation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    #[default]
    Reboot,
    Poweroff,
    Halt,
    /// Stays in the installer environment.
    None,
}

impl Finish {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::Poweroff => "poweroff",
            Self::Halt => "halt",
            Self::None => "none",
        }
    }
}

/// Reads an answer file. `file` is the name that problems show.
pub fn parse(file: &str, bytes: &[u8]) -> Result<RawAnswers, Problems> {
    let text = file::text(file, bytes)?;
    let root = node::parse(file, text)?;
    let mut problems = Problems::new(file);
    let answers = sections::answers(&root, &mut problems);
    problems.finish(answers)
}

#[cfg(test)]
mod tests;
