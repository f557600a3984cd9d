//! A takeover that was cut off before its first commit, and is run again.
//!
//! What it had written is scratch and written again, but for one thing: the rescue record, with the
//! LBA 0 of the old host in it. The record is kept as long as the plan is the same, so that a rerun
//! must lay out the same table with the same identifiers.

use partitioner::inspect::{GptState, Inspection, Table, TableProblem};
use partitioner::layout::Role;
use partitioner::rescue::{Region, Rescue};
use partitioner::takeover::Takeover;

use super::facts::TakeoverFacts;
use crate::outcome::Exit;
use crate::request::Refusal;

/// GRUB's `boot.img` keeps there which block it loads.
const KERNEL_SECTOR: usize = 0x5C;

/// LBA 0 loads a core image from where this takeover puts ours, and a record says what it was.
pub(super) fn is_switched(tables: &Takeover, facts: &TakeoverFacts) -> bool {
    let field = facts.lba0.get(KERNEL_SECTOR..).and_then(|rest| rest.first_chunk::<8>());
    let loads = field.map(|bytes| u64::from_le_bytes(*bytes));
    let core = tables.trial.head.core_a.map(|place| place.first().get());
    // A disk of ours had such a block before.
    let is_saved = facts.saved_lba0.as_ref() == Some(&facts.lba0);
    record(facts).is_some() && core.is_some() && loads == core && !is_saved
}

/// Takes the identifiers of an earlier run. Whether there was one.
pub(super) fn adopt(tables: &mut Takeover, facts: &TakeoverFacts) -> Result<bool, Refusal> {
    let Some(saved) = record(facts) else { return Ok(false) };
    let switched = is_switched(tables, facts);
    let is_same = same_places(&Rescue::of(&tables.trial), saved);
    if switched && !is_same {
        let what = format!(
            "{}: a takeover was cut off that laid out the disk in another way; its boot code is in \
             LBA 0 already",
            facts.disk.path
        );
        return Err(Refusal::new(Exit::Unsuitable, what)
            .hint("run it again with the release and installer that began it"));
    }
    // A record of an LBA 0 that the old host has replaced since is made anew: by other identifiers.
    if !is_same || (!switched && facts.saved_lba0.as_ref() != Some(&facts.lba0)) {
        return Ok(false);
    }
    for plan in [&mut tables.trial, &mut tables.last] {
        plan.disk_guid = saved.disk_guid;
        for planned in &mut plan.partitions {
            let region = saved.regions.iter().find(|region| region.role == planned.role);
            planned.guid = region.map_or(planned.guid, |region| region.guid);
        }
    }
    Ok(true)
}

/// The table that counts. A run that was cut off has prepared the trial table behind it: from a
/// GPT its backup copy, while the primary one, which everything starts by, is still the old host's;
/// from an MBR one copy or both, which count for nothing until block 0 has an entry of type 0xEE.
pub(super) fn as_it_counts(facts: &TakeoverFacts) -> Inspection {
    let mut found = facts.report.inspection.clone();
    if record(facts).is_none() {
        return found;
    }
    match &mut found.table {
        Table::Gpt { state: state @ GptState::PrimaryOnly, .. } => {
            *state = GptState::Whole;
            found.problems.retain(|problem| !is_of_backup(problem));
        }
        Table::Mbr { .. } => {
            found.problems.retain(|problem| *problem != TableProblem::NoProtectiveMbr);
        }
        Table::Gpt { .. } | Table::None | Table::GptDamaged { .. } | Table::Unfinished => {}
    }
    found
}

/// Only the backup copy is not what the primary one is.
fn is_of_backup(problem: &TableProblem) -> bool {
    matches!(problem, TableProblem::BackupDamaged { .. } | TableProblem::CopiesDisagree { .. })
}

/// The record of a takeover.
fn record(facts: &TakeoverFacts) -> Option<&Rescue> {
    let is_takeover = |record: &&Rescue| record.regions.iter().any(|r| r.role == Role::OldRoot);
    facts.report.rescue.as_ref().filter(is_takeover)
}

fn same_places(one: &Rescue, other: &Rescue) -> bool {
    let places = |record: &Rescue| {
        let place = |r: &Region| (r.number, r.role, r.extent);
        record.regions.iter().map(place).collect::<Vec<_>>()
    };
    places(one) == places(other)
}
