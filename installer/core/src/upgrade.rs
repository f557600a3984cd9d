//! Upgrade of an installed host into its other slot, and the way back. Pure: facts of the disk in,
//! plan or refusal out.
//!
//! The layout is kept: no table, no boot loader and nothing of the running slot is written. What is
//! given up is the system in the other slot, and the refusals here are what protects everything
//! else. Every front end gets the same ones.

use partitioner::layout::Role;
use partitioner::units::{Bytes, Extent};

pub mod accounts;
pub mod asked;
pub mod carry;
mod facts;
mod own;
mod refuse;
mod render;
pub mod rollback;
mod step;
mod verify;
mod version;

pub use facts::{BootRecord, Complete, SlotFacts, UpgradeFacts};
pub use own::{MARKER, OldTexts, OwnError, SlotPlace, marker_file, own_files};
pub use refuse::not_downgrade;
pub use render::{render, to_json};
pub use step::UpgradeStep;
pub use verify::{Check, verify};
pub use version::newer;

use crate::answers::Health;
use crate::bootcfg::BootFiles;
use crate::bootstate::{BootState, Other, Slot, Trial};
use crate::outcome::Exit;
use crate::plan::ReleaseId;
use crate::release::Manifest;
use crate::request::Refusal;
use crate::target::{Inventory, RelPath};
use crate::values::{DeploymentId, Minutes};

/// What will be done to one host.
#[derive(Clone, Debug)]
pub struct UpgradePlan {
    pub facts: UpgradeFacts,
    /// The slot that stays as it is, and becomes the previous system.
    pub from: Slot,
    /// The slot that is written.
    pub into: Slot,
    /// What the running system says of itself.
    pub inventory: Inventory,
    pub release: ReleaseId,
    pub boot_files: BootFiles,
    /// Before anything is written to the slot, so that nothing can choose it.
    pub restricted: BootState,
    /// The commit.
    pub committed: BootState,
    /// What is wanted beside the release itself.
    pub wish: Wish,
    pub steps: Vec<UpgradeStep>,
    /// What will be lost, one line per thing.
    pub destroys: Vec<String>,
    /// What stays as it is.
    pub keeps: Vec<String>,
    /// SHA-256 in lower-case hexadecimal.
    pub digest: String,
}

impl UpgradePlan {
    /// What the new system says of itself, but for slot and release.
    pub fn next_inventory(&self) -> Inventory {
        let old = self.inventory.clone();
        let Wish { deployment_id, health, .. } = &self.wish;
        Inventory {
            deployment_id: match deployment_id {
                Some(id) => Some(id.as_str().to_owned()),
                None => old.deployment_id,
            },
            health_timeout_minutes: health.timeout.map(Minutes::get).or(old.health_timeout_minutes),
            ..old
        }
    }

    /// The role of the partition that is written.
    pub const fn role(&self) -> Role {
        role(self.into)
    }

    /// Where the new system lies, and how it is named.
    pub fn place(&self) -> Result<SlotPlace, OwnError> {
        SlotPlace::of(&self.inventory, self.into)
    }

    /// All that may be written: the other slot and the blocks of the boot state.
    pub fn write_set(&self) -> Vec<Extent> {
        let mut set = self.facts.boot.extents.clone();
        set.extend(self.facts.table.partition(self.role()).map(|planned| planned.extent));
        set
    }
}

/// The partition of a slot.
pub const fn role(slot: Slot) -> Role {
    match slot {
        Slot::A => Role::Root,
        Slot::B => Role::Backup,
    }
}

/// What is to be done beside the release itself.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// What the administrator wants carried over beside the declared list.
    pub keep: Vec<RelPath>,
    /// The name that the host has from then on; its old one where none is given.
    pub deployment_id: Option<DeploymentId>,
    /// How long the new system may take until it is well; as before where nothing is said.
    pub health: Health,
    /// What was found on the old host, and is not carried over.
    pub left_behind: Vec<String>,
}

/// Decides everything, or refuses.
pub fn plan(
    facts: &UpgradeFacts,
    manifest: &Manifest,
    wish: &Wish,
) -> Result<UpgradePlan, Refusal> {
    let from = base(facts)?;
    let inventory = refuse::old_system(facts, from, manifest)?.clone();
    let into = from.opposite();
    let slot = facts.table.partition(role(into)).map(|planned| facts.table.size_of(planned));
    fits(into, slot.unwrap_or(Bytes::ZERO), manifest)?;
    let restricted = BootState {
        slot: from,
        other: Other::None,
        trial: Trial::Over,
        generation: facts.boot.state.generation.saturating_add(1),
    };
    let committed = BootState {
        slot: into,
        other: from.into(),
        trial: Trial::Pending,
        generation: restricted.generation.saturating_add(1),
    };
    let mut plan = UpgradePlan {
        from,
        into,
        release: release_id(manifest),
        boot_files: crate::plan::boot_files(manifest)?,
        restricted,
        committed,
        wish: wish.clone(),
        steps: step::of(role(into)),
        destroys: destroys(facts, into),
        keeps: keeps(facts, from),
        digest: String::new(),
        facts: facts.clone(),
        inventory,
    };
    plan.place().map_err(|e| Refusal::new(Exit::NotUpgradeable, e.to_string()))?;
    plan.digest = render::digest(&plan);
    Ok(plan)
}

/// The slot that runs, or that would run: the one that the upgrade starts from.
pub fn base(facts: &UpgradeFacts) -> Result<Slot, Refusal> {
    refuse::table(facts)?;
    refuse::base(facts)
}

fn fits(into: Slot, have: Bytes, manifest: &Manifest) -> Result<(), Refusal> {
    let need = Bytes::new(manifest.image.size);
    if need <= have {
        return Ok(());
    }
    let what = format!(
        "slot {into} has {have}, the dom0 image of {} {} needs {need}",
        manifest.product, manifest.version
    );
    Err(Refusal::new(Exit::Unsuitable, what))
}

fn release_id(manifest: &Manifest) -> ReleaseId {
    crate::plan::release_id(manifest)
}

fn destroys(facts: &UpgradeFacts, into: Slot) -> Vec<String> {
    let slot = facts.slot(into);
    let what = match (&slot.inventory, &slot.taken, &slot.problem) {
        (Some(old), _, _) => {
            format!("slot {into}: the previous system, {} {}", old.product, old.version)
        }
        (None, Some(taken), _) => {
            format!("slot {into}: {taken}, the system that was taken over")
        }
        (None, None, Some(problem)) => format!("slot {into}: {problem}"),
        (None, None, None) => return Vec::new(),
    };
    vec![what]
}

fn keeps(facts: &UpgradeFacts, from: Slot) -> Vec<String> {
    let mut keeps = vec![format!("slot {from}: the running system, bit for bit, to fall back to")];
    for (role, what) in [(Role::Logs, "logs"), (Role::Swap, "swap"), (Role::Sr, "guest storage")] {
        if let Some(planned) = facts.table.partition(role) {
            keeps.push(format!("partition {}: {what}", planned.number));
        }
    }
    keeps.push("partition table, boot loader, rescue system".to_owned());
    keeps
}

#[cfg(test)]
mod tests;
