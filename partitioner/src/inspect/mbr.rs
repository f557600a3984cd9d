//! Reading of an MBR, with logical partitions. Reads of damaged tables end, and say what was found.

use std::collections::BTreeSet;

use super::problem::{TableProblem, placement};
use super::{Found, bytes_at, le32};
use crate::block::{BlockIo, IoError};
use crate::units::{Extent, Lba};

const ENTRIES: usize = 0x1BE;
const FIRST_LOGICAL: u32 = 5;
/// More logical partitions than any tool makes.
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

    /// The numbers of used entries beside the one for the GPT.
    pub(super) fn real_beside_gpt(&self) -> Vec<u32> {
        let real = |entry: &Entry| entry.kind != 0 && entry.kind != 0xEE;
        (1..).zip(&self.entries).filter(|(_, entry)| real(entry)).map(|(n, _)| n).collect()
    }

    /// Primary and logical partitions, by number, and what is wrong with them.
    pub(super) fn partitions(
        &self,
        disk: &mut dyn BlockIo,
    ) -> Result<(Vec<Found>, Vec<TableProblem>), IoError> {
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        // What the primary entries hold, containers among them.
        let mut parts = Vec::new();
        let mut extended = None;
        for (number, entry) in (1..).zip(&self.entries).filter(|(_, entry)| entry.kind != 0) {
            let Some(one) = entry.found(number, 0) else {
                let first = Lba::new(u64::from(entry.first));
                problems.push(TableProblem::Empty { number, first });
                continue;
            };
            let on_table = one.extent.first() == Lba::new(0);
            if on_table {
                let last = disk.blocks().saturating_sub(1);
                problems.push(TableProblem::OnTable { number, at: one.extent, first: 1, last });
            }
            parts.push((number, one.extent));
            if !entry.is_extended() {
                found.push(one);
            } else if extended.is_some() {
                problems.push(TableProblem::SecondExtended { number });
            } else {
                extended = Some(u64::from(entry.first));
            }
        }
        problems.extend(placement(&parts, disk.blocks()));
        if let Some(start) = extended {
            let logical = logical(disk, start, &mut problems)?;
            let parts: Vec<_> = logical.iter().map(|one| (one.number, one.extent)).collect();
            problems.extend(placement(&parts, disk.blocks()));
            found.extend(logical);
        }
        Ok((found, problems))
    }
}

/// Follows the chain of extended boot records. Each has one partition, relative to itself, and the
/// place of the next record, relative to the first.
fn logical(
    disk: &mut dyn BlockIo,
    start: u64,
    problems: &mut Vec<TableProblem>,
) -> Result<Vec<Found>, IoError> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut at = start;
    let mut number = FIRST_LOGICAL;
    while seen.insert(at) {
        if usize::try_from(LOGICAL_MAX).is_ok_and(|max| max < seen.len()) {
            problems.push(TableProblem::ExtendedTooLong { max: LOGICAL_MAX });
            return Ok(found);
        }
        let offset = Lba::new(at).byte_offset(disk.block_size());
        let sector = offset.map(|offset| bytes_at(disk, offset, 512)).transpose()?.flatten();
        let record = sector.filter(|sector| sector.ends_with(&[0x55, 0xAA]));
        let Some(entries) = record.and_then(|sector| entries(&sector)) else {
            problems.push(TableProblem::ExtendedBroken { at: Lba::new(at) });
            return Ok(found);
        };
        let mut entries = entries.into_iter();
        if let Some(entry) = entries.next().filter(|entry| entry.kind != 0) {
            match entry.found(number, at) {
                Some(one) => found.push(one),
                None => problems.push(TableProblem::Empty { number, first: Lba::new(at) }),
            }
            number = number.saturating_add(1);
        }
        match entries.next().filter(|next| next.is_extended()) {
            Some(next) => at = start.saturating_add(u64::from(next.first)),
            None => return Ok(found),
        }
    }
    problems.push(TableProblem::ExtendedLoop { at: Lba::new(at) });
    Ok(found)
}
