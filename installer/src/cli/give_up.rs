//! `rollback` where a takeover is on trial: it is given up.

use installer_core::outcome::{DiskState, Exit};
use installer_core::upgrade::rollback::GiveUp;
use serde_json::json;

use super::show::to_json;
use super::upgrade::Target;
use super::{Ended, Outcome, print};
use crate::upgrade::rollback;

/// Gives up a takeover that is on trial.
pub(super) fn perform(target: &Target, plan: GiveUp) -> Outcome {
    let mut site = target.site_for_state(plan.state.slot.opposite())?;
    rollback::give_up(plan, site.as_mut()).map_err(|error| Ended {
        exit: error.exit(),
        message: format!("rollback: {error}"),
        hint: Some("`host-installer status` says how many tries are left".to_owned()),
        state: DiskState::NewSystemBoots,
    })?;
    Err(Ended {
        exit: Exit::Done,
        message: "the takeover is given up: the old system boots from now on".to_owned(),
        hint: Some("`host-installer upgrade` from the medium begins it over".to_owned()),
        state: DiskState::OldSystemBoots,
    })
}

/// The old system of a takeover knows nothing of the new one.
pub(super) fn check(json: bool) -> Outcome {
    let told = json!({ "possible": true, "reason": null, "to": "old", "unknown": [] });
    print(&if json { to_json(&told)? } else { "the old system would boot\n".to_owned() });
    Err(Ended::early(Exit::Done, ""))
}
