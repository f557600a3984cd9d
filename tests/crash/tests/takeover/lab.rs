//! An old host in a file, and the commands on it, with every write recorded.

use std::sync::Arc;

use boot_oracle::system::RootArgument;
use boot_oracle::{BootEntry, Firmware};
use crash_explorer::epochs::{Step, performed, steps};
use crash_explorer::image::Image;
use crash_explorer::scenario::{Scenario, Untouched, inside};
use crash_explorer::stamps::SECRET;
use installer::bless::BootFiles;
use installer::call::Processes;
use installer::cancel::Cancel;
use installer::host::image::ImageHost;
use installer::release_dir::Release;
use installer::{probe, takeover, upgrade};
use installer_core::bootstate::{Slot, Trial};
use installer_core::event::Event;
use installer_core::outcome::Exit;
use installer_core::takeover::{TakeoverPlan, finish};
use installer_core::upgrade::UpgradeFacts;
use partitioner::block::file::FileDisk;
use partitioner::block::recorder::{Log, Recorder};
use partitioner::block::window::Window;
use partitioner::ids::Guid;
use partitioner::layout::{LayoutName, Role};
use partitioner::partuuid::PartUuid;
use partitioner::table::TablePlan;
use partitioner::takeover::{Takeover, final_write_set, kept};
use partitioner::units::Extent;

use super::disk;
use super::scene::{self, Kind, Made, SIZE, Scene};
use super::systems::{ByPlace, Whole};
use super::testing::{TinyRelease, dom0_with, noise};

/// From this step on the old system's place is given up.
const LOGS: &str = "make the file system on logs";

/// An old host whose takeover is recorded.
pub(crate) struct Lab {
    pub(crate) scene: Scene,
    /// Before anything was done.
    pub(crate) old: Image,
    /// As every run lays them out.
    pub(crate) tables: Takeover,
}

fn tell(log: &Log) -> impl FnMut(Event) {
    |event| {
        if let Event::StepBegun { title, .. } = event {
            log.mark(&title);
        }
    }
}

/// With a mark of its own, and no larger than it must be: each of its blocks is compared in each
/// state.
fn release(seed: u64) -> TinyRelease {
    let dir = tempfile::tempdir().unwrap();
    let etc = dir.path().join("tree/etc");
    std::fs::create_dir_all(&etc).unwrap();
    std::fs::write(etc.join("release-mark"), "new\n").unwrap();
    TinyRelease::of_bytes(&dom0_with(dir.path(), &noise(seed, 1 << 18)))
}

fn extent(table: &TablePlan, role: Role) -> Extent {
    table.partition(role).unwrap().extent
}

impl Lab {
    pub(crate) fn new(kind: Kind) -> Self {
        let mut scene = Scene::new(Made::usual(kind).with("root/.ssh/secret", SECRET));
        scene.release = release(1);
        let old = disk::load(&scene.disk());
        let tables = scene.plan().unwrap().tables;
        Self { scene, old, tables }
    }

    /// From here on another release is there to upgrade to.
    pub(crate) fn next_release(&mut self) {
        self.scene.release = release(2);
    }

    /// The file holds this now.
    pub(crate) fn put(&self, image: &Image) {
        std::fs::remove_file(self.scene.disk()).unwrap();
        image.dump(&self.scene.disk()).unwrap();
    }

    fn record(&self) -> (Recorder, Log) {
        let disk = FileDisk::open(&self.scene.disk(), SIZE).unwrap();
        let recorder = Recorder::new(Box::new(disk));
        let log = recorder.log();
        (recorder, log)
    }

    /// `upgrade`: the takeover, or its begin after a trial that has failed.
    pub(crate) fn take_over(&self) -> Vec<Step> {
        let release = Release::open(self.scene.release.dir()).unwrap();
        self.take_over_by(&self.scene.plan().unwrap(), &release)
    }

    fn take_over_by(&self, plan: &TakeoverPlan, release: &Release) -> Vec<Step> {
        let (path, cancel) = (self.scene.disk(), Cancel::default());
        let (recorder, log) = self.record();
        let mut host = ImageHost::on(Box::new(recorder), &path, plan.write_set()).unwrap();
        takeover::run(plan, release, &mut host, &cancel, &mut tell(&log)).unwrap();
        drop(host);
        steps(&log.entries())
    }

    /// What is written to the boot state beside the commands: by bless, and by the boot loader.
    fn boot_state(&self, what: &str, change: impl FnOnce(&mut BootFiles<'_>)) -> Vec<Step> {
        let (mut recorder, log) = self.record();
        log.mark(what);
        let boot = extent(&self.tables.trial, Role::Boot);
        let window = Window::new(&mut recorder, boot).unwrap();
        change(&mut BootFiles::open(Box::new(window)).unwrap());
        steps(&log.entries())
    }

    pub(crate) fn bless(&self) -> Vec<Step> {
        self.boot_state("bless", |files| {
            let state = files.state().unwrap();
            files.commit(state.blessed()).unwrap();
            files.clear_reason().unwrap();
        })
    }

    /// Three boots that did not turn out well.
    pub(crate) fn fail_trial(&self) {
        self.boot_state("trial", |files| {
            files.write_reason("no bridge").unwrap();
            files.write_tries(0).unwrap();
        });
    }

    /// `finish`, if it has anything to do.
    pub(crate) fn finish(&self) -> Vec<Step> {
        let (path, cancel) = (self.scene.disk(), Cancel::default());
        let own = self.own().unwrap();
        let facts = takeover::finish::read(&own, None, &mut Processes).unwrap().unwrap();
        let Ok(plan) = finish::plan(&facts) else { return Vec::new() };
        let (recorder, log) = self.record();
        let fence = final_write_set(&facts.again.takeover);
        let mut host = ImageHost::on(Box::new(recorder), &path, fence).unwrap();
        takeover::finish::run(&plan, &mut host, &cancel, &mut tell(&log)).unwrap();
        steps(&log.entries())
    }

    /// A host of ours, as far as one can be read.
    fn own(&self) -> Option<UpgradeFacts> {
        let disk = probe::probe_image("OLD", &self.scene.disk(), SIZE, &mut Processes).unwrap();
        upgrade::read::read(&disk, None, &mut Processes).ok().flatten()
    }

    /// `upgrade` has something to do, whether the disk is divided anew or not.
    fn is_to_be_taken_over(&self) -> bool {
        let Some(own) = self.own() else { return true };
        if own.table.layout == LayoutName::Legacy {
            return true;
        }
        own.table.partition(Role::OldRoot).is_some()
            && self.scene.facts().trial.is_some_and(|trial| trial.is_taken_up())
    }

    /// The commands are given again, and end where they would have.
    pub(crate) fn again(&self) {
        if self.is_to_be_taken_over() {
            let digest = self.scene.plan().unwrap().digest;
            assert_eq!(self.scene.upgrade(&["--confirm", &digest]), Exit::Done);
        }
        if self.own().unwrap().boot.state.trial == Trial::Pending {
            let _written = self.bless();
        }
        assert_eq!(self.scene.finish(), Exit::Done);
        assert_eq!(self.scene.verify(), Exit::Done);
    }

    /// The same, recorded. What is left to do, up to the end of the takeover.
    pub(crate) fn rest(&self) -> Vec<Step> {
        let mut all = Vec::new();
        if self.is_to_be_taken_over() {
            all.extend(self.take_over());
        }
        if self.own().unwrap().boot.state.trial == Trial::Pending {
            all.extend(self.bless());
        }
        all.extend(self.finish());
        all
    }

    /// What began on `old` and was run to its end, with what may boot on the way. The file is as
    /// it was left.
    pub(crate) fn scenario(&self, what: &str, old: &Image, steps: Vec<Step>) -> Scenario {
        let end = performed(old, &steps);
        let (kind, tables) = (self.scene.made.kind, &self.tables);
        let (a, b) = (extent(&tables.trial, Role::Root), extent(&tables.trial, Role::Backup));
        let old_root = extent(&tables.trial, Role::OldRoot);
        let own = self.own().unwrap();
        let inventory = own.slot(Slot::A).inventory.unwrap();
        let PartUuid::Gpt(root_a) = inventory.partuuid["root_a"] else { panic!("a GPT") };
        let PartUuid::Gpt(root_b) = inventory.partuuid["root_b"] else { panic!("a GPT") };
        let by_id = |id: Guid| RootArgument::PartUuid(id.to_gpt_bytes());
        let label = |text: &str| RootArgument::Label(text.to_owned());
        let copy = installer_core::target::label("oldroot", inventory.disk_id);
        let (copied_by, old_by) = if kind.is_own() {
            (by_id(root_b), RootArgument::FsUuid(self.scene.old_uuid))
        } else {
            (label(&copy), label(scene::LABEL))
        };
        let mut systems = ByPlace(vec![
            Whole::of(&end, a, "new", by_id(root_a)),
            Whole::of(&end, b, "old", copied_by),
            Whole::of(&self.old, old_root, "old", old_by),
        ]);
        systems.leave_out(old, &steps);
        let boot = own.table.partition(Role::Boot).unwrap();
        let entry = BootEntry {
            partition: boot.guid.to_gpt_bytes(),
            number: boot.number,
            path: format!(
                "EFI/{}/grubx64.efi",
                if kind.is_own() { "xenhost" } else { "xenserver" }
            ),
        };
        let is_uefi = kind.firmware() == Firmware::Uefi;
        let old_parts = kept(tables).into_iter();
        let mut untouched: Vec<Untouched> =
            old_parts.map(|extent| Untouched { extent, until: Some(LOGS) }).collect();
        let sr = inside(extent(&tables.last, Role::Sr), &tables.last);
        untouched.push(Untouched { extent: sr, until: None });
        Scenario {
            name: format!("engine's {what} {kind:?}").to_lowercase(),
            firmware: kind.firmware(),
            old: old.clone(),
            steps,
            keeps_old: true,
            entry_must_match: is_uefi,
            has_gpt: true,
            entries: if is_uefi { vec![entry] } else { Vec::new() },
            known: self.scene.known(),
            systems: Arc::new(systems),
            slots: boot_oracle::Slots {
                uuid_a: inventory.fs_uuid["root_a"].to_bytes(),
                uuid_b: inventory.fs_uuid["root_b"].to_bytes(),
                uuid_old: Some(self.scene.old_uuid),
                rescue_at: vec![66, 34],
            },
            untouched,
            secret_in: vec![old_root, a, b],
            ends: "new",
        }
    }
}
