//! What is on a disk: its partition table, and signatures of known content. Reads only.
//!
//! It names what a person would want to know before the disk is given up. It decides nothing, and
//! looks into no file system beyond its first blocks.

mod gpt;
mod mbr;
mod signature;

use std::fmt;

use serde::Serialize;

use crate::block::window::Window;
use crate::block::{BlockIo, IoError};
use crate::head::{NOT_FINISHED, disarmed_lba0};
use crate::ids::Guid;
use crate::units::{Extent, Lba};

pub use signature::{Tail, signature, tail_signature};

/// What kind of partition table a disk has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Table {
    None,
    Mbr {
        disk_signature: u32,
    },
    Gpt {
        disk_guid: Guid,
        state: GptState,
    },
    /// A protective MBR without a GPT that can be used.
    GptDamaged {
        why: String,
    },
    /// A fresh install of ours was interrupted: its message is LBA 0. What the disk held before
    /// was given up by consent, so that nothing else is reported.
    Unfinished,
}

/// Which copies of a GPT are whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GptState {
    Whole,
    /// The primary copy is damaged, the backup was read.
    BackupOnly,
    /// The backup copy is damaged, differs, or is not at the end of the disk.
    PrimaryOnly,
}

impl fmt::Display for GptState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "both copies whole",
            Self::BackupOnly => "primary copy damaged",
            Self::PrimaryOnly => "backup copy damaged",
        })
    }
}

/// One partition, as the table has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    pub number: u32,
    pub extent: Extent,
    /// A GUID, or `0x83`.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<Guid>,
    /// What its first blocks say it holds, such as `ext4 "root-x"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// All that was found on a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    pub table: Table,
    pub partitions: Vec<Found>,
    /// One line per thing, for people and for `on_existing`. Empty for a blank disk, for one with
    /// an empty table, and for an interrupted install of ours.
    pub content: Vec<String>,
}

/// Reads what is there.
pub fn inspect(disk: &mut dyn BlockIo) -> Result<Inspection, IoError> {
    let mut content = Vec::new();
    let (table, mut partitions) = read_table(disk, &mut content)?;
    if table == Table::Unfinished {
        return Ok(Inspection { table, partitions, content });
    }
    let blocks = disk.blocks();
    for found in &mut partitions {
        let number = found.number;
        if found.extent.last().get() < blocks {
            found.content = signature(&mut Window::new(disk, found.extent)?)?;
        } else {
            found.content = Some("reaches past the end of the disk".to_owned());
        }
        let what = found.content.as_deref().unwrap_or("no known content");
        content.push(format!("partition {number}: {what}"));
    }
    // Behind a table the start of the disk belongs to the table; only ends can hold something else.
    let whole = match table {
        Table::None => signature(disk)?,
        Table::Mbr { .. } if partitions.is_empty() => signature(disk)?,
        Table::Mbr { .. } | Table::Gpt { .. } | Table::GptDamaged { .. } | Table::Unfinished => {
            tail_signature(disk, Tail::OfDisk { table_ends: last_of(&partitions) })?
        }
    };
    content.extend(whole.map(|what| format!("whole disk: {what}")));
    Ok(Inspection { table, partitions, content })
}

/// The last block that a partition holds.
fn last_of(partitions: &[Found]) -> Option<Lba> {
    partitions.iter().map(|found| found.extent.last()).max()
}

fn read_table(
    disk: &mut dyn BlockIo,
    content: &mut Vec<String>,
) -> Result<(Table, Vec<Found>), IoError> {
    let Some(sector) = bytes_at(disk, 0, 512)? else { return Ok((Table::None, Vec::new())) };
    if sector == disarmed_lba0(NOT_FINISHED) {
        return Ok((Table::Unfinished, Vec::new()));
    }
    let mbr = mbr::parse(&sector);
    let gpt = gpt::read(disk)?;
    if !mbr.as_ref().is_some_and(mbr::Mbr::is_protective) {
        if gpt.is_ok() {
            content.push("GPT without a protective MBR".to_owned());
        }
        return match mbr {
            Some(mbr) => {
                let signature = mbr.disk_signature;
                Ok((Table::Mbr { disk_signature: signature }, mbr.partitions(disk)?))
            }
            None => Ok((Table::None, Vec::new())),
        };
    }
    match gpt {
        Ok((disk_guid, state, partitions)) => Ok((Table::Gpt { disk_guid, state }, partitions)),
        Err(why) => {
            content.push(format!("damaged GPT: {why}"));
            Ok((Table::GptDamaged { why }, Vec::new()))
        }
    }
}

/// `len` bytes from a byte offset on; `None` where the disk is too short.
fn bytes_at(disk: &mut dyn BlockIo, offset: u64, len: usize) -> Result<Option<Vec<u8>>, IoError> {
    let block_size = disk.block_size().bytes();
    let first = offset.checked_div(block_size).unwrap_or(0);
    let skip = offset.checked_rem(block_size).unwrap_or(0);
    let end = u64::try_from(len).ok().and_then(|len| offset.checked_add(len));
    let Some(end) = end.map(|end| end.div_ceil(block_size)).filter(|end| *end <= disk.blocks())
    else {
        return Ok(None);
    };
    let whole = end.saturating_sub(first).saturating_mul(block_size);
    let mut bytes = vec![0; usize::try_from(whole).unwrap_or(0)];
    disk.read(Lba::new(first), &mut bytes)?;
    bytes.drain(..usize::try_from(skip).unwrap_or(0));
    bytes.truncate(len);
    Ok(Some(bytes))
}

/// The little-endian number at a place of a buffer that is long enough; 0 behind its end.
fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |four| u32::from_le_bytes(*four))
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |all| u64::from_le_bytes(*all))
}
