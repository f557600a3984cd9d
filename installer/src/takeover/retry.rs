//! What is of its own where a takeover is begun over after a failed trial: the boot state is there
//! already, and the count of tries is the commit.

use installer_core::bootstate::TRIES;
use installer_core::outcome::{DiskState, Exit};
use installer_core::takeover::{TakeoverPlan, TakeoverStep, TrialFacts};

use super::boot_files;
use crate::engine::{Failure, StepError};
use crate::ports::Host;

/// The old system boots by what the plan was made from.
pub(super) fn unchanged(
    plan: &TakeoverPlan,
    trial: &TrialFacts,
    host: &mut dyn Host,
) -> Result<(), StepError> {
    let mut boot = boot_files(&plan.tables.trial, host)?;
    let (have, want) = ((boot.state()?, boot.tries()?), (trial.boot.state, trial.boot.tries));
    if have == want {
        return Ok(());
    }
    let (have, want) = (format!("{have:?}"), format!("{want:?}"));
    Err(StepError::StateChanged { have, want })
}

/// The reason of the trial before goes first, so that nobody takes it for one of this trial. Then
/// the one block: a count that is torn or cannot be read starts the old system, as none does.
pub(super) fn commit(plan: &TakeoverPlan, host: &mut dyn Host) -> Result<(), Failure> {
    let failed = |error: StepError, exit, state| Failure {
        step: Some(TakeoverStep::Retry.title()),
        error: Box::new(error),
        exit,
        state,
    };
    let old = DiskState::OldSystemBoots;
    let before = |error: StepError| {
        let exit = error.exit();
        failed(error, exit, old)
    };
    let mut boot = boot_files(&plan.tables.trial, host).map_err(before)?;
    // A bless that was cut may have left a copy that knows of no trial.
    boot.mend().map_err(|e| before(e.into()))?;
    boot.clear_reason().map_err(|e| before(e.into()))?;
    boot.write_tries(TRIES).map_err(|error| match boot.tries() {
        Ok(Some(1..)) => failed(error.into(), Exit::IoAtCommit, DiskState::NewSystemBoots),
        Ok(Some(0) | None) => failed(error.into(), Exit::IoBeforeCommit, old),
        Err(_) => failed(StepError::StateUnknown(error), Exit::IoAtCommit, old),
    })
}
