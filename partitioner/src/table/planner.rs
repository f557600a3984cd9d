//! From a request and a disk's shape to the extents of its partitions.

use super::preserve::{preserved, start_after};
use super::{
    ALIGNMENT, BOOT_GIVES_UP_MAX, BOOT_MAX, BOOT_MIN, Geometry, LayoutChoice, LayoutError, Planned,
    SR_MIN, SrChoice, TablePlan, TableRequest,
};
use crate::head::HeadMap;
use crate::ids::{Guid, Ids};
use crate::inspect::Inspection;
use crate::layout::{
    Compat, DISK_MIN, Firmware, LEGACY_GPT, LEGACY_MBR, Layout, LayoutName, MODERN, Role, Scheme,
    Size, Want, XENSERVER_BOOT,
};
use crate::units::{BlockSize, Bytes, Extent, Lba};

/// Blocks that an MBR can address, with 32 bits.
const MBR_BLOCKS_MAX: u64 = 1 << 32;
/// The status byte of the partition that a BIOS starts.
const ACTIVE: u64 = 0x80;

/// Plans the table of a disk of which nothing is kept, and nothing need be known.
pub fn plan_table(
    geometry: Geometry,
    request: &TableRequest,
    ids: &mut Ids,
) -> Result<TablePlan, LayoutError> {
    Wish::new(geometry, request, None)?.table().map(|plan| plan.draw(ids))
}

/// Plans the table of a disk with something on it, whose first partition may have to stay.
pub fn plan_table_on(
    found: &Inspection,
    geometry: Geometry,
    request: &TableRequest,
    ids: &mut Ids,
) -> Result<TablePlan, LayoutError> {
    Wish::new(geometry, request, Some(found))?.table().map(|plan| plan.draw(ids))
}

/// What is decided before anything is placed.
struct Wish<'r> {
    geometry: Geometry,
    request: &'r TableRequest,
    layout: &'static Layout,
    head: HeadMap,
    kept: Option<Planned>,
    /// The first block for what is not kept.
    start: Lba,
}

/// A partition of the layout and its length in blocks.
type Sized = (&'static Want, u64);

impl<'r> Wish<'r> {
    fn new(
        geometry: Geometry,
        request: &'r TableRequest,
        found: Option<&Inspection>,
    ) -> Result<Self, LayoutError> {
        let gpt_head = gpt_head(geometry, request.firmware)?;
        let layout = choose(geometry, request)?;
        let head = match layout.scheme {
            Scheme::Gpt => gpt_head,
            Scheme::Mbr => mbr_head(geometry, request)?,
        };
        let kept = preserved(found, request.preserve_first, layout.scheme, geometry, &head)?;
        let start = start_after(kept.as_ref(), geometry, &head);
        Ok(Self { geometry, request, layout, head, kept, start })
    }

    fn table(self) -> Result<TablePlan, LayoutError> {
        let sizes = self.sizes()?;
        let placed = self.place(&sizes)?;
        Ok(TablePlan {
            layout: self.layout.name,
            scheme: self.layout.scheme,
            geometry: self.geometry,
            disk_guid: Guid::NIL,
            mbr_signature: 0,
            head: self.head,
            partitions: self.kept.into_iter().chain(placed).collect(),
        })
    }

    /// Every length, with the rest and what the boot partition gives up worked out. A partition
    /// with a place of its own is not among them.
    fn sizes(&self) -> Result<Vec<Sized>, LayoutError> {
        let block_size = self.geometry.block_size;
        let boot = self.boot_size()?;
        let mut sized: Vec<Sized> = Vec::new();
        let mut rest = None;
        for want in self.layout.wants {
            match (want.size, want.role, boot) {
                (Size::Mib(_), Role::Boot, Some(size)) => {
                    sized.push((want, size.blocks_floor(block_size)));
                }
                (Size::Mib(mib), ..) => sized.push((want, Bytes::mib(mib).blocks_ceil(block_size))),
                (Size::Rest, ..) => rest = Some(want),
                (Size::Fixed { .. }, ..) => {}
            }
        }
        let end = self.head.last_usable(self.geometry).get().saturating_add(1);
        let usable = end.saturating_sub(self.start.get());
        let wanted = sized.iter().map(|(_, blocks)| *blocks).fold(0, u64::saturating_add);
        let missing = self.missing(usable, wanted)?;
        for (want, blocks) in &mut sized {
            if want.role == Role::Boot {
                *blocks = blocks.saturating_sub(missing);
            }
        }
        let left = usable.saturating_sub(wanted);
        match (self.request.sr, rest) {
            (SrChoice::Rest, Some(want)) if SR_MIN.blocks_ceil(block_size) <= left => {
                sized.push((want, left));
            }
            (SrChoice::Rest | SrChoice::None, _) => {}
        }
        Ok(sized)
    }

    /// What the boot partition has to give up, so that a disk of exactly the sum takes the layout.
    fn missing(&self, usable: u64, wanted: u64) -> Result<u64, LayoutError> {
        let unit = self.geometry.blocks_per_mib();
        // Partitions end on a whole MiB, so that one may follow another on every disk.
        let whole = usable.saturating_sub(usable.checked_rem(unit).unwrap_or(0));
        let missing = wanted.saturating_sub(whole);
        let before = self.kept.as_ref().map_or(0, |p| p.extent.last().get().saturating_add(1));
        let given = self.geometry.blocks.saturating_sub(before);
        if missing <= BOOT_GIVES_UP_MAX.blocks_floor(self.geometry.block_size) && wanted <= given {
            return Ok(missing);
        }
        let bytes =
            |blocks: u64| Bytes::new(blocks.saturating_mul(self.geometry.block_size.bytes()));
        let (layout, have, need) = (self.layout.name, bytes(given), bytes(wanted));
        Err(match self.kept {
            None => LayoutError::TooSmallFor { layout, have, need },
            Some(_) => LayoutError::TooSmallAfter { layout, have, need },
        })
    }

    /// The size of the boot partition, where it is not the layout's own.
    fn boot_size(&self) -> Result<Option<Bytes>, LayoutError> {
        match (self.request.boot_size, self.request.compat) {
            (Some(have), _) if have < BOOT_MIN || BOOT_MAX < have => {
                Err(LayoutError::BootSize { have, min: BOOT_MIN, max: BOOT_MAX })
            }
            (Some(have), _) if have.get().checked_rem(ALIGNMENT.get()) != Some(0) => {
                Err(LayoutError::BootSizeNotMib { have: have.get() })
            }
            (Some(have), _) => Ok(Some(have)),
            (None, Compat::Xenserver) => Ok(Some(XENSERVER_BOOT)),
            (None, Compat::None) => Ok(None),
        }
    }

    /// Puts one partition after the other, and those with a place of their own before them.
    fn place(&self, sizes: &[Sized]) -> Result<Vec<Planned>, LayoutError> {
        let blocks = self.geometry.blocks;
        let mut partitions = Vec::new();
        for want in self.layout.wants {
            if let Size::Fixed { first, blocks: len } = want.size {
                let no_room = LayoutError::DoesNotFit { role: want.role, blocks };
                let extent = Extent::with_len(Lba::new(first), len).ok_or(no_room)?;
                partitions.push(self.planned(want, extent));
            }
        }
        let mut next = self.start;
        for (want, len) in sizes {
            let no_room = LayoutError::DoesNotFit { role: want.role, blocks };
            let extent = Extent::with_len(next, *len).ok_or_else(|| no_room.clone())?;
            if self.head.last_usable(self.geometry) < extent.last() {
                return Err(no_room);
            }
            next = extent.last().checked_add(1).ok_or(no_room)?;
            partitions.push(self.planned(want, extent));
        }
        Ok(partitions)
    }

    fn planned(&self, want: &Want, extent: Extent) -> Planned {
        let compat = self.request.compat;
        let (name, type_guid, mbr_type, attributes) = match (self.layout.scheme, want.role) {
            (Scheme::Gpt, _) => (want.gpt_name(compat), want.gpt_type(compat), 0, 0),
            (Scheme::Mbr, Role::Root) => ("", Guid::NIL, want.kind.mbr_type(), ACTIVE),
            (Scheme::Mbr, _) => ("", Guid::NIL, want.kind.mbr_type(), 0),
        };
        // With a preserved partition 1 every other number is one higher.
        let shift = u32::from(self.kept.is_some());
        Planned {
            number: want.number.saturating_add(shift),
            role: want.role,
            name: name.to_owned(),
            type_guid,
            mbr_type,
            guid: Guid::NIL,
            extent,
            attributes,
            kept: false,
        }
    }
}

fn gpt_head(geometry: Geometry, firmware: Firmware) -> Result<HeadMap, LayoutError> {
    if geometry.block_size == BlockSize::B4096 && firmware == Firmware::Bios {
        return Err(LayoutError::FourKOnBios);
    }
    let have = geometry.block_size.bytes();
    HeadMap::of(geometry.block_size).ok_or(LayoutError::BlockSize { have })
}

/// The head of the MBR layout, on disks that it can address.
fn mbr_head(geometry: Geometry, request: &TableRequest) -> Result<HeadMap, LayoutError> {
    if MBR_BLOCKS_MAX < geometry.blocks {
        let max = Bytes::new(MBR_BLOCKS_MAX.saturating_mul(geometry.block_size.bytes()));
        return Err(LayoutError::BeyondMbr { have: geometry.size(), max });
    }
    let volume = LEGACY_MBR.want(Role::Boot).map(|want| want.size);
    match (request.boot_size, volume) {
        (Some(have), Some(Size::Fixed { blocks, .. })) => {
            let fixed = Bytes::new(blocks.saturating_mul(geometry.block_size.bytes()));
            Err(LayoutError::BootSizeFixed { have, fixed })
        }
        (Some(_), Some(Size::Mib(_) | Size::Rest) | None) | (None, _) => Ok(HeadMap::MBR),
    }
}

/// The layout for a disk of this size.
fn choose(geometry: Geometry, request: &TableRequest) -> Result<&'static Layout, LayoutError> {
    let have = geometry.size();
    if have < DISK_MIN {
        return Err(LayoutError::TooSmall { have, need: DISK_MIN });
    }
    let need = MODERN.disk_min;
    match (request.layout, request.firmware) {
        (LayoutChoice::Auto | LayoutChoice::Modern, _) if need <= have => Ok(&MODERN),
        (LayoutChoice::Modern, _) => {
            Err(LayoutError::TooSmallFor { layout: LayoutName::Modern, have, need })
        }
        (LayoutChoice::Auto | LayoutChoice::Legacy, Firmware::Bios) => Ok(&LEGACY_MBR),
        (LayoutChoice::Auto | LayoutChoice::Legacy, Firmware::Uefi) => Ok(&LEGACY_GPT),
    }
}
