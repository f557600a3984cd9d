//! Performs an upgrade: a release into the other slot, configuration from the running one, one
//! block as the commit.
//!
//! Until the commit the old system boots, whatever happens; what was written until then is scratch
//! that a rerun writes again.

use installer_core::bootcfg::BootFiles as BootFilesOfMenu;
use installer_core::bootstate::TRIES;
use installer_core::event::Event;
use installer_core::outcome::{DiskState, Exit};
use installer_core::release::Manifest;
use installer_core::target::{Inventory, label};
use installer_core::upgrade::{
    Complete, MARKER, OldTexts, SlotPlace, UpgradePlan, UpgradeStep, marker_file, own_files,
};

pub mod collect;
pub mod old_host;
pub mod read;
pub mod rollback;
pub mod root;
pub mod site;
pub mod unknown;

use root::{Kind, Root, text};
pub use site::{AtRest, Rest, RunningSite, Site};

use crate::bless::BootFiles;
use crate::cancel::Cancel;
use crate::engine::{self, Failure, StepError};
use crate::release_dir::Release;
use crate::{payload, slot};

/// Programs that the steps use, and the Debian package that brings them.
const PROGRAMS: [(&str, &str); 3] =
    [("e2fsck", "e2fsprogs"), ("tune2fs", "e2fsprogs"), ("debugfs", "e2fsprogs")];
const TEXT_MAX: u64 = 1 << 20;

/// Performs the plan. Events go to `tell`; after [`Event::Committed`] the new system boots.
pub fn run(
    plan: &UpgradePlan,
    release: &Release,
    site: &mut dyn Site,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Event),
) -> Result<(), Failure> {
    let early = |error: StepError| Failure {
        step: None,
        exit: error.exit(),
        error: Box::new(error),
        state: DiskState::Untouched,
    };
    prepare(plan, release, site).map_err(early)?;
    let steps = u32::try_from(plan.steps.len()).unwrap_or(u32::MAX);
    tell(Event::Started { steps, digest: plan.digest.clone() });
    if let Some(text) = plan.facts.unfinished() {
        tell(Event::Warning { text });
    }
    let mut state = DiskState::Untouched;
    for (number, step) in (1..).zip(plan.steps.iter().copied()) {
        let fail = |error: StepError, state| Failure {
            step: Some(step.title()),
            exit: error.exit(),
            error: Box::new(error),
            state,
        };
        if cancel.is_set() {
            return Err(fail(StepError::Cancelled, state));
        }
        tell(Event::StepBegun { step: number, title: step.title() });
        if step == UpgradeStep::Commit {
            commit(plan, site)?;
            tell(Event::Committed);
        } else {
            let mut work = Work { plan, release, site: &mut *site, cancel };
            work.perform(step, number, tell).map_err(|error| {
                let changed = matches!(error, StepError::StateChanged { .. });
                fail(error, if changed { state } else { DiskState::OldSystemBoots })
            })?;
            state = DiskState::OldSystemBoots;
        }
        tell(Event::StepDone { step: number });
    }
    tell(Event::Finished);
    Ok(())
}

/// All that can be known bad before the first write.
fn prepare(plan: &UpgradePlan, release: &Release, site: &dyn Site) -> Result<(), StepError> {
    engine::check_means(release, &plan.release.build, &PROGRAMS)?;
    read::same_table(&plan.facts)?;
    Ok(site.check_room(release.bytes_written())?)
}

/// The one block. What reading it back says decides how a failure is told.
fn commit(plan: &UpgradePlan, site: &mut dyn Site) -> Result<(), Failure> {
    let failed = |error: StepError, exit, state| Failure {
        step: Some(UpgradeStep::Commit.title()),
        error: Box::new(error),
        exit,
        state,
    };
    let old = DiskState::OldSystemBoots;
    let before = |error: StepError| {
        let exit = error.exit();
        failed(error, exit, old)
    };
    let volume = site.open_boot().map_err(|e| before(e.into()))?;
    let mut boot = BootFiles::open(volume).map_err(|e| before(e.into()))?;
    if let Err(error) = boot.commit_first(plan.committed) {
        return Err(match boot.state() {
            Ok(state) if state == plan.committed => {
                failed(error.into(), Exit::IoAtCommit, DiskState::NewSystemBoots)
            }
            Ok(_) => failed(error.into(), Exit::IoBeforeCommit, old),
            // The copy still names the old system alone; whether the first file does is told as
            // not known.
            Err(_) => failed(StepError::StateUnknown(error), Exit::IoAtCommit, old),
        });
    }
    boot.commit_copy(plan.committed)
        .map_err(|e| failed(e.into(), Exit::IoAtCommit, DiskState::NewSystemBoots))
}

struct Work<'a> {
    plan: &'a UpgradePlan,
    release: &'a Release,
    site: &'a mut dyn Site,
    cancel: &'a Cancel,
}

impl Work<'_> {
    fn perform(
        &mut self,
        step: UpgradeStep,
        number: u32,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), StepError> {
        match step {
            UpgradeStep::Restrict => self.restrict(),
            UpgradeStep::WriteSlot { .. } => {
                let (store, image) = (self.release.store(), &self.release.manifest().image);
                let mut slot = self.site.open_slot()?;
                let progress = &mut |done, total| {
                    tell(Event::Progress { step: number, done, total });
                };
                Ok(payload::write_image(store, image, slot.as_mut(), self.cancel, progress)?)
            }
            UpgradeStep::IdentifySlot { .. } => {
                let place = self.plan.place()?;
                let label = label("root", self.plan.inventory.disk_id);
                let path = self.site.tool_path()?;
                Ok(slot::identify(self.site, &path, place.fs_uuid, &label)?)
            }
            UpgradeStep::CarryOver { .. } => self.carry_over(tell),
            UpgradeStep::CheckSlot { .. } => {
                let path = self.site.tool_path()?;
                let scratch = self.site.scratch().to_owned();
                let marker = marker_file(self.manifest());
                slot::configure(self.site, &path, &scratch, &[marker])?;
                slot::check(self.site, &path)?;
                Ok(self.site.settle()?)
            }
            UpgradeStep::Verify => self.verify(),
            UpgradeStep::Tries => {
                let mut boot = BootFiles::open(self.site.open_boot()?)?;
                boot.clear_reason()?;
                Ok(boot.write_tries(TRIES)?)
            }
            UpgradeStep::Commit => Ok(()),
        }
    }

    fn manifest(&self) -> &Manifest {
        self.release.manifest()
    }

    /// The boot state must be the one that the plan was made from.
    fn restrict(&mut self) -> Result<(), StepError> {
        let want = self.plan.facts.boot.state;
        let mut boot = BootFiles::open(self.site.open_boot()?)?;
        let have = boot.state()?;
        if have != want {
            let (have, want) = (format!("{have:?}"), format!("{want:?}"));
            return Err(StepError::StateChanged { have, want });
        }
        Ok(boot.commit(self.plan.restricted)?)
    }

    fn carry_over(&mut self, tell: &mut dyn FnMut(Event)) -> Result<(), StepError> {
        let path = self.site.tool_path()?;
        let old = self.site.old_root()?;
        let fresh = fresh_root(&path)?;
        let carried = collect::carry_over(old.as_ref(), &fresh, &self.plan.wish.keep)?;
        for note in carried.notes {
            tell(Event::Warning { text: format!("not carried over: {note}") });
        }
        let boot_conf = text(old.as_ref(), "etc/xenhost/boot.conf", TEXT_MAX)?;
        let fstab = text(old.as_ref(), "etc/fstab", TEXT_MAX)?;
        let texts = OldTexts { boot_conf: &boot_conf, fstab: &fstab };
        let plan = self.plan;
        let mut files = carried.files;
        files.extend(own_files(
            &plan.next_inventory(),
            plan.place()?,
            self.release.manifest(),
            &plan.boot_files,
            &texts,
        )?);
        let scratch = self.site.scratch().to_owned();
        Ok(slot::configure(self.site, &path, &scratch, &files)?)
    }

    /// Reads the finished slot from the disk, as a boot would, and the boot state.
    fn verify(&mut self) -> Result<(), StepError> {
        let plan = self.plan;
        let root = self.site.new_root()?;
        whole(&root, plan.place()?, self.manifest(), &plan.boot_files)?;
        let mut boot = BootFiles::open(self.site.open_boot()?)?;
        if boot.state()? != plan.restricted || !boot.copies_agree()? {
            let what = "the boot state is not what was written".to_owned();
            return Err(StepError::NotWhole { what });
        }
        Ok(())
    }
}

/// A finished slot holds this release, and what its boot menu names.
pub(crate) fn whole(
    root: &root::SlotRoot,
    place: SlotPlace,
    manifest: &Manifest,
    files: &BootFilesOfMenu,
) -> Result<(), StepError> {
    let not_whole = |what: String| StepError::NotWhole { what };
    if !root.uuid().eq_ignore_ascii_case(&place.fs_uuid.to_string()) {
        return Err(not_whole(format!("its UUID is {}, not {}", root.uuid(), place.fs_uuid)));
    }
    let marker = text(root, MARKER, TEXT_MAX)?;
    if serde_json::from_str::<Complete>(&marker).ok() != Some(Complete::of(manifest)) {
        return Err(not_whole(format!("/{MARKER} is not of this release")));
    }
    let inventory = Inventory::parse(&text(root, "etc/xenhost/inventory.json", TEXT_MAX)?);
    if !inventory.is_ok_and(|i| i.slot == place.slot && i.build == manifest.build) {
        return Err(not_whole("its inventory is not of this slot and release".to_owned()));
    }
    let menu = text(root, "boot/xenhost/slot.cfg", TEXT_MAX)?;
    if !menu.contains(&place.partuuid.to_string()) {
        return Err(not_whole(format!("its boot menu does not name {}", place.partuuid)));
    }
    for path in [files.xen(), files.kernel(), files.initrd()] {
        let stat = root.stat(path.trim_start_matches('/'))?;
        if !stat.is_some_and(|stat| stat.kind == Kind::File && 0 < stat.len) {
            return Err(not_whole(format!("{path} is missing")));
        }
    }
    Ok(())
}

/// The file system that tools work on.
pub(crate) fn fresh_root(path: &std::path::Path) -> Result<root::SlotRoot, StepError> {
    use partitioner::block::open;
    use partitioner::units::{BlockSize, Extent, Lba};
    let block_size = BlockSize::B512;
    let mut opened = open::open_read_only(path, None)
        .or_else(|_| open::open_read_only(path, Some(block_size)))?;
    let disk = opened.disk();
    let (block_size, blocks) = (disk.block_size(), disk.blocks());
    let whole = Extent::with_len(Lba::new(0), blocks);
    let whole = whole.ok_or_else(|| StepError::NotWhole { what: "it is empty".to_owned() })?;
    Ok(root::SlotRoot::open(path, block_size, whole)?)
}

#[cfg(test)]
mod tests;
