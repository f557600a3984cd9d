//! An old host in a file, and the commands on it, with every write recorded.

use std::path::Path;
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
use installer::{probe, takeover};
use installer_core::bootstate::{Slot, Trial};
use installer_core::outcome::Exit;
use installer_core::request::Refusal;
use installer_core::takeover::{TakeoverFacts, TakeoverPlan, TrialFacts, finish};
use installer_core::target::Inventory;
use installer_core::upgrade::{UpgradeFacts, role};
use partitioner::installations::Product;
use partitioner::layout::{LayoutName, Role};
use partitioner::partuuid::PartUuid;
use partitioner::table::TablePlan;
use partitioner::takeover::{Takeover, final_write_set, kept};
use partitioner::units::Extent;

use super::scene::{self, Kind, Made, Scene};
use super::systems::{ByPlace, Whole};
use super::testing::{TinyRelease, dom0_with, noise};
use super::{commands, disk};

/// From this step on the old system's place is given up.
pub(crate) const FINAL: &str = "the final table counts";
/// By this one, which is the only one left where all else was done before.
pub(crate) const LOGS: &str = "make the file system on logs";

/// An old host whose takeover is recorded.
pub(crate) struct Lab {
    pub(crate) scene: Scene,
    /// Before anything was done.
    pub(crate) old: Image,
    /// As every run lays them out.
    pub(crate) tables: Takeover,
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

/// By the PARTUUID of its slot.
pub(crate) fn by_partuuid(inventory: &Inventory, slot: Slot) -> RootArgument {
    let id = inventory.partuuid[&format!("root_{slot}")];
    let PartUuid::Gpt(id) = id else { panic!("a GPT") };
    RootArgument::PartUuid(id.to_gpt_bytes())
}

pub(crate) fn extent(table: &TablePlan, role: Role) -> Extent {
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

    /// `upgrade`: the takeover, or its begin after a trial that has failed.
    pub(crate) fn take_over(&self) -> Vec<Step> {
        self.take_over_by(&self.scene.plan().unwrap(), self.scene.release.dir())
    }

    /// The same by a plan of this release.
    pub(crate) fn take_over_by(&self, plan: &TakeoverPlan, release: &Path) -> Vec<Step> {
        let (path, cancel) = (self.scene.disk(), Cancel::default());
        let release = Release::open(release).unwrap();
        let (recorder, log) = commands::record(&path);
        let mut host = ImageHost::on(Box::new(recorder), &path, plan.write_set()).unwrap();
        takeover::run(plan, &release, &mut host, &cancel, &mut commands::tell(&log)).unwrap();
        drop(host);
        steps(&log.entries())
    }

    /// Where the boot partition lies, in both tables.
    pub(crate) fn boot(&self) -> Extent {
        extent(&self.tables.trial, Role::Boot)
    }

    /// Where a slot lies, in both tables.
    pub(crate) fn slot(&self, slot: Slot) -> Extent {
        extent(&self.tables.trial, role(slot))
    }

    /// What is written to the boot state beside the commands: by bless, and by the boot loader.
    fn boot_state(&self, what: &str, change: impl FnOnce(&mut BootFiles<'_>)) -> Vec<Step> {
        commands::boot_state(&self.scene.disk(), self.boot(), what, change)
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
        match self.try_finish() {
            Ok(steps) => steps,
            Err(refusal) if refusal.exit == Exit::Done => Vec::new(),
            Err(refusal) => panic!("{refusal:?}"),
        }
    }

    /// `finish`, or why not.
    pub(crate) fn try_finish(&self) -> Result<Vec<Step>, Refusal> {
        let (path, cancel) = (self.scene.disk(), Cancel::default());
        let no_own = || Refusal::new(Exit::NotUpgradeable, "no host of ours");
        let own = self.own().ok_or_else(no_own)?;
        let facts = takeover::finish::read(&own, None, &mut Processes)?;
        let plan = finish::plan(facts.as_ref().ok_or_else(no_own)?)?;
        let (recorder, log) = commands::record(&path);
        let fence = final_write_set(&plan.facts.again.takeover);
        let mut host = ImageHost::on(Box::new(recorder), &path, fence).unwrap();
        takeover::finish::run(&plan, &mut host, &cancel, &mut commands::tell(&log)).unwrap();
        Ok(steps(&log.entries()))
    }

    /// A host of ours, as far as one can be read.
    pub(crate) fn own(&self) -> Option<UpgradeFacts> {
        commands::own("OLD", &self.scene.disk())
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

    /// What the firmware has of the old host: an entry that goes on working.
    pub(crate) fn entries(&self) -> Vec<BootEntry> {
        let (kind, boot) = (self.scene.made.kind, self.tables.trial.partition(Role::Boot));
        let folder = if kind.is_own() { "xenhost" } else { "xenserver" };
        let entry = boot.map(|boot| BootEntry {
            partition: boot.guid.to_gpt_bytes(),
            number: boot.number,
            path: format!("EFI/{folder}/grubx64.efi"),
        });
        entry.filter(|_| kind.firmware() == Firmware::Uefi).into_iter().collect()
    }

    /// What is whole where, at the end of a run: the old system and its copy, and slot a.
    pub(crate) fn whole(&self, end: &Image) -> Vec<Whole> {
        let own = self.own().unwrap();
        let inventory = own.slot(Slot::A).inventory.unwrap();
        let new = Whole::of(end, self.slot(Slot::A), "new", by_partuuid(&inventory, Slot::A));
        vec![new, self.copy_whole(end), self.old_whole()]
    }

    /// The old system where it always was.
    pub(crate) fn old_whole(&self) -> Whole {
        let root = if self.scene.made.kind.is_own() {
            RootArgument::FsUuid(self.scene.old_uuid)
        } else {
            RootArgument::Label(scene::LABEL.to_owned())
        };
        Whole::of(&self.old, extent(&self.tables.trial, Role::OldRoot), "old", root)
    }

    /// Its copy in slot b.
    pub(crate) fn copy_whole(&self, end: &Image) -> Whole {
        let own = self.own().unwrap();
        let inventory = own.slot(Slot::A).inventory.unwrap();
        let label = || installer_core::target::label("oldroot", inventory.disk_id);
        let root = if self.scene.made.kind.is_own() {
            by_partuuid(&inventory, Slot::B)
        } else {
            RootArgument::Label(label())
        };
        Whole::of(end, self.slot(Slot::B), "old", root)
    }

    /// The old host that `upgrade` takes over, whether it begins, begins over, or goes on. The
    /// same choice as the command's.
    pub(crate) fn to_take_over(&self) -> Result<Option<TakeoverFacts>, Refusal> {
        let path = self.scene.disk();
        let disk = probe::probe_image("OLD", &path, disk::BLOCK, &mut Processes).unwrap();
        let old = takeover::read::read(&disk, None, &mut Processes);
        let is_own = match &old {
            Ok(Some(facts)) => {
                let hosts = &facts.report.installations;
                hosts.iter().any(|host| host.product == Product::Xenhost)
            }
            Ok(None) | Err(_) => self.own().is_some(),
        };
        let is_taken_up =
            |old: &TakeoverFacts| old.trial.as_ref().is_some_and(TrialFacts::is_taken_up);
        if is_own && !matches!(&old, Ok(Some(old)) if is_taken_up(old)) {
            return Ok(None);
        }
        old
    }

    /// What began on `old` and was run to its end, with what may boot on the way. The file is as
    /// it was left.
    pub(crate) fn scenario(&self, what: &str, old: &Image, steps: Vec<Step>) -> Scenario {
        let end = performed(old, &steps);
        let (kind, tables) = (self.scene.made.kind, &self.tables);
        let (a, b) = (self.slot(Slot::A), self.slot(Slot::B));
        let old_root = extent(&tables.trial, Role::OldRoot);
        let own = self.own().unwrap();
        let inventory = own.slot(Slot::A).inventory.unwrap();
        let mut systems = ByPlace(self.whole(&end));
        systems.leave_out(old, &steps);
        let until = if steps.iter().any(|step| step.name == FINAL) { FINAL } else { LOGS };
        let old_parts = kept(tables).into_iter();
        let mut untouched: Vec<Untouched> =
            old_parts.map(|extent| Untouched { extent, until: Some(until) }).collect();
        let sr = inside(extent(&tables.last, Role::Sr), &tables.last);
        untouched.push(Untouched { extent: sr, until: None });
        Scenario {
            name: format!("engine's {what} {kind:?}").to_lowercase(),
            firmware: kind.firmware(),
            old: old.clone(),
            steps,
            keeps_old: true,
            entry_must_match: kind.firmware() == Firmware::Uefi,
            has_gpt: true,
            entries: self.entries(),
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
