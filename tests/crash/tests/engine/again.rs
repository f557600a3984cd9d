//! The power goes a second time: what was cut is begun again by the real code, from states of
//! each epoch, and the second run is cut as well.

use crash_explorer::explore::{Budget, explore, samples};
use crash_explorer::image::{Image, Overlay, View};
use crash_explorer::judge::Promises;
use crash_explorer::scenario::Scenario;
use installer_core::bootstate::{Slot, Trial};

use super::host::TinyHost;
use super::running::Health;
use super::{recorded, seed};

/// Cuts of each epoch.
const CUTS: usize = 3;
/// States of each second run, as far as those that are systematic leave room.
const STATES: usize = 40;

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    first_cuts: usize,
    /// Where there was nothing left to be begun again.
    done: usize,
    states: usize,
}

/// What is on the disk after a cut, and what boots from it.
struct Cut {
    image: Image,
    version: String,
}

/// Some states of each epoch.
fn cuts(first: &Scenario) -> Vec<Cut> {
    let all = samples(&first.old, &first.steps, seed(), CUTS);
    let cut = |image: Image| {
        let overlay = Overlay::new();
        let booted = first.machine().boot(&View { image: &image, overlay: &overlay }).outcome;
        let version = booted.version().unwrap_or_else(|| panic!("{}: {booted}", first.name));
        Cut { version: version.to_owned(), image: image.readable() }
    };
    all.into_iter().map(cut).collect()
}

/// Judges a second run.
fn judge(second: &Scenario) -> usize {
    let budget = Budget { seed: seed(), states: STATES, only: None, first: true, one_of: 1 };
    let report = explore(&second.old, &second.steps, &mut Promises::new(second), budget);
    let violation = report.violations.first();
    assert!(violation.is_none(), "{}, again, {:#x}: {violation:?}", second.name, seed());
    report.states
}

/// Begins again from each cut, by `run`; nothing comes of it where all was done.
fn each(
    host: &mut TinyHost,
    first: &Scenario,
    run: impl Fn(&mut TinyHost, &Cut) -> Option<Scenario>,
) {
    let before = host.disk.image.clone();
    let mut tally = Tally::default();
    for cut in cuts(first) {
        host.disk.image = cut.image.clone();
        tally.first_cuts += 1;
        match run(host, &cut) {
            Some(second) => tally.states += judge(&second),
            None => tally.done += 1,
        }
    }
    host.disk.image = before;
    println!("{}, again: {tally:?}", first.name);
    assert!(tally.done < tally.first_cuts, "{}: {tally:?}", first.name);
}

/// An upgrade that was cut is made again where the old system boots; where the new one does, its
/// trial goes on.
pub(crate) fn upgrade(host: &mut TinyHost, first: &Scenario, number: usize) {
    each(host, first, |host, cut| {
        if cut.version == "old" {
            return Some(recorded::upgrade(host, first.firmware, number));
        }
        let left = host.boot().tries.unwrap_or(0);
        Some(goes_on(host, first, cut, left))
    });
}

/// A trial that was cut is counted and blessed at the next boot.
pub(crate) fn bless(host: &mut TinyHost, first: &Scenario) {
    each(host, first, |host, cut| {
        let boot = host.boot();
        let is_on_trial = boot.state.trial == Trial::Pending;
        // With a count that was torn the old system runs: it leaves the state as it is.
        let left = boot.tries.filter(|_| is_on_trial && cut.version == "new")?;
        Some(goes_on(host, first, cut, left))
    });
}

/// A rollback that was cut is made again where it did not yet count.
pub(crate) fn rollback(host: &mut TinyHost, first: &Scenario) {
    each(host, first, |host, cut| {
        let steps = (cut.version == "old").then(|| host.rollback().unwrap())?;
        Some(Scenario { old: cut.image.clone(), steps, ..first.clone() })
    });
}

/// The next boot of the system on trial in slot b.
fn goes_on(host: &mut TinyHost, first: &Scenario, cut: &Cut, left: u8) -> Scenario {
    let mut steps = host.count(left.saturating_sub(1));
    host.happens(&steps);
    let (_, more) = host.bless(Slot::B, Health::Well);
    steps.extend(more);
    Scenario { old: cut.image.clone(), steps, ..first.clone() }
}
