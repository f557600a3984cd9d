//! Finds out what a machine is: disks and what is on them, network interfaces, firmware, memory.
//!
//! In: sysfs, procfs, the blocks of each disk, and the programs `blkid` and `debugfs` as readers.
//! Out: `HostFacts`. Opens everything for reading only, and decides nothing: which disk may be
//! chosen is decided by installer-core.

use std::io;
use std::path::{Path, PathBuf};

use installer_core::facts::{DiskFacts, Firmware, HostFacts};
use partitioner::units::{BlockSize, Bytes};

use crate::call::Run;

mod content;
mod disk;
mod identity;
mod machine;
mod memory;
mod nic;
mod reader;
mod sysfs;
mod users;

pub use content::Content;
pub(crate) use disk::{PartitionNode, identities, partition_nodes, whole_disks};
pub(crate) use machine::names as machine_names;
pub(crate) use nic::all as nics;
pub(crate) use reader::Reader;
pub(crate) use sysfs::attribute;
pub(crate) use users::mount_points;

/// Where a machine shows itself. Tests give folders with recorded files.
#[derive(Clone, Debug)]
pub struct Machine {
    pub sys: PathBuf,
    pub proc: PathBuf,
    pub dev: PathBuf,
}

impl Machine {
    /// The machine that this program runs on.
    pub fn running() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into(), dev: "/dev".into() }
    }
}

/// What can hide a machine from us. A disk that cannot be read is no such thing: it is listed, with
/// the reason among its content.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {what}", path.display())]
    Unexpected { path: PathBuf, what: String },
    #[error("{} is not an image file", path.display())]
    NotAnImage { path: PathBuf },
    #[error("{} does not exist; make it first, for example with `truncate -s 60G`", path.display())]
    NoImage { path: PathBuf },
    #[error(
        "{} has {bytes} bytes, which is not a whole number of {block_size}-byte blocks",
        path.display()
    )]
    Ragged { path: PathBuf, bytes: u64, block_size: u64 },
}

/// The facts of the running machine.
pub fn probe(run: &mut dyn Run) -> Result<HostFacts, ProbeError> {
    probe_machine(&Machine::running(), run)
}

pub fn probe_machine(machine: &Machine, run: &mut dyn Run) -> Result<HostFacts, ProbeError> {
    let mut disks = Vec::new();
    for name in disk::whole_disks(machine)? {
        disks.push(disk::facts(machine, &name, run)?);
    }
    Ok(HostFacts {
        firmware: firmware(machine),
        memory: memory::installed(machine)?,
        cpus: memory::cpus(machine)?,
        machine: machine::names(machine),
        disks,
        nics: nic::all(machine)?,
    })
}

/// An image file, as the disk with the serial `name`.
pub fn probe_image(
    name: &str,
    path: &Path,
    block_size: BlockSize,
    run: &mut dyn Run,
) -> Result<DiskFacts, ProbeError> {
    let read = |source| ProbeError::Read { path: path.to_owned(), source };
    let meta = std::fs::metadata(path).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            return ProbeError::NoImage { path: path.to_owned() };
        }
        read(error)
    })?;
    if !meta.is_file() {
        return Err(ProbeError::NotAnImage { path: path.to_owned() });
    }
    if meta.len() % block_size.bytes() != 0 {
        let (bytes, block_size) = (meta.len(), block_size.bytes());
        return Err(ProbeError::Ragged { path: path.to_owned(), bytes, block_size });
    }
    let content = content::of(path, block_size, run);
    Ok(DiskFacts {
        path: path.to_string_lossy().into_owned(),
        serial: Some(name.to_owned()),
        wwn: None,
        model: None,
        by_id: Vec::new(),
        by_path: Vec::new(),
        transport: "file".to_owned(),
        size: Bytes::new(meta.len()),
        block_size,
        sector_size: None,
        removable: false,
        read_only: meta.permissions().readonly(),
        medium: false,
        holders: Vec::new(),
        content: content.lines,
        deployment_id: content.deployment_id,
        utility: content.utility,
        installations: content.installations,
    })
}

/// The names below `/dev/disk/by-id` that the disk has now.
pub(crate) fn names(machine: &Machine, disk: &str) -> Vec<String> {
    identity::of(machine, disk).by_id
}

fn firmware(machine: &Machine) -> Firmware {
    if machine.sys.join("firmware/efi").is_dir() { Firmware::Uefi } else { Firmware::Bios }
}

#[cfg(test)]
mod tests;
