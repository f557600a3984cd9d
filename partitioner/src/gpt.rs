//! A planned table as the bytes of a GPT (UEFI 2.10, section 5.3).
//!
//! Pure: the blocks are encoded into buffers, and `write` decides their order. The header's fields
//! and both checksums are encoded by `gptman`; its own whole-table writers are not used, since they
//! choose where the arrays go and in which order blocks are written.

use std::io::{self, Seek, SeekFrom, Write};

use gptman::{GPTHeader, GPTPartitionEntry};

use crate::head::GptMap;
use crate::table::{Planned, TablePlan};
use crate::units::{Extent, Lba};

/// Entries in an array, and bytes in an entry: the least that UEFI 2.10 allows, and what every
/// reader knows.
pub const ENTRIES: u32 = 128;
pub const ENTRY_BYTES: u32 = 128;

/// The four parts of a GPT and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GptBlocks {
    pub primary_header: Vec<u8>,
    pub primary_header_at: Lba,
    pub primary_array: Vec<u8>,
    pub primary_array_at: Extent,
    pub backup_array: Vec<u8>,
    pub backup_array_at: Extent,
    pub backup_header: Vec<u8>,
    pub backup_header_at: Lba,
}

/// Why a plan has no GPT. A checked plan always has one.
#[derive(Debug, thiserror::Error)]
pub enum GptError {
    #[error("partition number {number} is not between 1 and {max}")]
    Number { number: u32, max: u32 },
    #[error("partition number {number} is used twice")]
    NumberTwice { number: u32 },
    #[error("the plan is for an MBR")]
    NotGpt,
    #[error("encoding the partition table: {0}")]
    Encode(#[from] gptman::Error),
    #[error("a part of the partition table lies outside its place")]
    Misplaced,
}

/// The blocks of the plan's table.
pub fn encode(plan: &TablePlan) -> Result<GptBlocks, GptError> {
    let map = plan.head.gpt.ok_or(GptError::NotGpt)?;
    encode_at(plan, map.array)
}

/// The same with the primary entry array at another place, such as the spare one.
pub fn encode_at(plan: &TablePlan, array: Extent) -> Result<GptBlocks, GptError> {
    let entries = entries(plan)?;
    let map = GptMap { array, ..plan.head.gpt.ok_or(GptError::NotGpt)? };
    let backup_array_at = map.backup_array(plan.geometry);
    let backup_header_at = map.backup_header(plan.geometry);
    let primary = Place { header: map.header, other_header: backup_header_at, array: map.array };
    let backup =
        Place { header: backup_header_at, other_header: map.header, array: backup_array_at };
    let (primary_header, primary_array) = encode_copy(plan, &entries, &primary)?;
    let (backup_header, backup_array) = encode_copy(plan, &entries, &backup)?;
    Ok(GptBlocks {
        primary_header,
        primary_header_at: map.header,
        primary_array,
        primary_array_at: map.array,
        backup_array,
        backup_array_at,
        backup_header,
        backup_header_at,
    })
}

/// Where one of the two copies lies.
struct Place {
    header: Lba,
    other_header: Lba,
    array: Extent,
}

/// All entries, by number; the place in the array is the partition's number less one.
fn entries(plan: &TablePlan) -> Result<Vec<GPTPartitionEntry>, GptError> {
    let mut entries: Vec<GPTPartitionEntry> =
        (0..ENTRIES).map(|_| GPTPartitionEntry::empty()).collect();
    for planned in &plan.partitions {
        let number = planned.number;
        let place = number
            .checked_sub(1)
            .and_then(|index| usize::try_from(index).ok())
            .and_then(|index| entries.get_mut(index))
            .ok_or(GptError::Number { number, max: ENTRIES })?;
        if place.is_used() {
            return Err(GptError::NumberTwice { number });
        }
        *place = entry(planned);
    }
    Ok(entries)
}

fn entry(planned: &Planned) -> GPTPartitionEntry {
    GPTPartitionEntry {
        partition_type_guid: planned.type_guid.to_gpt_bytes(),
        unique_partition_guid: planned.guid.to_gpt_bytes(),
        starting_lba: planned.extent.first().get(),
        ending_lba: planned.extent.last().get(),
        attribute_bits: planned.attributes,
        partition_name: planned.name.as_str().into(),
    }
}

/// Header block and array of one copy.
fn encode_copy(
    plan: &TablePlan,
    entries: &[GPTPartitionEntry],
    place: &Place,
) -> Result<(Vec<u8>, Vec<u8>), GptError> {
    let block_size = plan.geometry.block_size.bytes();
    let mut header = GPTHeader {
        signature: *b"EFI PART",
        revision: [0x00, 0x00, 0x01, 0x00],
        header_size: 92,
        crc32_checksum: 0,
        reserved: [0; 4],
        primary_lba: place.header.get(),
        backup_lba: place.other_header.get(),
        first_usable_lba: plan.head.first_usable.get(),
        last_usable_lba: plan.head.last_usable(plan.geometry).get(),
        disk_guid: plan.disk_guid.to_gpt_bytes(),
        partition_entry_lba: place.array.first().get(),
        number_of_partition_entries: ENTRIES,
        size_of_partition_entry: ENTRY_BYTES,
        partition_entry_array_crc32: 0,
    };
    let header_extent = Extent::with_len(place.header, 1).ok_or(GptError::Misplaced)?;
    let mut blocks = Pieces {
        position: 0,
        pieces: vec![
            Piece::new(header_extent, block_size).ok_or(GptError::Misplaced)?,
            Piece::new(place.array, block_size).ok_or(GptError::Misplaced)?,
        ],
    };
    header.write_into(&mut blocks, block_size, entries)?;
    let mut pieces = blocks.pieces.into_iter().map(|piece| piece.bytes);
    pieces.next().zip(pieces.next()).ok_or(GptError::Misplaced)
}

/// A few buffers that stand for ranges of a disk; writing anywhere else is an error. It lets
/// `gptman` write a header whose checksum covers the true addresses without a disk.
struct Pieces {
    position: u64,
    pieces: Vec<Piece>,
}

struct Piece {
    start: u64,
    bytes: Vec<u8>,
}

impl Piece {
    fn new(extent: Extent, block_size: u64) -> Option<Self> {
        let start = extent.first().get().checked_mul(block_size)?;
        let len = usize::try_from(extent.blocks().checked_mul(block_size)?).ok()?;
        Some(Self { start, bytes: vec![0; len] })
    }

    /// The place of `len` bytes from `position` on, if it lies within.
    fn range(&mut self, position: u64, len: usize) -> Option<&mut [u8]> {
        let from = usize::try_from(position.checked_sub(self.start)?).ok()?;
        self.bytes.get_mut(from..from.checked_add(len)?)
    }
}

impl Write for Pieces {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let position = self.position;
        let place = self.pieces.iter_mut().find_map(|piece| piece.range(position, from.len()));
        let place = place.ok_or(io::ErrorKind::InvalidInput)?;
        place.copy_from_slice(from);
        let len = u64::try_from(from.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.position = position.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Pieces {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(position) = to else { return Err(io::ErrorKind::Unsupported.into()) };
        self.position = position;
        Ok(position)
    }
}
