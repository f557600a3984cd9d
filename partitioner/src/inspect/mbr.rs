//! Reading of an MBR, with logical partitions. Reads of damaged tables end, and say what was found.

use super::{Found, bytes_at, le32};
use crate::block::{BlockIo, IoError};
use crate::units::{Extent, Lba};

const ENTRIES: usize = 0x1BE;
/// More logical partitions than any tool makes: the bound of a chain that leads in a circle.
const LOGICAL_MAX: u32 = 128;

#[derive(Debug)]
pub(super) struct Mbr {
    pub(super) disk_signature: u32,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    raw: [u8; 16],
    kind: u8,
    first: u32,
    blocks: u32,
}

impl Entry {
    fn is_extended(self) -> bool {
        matches!(self.kind, 0x05 | 0x0F | 0x85)
    }

    fn found(self, number: u32, base: u64) -> Option<Found> {
        let first = Lba::new(base.saturating_add(u64::from(self.first)));
        Some(Found {
            number,
            extent: Extent::with_len(first, u64::from(self.blocks))?,
            kind: format!("{:#04x}", self.kind),
            name: None,
            guid: None,
            attributes: self.raw.first().copied().map_or(0, u64::from),
            entry: self.raw.to_vec(),
            content: None,
        })
    }
}

/// The MBR in a sector; `None` where the sector has none. The boot sector of a FAT or NTFS volume
/// ends with 55 AA too; there the place of the table holds code or text, which has no sound
/// entries.
pub(super) fn parse(sector: &[u8]) -> Option<Mbr> {
    if sector.get(510..512) != Some(&[0x55, 0xAA]) || is_volume(sector) {
        return None;
    }
    let entries = entries(sector)?;
    Some(Mbr { disk_signature: le32(sector, 0x1B8), entries })
}

/// The boot sector of a file system without a partition table around it.
fn is_volume(sector: &[u8]) -> bool {
    let has = |at: usize, magic: &[u8]| sector.get(at..).is_some_and(|s| s.starts_with(magic));
    has(3, b"NTFS    ")
        || has(3, b"EXFAT   ")
        || has(3, b"-FVE-FS-")
        || has(54, b"FAT1")
        || has(82, b"FAT32   ")
}

/// The four entries, if each status byte is one that a table can have.
fn entries(sector: &[u8]) -> Option<Vec<Entry>> {
    let table = sector.get(ENTRIES..510)?;
    let sound = table.chunks_exact(16).all(|entry| matches!(entry.first(), Some(0x00 | 0x80)));
    let parse = |entry: &[u8]| Entry {
        raw: entry.first_chunk().copied().unwrap_or_default(),
        kind: entry.get(4).copied().unwrap_or(0),
        first: le32(entry, 8),
        blocks: le32(entry, 12),
    };
    sound.then(|| table.chunks_exact(16).map(parse).collect())
}

impl Mbr {
    /// A type 0xEE entry: the GPT counts, if there is one.
    pub(super) fn is_protective(&self) -> bool {
        self.entries.iter().any(|entry| entry.kind == 0xEE)
    }

    /// Primary and logical partitions, by number.
    pub(super) fn partitions(&self, disk: &mut dyn BlockIo) -> Result<Vec<Found>, IoError> {
        let mut found = Vec::new();
        let mut extended = None;
        for (number, entry) in (1..).zip(&self.entries) {
            if entry.kind == 0 {
                continue;
            }
            if entry.is_extended() {
                extended = extended.or(Some(u64::from(entry.first)));
            }
            found.extend(entry.found(number, 0).filter(|_| !entry.is_extended()));
        }
        if let Some(start) = extended {
            found.extend(logical(disk, start)?);
        }
        Ok(found)
    }
}

/// Follows the chain of extended boot records. Each has one partition, relative to itself, and the
/// place of the next record, relative to the first.
fn logical(disk: &mut dyn BlockIo, start: u64) -> Result<Vec<Found>, IoError> {
    let mut found = Vec::new();
    let mut at = start;
    for number in (5..).take(usize::try_from(LOGICAL_MAX).unwrap_or(0)) {
        let Some(offset) = Lba::new(at).byte_offset(disk.block_size()) else { break };
        let Some(sector) = bytes_at(disk, offset, 512)? else { break };
        let Some(entries) = entries(&sector).filter(|_| sector.ends_with(&[0x55, 0xAA])) else {
            break;
        };
        let mut entries = entries.into_iter();
        found.extend(
            entries.next().filter(|entry| entry.kind != 0).and_then(|e| e.found(number, at)),
        );
        match entries.next() {
            Some(next) if next.is_extended() => at = start.saturating_add(u64::from(next.first)),
            _ => break,
        }
    }
    Ok(found)
}
