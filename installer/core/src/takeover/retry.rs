//! A takeover that is begun over after its new system has failed the trial.
//!
//! The trial table counts, and the count of tries is spent: the boot loader starts the old system,
//! and goes on doing so while slot a is written anew. The commit is the one block of the count.
//! Table, boot loader and boot state stay as they are. What lies in slot a counts for nothing, for
//! an earlier retry may have been cut off.

use partitioner::ids::Ids;
use partitioner::layout::Role;
use partitioner::takeover::Takeover;
use partitioner::units::Extent;
use serde::Serialize;

use super::facts::{TakeoverFacts, TrialFacts};
use super::{TakeoverPlan, TakeoverStep, rerun};
use crate::bootstate::{Other, Slot, TRIES, Trial};
use crate::facts::Firmware;
use crate::outcome::Exit;
use crate::request::Refusal;

/// The trial that failed, in words for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// Where slot a can still be read.
    pub system: Option<String>,
    /// What its own health check said. None, where its user space was never reached.
    pub reason: Option<String>,
}

pub(super) const STEPS: [TakeoverStep; 7] = [
    TakeoverStep::WriteSlot,
    TakeoverStep::IdentifySlot,
    TakeoverStep::ConfigureSlot,
    TakeoverStep::CheckSlot,
    TakeoverStep::MakeSwap,
    TakeoverStep::Verify,
    TakeoverStep::Retry,
];

impl TrialFacts {
    /// The old system boots, and nothing in slot a is started unless somebody picks it.
    pub const fn gave_way(&self) -> bool {
        let state = self.boot.state;
        matches!(
            (state.slot, state.other, state.trial, self.boot.tries),
            (Slot::A, Other::Old, Trial::Pending, Some(0))
        )
    }
}

/// Whether it may be begun over.
pub(super) fn allowed(facts: &TakeoverFacts, trial: &TrialFacts) -> Result<(), Refusal> {
    let path = &facts.disk.path;
    let no = |what: String| Refusal::new(Exit::NotUpgradeable, what);
    if let Some(problem) = facts.report.inspection.problems.first() {
        return Err(Refusal::new(Exit::Unsuitable, format!("{path}: {problem}"))
            .hint("`partitioner repair` shows what can be done"));
    }
    if trial.gave_way() {
        return Ok(());
    }
    let left = trial.boot.tries.map_or("an unreadable number of".to_owned(), |n| n.to_string());
    Err(match trial.boot.state.trial {
        Trial::Pending => {
            no(format!("{path}: the takeover is on trial, with {left} of {TRIES} tries left"))
                .hint("start the host, which uses them; or `host-installer rollback` gives it up")
        }
        Trial::Over => no(format!(
            "{path}: the takeover is not finished, and its new system was blessed already"
        ))
        .hint("run `host-installer finish` in dom0; a unit does so after the bless"),
    })
}

/// The tables, with an identifier for the log partition of the final one.
pub(super) fn tables(trial: &TrialFacts, firmware: Firmware, ids: &mut Ids) -> Takeover {
    let mut tables = Takeover { firmware: firmware.into(), ..trial.again.takeover.clone() };
    for logs in tables.last.partitions.iter_mut().filter(|planned| planned.role == Role::Logs) {
        logs.guid = ids.guid("partition-logs");
    }
    tables
}

/// Our boot code is in LBA 0 where, and only where, a BIOS starts it.
pub(super) fn firmware(facts: &TakeoverFacts, trial: &TrialFacts) -> Firmware {
    if rerun::is_switched(&trial.again.takeover, facts) { Firmware::Bios } else { Firmware::Uefi }
}

pub(super) fn failed(trial: &TrialFacts) -> Failed {
    Failed { system: trial.system.clone(), reason: trial.boot.reason.clone() }
}

/// Slot a, swap, and the blocks of the boot state.
pub(super) fn write_set(plan: &TakeoverPlan, trial: &TrialFacts) -> Vec<Extent> {
    let written = [Role::Root, Role::Swap].into_iter();
    let slot = written.filter_map(|role| plan.tables.trial.partition(role)).map(|p| p.extent);
    slot.chain(trial.boot.extents.iter().copied()).collect()
}

pub(super) fn destroys() -> Vec<String> {
    vec!["slot a: what the takeover before left there".to_owned()]
}
