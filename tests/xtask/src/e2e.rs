//! `cargo xtask e2e`: scenarios, each a whole path through the product, most of them in QEMU.
//!
//! With a budget, the order rotates by commit, so that what one run leaves out another one does.

mod answers;
mod at_rest;
mod boots;
mod builder;
mod cuts;
mod facts;
mod guest;
mod host;
mod lost;
mod media;
mod netboot;
mod offline;
mod packages;
mod refusals;
mod small;
mod takeover;
mod to_modern;
mod unattended;
mod upgrade;
mod upgrade_bios;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::call::Call;
use crate::failure::{Failure, Result};
use crate::lab::Lab;
use crate::qemu::Display;

/// One scenario.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    what: &'static str,
    /// How long it takes under emulation on two cores, with what others may have left for it.
    minutes: u64,
    run: fn(&mut Lab) -> Result<()>,
}

const fn scenario(
    name: &'static str,
    minutes: u64,
    what: &'static str,
    run: fn(&mut Lab) -> Result<()>,
) -> Scenario {
    Scenario { name, what, minutes, run }
}

const SCENARIOS: &[Scenario] = &[
    scenario("install-uefi", 8, "ISO, install, boot, look, power off; UEFI", boots::install_uefi),
    scenario("install-bios", 8, "the same; BIOS", boots::install_bios),
    scenario("legacy-uefi", 8, "a disk of 20 GiB: 4 GiB slots; UEFI, GPT", small::uefi),
    scenario("legacy-bios", 8, "the same; BIOS, MBR", small::bios),
    scenario("usb-stick-uefi", 2, "the medium as a USB stick; UEFI", media::usb_stick_uefi),
    scenario("usb-stick-bios", 2, "the medium as a USB stick; BIOS", media::usb_stick_bios),
    scenario(
        "crossed-firmware",
        8,
        "installed by one firmware, boots in the other",
        boots::crossed,
    ),
    scenario("rescue", 3, "the rescue entry of the boot menu", boots::rescue),
    scenario(
        "answers-http",
        10,
        "answers from a web server by the kernel line; the second start finds nothing to do",
        answers::http,
    ),
    scenario("answers-label", 2, "answers from a stick labelled ANSWERFILE", answers::label),
    scenario("netboot", 3, "no medium: answers and release from the web", netboot::installs),
    scenario("netboot-error", 4, "no medium for the release; power off", netboot::fails),
    scenario("offline-boots", 3, "a disk made by image-builder boots to Xen", offline::boots),
    scenario("offline-equals", 6, "the offline disk is the installed disk", offline::equals),
    scenario(
        "dom0-config",
        14,
        "all that answers ask of dom0, after two starts",
        host::dom0_config,
    ),
    scenario(
        "guest",
        9,
        "a guest with a disk and a card, before and after a start of the host; time by DHCP",
        guest::guest,
    ),
    scenario("facts", 5, "machines as `facts` sees them, against the recordings", facts::record),
    scenario("package-reinstall", 14, "kernel and Xen reinstalled, power cut", packages::reinstall),
    scenario("upgrade", 15, "upgrade, trial, rollback, forward", upgrade::there_and_back),
    scenario("upgrade-bios", 15, "the same by BIOS; once by the menu", upgrade_bios::modern),
    scenario("upgrade-legacy", 15, "the same with 4 GiB slots and an MBR", upgrade_bios::legacy),
    scenario("upgrade-rescue", 4, "from the rescue entry", upgrade_bios::rescue),
    scenario("upgrade-dies", 18, "new Xen missing, new kernel panics", upgrade::dies),
    scenario("upgrade-unwell", 15, "new system comes up and is not well", upgrade::unwell),
    scenario(
        "upgrade-unattended",
        6,
        "media with answers: upgrade, nothing to do, trial, rollback",
        unattended::there_and_back,
    ),
    scenario("upgrade-lost", 6, "new system that bless cannot judge", lost::lost),
    scenario("upgrade-no-boot", 11, "new system that loses its boot partition", lost::no_boot),
    scenario("upgrade-hangs", 15, "new system whose PID 1 hangs", lost::hangs),
    scenario(
        "old-hosts",
        5,
        "stand-ins of old hosts boot by their own loaders",
        takeover::old_hosts,
    ),
    scenario(
        "takeover-refused",
        2,
        "old hosts with a guest's disk are left alone",
        takeover::refused,
    ),
    scenario(
        "takeover-mbr-extlinux",
        6,
        "an old host with extlinux is taken over",
        takeover::mbr_extlinux,
    ),
    scenario("takeover-mbr-grub", 6, "the same with GRUB before the root", takeover::mbr_grub),
    scenario("takeover-gpt-bios", 6, "the same from a GPT, by BIOS", takeover::gpt_bios),
    scenario(
        "takeover-medium",
        6,
        "an old host is taken over from the medium",
        takeover::from_medium,
    ),
    scenario(
        "takeover-unattended",
        14,
        "the same by a medium with answers; UEFI",
        takeover::unattended,
    ),
    scenario("takeover-gpt-uefi", 8, "the same by UEFI", takeover::gpt_uefi),
    scenario("to-modern-bios", 10, "4 GiB slots and an MBR of ours to modern", to_modern::bios),
    scenario("to-modern-uefi", 10, "the same with a GPT, by UEFI", to_modern::uefi),
    scenario("takeover-again", 8, "one that failed its trial is begun over", takeover::again),
    scenario("corrupt-medium", 4, "one byte of the image flipped on the ISO", media::corrupt),
    scenario("hook-says-no", 2, "a script before the first write fails", media::hook),
    scenario("no-disk", 2, "a machine without any disk", media::no_disk),
    scenario("small-disk", 1, "a disk below 12 GiB", refusals::small_disk),
    scenario("bad-answers", 1, "answer files that are none", refusals::bad_answers),
    scenario("wrong-serial", 1, "a serial that no disk has", refusals::wrong_serial),
    scenario("disk-in-use", 1, "a disk with content and on_existing refuse", refusals::not_blank),
    scenario("corrupt-release", 1, "one byte of the image flipped, offline", refusals::corrupt),
    scenario("iso-reproducible", 3, "two builds are byte-identical", builder::reproducible),
    scenario("missing-package", 1, "the archive lacks a package", builder::missing_package),
    scenario("no-space", 1, "the build machine's disk is full", builder::no_space),
    scenario(
        "power-cut-install",
        14,
        "the message after a cut; the next run ends well",
        cuts::install,
    ),
    scenario(
        "power-cut-upgrade",
        12,
        "cuts of an upgrade by UEFI, from a log of its writes",
        cuts::upgrade,
    ),
    scenario("power-cut-takeover", 14, "cuts of a takeover by BIOS, the same way", cuts::takeover),
];

/// Which scenarios to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    pub(crate) budget: Option<Duration>,
    pub(crate) only: Vec<String>,
}

/// How many passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

impl Tally {
    pub(crate) fn count<T>(&mut self, name: &str, result: Result<T>) {
        match result {
            Ok(_) => {
                self.passed += 1;
                println!("PASS {name}");
            }
            Err(failure) => {
                self.failed += 1;
                println!("FAIL {name}: {failure}");
            }
        }
    }

    pub(crate) fn last_line(self) -> ExitCode {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

pub(crate) fn list() {
    for Scenario { name, what, minutes, .. } in SCENARIOS {
        println!("{name:21} ~{minutes:2} min  {what}");
    }
}

pub(crate) fn e2e(choice: &Choice) -> Result<ExitCode> {
    let chosen = chosen(&choice.only)?;
    let begun = Instant::now();
    let mut lab = Lab::open("e2e", Display::Headless)?;
    let (mut tally, mut left_out) = (Tally::default(), Vec::new());
    for scenario in rotated(&chosen, commit_number(&lab)) {
        let estimate = Duration::from_secs(scenario.minutes * 60);
        if choice.budget.is_some_and(|budget| begun.elapsed() + estimate > budget) {
            left_out.push(scenario.name);
            continue;
        }
        println!("\n== {}: {}", scenario.name, scenario.what);
        let at = Instant::now();
        let result = lab.apart(scenario.name, scenario.run);
        println!("   {}: {:.0} s", scenario.name, at.elapsed().as_secs_f64());
        tally.count(scenario.name, result);
    }
    println!("\nStages:\n{}", lab.report.table());
    match left_out.as_slice() {
        [] => println!("every chosen scenario ran"),
        names => println!("not run for lack of time: {}", names.join(" ")),
    }
    if tally.failed == 0 {
        crate::cache::remove(&lab.root)?;
    } else {
        println!("logs and disks: {}", lab.root.display());
    }
    Ok(tally.last_line())
}

fn chosen(only: &[String]) -> Result<Vec<Scenario>> {
    if only.is_empty() {
        return Ok(SCENARIOS.to_vec());
    }
    let find = |name: &String| SCENARIOS.iter().find(|s| s.name == *name).copied();
    let missing = only.iter().find(|name| find(name).is_none());
    if let Some(name) = missing {
        let known: Vec<_> = SCENARIOS.iter().map(|s| s.name).collect();
        return Err(Failure::check(format!("no scenario {name}; there are {}", known.join(" "))));
    }
    Ok(only.iter().filter_map(find).collect())
}

/// A number that changes with every commit; 0 outside a checkout.
fn commit_number(lab: &Lab) -> usize {
    let hash = Call::new("git").args(["rev-parse", "HEAD"]).dir(&lab.folders.repo).stdout();
    let hash = hash.unwrap_or_default();
    usize::from_str_radix(hash.get(..6).unwrap_or("0"), 16).unwrap_or(0)
}

fn rotated(scenarios: &[Scenario], by: usize) -> Vec<Scenario> {
    let mut order = scenarios.to_vec();
    if !order.is_empty() {
        order.rotate_left(by % scenarios.len());
    }
    order
}

/// Reads `40m`, `90s` or `2h`.
pub(crate) fn parse_budget(text: &str) -> std::result::Result<Duration, String> {
    let bad = || format!("`{text}` is not a time such as 40m, 90s or 2h");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
    let number: u64 = number.parse().map_err(|_| bad())?;
    let seconds = match unit {
        "s" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3600),
        _ => None,
    };
    seconds.map(Duration::from_secs).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_comes_first_with_some_commit() {
        let first: std::collections::BTreeSet<_> =
            (0..SCENARIOS.len()).map(|n| rotated(SCENARIOS, n)[0].name).collect();
        assert_eq!(first.len(), SCENARIOS.len());
        let names: std::collections::BTreeSet<_> = SCENARIOS.iter().map(|s| s.name).collect();
        assert_eq!(names.len(), SCENARIOS.len());
    }

    #[test]
    fn a_budget_has_a_unit() {
        assert_eq!(parse_budget("40m"), Ok(Duration::from_secs(2400)));
        assert_eq!(parse_budget("90s"), Ok(Duration::from_secs(90)));
        for bad in ["", "40", "m", "-1m", "4d"] {
            assert!(parse_budget(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_scenario_nobody_knows_is_named() {
        let error = chosen(&["boots".to_owned()]).err().unwrap().to_string();
        assert!(error.contains("no scenario boots") && error.contains("install-uefi"), "{error}");
    }

    #[test]
    fn the_last_line_counts() {
        let mut tally = Tally::default();
        tally.count("a", Ok(()));
        tally.count("b", Err::<(), _>(Failure::check("why")));
        assert_eq!(tally, Tally { passed: 1, failed: 1 });
    }
}
