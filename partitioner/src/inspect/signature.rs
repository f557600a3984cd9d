//! Signatures of file systems and volume managers, at the places where their formats keep them.
//!
//! The list covers what is met on servers; `blkid` knows more, and callers that have it may ask it
//! as well. Places and magics are from the formats' own headers (ext4 `ext4.h`, LVM2 `label.h`,
//! Linux `md_p.h`, XFS `xfs_format.h`, btrfs `ctree.h`, ZFS `vdev_impl.h`, LUKS on-disk formats,
//! ECMA-119, Microsoft FAT specification).

use super::{bytes_at, le32, le64};
use crate::block::{BlockIo, IoError};
use crate::units::Lba;

/// Covers every place at the start of a volume that is looked at.
const START: usize = 256 << 10;

/// What the ends of a volume are compared with.
#[derive(Clone, Copy, Debug)]
pub enum Tail {
    /// The volume ends where its signature says.
    OfVolume,
    /// A whole disk with a table: a signature inside a partition belongs to the partition.
    OfDisk { table_ends: Option<Lba> },
}

/// What a volume holds, such as `ext4 "root-x"`; `None` where nothing is known.
pub fn signature(volume: &mut dyn BlockIo) -> Result<Option<String>, IoError> {
    let bytes = volume.blocks().saturating_mul(volume.block_size().bytes());
    let len = usize::try_from(bytes).unwrap_or(START).min(START);
    let start = bytes_at(volume, 0, len)?.unwrap_or_default();
    match of_start(&start) {
        Some(what) => Ok(Some(what)),
        None => tail_signature(volume, Tail::OfVolume),
    }
}

/// Everything that a volume is signed as: more than one where something old was not wiped.
pub fn signatures(volume: &mut dyn BlockIo) -> Result<Vec<String>, IoError> {
    let bytes = volume.blocks().saturating_mul(volume.block_size().bytes());
    let len = usize::try_from(bytes).unwrap_or(START).min(START);
    let start = bytes_at(volume, 0, len)?.unwrap_or_default();
    let mut found: Vec<String> = READERS.iter().filter_map(|reader| reader(&start)).collect();
    found.extend(tail_signature(volume, Tail::OfVolume)?);
    Ok(found)
}

/// Signatures at the end: md's older formats, and the last ZFS labels.
pub fn tail_signature(volume: &mut dyn BlockIo, tail: Tail) -> Result<Option<String>, IoError> {
    let block_size = volume.block_size().bytes();
    let len = volume.blocks().saturating_mul(block_size);
    let owned = match tail {
        Tail::OfVolume | Tail::OfDisk { table_ends: None } => 0,
        Tail::OfDisk { table_ends: Some(last) } => {
            last.get().saturating_add(1).saturating_mul(block_size)
        }
    };
    let free = |offset: &u64| owned <= *offset;
    // md 0.90: the last whole 64 KiB but one; md 1.0: 8 KiB before the end, on 4 KiB.
    let old = (len & !0xFFFF).checked_sub(0x1_0000);
    let one = len.checked_sub(0x2000).map(|offset| offset & !0xFFF);
    for offset in old.into_iter().chain(one).filter(free) {
        let found = bytes_at(volume, offset, 4)?;
        if found.is_some_and(|magic| le32(&magic, 0) == MD_MAGIC) {
            return Ok(Some("md RAID member".to_owned()));
        }
    }
    // ZFS: two labels of 256 KiB at the end of the volume, on 256 KiB.
    let label = (len & !0x3_FFFF).checked_sub(0x8_0000).filter(free);
    if let Some(offset) = label {
        let bytes = bytes_at(volume, offset, 256 << 10)?.unwrap_or_default();
        return Ok(zfs(&bytes));
    }
    Ok(None)
}

const MD_MAGIC: u32 = 0xA92B_4EFC;

/// Names what begins with these bytes.
type Reader = fn(&[u8]) -> Option<String>;

/// The order matters where one format leaves another's magic behind: containers come first.
const READERS: [Reader; 12] =
    [luks, lvm, md, bitlocker, zfs, xfs, btrfs, ext, swap, fat, ntfs, others];

fn of_start(start: &[u8]) -> Option<String> {
    READERS.iter().find_map(|reader| reader(start))
}

fn has(bytes: &[u8], at: usize, magic: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(magic))
}

/// `kind "label"`, or the kind alone. Labels come from the disk: what is not printable is shown
/// as `?`, so that a label cannot reach a terminal as an escape sequence.
fn labelled(kind: &str, start: &[u8], at: usize, len: usize) -> String {
    let raw = start.get(at..).map_or(&[][..], |rest| &rest[..len.min(rest.len())]);
    let raw = raw.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(raw);
    let text = text.trim_end().replace(|c: char| c.is_control() || c == '"', "?");
    if text.is_empty() { kind.to_owned() } else { format!("{kind} \"{text}\"") }
}

fn luks(start: &[u8]) -> Option<String> {
    has(start, 0, b"LUKS\xBA\xBE").then(|| "LUKS container".to_owned())
}

/// The label is in one of the first four sectors.
fn lvm(start: &[u8]) -> Option<String> {
    let mut sectors = start.chunks(512).take(4);
    let found = sectors.any(|sector| has(sector, 0, b"LABELONE") && has(sector, 24, b"LVM2 001"));
    found.then(|| "LVM2 physical volume".to_owned())
}

/// md 1.1 at the start, md 1.2 at 4 KiB.
fn md(start: &[u8]) -> Option<String> {
    let found = [0, 4096].iter().any(|at| le32(start, *at) == MD_MAGIC);
    found.then(|| "md RAID member".to_owned())
}

fn bitlocker(start: &[u8]) -> Option<String> {
    has(start, 3, b"-FVE-FS-").then(|| "BitLocker volume".to_owned())
}

/// An uberblock in a label: its ring begins at 128 KiB, each place is at least 1 KiB.
fn zfs(label: &[u8]) -> Option<String> {
    const MAGIC: u64 = 0x00BA_B10C;
    let mut ring = label.chunks(1024).skip(128).take(128);
    let found = ring.any(|place| le64(place, 0) == MAGIC || le64(place, 0).swap_bytes() == MAGIC);
    found.then(|| "ZFS pool member".to_owned())
}

fn xfs(start: &[u8]) -> Option<String> {
    has(start, 0, b"XFSB").then(|| labelled("xfs", start, 108, 12))
}

fn btrfs(start: &[u8]) -> Option<String> {
    has(start, 0x1_0040, b"_BHRfS_M").then(|| labelled("btrfs", start, 0x1_012B, 256))
}

fn ext(start: &[u8]) -> Option<String> {
    if !has(start, 1024 + 0x38, &[0x53, 0xEF]) {
        return None;
    }
    // Features that only ext4 has: extent, 64bit, mmp, flex_bg, ea_inode and later ones.
    let (journal, ext4) = (le32(start, 1024 + 0x5C) & 4, le32(start, 1024 + 0x60) & !0x1F);
    let kind = match (ext4, journal) {
        (0, 0) => "ext2",
        (0, _) => "ext3",
        _ => "ext4",
    };
    Some(labelled(kind, start, 1024 + 0x78, 16))
}

fn swap(start: &[u8]) -> Option<String> {
    let found = has(start, 4086, b"SWAPSPACE2") || has(start, 4086, b"SWAP-SPACE");
    found.then(|| labelled("swap", start, 1052, 16))
}

fn fat(start: &[u8]) -> Option<String> {
    if !has(start, 510, &[0x55, 0xAA]) {
        return None;
    }
    let label = |at| labelled("FAT", start, at, 11).replace(" \"NO NAME\"", "");
    if has(start, 82, b"FAT32   ") {
        Some(label(71))
    } else if has(start, 54, b"FAT1") {
        Some(label(43))
    } else {
        None
    }
}

fn ntfs(start: &[u8]) -> Option<String> {
    has(start, 3, b"NTFS    ").then(|| "NTFS".to_owned())
}

fn others(start: &[u8]) -> Option<String> {
    if has(start, 32769, b"CD001") {
        return Some(labelled("iso9660", start, 32808, 32));
    }
    let plain: [(usize, &[u8], &str); 5] = [
        (3, b"EXFAT   ", "exFAT"),
        (0, b"hsqs", "squashfs"),
        (0, b"bluestore block device", "Ceph BlueStore"),
        (32, b"ORCLDISK", "Oracle ASM disk"),
        (4096, &[0xC6, 0x85, 0x73, 0xF6, 0x4E, 0x1A, 0x45, 0xCA], "bcache device"),
    ];
    let found = plain.iter().find(|(at, magic, _)| has(start, *at, magic));
    found.map(|(_, _, what)| (*what).to_owned())
}
