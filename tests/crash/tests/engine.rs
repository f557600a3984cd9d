//! The installer's own upgrade, bless and rollback on the recording device: every cut of them,
//! what was cut begun again and cut again, and long lives with cuts, failures and rollbacks.
//! Nothing here writes in an order of its own.
//!
//! `CRASH_SEED` chooses the random states and lives, `CRASH_LIVES` how many of these there are.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test may stop wherever something is not as it should be"
)]
#![allow(clippy::print_stdout, reason = "the figures are for whoever looks at the test")]

use boot_oracle::Firmware;
use crash_explorer::epochs::Step;
use crash_explorer::explore::{Budget, explore};
use crash_explorer::judge::Promises;
use crash_explorer::scenario::Scenario;
use installer_core::bootstate::Slot;

#[path = "engine/again.rs"]
mod again;
#[path = "engine/commands.rs"]
mod commands;
#[path = "engine/disk.rs"]
mod disk;
#[path = "engine/faults.rs"]
mod faults;
#[path = "engine/finished.rs"]
mod finished;
#[path = "engine/host.rs"]
mod host;
#[path = "engine/life.rs"]
mod life;
#[path = "engine/recorded.rs"]
mod recorded;
#[path = "engine/releases.rs"]
mod releases;
#[path = "engine/running.rs"]
mod running;
#[allow(dead_code, reason = "shared with the tests of the installer")]
#[path = "../../../installer/src/testing.rs"]
mod testing;

use host::{Shape, TinyHost};
use running::Health;

const SEED: u64 = 0x0e15_e26e_2026;
/// States of one upgrade in one firmware.
const STATES: usize = 1000;
/// The release that is upgraded to.
const NEXT: usize = 1;

fn seed() -> u64 {
    let text = std::env::var("CRASH_SEED").unwrap_or_default();
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or(SEED)
}

fn budget() -> Budget {
    Budget { seed: seed(), states: STATES, only: None, first: false, one_of: 1 }
}

/// Cuts a run everywhere. None of the cuts may break a promise, and what may boot does.
fn cut_everywhere(scenario: &Scenario, may: &[&str]) {
    let mut judge = Promises::new(scenario);
    let report = explore(&scenario.old, &scenario.steps, &mut judge, budget());
    println!("{}: {} states, {:?}", scenario.name, report.states, report.outcomes);
    let all: Vec<&str> = report.outcomes.keys().copied().collect();
    assert_eq!(all, may, "{}", scenario.name);
    let first = report.violations.first();
    assert!(first.is_none(), "{:#x}: {} of them, {first:?}", seed(), report.violations.len());
}

/// Forward, on trial, blessed and back, each cut at every write; and the upgrade, the bless and
/// the rollback begun again from cuts, and cut again.
fn cut_a_host(shape: Shape) {
    let mut host = TinyHost::install(shape);
    let both = ["boots new", "boots old"];
    let upgrades = shape.started_by.iter().map(|f| recorded::upgrade(&host, *f, NEXT));
    for upgrade in upgrades.collect::<Vec<_>>() {
        cut_everywhere(&upgrade, &both);
        again::upgrade(&mut host, &upgrade, NEXT);
    }
    let (_, steps) = host.upgrade(NEXT).unwrap();
    host.happens(&steps);
    let systems = recorded::finished(&host, NEXT);
    for firmware in shape.started_by {
        let unwell = recorded::trial(&mut host, *firmware, &systems, Health::Unwell);
        // A count that was torn is as good as a trial that failed.
        cut_everywhere(&unwell, &both);
        let well = recorded::trial(&mut host, *firmware, &systems, Health::Well);
        cut_everywhere(&well, &both);
        again::bless(&mut host, &well);
    }
    let (_, steps) = host.bless(Slot::B, Health::Well);
    host.happens(&steps);
    host.remember(Slot::B);
    for firmware in shape.started_by {
        let rollback = recorded::rollback(&host, *firmware, NEXT);
        cut_everywhere(&rollback, &both);
        again::rollback(&mut host, &rollback);
    }
}

#[test]
fn no_cut_strands_a_host() {
    cut_a_host(Shape::MODERN);
}

#[test]
fn no_cut_strands_a_small_host_with_a_gpt() {
    cut_a_host(Shape::LEGACY_GPT);
}

#[test]
fn no_cut_strands_a_small_host_with_an_mbr() {
    cut_a_host(Shape::LEGACY_MBR);
}

/// The same with one thing about the order made wrong, which must be seen.
#[test]
fn a_wrong_order_of_the_installer_s_upgrade_is_seen() {
    type Spoil = fn(&mut Vec<Step>);
    let spoils: [(&str, Spoil); 3] = [
        ("the commit comes first", |steps| {
            let commit = steps.iter().position(|step| step.name.contains("on trial")).unwrap();
            let step = steps.remove(commit);
            steps.insert(1, step);
        }),
        ("the commit is in flight with the slot", |steps| {
            for step in steps.iter_mut() {
                step.entries.retain(|e| *e != partitioner::block::recorder::Entry::Flush);
            }
        }),
        ("nothing is committed", |steps| {
            steps.retain(|step| !step.name.contains("on trial"));
        }),
    ];
    let host = TinyHost::install(Shape::MODERN);
    let good = recorded::upgrade(&host, Firmware::Uefi, NEXT);
    for (what, spoil) in spoils {
        let mut bad = good.clone();
        spoil(&mut bad.steps);
        let mut judge = Promises::new(&bad);
        let only_first = Budget { first: true, ..budget() };
        let report = explore(&bad.old, &bad.steps, &mut judge, only_first);
        assert!(!report.violations.is_empty(), "{what}: {:?}", report.outcomes);
    }
}
