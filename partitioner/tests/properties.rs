//! Properties of planning over random disks: 1 GB to 20 TB, both block sizes, any table on them,
//! any wish.
//!
//! What is claimed here is worked out anew, without the judge of the library.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test may panic: that is how it fails"
)]

use std::sync::Arc;

use partitioner::apply::apply;
use partitioner::block::BlockIo;
use partitioner::block::fence::Fence;
use partitioner::block::memory::MemDisk;
use partitioner::check::check_plan;
use partitioner::ids::{Guid, Ids};
use partitioner::inspect::report::{Report, report};
use partitioner::layout::{BASIC_DATA, Compat, Firmware, Kind, LayoutName, Role, Scheme};
use partitioner::plan::{Facts, Outcome, Plan, PlanError, Policy, plan};
use partitioner::table::{
    Geometry, LayoutChoice, LayoutError, PreserveFirst, SrChoice, TableRequest, write_set,
};
use partitioner::units::{BlockSize, Bytes, Extent, Lba};
use proptest::prelude::*;
use proptest::sample::select;

#[path = "properties/disks.rs"]
mod disks;
use disks::{Old, old_disk, on_disk};

/// Cases of each property in a normal run.
const CASES: u32 = 2000;

fn wishes() -> impl Strategy<Value = TableRequest> {
    (
        select(vec![LayoutChoice::Auto, LayoutChoice::Modern, LayoutChoice::Legacy]),
        select(vec![Firmware::Bios, Firmware::Uefi]),
        proptest::option::weighted(0.3, 290_u32..9000),
        select(vec![SrChoice::Rest, SrChoice::Rest, SrChoice::None]),
        select(vec![PreserveFirst::Yes, PreserveFirst::No, PreserveFirst::IfUtility]),
        select(vec![Compat::None, Compat::Xenserver]),
    )
        .prop_map(|(layout, firmware, boot, sr, preserve_first, compat)| TableRequest {
            layout,
            firmware,
            boot_size: boot.map(Bytes::mib),
            sr,
            preserve_first,
            compat,
        })
}

fn planned(old: &Old, told: &Report, wish: &TableRequest) -> Result<Plan, PlanError> {
    let report = &Arc::new(told.clone());
    let facts = Facts { path: "disk.img", geometry: old.geometry, report };
    plan(&facts, wish, Policy::Replace, &mut Ids::from_seed([6; 32]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    /// No overlap, all aligned, all inside, and the judge agrees.
    #[test]
    fn a_table_is_sound(old in old_disk(), wish in wishes()) {
        let told = report(&mut on_disk(&old)).unwrap();
        let Ok(plan) = planned(&old, &told, &wish) else { return Ok(()) };
        prop_assert_eq!(check_plan(&plan, &told.inspection), []);
        let mut all: Vec<_> = plan.table.partitions.iter().collect();
        all.sort_by_key(|p| p.extent);
        let mib = (1 << 20) / old.geometry.block_size.bytes();
        let is_gpt = plan.table.scheme == Scheme::Gpt;
        let mut next = 1;
        for p in &all {
            prop_assert!(next <= p.extent.first().get(), "{:?}", all);
            next = p.extent.last().get() + 1;
            let in_gap = !is_gpt && p.role == Role::Boot;
            prop_assert!(p.kept || in_gap || p.extent.first().get() % mib == 0);
        }
        let backup = if is_gpt { 1 + 16384 / old.geometry.block_size.bytes() } else { 0 };
        prop_assert!(next + backup <= old.geometry.blocks);
        let sr = plan.table.partition(Role::Sr);
        prop_assert!(sr.is_none_or(|sr| Bytes::gib(1) <= plan.table.size_of(sr)));
        let shift = u32::from(plan.table.partition(Role::Preserved).is_some());
        prop_assert_eq!(plan.table.partition(Role::Root).map(|p| p.number), Some(1 + shift));
    }

    /// What is kept has its entry bit for bit, on the disk and not only in the plan, and none of
    /// its blocks is written; nothing outside the plan's regions is.
    #[test]
    fn what_is_kept_stays_bit_for_bit(old in old_disk(), wish in wishes()) {
        let mut disk = on_disk(&old);
        let told = report(&mut disk).unwrap();
        let Ok(plan) = planned(&old, &told, &wish) else { return Ok(()) };
        let kept: Vec<_> = plan.table.partitions.iter().filter(|p| p.kept).collect();
        for written in write_set(&plan.table).into_iter().chain(plan.write_set()) {
            prop_assert!(kept.iter().all(|p| !p.extent.overlaps(written)));
            prop_assert!(written.last().get() < old.geometry.blocks);
        }
        let block = vec![0xA5; usize::try_from(old.geometry.block_size.bytes()).unwrap()];
        for p in &kept {
            disk.write(p.extent.first(), &block).unwrap();
            disk.write(p.extent.last(), &block).unwrap();
        }
        let mut fence = Fence::new(Box::new(disk), plan.write_set());
        if plan.outcome == Outcome::Write {
            let table = plan.table.draw(&mut Ids::from_seed([7; 32]));
            apply(&mut fence, &table, &mut || true).unwrap();
        }
        let mut disk = fence.into_inner();
        let after = report(disk.as_mut()).unwrap().inspection;
        for p in &kept {
            let entry = |all: &[partitioner::inspect::Found]| {
                all.iter().find(|one| one.number == p.number).map(|one| one.entry.clone())
            };
            prop_assert_eq!(entry(&after.partitions), entry(&told.inspection.partitions));
            for at in [p.extent.first(), p.extent.last()] {
                let mut have = vec![0; block.len()];
                disk.read(at, &mut have).unwrap();
                prop_assert!(have == block);
            }
        }
    }

    /// Planning on the result of a plan finds nothing to do.
    #[test]
    fn planning_again_is_a_no_op(old in old_disk(), wish in wishes()) {
        let mut disk = on_disk(&old);
        let told = report(&mut disk).unwrap();
        let Ok(first) = planned(&old, &told, &wish) else { return Ok(()) };
        if first.outcome == Outcome::Write {
            let table = first.table.draw(&mut Ids::from_seed([7; 32]));
            apply(&mut disk, &table, &mut || true).unwrap();
        }
        let told = report(&mut disk).unwrap();
        // A partition that is to be preserved because it is asked for is still the first. Where
        // none was preserved, the new first partition may be number 1, and would be now.
        let again = planned(&old, &told, &wish);
        let asked = wish.preserve_first == PreserveFirst::Yes;
        prop_assert!(!asked || first.table.partition(Role::Preserved).is_some());
        let again = again.unwrap();
        prop_assert_eq!(again.outcome, Outcome::Nothing);
        prop_assert!(again.regions.is_empty() && again.destroys.is_empty());
    }

    /// In which order partitions were found changes nothing.
    #[test]
    fn the_order_of_finding_does_not_matter(
        old in old_disk(),
        wish in wishes(),
        shuffled in any::<prop::sample::Index>(),
    ) {
        let mut told = report(&mut on_disk(&old)).unwrap();
        let one = planned(&old, &told, &wish);
        let count = told.inspection.partitions.len();
        if count > 0 {
            told.inspection.partitions.rotate_left(shuffled.index(count));
            told.inspection.partitions.reverse();
        }
        let two = planned(&old, &told, &wish);
        match (one, two) {
            (Ok(one), Ok(two)) => {
                prop_assert_eq!(one.table, two.table);
                prop_assert_eq!((one.regions, one.outcome), (two.regions, two.outcome));
                prop_assert_eq!(one.destroys, two.destroys);
            }
            (Err(one), Err(two)) => prop_assert_eq!(one, two),
            (one, two) => prop_assert!(false, "{:?} and {:?}", one.is_ok(), two.is_ok()),
        }
    }

    /// A refusal is for a reason that is true of the disk or the wish; without one there is a plan.
    #[test]
    fn a_refusal_has_a_reason(old in old_disk(), wish in wishes()) {
        let told = report(&mut on_disk(&old)).unwrap();
        let size = old.geometry.size();
        let legacy = match wish.layout {
            LayoutChoice::Auto => size < Bytes::gib(46),
            LayoutChoice::Modern => false,
            LayoutChoice::Legacy => true,
        };
        let bios = wish.firmware == Firmware::Bios;
        let is_mbr = legacy && bios;
        let boot = wish.boot_size.unwrap_or(Bytes::ZERO);
        let reason = match planned(&old, &told, &wish) {
            Ok(plan) => {
                let name = if legacy { LayoutName::Legacy } else { LayoutName::Modern };
                prop_assert_eq!(plan.table.layout, name);
                prop_assert_eq!(plan.table.scheme == Scheme::Mbr, is_mbr);
                return Ok(());
            }
            Err(PlanError::Layout(reason)) => reason,
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        };
        let true_of_it = match &reason {
            LayoutError::TooSmall { have, need } => have == &size && have < need,
            LayoutError::TooSmallFor { have, need, .. }
            | LayoutError::TooSmallAfter { have, need, .. } => {
                have < need && have <= &size && need.get() <= Bytes::gib(46 + 9).get()
            }
            LayoutError::FourKOnBios => bios && old.geometry.block_size == BlockSize::B4096,
            LayoutError::BeyondMbr { have, max } => is_mbr && max < have,
            LayoutError::BootSize { .. } => boot < Bytes::mib(300),
            LayoutError::BootSizeFixed { .. } => is_mbr && boot != Bytes::ZERO,
            LayoutError::Preserve(_) => wish.preserve_first != PreserveFirst::No,
            LayoutError::BlockSize { .. }
            | LayoutError::BootSizeNotMib { .. }
            | LayoutError::DoesNotFit { .. } => false,
        };
        prop_assert!(true_of_it, "{}", reason);
        let text = reason.to_string();
        prop_assert!(!text.is_empty() && !text.ends_with('.'), "{}", text);
    }
}
