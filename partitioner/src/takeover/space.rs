//! Which blocks a takeover may write, in each of its two halves.

use super::{Takeover, joined};
use crate::layout::{Role, Scheme};
use crate::table::TablePlan;
use crate::units::{Extent, Lba};

/// What stays bit for bit until the new system has proved itself.
pub fn kept(takeover: &Takeover) -> Vec<Extent> {
    let is_old = |role| matches!(role, Role::OldRoot | Role::OldBoot);
    let old = takeover.trial.partitions.iter().filter(|planned| is_old(planned.role));
    joined(old.map(|planned| planned.extent).collect())
}

/// Every block that may be written up to the first commit and by its clean-up, in ascending order.
///
/// Slot b is not among them: it lies over the head of the old storage repository, which the old
/// system finds again if the new one is given up. Of the new storage repository there are only the
/// ranges where a signature could be.
pub fn trial_write_set(takeover: &Takeover) -> Vec<Extent> {
    let plan = &takeover.trial;
    let mut set = head_set(plan);
    for planned in &plan.partitions {
        match planned.role {
            Role::Root | Role::Boot | Role::Swap => set.push(planned.extent),
            Role::Sr => set.extend(edges(plan, planned.extent)),
            Role::Backup | Role::Logs | Role::OldRoot | Role::OldBoot | Role::Preserved => {}
        }
    }
    if takeover.source == Scheme::Mbr || plan.head.core_a.is_some() {
        set.extend(Extent::with_len(Lba::new(0), 1));
    }
    joined(set)
}

/// Every block that may be written after the bless: slot b, the table, the log partition, and the
/// boot state.
pub fn final_write_set(takeover: &Takeover) -> Vec<Extent> {
    let plan = &takeover.last;
    let mut set = head_set(plan);
    let wanted = |role| matches!(role, Role::Backup | Role::Logs | Role::Boot);
    set.extend(plan.partitions.iter().filter(|p| wanted(p.role)).map(|p| p.extent));
    joined(set)
}

/// Header, arrays, rescue record, cores, and the backup copy.
fn head_set(plan: &TablePlan) -> Vec<Extent> {
    let head = &plan.head;
    let mut set = vec![head.rescue];
    set.extend(head.old_lba0.and_then(|at| Extent::with_len(at, 1)));
    set.extend(head.core_a);
    set.extend(head.core_b);
    if let Some(gpt) = head.gpt {
        set.extend([gpt.array, gpt.spare, gpt.backup_array(plan.geometry)]);
        set.extend(Extent::with_len(gpt.header, 1));
        set.extend(Extent::with_len(gpt.backup_header(plan.geometry), 1));
    }
    set
}

/// The first and the last MiB of an extent, or all of a small one.
pub(crate) fn edges(plan: &TablePlan, extent: Extent) -> Vec<Extent> {
    let mib = plan.geometry.blocks_per_mib().min(extent.blocks());
    let first = Extent::with_len(extent.first(), mib);
    let last = extent.last().get().saturating_sub(mib.saturating_sub(1));
    first.into_iter().chain(Extent::with_len(Lba::new(last), mib)).collect()
}
