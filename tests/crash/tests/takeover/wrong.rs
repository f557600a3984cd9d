//! A takeover that is begun over, with one thing about its order made wrong, which must be seen.

use crash_explorer::explore::{Budget, explore};
use crash_explorer::judge::Promises;
use crash_explorer::mutate::Spoil;
use crash_explorer::scenario::Scenario;

use super::seed;

/// States of each, as far as those that are systematic leave room.
const STATES: usize = 500;
/// Of its states, so that the test takes seconds.
const ONE_OF: u64 = 16;

const SLOT: &str = "check the file system on root";
const RETRY: &str = "three tries: the new system boots, on trial again";

const SPOILS: [Spoil; 4] = [
    Spoil::Skip(RETRY),
    Spoil::Skip(SLOT),
    Spoil::Move(RETRY, SLOT),
    Spoil::NoFlushes(SLOT, RETRY),
];

fn is_seen(good: &Scenario, spoil: Spoil) -> bool {
    let mut bad = good.clone();
    spoil.apply(&mut bad.steps);
    let budget = Budget { seed: seed(), states: STATES, only: None, first: true, one_of: ONE_OF };
    let report = explore(&bad.old, &bad.steps, &mut Promises::new(&bad), budget);
    !report.violations.is_empty()
}

pub(crate) fn each(good: &Scenario) {
    let unseen: Vec<Spoil> = SPOILS.into_iter().filter(|spoil| !is_seen(good, *spoil)).collect();
    assert!(unseen.is_empty(), "{}: not seen: {unseen:#?}", good.name);
}
