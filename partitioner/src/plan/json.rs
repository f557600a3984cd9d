//! The plan as JSON, for `--json`; of its digest it is a part. `plan.schema.json` describes it,
//! and a test holds the two together.

use serde::Serialize;

use super::{Outcome, Plan, Purpose};
use crate::inspect::report::Report;
use crate::layout::{Firmware, LayoutName, Role, Scheme};
use crate::table::{Planned, TablePlan};

/// A plan, as `partitioner plan --json` shows it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Plan", deny_unknown_fields))]
pub struct PlanView<'p> {
    /// SHA-512/256 over all the rest, in lower-case hexadecimal. What is agreed to.
    #[cfg_attr(test, schemars(regex(pattern = "^[0-9a-f]{64}$")))]
    digest: &'p str,
    layout: LayoutName,
    scheme: Scheme,
    firmware: Firmware,
    outcome: Outcome,
    disks: [DiskView<'p>; 1],
    /// One line per thing that is lost.
    destroys: &'p [String],
    /// One line per partition that stays as it is.
    keeps: &'p [String],
    /// What is done, in order. Empty where there is nothing to do.
    steps: &'p [&'static str],
    /// The new table, in on-disk order. Identifiers are drawn when the plan is performed.
    partitions: Vec<PartitionView<'p>>,
    /// Every block that is written, in ascending order.
    regions: Vec<RegionView>,
    /// What is on the disk now, as `partitioner inspect --json` shows it.
    #[cfg_attr(test, schemars(with = "std::collections::BTreeMap<String, serde_json::Value>"))]
    before: Option<&'p Report>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Disk", deny_unknown_fields))]
struct DiskView<'p> {
    path: &'p str,
    /// In bytes.
    size: u64,
    /// Bytes in a block: 512 or 4096.
    block_size: u64,
    blocks: u64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Partition", deny_unknown_fields))]
struct PartitionView<'p> {
    number: u32,
    role: Role,
    /// Empty in an MBR.
    name: &'p str,
    /// A GUID, or a number like `0x83` in an MBR.
    #[serde(rename = "type")]
    kind: String,
    extent: ExtentView,
    /// In bytes.
    size: u64,
    /// The BIOS starts it. Only in an MBR.
    active: bool,
    /// Its entry and its content stay as they are, bit for bit.
    kept: bool,
}

/// Blocks, both ends included.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Extent", deny_unknown_fields))]
struct ExtentView {
    first: u64,
    last: u64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Region", deny_unknown_fields))]
struct RegionView {
    first: u64,
    last: u64,
    purpose: Purpose,
}

impl<'p> From<&'p Plan> for PlanView<'p> {
    fn from(plan: &'p Plan) -> Self {
        let geometry = plan.table.geometry;
        Self {
            digest: &plan.digest,
            layout: plan.table.layout,
            scheme: plan.table.scheme,
            firmware: plan.firmware,
            outcome: plan.outcome,
            disks: [DiskView {
                path: &plan.path,
                size: geometry.size().get(),
                block_size: geometry.block_size.bytes(),
                blocks: geometry.blocks,
            }],
            destroys: &plan.destroys,
            keeps: &plan.keeps,
            steps: &plan.steps,
            partitions: plan.table.partitions.iter().map(|p| partition(&plan.table, p)).collect(),
            regions: plan
                .regions
                .iter()
                .map(|region| RegionView {
                    first: region.extent.first().get(),
                    last: region.extent.last().get(),
                    purpose: region.purpose,
                })
                .collect(),
            before: Some(&plan.before),
        }
    }
}

impl<'p> PlanView<'p> {
    /// What there is only once, whatever the size of the host, and no digest.
    pub(super) fn without_lists(plan: &'p Plan) -> Self {
        Self { digest: "", destroys: &[], before: None, ..Self::from(plan) }
    }
}

fn partition<'p>(table: &TablePlan, planned: &'p Planned) -> PartitionView<'p> {
    let (first, last) = (planned.extent.first().get(), planned.extent.last().get());
    let is_mbr = table.scheme == Scheme::Mbr;
    PartitionView {
        number: planned.number,
        role: planned.role,
        name: &planned.name,
        kind: if is_mbr {
            format!("{:#04x}", planned.mbr_type)
        } else {
            planned.type_guid.to_string()
        },
        extent: ExtentView { first, last },
        size: table.size_of(planned).get(),
        active: is_mbr && planned.attributes & 0x80 != 0,
        kept: planned.kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published schema is the one of the type that is shown. Where it differs, the new one
    /// lies beside the test's other scratch files.
    #[test]
    fn the_schema_file_describes_the_view() {
        let mut schema = schemars::schema_for!(PlanView<'static>);
        schema.insert("title".to_owned(), "A plan of the partitioner".into());
        let want = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/plan.schema.json");
        let have = std::fs::read_to_string(path).unwrap_or_default();
        if have != want {
            let new = std::env::temp_dir().join("plan.schema.json");
            std::fs::write(&new, want).unwrap();
            panic!("{path} is out of date, the new one is {}", new.display());
        }
    }
}
