//! Planning of a partition table: geometry and request in, extents and identifiers out.
//!
//! Pure. The plan says where everything lies; `gpt` encodes it, `write` writes it, `check` judges
//! it without knowing how it was made.

use serde::{Deserialize, Serialize};

use crate::head::HeadMap;
use crate::ids::{Guid, Ids};
use crate::layout::{Firmware, LayoutName, Role, Scheme};
use crate::partuuid::{DiskId, PartUuid};
use crate::units::{BlockSize, Bytes, Extent};

mod error;
mod planner;
mod preserve;
mod regions;

pub use error::{LayoutError, PreserveError};
pub use planner::{plan_table, plan_table_on};
pub(crate) use regions::{cut, joined};
pub use regions::{wipe_set, write_set};

pub use crate::layout::Compat;

/// Every partition but the rest starts and ends on a multiple of this.
pub const ALIGNMENT: Bytes = Bytes::mib(1);
/// A storage repository smaller than this is not made.
pub const SR_MIN: Bytes = Bytes::gib(1);
/// FAT32 with clusters of 4096 bytes needs 65,525 of them, and the two FATs.
pub const BOOT_MIN: Bytes = Bytes::mib(300);
/// Larger is a mistake in the answers.
pub const BOOT_MAX: Bytes = Bytes::gib(64);
/// What the boot partition may give up for the GPT and alignment.
const BOOT_GIVES_UP_MAX: Bytes = Bytes::mib(4);

/// Which layout is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayoutChoice {
    /// By the size of the disk.
    #[default]
    Auto,
    Modern,
    Legacy,
}

/// Whether a storage repository is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SrChoice {
    /// Where the rest of the disk is large enough.
    #[default]
    Rest,
    None,
}

/// Whether the first partition of the disk stays as it is, with all others after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreserveFirst {
    Yes,
    No,
    /// Where it is a utility partition of the manufacturer.
    #[default]
    IfUtility,
}

/// What is asked of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableRequest {
    pub layout: LayoutChoice,
    pub firmware: Firmware,
    /// Overrides the layout's size of the boot partition; whole MiB.
    pub boot_size: Option<Bytes>,
    pub sr: SrChoice,
    pub preserve_first: PreserveFirst,
    pub compat: Compat,
}

impl TableRequest {
    /// Everything by default.
    pub const fn new(firmware: Firmware) -> Self {
        Self {
            layout: LayoutChoice::Auto,
            firmware,
            boot_size: None,
            sr: SrChoice::Rest,
            preserve_first: PreserveFirst::IfUtility,
            compat: Compat::None,
        }
    }
}

/// The shape of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Geometry {
    pub block_size: BlockSize,
    pub blocks: u64,
}

impl Geometry {
    /// Whole blocks in a disk of `size` bytes; a rest smaller than a block is lost.
    pub fn of_size(size: Bytes, block_size: BlockSize) -> Self {
        Self { block_size, blocks: size.blocks_floor(block_size) }
    }

    /// Saturates at 2^64 bytes, which no disk reaches.
    pub fn size(self) -> Bytes {
        Bytes::new(self.blocks.saturating_mul(self.block_size.bytes()))
    }

    /// Blocks in one alignment unit of 1 MiB.
    pub fn blocks_per_mib(self) -> u64 {
        ALIGNMENT.blocks_floor(self.block_size)
    }
}

/// A planned partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    pub number: u32,
    pub role: Role,
    /// Empty in an MBR.
    pub name: String,
    /// Its type in a GPT; nil in an MBR.
    pub type_guid: Guid,
    /// Its type in an MBR; 0 in a GPT.
    pub mbr_type: u8,
    /// PARTUUID; nil in an MBR, where it follows from the disk signature and the number.
    pub guid: Guid,
    pub extent: Extent,
    /// GPT: the attribute bits (UEFI 2.10 table 5-8). MBR: the status byte, 0x80 where active.
    pub attributes: u64,
    /// Its entry and its content stay as they are, bit for bit.
    pub kept: bool,
}

/// A planned table: where everything on the disk lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TablePlan {
    pub layout: LayoutName,
    pub scheme: Scheme,
    pub geometry: Geometry,
    /// Nil in an MBR.
    pub disk_guid: Guid,
    /// The disk signature of an MBR; 0 in a GPT.
    pub mbr_signature: u32,
    pub head: HeadMap,
    /// In on-disk order.
    pub partitions: Vec<Planned>,
}

impl TablePlan {
    pub fn partition(&self, role: Role) -> Option<&Planned> {
        self.partitions.iter().find(|planned| planned.role == role)
    }

    /// How long the partition is.
    pub fn size_of(&self, planned: &Planned) -> Bytes {
        let bytes = self.geometry.block_size.bytes();
        Bytes::new(planned.extent.blocks().saturating_mul(bytes))
    }

    /// The same plan with its identifiers drawn from `ids`: a plan is shown with the identifiers
    /// of one source and performed with those of another, and its digest covers neither.
    #[must_use]
    pub fn draw(&self, ids: &mut Ids) -> Self {
        let mut drawn = self.clone();
        let kept: Vec<Guid> = self.partitions.iter().filter(|p| p.kept).map(|p| p.guid).collect();
        // A disk that was made with the same seed keeps identifiers that would be drawn again.
        let mut fresh = |name: &str| {
            let guid = ids.guid(name);
            if kept.contains(&guid) { ids.guid(name) } else { guid }
        };
        match self.scheme {
            Scheme::Gpt => {
                drawn.disk_guid = fresh(DISK_ID);
                for planned in drawn.partitions.iter_mut().filter(|planned| !planned.kept) {
                    planned.guid = fresh(partition_id(planned.role));
                }
            }
            // 0 would be no signature at all.
            Scheme::Mbr => drawn.mbr_signature = ids.serial(DISK_ID).max(1),
        }
        drawn
    }

    /// How Linux names the partition: its GUID, or the disk signature and its number.
    pub fn partuuid(&self, planned: &Planned) -> PartUuid {
        match self.scheme {
            Scheme::Gpt => PartUuid::Gpt(planned.guid),
            Scheme::Mbr => PartUuid::Mbr { signature: self.mbr_signature, number: planned.number },
        }
    }

    /// Who the disk is, whatever is on it.
    pub fn disk_id(&self) -> DiskId {
        match self.scheme {
            Scheme::Gpt => DiskId::Gpt(self.disk_guid),
            Scheme::Mbr => DiskId::Mbr(self.mbr_signature),
        }
    }
}

/// The name under which [`Ids`] gives the disk GUID.
pub const DISK_ID: &str = "disk";

/// The name under which [`Ids`] gives a partition's GUID.
pub const fn partition_id(role: Role) -> &'static str {
    match role {
        Role::Root => "partition-root",
        Role::Backup => "partition-backup",
        Role::Sr => "partition-sr",
        Role::Boot => "partition-boot",
        Role::Logs => "partition-logs",
        Role::Swap => "partition-swap",
        Role::OldRoot => "partition-old-root",
        Role::OldBoot => "partition-old-boot",
        Role::Preserved => "partition-preserved",
    }
}

#[cfg(test)]
mod tests;
