//! Whether an installed host is whole: its table, its boot state, and both of its slots. Pure.

use partitioner::layout::Role;
use serde::Serialize;

use super::rollback::would_not_boot;
use super::{SlotFacts, UpgradeFacts};
use crate::bootstate::{Other, Slot, Trial};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub what: String,
    /// What is wrong with it; empty for what is well.
    pub problems: Vec<String>,
}

/// Looks at everything, in the order in which a boot needs it.
pub fn verify(facts: &UpgradeFacts) -> Vec<Check> {
    let mut checks = vec![
        Check { what: "partition table".to_owned(), problems: facts.table_problems.clone() },
        Check { what: "boot state".to_owned(), problems: boot_state(facts) },
    ];
    checks.extend([Slot::A, Slot::B].map(|slot| check_slot(facts, slot)));
    checks.extend(takeover(facts));
    checks
}

/// The old system beside the new one, until `finish`.
fn takeover(facts: &UpgradeFacts) -> Option<Check> {
    let state = facts.boot.state;
    let named = state.other == Other::Old;
    let old = facts.table.partition(Role::OldRoot);
    let problem = match (named, old, state.trial) {
        (false, None, _) => return None,
        (true, None, _) => Some("the old system is to be fallen back to, and has no partition"),
        (_, Some(_), Trial::Over) => {
            Some("it is not finished: run `host-installer finish` in dom0")
        }
        (_, Some(_), Trial::Pending) => None,
    };
    let place =
        old.map_or_else(String::new, |p| format!(", the old system in partition {}", p.number));
    let problems = problem.into_iter().map(str::to_owned).collect();
    Some(Check { what: format!("takeover (on trial){place}"), problems })
}

fn boot_state(facts: &UpgradeFacts) -> Vec<String> {
    let mut problems = Vec::new();
    if !facts.boot.copies_agree {
        problems.push("its two copies differ".to_owned());
    }
    if facts.boot.tries.is_none() {
        problems.push("the count of tries cannot be read".to_owned());
    }
    problems
}

/// A slot that the boot state names must boot; another one may be empty.
fn check_slot(facts: &UpgradeFacts, slot: Slot) -> Check {
    let state = facts.boot.state;
    let (role, named) = match (state.slot == slot, state.other) {
        (true, _) if state.trial == Trial::Pending => ("on trial", true),
        (true, _) => ("chosen", true),
        (false, Other::A | Other::B) => ("to fall back to", true),
        (false, Other::Old | Other::None) if facts.unfinished().is_some() => {
            ("left by an attempt that did not finish", false)
        }
        (false, Other::Old | Other::None) => ("not used", false),
    };
    let found = facts.slot(slot);
    let holds = holds(&found);
    let problems = if named { would_not_boot(facts, slot, &found) } else { Vec::new() };
    Check { what: format!("slot {slot} ({role}): {holds}"), problems }
}

fn holds(found: &SlotFacts) -> String {
    match (&found.inventory, &found.taken) {
        (Some(old), _) => format!("{} {}, build {}", old.product, old.version, old.build),
        (None, Some(taken)) => format!("{taken}, which was taken over"),
        (None, None) => "no system".to_owned(),
    }
}
