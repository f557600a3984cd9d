//! One whole disk: its size, its state, its names.

use std::fs;
use std::path::{Path, PathBuf};

use installer_core::facts::DiskFacts;
use partitioner::units::{BlockSize, Bytes};

use super::sysfs::{attribute, names, number};
use super::{Machine, ProbeError, content, identity, users};
use crate::call::Run;

/// sysfs counts sizes in these, whatever the disk's own block size is.
const SYSFS_SECTOR: u64 = 512;
/// A CD drive's type, as SCSI counts (SPC-4 table 143).
const SCSI_CD: &str = "5";

/// A partition as the kernel sees it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionNode {
    pub(crate) number: u32,
    /// `sda1`, `nvme0n1p1`
    pub(crate) name: String,
    /// Its folder in sysfs.
    pub(crate) folder: PathBuf,
}

/// The kernel's names of all disks, as sysfs spells them. CD drives, floppy drives, RAM disks, loop
/// devices, md and device mapper are not disks.
pub(crate) fn whole_disks(machine: &Machine) -> Result<Vec<String>, ProbeError> {
    let block = machine.sys.join("block");
    let mut disks = names(&block)?;
    disks.retain(|name| is_disk(&block.join(name), name));
    Ok(disks)
}

fn is_disk(folder: &Path, name: &str) -> bool {
    let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let made_up = real.components().any(|part| part.as_os_str() == "virtual")
        // The head of an NVMe multipath disk lies there too, and is the disk.
        && !name.starts_with("nvme");
    let hidden = number(&folder.join("hidden")) == Some(1);
    let empty = number(&folder.join("size")).unwrap_or(0) == 0;
    let cd = name.starts_with("sr")
        || attribute(&folder.join("device/type")).as_deref() == Some(SCSI_CD);
    // The hardware partitions of an eMMC chip hold boot firmware; MTD is flash, floppies are
    // floppies.
    let firmware = name.starts_with("mmcblk") && (name.contains("boot") || name.contains("rpmb"));
    let other = name.starts_with("fd") || name.starts_with("mtd");
    !(made_up || hidden || empty || cd || firmware || other)
}

/// The partitions of a disk that the kernel offers now, by number.
pub(crate) fn partition_nodes(
    machine: &Machine,
    disk: &str,
) -> Result<Vec<PartitionNode>, ProbeError> {
    let folder = machine.sys.join("block").join(disk);
    let mut found = Vec::new();
    for name in names(&folder)? {
        let folder = folder.join(&name);
        if let Some(number) = number(&folder.join("partition")).and_then(|n| u32::try_from(n).ok())
        {
            found.push(PartitionNode { number, name, folder });
        }
    }
    found.sort_by_key(|node| node.number);
    Ok(found)
}

/// A disk, by what the hardware tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Identified {
    pub(crate) path: PathBuf,
    pub(crate) serial: Option<String>,
    pub(crate) wwn: Option<String>,
    pub(crate) size: Bytes,
}

/// Every disk, without a look at what is on it.
pub(crate) fn identities(machine: &Machine) -> Result<Vec<Identified>, ProbeError> {
    let mut found = Vec::new();
    for name in whole_disks(machine)? {
        let size = size(&machine.sys.join("block").join(&name))?;
        let identity::Identity { serial, wwn, .. } = identity::of(machine, &name);
        let path = machine.dev.join(name.replace('!', "/"));
        found.push(Identified { path, serial, wwn, size });
    }
    Ok(found)
}

pub(super) fn facts(
    machine: &Machine,
    name: &str,
    run: &mut dyn Run,
) -> Result<DiskFacts, ProbeError> {
    let folder = machine.sys.join("block").join(name);
    let path = machine.dev.join(name.replace('!', "/"));
    let block_size = block_size(&folder)?;
    let size = size(&folder)?;
    let identity = identity::of(machine, name);
    let content = content::of(&path, block_size, run);
    Ok(DiskFacts {
        path: path.to_string_lossy().into_owned(),
        serial: identity.serial,
        wwn: identity.wwn,
        model: identity.model,
        by_id: identity.by_id,
        by_path: identity.by_path,
        transport: identity.transport.to_owned(),
        size,
        block_size,
        sector_size: sector_size(&folder).filter(|size| *size != block_size),
        removable: number(&folder.join("removable")) == Some(1),
        read_only: number(&folder.join("ro")) == Some(1),
        medium: content.medium || users::holds_medium(machine, name)?,
        holders: users::holders(machine, name)?,
        content: content.lines,
        deployment_id: content.deployment_id,
        utility: content.utility,
        installations: content.installations,
    })
}

fn size(folder: &Path) -> Result<Bytes, ProbeError> {
    let path = folder.join("size");
    let sectors = number(&path).and_then(|sectors| sectors.checked_mul(SYSFS_SECTOR));
    sectors
        .map(Bytes::new)
        .ok_or(ProbeError::Unexpected { path, what: "it is not a number of sectors".to_owned() })
}

/// Drives of 4096-byte sectors may offer blocks of 512.
fn sector_size(folder: &Path) -> Option<BlockSize> {
    let bytes = number(&folder.join("queue/physical_block_size"))?;
    u32::try_from(bytes).ok().and_then(BlockSize::new)
}

fn block_size(folder: &Path) -> Result<BlockSize, ProbeError> {
    let path = folder.join("queue/logical_block_size");
    let bytes = number(&path).and_then(|bytes| u32::try_from(bytes).ok());
    bytes
        .and_then(BlockSize::new)
        .ok_or(ProbeError::Unexpected { path, what: "it is not a block size".to_owned() })
}
