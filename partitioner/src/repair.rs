//! Repair of a GPT of which one copy is damaged, or whose backup is not at the end of the disk.
//!
//! [`examine`] only reads; [`repair`] writes what [`write_set`] says and nothing else. A damaged
//! copy is written anew from the other: its array, a flush, its header. On a disk that has grown
//! the backup goes to the end first; then one write of the primary header makes it count; then the
//! header of the old backup is made zero. A cut leaves one whole copy at every moment, and a second
//! run goes on. Two whole copies that disagree are a person's decision and are refused.

use crate::block::{BlockIo, IoError};
use crate::inspect::problem::CopyProblem;
use crate::inspect::{copy_at, le32, le64};
use crate::units::{Extent, Lba};
use crate::write::commit::{CommitError, commit};

const HEADER_MIN: usize = 92;
/// Fields of a header (UEFI 2.10 table 5-5).
const CRC: usize = 16;
const OWN: usize = 24;
const OTHER: usize = 32;
const LAST_USABLE: usize = 48;
const ARRAY: usize = 72;

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

/// What is wrong and can be put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// This copy is damaged, the other is whole.
    Copy(Copy),
    /// The backup is not in the last block of the disk, which has grown.
    NotAtEnd { at: Lba, last: Lba },
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Copy(copy) => write!(f, "the {copy} copy of the GPT is damaged"),
            Self::NotAtEnd { at, last } => {
                write!(f, "the backup copy of the GPT is at {at}, the disk ends with {last}")
            }
        }
    }
}

/// Why a table is not repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// What was written for a commit to come reads back otherwise.
    #[error("{disk}: {at} reads back other bytes than were written")]
    NotRead { disk: String, at: Lba },
    #[error("LBA 0 has no entry of type 0xEE: no GPT counts on this disk")]
    NoProtectiveMbr,
    #[error("neither copy of the GPT is whole: primary: {primary}; backup: {backup}")]
    BothDamaged { primary: CopyProblem, backup: CopyProblem },
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
    /// The block of its header.
    header: Vec<u8>,
    array: Vec<u8>,
}

/// What is to be done about it, in order.
#[derive(Debug)]
struct Todo {
    damage: Damage,
    /// Written, flushed and read back one after the other. Nothing reads them yet.
    before: Vec<(Lba, Vec<u8>)>,
    /// The block by which they count.
    commit: (Lba, Vec<u8>),
    /// A header that counts no more.
    wipe: Option<Lba>,
}

/// What is wrong; `None` where nothing is.
pub fn examine(disk: &mut dyn BlockIo) -> Result<Option<Damage>, RepairError> {
    Ok(find(disk)?.map(|todo| todo.damage))
}

/// Every block that [`repair`] writes.
pub fn write_set(disk: &mut dyn BlockIo) -> Result<Vec<Extent>, RepairError> {
    let Some(todo) = find(disk)? else { return Ok(Vec::new()) };
    let mut set: Vec<Extent> = todo
        .before
        .iter()
        .filter_map(|(at, bytes)| Extent::with_len(*at, blocks_of(disk, bytes.len())))
        .collect();
    set.extend([Some(todo.commit.0), todo.wipe].into_iter().flatten().map(one_block));
    set.sort();
    Ok(set)
}

/// Puts it right, and gives what was wrong.
pub fn repair(disk: &mut dyn BlockIo) -> Result<Option<Damage>, RepairError> {
    let Some(todo) = find(disk)? else { return Ok(None) };
    for (at, bytes) in &todo.before {
        disk.write(*at, bytes)?;
        disk.flush()?;
        let blocks = blocks_of(disk, bytes.len());
        if read(disk, at.get(), blocks)? != *bytes {
            return Err(RepairError::NotRead { disk: disk.name().to_owned(), at: *at });
        }
    }
    let (at, header) = &todo.commit;
    let old = read(disk, at.get(), 1)?;
    commit(disk, *at, &old, header)?;
    if let Some(old_backup) = todo.wipe {
        disk.zero(one_block(old_backup))?;
        disk.flush()?;
    }
    Ok(Some(todo.damage))
}

fn find(disk: &mut dyn BlockIo) -> Result<Option<Todo>, RepairError> {
    let lba0 = read(disk, 0, 1)?;
    let kinds = [0x1C2_usize, 0x1D2, 0x1E2, 0x1F2];
    let signed = lba0.get(510..512) == Some(&[0x55, 0xAA]);
    if !signed || !kinds.iter().any(|at| lba0.get(*at) == Some(&0xEE)) {
        return Err(RepairError::NoProtectiveMbr);
    }
    let last = disk.blocks().saturating_sub(1);
    match (whole_at(disk, 1)?, whole_at(disk, last)?) {
        (Ok(primary), Ok(backup)) if !primary.agrees_with(&backup) => Err(RepairError::Differ),
        (Ok(primary), backup) => {
            let other = le64(&primary.header, OTHER);
            match (other.cmp(&last), backup) {
                (std::cmp::Ordering::Less, _) => moved(disk, &primary, other).map(Some),
                (std::cmp::Ordering::Equal, Ok(_)) => Ok(None),
                (std::cmp::Ordering::Equal, Err(_)) => {
                    let array_at = le64(&primary.header, LAST_USABLE).saturating_add(1);
                    anew(disk, Copy::Backup, &primary, array_at).map(Some)
                }
                (std::cmp::Ordering::Greater, _) => {
                    Err(RepairError::Elsewhere { copy: Copy::Primary, other, last })
                }
            }
        }
        (Err(_), Ok(backup)) => anew(disk, Copy::Primary, &backup, 2).map(Some),
        (Err(primary), Err(backup)) => Err(RepairError::BothDamaged { primary, backup }),
    }
}

impl Whole {
    fn agrees_with(&self, other: &Self) -> bool {
        self.array == other.array && self.header.get(56..72) == other.header.get(56..72)
    }

    /// The header with these fields, and the checksum that they need.
    fn header_with(&self, fields: &[(usize, u64)]) -> Vec<u8> {
        let mut header = self.header.clone();
        for (at, value) in fields {
            put(&mut header, *at, &value.to_le_bytes());
        }
        put(&mut header, CRC, &[0; 4]);
        let len = usize::try_from(le32(&header, 12)).unwrap_or(HEADER_MIN);
        let crc = crc32fast::hash(header.get(..len.max(HEADER_MIN)).unwrap_or(&header));
        put(&mut header, CRC, &crc.to_le_bytes());
        header
    }

    /// The array in whole blocks, with its place, which must be free.
    fn array_at(
        &self,
        disk: &dyn BlockIo,
        copy: Copy,
        at: u64,
        header: u64,
    ) -> Result<(Lba, Vec<u8>), RepairError> {
        let none = || RepairError::NoRoom { copy };
        let blocks = blocks_of(disk, self.array.len());
        let place = Extent::with_len(Lba::new(at), blocks).ok_or_else(none)?;
        let header = one_block(Lba::new(header));
        let taken = entries(&self.array).any(|one| one.overlaps(place) || one.overlaps(header));
        if taken || disk.blocks() <= place.last().get() || place.overlaps(header) {
            return Err(none());
        }
        let block = usize::try_from(disk.block_size().bytes()).unwrap_or(512);
        let mut array = self.array.clone();
        array.resize(array.len().div_ceil(block).saturating_mul(block), 0);
        Ok((place.first(), array))
    }
}

/// A damaged copy from the whole one.
fn anew(disk: &dyn BlockIo, copy: Copy, whole: &Whole, array_at: u64) -> Result<Todo, RepairError> {
    let last = disk.blocks().saturating_sub(1);
    let (own, other) = match copy {
        Copy::Primary => (1, last),
        Copy::Backup => (last, 1),
    };
    let header = whole.header_with(&[(OWN, own), (OTHER, other), (ARRAY, array_at)]);
    Ok(Todo {
        damage: Damage::Copy(copy),
        before: vec![whole.array_at(disk, copy, array_at, own)?],
        commit: (Lba::new(own), header),
        wipe: None,
    })
}

/// The backup to the end of a disk that has grown. The blocks in between become usable.
fn moved(disk: &mut dyn BlockIo, primary: &Whole, other: u64) -> Result<Todo, RepairError> {
    let last = disk.blocks().saturating_sub(1);
    let old = whole_at(disk, other)?;
    if old.as_ref().is_ok_and(|old| !primary.agrees_with(old)) {
        return Err(RepairError::Differ);
    }
    let array_at = last.saturating_sub(blocks_of(disk, primary.array.len()));
    let (array_first, array) = primary.array_at(disk, Copy::Backup, array_at, last)?;
    let usable = (LAST_USABLE, array_at.saturating_sub(1));
    let own_array = le64(&primary.header, ARRAY);
    let backup = primary.header_with(&[(OWN, last), (OTHER, 1), (ARRAY, array_at), usable]);
    let header = primary.header_with(&[(OWN, 1), (OTHER, last), (ARRAY, own_array), usable]);
    // Only what is an old copy of this very table, where no partition is.
    let free = !entries(&primary.array).any(|one| one.overlaps(one_block(Lba::new(other))));
    let wipe = old.is_ok() && free && other < array_at;
    Ok(Todo {
        damage: Damage::NotAtEnd { at: Lba::new(other), last: Lba::new(last) },
        before: vec![(array_first, array), (Lba::new(last), backup)],
        commit: (Lba::new(1), header),
        wipe: wipe.then_some(Lba::new(other)),
    })
}

/// The copy whose header is at this block, or what is wrong with it.
fn whole_at(disk: &mut dyn BlockIo, at: u64) -> Result<Result<Whole, CopyProblem>, RepairError> {
    Ok(match copy_at(disk, at)? {
        Ok(copy) => Ok(Whole { header: read(disk, at, 1)?, array: copy.array }),
        Err(why) => Err(why),
    })
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

fn one_block(lba: Lba) -> Extent {
    Extent::with_len(lba, 1).unwrap_or(Extent::from(lba..))
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
mod tests;
