//! What is known of an installed host from its disk.

use std::collections::BTreeMap;

use partitioner::table::TablePlan;
use partitioner::units::Extent;
use serde::{Deserialize, Serialize};

use crate::bootstate::{BootState, Other, Slot, Trial};
use crate::facts::DiskFacts;
use crate::release::Manifest;
use crate::target::Inventory;

/// One disk with an installation of ours.
#[derive(Clone, Debug)]
pub struct UpgradeFacts {
    pub disk: DiskFacts,
    /// Whether both copies of the GPT are whole and say the same; otherwise what is wrong.
    pub table_problems: Vec<String>,
    /// The table as the disk has it, roles from the inventory.
    pub table: TablePlan,
    pub boot: BootRecord,
    pub slots: BTreeMap<Slot, SlotFacts>,
    /// The slot of the dom0 that asks. `None` for a disk at rest.
    pub running: Option<Slot>,
}

impl UpgradeFacts {
    /// A slot; an unknown one is empty.
    pub fn slot(&self, slot: Slot) -> SlotFacts {
        self.slots.get(&slot).cloned().unwrap_or_default()
    }

    /// What an upgrade left that was cut off before its commit: the other slot holds something, and
    /// nothing chooses it.
    pub fn unfinished(&self) -> Option<String> {
        let BootState { slot, other, trial, .. } = self.boot.state;
        let into = slot.opposite();
        let cut = (other, trial) == (Other::None, Trial::Over);
        (cut && self.slot(into) != SlotFacts::default()).then(|| {
            format!(
                "a previous attempt did not finish: nothing boots slot {into}; slot {slot}, the \
                 old system, boots as before"
            )
        })
    }

    /// What a takeover left that was begun over after a failed trial and cut off before its commit:
    /// slot a lacks the marker that it gets last.
    pub fn begun_over(&self) -> Option<String> {
        let slot = self.boot.state.slot;
        let is_back = self.boot.state.other == Other::Old && self.boot.gave_way();
        (is_back && self.running.is_none() && self.slot(slot).complete.is_none()).then(|| {
            format!(
                "a takeover has come as far as its trial, and slot {slot} is not whole; the old \
                 system boots as before"
            )
        })
    }
}

/// The boot partition's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootRecord {
    pub state: BootState,
    /// Both copies say the same.
    pub copies_agree: bool,
    /// Absent where the counter cannot be read.
    pub tries: Option<u8>,
    pub reason: Option<String>,
    /// The blocks of the disk that hold the state. Nothing else of the partition is written.
    pub extents: Vec<Extent>,
}

impl BootRecord {
    /// The trial is over in fact: no try is left, or a cut has torn their count, which the boot
    /// loader takes for none. It starts what is behind the chosen system.
    pub const fn gave_way(&self) -> bool {
        matches!((self.state.trial, self.tries), (Trial::Pending, Some(0) | None))
    }
}

/// What lies in a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotFacts {
    pub inventory: Option<Inventory>,
    /// The system of a host that was taken over, copied to the slot: `XenServer 7.1.0`.
    pub taken: Option<String>,
    /// Why there is no inventory, or what is wrong with the file system.
    pub problem: Option<String>,
    /// What the installer left when the slot was finished.
    pub complete: Option<Complete>,
    /// It has booted well at least once.
    pub blessed: bool,
    /// What a check of the file system found.
    pub fs_errors: Option<String>,
    /// A disk at rest: it was not shut down, and its journal holds what its blocks do not.
    pub needs_recovery: bool,
    /// Images of saved guests, as paths.
    pub saved_guests: Vec<String>,
    /// Files of the boot menu that are missing.
    pub missing: Vec<String>,
}

/// The marker of a slot that an installer finished: which release it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complete {
    pub version: String,
    pub build: String,
    /// Of the packed image, as the manifest has it.
    pub image_sha256: String,
}

impl Complete {
    /// Of what a release holds.
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            version: manifest.version.clone(),
            build: manifest.build.clone(),
            image_sha256: manifest.image.file_sha256.clone(),
        }
    }
}
