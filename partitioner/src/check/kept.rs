//! What a plan may do to the disk as it was found: kept entries stay, bit for bit, nothing is
//! written into a kept partition or outside the disk, and what is lost is listed.

use super::Finding;
use super::rules::check;
use crate::inspect::{Found, Inspection};
use crate::layout::Scheme;
use crate::plan::{Outcome, Plan, Region};
use crate::table::{Planned, TablePlan};
use crate::units::{Extent, Lba};

/// All that is wrong with a plan for a disk on which this was found.
pub fn check_plan(plan: &Plan, found: &Inspection) -> Vec<Finding> {
    let mut findings = check(&plan.table);
    findings.extend(kept_entries(&plan.table, found));
    findings.extend(regions(&plan.table, &plan.regions));
    match plan.outcome {
        Outcome::Write => {
            findings.extend(written(&plan.table, &plan.regions));
            findings.extend(listed(plan, found));
        }
        Outcome::Nothing => findings.extend(done(plan, found)),
    }
    findings
}

fn kept_entries(table: &TablePlan, found: &Inspection) -> Vec<Finding> {
    let kept = table.partitions.iter().filter(|planned| planned.kept);
    kept.filter(|planned| {
        let same = |one: &Found| one.extent == planned.extent && one.entry == stored(planned);
        !found.partitions.iter().any(same)
    })
    .map(|planned| Finding::KeptDiffers { number: planned.number })
    .collect()
}

/// A GPT entry as UEFI 2.10 table 5-6 has it. An MBR keeps nothing.
fn stored(planned: &Planned) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    bytes.extend(planned.type_guid.to_gpt_bytes());
    bytes.extend(planned.guid.to_gpt_bytes());
    bytes.extend(planned.extent.first().get().to_le_bytes());
    bytes.extend(planned.extent.last().get().to_le_bytes());
    bytes.extend(planned.attributes.to_le_bytes());
    bytes.extend(planned.name.encode_utf16().take(36).flat_map(u16::to_le_bytes));
    bytes.resize(128, 0);
    bytes
}

fn regions(table: &TablePlan, regions: &[Region]) -> Vec<Finding> {
    let blocks = table.geometry.blocks;
    let mut findings = Vec::new();
    let mut next = 0;
    for region in regions {
        let extent = region.extent;
        if extent.first().get() < next {
            findings.push(Finding::RegionsMixed { extent });
        }
        next = extent.last().get().saturating_add(1);
        if blocks < next {
            findings.push(Finding::WritesOutside { extent, blocks });
        }
        let kept = table.partitions.iter().filter(|planned| planned.kept);
        let hit = kept.filter(|planned| planned.extent.overlaps(extent));
        findings.extend(hit.map(|planned| Finding::WritesKept { number: planned.number, extent }));
    }
    findings
}

/// LBA 0, and with a GPT both headers and both arrays, are among what is written.
fn written(table: &TablePlan, regions: &[Region]) -> Vec<Finding> {
    let block_size = table.geometry.block_size.bytes();
    let mut need: Vec<(u64, u64)> = vec![(0, 1)];
    if table.scheme == Scheme::Gpt
        && let Some(gpt) = table.head.gpt
    {
        let array = 16_384_u64.div_ceil(block_size);
        let end = table.geometry.blocks.saturating_sub(1);
        need.push((gpt.header.get(), 1));
        need.push((gpt.array.first().get(), array));
        need.push((end, 1));
        need.push((end.saturating_sub(array), array));
    }
    need.into_iter()
        .filter_map(|(first, blocks)| Extent::with_len(Lba::new(first), blocks))
        .filter(|extent| !regions.iter().any(|region| region.extent.contains(*extent)))
        .map(|extent| Finding::NotWritten { extent })
        .collect()
}

/// What the disk holds is either kept or named among what is lost.
fn listed(plan: &Plan, found: &Inspection) -> Vec<Finding> {
    let kept =
        |line: &str| {
            plan.table.partitions.iter().filter(|planned| planned.kept).any(|planned| {
                line.strip_prefix(&format!("partition {}: ", planned.number)).is_some()
            })
        };
    found
        .content
        .iter()
        .filter(|line| !plan.destroys.contains(line) && !kept(line))
        .map(|line| Finding::Unlisted { line: line.clone() })
        .collect()
}

/// Nothing to do means: nothing is written or lost, and every partition is there.
fn done(plan: &Plan, found: &Inspection) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        plan.destroys.iter().map(|line| Finding::Unlisted { line: line.clone() }).collect();
    findings
        .extend(plan.regions.iter().map(|region| Finding::RegionsMixed { extent: region.extent }));
    for planned in &plan.table.partitions {
        let same = |one: &Found| one.number == planned.number && one.extent == planned.extent;
        if !found.partitions.iter().any(same) {
            findings.push(Finding::NotDone { number: planned.number });
        }
    }
    for extra in &found.partitions {
        if !plan.table.partitions.iter().any(|planned| planned.number == extra.number) {
            findings.push(Finding::NotDone { number: extra.number });
        }
    }
    findings
}
