//! The plan: what was asked plus what is there gives what will be done, before anything is done.
//!
//! No clock, no disk, no randomness: everything the decision needs is an argument. The digest
//! covers all that a person would want to know before agreeing, with identifiers by name and not
//! by value.

use partitioner::ids::{Guid, Ids};
use partitioner::layout::Role;
use partitioner::table::{Geometry, LayoutError, SrChoice, TablePlan, TableRequest, plan_table};
use partitioner::units::Bytes;
use serde::Serialize;

pub(crate) mod digest;
pub(crate) mod fit;
mod judge;
pub(crate) mod lines;
mod render;
mod step;

pub use judge::{CheckedPlan, Finding, checked};
pub use lines::to_json;
pub use render::render;
pub use step::Step;

use crate::answers::{Hooks, Stage, StorageKind};
use crate::bootcfg::BootFiles;
use crate::dom0_size::Dom0Size;
use crate::facts::{DiskFacts, Firmware, HostFacts};
use crate::outcome::Exit;
use crate::release::Manifest;
use crate::request::{InstallRequest, Refusal, Wanted};

/// What will be done to one disk.
#[derive(Clone, Debug)]
pub struct Plan {
    pub firmware: Firmware,
    pub disk: DiskFacts,
    pub table: TablePlan,
    pub ids: FsIds,
    pub release: ReleaseId,
    pub boot_files: BootFiles,
    pub dom0: Dom0Size,
    /// In the order in which they are performed.
    pub steps: Vec<Step>,
    /// Scripts of the answers, one line for each.
    pub scripts: Vec<String>,
    /// What will be lost, one line per thing. Empty for a blank disk.
    pub destroys: Vec<String>,
    /// Made by dom0 after its first good boot, where it is blank until then.
    pub repositories: Vec<Wanted>,
    /// What stays as it is: every other disk.
    pub keeps: Vec<String>,
    /// SHA-256 in lower-case hexadecimal.
    pub digest: String,
}

/// Identifiers of file systems. They belong to the partition, not to what is written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FsIds {
    pub root_a: Guid,
    pub root_b: Guid,
    pub logs: Guid,
    pub swap: Guid,
    /// Volume number of the FAT file system.
    pub boot: u32,
}

impl FsIds {
    /// Fresh identifiers.
    pub fn draw(ids: &mut Ids) -> Self {
        Self {
            root_a: ids.guid("fs-root-a"),
            root_b: ids.guid("fs-root-b"),
            logs: ids.guid("fs-logs"),
            swap: ids.guid("fs-swap"),
            boot: ids.serial("fs-boot"),
        }
    }
}

/// Which release is installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReleaseId {
    pub product: String,
    pub version: String,
    pub build: String,
    pub suite: String,
    pub xen_version: String,
    pub kernel_version: String,
}

impl Plan {
    /// The same plan with fresh identifiers. The digest stays the same: a plan is shown with the
    /// identifiers of one source and performed with those of another.
    #[must_use]
    pub fn draw(&self, ids: &mut Ids) -> Self {
        let repositories = self.repositories.iter().map(|wanted| wanted.draw(ids)).collect();
        Self { table: self.table.draw(ids), ids: FsIds::draw(ids), repositories, ..self.clone() }
    }
}

/// Decides everything.
pub fn plan(
    request: &InstallRequest,
    facts: &HostFacts,
    manifest: &Manifest,
    ids: &mut Ids,
) -> Result<Plan, Refusal> {
    let disk = &request.disk;
    let geometry = Geometry::of_size(disk.size, disk.block_size);
    let wish = TableRequest {
        layout: request.layout,
        boot_size: request.boot_size,
        compat: request.compat,
        sr: match request.sr {
            StorageKind::Partition | StorageKind::Made(_) => SrChoice::Rest,
            StorageKind::None => SrChoice::None,
        },
        ..TableRequest::new(facts.firmware.into())
    };
    let table = plan_table(geometry, &wish, ids).map_err(|error| unsuitable(disk, &error))?;
    let dom0 = dom0_size(request, facts)?;
    fit::memory(dom0, facts.memory)?;
    fit::partitions(&table, manifest)?;
    fit::repositories(disk, &table, &request.repositories)?;
    let mut plan = Plan {
        firmware: facts.firmware,
        disk: disk.clone(),
        steps: with_hooks(steps(&table, facts.firmware), &request.hooks),
        scripts: lines::scripts(request),
        ids: FsIds::draw(ids),
        release: release_id(manifest),
        boot_files: boot_files(manifest)?,
        dom0,
        destroys: disk.content.clone(),
        repositories: request.repositories.iter().map(|wanted| wanted.draw(ids)).collect(),
        keeps: keeps(disk, &request.repositories, &facts.disks),
        digest: String::new(),
        table,
    };
    plan.digest = digest::of(&plan, request);
    match &request.plan_digest {
        Some(wanted) if *wanted != plan.digest => Err(Refusal::new(
            Exit::RefusedToDestroy,
            format!("the plan has the digest {}, safety.plan wants {wanted}", plan.digest),
        )
        .hint("answers, machine or release are not what they were; look at the plan again")),
        Some(_) | None => Ok(plan),
    }
}

/// What the answers give dom0, or what suits the machine.
fn dom0_size(request: &InstallRequest, facts: &HostFacts) -> Result<Dom0Size, Refusal> {
    let mut dom0 = Dom0Size::for_host(facts.memory, facts.cpus);
    if let Some(memory) = request.xen.dom0_memory {
        dom0.memory_mib = u32::try_from(memory.get() >> 20).unwrap_or(u32::MAX);
    }
    if let Some(vcpus) = request.xen.dom0_vcpus {
        if facts.cpus < vcpus {
            return Err(Refusal::new(
                Exit::Unsuitable,
                format!("xen.dom0_vcpus is {vcpus}, the machine has {} CPUs", facts.cpus),
            ));
        }
        dom0.vcpus = vcpus;
    }
    Ok(dom0)
}

fn unsuitable(disk: &DiskFacts, error: &LayoutError) -> Refusal {
    Refusal::new(Exit::Unsuitable, format!("{}: {error}", disk.path))
}

/// The order of a fresh installation. Until `Arm` the disk says that it is not finished.
fn steps(table: &TablePlan, firmware: Firmware) -> Vec<Step> {
    let role = Role::Root;
    let mut steps = vec![
        Step::Disarm,
        Step::WipeSignatures,
        Step::WriteTable,
        Step::WriteSlot { role },
        Step::IdentifySlot { role },
        Step::ConfigureSlot { role },
        Step::CheckSlot { role },
    ];
    // Layouts of 4 GiB slots keep both inside root.
    let own = [(Role::Logs, Step::MakeLogs), (Role::Swap, Step::MakeSwap)];
    steps.extend(own.into_iter().filter(|(r, _)| table.partition(*r).is_some()).map(|(_, s)| s));
    steps.push(Step::MakeBoot);
    // BIOS cannot start a disk with larger blocks, whatever is in its head.
    if table.head.core_a.is_some() {
        steps.push(Step::WriteCore);
    }
    steps.extend([Step::Verify, Step::Arm]);
    match firmware {
        Firmware::Uefi => steps.push(Step::BootEntry),
        Firmware::Bios => {}
    }
    steps
}

/// The scripts of each stage come behind the step that makes what they are for.
fn with_hooks(steps: Vec<Step>, hooks: &Hooks) -> Vec<Step> {
    let step = |stage| (!hooks.of(stage).is_empty()).then_some(Step::Hooks { stage });
    let mut all: Vec<Step> = step(Stage::Pre).into_iter().collect();
    for one in steps {
        all.push(one);
        all.extend(match one {
            Step::WriteTable => step(Stage::StorageReady),
            Step::ConfigureSlot { .. } => step(Stage::FilesReady),
            Step::Disarm
            | Step::WipeSignatures
            | Step::WriteSlot { .. }
            | Step::IdentifySlot { .. }
            | Step::CheckSlot { .. }
            | Step::MakeLogs
            | Step::MakeSwap
            | Step::MakeBoot
            | Step::WriteCore
            | Step::Verify
            | Step::Arm
            | Step::BootEntry
            | Step::Hooks { .. } => None,
        });
    }
    all.extend(step(Stage::Post));
    all
}

pub(crate) fn release_id(manifest: &Manifest) -> ReleaseId {
    ReleaseId {
        product: manifest.product.clone(),
        version: manifest.version.clone(),
        build: manifest.build.clone(),
        suite: manifest.suite.clone(),
        xen_version: manifest.dom0.xen_version.clone(),
        kernel_version: manifest.dom0.kernel_version.clone(),
    }
}

pub(crate) fn boot_files(manifest: &Manifest) -> Result<BootFiles, Refusal> {
    let dom0 = &manifest.dom0;
    BootFiles::new(&dom0.xen, &dom0.kernel, &dom0.initrd).map_err(|error| {
        Refusal::new(Exit::SourceFailed, format!("the release's manifest: {error}"))
    })
}

fn keeps(chosen: &DiskFacts, repositories: &[Wanted], disks: &[DiskFacts]) -> Vec<String> {
    let taken = |disk: &DiskFacts| {
        let mut others = repositories.iter().filter_map(|wanted| wanted.disk.as_ref());
        disk.path == chosen.path || others.any(|other| other.path == disk.path)
    };
    disks
        .iter()
        .filter(|disk| !taken(disk))
        .map(|disk| format!("{}: never written", lines::disk(disk)))
        .collect()
}

/// The length of a planned partition, or nothing where there is none.
fn size_of(table: &TablePlan, role: Role) -> Bytes {
    table.partition(role).map_or(Bytes::ZERO, |planned| table.size_of(planned))
}

#[cfg(test)]
mod tests;
