//! Reading of a GPT with `gptman`, which panics or asks for much memory where a header lies: the
//! fields that it trusts are checked before it sees them.

use std::collections::BTreeMap;
use std::io::Cursor;

use gptman::{GPTHeader, GPTPartitionEntry};

use super::problem::{CopyProblem, TableProblem, escaped, placement};
use super::{Found, GptState, bytes_at, le32, le64};
use crate::block::{BlockIo, IoError};
use crate::ids::Guid;
use crate::units::{BlockSize, Extent, Lba};

/// More entries than any tool makes.
const ENTRIES_MAX: u32 = 1024;
/// Bytes of an entry.
const ENTRY: usize = 128;
/// Bytes behind the entries that gptman's decoder may ask for.
const READ_AHEAD: usize = 64 * 1024;
/// Entries that are named where copies disagree.
const DIFFERENCES_MAX: usize = 4;

#[derive(Debug)]
pub(super) struct Gpt {
    pub(super) disk_guid: Guid,
    pub(super) state: GptState,
    pub(super) partitions: Vec<Found>,
    pub(super) problems: Vec<TableProblem>,
}

/// The GPT, or what is wrong with both its copies.
pub(super) fn read(disk: &mut dyn BlockIo) -> Result<Result<Gpt, TableProblem>, IoError> {
    let last = disk.blocks().saturating_sub(1);
    let primary = copy_at(disk, 1)?;
    let backup = copy_at(disk, last)?;
    Ok(match (primary, backup) {
        (Ok(one), Ok(two)) => {
            let problem = one.disagreement(&two);
            let state = if problem.is_none() { GptState::Whole } else { GptState::PrimaryOnly };
            Ok(one.describe(disk, state, problem))
        }
        (Ok(one), Err(why)) => {
            let problem = elsewhere(disk, &one)?.unwrap_or(TableProblem::BackupDamaged { why });
            Ok(one.describe(disk, GptState::PrimaryOnly, Some(problem)))
        }
        (Err(why), Ok(two)) => {
            let problem = TableProblem::PrimaryDamaged { why };
            Ok(two.describe(disk, GptState::BackupOnly, Some(problem)))
        }
        (Err(primary), Err(backup)) => match other_sectors(disk)? {
            Some(problem) => Err(problem),
            None => Err(TableProblem::BothDamaged { primary, backup }),
        },
    })
}

/// A backup that is whole, but not at the end of the disk.
fn elsewhere(disk: &mut dyn BlockIo, primary: &Copy) -> Result<Option<TableProblem>, IoError> {
    let last = Lba::new(disk.blocks().saturating_sub(1));
    let at = Lba::new(primary.header.backup_lba);
    if at == last {
        return Ok(None);
    }
    let moved = last < at || copy_at(disk, at.get())?.is_ok_and(|two| primary.agrees_with(&two));
    Ok(moved.then_some(TableProblem::NotAtEnd { at, last }))
}

/// A header where block 1 would be, had the disk sectors of the other usual size.
fn other_sectors(disk: &mut dyn BlockIo) -> Result<Option<TableProblem>, IoError> {
    let here = disk.block_size();
    let table = if here == BlockSize::B512 { BlockSize::B4096 } else { BlockSize::B512 };
    let magic = bytes_at(disk, table.bytes(), 8)?;
    let found = magic.is_some_and(|magic| magic == b"EFI PART");
    Ok(found.then_some(TableProblem::SectorSizeMismatch { table, disk: here }))
}

pub(crate) struct Copy {
    header: GPTHeader,
    entries: Vec<GPTPartitionEntry>,
    /// The entries as they are on the disk.
    pub(crate) array: Vec<u8>,
}

impl Copy {
    fn agrees_with(&self, other: &Self) -> bool {
        self.header.disk_guid == other.header.disk_guid
            && self.header.backup_lba == other.header.primary_lba
            && self.entries == other.entries
    }

    fn disagreement(&self, backup: &Self) -> Option<TableProblem> {
        if self.agrees_with(backup) {
            return None;
        }
        let guid = |copy: &Self| Guid::from_gpt_bytes(copy.header.disk_guid);
        let (one, two) = (guid(self), guid(backup));
        let what = if one != two {
            format!("disk GUID {one} and {two}")
        } else if self.entries.len() != backup.entries.len() {
            format!("{} and {} entries", self.entries.len(), backup.entries.len())
        } else {
            let pairs = (1_u32..).zip(self.entries.iter().zip(&backup.entries));
            let differing = pairs.filter(|(_, (one, two))| one != two);
            let lines: Vec<String> = differing
                .take(DIFFERENCES_MAX)
                .map(|(number, (one, two))| {
                    format!("partition {number} is {} and {}", place(one), place(two))
                })
                .collect();
            if lines.is_empty() { "where the copies are".to_owned() } else { lines.join(", ") }
        };
        Some(TableProblem::CopiesDisagree { what })
    }

    fn describe(&self, disk: &dyn BlockIo, state: GptState, problem: Option<TableProblem>) -> Gpt {
        let mut problems: Vec<TableProblem> = problem.into_iter().collect();
        let mut partitions = Vec::new();
        let raw = self.array.chunks_exact(ENTRY);
        let entries = self.entries.iter().zip(raw);
        for (number, (entry, raw)) in (1..).zip(entries).filter(|(_, (entry, _))| entry.is_used()) {
            let (first, last) = (Lba::new(entry.starting_lba), Lba::new(entry.ending_lba));
            match Extent::new(first, last) {
                Some(extent) => partitions.push(found(number, extent, entry, raw)),
                None => problems.push(TableProblem::EndsBeforeStart { number, first, last }),
            }
        }
        let parts: Vec<_> = partitions.iter().map(|found| (found.number, found.extent)).collect();
        problems.extend(placement(&parts, disk.blocks()));
        problems.extend(self.on_table(&parts, disk));
        problems.extend(same_guids(&partitions));
        let disk_guid = Guid::from_gpt_bytes(self.header.disk_guid);
        Gpt { disk_guid, state, partitions, problems }
    }

    /// Partitions inside the disk that lie where the header does not let them, or on its array.
    fn on_table(&self, parts: &[(u32, Extent)], disk: &dyn BlockIo) -> Vec<TableProblem> {
        let (first, last) = (self.header.first_usable_lba, self.header.last_usable_lba);
        let usable = Extent::new(Lba::new(first.max(2)), Lba::new(last));
        let len = u64::try_from(self.array.len()).unwrap_or(u64::MAX);
        let blocks = len.div_ceil(disk.block_size().bytes());
        let array = Extent::with_len(Lba::new(self.header.partition_entry_lba), blocks);
        let allowed = |at: Extent| {
            usable.is_some_and(|usable| usable.contains(at))
                && !array.is_some_and(|array| array.overlaps(at))
        };
        parts
            .iter()
            .filter(|(_, at)| !allowed(*at) && at.last().get() < disk.blocks())
            .map(|(number, at)| TableProblem::OnTable { number: *number, at: *at, first, last })
            .collect()
    }
}

/// The first pair of partitions with one GUID.
fn same_guids(partitions: &[Found]) -> Option<TableProblem> {
    let mut seen = BTreeMap::new();
    partitions.iter().find_map(|found| {
        let guid = found.guid?;
        let before = seen.insert(guid, found.number)?;
        Some(TableProblem::SameGuid { a: before, b: found.number, guid })
    })
}

fn place(entry: &GPTPartitionEntry) -> String {
    if entry.is_used() {
        format!("{}-{}", entry.starting_lba, entry.ending_lba)
    } else {
        "not used".to_owned()
    }
}

fn found(number: u32, extent: Extent, entry: &GPTPartitionEntry, raw: &[u8]) -> Found {
    Found {
        number,
        extent,
        kind: Guid::from_gpt_bytes(entry.partition_type_guid).to_string(),
        name: Some(escaped(entry.partition_name.as_str())),
        guid: Some(Guid::from_gpt_bytes(entry.unique_partition_guid)),
        attributes: entry.attribute_bits,
        entry: raw.to_vec(),
        content: None,
    }
}

/// The copy whose header is at this block.
pub(crate) fn copy_at(
    disk: &mut dyn BlockIo,
    at: u64,
) -> Result<Result<Copy, CopyProblem>, IoError> {
    let block_size = disk.block_size().bytes();
    let offset = at.checked_mul(block_size).filter(|_| at != 0);
    let Some(offset) = offset else { return Ok(Err(CopyProblem::NoRoom)) };
    let Some(raw) = bytes_at(disk, offset, 512)? else { return Ok(Err(CopyProblem::NoRoom)) };
    if let Err(why) = plausible(&raw, at, disk) {
        return Ok(Err(why));
    }
    // What cannot be read is no damage of the table: it ends here, with the place.
    let array_at = le64(&raw, 72).saturating_mul(block_size);
    let length = usize::try_from(le32(&raw, 80)).unwrap_or(0).saturating_mul(ENTRY);
    let Some(array) = bytes_at(disk, array_at, length)? else {
        return Ok(Err(CopyProblem::NoRoom));
    };
    Ok(parse(&raw, array, block_size).map_err(|error| {
        if let gptman::Error::InvalidChecksum(..) = error {
            CopyProblem::HeaderChecksum
        } else if let gptman::Error::InvalidPartitionEntryArrayChecksum(..) = error {
            CopyProblem::EntriesChecksum
        } else {
            CopyProblem::Other(error.to_string())
        }
    }))
}

/// Parses the header, and the entries that were read from where it says they are.
fn parse(raw: &[u8], array: Vec<u8>, block_size: u64) -> Result<Copy, gptman::Error> {
    let header = GPTHeader::read_from(&mut Cursor::new(raw))?;
    // gptman looks for the entries on a disk, and its decoder reads ahead of them.
    let mut padded = array.clone();
    padded.resize(array.len().saturating_add(READ_AHEAD), 0);
    let mut here = header.clone();
    here.partition_entry_lba = 0;
    let entries = here.read_partitions(&mut Cursor::new(padded), block_size)?;
    Ok(Copy { header, entries, array })
}

/// Checks the fields of a raw header (UEFI 2.10 table 5-5) that must hold before it is parsed.
fn plausible(raw: &[u8], at: u64, disk: &dyn BlockIo) -> Result<(), CopyProblem> {
    if !raw.starts_with(b"EFI PART") {
        return Err(CopyProblem::NoHeader);
    }
    let invalid = |field, value, wanted| Err(CopyProblem::InvalidHeader { field, value, wanted });
    let (len, own) = (le32(raw, 12), le64(raw, 24));
    if !(92..=512).contains(&len) {
        return invalid("header size", u64::from(len), "92 to 512".to_owned());
    }
    if own != at {
        return invalid("own LBA", own, at.to_string());
    }
    let (array, count, size) = (le64(raw, 72), le32(raw, 80), le32(raw, 84));
    if size != 128 {
        return invalid("entry size", u64::from(size), "128".to_owned());
    }
    if count == 0 || ENTRIES_MAX < count {
        return invalid("number of entries", u64::from(count), format!("1 to {ENTRIES_MAX}"));
    }
    let blocks = u64::from(count).saturating_mul(128).div_ceil(disk.block_size().bytes());
    let end = Extent::with_len(Lba::new(array), blocks).map(|array| array.last().get());
    if array < 2 || end.is_none_or(|end| disk.blocks() <= end) {
        let last = disk.blocks().saturating_sub(blocks);
        return invalid("entry array LBA", array, format!("2 to {last}"));
    }
    Ok(())
}
