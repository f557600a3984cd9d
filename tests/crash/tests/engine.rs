//! The installer's own upgrade, bless and rollback on the recording device: every cut of an
//! upgrade, and long lives with cuts, failures and rollbacks. Nothing here writes in an order of
//! its own.
//!
//! `CRASH_SEED` chooses the random states and lives.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test may stop wherever something is not as it should be"
)]
#![allow(clippy::print_stdout, reason = "the figures are for whoever looks at the test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use boot_oracle::Firmware;
use boot_oracle::disk::{Disk, Span};
use boot_oracle::installed::Installed;
use boot_oracle::known::{BootCode, Known, Program};
use boot_oracle::system::{System, Systems};
use crash_explorer::epochs::{Step, performed};
use crash_explorer::explore::{Budget, explore};
use crash_explorer::image::{Block, Image};
use crash_explorer::judge::Promises;
use crash_explorer::scenario::{Scenario, Untouched};
use installer_core::release::{BOOT_IMG, CORE_IMG, GRUB_EFI};
use partitioner::layout::Role;

#[path = "engine/host.rs"]
mod host;
#[path = "engine/life.rs"]
mod life;
#[allow(dead_code, reason = "shared with the tests of the installer")]
#[path = "../../../installer/src/testing.rs"]
mod testing;

use host::{TinyHost, VERSION_FILE, VERSIONS};

const SEED: u64 = 0x0e15_e26e_2026;
/// States of one upgrade in one firmware.
const STATES: usize = 1000;

fn seed() -> u64 {
    let text = std::env::var("CRASH_SEED").unwrap_or_default();
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or(SEED)
}

/// Boot loaders of the host's release.
fn known(host: &TinyHost) -> Known {
    let read = |name: &str| std::fs::read(host.release_dir(0).join(name)).unwrap();
    Known {
        boot_codes: vec![(read(BOOT_IMG), BootCode::Grub)],
        cores: vec![(read(CORE_IMG), Program::Ours)],
        volume_sectors: Vec::new(),
        efi: vec![(read(GRUB_EFI), Program::Ours)],
    }
}

fn slots(host: &TinyHost) -> boot_oracle::Slots {
    boot_oracle::Slots {
        uuid_a: host.uuids[0],
        uuid_b: host.uuids[1],
        uuid_old: None,
        rescue_at: vec![host.table.head.rescue.first().get()],
    }
}

type Blocks = BTreeMap<u64, Arc<[u8]>>;

/// Real file systems. A slot is whole when its blocks are those of the finished one.
#[derive(Clone, Debug, Default)]
struct Finished {
    /// What a version is called, and where it is whole: blocks of the disk.
    versions: BTreeMap<String, (&'static str, Blocks)>,
}

impl Finished {
    fn add(&mut self, version: &str, word: &'static str, image: &Image, slot: Span) {
        let end = slot.first + slot.blocks;
        let used = image.used().filter(|(lba, _)| (slot.first..end).contains(lba));
        let blocks = used.filter_map(|(lba, block)| match block {
            Block::Bytes(bytes) => Some((lba, Arc::clone(bytes))),
            Block::Unreadable => None,
        });
        self.versions.insert(version.to_owned(), (word, blocks.collect()));
    }
}

impl Systems for Finished {
    fn look(&self, disk: &dyn Disk, span: Span) -> Result<System, String> {
        let mut system = Installed { version_file: VERSION_FILE }.look(disk, span)?;
        let (word, blocks) =
            self.versions.get(&system.version).ok_or("no release that is known")?;
        let mut have = vec![0; disk.block_bytes()];
        system.whole = system.whole
            && blocks.iter().all(|(lba, want)| {
                disk.read(*lba, &mut have).is_ok() && have.as_slice() == &want[..]
            });
        (*word).clone_into(&mut system.version);
        Ok(system)
    }
}

fn span(host: &TinyHost, role: Role) -> Span {
    let extent = host.extent(role);
    Span { first: extent.first().get(), blocks: extent.blocks() }
}

/// The upgrade of a host as a scenario of the explorer.
fn scenario(host: &TinyHost, firmware: Firmware, number: usize) -> Scenario {
    let (plan, steps) = host.upgrade(number).unwrap();
    let mut finished = Finished::default();
    finished.add(VERSIONS[0], "old", &host.image, span(host, Role::Root));
    let end = performed(&host.image, &steps);
    finished.add(VERSIONS[number], "new", &end, span(host, Role::Backup));
    Scenario {
        name: format!("engine's upgrade {firmware:?}").to_lowercase(),
        firmware,
        old: host.image.clone(),
        steps,
        keeps_old: true,
        entry_must_match: false,
        has_gpt: true,
        entries: Vec::new(),
        known: known(host),
        systems: Arc::new(finished),
        slots: slots(host),
        untouched: Untouched::between(&plan.write_set(), host.image.blocks()),
        secret_in: vec![host.extent(Role::Root), host.extent(Role::Backup)],
        ends: "new",
    }
}

fn budget() -> Budget {
    Budget { seed: seed(), states: STATES, only: None, first: false }
}

#[test]
fn no_cut_of_the_installer_s_upgrade_strands_the_host() {
    let host = TinyHost::install();
    for firmware in [Firmware::Bios, Firmware::Uefi] {
        let scenario = scenario(&host, firmware, 1);
        let mut judge = Promises::new(&scenario);
        let report = explore(&scenario.old, &scenario.steps, &mut judge, budget());
        println!("{}: {} states, {:?}", scenario.name, report.states, report.outcomes);
        assert!(STATES / 2 < report.states, "{} states", report.states);
        assert!(report.outcomes.contains_key("boots old"), "{:?}", report.outcomes);
        assert!(report.outcomes.contains_key("boots new"), "{:?}", report.outcomes);
        let first = report.violations.first();
        assert!(first.is_none(), "{}: {} of them, {first:?}", seed(), report.violations.len());
    }
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
    let host = TinyHost::install();
    let good = scenario(&host, Firmware::Uefi, 1);
    for (what, spoil) in spoils {
        let mut bad = good.clone();
        spoil(&mut bad.steps);
        let mut judge = Promises::new(&bad);
        let only_first = Budget { first: true, ..budget() };
        let report = explore(&bad.old, &bad.steps, &mut judge, only_first);
        assert!(!report.violations.is_empty(), "{what}: {:?}", report.outcomes);
    }
}
