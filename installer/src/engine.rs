//! Performs a checked plan on a host.
//!
//! One `match` performs each step; order, and what each step writes, are the plan's. The engine
//! knows at every moment what the machine would boot if the power went, and says so when it fails.
//! All that can be checked without writing is checked before the first write: the files of the
//! release, the boot loader's, the programs.

use std::fmt;

use installer_core::answers::Stage;
use installer_core::event::Event;
use installer_core::facts::HostFacts;
use installer_core::outcome::{DiskState, Exit};
use installer_core::plan::{CheckedPlan, Plan, Step};
use installer_core::request::InstallRequest;
use installer_core::target::{self, label};
use installer_core::upgrade::marker_file;
use installer_core::values::Redactor;
use partitioner::head::core_for;
use partitioner::ids::Guid;
use partitioner::layout::Role;
use partitioner::table::Planned;
use partitioner::write;

pub(crate) mod boot;
mod error;
mod hooks;
pub(crate) mod verify;

pub use error::StepError;
pub use hooks::about;

use crate::call::find_program;
use crate::cancel::Cancel;
use crate::hooks::HookError;
use crate::ports::{BootEntry, Host, HostError};
use crate::release_dir::{LoaderFiles, Release};
use crate::{fresh, payload, slot};

/// Programs that the steps use, and the Debian packages that bring them.
pub const PROGRAMS: [(&str, &str); 5] = [
    ("mke2fs", "e2fsprogs"),
    ("e2fsck", "e2fsprogs"),
    ("tune2fs", "e2fsprogs"),
    ("debugfs", "e2fsprogs"),
    ("mkswap", "util-linux"),
];

/// What is to be done, and from what.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    pub plan: &'a CheckedPlan,
    pub request: &'a InstallRequest,
    pub facts: &'a HostFacts,
    pub release: &'a Release,
    /// For what the scripts of the answers print.
    pub redactor: &'a Redactor,
}

/// Why an installation or an upgrade ended early, and what is left behind.
#[derive(Debug)]
pub struct Failure {
    /// The title of what was being done; `None` before the first step.
    pub step: Option<String>,
    pub error: Box<StepError>,
    pub exit: Exit,
    pub state: DiskState,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.step {
            Some(title) => write!(f, "{title}: {}", self.error),
            None => write!(f, "before the first write: {}", self.error),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.error.as_ref())
    }
}

/// Performs the plan. Events go to `tell`; after [`Event::Finished`] the new system boots.
pub fn run(
    job: Job<'_>,
    host: &mut dyn Host,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Event),
) -> Result<(), Failure> {
    let plan = job.plan.plan();
    let mut state = DiskState::Untouched;
    let prepared = Prepared::new(job, host).map_err(|error| fail(None, error, state))?;
    let steps = u32::try_from(plan.steps.len()).unwrap_or(u32::MAX);
    tell(Event::Started { steps, digest: plan.digest.clone() });
    for (number, step) in (1..).zip(plan.steps.iter().copied()) {
        if cancel.is_set() && state != DiskState::NewSystemBoots {
            return Err(fail(Some(step), StepError::Cancelled, state));
        }
        tell(Event::StepBegun { step: number, title: step.title() });
        // From the first write on the old content is given up, whether the write arrived or not.
        if state == DiskState::Untouched && writes_disk(step) {
            state = DiskState::NotBootable;
        }
        let mut work = Work { job, prepared: &prepared, host: &mut *host, cancel };
        work.perform(step, number, tell)
            .or_else(|error| excuse(step, error, tell))
            .map_err(|error| fail(Some(step), error, state))?;
        if step == Step::Arm {
            state = DiskState::NewSystemBoots;
            tell(Event::Committed);
        }
        tell(Event::StepDone { step: number });
    }
    tell(Event::Finished);
    Ok(())
}

/// After the commit nothing makes a bootable host into a failed installation.
fn excuse(step: Step, error: StepError, tell: &mut dyn FnMut(Event)) -> Result<(), StepError> {
    if step == Step::BootEntry {
        let text = format!("{error}; the machine boots without it, from /EFI/BOOT/BOOTX64.EFI");
        tell(Event::Warning { text });
        return Ok(());
    }
    Err(error)
}

fn fail(step: Option<Step>, error: StepError, state: DiskState) -> Failure {
    let (exit, state) = match step {
        Some(Step::Arm) => (Exit::IoAtCommit, state),
        // The host is installed; what the script was to do is not done.
        Some(Step::Hooks { stage: Stage::Post }) => {
            (Exit::CleanupPending, DiskState::NewSystemBootsCleanupPending)
        }
        Some(_) | None => (error.exit(), state),
    };
    Failure { step: step.map(Step::title), error: Box::new(error), exit, state }
}

fn writes_disk(step: Step) -> bool {
    match step {
        Step::Disarm
        | Step::WipeSignatures
        | Step::WriteTable
        | Step::WriteSlot { .. }
        | Step::IdentifySlot { .. }
        | Step::ConfigureSlot { .. }
        | Step::CheckSlot { .. }
        | Step::MakeLogs
        | Step::MakeSwap
        | Step::MakeBoot
        | Step::WriteCore
        | Step::Arm => true,
        // What a script does to the disk is not ours to tell.
        Step::Verify | Step::BootEntry | Step::Hooks { .. } => false,
    }
}

/// The release is the planned one and complete, and each program is there, given with the Debian
/// package that brings it.
pub(crate) fn check_means(
    release: &Release,
    build: &str,
    programs: &[(&'static str, &'static str)],
) -> Result<(), StepError> {
    let have = &release.manifest().build;
    if have != build {
        return Err(StepError::OtherRelease { have: have.clone(), want: build.to_owned() });
    }
    for &(program, package) in programs {
        find_program(program).ok_or(StepError::NoProgram { program, package })?;
    }
    Ok(release.check_sizes()?)
}

/// What was read and worked out before the first write.
struct Prepared {
    loader: LoaderFiles,
    /// LBA 0 of the finished disk.
    lba0: Vec<u8>,
}

impl Prepared {
    fn new(job: Job<'_>, host: &dyn Host) -> Result<Self, StepError> {
        let plan = job.plan.plan();
        check_means(job.release, &plan.release.build, &PROGRAMS)?;
        host.check_room(job.release.bytes_written())?;
        let request = job.request;
        if !request.hooks.is_empty() {
            host.check_hooks()?;
            crate::hooks::check(&request.hooks)?;
        }
        if let Some(index) = request.first_boot.iter().position(|s| s.source.text().is_none()) {
            return Err(HookError::NoText { script: format!("first_boot[{index}]") }.into());
        }
        let loader = job.release.read_loader_files()?;
        let lba0 = write::lba0(&plan.table, &loader.boot_img)?;
        if let Some(place) = plan.table.head.core_a {
            core_for(&loader.core_img, place)?;
        }
        Ok(Self { loader, lba0 })
    }
}

fn progress(step: u32, tell: &mut dyn FnMut(Event)) -> impl FnMut(u64, u64) {
    move |done, total| tell(Event::Progress { step, done, total })
}

/// One step's surroundings.
struct Work<'a> {
    job: Job<'a>,
    prepared: &'a Prepared,
    host: &'a mut dyn Host,
    cancel: &'a Cancel,
}

impl Work<'_> {
    fn plan(&self) -> &Plan {
        self.job.plan.plan()
    }

    fn perform(
        &mut self,
        step: Step,
        number: u32,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), StepError> {
        let table = &self.job.plan.plan().table;
        match step {
            Step::Disarm => Ok(write::disarm(self.host.disk(), table)?),
            Step::WipeSignatures => Ok(write::wipe_signatures(self.host.disk(), table)?),
            Step::WriteTable => {
                write::write_table(self.host.disk(), table)?;
                Ok(self.host.announce(table)?)
            }
            Step::WriteSlot { role } => self.write_slot(role, &mut progress(number, tell)),
            Step::IdentifySlot { role } => self.identify_slot(role),
            Step::ConfigureSlot { role } => self.configure_slot(role),
            Step::CheckSlot { role } => {
                let path = self.host.tool_path(role)?;
                let scratch = self.host.scratch().to_owned();
                // Last before the check: what has no marker was not finished.
                let marker = marker_file(self.job.release.manifest());
                slot::configure(self.host, &path, &scratch, &[marker])?;
                slot::check(self.host, &path)?;
                Ok(self.host.settle(role)?)
            }
            Step::MakeLogs => {
                let (path, uuid) = (self.host.tool_path(Role::Logs)?, self.plan().ids.logs);
                let label = self.label("logs");
                fresh::make_ext4(self.host, &path, uuid, &label)?;
                Ok(self.host.settle(Role::Logs)?)
            }
            Step::MakeSwap => {
                let (path, uuid) = (self.host.tool_path(Role::Swap)?, self.plan().ids.swap);
                let label = self.label("swap");
                fresh::make_swap(self.host, &path, uuid, &label)?;
                Ok(self.host.settle(Role::Swap)?)
            }
            Step::MakeBoot => self.make_boot(&mut progress(number, tell)),
            Step::WriteCore => {
                let core = &self.prepared.loader.core_img;
                Ok(write::write_core(self.host.disk(), table, core)?)
            }
            Step::Verify => self.verify(),
            Step::Arm => {
                write::arm(self.host.disk(), &self.prepared.lba0)?;
                Ok(())
            }
            Step::BootEntry => self.boot_entry(),
            Step::Hooks { stage } => self.hooks(stage, tell),
        }
    }

    fn label(&self, kind: &str) -> String {
        label(kind, self.plan().table.disk_id())
    }

    fn partition(&self, role: Role) -> Result<&Planned, HostError> {
        self.job.plan.plan().table.partition(role).ok_or(HostError::NoPartition { role })
    }

    fn write_slot(&mut self, role: Role, progress: payload::Progress<'_>) -> Result<(), StepError> {
        let release = self.job.release;
        let (store, image) = (release.store(), &release.manifest().image);
        let mut slot = self.host.open_slot(role)?;
        Ok(payload::write_image(store, image, slot.as_mut(), self.cancel, progress)?)
    }

    fn identify_slot(&mut self, role: Role) -> Result<(), StepError> {
        let ids = &self.plan().ids;
        let uuid: Guid = match role {
            Role::Root => ids.root_a,
            Role::Backup => ids.root_b,
            Role::Sr
            | Role::Boot
            | Role::Logs
            | Role::Swap
            | Role::OldRoot
            | Role::OldBoot
            | Role::Preserved => {
                return Err(HostError::NoPartition { role }.into());
            }
        };
        let label = self.label("root");
        let path = self.host.tool_path(role)?;
        Ok(slot::identify(self.host, &path, uuid, &label)?)
    }

    fn configure_slot(&mut self, role: Role) -> Result<(), StepError> {
        let path = self.host.tool_path(role)?;
        let request = self.job.request;
        let shadow = slot::read_file(&path, "/etc/shadow")?;
        let shadow = String::from_utf8(shadow).map_err(|_| StepError::ShadowNotText)?;
        let mut files = target::target_files(self.plan(), request, self.job.facts);
        files.push(target::shadow_file(&shadow, request)?);
        let scratch = self.host.scratch().to_owned();
        Ok(slot::configure(self.host, &path, &scratch, &files)?)
    }

    fn boot_entry(&mut self) -> Result<(), StepError> {
        let boot = self.partition(Role::Boot)?.clone();
        let entry =
            BootEntry { label: "xenhost", loader: r"\EFI\xenhost\grubx64.efi", partition: &boot };
        self.host.boot_entry(&entry)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
