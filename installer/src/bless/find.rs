//! Finds the boot partition of the running dom0: on the disk that holds its root, the one partition
//! with the PARTUUID that the inventory names. For a system that was taken over, whose inventory is
//! of another table, the one of the new layout.
//!
//! Never by label and never across disks: a clone of this disk may be attached.

use std::fs;
use std::path::{Path, PathBuf};

use partitioner::block::{BlockIo, IoError};
use partitioner::inspect::{Found, inspect};
use partitioner::layout::{Kind, MODERN, Role};
use partitioner::takeover::OLD_ROOT;
use partitioner::units::{BlockSize, Extent};

use crate::probe::{
    Machine, PartitionNode, ProbeError, Reader, attribute, mount_points, partition_nodes,
};

/// sysfs counts in these, whatever the disk's block size.
const SYSFS_SECTOR: u64 = 512;

/// Why there is no one boot partition.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error(transparent)]
    Probe(#[from] ProbeError),
    #[error("nothing is mounted on /")]
    NoRoot,
    #[error("root is on {device} ({why}), a partition of a disk is needed")]
    RootNotOnPartition { device: String, why: String },
    #[error("{}: {source}", path.display())]
    Disk { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("{} has {have} partitions with the PARTUUID {partuuid}, one is needed", disk.display())]
    NotOne { disk: PathBuf, partuuid: String, have: usize },
    #[error("{}: partition {number} is not what the kernel offers: {what}", disk.display())]
    KernelDiffers { disk: PathBuf, number: u32, what: String },
}

/// The node of the boot partition, `/dev/sda4`.
pub fn boot_partition(machine: &Machine, partuuid: &str) -> Result<PathBuf, FindError> {
    let folder = disk_of_root(machine)?;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let disk = machine.dev.join(name.replace('!', "/"));
    let read = |source| FindError::Disk { path: disk.clone(), source };
    let block_size = block_size(&folder);
    let mut reader = Reader::open(&disk, block_size).map_err(read)?;
    let found = inspect(&mut reader)?;
    let is_old = runs_old(machine)?;
    let esp = Kind::EfiSystem.gpt_type().to_string();
    let number = MODERN.want(Role::Boot).map(|want| want.number);
    let ours = |partition: &&Found| {
        if is_old {
            return Some(partition.number) == number && partition.kind == esp;
        }
        let id = found.partuuid(partition).map(|id| id.to_string());
        id.is_some_and(|id| id.eq_ignore_ascii_case(partuuid))
    };
    let matching: Vec<&Found> = found.partitions.iter().filter(ours).collect();
    let [partition] = matching.as_slice() else {
        return Err(FindError::NotOne {
            disk,
            partuuid: partuuid.to_owned(),
            have: matching.len(),
        });
    };
    let place = (partition.number, partition.extent);
    let node = node_of(machine, &name, &disk, place, reader.block_size())?;
    Ok(machine.dev.join(node.name.replace('!', "/")))
}

/// The running root is that of a host that was taken over, in its old place: its partition has a
/// number that no layout gives.
pub(crate) fn runs_old(machine: &Machine) -> Result<bool, FindError> {
    let number = attribute(&root(machine)?.join("partition"));
    Ok(number.is_some_and(|number| number.parse() == Ok(OLD_ROOT)))
}

/// The folder in sysfs of the whole disk behind `/`.
pub(crate) fn disk_of_root(machine: &Machine) -> Result<PathBuf, FindError> {
    let folder = root(machine)?;
    let no_disk = || FindError::RootNotOnPartition {
        device: folder.display().to_string(),
        why: "it has no disk".to_owned(),
    };
    folder.parent().map(Path::to_owned).ok_or_else(no_disk)
}

/// The folder in sysfs of the partition behind `/`.
fn root(machine: &Machine) -> Result<PathBuf, FindError> {
    // The last mount on / is the one that is seen.
    let root = mount_points(machine)?.into_iter().rfind(|mount| mount.at == "/");
    let root = root.ok_or(FindError::NoRoot)?;
    let not_one = |why: &str| FindError::RootNotOnPartition {
        device: format!("{} {}", root.device, root.source),
        why: why.to_owned(),
    };
    let link = machine.sys.join("dev/block").join(&root.device);
    let folder = fs::canonicalize(&link).map_err(|_| not_one("no block device"))?;
    if attribute(&folder.join("partition")).is_none() {
        return Err(not_one("not a partition"));
    }
    Ok(folder)
}

fn block_size(folder: &Path) -> BlockSize {
    attribute(&folder.join("queue/logical_block_size"))
        .and_then(|bytes| BlockSize::new(bytes.parse().ok()?))
        .unwrap_or(BlockSize::B512)
}

/// The kernel's node for the partition, which must cover what the table says: the kernel keeps an
/// old view of a table that was changed under it.
pub(crate) fn node_of(
    machine: &Machine,
    name: &str,
    disk: &Path,
    (number, extent): (u32, Extent),
    block_size: BlockSize,
) -> Result<PartitionNode, FindError> {
    let differs = |what: String| FindError::KernelDiffers { disk: disk.to_owned(), number, what };
    let nodes = partition_nodes(machine, name)?;
    let node = nodes.into_iter().find(|node| node.number == number);
    let node = node.ok_or_else(|| differs("it offers no such partition".to_owned()))?;
    let sectors = |name| attribute(&node.folder.join(name)).and_then(|n| n.parse::<u64>().ok());
    let per_block = block_size.bytes() / SYSFS_SECTOR;
    let wanted = [extent.first().get(), extent.blocks()];
    let have = [sectors("start"), sectors("size")];
    if wanted.map(|blocks| blocks.checked_mul(per_block)) == have {
        Ok(node)
    } else {
        Err(differs(format!("sectors {have:?}, the table says blocks {extent}")))
    }
}

#[cfg(test)]
mod tests;
