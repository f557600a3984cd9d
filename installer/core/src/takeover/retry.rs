//! A takeover that has divided the disk anew, and is begun over or completed.
//!
//! Its new system has failed the trial: it is begun over. Or a cut has torn the block by which
//! the new table counts, which then counts by its backup copy alone, and for a firmware that looks
//! at that: all that the new system needs was whole before, so that only this block is written
//! again. Both may have happened.
//!
//! Where it is begun over, the trial table counts, and the count of tries is spent: the boot loader
//! starts the old system, and goes on doing so while slot a is written anew. The commit is the one
//! block of the count. Table, boot loader and boot state stay as they are. What lies in slot a
//! counts for nothing, for an earlier retry may have been cut off.

use partitioner::ids::Ids;
use partitioner::inspect::TableProblem;
use partitioner::layout::Role;
use partitioner::takeover::{Primary, Takeover};
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

const STEPS: [TakeoverStep; 7] = [
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
        self.boot.gave_way() && matches!((state.slot, state.other), (Slot::A, Other::Old))
    }

    /// A cut has torn the block by which the trial table counts, and nobody has mended it since.
    pub fn is_torn(&self) -> bool {
        let state = self.boot.state;
        let is_torn = self.again.primary == Primary::Torn;
        is_torn && (state.slot, state.other, state.trial) == (Slot::A, Other::Old, Trial::Pending)
    }

    /// There is something to do on this disk before its new system is on trial.
    pub fn is_taken_up(&self) -> bool {
        self.gave_way() || self.is_torn()
    }
}

/// What is done. The commit is [`TakeoverStep::Retry`], or else [`TakeoverStep::Mend`].
pub(super) fn steps(trial: &TrialFacts, firmware: Firmware) -> Vec<TakeoverStep> {
    let mend = trial.is_torn().then_some(TakeoverStep::Mend);
    if trial.gave_way() {
        return mend.into_iter().chain(STEPS).collect();
    }
    let entry = match firmware {
        Firmware::Uefi => Some(TakeoverStep::BootEntry),
        Firmware::Bios => None,
    };
    [TakeoverStep::Verify].into_iter().chain(mend).chain(entry).collect()
}

/// Whether it may be begun over or completed.
pub(super) fn allowed(facts: &TakeoverFacts, trial: &TrialFacts) -> Result<(), Refusal> {
    let path = &facts.disk.path;
    let no = |what: String| Refusal::new(Exit::NotUpgradeable, what);
    let is_mended =
        |p: &&TableProblem| trial.is_torn() && matches!(p, TableProblem::PrimaryDamaged { .. });
    if let Some(problem) = facts.report.inspection.problems.iter().find(|p| !is_mended(p)) {
        return Err(Refusal::new(Exit::Unsuitable, format!("{path}: {problem}"))
            .hint("`partitioner repair` shows what can be done"));
    }
    if trial.is_taken_up() {
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

pub(super) fn failed(trial: &TrialFacts) -> Option<Failed> {
    let failed = || Failed { system: trial.system.clone(), reason: trial.boot.reason.clone() };
    trial.gave_way().then(failed)
}

/// Slot a, swap, and the blocks of the boot state; of a torn commit the primary table.
pub(super) fn write_set(plan: &TakeoverPlan, trial: &TrialFacts) -> Vec<Extent> {
    let mut set = Vec::new();
    if let Some(map) = plan.tables.trial.head.gpt.filter(|_| trial.is_torn()) {
        set.extend(Extent::with_len(map.header, 1));
        set.push(map.array);
    }
    if trial.gave_way() {
        let written = [Role::Root, Role::Swap].into_iter();
        let slot = written.filter_map(|role| plan.tables.trial.partition(role));
        set.extend(slot.map(|planned| planned.extent));
        set.extend(&trial.boot.extents);
    }
    set
}

pub(super) fn destroys(trial: &TrialFacts) -> Vec<String> {
    let slot = || "slot a: what the takeover before left there".to_owned();
    trial.gave_way().then(slot).into_iter().collect()
}
