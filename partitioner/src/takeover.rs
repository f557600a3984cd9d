//! The two tables of a host that is taken over from another product.
//!
//! Pure: the old table and the geometry in, trial table and final table out. In the *trial table*
//! the new partitions lie in the extents of the old backup and storage repository, while old root
//! and old boot keep theirs under numbers of their own; so both systems can boot. In the *final
//! table* the log partition has taken their place. `write::takeover` brings both to the disk.

use crate::head::{GptMap, HeadMap};
use crate::ids::{Guid, Ids};
use crate::inspect::{Found, GptState, Inspection, Table};
use crate::layout::{Firmware, Kind, MODERN, Role, Scheme};
use crate::table::{
    Compat, Geometry, LayoutChoice, LayoutError, Planned, PreserveFirst, SrChoice, TablePlan,
    TableRequest, joined, plan_table,
};
use crate::units::{BlockSize, Bytes, Extent, Lba};

mod again;
mod loader;
mod space;

pub use again::{Again, AgainError, Primary, Stage, again};
pub use loader::{MovedCore, OldLoader};
pub(crate) use space::edges;
pub use space::{final_write_set, kept, trial_write_set};

/// Numbers that no layout uses, for what is left of the old host.
pub const OLD_ROOT: u32 = 10;
pub const OLD_BOOT: u32 = 11;

/// What the storage repository was found to be. Only one answer lets anything be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrProof {
    Empty,
    /// In use, or nothing is known of it.
    NotProven,
    /// The old table has none.
    None,
}

/// The numbers of the old host's partitions, as its inventory and labels say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldNumbers {
    pub root: u32,
    pub backup: Option<u32>,
    pub boot: Option<u32>,
    pub sr: Option<u32>,
}

/// What is asked of a takeover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakeoverRequest {
    pub firmware: Firmware,
    pub boot_size: Option<Bytes>,
    pub sr: SrChoice,
    pub compat: Compat,
    pub old: OldNumbers,
    pub proof: SrProof,
    /// Where the old boot loader keeps its code.
    pub loader: OldLoader,
}

/// A planned takeover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takeover {
    pub firmware: Firmware,
    /// How the old table is stored.
    pub source: Scheme,
    /// The old boot loader's core image lies where the new table goes.
    pub moved: Option<MovedCore>,
    pub trial: TablePlan,
    pub last: TablePlan,
}

/// Why a host cannot be taken over. The storage repository is exit code 16, all else 13.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeoverError {
    #[error("the storage repository is not proven empty")]
    SrNotEmpty,
    #[error("the disk has {have}, {need} needed, and {tail} for the boot loader at its end")]
    TooSmall { have: Bytes, need: Bytes, tail: Bytes },
    #[error("the old table is not whole: {what}")]
    Table { what: String },
    #[error("an MBR with blocks of {have} bytes is not known to exist, 512 needed")]
    BlockSize { have: u64 },
    #[error("the old table has no partition {number} for the {role}")]
    NoPartition { role: &'static str, number: u32 },
    #[error("partition {number} ({extent}) is neither root, backup, boot nor storage repository")]
    Foreign { number: u32, extent: Extent },
    #[error("old partition {number} ({extent}) reaches past block {last}, where new ones begin")]
    InTheWay { number: u32, extent: Extent, last: u64 },
    #[error("the old partitions begin at block {first}, {need} needed for the rescue record")]
    NoRoomForRescue { first: u64, need: u64 },
    #[error(
        "the old boot loader, {name} from block {at} on, cannot be kept: {why}; there would be \
         nothing to fall back to: let the old host start from its active partition, or install \
         afresh"
    )]
    LoaderStuck { name: &'static str, at: u64, why: &'static str },
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// A head before a first partition at LBA 63: the primary array in its usual place, and the rescue
/// record up to the partition. Cores and spare array lie at the end of the disk.
const TIGHT_RESCUE: u64 = 34;
const TIGHT_FIRST: u64 = 63;
/// Blocks at the end of the disk for what a tight head has no room for: 1 MiB.
const TIGHT_TAIL: u64 = 2048;
const ARRAY_BLOCKS: u64 = 32;
const CORE_BLOCKS: u64 = 960;

/// Where the rescue record of a tight head lies, with the copy of LBA 0 in its last block.
pub(crate) const fn tight_rescue() -> Option<Extent> {
    Extent::new(Lba::new(TIGHT_RESCUE), Lba::new(TIGHT_FIRST - 1))
}

/// Blocks of the tail of a disk with so many, before the backup copy of the table.
fn in_tail(disk: u64, offset: u64, blocks: u64) -> Option<Extent> {
    let tail = disk.saturating_sub(TIGHT_TAIL.saturating_add(33));
    Extent::with_len(Lba::new(tail.saturating_add(offset)), blocks)
}

/// Where our core image lies on a disk with a tight head.
fn tight_core_a(disk: u64) -> Option<Extent> {
    in_tail(disk, ARRAY_BLOCKS, CORE_BLOCKS)
}

/// Plans both tables.
pub fn plan_takeover(
    geometry: Geometry,
    old: &Inspection,
    request: &TakeoverRequest,
    ids: &mut Ids,
) -> Result<Takeover, TakeoverError> {
    if request.proof == SrProof::NotProven {
        return Err(TakeoverError::SrNotEmpty);
    }
    let source = source(geometry, old)?;
    let parts = OldParts::find(old, &request.old)?;
    let place = Place::of(geometry, parts.first())?;
    let base = base_table(geometry, place, request, ids)?;
    let logs = base.partition(Role::Logs).map_or(base.head.first_usable, |p| p.extent.last());
    parts.stay_before(logs)?;
    let mut last = base.clone();
    last.head = place.head(geometry, HeadMap::of(geometry.block_size));
    let moved = moved(source, request, &last.head)?;
    let mut trial = base;
    trial.head = last.head;
    trial.head.first_usable = trial.head.first_usable.min(parts.first());
    trial.partitions.retain(|planned| planned.role != Role::Logs);
    let mut old_parts = parts.planned(source, ids);
    // The firmware's boot entry names partition 4 and its GUID. The new boot partition takes both,
    // so that the entry goes on working, and the old one must not be a system partition any more.
    if let (Some(boot), Some(found)) = (at(&mut trial, Role::Boot), parts.boot)
        && let (true, Some(guid)) = (is_esp(found) && found.number == boot.number, found.guid)
    {
        boot.guid = guid;
        if let Some(boot) = at(&mut last, Role::Boot) {
            boot.guid = guid;
        }
        for planned in old_parts.iter_mut().filter(|planned| planned.role == Role::OldBoot) {
            planned.guid = ids.guid("partition-old-boot");
            planned.kept = false;
        }
    }
    for planned in &mut old_parts {
        if planned.type_guid == Kind::EfiSystem.gpt_type() {
            planned.type_guid = Kind::LinuxData.gpt_type();
            planned.kept = false;
        }
    }
    trial.partitions.extend(old_parts);
    trial.partitions.sort_by_key(|planned| planned.extent);
    Ok(Takeover { firmware: request.firmware, source, moved, trial, last })
}

/// What LBA 0 loads has to be out of the way before the head of the disk is written. Where UEFI
/// starts a GPT, nothing is loaded by LBA 0.
fn moved(
    source: Scheme,
    request: &TakeoverRequest,
    head: &HeadMap,
) -> Result<Option<MovedCore>, TakeoverError> {
    if source == Scheme::Gpt && request.firmware == Firmware::Uefi {
        return Ok(None);
    }
    request.loader.moved(head).map_err(|stuck| TakeoverError::LoaderStuck {
        name: stuck.name,
        at: stuck.at.get(),
        why: stuck.why,
    })
}

fn at(plan: &mut TablePlan, role: Role) -> Option<&mut Planned> {
    plan.partitions.iter_mut().find(|planned| planned.role == role)
}

fn is_esp(found: &Found) -> bool {
    found.kind == Kind::EfiSystem.gpt_type().to_string()
}

/// How the old table is stored, if it is one that can be built upon.
fn source(geometry: Geometry, old: &Inspection) -> Result<Scheme, TakeoverError> {
    let table = |what: &str| Err(TakeoverError::Table { what: what.to_owned() });
    match &old.table {
        Table::Gpt { state: GptState::Whole, .. } => Ok(Scheme::Gpt),
        Table::Gpt { state, .. } => table(&state.to_string()),
        Table::GptDamaged { why } => table(why),
        Table::None => table("there is none"),
        Table::Unfinished => table("an installation has not finished"),
        Table::Mbr { .. } if geometry.block_size == BlockSize::B512 => Ok(Scheme::Mbr),
        Table::Mbr { .. } => Err(TakeoverError::BlockSize { have: geometry.block_size.bytes() }),
    }
}

/// Where boot loader and arrays go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The head of the layout is free.
    Usual,
    /// The old root begins before it ends.
    Tight,
}

impl Place {
    fn of(geometry: Geometry, first: Lba) -> Result<Self, TakeoverError> {
        let usual = HeadMap::of(geometry.block_size).map_or(u64::MAX, |m| m.first_usable.get());
        if usual <= first.get() {
            return Ok(Self::Usual);
        }
        if first.get() < TIGHT_FIRST || geometry.block_size != BlockSize::B512 {
            let (first, need) = (first.get(), TIGHT_FIRST.min(usual));
            return Err(TakeoverError::NoRoomForRescue { first, need });
        }
        Ok(Self::Tight)
    }

    /// Blocks at the end of the disk that partitions leave free.
    const fn tail(self) -> u64 {
        match self {
            Self::Usual => 0,
            Self::Tight => TIGHT_TAIL,
        }
    }

    fn head(self, geometry: Geometry, usual: Option<HeadMap>) -> HeadMap {
        let mut head = usual.unwrap_or(HeadMap::B512);
        if self == Self::Tight {
            let disk = geometry.blocks;
            let array = Extent::with_len(Lba::new(2), ARRAY_BLOCKS);
            if let (Some(array), Some(spare)) = (array, in_tail(disk, 0, ARRAY_BLOCKS)) {
                head.gpt = Some(GptMap { header: Lba::new(1), array, spare });
            }
            head.core_a = tight_core_a(disk);
            head.core_b = in_tail(disk, ARRAY_BLOCKS.saturating_add(CORE_BLOCKS), CORE_BLOCKS);
            head.rescue = tight_rescue().unwrap_or(head.rescue);
        }
        // A boot loader chains to the old boot sector where it is one sector by itself: the last
        // block of the record's place.
        let last = head.rescue.last().get();
        if let Some(rescue) = Extent::new(head.rescue.first(), Lba::new(last.saturating_sub(1))) {
            head.rescue = rescue;
            head.old_lba0 = Some(Lba::new(last));
        }
        head
    }
}

/// The table that a fresh install would make, short of the blocks that are taken at the end.
fn base_table(
    geometry: Geometry,
    place: Place,
    request: &TakeoverRequest,
    ids: &mut Ids,
) -> Result<TablePlan, TakeoverError> {
    let have = geometry.size();
    let tail = Bytes::new(place.tail().saturating_mul(geometry.block_size.bytes()));
    let need = MODERN.disk_min;
    if have.saturating_sub(tail) < need {
        return Err(TakeoverError::TooSmall { have, need, tail });
    }
    let table = TableRequest {
        layout: LayoutChoice::Modern,
        firmware: request.firmware,
        boot_size: request.boot_size,
        sr: request.sr,
        preserve_first: PreserveFirst::No,
        compat: request.compat,
    };
    let less = Geometry { blocks: geometry.blocks.saturating_sub(place.tail()), ..geometry };
    let mut plan = plan_table(less, &table, ids)?;
    plan.geometry = geometry;
    Ok(plan)
}

/// The old host's partitions.
#[derive(Clone, Copy, Debug)]
struct OldParts<'a> {
    root: &'a Found,
    boot: Option<&'a Found>,
}

impl<'a> OldParts<'a> {
    fn find(old: &'a Inspection, numbers: &OldNumbers) -> Result<Self, TakeoverError> {
        let by_number = |role: &'static str, number: u32| {
            let found = old.partitions.iter().find(|found| found.number == number);
            found.ok_or(TakeoverError::NoPartition { role, number })
        };
        let root = by_number("root", numbers.root)?;
        let boot = numbers.boot.map(|number| by_number("boot", number)).transpose()?;
        for (role, number) in [("backup", numbers.backup), ("storage repository", numbers.sr)] {
            number.map(|number| by_number(role, number)).transpose()?;
        }
        let known = [Some(numbers.root), numbers.boot, numbers.backup, numbers.sr];
        match old.partitions.iter().find(|found| !known.contains(&Some(found.number))) {
            Some(found) => {
                Err(TakeoverError::Foreign { number: found.number, extent: found.extent })
            }
            None => Ok(Self { root, boot }),
        }
    }

    fn all(&self) -> impl Iterator<Item = (Role, u32, &'a Found)> {
        let boot = self.boot.map(|found| (Role::OldBoot, OLD_BOOT, found));
        [(Role::OldRoot, OLD_ROOT, self.root)].into_iter().chain(boot)
    }

    fn first(&self) -> Lba {
        self.all().map(|(_, _, found)| found.extent.first()).min().unwrap_or(Lba::new(0))
    }

    /// Old root and old boot must lie where the log partition will be.
    fn stay_before(&self, logs: Lba) -> Result<(), TakeoverError> {
        match self.all().find(|(_, _, found)| logs < found.extent.last()) {
            Some((_, _, found)) => Err(TakeoverError::InTheWay {
                number: found.number,
                extent: found.extent,
                last: logs.get(),
            }),
            None => Ok(()),
        }
    }

    fn planned(&self, source: Scheme, ids: &mut Ids) -> Vec<Planned> {
        let planned = |(role, number, found): (Role, u32, &Found)| {
            let guid = found.guid.unwrap_or_else(|| ids.guid(crate::table::partition_id(role)));
            let type_guid = found.kind.parse::<Guid>().ok();
            let name = found.name.clone().filter(|name| !name.is_empty());
            let attributes = match source {
                Scheme::Gpt => found.attributes,
                Scheme::Mbr => 0,
            };
            Planned {
                number,
                role,
                name: name.unwrap_or_else(|| role.as_str().to_owned()),
                type_guid: type_guid.unwrap_or(Kind::LinuxData.gpt_type()),
                mbr_type: 0,
                guid,
                extent: found.extent,
                attributes,
                kept: source == Scheme::Gpt,
            }
        };
        self.all().map(planned).collect()
    }
}

#[cfg(test)]
mod tests;
