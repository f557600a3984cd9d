//! A second run after a cut ends as the first would have: with the new system, and nothing else.

use boot_oracle::Firmware;
use crash_explorer::epochs::{epochs, performed, steps};
use crash_explorer::image::{Image, Overlay, View};
use crash_explorer::scenario::takeover::Host;
use partitioner::block::recorder::Recorder;
use partitioner::layout::Scheme;

/// What the machine boots from this image, in words.
fn boots(scenario: &crash_explorer::scenario::Scenario, image: &Image) -> String {
    let overlay = Overlay::new();
    scenario.machine().boot(&View { image, overlay: &overlay }).outcome.to_string()
}

#[test]
fn a_takeover_is_finished_from_wherever_it_was_cut() {
    for host in [
        Host::new(Scheme::Gpt, Firmware::Bios),
        Host::new(Scheme::Gpt, Firmware::Uefi),
        Host::new(Scheme::Mbr, Firmware::Bios),
        Host::in_gap(Firmware::Bios),
    ] {
        let scenario = host.record();
        let takeover = host.plan(&mut host.old_disk());
        let mut image = scenario.old.clone();
        let mut seen = 0;
        for epoch in epochs(&scenario.old, &scenario.steps) {
            // Half of what was in flight is there.
            for atom in epoch.atoms.iter().step_by(2) {
                image.put(atom.lba, atom.block.clone());
            }
            let half = image.clone();
            let recorder = Recorder::new(Box::new(half.to_mem("half")));
            let log = recorder.log();
            let is_committed = boots(&scenario, &half).starts_with("boots new");
            let disk = if is_committed {
                host.settle(Box::new(recorder), &takeover)
            } else {
                host.trial(Box::new(recorder), &log, &takeover)
            };
            host.last(disk, &log, &takeover);
            let done = performed(&half, &steps(&log.entries()));
            let name = &scenario.name;
            assert_eq!(boots(&scenario, &done), "boots new from slot a", "{name}, epoch {seen}");
            for atom in epoch.atoms {
                image.put(atom.lba, atom.block);
            }
            seen += 1;
        }
        assert!(seen > 20, "{seen} epochs");
    }
}
