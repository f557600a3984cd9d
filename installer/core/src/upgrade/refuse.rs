//! Why a host is not upgraded. Nothing was written.

use partitioner::layout::Role;

use super::{UpgradeFacts, newer, role};
use crate::bootstate::{Other, Slot, Trial};
use crate::outcome::Exit;
use crate::release::Manifest;
use crate::request::Refusal;
use crate::target::Inventory;

fn no(message: impl Into<String>) -> Refusal {
    Refusal::new(Exit::NotUpgradeable, message)
}

/// Both copies of the table count: the slots are found through it.
pub(super) fn table(facts: &UpgradeFacts) -> Result<(), Refusal> {
    let path = &facts.disk.path;
    if let Some(problem) = facts.table_problems.first() {
        return Err(Refusal::new(Exit::Unsuitable, format!("{path}: {problem}")).hint(
            "`partitioner repair` shows what can be done; where the way to the layout modern \
                 was cut off, `upgrade --layout modern` goes on",
        ));
    }
    for slot in [Slot::A, Slot::B] {
        if facts.table.partition(role(slot)).is_none() {
            let what = format!("{path}: slot {slot} is not on this disk");
            return Err(Refusal::new(Exit::Unsuitable, what));
        }
    }
    Ok(())
}

/// The slot that stays. A trial that failed is over in fact: the other system runs again. So it is
/// where a cut has torn the count of tries, for the boot loader starts the other system then.
pub(super) fn base(facts: &UpgradeFacts) -> Result<Slot, Refusal> {
    let state = facts.boot.state;
    if facts.table.partition(Role::OldRoot).is_some() && state.trial == Trial::Over {
        return Err(no(
            "the takeover of this host is not finished: the old system has its partition",
        )
        .hint("run `host-installer finish` in dom0; a unit does so after the bless"));
    }
    let chosen = match (state.trial, state.other, facts.boot.tries) {
        (Trial::Over, _, _) => state.slot,
        (Trial::Pending, Other::A, Some(0) | None) => Slot::A,
        (Trial::Pending, Other::B, Some(0) | None) => Slot::B,
        (Trial::Pending, Other::Old, Some(0)) if facts.running.is_none() => {
            let what = format!(
                "the takeover of this host has failed its trial: no try of slot {} is left, and \
                 the old system boots again",
                state.slot
            );
            return Err(
                no(what).hint("`host-installer upgrade` from the medium begins the takeover over")
            );
        }
        (Trial::Pending, _, tries) => {
            let left = tries.map_or("an unreadable number of".to_owned(), |n| n.to_string());
            let what = format!("slot {} is on trial, with {left} tries left", state.slot);
            return Err(no(what)
                .hint("wait for it to be blessed, or give it up with `host-installer rollback`"));
        }
    };
    match facts.running {
        Some(running) if running != chosen => Err(no(format!(
            "slot {running} runs for one boot, slot {chosen} is the chosen one"
        ))
        .hint("restart into the chosen system, or make this one it: `host-installer rollback`")),
        Some(_) | None => Ok(chosen),
    }
}

/// What the old system says of itself fits the release.
pub(super) fn old_system<'f>(
    facts: &'f UpgradeFacts,
    from: Slot,
    manifest: &Manifest,
) -> Result<&'f Inventory, Refusal> {
    let missing = || no(format!("slot {from} holds no system that can be upgraded"));
    let slot = facts.slots.get(&from).ok_or_else(missing)?;
    let inventory = slot.inventory.as_ref().ok_or_else(|| match &slot.problem {
        Some(problem) => no(format!("slot {from}: {problem}")),
        None => missing(),
    })?;
    if inventory.slot != from {
        let says = inventory.slot;
        return Err(no(format!("slot {from}: its inventory says that it is slot {says}")));
    }
    release(inventory, manifest)?;
    if let Some(guest) = slot.saved_guests.first() {
        let more = slot.saved_guests.len();
        return Err(no(format!("slot {from} holds {more} saved guests, such as {guest}")).hint(
            "a saved guest would meet its own past on the other system: `xl restore` it and shut \
             it down, or delete the image",
        ));
    }
    if slot.needs_recovery {
        let what = format!("the file system of slot {from} needs recovery: it was not shut down");
        return Err(no(what).hint(
            "the upgrade only reads it: start the host once and shut it down, or upgrade it while \
             it runs",
        ));
    }
    if let Some(errors) = &slot.fs_errors {
        return Err(no(format!("the file system of slot {from} has errors: {errors}"))
            .hint("run e2fsck on it first, from the rescue entry of the boot menu"));
    }
    if !slot.blessed {
        return Err(no(format!("slot {from} has never finished a first boot"))
            .hint("boot it once and wait until `host-installer status` shows it well"));
    }
    Ok(inventory)
}

fn release(old: &Inventory, new: &Manifest) -> Result<(), Refusal> {
    not_downgrade(old, new)?;
    if (&old.version, &old.build) == (&new.version, &new.build) {
        let what = format!("the host has version {}, build {}, already", old.version, old.build);
        return Err(Refusal::new(Exit::Done, what));
    }
    Ok(())
}

/// The release may follow what the host has, or is the same.
pub fn not_downgrade(old: &Inventory, new: &Manifest) -> Result<(), Refusal> {
    let (have, want) = (&old.product, &new.product);
    if have != want {
        return Err(no(format!("the host is {have}, the release is {want}")));
    }
    let (have, want) = (&old.version, &new.version);
    if newer(have, want) {
        return Err(no(format!("downgrade refused: the host has {have}, the release is {want}"))
            .hint("`host-installer rollback` goes back to the system before"));
    }
    if newer(&new.min_upgrade_from, have) {
        let min = &new.min_upgrade_from;
        return Err(no(format!("the host has {have}, release {want} upgrades {min} or later")));
    }
    Ok(())
}
