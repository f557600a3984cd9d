//! A takeover that has come as far as its trial, and whose new system says nothing of itself: one
//! that was begun over was cut off while slot a was written. Boot state and table are whole.

use installer_core::bootstate::Slot;
use installer_core::facts::DiskFacts;
use installer_core::request::Refusal;
use installer_core::upgrade::{UpgradeFacts, role};

use super::{slot_facts, table_problems};
use crate::call::Run;
use crate::takeover;

/// What is known of it. `Ok(None)` for a disk with none.
pub fn begun(disk: &DiskFacts, run: &mut dyn Run) -> Result<Option<UpgradeFacts>, Refusal> {
    let Some(old) = takeover::read::read(disk, None, run)? else { return Ok(None) };
    let Some(trial) = old.trial else { return Ok(None) };
    let table = trial.again.takeover.trial;
    let slots = [Slot::A, Slot::B].into_iter().filter_map(|slot| {
        let planned = table.partition(role(slot))?;
        Some((slot, slot_facts(disk, planned.extent, None, run)))
    });
    Ok(Some(UpgradeFacts {
        slots: slots.collect(),
        disk: disk.clone(),
        table_problems: table_problems(&old.report.inspection),
        boot: trial.boot,
        running: None,
        table,
    }))
}
