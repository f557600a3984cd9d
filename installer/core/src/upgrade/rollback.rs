//! Back to the system in the other slot: whether it may, and what the boot state then is.
//!
//! The roles of the slots are swapped; nothing else is written, so the same command goes forward
//! again. A system that has never proven itself is on trial again when it is chosen.

use partitioner::layout::Role;

use super::{SlotFacts, UpgradeFacts, newer, refuse};
use crate::bootstate::{BootState, Other, Slot, Trial};
use crate::outcome::Exit;
use crate::request::Refusal;

/// What a rollback writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollbackPlan {
    /// The slot that is left.
    pub from: Slot,
    /// The slot that boots from now on.
    pub to: Slot,
    pub state: BootState,
}

fn no(message: impl Into<String>) -> Refusal {
    Refusal::new(Exit::NotUpgradeable, message)
}

/// Decides, or refuses.
///
/// While a trial is pending this gives the trial up, whether it still runs or has failed: the
/// system behind it becomes the chosen one.
pub fn plan(facts: &UpgradeFacts) -> Result<RollbackPlan, Refusal> {
    refuse::table(facts)?;
    let state = facts.boot.state;
    let from = state.slot;
    let to = match state.other {
        Other::A if from != Slot::A => Slot::A,
        Other::B if from != Slot::B => Slot::B,
        Other::A | Other::B | Other::None => {
            return Err(no(format!("slot {from} has no previous system to go back to"))
                .hint("an upgrade leaves one; an upgrade that was cut off has given it up"));
        }
        Other::Old => {
            return Err(no("the takeover of this host is not finished").hint(
                "its new system was blessed, and is the only one that boots until \
                 `host-installer finish` has copied the old one to slot b",
            ));
        }
    };
    for slot in [from, to] {
        if let Some(guest) = facts.slot(slot).saved_guests.first() {
            return Err(no(format!("slot {slot} holds a saved guest: {guest}")).hint(
                "it would meet its own past: `xl restore` it and shut it down, or delete the image",
            ));
        }
    }
    let target = facts.slot(to);
    let why = would_not_boot(facts, to, &target);
    if !why.is_empty() {
        return Err(no(format!("slot {to} would not boot: {}", why.join("; "))));
    }
    // An old host's system cannot bless itself; it ran for years.
    let proven = target.blessed || target.taken.is_some();
    let trial = if proven { Trial::Over } else { Trial::Pending };
    let generation = state.generation.saturating_add(1);
    let state = BootState { slot: to, other: from.into(), trial, generation };
    Ok(RollbackPlan { from, to, state })
}

/// Giving up the trial of a takeover: the old system boots, as it does after three failed boots.
/// One block, the count of tries; the takeover may be begun over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GiveUp {
    /// What has to be there.
    pub state: BootState,
}

impl GiveUp {
    /// `Ok(None)` for a host that no takeover is on trial on. [`Exit::Done`] where the old system
    /// boots already.
    pub fn plan(facts: &UpgradeFacts) -> Result<Option<Self>, Refusal> {
        let state = facts.boot.state;
        if (state.other, state.trial) != (Other::Old, Trial::Pending) {
            return Ok(None);
        }
        refuse::table(facts)?;
        if facts.table.partition(Role::OldRoot).is_none() {
            return Err(no("the old system is to be gone back to, and has no partition"));
        }
        match facts.boot.tries {
            Some(0) => Err(Refusal::new(
                Exit::Done,
                "no try of the takeover is left: the old system boots from now on",
            )
            .hint("`host-installer upgrade` begins the takeover over")),
            Some(_) | None => Ok(Some(Self { state })),
        }
    }
}

/// Whether there is something to go back to, in either way.
pub fn is_possible(facts: &UpgradeFacts) -> Result<(), Refusal> {
    match GiveUp::plan(facts)? {
        Some(_) => Ok(()),
        None => plan(facts).map(drop),
    }
}

/// `mode: rollback` in an answer file goes to the previous system, and not forward again when it is
/// read once more: a machine that always boots from the network would go to and fro.
pub fn already_back(facts: &UpgradeFacts) -> Result<(), Refusal> {
    let version = |slot| facts.slot(slot).inventory.map(|inventory| inventory.version);
    let chosen = facts.boot.state.slot;
    match (version(chosen), version(chosen.opposite())) {
        (Some(have), Some(other)) if newer(&other, &have) => {
            let what = format!("slot {chosen} has {have} and is the previous system already");
            Err(Refusal::new(Exit::Done, what)
                .hint(format!("`host-installer rollback` without answers goes on to {other}")))
        }
        (_, _) => Ok(()),
    }
}

/// Everything that speaks against a slot.
pub(super) fn would_not_boot(facts: &UpgradeFacts, slot: Slot, target: &SlotFacts) -> Vec<String> {
    let mut why: Vec<String> = target.problem.iter().cloned().collect();
    match &target.inventory {
        Some(inventory) if inventory.slot != slot => {
            why.push(format!("its inventory says that it is slot {}", inventory.slot));
        }
        Some(inventory) => {
            let product = facts.slot(slot.opposite()).inventory.map(|other| other.product);
            if product.is_some_and(|product| product != inventory.product) {
                why.push(format!("it holds another product, {}", inventory.product));
            }
            let own = facts.slot(slot.opposite()).inventory.map(|other| other.disk_id);
            if own.is_some_and(|id| id != inventory.disk_id) {
                why.push(format!("its inventory is of another disk, {}", inventory.disk_id));
            }
            let differs = |c: &super::Complete| c.build != inventory.build;
            if target.complete.as_ref().is_some_and(differs) {
                why.push("its marker is of another build than its inventory".to_owned());
            }
        }
        None if target.taken.is_some() => {}
        None if target.problem.is_none() => why.push("it holds no system".to_owned()),
        None => {}
    }
    // What has booted well was complete, also where an older installer left no marker.
    if target.complete.is_none() && !target.blessed && target.taken.is_none() {
        why.push("its installation was not finished".to_owned());
    }
    why.extend(target.missing.iter().map(|path| format!("{path} is missing")));
    why.extend(target.fs_errors.iter().map(|e| format!("its file system has errors: {e}")));
    why
}
