//! The power goes a second time: what was cut is begun again by the real code, and cut as well.

use boot_oracle::disk::Disk as _;
use crash_explorer::explore::{Budget, Report, explore, samples};
use crash_explorer::image::{Image, Overlay, View};
use crash_explorer::judge::Promises;
use crash_explorer::scenario::Scenario;
use installer_core::outcome::Exit;

use super::lab::Lab;
use super::seed;

/// States of each second run, as far as those that are systematic leave room.
const STATES: usize = 40;
/// Of its states, so that the test takes seconds.
const ONE_OF: u64 = 16;

/// From so many cuts, spread over the run; each by chance in its epoch. What came of it.
pub(crate) fn each(lab: &Lab, first: &Scenario, cuts: usize) -> Report {
    let all = samples(&first.old, &first.steps, seed(), 1);
    let every = all.len().div_ceil(cuts).max(1);
    let (mut begun, mut done, mut torn, mut all_of_it) = (0, 0, 0, Report::default());
    for cut in all.into_iter().skip(every / 2).step_by(every) {
        let cut = cut.readable();
        if !has_boot_sector(&cut) {
            torn += 1;
            continue;
        }
        lab.put(&cut);
        let steps = lab.rest();
        assert_eq!(lab.scene.verify(), Exit::Done, "{}, again", first.name);
        if steps.is_empty() {
            done += 1;
            continue;
        }
        begun += 1;
        let second = lab.scenario("second run", &cut, steps);
        let budget =
            Budget { seed: seed(), states: STATES, only: None, first: true, one_of: ONE_OF };
        let report = explore(&second.old, &second.steps, &mut Promises::new(&second), budget);
        let violation = report.violations.first();
        assert!(violation.is_none(), "{}, again, {:#x}: {violation:?}", first.name, seed());
        all_of_it.add(report);
    }
    println!(
        "{}, again from {begun} cuts, {done} where all was done, {torn} of LBA 0 itself: {} \
         states",
        first.name, all_of_it.states
    );
    assert!(0 < begun, "{}", first.name);
    all_of_it
}

/// Where LBA 0 itself is torn nothing starts, and nobody knows the host: no order of writes can
/// prevent it.
fn has_boot_sector(cut: &Image) -> bool {
    let overlay = Overlay::new();
    let mut sector = vec![0; cut.block_bytes()];
    View { image: cut, overlay: &overlay }.read(0, &mut sector).is_ok()
        && sector.get(510..512) == Some(&[0x55, 0xAA])
}
