//! The installer's own takeover, bless and finish on the recording device: real file systems, a
//! repository of a real LVM, and every cut. What was cut is begun again by the command itself.
//!
//! `CRASH_SEED` chooses the random states.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test may stop wherever something is not as it should be"
)]
#![allow(clippy::print_stdout, reason = "the figures are for whoever looks at the test")]
#![allow(clippy::disallowed_methods, reason = "a test runs the tools directly")]

use std::collections::BTreeMap;
use std::sync::Arc;

use boot_oracle::BootEntry;
use boot_oracle::disk::{Disk, Span};
use boot_oracle::system::{RootArgument, System, Systems};
use crash_explorer::epochs::{Step, epochs, performed, steps};
use crash_explorer::explore::{Budget, explore};
use crash_explorer::image::{Block, Image};
use crash_explorer::judge::Promises;
use crash_explorer::scenario::{Scenario, Untouched, inside};
use crash_explorer::stamps::SECRET;
use installer::bless::BootFiles;
use installer::call::Processes;
use installer::cancel::Cancel;
use installer::host::image::ImageHost;
use installer::release_dir::Release;
use installer::takeover;
use installer_core::event::Event;
use installer_core::outcome::Exit;
use installer_core::takeover::{TakeoverPlan, finish};
use partitioner::block::file::FileDisk;
use partitioner::block::recorder::{Log, Recorder};
use partitioner::block::window::Window;
use partitioner::layout::Role;
use partitioner::partuuid::PartUuid;
use partitioner::table::TablePlan;
use partitioner::takeover::{final_write_set, kept, trial_write_set};
use partitioner::units::Extent;

#[allow(dead_code, reason = "the engine's other tests use it too")]
#[path = "engine/disk.rs"]
mod disk;
#[allow(dead_code, reason = "shared with the tests of the installer")]
#[path = "../../../installer/src/takeover/tests/scene.rs"]
mod scene;
#[allow(dead_code, reason = "shared with the tests of the installer")]
#[path = "../../../installer/src/testing.rs"]
mod testing;

use scene::{Kind, Made, SIZE, Scene};

const SEED: u64 = 0x07a6_e03e_2026;
/// States of one takeover.
const STATES: usize = 1500;
/// Cuts after which the commands are run again.
const AGAIN: usize = 4;

fn seed() -> u64 {
    let text = std::env::var("CRASH_SEED").unwrap_or_default();
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or(SEED)
}

/// One place where a system may lie, and what it is where it is whole.
#[derive(Clone, Debug)]
struct Whole {
    span: Span,
    version: &'static str,
    root: RootArgument,
    blocks: BTreeMap<u64, Arc<[u8]>>,
}

/// Systems by their place, compared block by block.
#[derive(Clone, Debug)]
struct ByPlace(Vec<Whole>);

impl Whole {
    fn of(image: &Image, extent: Extent, version: &'static str, root: RootArgument) -> Self {
        let within = extent.first().get()..=extent.last().get();
        let used = image.used().filter(|(lba, _)| within.contains(lba));
        let blocks = used.filter_map(|(lba, block)| match block {
            Block::Bytes(bytes) => Some((lba, Arc::clone(bytes))),
            Block::Unreadable => None,
        });
        let span = Span::new(extent.first().get(), extent.blocks());
        Self { span, version, root, blocks: blocks.collect() }
    }
}

impl Systems for ByPlace {
    fn look(&self, disk: &dyn Disk, span: Span) -> Result<System, String> {
        let here = self.0.iter().find(|one| one.span.first == span.first);
        let here = here.ok_or_else(|| format!("no system is to lie at {}", span.first))?;
        let mut have = vec![0; disk.block_bytes()];
        let whole = here
            .blocks
            .iter()
            .all(|(lba, want)| disk.read(*lba, &mut have).is_ok() && have.as_slice() == &want[..]);
        Ok(System { version: here.version.to_owned(), root: here.root.clone(), whole })
    }
}

/// An old host whose takeover is recorded.
struct Lab {
    scene: Scene,
    old: Image,
    plan: TakeoverPlan,
}

fn tell(log: &Log) -> impl FnMut(Event) {
    |event| {
        if let Event::StepBegun { title, .. } = event {
            log.mark(&title);
        }
    }
}

impl Lab {
    fn new(kind: Kind) -> Self {
        let scene = Scene::new(Made::usual(kind).with("root/.ssh/secret", SECRET));
        let old = disk::load(&scene.disk());
        let plan = scene.plan().unwrap();
        Self { scene, old, plan }
    }

    fn record(&self) -> (Recorder, Log) {
        let disk = FileDisk::open(&self.scene.disk(), SIZE).unwrap();
        let recorder = Recorder::new(Box::new(disk));
        let log = recorder.log();
        (recorder, log)
    }

    /// The whole run: takeover, bless, finish.
    fn run(&self) -> Vec<Step> {
        let (path, cancel) = (self.scene.disk(), Cancel::default());
        let (recorder, log) = self.record();
        let release = Release::open(self.scene.release.dir()).unwrap();
        let fence = trial_write_set(&self.plan.tables);
        let mut host = ImageHost::on(Box::new(recorder), &path, fence).unwrap();
        takeover::run(&self.plan, &release, &mut host, &cancel, &mut tell(&log)).unwrap();
        drop(host);
        let mut all = steps(&log.entries());
        let (mut recorder, log) = self.record();
        log.mark("bless");
        let own = self.scene.own().unwrap();
        let boot = own.table.partition(Role::Boot).unwrap().extent;
        let window = Window::new(&mut recorder, boot).unwrap();
        BootFiles::open(Box::new(window)).unwrap().commit(own.boot.state.blessed()).unwrap();
        all.extend(steps(&log.entries()));
        let own = self.scene.own().unwrap();
        let facts = takeover::finish::read(&own, None, &mut Processes).unwrap().unwrap();
        let plan = finish::plan(&facts).unwrap();
        let (recorder, log) = self.record();
        let fence = final_write_set(&facts.again.takeover);
        let mut host = ImageHost::on(Box::new(recorder), &path, fence).unwrap();
        takeover::finish::run(&plan, &mut host, &cancel, &mut tell(&log)).unwrap();
        all.extend(steps(&log.entries()));
        all
    }

    fn scenario(&self) -> Scenario {
        let steps = self.run();
        let end = performed(&self.old, &steps);
        let (kind, tables) = (self.scene.made.kind, &self.plan.tables);
        let extent = |table: &TablePlan, role| table.partition(role).unwrap().extent;
        let (a, b) = (extent(&tables.trial, Role::Root), extent(&tables.trial, Role::Backup));
        let old_root = extent(&tables.trial, Role::OldRoot);
        let root_a = tables.trial.partuuid(tables.trial.partition(Role::Root).unwrap());
        let PartUuid::Gpt(guid) = root_a else { panic!("a GPT") };
        let label = |text: &str| RootArgument::Label(text.to_owned());
        let copy = installer_core::target::label("oldroot", tables.trial.disk_id());
        let systems = ByPlace(vec![
            Whole::of(&end, a, "new", RootArgument::PartUuid(guid.to_gpt_bytes())),
            Whole::of(&end, b, "old", label(&copy)),
            Whole::of(&self.old, old_root, "old", label(scene::LABEL)),
        ]);
        let inventory = self.scene.own().unwrap().slot(installer_core::bootstate::Slot::A);
        let uuids = inventory.inventory.unwrap().fs_uuid;
        let boot = tables.trial.partition(Role::Boot).unwrap();
        let entry = BootEntry {
            partition: boot.guid.to_gpt_bytes(),
            number: boot.number,
            path: "EFI/xenserver/grubx64.efi".to_owned(),
        };
        let logs = "make the file system on logs";
        let old_parts = kept(tables).into_iter();
        let mut untouched: Vec<Untouched> =
            old_parts.map(|extent| Untouched { extent, until: Some(logs) }).collect();
        let sr = inside(extent(&tables.last, Role::Sr), &tables.last);
        untouched.push(Untouched { extent: sr, until: None });
        Scenario {
            name: format!("engine's takeover {kind:?}").to_lowercase(),
            firmware: kind.firmware(),
            old: self.old.clone(),
            steps,
            keeps_old: true,
            entry_must_match: kind == Kind::GptUefi,
            has_gpt: true,
            entries: if kind == Kind::GptUefi { vec![entry] } else { Vec::new() },
            known: self.scene.known(),
            systems: Arc::new(systems),
            slots: boot_oracle::Slots {
                uuid_a: uuids["root_a"].to_bytes(),
                uuid_b: uuids["root_b"].to_bytes(),
                uuid_old: Some(self.scene.old_uuid),
                rescue_at: vec![66, 34],
            },
            untouched,
            secret_in: vec![old_root, a, b],
            ends: "new",
        }
    }

    /// The disk as a cut left it: the commands are given again, and end where they would have.
    fn again(&self, cut: &Image) {
        cut.dump(&self.scene.disk()).unwrap();
        if self.scene.own().is_none() {
            let digest = self.scene.plan().unwrap().digest;
            assert_eq!(self.scene.upgrade(&["--confirm", &digest]), Exit::Done);
        }
        let own = self.scene.own().unwrap();
        if own.boot.state.trial == installer_core::bootstate::Trial::Pending {
            self.scene.bless();
        }
        assert_eq!(self.scene.finish(), Exit::Done);
        assert_eq!(self.scene.verify(), Exit::Done);
    }
}

fn cut_everywhere(kind: Kind) {
    let lab = Lab::new(kind);
    let scenario = lab.scenario();
    let budget = Budget { seed: seed(), states: STATES, only: None, first: false };
    let mut judge = Promises::new(&scenario);
    let report = explore(&scenario.old, &scenario.steps, &mut judge, budget);
    println!("{}: {} states, {:?}", scenario.name, report.states, report.outcomes);
    let first = report.violations.first();
    assert!(first.is_none(), "{:#x}: {} of them, {first:?}", seed(), report.violations.len());
    for word in ["boots old", "boots new"] {
        assert!(report.outcomes.contains_key(word), "{:?}", report.outcomes);
    }
    let all = epochs(&scenario.old, &scenario.steps);
    let every = all.len().div_ceil(AGAIN).max(1);
    let mut image = scenario.old.clone();
    for (number, epoch) in all.iter().enumerate() {
        // Half of what was in flight is there.
        if number % every == every / 2 {
            let mut half = image.clone();
            for atom in epoch.atoms.iter().step_by(2) {
                half.put(atom.lba, atom.block.clone());
            }
            println!("again from epoch {number} of {}", all.len());
            lab.again(&half);
        }
        for atom in &epoch.atoms {
            image.put(atom.lba, atom.block.clone());
        }
    }
}

#[test]
fn no_cut_strands_a_host_with_an_mbr() {
    cut_everywhere(Kind::MbrBios);
}

#[test]
fn no_cut_strands_a_host_with_a_gpt_by_bios() {
    cut_everywhere(Kind::GptBios);
}

#[test]
fn no_cut_strands_a_host_with_a_gpt_by_uefi() {
    cut_everywhere(Kind::GptUefi);
}
