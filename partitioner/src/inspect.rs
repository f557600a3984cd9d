//! What is on a disk: its partition table, and signatures of known content. Reads only.
//!
//! It names what a person would want to know before the disk is given up. It decides nothing, and
//! looks into no file system beyond its first blocks.

pub mod ext4;
pub mod foreign;
mod gpt;
mod mbr;
pub mod problem;
pub mod report;
mod signature;

use std::fmt;

use serde::Serialize;

use crate::block::window::Window;
use crate::block::{BlockIo, IoError};
use crate::head::{NOT_FINISHED, disarmed_lba0};
use crate::ids::Guid;
use crate::layout::Kind;
use crate::partuuid::{DiskId, PartUuid};
use crate::units::{Extent, Lba};

pub(crate) use gpt::copy_at;
pub use problem::TableProblem;
pub use signature::{Tail, signature, signatures, tail_signature};

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
    /// was given up by consent, so that no content is reported; partitions are, if there are any.
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
    /// GPT: the attribute bits. MBR: the status byte.
    pub attributes: u64,
    /// Its entry as the table has it: 128 bytes in a GPT, 16 in an MBR. What is kept is compared
    /// with it, bit for bit.
    #[serde(skip)]
    pub entry: Vec<u8>,
    /// What its first blocks say it holds, such as `ext4 "root-x"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// Dell gives its utility partition the type of an EFI system partition, and this name.
const UTILITY_NAME: &str = "DELLUTILITY";
/// Its type in an MBR.
pub(crate) const UTILITY_MBR: &str = "0xde";

impl Found {
    /// A manufacturer's utility partition, which an installation does not destroy. By name and type
    /// of a GPT entry, or the type in an MBR.
    pub fn is_utility(&self) -> bool {
        let is_system = self.kind == Kind::EfiSystem.gpt_type().to_string();
        (is_system && self.name.as_deref() == Some(UTILITY_NAME)) || self.kind == UTILITY_MBR
    }
}

/// All that was found on a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    pub table: Table,
    pub partitions: Vec<Found>,
    /// What is wrong with the table.
    pub problems: Vec<TableProblem>,
    /// One line per thing, for people and for `on_existing`. Empty for a blank disk, for one with
    /// an empty table, and for an interrupted install of ours.
    pub content: Vec<String>,
}

impl Inspection {
    /// Who the disk is, if it has a table that can be read.
    pub fn disk_id(&self) -> Option<DiskId> {
        match self.table {
            Table::Gpt { disk_guid, .. } => Some(DiskId::Gpt(disk_guid)),
            Table::Mbr { disk_signature } => Some(DiskId::Mbr(disk_signature)),
            Table::None | Table::GptDamaged { .. } | Table::Unfinished => None,
        }
    }

    /// How Linux names one of its partitions. An MBR without a signature names none.
    pub fn partuuid(&self, found: &Found) -> Option<PartUuid> {
        match self.table {
            Table::Mbr { disk_signature: signature } if signature != 0 => {
                Some(PartUuid::Mbr { signature, number: found.number })
            }
            Table::Mbr { .. }
            | Table::Gpt { .. }
            | Table::None
            | Table::GptDamaged { .. }
            | Table::Unfinished => found.guid.map(PartUuid::Gpt),
        }
    }
}

/// Reads what is there.
pub fn inspect(disk: &mut dyn BlockIo) -> Result<Inspection, IoError> {
    let mut content = Vec::new();
    let Read { table, mut partitions, problems } = read_table(disk)?;
    if table == Table::Unfinished {
        return Ok(Inspection { table, partitions, problems, content });
    }
    content.extend(problems.iter().filter_map(content_line));
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
    Ok(Inspection { table, partitions, problems, content })
}

/// The last block that a partition holds.
fn last_of(partitions: &[Found]) -> Option<Lba> {
    partitions.iter().map(|found| found.extent.last()).max()
}

/// A table, as far as it could be read.
struct Read {
    table: Table,
    partitions: Vec<Found>,
    problems: Vec<TableProblem>,
}

impl Read {
    fn without_partitions(table: Table) -> Self {
        Self { table, partitions: Vec::new(), problems: Vec::new() }
    }
}

fn read_table(disk: &mut dyn BlockIo) -> Result<Read, IoError> {
    let Some(sector) = bytes_at(disk, 0, 512)? else {
        return Ok(Read::without_partitions(Table::None));
    };
    if sector == disarmed_lba0(NOT_FINISHED) {
        // A partition that an interrupted plan keeps must be found again, or it would be lost.
        let partitions = gpt::read(disk)?.map(|gpt| gpt.partitions).unwrap_or_default();
        return Ok(Read { table: Table::Unfinished, partitions, problems: Vec::new() });
    }
    let mbr = mbr::parse(&sector);
    let gpt = gpt::read(disk)?;
    let Some(mbr) = mbr else {
        let mut read = Read::without_partitions(Table::None);
        read.problems.extend(gpt.is_ok().then_some(TableProblem::NoProtectiveMbr));
        return Ok(read);
    };
    if !mbr.is_protective() {
        let table = Table::Mbr { disk_signature: mbr.disk_signature };
        let (partitions, mut problems) = mbr.partitions(disk)?;
        problems.extend(gpt.is_ok().then_some(TableProblem::NoProtectiveMbr));
        return Ok(Read { table, partitions, problems });
    }
    let numbers = mbr.real_beside_gpt();
    let hybrid = (!numbers.is_empty()).then_some(TableProblem::Hybrid { numbers });
    Ok(match gpt {
        Ok(gpt) => {
            let problems = hybrid.into_iter().chain(gpt.problems).collect();
            let table = Table::Gpt { disk_guid: gpt.disk_guid, state: gpt.state };
            Read { table, partitions: gpt.partitions, problems }
        }
        Err(problem) => {
            let table = Table::GptDamaged { why: problem.to_string() };
            let problems = hybrid.into_iter().chain([problem]).collect();
            Read { table, partitions: Vec::new(), problems }
        }
    })
}

/// What of a table's problems tells of content that would be lost.
fn content_line(problem: &TableProblem) -> Option<String> {
    match problem {
        TableProblem::EndsBeforeStart { number, .. } => {
            Some(format!("partition {number}: ends before it starts"))
        }
        TableProblem::NoProtectiveMbr | TableProblem::Hybrid { .. } => Some(problem.to_string()),
        TableProblem::BothDamaged { .. } | TableProblem::SectorSizeMismatch { .. } => {
            Some(format!("damaged GPT: {problem}"))
        }
        TableProblem::PrimaryDamaged { .. }
        | TableProblem::BackupDamaged { .. }
        | TableProblem::CopiesDisagree { .. }
        | TableProblem::NotAtEnd { .. }
        | TableProblem::Overlap { .. }
        | TableProblem::Empty { .. }
        | TableProblem::BeyondDisk { .. }
        | TableProblem::OnTable { .. }
        | TableProblem::SameGuid { .. }
        | TableProblem::ExtendedLoop { .. }
        | TableProblem::ExtendedBroken { .. }
        | TableProblem::ExtendedTooLong { .. }
        | TableProblem::SecondExtended { .. } => None,
    }
}

/// `len` bytes from a byte offset on; `None` where the disk is too short.
pub(crate) fn bytes_at(
    disk: &mut dyn BlockIo,
    offset: u64,
    len: usize,
) -> Result<Option<Vec<u8>>, IoError> {
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
pub(crate) fn le32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |four| u32::from_le_bytes(*four))
}

pub(crate) fn le16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |two| u16::from_le_bytes(*two))
}

pub(crate) fn le64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |all| u64::from_le_bytes(*all))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::block::memory::MemDisk;
    use crate::gpt::encode;
    use crate::head::armed_lba0;
    use crate::ids::Ids;
    use crate::layout::Firmware;
    use crate::table::{Geometry, TablePlan, TableRequest, plan_table};
    use crate::units::{BlockSize, Bytes};

    fn plan(block_size: BlockSize) -> TablePlan {
        let geometry = Geometry::of_size(Bytes::gib(60), block_size);
        let request = TableRequest::new(Firmware::Uefi);
        plan_table(geometry, &request, &mut Ids::from_seed([0; 32])).unwrap()
    }

    /// The table on a disk, however wrong the plan may be.
    fn written(plan: &TablePlan) -> MemDisk {
        let (block_size, blocks) = (plan.geometry.block_size, plan.geometry.blocks);
        let mut disk = MemDisk::new("m", block_size, blocks);
        let gpt = encode(plan).unwrap();
        let mut lba0 =
            armed_lba0(&[], Lba::new(0), Geometry { block_size: BlockSize::B4096, blocks })
                .unwrap();
        lba0.truncate(usize::try_from(block_size.bytes()).unwrap());
        disk.write(Lba::new(0), &lba0).unwrap();
        disk.write(gpt.primary_header_at, &gpt.primary_header).unwrap();
        disk.write(gpt.primary_array_at.first(), &gpt.primary_array).unwrap();
        disk.write(gpt.backup_header_at, &gpt.backup_header).unwrap();
        disk.write(gpt.backup_array_at.first(), &gpt.backup_array).unwrap();
        disk
    }

    #[test]
    fn partitions_that_cannot_be_are_told() {
        let mut broken = plan(BlockSize::B512);
        let far = Extent::with_len(Lba::new(1 << 40), 8).unwrap();
        broken.partitions[0].extent = far;
        let found = inspect(&mut written(&broken)).unwrap();
        assert!(
            found.content.contains(&"partition 5: reaches past the end of the disk".to_owned()),
            "{:?}",
            found.content
        );
    }

    #[test]
    fn a_table_that_lost_its_first_sector_is_not_a_blank_disk() {
        let mut disk = written(&plan(BlockSize::B512));
        disk.write(Lba::new(0), &[0; 512]).unwrap();
        let found = inspect(&mut disk).unwrap();
        assert_eq!(found.table, Table::None);
        assert_eq!(found.content, ["GPT without a protective MBR"]);
    }

    #[test]
    fn a_chain_of_logical_partitions_that_leads_in_a_circle_ends() {
        let mut disk = MemDisk::new("m", BlockSize::B512, 10_000);
        let mut sector = [0; 512];
        sector[510..].copy_from_slice(&[0x55, 0xAA]);
        sector[0x1BE..0x1CE].copy_from_slice(&[0, 0, 0, 0, 0x83, 0, 0, 0, 63, 0, 0, 0, 9, 0, 0, 0]);
        let mut record = sector;
        record[0x1CE..0x1DE].copy_from_slice(&[0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0]);
        disk.write(Lba::new(100), &record).unwrap();
        sector[0x1CE..0x1DE].copy_from_slice(&[0, 0, 0, 0, 5, 0, 0, 0, 100, 0, 0, 0, 9, 0, 0, 0]);
        disk.write(Lba::new(0), &sector).unwrap();
        let found = inspect(&mut disk).unwrap();
        assert_eq!(found.partitions.len(), 2);
        assert_eq!(found.problems[0].to_string(), "extended chain loops at LBA 100");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever lies in the sectors that are looked at, the reader ends and says something.
        #[test]
        fn garbage_is_no_reason_to_panic(
            sectors in vec((0_u64..140, vec(any::<u8>(), 512)), 0..8),
            flips in vec((0_usize..(34 * 512), any::<u8>()), 0..6),
        ) {
            let mut disk = written(&plan(BlockSize::B512));
            let mut head = vec![0; 34 * 512];
            disk.read(Lba::new(0), &mut head).unwrap();
            for (at, byte) in flips {
                head[at] = byte;
            }
            disk.write(Lba::new(0), &head).unwrap();
            for (lba, sector) in sectors {
                disk.write(Lba::new(lba), &sector).unwrap();
            }
            inspect(&mut disk).unwrap();
        }

        /// Tables with good checksums and impossible extents are read as they are.
        #[test]
        fn impossible_extents_are_no_reason_to_panic(
            first: u64,
            blocks in 1_u64..u64::MAX,
            large: bool,
        ) {
            let mut broken = plan(if large { BlockSize::B4096 } else { BlockSize::B512 });
            let extent = Extent::with_len(Lba::new(first), blocks);
            broken.partitions[0].extent = extent.unwrap_or(Extent::from(Lba::new(first)..));
            let found = inspect(&mut written(&broken)).unwrap();
            prop_assert_eq!(found.partitions.len(), 6);
        }
    }
}
