//! What moves from a `XenServer` or XCP-ng host into its new dom0, and what stays behind. Pure: the
//! files of the old root in, the answers that a fresh installation is configured by out.
//!
//! Nothing is sourced or run. What the host is reached by (management network, root's way in) must
//! be read with certainty, or the host is not taken over; comforts that cannot be read become their
//! defaults, and a line of the report.

use std::collections::BTreeMap;

mod behind;
mod login;
mod network;
mod networkd;
mod nics;
mod scripts;
mod system;
mod texts;

use texts::Texts;

use crate::answers::{Access, Network, System};
use crate::outcome::Exit;
use crate::request::Refusal;
use crate::target::TargetFile;

/// One entry of the list of what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// A file's content, or the text of a link.
    File(&'static str),
    /// The same for what lies in a folder, itself no folder, and has a name that begins like this.
    In { folder: &'static str, begins: &'static str },
    /// Only whether it is there: it may be secret, or large.
    Presence(&'static str),
}

/// Everything that is read of the old root, besides what [`behind::LISTED`] looks for.
const READ: &[Read] = &[
    Read::File("etc/xensource-inventory"),
    // Who the host is.
    Read::File("etc/hostname"),
    Read::File("etc/sysconfig/network"),
    Read::File("etc/hosts"),
    Read::File("etc/machine-id"),
    // Management network.
    Read::File("var/lib/xcp/networkd.db"),
    Read::File("var/xapi/networkd.db"),
    Read::File("etc/firstboot.d/data/management.conf"),
    Read::In { folder: "etc/sysconfig/network-scripts", begins: "ifcfg-" },
    Read::File("etc/sysconfig/network-scripts/interface-rename-data/static-rules.conf"),
    Read::File("etc/sysconfig/network-scripts/interface-rename-data/dynamic-rules.json"),
    Read::File("etc/resolv.conf"),
    // Time.
    Read::File("etc/chrony.conf"),
    Read::File("etc/ntp.conf"),
    Read::In { folder: "var/lib/dhclient", begins: "chrony.servers." },
    Read::File("etc/localtime"),
    Read::File("etc/timezone"),
    Read::File("etc/sysconfig/clock"),
    // Keyboard.
    Read::File("etc/vconsole.conf"),
    Read::File("etc/sysconfig/keyboard"),
    // Who may log in.
    Read::File("etc/passwd"),
    Read::File("etc/shadow"),
    Read::File("etc/ssh/sshd_config"),
    Read::In { folder: "etc/ssh", begins: "ssh_host_" },
    Read::In { folder: "root/.ssh", begins: "" },
];

/// Every path that has to be looked at. Paths are relative to the old root.
pub fn read_list() -> impl Iterator<Item = Read> {
    let listed = behind::LISTED.iter().map(|(path, _)| Read::Presence(path));
    READ.iter().copied().chain(listed)
}

/// What stands at a path of the old root. A path with nothing is not in [`OldFiles`].
#[derive(Clone, PartialEq, Eq)]
pub enum OldFile {
    Content(Vec<u8>),
    /// The text of a symbolic link, which is never followed.
    Link(String),
    /// Something is there, and was not read.
    There,
}

impl std::fmt::Debug for OldFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Content(_) => "Content(not shown)",
            Self::Link(_) => "Link",
            Self::There => "There",
        })
    }
}

/// The old root as far as it was read, by relative path.
pub type OldFiles = BTreeMap<String, OldFile>;

/// What the new dom0 gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedOver {
    /// Every interface by its address.
    pub network: Network,
    pub system: System,
    /// The old hash of root's password. The keys that log in are among `files`, as they were.
    pub access: Access,
    /// Beside the files that follow from the answers: SSH host keys, `root/.ssh`, machine-id.
    pub files: Vec<TargetFile>,
    /// What was found and does not move, and what moves changed; one line for each.
    pub left_behind: Vec<String>,
}

/// Why the old host's configuration is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarryError {
    #[error("/{path}: {what}")]
    File { path: String, what: String },
    #[error("/{path}: line {line}: {what}")]
    Line { path: String, line: usize, what: String },
    #[error("the old host does not say {what}; looked at {}", places.join(", "))]
    Nowhere { what: String, places: Vec<&'static str> },
}

impl From<CarryError> for Refusal {
    fn from(error: CarryError) -> Self {
        Self::new(Exit::NotUpgradeable, error.to_string())
            .hint("correct it on the old host, which is as it was")
    }
}

/// Reads the old root's files.
pub fn carried_over(files: &OldFiles) -> Result<CarriedOver, CarryError> {
    let texts = Texts::new(files);
    let mut notes = Vec::new();
    let mut network = network::network(texts, &mut notes)?;
    network.ntp = system::ntp(texts, &network, &mut notes)?;
    let system = system::system(texts, &mut notes)?;
    let access = login::access(texts, &mut notes)?;
    let mut moved = system::machine_id(texts)?;
    moved.extend(login::files(texts, &mut notes));
    notes.extend(behind::behind(texts, &system.hostname)?);
    Ok(CarriedOver { network, system, access, files: moved, left_behind: notes })
}

#[cfg(test)]
mod tests;
