//! What can be wrong with a partition table, by name. Found by the readers, told to people, and
//! asked by whoever wants to keep partitions of such a table.

use serde::{Serialize, Serializer};

use crate::ids::Guid;
use crate::units::{BlockSize, Extent, Lba};

/// Which copy of a GPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GptCopy {
    Primary,
    Backup,
}

/// Why a copy of a GPT cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyProblem {
    #[error("no header")]
    NoHeader,
    #[error("no room for a header")]
    NoRoom,
    #[error("invalid GPT header: {field} is {value}, {wanted} expected")]
    InvalidHeader { field: &'static str, value: u64, wanted: String },
    #[error("the checksum of the header is wrong")]
    HeaderChecksum,
    #[error("the checksum of the entries is wrong")]
    EntriesChecksum,
    #[error("{0}")]
    Other(String),
}

/// One thing wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableProblem {
    #[error(
        "primary GPT damaged ({why}); backup is valid; run `partitioner repair` or choose a fresh \
         installation"
    )]
    PrimaryDamaged { why: CopyProblem },
    #[error("backup GPT damaged ({why}); primary is valid; run `partitioner repair`")]
    BackupDamaged { why: CopyProblem },
    #[error("both copies of the GPT are damaged: primary: {primary}; backup: {backup}")]
    BothDamaged { primary: CopyProblem, backup: CopyProblem },
    #[error("primary and backup GPT disagree: {what}")]
    CopiesDisagree { what: String },
    #[error(
        "backup GPT is not at the end (disk grown?): it is at {at}, the disk ends with {last}; a \
         plan or `partitioner repair` moves it there"
    )]
    NotAtEnd { at: Lba, last: Lba },
    #[error(
        "sector size mismatch: the table was made for sectors of {} bytes, the disk has {}",
        .table.bytes(), .disk.bytes()
    )]
    SectorSizeMismatch { table: BlockSize, disk: BlockSize },
    #[error("GPT without a protective MBR")]
    NoProtectiveMbr,
    #[error(
        "hybrid MBR not supported for upgrade: beside type 0xee it has partition {}",
        list(.numbers)
    )]
    Hybrid { numbers: Vec<u32> },
    #[error("partitions {a} ({a_at}) and {b} ({b_at}) overlap")]
    Overlap { a: u32, a_at: Extent, b: u32, b_at: Extent },
    #[error("partition {number} ends before it starts (first {first}, last {last})")]
    EndsBeforeStart { number: u32, first: Lba, last: Lba },
    #[error("partition {number} has no length (first {first})")]
    Empty { number: u32, first: Lba },
    #[error("partition {number} ({at}) reaches past the end of the disk of {blocks} blocks")]
    BeyondDisk { number: u32, at: Extent, blocks: u64 },
    #[error("partition {number} ({at}) lies on the table itself; usable are {first}-{last}")]
    OnTable { number: u32, at: Extent, first: u64, last: u64 },
    #[error("partitions {a} and {b} have the same GUID {guid}")]
    SameGuid { a: u32, b: u32, guid: Guid },
    #[error("extended chain loops at {at}")]
    ExtendedLoop { at: Lba },
    #[error("extended chain leads to {at}, where no record is")]
    ExtendedBroken { at: Lba },
    #[error("extended chain has more than {max} partitions")]
    ExtendedTooLong { max: u32 },
    #[error("partition {number} is a second extended partition; it was not followed")]
    SecondExtended { number: u32 },
}

fn list(numbers: &[u32]) -> String {
    let all: Vec<String> = numbers.iter().map(u32::to_string).collect();
    all.join(", ")
}

impl TableProblem {
    /// A stable name for scripts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PrimaryDamaged { .. } => "primary-damaged",
            Self::BackupDamaged { .. } => "backup-damaged",
            Self::BothDamaged { .. } => "both-damaged",
            Self::CopiesDisagree { .. } => "copies-disagree",
            Self::NotAtEnd { .. } => "not-at-end",
            Self::SectorSizeMismatch { .. } => "sector-size-mismatch",
            Self::NoProtectiveMbr => "no-protective-mbr",
            Self::Hybrid { .. } => "hybrid",
            Self::Overlap { .. } => "overlap",
            Self::EndsBeforeStart { .. } => "ends-before-start",
            Self::Empty { .. } => "empty",
            Self::BeyondDisk { .. } => "beyond-disk",
            Self::OnTable { .. } => "on-table",
            Self::SameGuid { .. } => "same-guid",
            Self::ExtendedLoop { .. } => "extended-loop",
            Self::ExtendedBroken { .. } => "extended-broken",
            Self::ExtendedTooLong { .. } => "extended-too-long",
            Self::SecondExtended { .. } => "second-extended",
        }
    }

    /// May a plan keep partitions of a table with this problem? A backup that is damaged or not at
    /// the end is written anew in its place; everything else is for a person to put right first.
    pub fn permits_keeping(&self) -> bool {
        match self {
            Self::BackupDamaged { .. } | Self::NotAtEnd { .. } => true,
            Self::PrimaryDamaged { .. }
            | Self::BothDamaged { .. }
            | Self::CopiesDisagree { .. }
            | Self::SectorSizeMismatch { .. }
            | Self::NoProtectiveMbr
            | Self::Hybrid { .. }
            | Self::Overlap { .. }
            | Self::EndsBeforeStart { .. }
            | Self::Empty { .. }
            | Self::BeyondDisk { .. }
            | Self::OnTable { .. }
            | Self::SameGuid { .. }
            | Self::ExtendedLoop { .. }
            | Self::ExtendedBroken { .. }
            | Self::ExtendedTooLong { .. }
            | Self::SecondExtended { .. } => false,
        }
    }
}

impl Serialize for TableProblem {
    /// `name`, `text`, `permits_keeping`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;

        let mut fields = serializer.serialize_struct("TableProblem", 3)?;
        fields.serialize_field("name", self.name())?;
        fields.serialize_field("text", &self.to_string())?;
        fields.serialize_field("permits_keeping", &self.permits_keeping())?;
        fields.end()
    }
}

/// What every kind of table must keep to: inside the disk, and no two in one place. `whole` are
/// partitions as the table has them, containers of logical ones not among them.
pub(super) fn placement(parts: &[(u32, Extent)], blocks: u64) -> Vec<TableProblem> {
    let mut found: Vec<TableProblem> = parts
        .iter()
        .filter(|(_, at)| blocks <= at.last().get())
        .map(|(number, at)| TableProblem::BeyondDisk { number: *number, at: *at, blocks })
        .collect();
    let mut sorted: Vec<_> = parts.iter().collect();
    sorted.sort_by_key(|(number, at)| (at.first(), *number));
    // The one that reaches farthest so far: whatever begins before its end overlaps it.
    let mut farthest: Option<&(u32, Extent)> = None;
    for one in sorted {
        if let Some(other) = farthest.filter(|other| other.1.overlaps(one.1)) {
            let (a, b) = if other.0 < one.0 { (other, one) } else { (one, other) };
            found.push(TableProblem::Overlap { a: a.0, a_at: a.1, b: b.0, b_at: b.1 });
        }
        if farthest.is_none_or(|other| other.1.last() < one.1.last()) {
            farthest = Some(one);
        }
    }
    found
}

/// A name from a table, safe to show: what could steer a terminal or end a quotation is escaped.
pub fn escaped(name: &str) -> String {
    let mut shown = String::new();
    for c in name.chars() {
        if c.is_control() || matches!(c, '"' | '\\' | '\'' | '`' | '$') {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}
