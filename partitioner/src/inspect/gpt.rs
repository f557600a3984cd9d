//! Reading of a GPT with `gptman`, which panics or asks for much memory where a header lies: the
//! fields that it trusts are checked before it sees them.

use std::io::{Read, Seek, SeekFrom};

use gptman::{GPTHeader, GPTPartitionEntry};

use super::{Found, GptState, bytes_at, le32, le64};
use crate::block::window::{Stream, Window};
use crate::block::{BlockIo, IoError};
use crate::ids::Guid;
use crate::units::{Extent, Lba};

/// More entries than any tool makes.
const ENTRIES_MAX: u32 = 1024;

#[derive(Debug)]
pub(super) struct Gpt {
    pub(super) disk_guid: Guid,
    pub(super) state: GptState,
    pub(super) partitions: Vec<Found>,
    /// Numbers of entries that end before they start.
    pub(super) broken: Vec<u32>,
}

/// The GPT, or why there is none.
pub(super) fn read(disk: &mut dyn BlockIo) -> Result<Result<Gpt, String>, IoError> {
    let last = disk.blocks().saturating_sub(1);
    let primary = copy_at(disk, 1)?;
    let backup = copy_at(disk, last)?;
    Ok(match (primary, backup) {
        (Ok(one), Ok(two)) if one.agrees_with(&two) => Ok(one.describe(GptState::Whole)),
        (Ok(one), _) => Ok(one.describe(GptState::PrimaryOnly)),
        (Err(_), Ok(two)) => Ok(two.describe(GptState::BackupOnly)),
        (Err(one), Err(two)) => Err(format!("primary: {one}; backup: {two}")),
    })
}

struct Copy {
    header: GPTHeader,
    entries: Vec<GPTPartitionEntry>,
    /// The entries as they are on the disk.
    array: Vec<u8>,
}

impl Copy {
    fn agrees_with(&self, other: &Self) -> bool {
        self.header.disk_guid == other.header.disk_guid
            && self.header.backup_lba == other.header.primary_lba
            && self.entries == other.entries
    }

    fn describe(&self, state: GptState) -> Gpt {
        let (mut partitions, mut broken) = (Vec::new(), Vec::new());
        let raw = self.array.chunks_exact(128);
        let entries = self.entries.iter().zip(raw);
        for (number, (entry, raw)) in (1..).zip(entries).filter(|(_, (entry, _))| entry.is_used()) {
            match Extent::new(Lba::new(entry.starting_lba), Lba::new(entry.ending_lba)) {
                Some(extent) => partitions.push(found(number, extent, entry, raw)),
                None => broken.push(number),
            }
        }
        let disk_guid = Guid::from_gpt_bytes(self.header.disk_guid);
        Gpt { disk_guid, state, partitions, broken }
    }
}

fn found(number: u32, extent: Extent, entry: &GPTPartitionEntry, raw: &[u8]) -> Found {
    Found {
        number,
        extent,
        kind: Guid::from_gpt_bytes(entry.partition_type_guid).to_string(),
        name: Some(entry.partition_name.as_str().to_owned()),
        guid: Some(Guid::from_gpt_bytes(entry.unique_partition_guid)),
        attributes: entry.attribute_bits,
        entry: raw.to_vec(),
        content: None,
    }
}

/// The copy whose header is at this block.
fn copy_at(disk: &mut dyn BlockIo, at: u64) -> Result<Result<Copy, String>, IoError> {
    let block_size = disk.block_size().bytes();
    let Some(offset) = at.checked_mul(block_size) else { return Ok(Err("no disk".to_owned())) };
    let Some(raw) = bytes_at(disk, offset, 512)? else { return Ok(Err("no room".to_owned())) };
    if let Err(why) = plausible(&raw, at, disk) {
        return Ok(Err(why));
    }
    let all = Extent::with_len(Lba::new(0), disk.blocks()).unwrap_or(Extent::from(Lba::new(0)..));
    let mut stream = Stream::new(Window::new(disk, all)?);
    // What goes wrong from here on is in the bytes, or an I/O error that names itself.
    Ok(parse(&mut stream, offset, block_size).map_err(|error| error.to_string()))
}

fn parse(stream: &mut Stream<'_>, offset: u64, block_size: u64) -> Result<Copy, gptman::Error> {
    stream.seek(SeekFrom::Start(offset))?;
    let header = GPTHeader::read_from(stream)?;
    let entries = header.read_partitions(stream, block_size)?;
    let bytes = entries.len().saturating_mul(128);
    let mut array = vec![0; bytes];
    // Within the disk, as `read_partitions` has just shown.
    stream.seek(SeekFrom::Start(header.partition_entry_lba.saturating_mul(block_size)))?;
    stream.read_exact(&mut array)?;
    Ok(Copy { header, entries, array })
}

/// Checks the fields of a raw header (UEFI 2.10 table 5-5) that must hold before it is parsed.
fn plausible(raw: &[u8], at: u64, disk: &dyn BlockIo) -> Result<(), String> {
    if !raw.starts_with(b"EFI PART") {
        return Err("no header".to_owned());
    }
    let own = le64(raw, 24);
    if own != at {
        return Err(format!("the header at block {at} says it is at block {own}"));
    }
    let (count, size) = (le32(raw, 80), le32(raw, 84));
    if size != 128 || count == 0 || ENTRIES_MAX < count {
        return Err(format!("{count} entries of {size} bytes, 1 to {ENTRIES_MAX} of 128 known"));
    }
    let blocks = u64::from(count).saturating_mul(128).div_ceil(disk.block_size().bytes());
    let array = Extent::with_len(Lba::new(le64(raw, 72)), blocks);
    match array {
        Some(array) if array.last().get() < disk.blocks() => Ok(()),
        _ => Err(format!("entries at block {} lie outside the disk", le64(raw, 72))),
    }
}
