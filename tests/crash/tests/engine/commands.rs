//! The installer's commands on a host of ours that lies in a file, each with every write recorded.
//! The file is left as the command leaves it.

use std::fs;
use std::path::Path;

use crash_explorer::epochs::{Step, steps};
use installer::bless::{self, BootFiles, Limits};
use installer::call::{Call, Processes, Run};
use installer::cancel::Cancel;
use installer::engine::Failure;
use installer::host::image::ImageHost;
use installer::ports::Host;
use installer::probe;
use installer::release_dir::Release;
use installer::upgrade::root::SlotRoot;
use installer::upgrade::{self, AtRest, read, rollback};
use installer_core::event::Event;
use installer_core::request::Refusal;
use installer_core::upgrade::rollback::GiveUp;
use installer_core::upgrade::{self as core, UpgradeFacts, UpgradePlan, Wish};
use partitioner::block::BlockIo;
use partitioner::block::file::FileDisk;
use partitioner::block::recorder::{Log, Recorder};
use partitioner::block::window::Window;
use partitioner::layout::Role;
use partitioner::units::Extent;

use super::disk::BLOCK;
use super::running::{Health, Running};

const INVENTORY: &str = "etc/xenhost/inventory.json";
const BLESSED: &str = "var/lib/xenhost/blessed.json";

/// The file as a device that records.
pub(crate) fn record(path: &Path) -> (Recorder, Log) {
    let recorder = Recorder::new(Box::new(FileDisk::open(path, BLOCK).unwrap()));
    let log = recorder.log();
    (recorder, log)
}

/// Marks the steps of a command in its log.
pub(crate) fn tell(log: &Log) -> impl FnMut(Event) {
    |event| {
        if let Event::StepBegun { title, .. } = event {
            log.mark(&title);
        }
    }
}

/// The host of ours on a disk of this serial, as far as one can be read.
pub(crate) fn own(serial: &str, path: &Path) -> Option<UpgradeFacts> {
    let disk = probe::probe_image(serial, path, BLOCK, &mut Processes).unwrap();
    read::read(&disk, None, &mut Processes).ok().flatten()
}

/// The plan of an upgrade.
pub(crate) fn plan(facts: &UpgradeFacts, release: &Path) -> Result<UpgradePlan, Refusal> {
    core::plan(facts, Release::open(release).unwrap().manifest(), &Wish::default())
}

/// Performs an upgrade on a device of the file, in a host that may be dressed up.
pub(crate) fn attempt(
    (plan, release): (&UpgradePlan, &Path),
    (path, device): (&Path, Box<dyn BlockIo>),
    dress: &dyn Fn(ImageHost) -> Box<dyn Host>,
    cancel: &Cancel,
    mut tell: impl FnMut(Event),
) -> Result<(), Failure> {
    let release = Release::open(release).unwrap();
    let host = ImageHost::on(device, path, plan.write_set()).unwrap();
    let roles = [plan.role(), core::role(plan.from)];
    let mut site = AtRest::on(dress(host), &plan.facts, roles).unwrap();
    upgrade::run(plan, &release, &mut site, cancel, &mut tell)
}

/// Performs an upgrade.
pub(crate) fn upgrade(plan: &UpgradePlan, release: &Path, path: &Path) -> Vec<Step> {
    let (recorder, log) = record(path);
    let as_it_is = |host| -> Box<dyn Host> { Box::new(host) };
    attempt((plan, release), (path, Box::new(recorder)), &as_it_is, &Cancel::default(), tell(&log))
        .unwrap();
    steps(&log.entries())
}

/// `rollback`: a takeover on trial is given up; otherwise the slots change their roles.
pub(crate) fn rollback(facts: &UpgradeFacts, path: &Path) -> Result<Vec<Step>, Refusal> {
    let give_up = GiveUp::plan(facts)?;
    let swap = if give_up.is_none() { Some(core::rollback::plan(facts)?) } else { None };
    let (recorder, log) = record(path);
    let fence = facts.boot.extents.clone();
    let host = ImageHost::on(Box::new(recorder), path, fence).unwrap();
    let roles = [Role::Backup, Role::Root];
    let mut site = AtRest::on(Box::new(host), facts, roles).unwrap();
    log.mark("rollback");
    if let Some(plan) = give_up {
        rollback::give_up(plan, &mut site).unwrap();
    } else if let Some(plan) = &swap {
        rollback::perform(plan, &mut site).unwrap();
    }
    Ok(steps(&log.entries()))
}

/// The system in a slot runs and judges itself.
pub(crate) fn bless(
    path: &Path,
    (slot, boot): (Extent, Extent),
    health: Health,
) -> (bless::Outcome, Vec<Step>) {
    let (recorder, log) = record(path);
    let root = SlotRoot::open(path, BLOCK, slot).unwrap();
    log.mark("bless");
    let mut world = Running::new(&root, &[INVENTORY, BLESSED], health, (recorder, boot));
    let outcome = bless::bless(&mut world, Limits::DEFAULT).unwrap();
    (outcome, steps(&log.entries()))
}

/// The running system keeps what bless told it to: the file that says so.
pub(crate) fn remember(path: &Path, slot: Extent) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("blessed.json");
    fs::write(&source, "{}\n").unwrap();
    let script = folder.path().join("script");
    fs::write(&script, format!("rm {BLESSED}\nwrite {} {BLESSED}\n", source.display())).unwrap();
    let offset = slot.first().byte_offset(BLOCK).unwrap();
    let disk = format!("{}?offset={offset}", path.display());
    Processes
        .run(&Call::new("debugfs").args(["-w", "-f"]).arg(&script).arg(disk).accept(1))
        .unwrap();
}

/// A change of the boot state that is no command.
pub(crate) fn boot_state(
    path: &Path,
    boot: Extent,
    what: &str,
    change: impl FnOnce(&mut BootFiles<'_>),
) -> Vec<Step> {
    let (mut recorder, log) = record(path);
    log.mark(what);
    let window = Window::new(&mut recorder, boot).unwrap();
    change(&mut BootFiles::open(Box::new(window)).unwrap());
    steps(&log.entries())
}

/// What GRUB does before it starts a system on trial.
pub(crate) fn count(path: &Path, boot: Extent, tries: u8) -> Vec<Step> {
    boot_state(path, boot, "count", |files| files.write_tries(tries).unwrap())
}
