//! Sampled crash states, started by real firmware and the real boot loader, which must do what the
//! oracle says: `SeaBIOS` for most, OVMF for a few.
//!
//! The disks are those of the explorer, with GRUB's own images and the real scripts; where a root
//! file system is whole by its stamps, a small real one takes its place, whose slot.cfg says which
//! it is and halts.
#![allow(clippy::unwrap_used, reason = "a test may stop wherever something is not as it should be")]
#![allow(
    clippy::disallowed_methods,
    reason = "this test runs GRUB's tools and QEMU on scratch disks"
)]
#![allow(clippy::arithmetic_side_effects, reason = "offsets of disks that were made up here")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use boot_oracle::fat::Fat;
use boot_oracle::{Firmware, Outcome, Slot};
use crash_explorer::epochs::epochs;
use crash_explorer::image::{Block, Image, Overlay, View};
use crash_explorer::scenario::takeover::Host;
use crash_explorer::scenario::{Scenario, fresh, upgrade};
use partitioner::layout::Scheme;
use partitioner::table::LayoutChoice;

#[path = "firmware/disk.rs"]
mod disk;
#[path = "firmware/loaders.rs"]
mod loaders;

use disk::{Lab, Roots};

/// One state to be started.
struct Sample<'a> {
    scenario: &'a Scenario,
    what: String,
    image: Image,
}

/// What the machine is to say.
fn marker(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Boots { slot: Slot::Old, .. } => "MARK old".to_owned(),
        Outcome::Boots { slot: Slot::A, .. } => "MARK a".to_owned(),
        Outcome::Boots { slot: Slot::B, .. } => "MARK b".to_owned(),
        Outcome::Message => "installation not finished".to_owned(),
        Outcome::Menu { .. } | Outcome::Corrupt { .. } | Outcome::Dead { .. } => {
            panic!("no state of the sample ends so: {outcome}")
        }
    }
}

fn host(source: Scheme, firmware: Firmware, lab: &Lab) -> Host {
    with_loaders(Host::new(source, firmware), lab)
}

fn with_loaders(mut host: Host, lab: &Lab) -> Host {
    host.old_loader = loaders::old(lab, host.source);
    host.loader = loaders::ours(lab);
    host
}

/// Every flushed state, every torn commit, and some with the tries used up.
fn samples(scenario: &Scenario) -> Vec<Sample<'_>> {
    let mut samples = Vec::new();
    let mut image = scenario.old.clone();
    let mut add = |what: String, image: &Image| {
        samples.push(Sample { scenario, what, image: image.clone() });
    };
    add("the old disk".to_owned(), &image);
    for (number, epoch) in epochs(&scenario.old, &scenario.steps).into_iter().enumerate() {
        let step = &scenario.steps[epoch.step].name;
        if let [atom] = epoch.atoms.as_slice()
            && atom.lba == 1
        {
            let mut torn = image.clone();
            torn.put(1, Block::Bytes([0xA5; 512].as_slice().into()));
            add(format!("epoch {number}, {step}, LBA 1 torn"), &torn);
        }
        let count = epoch.atoms.len();
        for (index, atom) in epoch.atoms.into_iter().enumerate() {
            if count > 20 && index == count / 2 {
                add(format!("epoch {number}, half of {step}"), &image);
            }
            image.put(atom.lba, atom.block);
        }
        add(format!("epoch {number}, {step}"), &image);
        if ["commit", "settle", "bless"].contains(&step.as_str())
            && let Some(spent) = spent(&image, scenario)
        {
            add(format!("epoch {number}, {step}, tries used up"), &spent);
        }
    }
    samples
}

/// The same with no tries left, where the table shows a boot partition.
fn spent(image: &Image, scenario: &Scenario) -> Option<Image> {
    let overlay = Overlay::new();
    let view = View { image, overlay: &overlay };
    if scenario.machine().boot(&view).outcome.version() != Some("new") {
        return None;
    }
    let parts = boot_oracle::table::grub(&view);
    let boot = parts.iter().find(|part| part.number == 4)?;
    let at = Fat::open(&view, boot.span)?.first_block("xenhost/tries.env")?;
    let mut image = image.clone();
    let block = installer_core::bootstate::tries_block(0);
    image.put(at, Block::Bytes(block[..512].into()));
    Some(image)
}

/// Starts every sample; what did not do what the oracle said.
fn disagreements(lab: &Lab, samples: &[Sample<'_>]) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(sample) = samples.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let overlay = Overlay::new();
                    let view = View { image: &sample.image, overlay: &overlay };
                    let outcome = sample.scenario.machine().boot(&view).outcome;
                    let want = marker(&outcome);
                    let said = lab.boot(sample.scenario.firmware, &sample.image, &want);
                    if !said.contains(&want) {
                        let Sample { scenario, what, .. } = sample;
                        let text = format!(
                            "{}, {what}: `{want}` was not said, but\n{said}",
                            scenario.name
                        );
                        wrong.lock().unwrap().push(text);
                    }
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

#[test]
fn bios_does_what_the_oracle_says() {
    let lab = Lab::new(Roots::of_bios());
    let gpt = host(Scheme::Gpt, Firmware::Bios, &lab);
    let mbr = host(Scheme::Mbr, Firmware::Bios, &lab);
    let gap = with_loaders(Host::in_gap(Firmware::Bios), &lab);
    let scenarios = [gpt.record(), mbr.record(), gap.record(), fresh::record(&gpt)];
    let all: Vec<Sample<'_>> = scenarios.iter().flat_map(samples).collect();
    // The states around a commit all, of the others one in four.
    let keep = |(index, sample): &(usize, Sample<'_>)| {
        let names =
            ["move", "commit", "settle", "torn", "used up", "switch", "arm", "old disk", "other"];
        index % 4 == 0 || names.iter().any(|name| sample.what.contains(name))
    };
    let chosen: Vec<Sample<'_>> =
        all.into_iter().enumerate().filter(keep).map(|(_, sample)| sample).collect();
    assert!(chosen.len() >= 40, "{} states", chosen.len());
    let wrong = disagreements(&lab, &chosen);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), chosen.len(), wrong.join("\n"));
}

/// Slots of 4 GiB in an MBR: the boot sector, the core in the volume's reserved sectors, the FAT12
/// volume and its state, from an old GPT disk to an upgrade.
#[test]
fn bios_boots_the_mbr_layout_as_the_oracle_says() {
    let lab = Lab::new(Roots::of_bios());
    let host = Host { layout: LayoutChoice::Legacy, ..host(Scheme::Gpt, Firmware::Bios, &lab) };
    let scenarios = [fresh::record(&host), upgrade::record(&host)];
    let all: Vec<Sample<'_>> = scenarios.iter().flat_map(samples).collect();
    let names = ["disarm", "arm", "restrict", "slot", "tries", "commit", "copy", "used up"];
    let chosen: Vec<Sample<'_>> = all
        .into_iter()
        .filter(|sample| names.iter().any(|name| sample.what.contains(name)))
        .collect();
    assert!(chosen.len() >= 8, "{} states", chosen.len());
    let wrong = disagreements(&lab, &chosen);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), chosen.len(), wrong.join("\n"));
}

#[test]
fn uefi_does_what_the_oracle_says() {
    let lab = Lab::new(Roots::of_uefi());
    let host = Host { trial_only: true, ..host(Scheme::Gpt, Firmware::Uefi, &lab) };
    let mut scenario = host.record();
    // The machine is a new one: no boot entry names this disk.
    scenario.entries.clear();
    let chosen: Vec<Sample<'_>> = samples(&scenario)
        .into_iter()
        .filter(|sample| {
            ["old disk", "LBA 1 torn", "commit"].iter().any(|name| sample.what.contains(name))
        })
        .collect();
    assert!(chosen.len() >= 4, "{} states", chosen.len());
    let wrong = disagreements(&lab, &chosen);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), chosen.len(), wrong.join("\n"));
}
