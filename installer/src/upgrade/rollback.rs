//! Performs a rollback: two state files, one of which is the commit.

use installer_core::bootstate::{GIVEN_UP, TRIES, Trial};
use installer_core::upgrade::rollback::{GiveUp, RollbackPlan};

use super::site::Site;
use crate::bless::BootFiles;
use crate::engine::StepError;

/// Swaps the roles. The copy goes first; the first file is the commit.
pub fn perform(plan: &RollbackPlan, site: &mut dyn Site) -> Result<(), StepError> {
    let mut boot = BootFiles::open(site.open_boot()?)?;
    let have = boot.state()?;
    if have.generation.saturating_add(1) != plan.state.generation || have.slot != plan.from {
        let (have, want) = (format!("{have:?}"), format!("generation before {:?}", plan.state));
        return Err(StepError::StateChanged { have, want });
    }
    if plan.state.trial == Trial::Pending {
        boot.write_tries(TRIES)?;
    }
    Ok(boot.commit(plan.state)?)
}

/// Gives up the trial of a takeover: the count is the commit. The reason comes second, since it is
/// one of a trial that was given up.
pub fn give_up(plan: GiveUp, site: &mut dyn Site) -> Result<(), StepError> {
    let mut boot = BootFiles::open(site.open_boot()?)?;
    let have = boot.state()?;
    if have != plan.state {
        let (have, want) = (format!("{have:?}"), format!("{:?}", plan.state));
        return Err(StepError::StateChanged { have, want });
    }
    boot.mend()?;
    boot.write_tries(0)?;
    Ok(boot.write_reason(GIVEN_UP)?)
}
