//! The installer's own takeover, bless and finish on the recording device: real file systems, a
//! repository of a real LVM, and every cut. The same for a takeover that is begun over after its
//! trial has failed. What was cut is begun again by the command itself, and cut a second time. And
//! long lives of such hosts.
//!
//! `CRASH_SEED` chooses the random states and lives, `CRASH_LIVES` how many of these there are;
//! `CRASH_FIGURES=write` renews the checked-in figures.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test may stop wherever something is not as it should be"
)]
#![allow(clippy::print_stdout, reason = "the figures are for whoever looks at the test")]
#![allow(clippy::disallowed_methods, reason = "a test runs the tools directly")]

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crash_explorer::epochs::{epochs, performed};
use crash_explorer::explore::{Budget, Report, explore};
use crash_explorer::figures::{Figures, Part, renew};
use crash_explorer::judge::Promises;
use crash_explorer::scenario::Scenario;

#[path = "takeover/again.rs"]
mod again;
#[allow(dead_code, reason = "the engine's other tests use it too")]
#[path = "engine/commands.rs"]
mod commands;
#[allow(dead_code, reason = "the engine's other tests use it too")]
#[path = "engine/disk.rs"]
mod disk;
#[path = "takeover/events.rs"]
mod events;
#[path = "takeover/lab.rs"]
mod lab;
#[path = "takeover/life.rs"]
mod life;
#[path = "takeover/lives.rs"]
mod lives;
#[allow(dead_code, reason = "the engine's other tests use it too")]
#[path = "engine/releases.rs"]
mod releases;
#[path = "engine/running.rs"]
mod running;
#[allow(dead_code, reason = "shared with the tests of the installer")]
#[path = "../../../installer/src/takeover/tests/scene.rs"]
mod scene;
#[path = "takeover/systems.rs"]
mod systems;
#[allow(dead_code, reason = "shared with the tests of the installer")]
#[path = "../../../installer/src/testing.rs"]
mod testing;
#[path = "takeover/wrong.rs"]
mod wrong;

use lab::Lab;
use lives::KINDS;
use scene::Kind;

const SEED: u64 = 0x07a6_e03e_2026;
/// States of one takeover.
const STATES: usize = 1500;
/// Cuts after which the commands are run again.
const BY_COMMANDS: usize = 4;
/// Cuts after which what is left to do is cut a second time.
const AGAIN: usize = 4;
const AGAIN_OF_RETRY: usize = 3;
/// Threads: one per core of the smallest machine that this is run on.
const THREADS: usize = 2;

fn seed() -> u64 {
    let text = std::env::var("CRASH_SEED").unwrap_or_default();
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or(SEED)
}

/// Cuts a run everywhere. None of the cuts may break a promise, and both systems boot.
fn explored(scenario: &Scenario) -> Report {
    let budget = Budget { seed: seed(), states: STATES, only: None, first: false, one_of: 1 };
    let mut judge = Promises::new(scenario);
    let report = explore(&scenario.old, &scenario.steps, &mut judge, budget);
    println!("{}: {} states, {:?}", scenario.name, report.states, report.outcomes);
    let first = report.violations.first();
    assert!(first.is_none(), "{:#x}: {} of them, {first:?}", seed(), report.violations.len());
    for word in ["boots old", "boots new"] {
        assert!(report.outcomes.contains_key(word), "{:?}", report.outcomes);
    }
    report
}

/// The commands are given again on what a cut has left: half of what was in flight is there.
fn by_commands(lab: &Lab, scenario: &Scenario, cuts: usize) {
    let all = epochs(&scenario.old, &scenario.steps);
    let every = all.len().div_ceil(cuts).max(1);
    let mut image = scenario.old.clone();
    for (number, epoch) in all.iter().enumerate() {
        if number % every == every / 2 {
            let mut half = image.clone();
            for atom in epoch.atoms.iter().step_by(2) {
                half.put(atom.lba, atom.block.clone());
            }
            println!("{}: again from epoch {number} of {}", scenario.name, all.len());
            lab.put(&half);
            lab.again();
        }
        for atom in &epoch.atoms {
            image.put(atom.lba, atom.block.clone());
        }
    }
}

/// A GPT of ours is started by both, and no boot code is changed.
fn by_bios(takeover: &Scenario) -> Scenario {
    Scenario {
        name: format!("{} by bios", takeover.name),
        firmware: boot_oracle::Firmware::Bios,
        entry_must_match: false,
        entries: Vec::new(),
        ..takeover.clone()
    }
}

/// What was tried on one kind of host, by scenario, and how many wrong orders were seen.
fn cut_everywhere(kind: Kind) -> (Vec<(String, Report)>, usize) {
    let mut lab = Lab::new(kind);
    let mut steps = lab.take_over();
    let on_trial = performed(&lab.old, &steps);
    steps.extend(lab.bless());
    steps.extend(lab.finish());
    let takeover = lab.scenario("takeover", &lab.old, steps);
    let mut tried = vec![(takeover.name.clone(), explored(&takeover))];
    if kind == Kind::OwnGpt {
        explored(&by_bios(&takeover));
    }
    let mut wrong = wrong::takeover(&takeover, &lab.tables);
    by_commands(&lab, &takeover, BY_COMMANDS);
    tried.push((format!("{}, again", takeover.name), again::each(&lab, &takeover, AGAIN)));
    lab.put(&on_trial);
    lab.fail_trial();
    lab.next_release();
    let failed = disk::load(&lab.scene.disk());
    let retry = lab.scenario("second takeover", &failed, lab.take_over());
    tried.push((retry.name.clone(), explored(&retry)));
    wrong += wrong::retry(&retry, &lab.tables);
    by_commands(&lab, &retry, 1);
    tried.push((format!("{}, again", retry.name), again::each(&lab, &retry, AGAIN_OF_RETRY)));
    (tried, wrong)
}

#[test]
fn no_cut_strands_a_host_of_another_product() {
    let begun = Instant::now();
    let figures = Mutex::new((Figures { seed: seed(), ..Figures::default() }, 0));
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(kind) = KINDS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (tried, wrong) = cut_everywhere(*kind);
                    let mut figures = figures.lock().unwrap();
                    for (name, report) in &tried {
                        figures.0.add(name, report);
                    }
                    figures.1 += wrong;
                }
            });
        }
    });
    let (mut figures, wrong) = figures.into_inner().unwrap();
    figures.seconds = begun.elapsed().as_secs_f64();
    let text = figures.of_takeovers(wrong);
    println!("{text}");
    if std::env::var("CRASH_FIGURES").as_deref() == Ok("write") {
        renew(Path::new(env!("CARGO_MANIFEST_DIR")), Part::Takeovers, &text).unwrap();
    }
}

#[test]
fn no_cut_strands_a_host_of_ours_with_an_mbr() {
    cut_everywhere(Kind::OwnMbr);
}

#[test]
fn no_cut_strands_a_host_of_ours_with_a_gpt() {
    cut_everywhere(Kind::OwnGpt);
}
