//! The plan: what was asked plus what is there gives what will be done, before anything is done.
//!
//! No clock, no disk, no randomness: everything the decision needs is an argument. The digest
//! covers all that a person would want to know before agreeing, with identifiers by name and not
//! by value.

use partitioner::ids::{Guid, Ids};
use partitioner::layout::Role;
use partitioner::table::TablePlan;
use serde::Serialize;

mod step;

pub use step::Step;

use crate::bootcfg::BootFiles;
use crate::dom0_size::Dom0Size;
use crate::facts::{DiskFacts, Firmware, HostFacts};
use crate::release::Manifest;
use crate::request::{InstallRequest, Refusal};

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
    /// What will be lost, one line per thing. Empty for a blank disk.
    pub destroys: Vec<String>,
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

/// Something that a plan must not have. The planner never makes one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    #[error("{0}")]
    Table(partitioner::check::Finding),
    #[error("step {step} is number {at}, it belongs before {before}")]
    Order { step: &'static str, at: usize, before: &'static str },
    #[error("step {step} is there {times} times, once needed")]
    Times { step: &'static str, times: usize },
    #[error("there is no partition {0} for what the steps write")]
    NoPartition(Role),
}

/// A plan in which an independent judge found nothing. Only such a plan is performed.
#[derive(Clone, Debug)]
pub struct CheckedPlan(Plan);

impl CheckedPlan {
    pub const fn plan(&self) -> &Plan {
        &self.0
    }
}

/// Decides everything.
pub fn plan(
    request: &InstallRequest,
    facts: &HostFacts,
    manifest: &Manifest,
    ids: &mut Ids,
) -> Result<Plan, Refusal> {
    drop((request, facts, manifest, ids));
    todo!()
}

/// Judges a plan without knowing how it was made.
pub fn checked(plan: Plan) -> Result<CheckedPlan, Vec<Finding>> {
    drop(plan);
    todo!()
}

/// The plan as `--json` shows it.
pub fn to_json(plan: &Plan) -> serde_json::Value {
    drop(plan);
    todo!()
}

/// The plan for people: 80 columns of ASCII.
pub fn render(plan: &Plan) -> String {
    drop(plan);
    todo!()
}
