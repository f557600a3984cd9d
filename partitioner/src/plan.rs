//! What will be done to one disk: the table before and after, every block that is written and
//! why, what is lost, what stays, and a digest over all of it.
//!
//! Pure: what was found, what is asked and a source of identifiers go in. Identifiers are drawn
//! when a plan is performed, so that the digest covers them by name and not by value. `check`
//! judges a plan without knowing how it is made.

use std::sync::Arc;

use serde::Serialize;

use crate::ids::Ids;
use crate::inspect::Inspection;
use crate::inspect::report::Report;
use crate::layout::{Firmware, Scheme};
use crate::sr::Verdict;
use crate::table::{Geometry, LayoutError, TablePlan, TableRequest, plan_table_on};
use crate::units::Extent;

mod digest;
mod json;
pub mod picture;
mod regions;
mod settled;

pub use json::PlanView;

/// A disk and what was found on it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'f> {
    /// As it was named; messages and the digest have it.
    pub path: &'f str,
    pub geometry: Geometry,
    pub report: &'f Arc<Report>,
}

/// What may be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nothing: a disk with content on it is refused.
    Refuse,
    /// All that the plan lists. Performing it needs consent.
    Replace,
}

/// Whether there is anything to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Outcome {
    Write,
    /// The disk has this table already.
    Nothing,
}

/// Why blocks are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Purpose {
    /// LBA 0: boot code, and the table of an MBR or the protective entry of a GPT.
    BootSector,
    Header,
    Entries,
    /// What LBA 0 and 1 held, and where everything lies.
    RescueRecord,
    /// What could be taken for old content is made zero.
    Signatures,
    BackupEntries,
    BackupHeader,
}

impl Purpose {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BootSector => "boot sector",
            Self::Header => "table header",
            Self::Entries => "table entries",
            Self::RescueRecord => "rescue record",
            Self::Signatures => "old signatures, made zero",
            Self::BackupEntries => "backup table entries",
            Self::BackupHeader => "backup table header",
        }
    }
}

/// Blocks that are written, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub extent: Extent,
    pub purpose: Purpose,
}

/// What will be done to one disk.
#[derive(Clone, Debug)]
pub struct Plan {
    pub path: String,
    pub firmware: Firmware,
    pub before: Arc<Report>,
    pub table: TablePlan,
    pub outcome: Outcome,
    /// In ascending order, none overlapping another. Nothing else is written.
    pub regions: Vec<Region>,
    /// One line per thing that is lost.
    pub destroys: Vec<String>,
    /// One line per partition that stays as it is.
    pub keeps: Vec<String>,
    /// In the order in which they are performed.
    pub steps: Vec<&'static str>,
    /// SHA-512/256 in lower-case hexadecimal.
    pub digest: String,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error("the disk is not blank: {}", .things.join("; "))]
    NotBlank { things: Vec<String> },
}

/// Plans the table of one disk.
pub fn plan(
    facts: &Facts<'_>,
    request: &TableRequest,
    policy: Policy,
    ids: &mut Ids,
) -> Result<Plan, PlanError> {
    let found = &facts.report.inspection;
    let table = plan_table_on(found, facts.geometry, request, ids)?;
    let outcome =
        if settled::is_settled(found, &table) { Outcome::Nothing } else { Outcome::Write };
    let mut plan = Plan {
        path: facts.path.to_owned(),
        firmware: request.firmware,
        before: Arc::clone(facts.report),
        regions: Vec::new(),
        destroys: Vec::new(),
        keeps: keeps(found, &table, outcome),
        steps: Vec::new(),
        digest: String::new(),
        outcome,
        table,
    };
    if outcome == Outcome::Write {
        plan.regions = regions::regions(&plan.table);
        plan.destroys = destroys(facts.report, &plan.table);
        plan.steps = steps(plan.table.scheme);
    }
    if policy == Policy::Refuse && !plan.destroys.is_empty() {
        return Err(PlanError::NotBlank { things: plan.destroys });
    }
    plan.digest = digest::digest(&plan);
    Ok(plan)
}

impl Plan {
    /// The extents of the regions, for the fence.
    pub fn write_set(&self) -> Vec<Extent> {
        self.regions.iter().map(|region| region.extent).collect()
    }
}

/// What writing the table is made of, in order.
fn steps(scheme: Scheme) -> Vec<&'static str> {
    let table = match scheme {
        Scheme::Gpt => &["write the partition table"][..],
        // It is in LBA 0, with the boot code.
        Scheme::Mbr => &[],
    };
    let mut steps = vec![match scheme {
        Scheme::Gpt => "take the disk out of service (LBA 0), save what was there",
        Scheme::Mbr => "take the disk out of service (LBA 0)",
    }];
    steps.push("remove old signatures");
    steps.extend(table);
    steps.push("put the disk into service (LBA 0)");
    steps
}

/// The number of the partition that a line of an inspection is about.
fn about(line: &str) -> Option<u32> {
    line.strip_prefix("partition ")?.split_once(':')?.0.parse().ok()
}

/// What was found, without what is kept, with the systems and the guest disks by name.
fn destroys(report: &Report, table: &TablePlan) -> Vec<String> {
    let kept = |number| table.partitions.iter().any(|p| p.kept && p.number == number);
    let content = &report.inspection.content;
    let mut lines: Vec<String> =
        content.iter().filter(|line| !about(line).is_some_and(kept)).cloned().collect();
    for host in report.installations.iter().filter(|host| !kept(host.root)) {
        let name = host.name.as_deref().unwrap_or("unknown system");
        let version = host.version.as_deref().unwrap_or("of unknown version");
        lines.push(format!("installation: {name} {version} on partition {}", host.root));
    }
    if let Some(storage) = report.sr.as_ref().filter(|s| !s.partition.is_some_and(kept)) {
        let name = storage.uuid.map(|uuid| format!(" {uuid}")).unwrap_or_default();
        let line = |what: &str| format!("storage repository{name}: {what}");
        match &storage.verdict {
            Verdict::Empty => lines.push(line("empty")),
            Verdict::Unknown { why } => lines.push(line(&format!("not known to be empty: {why}"))),
            Verdict::InUse { what } => lines.extend(what.iter().map(|what| line(what))),
        }
    }
    lines
}

fn keeps(found: &Inspection, table: &TablePlan, outcome: Outcome) -> Vec<String> {
    let stays = |number| match outcome {
        Outcome::Nothing => true,
        Outcome::Write => table.partitions.iter().any(|p| p.kept && p.number == number),
    };
    let staying = found.partitions.iter().filter(|one| stays(one.number));
    staying
        .map(|one| {
            let name = one.name.as_deref().filter(|name| !name.is_empty());
            let what = one.content.as_deref().or(name).unwrap_or("no known content");
            format!("partition {}: {what}, blocks {}", one.number, one.extent)
        })
        .collect()
}

#[cfg(test)]
mod tests;
