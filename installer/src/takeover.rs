//! Performs the takeover of a host of another product, or of one of ours on the layout `legacy`:
//! the new system beside the old one, one block as the commit, and the trial.
//!
//! Until the commit the old system boots, whatever happens; what was written until then is scratch
//! that a rerun writes again. What is left to do once the new system was blessed does `finish`.

use std::path::Path;

use installer_core::event::Event;
use installer_core::facts::Firmware;
use installer_core::outcome::{DiskState, Exit};
use installer_core::takeover::{
    Config, ON_TRIAL, TakeoverPlan, TakeoverStep, made_files, old_boot,
};
use installer_core::target::{self, label};
use installer_core::upgrade::{OwnError, SlotPlace, marker_file};
use partitioner::block::BlockIo;
use partitioner::block::window::Window;
use partitioner::gpt;
use partitioner::head::core_for;
use partitioner::inspect::inspect;
use partitioner::layout::{Role, Scheme};
use partitioner::table::{Planned, TablePlan};
use partitioner::units::{Extent, Lba};
use partitioner::write::commit::CommitError;
use partitioner::write::{self, WriteError, takeover as steps};

pub mod finish;
mod own;
pub mod read;
mod retry;

use crate::bless::BootFiles;
use crate::cancel::Cancel;
use crate::engine::boot::BootVolume;
use crate::engine::{self, Failure, PROGRAMS, StepError, verify};
use crate::fat::FatFile;
use crate::ports::{BootEntry, Host, HostError};
use crate::release_dir::{LoaderFiles, Release};
use crate::upgrade::root::SlotRoot;
use crate::{fresh, payload, slot, upgrade};

/// Where the boot entry of an old host leads, on the partition that takes its identity over.
const OLD_ENTRY: &str = "EFI/xenserver/grubx64.efi";

/// Performs the plan. Events go to `tell`; after [`Event::Committed`] the new system boots.
pub fn run(
    plan: &TakeoverPlan,
    release: &Release,
    host: &mut dyn Host,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Event),
) -> Result<(), Failure> {
    let mut state = DiskState::Untouched;
    let prepared =
        prepare(plan, release, &mut *host).map_err(|error| fail(None, error, state, plan))?;
    let count = u32::try_from(plan.steps.len()).unwrap_or(u32::MAX);
    tell(Event::Started { steps: count, digest: plan.digest.clone() });
    for (number, step) in (1..).zip(plan.steps.iter().copied()) {
        if cancel.is_set() && matches!(state, DiskState::Untouched | DiskState::OldSystemBoots) {
            return Err(fail(Some(step), StepError::Cancelled, state, plan));
        }
        tell(Event::StepBegun { step: number, title: step.title() });
        if state == DiskState::Untouched {
            state = begun(plan);
        }
        let mut work = Work { plan, release, loader: &prepared, host: &mut *host, cancel };
        work.perform(step, number, tell)
            .or_else(|error| excuse(step, error, tell))
            .map_err(|error| fail(Some(step), error, state, plan))?;
        if step == TakeoverStep::Retry {
            retry::commit(plan, host)?;
            state = DiskState::NewSystemBoots;
            tell(Event::Committed);
        } else if step == TakeoverStep::Commit {
            state = DiskState::NewSystemBootsCleanupPending;
            tell(Event::Committed);
        } else if step == TakeoverStep::Settle {
            state = DiskState::NewSystemBoots;
        } else if step == TakeoverStep::Mend && plan.failed.is_none() {
            state = DiskState::NewSystemBoots;
            tell(Event::Committed);
        }
        tell(Event::StepDone { step: number });
    }
    tell(Event::Finished);
    Ok(())
}

/// After the commit nothing makes a bootable host into a failed takeover.
fn excuse(
    step: TakeoverStep,
    error: StepError,
    tell: &mut dyn FnMut(Event),
) -> Result<(), StepError> {
    if step == TakeoverStep::BootEntry {
        let text =
            format!("{error}; the machine boots without it, by the old entry or the default");
        tell(Event::Warning { text });
        return Ok(());
    }
    Err(error)
}

fn fail(
    step: Option<TakeoverStep>,
    error: StepError,
    state: DiskState,
    plan: &TakeoverPlan,
) -> Failure {
    let unknown =
        matches!(&error, StepError::Write(WriteError::Commit(CommitError::Unknown { .. })));
    let committed = state == DiskState::NewSystemBootsCleanupPending;
    let (exit, state) = if committed {
        (Exit::CleanupPending, state)
    } else if unknown && step == Some(TakeoverStep::Commit) {
        (Exit::IoAtCommit, unsure(plan))
    } else {
        (error.exit(), state)
    };
    Failure { step: step.map(TakeoverStep::title), error: Box::new(error), exit, state }
}

/// What boots from the first step on, until the commit. Where an earlier commit was torn it is
/// what that one has left; with no try of the new system left, the old one.
fn begun(plan: &TakeoverPlan) -> DiskState {
    match (&plan.facts.trial, &plan.failed) {
        (Some(_), None) => unsure(plan),
        (None, _) | (Some(_), Some(_)) => DiskState::OldSystemBoots,
    }
}

/// What boots where it is not known whether the commit was written. With a damaged LBA 1 a UEFI
/// takes the backup copy, which is the new table; a BIOS starts our core image, which finds the old
/// system by the rescue record. LBA 0 itself has no second copy.
fn unsure(plan: &TakeoverPlan) -> DiskState {
    match (plan.tables.source, plan.host.firmware) {
        (Scheme::Mbr, _) => DiskState::NotBootable,
        (Scheme::Gpt, Firmware::Bios) => DiskState::OldSystemBoots,
        (Scheme::Gpt, Firmware::Uefi) => DiskState::NewSystemBootsCleanupPending,
    }
}

/// All that can be known bad before the first write.
fn prepare(
    plan: &TakeoverPlan,
    release: &Release,
    host: &mut dyn Host,
) -> Result<LoaderFiles, StepError> {
    engine::check_means(release, &plan.host.release.build, &PROGRAMS)?;
    same_disk(plan, host.disk())?;
    host.check_room(release.bytes_written())?;
    let loader = release.read_loader_files()?;
    if let Some(trial) = &plan.facts.trial {
        retry::unchanged(plan, trial, host)?;
        return Ok(loader);
    }
    write::lba0(&plan.tables.trial, &loader.boot_img)?;
    if let Some(place) = plan.tables.trial.head.core_a {
        core_for(&loader.core_img, place)?;
    }
    Ok(loader)
}

fn boot_files<'h>(table: &TablePlan, host: &'h mut dyn Host) -> Result<BootFiles<'h>, StepError> {
    let extent = table.partition(Role::Boot).ok_or(HostError::NoPartition { role: Role::Boot })?;
    let window: Box<dyn BlockIo + 'h> = Box::new(Window::new(host.disk(), extent.extent)?);
    Ok(BootFiles::open(window)?)
}

/// What the plan gives up and keeps is what is there: others may have been at the disk since.
fn same_disk(plan: &TakeoverPlan, disk: &mut dyn BlockIo) -> Result<(), StepError> {
    let facts = &plan.facts;
    let mut lba0 = vec![0; facts.lba0.len()];
    disk.read(Lba::new(0), &mut lba0)?;
    let changed = |what| StepError::DiskChanged { disk: facts.disk.path.clone(), what };
    if lba0 != facts.lba0 {
        return Err(changed("its first block"));
    }
    if inspect(disk)? != facts.report.inspection {
        return Err(changed("its partition table, or a file system on it,"));
    }
    Ok(())
}

/// One step's surroundings.
struct Work<'a> {
    plan: &'a TakeoverPlan,
    release: &'a Release,
    loader: &'a LoaderFiles,
    host: &'a mut dyn Host,
    cancel: &'a Cancel,
}

impl Work<'_> {
    fn perform(
        &mut self,
        step: TakeoverStep,
        number: u32,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), StepError> {
        let mut progress = |done, total| tell(Event::Progress { step: number, done, total });
        let (tables, trial) = (&self.plan.tables, &self.plan.tables.trial);
        let disk = self.host.disk();
        match step {
            TakeoverStep::Rescue => self.rescue(),
            TakeoverStep::WipeSignatures => Ok(steps::wipe_trial(disk, tables)?),
            TakeoverStep::WriteSlot => self.write_slot(&mut progress),
            TakeoverStep::IdentifySlot => {
                let label = self.label("root");
                let path = self.host.tool_path(Role::Root)?;
                Ok(slot::identify(self.host, &path, self.plan.host.ids.root_a, &label)?)
            }
            TakeoverStep::ConfigureSlot => self.configure_slot(tell),
            TakeoverStep::CheckSlot => {
                let path = self.host.tool_path(Role::Root)?;
                let scratch = self.host.scratch().to_owned();
                let marker = marker_file(self.release.manifest());
                slot::configure(self.host, &path, &scratch, &[marker])?;
                slot::check(self.host, &path)?;
                Ok(self.host.settle(Role::Root)?)
            }
            TakeoverStep::MakeSwap => {
                let (path, label) = (self.host.tool_path(Role::Swap)?, self.label("swap"));
                fresh::make_swap(self.host, &path, self.plan.host.ids.swap, &label)?;
                Ok(self.host.settle(Role::Swap)?)
            }
            TakeoverStep::MakeBoot => self.make_boot(&mut progress),
            TakeoverStep::WriteCore => Ok(write::write_core(disk, trial, &self.loader.core_img)?),
            TakeoverStep::SwitchBootCode => {
                steps::switch_boot_code(disk, tables, &self.loader.boot_img)?;
                Ok(())
            }
            TakeoverStep::PrepareTable => Ok(steps::prepare_trial(disk, tables)?),
            TakeoverStep::Verify => self.verify(),
            TakeoverStep::Commit => {
                steps::commit_trial(disk, tables, &self.loader.boot_img)?;
                Ok(())
            }
            TakeoverStep::Settle | TakeoverStep::Mend => Ok(steps::settle(disk, trial)?),
            TakeoverStep::BootEntry => {
                let boot = self.partition(Role::Boot)?.clone();
                let loader = r"\EFI\xenhost\grubx64.efi";
                let entry = BootEntry { label: "xenhost", loader, partition: &boot };
                self.host.boot_entry(&entry)?;
                Ok(())
            }
            // Its failure has more to tell than a step's.
            TakeoverStep::Retry => Ok(()),
        }
    }

    fn partition(&self, role: Role) -> Result<&Planned, HostError> {
        self.plan.tables.trial.partition(role).ok_or(HostError::NoPartition { role })
    }

    fn extent(&self, role: Role) -> Result<Extent, HostError> {
        Ok(self.partition(role)?.extent)
    }

    fn label(&self, kind: &str) -> String {
        label(kind, self.plan.host.table.disk_id())
    }

    fn place(&self) -> Result<SlotPlace, StepError> {
        Ok(self.plan.place().ok_or(OwnError::NoId { key: "root_a" })?)
    }

    /// What an earlier run put into LBA 0 goes first: it may depend on what is written again.
    fn rescue(&mut self) -> Result<(), StepError> {
        let disk = self.host.disk();
        if let Some(old) = &self.plan.switch_back {
            steps::switch_back(disk, old)?;
        }
        Ok(steps::write_rescue(disk, &self.plan.tables)?)
    }

    fn write_slot(&mut self, progress: payload::Progress<'_>) -> Result<(), StepError> {
        self.host.announce(&self.plan.tables.trial)?;
        let (store, image) = (self.release.store(), &self.release.manifest().image);
        let mut slot = self.host.open_slot(Role::Root)?;
        Ok(payload::write_image(store, image, slot.as_mut(), self.cancel, progress)?)
    }

    fn configure_slot(&mut self, tell: &mut dyn FnMut(Event)) -> Result<(), StepError> {
        let path = self.host.tool_path(Role::Root)?;
        let files = match &self.plan.config {
            Config::Made { request, carried } => {
                let shadow = slot::read_file(&path, "/etc/shadow")?;
                let shadow = String::from_utf8(shadow).map_err(|_| StepError::ShadowNotText)?;
                let mut files = made_files(self.plan, request, carried);
                files.push(target::shadow_file(&shadow, request)?);
                files
            }
            Config::CarriedOver { .. } => own::files(self.plan, self.release, &path, tell)?,
        };
        let scratch = self.host.scratch().to_owned();
        Ok(slot::configure(self.host, &path, &scratch, &files)?)
    }

    fn make_boot(&mut self, progress: payload::Progress<'_>) -> Result<(), StepError> {
        let plan = self.plan;
        let old = old_boot::old_cfg(plan.old_uuid, &plan.old_boot);
        let mut more = vec![FatFile { path: "xenhost/old.cfg", bytes: old.as_bytes() }];
        match plan.host.firmware {
            Firmware::Uefi => {
                more.push(FatFile { path: OLD_ENTRY, bytes: &self.loader.grub_efi });
            }
            Firmware::Bios => {}
        }
        let volume = BootVolume {
            extent: self.extent(Role::Boot)?,
            scheme: plan.tables.trial.scheme,
            ids: &plan.host.ids,
            loader: self.loader,
            state: ON_TRIAL,
            more: &more,
        };
        volume.make(self.host.disk(), progress)
    }

    /// Reads all that the new system needs from the disk, as a boot would.
    fn verify(&mut self) -> Result<(), StepError> {
        let plan = self.plan;
        match &plan.facts.trial {
            Some(trial) => retry::unchanged(plan, trial, self.host)?,
            None => self.verify_disk()?,
        }
        let facts = &plan.facts.disk;
        let root =
            SlotRoot::open(Path::new(&facts.path), facts.block_size, self.extent(Role::Root)?)?;
        upgrade::whole(&root, self.place()?, self.release.manifest(), &plan.host.boot_files)
    }

    /// What lies outside the slots.
    fn verify_disk(&mut self) -> Result<(), StepError> {
        let (plan, boot) = (self.plan, self.extent(Role::Boot)?);
        let trial = &plan.tables.trial;
        let disk = self.host.disk();
        if steps::needs_boot_code(&plan.tables) {
            verify::core(disk, trial, &self.loader.core_img)?;
        }
        let blocks = gpt::encode(trial)?;
        verify::backup(disk, &blocks)?;
        // A GPT's own header and entries still count; those of the plan were read when written.
        if plan.tables.source == Scheme::Mbr {
            verify::primary(disk, &blocks)?;
        }
        verify::boot_state(disk, boot, ON_TRIAL)
    }
}

#[cfg(test)]
mod tests;
