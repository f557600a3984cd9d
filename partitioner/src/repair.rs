//! Repair of a GPT of which one copy is damaged, from the other.
//!
//! [`examine`] only reads; [`repair`] writes the damaged copy and nothing else: its array, a flush,
//! its header. Two whole copies that disagree are a person's decision and are refused, and so is a
//! table whose backup is not at the end of the disk.

use crate::block::{BlockIo, IoError};
use crate::inspect::{le32, le64};
use crate::units::{Extent, Lba};
use crate::write::commit::{CommitError, commit};

/// Entries that are read at most.
const ENTRIES_MAX: u64 = 1024;
const HEADER_MIN: usize = 92;

/// One of the two copies of a GPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    Primary,
    Backup,
}

impl std::fmt::Display for Copy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
        })
    }
}

/// Why a table is not repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error("LBA 0 has no entry of type 0xEE: no GPT counts on this disk")]
    NoProtectiveMbr,
    #[error("neither copy of the GPT is whole: primary: {primary}; backup: {backup}")]
    BothDamaged { primary: String, backup: String },
    #[error("both copies of the GPT are whole and differ, which of them is right is not known")]
    Differ,
    #[error("the {copy} copy says that the other is at block {other}, the disk ends at {last}")]
    Elsewhere { copy: Copy, other: u64, last: u64 },
    #[error("the array of the {copy} copy would lie outside the disk or inside a partition")]
    NoRoom { copy: Copy },
}

/// A copy that is whole.
#[derive(Clone, Debug)]
struct Whole {
    header: Vec<u8>,
    array: Vec<u8>,
}

/// What is damaged; `None` where nothing is.
pub fn examine(disk: &mut dyn BlockIo) -> Result<Option<Copy>, RepairError> {
    Ok(find(disk)?.map(|(copy, _)| copy))
}

/// Writes the damaged copy anew, from the whole one. Gives which one that was.
pub fn repair(disk: &mut dyn BlockIo) -> Result<Option<Copy>, RepairError> {
    let Some((copy, whole)) = find(disk)? else { return Ok(None) };
    let last = disk.blocks().saturating_sub(1);
    let (own, other, array_at) = match copy {
        Copy::Primary => (1, last, 2),
        Copy::Backup => (last, 1, le64(&whole.header, 48).saturating_add(1)),
    };
    let blocks = blocks_of(disk, whole.array.len());
    let place = Extent::with_len(Lba::new(array_at), blocks).ok_or(RepairError::NoRoom { copy })?;
    let taken = entries(&whole.array).any(|extent| extent.overlaps(place));
    if taken || disk.blocks() <= place.last().get() || place.contains(block_at(own)) {
        return Err(RepairError::NoRoom { copy });
    }
    let mut header = whole.header.clone();
    put(&mut header, 24, &own.to_le_bytes());
    put(&mut header, 32, &other.to_le_bytes());
    put(&mut header, 72, &array_at.to_le_bytes());
    put(&mut header, 16, &[0; 4]);
    let crc = checksum(&header).unwrap_or(0);
    put(&mut header, 16, &crc.to_le_bytes());
    let mut array = whole.array.clone();
    let block = usize::try_from(disk.block_size().bytes()).unwrap_or(512);
    array.resize(array.len().div_ceil(block).saturating_mul(block), 0);
    disk.write(place.first(), &array)?;
    disk.flush()?;
    let old = read(disk, own, 1)?;
    commit(disk, Lba::new(own), &old, &header)?;
    Ok(Some(copy))
}

/// The damaged copy, and the whole one.
fn find(disk: &mut dyn BlockIo) -> Result<Option<(Copy, Whole)>, RepairError> {
    let lba0 = read(disk, 0, 1)?;
    let kinds = [0x1C2_usize, 0x1D2, 0x1E2, 0x1F2];
    let signed = lba0.get(510..512) == Some(&[0x55, 0xAA]);
    if !signed || !kinds.iter().any(|at| lba0.get(*at) == Some(&0xEE)) {
        return Err(RepairError::NoProtectiveMbr);
    }
    let last = disk.blocks().saturating_sub(1);
    match (copy_at(disk, 1)?, copy_at(disk, last)?) {
        (Ok(primary), Ok(backup)) => {
            let same = primary.array == backup.array
                && primary.header.get(56..72) == backup.header.get(56..72);
            if same { Ok(None) } else { Err(RepairError::Differ) }
        }
        (Ok(primary), Err(_)) => {
            let other = le64(&primary.header, 32);
            if other == last {
                Ok(Some((Copy::Backup, primary)))
            } else {
                Err(RepairError::Elsewhere { copy: Copy::Primary, other, last })
            }
        }
        (Err(_), Ok(backup)) => Ok(Some((Copy::Primary, backup))),
        (Err(primary), Err(backup)) => Err(RepairError::BothDamaged { primary, backup }),
    }
}

/// The copy whose header is at this block, or what is wrong with it.
fn copy_at(disk: &mut dyn BlockIo, at: u64) -> Result<Result<Whole, String>, RepairError> {
    let header = read(disk, at, 1)?;
    if !header.starts_with(b"EFI PART") {
        return Ok(Err("no header".to_owned()));
    }
    let mut zeroed = header.clone();
    put(&mut zeroed, 16, &[0; 4]);
    if checksum(&zeroed) != Some(le32(&header, 16)) {
        return Ok(Err("the checksum of its header is wrong".to_owned()));
    }
    let (count, size) = (u64::from(le32(&header, 80)), le32(&header, 84));
    if le64(&header, 24) != at || size != 128 || !(1..=ENTRIES_MAX).contains(&count) {
        return Ok(Err("its header has fields that no table has".to_owned()));
    }
    let array_at = le64(&header, 72);
    let bytes = usize::try_from(count.saturating_mul(128)).unwrap_or(0);
    let blocks = blocks_of(disk, bytes);
    if array_at.checked_add(blocks).is_none_or(|end| disk.blocks() < end) {
        return Ok(Err("its entries lie outside the disk".to_owned()));
    }
    let mut array = read(disk, array_at, blocks)?;
    array.truncate(bytes);
    if crc32fast::hash(&array) != le32(&header, 88) {
        return Ok(Err("the checksum of its entries is wrong".to_owned()));
    }
    Ok(Ok(Whole { header, array }))
}

/// The CRC of a header whose own field is zero; `None` where its length makes no sense.
fn checksum(header: &[u8]) -> Option<u32> {
    let len = usize::try_from(le32(header, 12)).ok().filter(|len| HEADER_MIN <= *len)?;
    header.get(..len).map(crc32fast::hash)
}

fn entries(array: &[u8]) -> impl Iterator<Item = Extent> + '_ {
    array
        .chunks_exact(128)
        .filter(|entry| entry.iter().any(|byte| *byte != 0))
        .filter_map(|entry| Extent::new(Lba::new(le64(entry, 32)), Lba::new(le64(entry, 40))))
}

fn blocks_of(disk: &dyn BlockIo, bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(disk.block_size().bytes())
}

fn block_at(lba: u64) -> Extent {
    Extent::with_len(Lba::new(lba), 1).unwrap_or(Extent::from(Lba::new(lba)..))
}

fn read(disk: &mut dyn BlockIo, at: u64, blocks: u64) -> Result<Vec<u8>, IoError> {
    let len = blocks.saturating_mul(disk.block_size().bytes());
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    disk.read(Lba::new(at), &mut bytes)?;
    Ok(bytes)
}

fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, byte) in into.iter_mut().skip(at).zip(bytes) {
        *to = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::memory::MemDisk;
    use crate::head::armed_lba0;
    use crate::ids::Ids;
    use crate::layout::Firmware;
    use crate::table::{Geometry, TableRequest, plan_table};
    use crate::units::{BlockSize, Bytes};
    use crate::write;

    fn armed(size: BlockSize) -> MemDisk {
        let geometry = Geometry::of_size(Bytes::gib(60), size);
        let request = TableRequest::new(Firmware::Uefi);
        let plan = plan_table(geometry, &request, &mut Ids::from_seed([4; 32])).unwrap();
        let mut disk = MemDisk::new("sda", size, geometry.blocks);
        write::write_table(&mut disk, &plan).unwrap();
        let mut boot = vec![0; 512];
        boot[510..].copy_from_slice(&[0x55, 0xAA]);
        write::arm(&mut disk, &armed_lba0(&boot, Lba::new(128), geometry).unwrap()).unwrap();
        disk
    }

    #[test]
    fn each_damaged_copy_is_written_anew_bit_for_bit() {
        for size in [BlockSize::B512, BlockSize::B4096] {
            let good = armed(size);
            let last = good.blocks() - 1;
            let block = vec![0xA5; usize::try_from(size.bytes()).unwrap()];
            let backup_array = last - 16384 / size.bytes();
            for (at, copy) in [
                (1, Copy::Primary),
                (2, Copy::Primary),
                (last, Copy::Backup),
                (backup_array, Copy::Backup),
            ] {
                let mut disk = good.clone();
                assert_eq!(examine(&mut disk).unwrap(), None);
                disk.write(Lba::new(at), &block).unwrap();
                assert_eq!(examine(&mut disk).unwrap(), Some(copy));
                assert_eq!(repair(&mut disk).unwrap(), Some(copy));
                assert_eq!(disk, good, "block {at}");
                assert_eq!(repair(&mut disk).unwrap(), None);
            }
        }
    }

    #[test]
    fn what_cannot_be_decided_is_refused() {
        let good = armed(BlockSize::B512);
        let last = good.blocks() - 1;
        let refused = |spoil: &dyn Fn(&mut MemDisk), want: &str| {
            let mut disk = good.clone();
            spoil(&mut disk);
            let before = disk.clone();
            let error = repair(&mut disk).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
            assert_eq!(disk, before, "nothing was written");
        };
        let garbage = [0xA5; 512];
        refused(
            &|disk| {
                disk.write(Lba::new(1), &garbage).unwrap();
                disk.write(Lba::new(last), &garbage).unwrap();
            },
            "neither copy",
        );
        refused(&|disk| disk.write(Lba::new(0), &[0; 512]).unwrap(), "no entry of type 0xEE");
        // The backup of another table.
        let geometry = Geometry { block_size: BlockSize::B512, blocks: good.blocks() };
        let request = TableRequest::new(Firmware::Uefi);
        let other = plan_table(geometry, &request, &mut Ids::from_seed([9; 32])).unwrap();
        let blocks = crate::gpt::encode(&other).unwrap();
        refused(
            &|disk| {
                disk.write(blocks.backup_array_at.first(), &blocks.backup_array).unwrap();
                disk.write(blocks.backup_header_at, &blocks.backup_header).unwrap();
            },
            "differ",
        );
    }
}
