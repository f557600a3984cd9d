//! The first partition that stays: a utility of the manufacturer, or one that was asked for.

use super::error::PreserveError;
use super::{Geometry, Planned, PreserveFirst};
use crate::head::HeadMap;
use crate::ids::Guid;
use crate::inspect::{Found, GptState, Inspection, Table, UTILITY_MBR};
use crate::layout::{Role, Scheme};
use crate::units::Lba;

/// Where a GPT entry has its name (UEFI 2.10 table 5-6), 36 units of two bytes.
const NAME_AT: usize = 56;

/// The partition that the new table keeps, if there is one.
pub(super) fn preserved(
    found: Option<&Inspection>,
    wish: PreserveFirst,
    scheme: Scheme,
    geometry: Geometry,
    head: &HeadMap,
) -> Result<Option<Planned>, PreserveError> {
    let all: &[Found] = found.map_or(&[], |found| &found.partitions);
    let mut utilities: Vec<&Found> = all.iter().filter(|one| one.is_utility()).collect();
    utilities.sort_by_key(|one| one.number);
    let chosen = match (wish, utilities.as_slice()) {
        (PreserveFirst::No, _) | (PreserveFirst::IfUtility, []) => return Ok(None),
        (_, [a, b, ..]) => return Err(PreserveError::Two { a: a.number, b: b.number }),
        (_, [one]) => one,
        (PreserveFirst::Yes, []) => {
            all.iter().find(|one| one.number == 1).ok_or(PreserveError::None)?
        }
    };
    let number = chosen.number;
    if number != 1 || all.iter().any(|one| one.extent.first() < chosen.extent.first()) {
        return Err(PreserveError::NotFirst { number });
    }
    same_scheme(found, chosen, scheme)?;
    let first = chosen.extent.first().get();
    let need = head.first_usable.get();
    if first < need {
        return Err(PreserveError::Early { number, first, need });
    }
    let last = chosen.extent.last();
    if head.last_usable(geometry) < last {
        let at = head.last_usable(geometry).get().saturating_add(1);
        return Err(PreserveError::Overlaps { number, last: last.get(), at });
    }
    kept(chosen).map(Some)
}

/// An entry stays bit for bit only in a whole table of its own kind.
fn same_scheme(
    found: Option<&Inspection>,
    chosen: &Found,
    to: Scheme,
) -> Result<(), PreserveError> {
    let number = chosen.number;
    let from = match found.map(|found| &found.table) {
        // A plan that was cut off: of its table, or of the one before, a whole copy is left.
        Some(Table::Gpt { state: GptState::Whole, .. } | Table::Unfinished) => Scheme::Gpt,
        Some(Table::Gpt { state, .. }) => {
            return Err(PreserveError::Damaged { number, state: *state });
        }
        Some(Table::Mbr { .. }) => Scheme::Mbr,
        Some(Table::None | Table::GptDamaged { .. }) | None => {
            return Err(PreserveError::None);
        }
    };
    match (from, to) {
        (Scheme::Gpt, Scheme::Gpt) => Ok(()),
        (Scheme::Mbr, Scheme::Gpt) if chosen.kind == UTILITY_MBR => {
            Err(PreserveError::OldUtility { number })
        }
        (Scheme::Mbr, Scheme::Mbr) => Err(PreserveError::NoEntryLeft),
        (Scheme::Mbr, Scheme::Gpt) | (Scheme::Gpt, Scheme::Mbr) => {
            Err(PreserveError::OtherScheme { number, from, to })
        }
    }
}

/// The entry as the plan has it. All its fields but the name are numbers, which are written as
/// they were read; a name with something behind its end, or that is no text, would change.
fn kept(found: &Found) -> Result<Planned, PreserveError> {
    let number = found.number;
    let unreadable = PreserveError::Unreadable { number };
    let name = found.name.clone().unwrap_or_default();
    let units = name.encode_utf16().chain(std::iter::repeat(0)).flat_map(u16::to_le_bytes);
    let stored = found.entry.get(NAME_AT..).unwrap_or_default();
    let same = found.entry.len() == 128 && stored.iter().copied().eq(units.take(stored.len()));
    let type_guid = found.kind.parse::<Guid>().ok().filter(|_| same);
    let (Some(type_guid), Some(guid)) = (type_guid, found.guid) else { return Err(unreadable) };
    Ok(Planned {
        number,
        role: Role::Preserved,
        name,
        type_guid,
        mbr_type: 0,
        guid,
        extent: found.extent,
        attributes: found.attributes,
        kept: true,
    })
}

/// The first aligned block after it, or the first usable one.
pub(super) fn start_after(kept: Option<&Planned>, geometry: Geometry, head: &HeadMap) -> Lba {
    let Some(kept) = kept else { return head.first_usable };
    let unit = geometry.blocks_per_mib();
    let next = kept.extent.last().get().saturating_add(1);
    Lba::new(next.div_ceil(unit.max(1)).saturating_mul(unit))
}
