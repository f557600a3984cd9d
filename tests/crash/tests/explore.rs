//! A hundred thousand states that a power cut can leave, none of which may break a promise.
//!
//! `CRASH_SEED` chooses the random ones, `CRASH_SCENARIO` and `CRASH_STATE` one state alone,
//! `CRASH_STATES` how many; `CRASH_FIGURES=write` renews the checked-in figures.
#![allow(clippy::unwrap_used, reason = "a test may stop wherever something is not as it should be")]
#![allow(clippy::print_stdout, reason = "the figures are for whoever looks at the test")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use boot_oracle::Firmware;
use crash_explorer::explore::{Budget, explore, state};
use crash_explorer::figures::{Figures, Part, renew};
use crash_explorer::judge::Promises;
use crash_explorer::mutate::MUTATIONS;
use crash_explorer::scenario::takeover::Host;
use crash_explorer::scenario::{Scenario, fresh, grown, upgrade};
use partitioner::layout::Scheme;

const SEED: u64 = 0x0c0f_fee0_2026;
const STATES: usize = 100_000;
/// Threads: one per core of the smallest machine that this is run on.
const THREADS: usize = 2;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let hex = text.strip_prefix("0x").map(|hex| u64::from_str_radix(hex, 16));
    Some(hex.unwrap_or_else(|| text.parse()).unwrap_or_else(|_| panic!("{name} is {text}")))
}

fn scenarios() -> Vec<Scenario> {
    let (bios, uefi) = (Firmware::Bios, Firmware::Uefi);
    let mut all = Vec::new();
    for firmware in [bios, uefi] {
        for source in [Scheme::Gpt, Scheme::Mbr] {
            let host = Host::new(source, firmware);
            all.push(fresh::record(&host));
            all.push(host.record());
            all.push(fresh::record(&Host::legacy(source, firmware)));
        }
        all.push(upgrade::record(&Host::legacy(Scheme::Gpt, firmware)));
        let host = Host::new(Scheme::Gpt, firmware);
        all.extend([upgrade::record(&host), grown::record(&host)]);
    }
    all.push(Host::in_gap(bios).record());
    let large = Host::large();
    all.extend([fresh::record(&large), large.record()]);
    all.extend([upgrade::record(&large), grown::record(&large)]);
    all
}

fn target() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| own.join("../../target"), PathBuf::from)
}

#[test]
fn no_cut_breaks_a_promise() {
    let begun = Instant::now();
    let seed = number("CRASH_SEED").unwrap_or(SEED);
    let states = number("CRASH_STATES").map_or(STATES, |n| usize::try_from(n).unwrap());
    let only = number("CRASH_STATE").map(|n| usize::try_from(n).unwrap());
    let wanted = std::env::var("CRASH_SCENARIO").ok();
    let mut scenarios = scenarios();
    scenarios.retain(|scenario| wanted.as_ref().is_none_or(|name| *name == scenario.name));
    assert!(!scenarios.is_empty(), "no scenario is called {wanted:?}");
    let share = states.div_ceil(scenarios.len());
    let budget = Budget { seed, states: share, only, first: false, one_of: 1 };
    let figures = Mutex::new(Figures { seed, ..Figures::default() });
    let failed = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut judge = Promises::new(scenario);
                    let report = explore(&scenario.old, &scenario.steps, &mut judge, budget);
                    figures
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .add(&scenario.name, &report);
                    if let Some((number, violation)) = report.violations.first() {
                        let dumped = dump(scenario, budget, *number);
                        let text = format!(
                            "{}: {} violations, the first in state {number} {violation}; {dumped}\n\
                             again: CRASH_SEED={seed:#x} CRASH_SCENARIO='{}' CRASH_STATE={number} \
                             CRASH_STATES={states}",
                            scenario.name,
                            report.violations.len(),
                            scenario.name,
                        );
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                    }
                }
            });
        }
    });
    let mut figures = figures.into_inner().unwrap();
    figures.seconds = begun.elapsed().as_secs_f64();
    let text = figures.of_protocols(MUTATIONS.len());
    println!("{text}");
    std::fs::write(
        target().join("crash-figures.json"),
        serde_json::to_vec_pretty(&figures).unwrap(),
    )
    .unwrap();
    if std::env::var("CRASH_FIGURES").as_deref() == Ok("write") {
        renew(Path::new(env!("CARGO_MANIFEST_DIR")), Part::Protocols, &text).unwrap();
    }
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Writes the state to a sparse file, and says where.
fn dump(scenario: &Scenario, budget: Budget, number: usize) -> String {
    let Some((image, recipe)) = state(&scenario.old, &scenario.steps, budget, number) else {
        return "the end state".to_owned();
    };
    let path = target().join(format!("crash-{}-{number}.img", scenario.name.replace(' ', "-")));
    image.dump(&path).unwrap();
    let torn = recipe.torn;
    format!("epoch {}, torn {torn:?}, dumped to {}", recipe.epoch, path.display())
}
