//! The answer file: YAML or `XenServer`'s XML in, every answer or every problem out.
//!
//! Parsing knows nothing of the machine. What an answer means there is decided by
//! [`crate::request`]. A field that is accepted here is honoured; a field that will exist later is
//! refused by name. Nothing secret is ever shown.

use std::collections::BTreeMap;

use partitioner::table::{Compat, LayoutChoice};
use partitioner::units::Bytes;
use serde::{Deserialize, Serialize};

mod file;
mod mask;
mod network;
mod node;
mod overrides;
mod report;
mod schema;
mod script;
mod secrets;
mod section;
mod sections;
mod source;
mod write;
mod xml;

pub use network::{
    Bond, BondMode, Dns, Ipv4, Ipv6, Link, Management, Network, NicMatch, Ntp, Vlan,
};
pub use report::{OnError, ReportEvent, Webhook};
pub use schema::json_schema;
pub use script::{
    Hook, Hooks, OnFail, SCRIPT_BYTES_MAX, Script, ScriptError, ScriptSource, Stage, WebScript,
    When,
};
pub use secrets::secrets;
pub(crate) use sections::{MTU, MTU_MIN_IPV6, reachable};
pub use source::{ServerTrust, Source, WebSource};
pub use write::yaml;

use crate::facts::HostFacts;
use crate::problem::{Place, Problem, Problems};
use crate::request::Selector;
use crate::target::RelPath;
use crate::values::{
    BootArg, DeploymentId, Glob, Hostname, Keymap, Mac, Minutes, RootPassword, SerialConsole,
    SshKey, Timezone,
};

/// The value of `schema`.
pub const SCHEMA: &str = "xenhost/v1";
/// A larger answer file is a mistake.
pub const SIZE_MAX: usize = 256 * 1024;

/// What the operator asked for, before anything is known of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answers {
    Install(Box<RawAnswers>),
    Upgrade(Box<UpgradeAnswers>),
    Rollback(Box<RollbackAnswers>),
}

impl Answers {
    /// The value of `mode`.
    pub const fn mode(&self) -> &'static str {
        match self {
            Self::Install(_) => "install",
            Self::Upgrade(_) => "upgrade",
            Self::Rollback(_) => "rollback",
        }
    }
}

/// `mode: install`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawAnswers {
    pub deployment_id: Option<DeploymentId>,
    pub machine: MachineRules,
    pub safety: Safety,
    /// By the names that the file gives them.
    pub disks: BTreeMap<String, Selector>,
    /// Which of `disks` becomes the host disk. Invariant: a key of `disks`.
    pub target: String,
    pub layout: LayoutChoice,
    pub boot_size: Option<Bytes>,
    /// Whose names and types the partitions have.
    pub compat: Compat,
    pub storage: Storage,
    pub on_existing: OnExisting,
    pub source: Source,
    pub network: Network,
    pub system: System,
    pub access: Access,
    pub xen: Xen,
    pub boot: Boot,
    pub health: Health,
    pub hooks: Hooks,
    pub first_boot: Vec<Script>,
    /// Who is told how it went.
    pub report: Vec<Webhook>,
    pub finish: Finish,
    pub on_error: OnError,
}

/// `mode: upgrade`: a new release into the other slot of an installed host, or beside a host of
/// another product, which is taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradeAnswers {
    pub deployment_id: Option<DeploymentId>,
    pub machine: MachineRules,
    pub safety: Safety,
    /// The disk that carries the host.
    pub disk: Selector,
    pub layout: UpgradeLayout,
    /// What is carried over beside the declared list.
    pub keep: Vec<RelPath>,
    pub source: Source,
    /// Of the new system; the host's own where nothing is said.
    pub health: Health,
    pub report: Vec<Webhook>,
    pub finish: Finish,
    pub on_error: OnError,
}

/// `mode: rollback`: back to the system in the other slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollbackAnswers {
    pub machine: MachineRules,
    /// The disk that carries the host; absent for the only one that does.
    pub disk: Option<Selector>,
    pub report: Vec<Webhook>,
    pub finish: Finish,
    pub on_error: OnError,
}

/// What an upgrade does with the partition table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpgradeLayout {
    #[default]
    Keep,
    /// The disk of a host of another product is divided anew, where no guest is lost by it.
    Modern,
}

/// Which machine the file is for. Every rule that is given has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MachineRules {
    pub system_uuid: Option<String>,
    pub serial: Option<String>,
    pub asset_tag: Option<String>,
    pub vendor: Option<Pattern>,
    pub product: Option<Pattern>,
    pub mac: Option<Mac>,
    pub firmware: Option<crate::facts::Firmware>,
    pub min_memory: Option<Bytes>,
    pub min_cpus: Option<u32>,
}

/// Text with `*` and `?`, compared with what a machine says of itself.
pub type Pattern = Glob;

/// What keeps a wrong machine from being installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Safety {
    /// The digest that the plan must have, in lower-case hexadecimal.
    pub plan: Option<String>,
    /// Names of `disks` that are never chosen and never written.
    pub protect: Vec<(String, Selector)>,
}

/// Where guest disks will be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    /// The rest of the host disk.
    pub sr: StorageKind,
    /// Names of `disks` that become a repository each, as a whole.
    pub disks: BTreeMap<String, SrKind>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StorageKind {
    /// A partition for guest disks, which nothing is put on.
    #[default]
    Partition,
    /// Not even a partition.
    None,
    /// A repository in that partition.
    Made(SrKind),
}

/// What a storage repository is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SrKind {
    /// A volume group; each guest disk is a volume.
    Lvm,
    /// An ext4 file system; each guest disk is a file.
    Ext,
}

impl SrKind {
    pub const ALL: [Self; 2] = [Self::Lvm, Self::Ext];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Lvm => "lvm",
            Self::Ext => "ext",
        }
    }
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

impl OnExisting {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::ReplaceOwn => "replace-own",
            Self::Wipe => "wipe",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    pub hostname: Hostname,
    pub timezone: Timezone,
    pub keymap: Keymap,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    pub root_password: RootPassword,
    pub ssh_keys: Vec<SshKey>,
    /// Whether SSH takes root's password. Debian's default, which is no, where nothing is said.
    pub ssh_password_login: Option<bool>,
}

/// What dom0 gets of the host, and what else Xen is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Xen {
    /// Whole MiB.
    pub dom0_memory: Option<Bytes>,
    pub dom0_vcpus: Option<u32>,
    pub args: Vec<BootArg>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Boot {
    pub serial: Option<SerialConsole>,
    /// For the dom0 kernel.
    pub kernel_args: Vec<BootArg>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// How long a host may take until it is well.
    pub timeout: Option<Minutes>,
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

/// Answers, and warnings that stop nothing; or what is wrong.
pub type Reading = Result<(Answers, Problems), Problems>;

/// Reads an answer file. `file` is the name that problems show. What holds for some machines only
/// is checked, and left out: see [`read_for`].
pub fn read(file: &str, bytes: &[u8]) -> Reading {
    read_with(file, bytes, None)
}

/// The answers for one machine.
pub fn read_for(file: &str, bytes: &[u8], facts: &HostFacts) -> Reading {
    read_with(file, bytes, Some(facts))
}

/// Whether a file that was read has other answers for some machines.
pub fn has_overrides(bytes: &[u8]) -> bool {
    let Ok(text) = file::text("", bytes) else { return false };
    !xml::looks_like(text) && node::parse("", text).is_ok_and(|root| overrides::are_in(&root))
}

fn read_with(file: &str, bytes: &[u8], facts: Option<&HostFacts>) -> Reading {
    let text = file::text(file, bytes)?;
    if xml::looks_like(text) {
        return xml::read(file, text);
    }
    let root = node::parse(file, text).map_err(|p| p.quote(text, &mask::of_text(text)))?;
    let mut problems = Problems::new(file);
    let answers = overrides::answers(&root, facts, &mut problems);
    let secrets = mask::of_tree(&root, problems.hidden());
    problems.quote(text, &secrets).finish(answers)
}

/// Reads an answer file that must be one for an installation.
pub fn parse(file: &str, bytes: &[u8]) -> Result<RawAnswers, Problems> {
    let (answers, _) = read(file, bytes)?;
    match answers {
        Answers::Install(answers) => Ok(*answers),
        Answers::Upgrade(_) | Answers::Rollback(_) => {
            let mut problems = Problems::new(file);
            let what = format!("mode `{}` is not what is performed here", answers.mode());
            let problem = Problem::new(Place::START, "mode", what);
            problems.push(problem.allowed(["install"]).hint("`mode: install` installs"));
            Err(problems)
        }
    }
}

#[cfg(test)]
mod tests;
