//! Planning of a partition table: geometry and request in, extents and identifiers out.
//!
//! Pure. The plan says where everything lies; `gpt` encodes it, `write` writes it, `check` judges
//! it without knowing how it was made.

use serde::Serialize;

mod regions;

pub(crate) use regions::joined;
pub use regions::{wipe_set, write_set};

use crate::head::HeadMap;
use crate::ids::{Guid, Ids};
use crate::layout::{DISK_MIN, Firmware, Layout, LayoutName, MODERN, Role, Scheme, Size, Want};
use crate::units::{BlockSize, Bytes, Extent, Lba};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayoutChoice {
    /// By the size of the disk.
    #[default]
    Auto,
    Modern,
    Legacy,
}

/// Whether a storage repository is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SrChoice {
    /// Where the rest of the disk is large enough.
    #[default]
    Rest,
    None,
}

/// Whether the first partition of the disk stays as it is, with all others after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreserveFirst {
    Yes,
    No,
    /// Where it is a utility partition of the manufacturer.
    #[default]
    IfUtility,
}

/// Whose types, names and sizes the table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compat {
    #[default]
    None,
    /// Those of existing `XenServer` hosts.
    Xenserver,
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
        drawn.disk_guid = ids.guid(DISK_ID);
        for planned in drawn.partitions.iter_mut().filter(|planned| !planned.kept) {
            planned.guid = ids.guid(partition_id(planned.role));
        }
        drawn
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

/// Why no table can be planned. All of them are exit code 13.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    #[error("the disk has {have}, {need} needed")]
    TooSmall { have: Bytes, need: Bytes },
    #[error("layout {layout} needs {need}, the disk has {have}")]
    TooSmallFor { layout: LayoutName, have: Bytes, need: Bytes },
    #[error(
        "layout legacy is not available yet, and the disk has {have} where modern needs {need}"
    )]
    LegacyNotYet { have: Bytes, need: Bytes },
    #[error("a disk with blocks of 4096 bytes cannot be started by BIOS, UEFI needed")]
    FourKOnBios,
    #[error("the disk has blocks of {have} bytes, 512 or 4096 needed")]
    BlockSize { have: u64 },
    #[error("boot_size {have} is not between {min} and {max}")]
    BootSize { have: Bytes, min: Bytes, max: Bytes },
    #[error("boot_size of {have} bytes is not a whole number of MiB")]
    BootSizeNotMib { have: u64 },
    #[error("partition {role} does not fit below block {blocks}")]
    DoesNotFit { role: Role, blocks: u64 },
}

/// Plans the table of a fresh install.
pub fn plan_table(
    geometry: Geometry,
    request: &TableRequest,
    ids: &mut Ids,
) -> Result<TablePlan, LayoutError> {
    let head = head_of(geometry, request.firmware)?;
    let layout = choose(geometry, request.layout)?;
    let sizes = sizes(geometry, &head, layout, request)?;
    let mut plan = TablePlan {
        layout: layout.name,
        scheme: layout.scheme,
        geometry,
        disk_guid: Guid::NIL,
        mbr_signature: 0,
        head,
        partitions: place(geometry, &head, &sizes)?,
    };
    plan = plan.draw(ids);
    Ok(plan)
}

fn head_of(geometry: Geometry, firmware: Firmware) -> Result<HeadMap, LayoutError> {
    if geometry.block_size == BlockSize::B4096 && firmware == Firmware::Bios {
        return Err(LayoutError::FourKOnBios);
    }
    let have = geometry.block_size.bytes();
    HeadMap::of(geometry.block_size).ok_or(LayoutError::BlockSize { have })
}

/// The layout for a disk of this size.
fn choose(geometry: Geometry, choice: LayoutChoice) -> Result<&'static Layout, LayoutError> {
    let have = geometry.size();
    if have < DISK_MIN {
        return Err(LayoutError::TooSmall { have, need: DISK_MIN });
    }
    let need = MODERN.disk_min;
    match choice {
        LayoutChoice::Auto | LayoutChoice::Modern if need <= have => Ok(&MODERN),
        LayoutChoice::Modern => {
            Err(LayoutError::TooSmallFor { layout: LayoutName::Modern, have, need })
        }
        LayoutChoice::Auto | LayoutChoice::Legacy => Err(LayoutError::LegacyNotYet { have, need }),
    }
}

/// A partition of the layout and its length in blocks.
type Sized = (&'static Want, u64);

/// Every length, with the rest and what the boot partition gives up worked out.
fn sizes(
    geometry: Geometry,
    head: &HeadMap,
    layout: &'static Layout,
    request: &TableRequest,
) -> Result<Vec<Sized>, LayoutError> {
    let boot_size = request.boot_size.map(boot_blocks(geometry)).transpose()?;
    let mut sized: Vec<Sized> = Vec::new();
    let mut rest = None;
    for want in layout.wants {
        match (want.size, want.role, boot_size) {
            (Size::Mib(_), Role::Boot, Some(blocks)) => sized.push((want, blocks)),
            (Size::Mib(mib), ..) => {
                sized.push((want, Bytes::mib(mib).blocks_ceil(geometry.block_size)));
            }
            (Size::Rest, ..) => rest = Some(want),
            // Only the MBR layout has such a partition, and it is refused before.
            (Size::Fixed { .. }, ..) => {}
        }
    }
    let usable = usable(geometry, head);
    let have = geometry.size();
    let wanted = sized.iter().map(|(_, blocks)| *blocks).fold(0, u64::saturating_add);
    // Fixed partitions end on a whole MiB, so that one may follow another on every disk.
    let whole = usable.saturating_sub(usable.checked_rem(geometry.blocks_per_mib()).unwrap_or(0));
    let missing = wanted.saturating_sub(whole);
    let need = Bytes::new(wanted.saturating_mul(geometry.block_size.bytes()));
    if missing > BOOT_GIVES_UP_MAX.blocks_floor(geometry.block_size) || have < need {
        return Err(LayoutError::TooSmallFor { layout: layout.name, have, need });
    }
    for (want, blocks) in &mut sized {
        if want.role == Role::Boot {
            *blocks = blocks.saturating_sub(missing);
        }
    }
    let left = usable.saturating_sub(wanted);
    match (request.sr, rest) {
        (SrChoice::Rest, Some(want)) if SR_MIN.blocks_ceil(geometry.block_size) <= left => {
            sized.push((want, left));
        }
        (SrChoice::Rest | SrChoice::None, _) => {}
    }
    Ok(sized)
}

/// Blocks between the head and the backup GPT.
fn usable(geometry: Geometry, head: &HeadMap) -> u64 {
    let end = head.last_usable(geometry).get().saturating_add(1);
    end.saturating_sub(head.first_usable.get())
}

fn boot_blocks(geometry: Geometry) -> impl Fn(Bytes) -> Result<u64, LayoutError> {
    move |have| {
        if have < BOOT_MIN || BOOT_MAX < have {
            return Err(LayoutError::BootSize { have, min: BOOT_MIN, max: BOOT_MAX });
        }
        if have.get().checked_rem(ALIGNMENT.get()) != Some(0) {
            return Err(LayoutError::BootSizeNotMib { have: have.get() });
        }
        Ok(have.blocks_floor(geometry.block_size))
    }
}

/// Puts one partition after the other, from the first usable block on.
fn place(geometry: Geometry, head: &HeadMap, sizes: &[Sized]) -> Result<Vec<Planned>, LayoutError> {
    let mut next = head.first_usable;
    let mut partitions = Vec::new();
    for (want, blocks) in sizes {
        let no_room = LayoutError::DoesNotFit { role: want.role, blocks: geometry.blocks };
        let extent = Extent::with_len(next, *blocks).ok_or_else(|| no_room.clone())?;
        if head.last_usable(geometry) < extent.last() {
            return Err(no_room);
        }
        next = extent.last().checked_add(1).ok_or(no_room)?;
        partitions.push(Planned {
            number: want.number,
            role: want.role,
            name: want.name.to_owned(),
            type_guid: want.kind.gpt_type(),
            mbr_type: 0,
            guid: Guid::NIL,
            extent,
            attributes: 0,
            kept: false,
        });
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests;
