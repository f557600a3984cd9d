//! What is on a disk, in lines for people: tables, file systems, volumes of other systems.
//!
//! In: the disk's blocks, and `blkid` for the signatures of systems that are not ours. Out: no line
//! for a blank disk, for one with an empty table, and for one that says of itself that an
//! installation was cut off. What cannot be read is a line too: silence would look blank.

use std::path::Path;

use partitioner::block::BlockIo;
use partitioner::inspect::{Inspection, Table, foreign, inspect};
use partitioner::installations::{self, Installation, Product};
use partitioner::table::Geometry;
use partitioner::units::{BlockSize, Lba};

use super::Reader;
use crate::call::Run;

mod blkid;

/// The volume id of an ISO 9660 file system lies in its first descriptor (ECMA-119, 8.4).
const ISO_DESCRIPTOR: u64 = 32_768;
const ISO_MAGIC: &[u8] = b"\x01CD001";
const ISO_VOLUME_ID: std::ops::Range<usize> = 40..72;
/// The volume id of our own medium.
const MEDIUM_VOLUME_ID: &[u8] = b"XENHOST";

/// What a disk holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Empty for a blank disk.
    pub lines: Vec<String>,
    /// Of a finished xenhost installation.
    pub deployment_id: Option<String>,
    /// The number of a manufacturer's utility partition.
    pub utility: Option<u32>,
    /// Of a finished installation of any product.
    pub installations: Vec<Installation>,
    /// The disk carries xenhost's installation medium.
    pub medium: bool,
}

/// Looks at a device or an image file, without the right to write to it.
pub(super) fn of(path: &Path, block_size: BlockSize, run: &mut dyn Run) -> Content {
    let unreadable = |error: &dyn std::fmt::Display| Content {
        lines: vec![format!("cannot be read: {error}")],
        ..Content::default()
    };
    let mut disk = match Reader::open(path, block_size) {
        Ok(disk) => disk,
        Err(error) => return unreadable(&error),
    };
    let medium = is_medium(&mut disk);
    match inspect(&mut disk) {
        Ok(mut found) => {
            let geometry = Geometry { block_size: disk.block_size(), blocks: disk.blocks() };
            let mut ask = |start, length| blkid::look(path, start, length, run);
            foreign::complete(&mut found, geometry, &mut ask);
            let (installations, unread) = hosts(&mut disk, &found);
            let own = installations.iter().filter(|host| host.product == Product::Xenhost);
            let deployment_id = own.clone().find_map(|host| host.deployment_id.clone());
            let utility = found.partitions.iter().find(|one| one.is_utility());
            let utility = utility.map(|one| one.number);
            let lines = found.content.into_iter().chain(unread).collect();
            Content { lines, deployment_id, utility, installations, medium }
        }
        Err(error) => Content { medium, ..unreadable(&error) },
    }
}

/// The medium on a USB stick: the ISO's first descriptor lies where it lies on a CD.
fn is_medium(disk: &mut dyn BlockIo) -> bool {
    let block = disk.block_size().bytes();
    let first = Lba::new(ISO_DESCRIPTOR / block);
    let mut bytes = vec![0; usize::try_from(block).unwrap_or(0)];
    let id_is_ours = |bytes: &[u8]| {
        bytes.get(ISO_VOLUME_ID).is_some_and(|id| id.trim_ascii_end() == MEDIUM_VOLUME_ID)
    };
    disk.read(first, &mut bytes).is_ok() && bytes.starts_with(ISO_MAGIC) && id_is_ours(&bytes)
}

/// The finished installations, or a line that says why they are not known. One that was cut off
/// shows no table, so that it is not found; a file system that cannot be read has no inventory.
fn hosts(disk: &mut Reader, found: &Inspection) -> (Vec<Installation>, Option<String>) {
    if found.table == Table::Unfinished {
        return (Vec::new(), None);
    }
    match installations::find(disk, found) {
        Ok(hosts) => (hosts, None),
        Err(error) => (Vec::new(), Some(format!("installations cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests;
