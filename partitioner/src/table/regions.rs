//! Which blocks a fresh install may write, and which of them it wipes first. Never one of a
//! partition that is kept.

use super::{Geometry, TablePlan};
use crate::layout::{Role, Scheme};
use crate::units::{Extent, Lba};

/// Every block that a fresh install may write, in ascending order, neighbours joined. This is
/// what the fence is built from.
///
/// The whole head; each partition, but of the storage repository only the ranges where a
/// signature could be; the last MiB of the disk with the backup GPT and whatever an old array,
/// pool or table left there.
pub fn write_set(plan: &TablePlan) -> Vec<Extent> {
    let mut set = vec![plan.head.whole()];
    for planned in plan.partitions.iter().filter(|planned| !planned.kept) {
        if planned.role == Role::Sr {
            set.extend(edges(plan.geometry, planned.extent));
        } else {
            set.push(planned.extent);
        }
    }
    set.extend(tail(plan.geometry));
    without_kept(plan, joined(set))
}

/// What is wiped before the table is written: the edges of each partition, the head without LBA 0
/// and the rescue record (which hold the message and what was there before by then), and the end
/// of the disk.
pub fn wipe_set(plan: &TablePlan) -> Vec<Extent> {
    let head = plan.head.whole();
    let mut set: Vec<Extent> = Extent::new(Lba::new(1), head.last()).into_iter().collect();
    let changed = plan.partitions.iter().filter(|planned| !planned.kept);
    set.extend(changed.flat_map(|planned| edges(plan.geometry, planned.extent)));
    set.extend(tail(plan.geometry));
    let mut set = without_kept(plan, joined(set));
    if plan.scheme == Scheme::Gpt {
        set = set.into_iter().flat_map(|extent| cut(extent, plan.head.rescue)).collect();
    }
    if plan.partitions.iter().any(|planned| planned.kept) {
        for copy in copies(plan) {
            set = set.into_iter().flat_map(|extent| cut(extent, copy)).collect();
        }
    }
    set
}

/// Both copies of the table. They are replaced one after the other and not wiped where a partition
/// is kept, so that one of them names it whenever the power fails.
fn copies(plan: &TablePlan) -> Vec<Extent> {
    let Some(gpt) = plan.head.gpt else { return Vec::new() };
    let headers = [gpt.header, gpt.backup_header(plan.geometry)];
    let mut all: Vec<Extent> =
        headers.into_iter().filter_map(|at| Extent::with_len(at, 1)).collect();
    all.extend([gpt.array, gpt.backup_array(plan.geometry)]);
    all
}

/// What is left of the set when every kept partition is taken out of it.
fn without_kept(plan: &TablePlan, mut set: Vec<Extent>) -> Vec<Extent> {
    for kept in plan.partitions.iter().filter(|planned| planned.kept) {
        set = set.into_iter().flat_map(|extent| cut(extent, kept.extent)).collect();
    }
    set
}

/// The parts of `extent` before and after `hole`.
pub(crate) fn cut(extent: Extent, hole: Extent) -> impl Iterator<Item = Extent> {
    let before = hole.first().get().checked_sub(1).map(|last| Lba::new(last).min(extent.last()));
    let after = hole.last().checked_add(1).map(|first| first.max(extent.first()));
    let before = before.and_then(|last| Extent::new(extent.first(), last));
    let after = after.and_then(|first| Extent::new(first, extent.last()));
    before.into_iter().chain(after)
}

/// The first and the last MiB of an extent, or all of a small one.
fn edges(geometry: Geometry, extent: Extent) -> Vec<Extent> {
    let mib = geometry.blocks_per_mib().min(extent.blocks());
    let back = mib.saturating_sub(1);
    let first = Extent::with_len(extent.first(), mib);
    let last = Extent::new(Lba::new(extent.last().get().saturating_sub(back)), extent.last());
    first.into_iter().chain(last).collect()
}

/// The last MiB of the disk.
fn tail(geometry: Geometry) -> Option<Extent> {
    let first = geometry.blocks.checked_sub(geometry.blocks_per_mib())?;
    Extent::with_len(Lba::new(first), geometry.blocks_per_mib())
}

/// Sorted, with overlapping and touching extents made one.
pub(crate) fn joined(mut set: Vec<Extent>) -> Vec<Extent> {
    set.sort();
    let mut out: Vec<Extent> = Vec::new();
    for extent in set {
        let touches =
            |before: &Extent| extent.first().get() <= before.last().get().saturating_add(1);
        match out.last_mut().filter(|before| touches(before)) {
            Some(before) => {
                let last = before.last().max(extent.last());
                *before = Extent::new(before.first(), last).unwrap_or(*before);
            }
            None => out.push(extent),
        }
    }
    out
}
