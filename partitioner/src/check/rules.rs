//! What every table must be, whatever was on the disk.

use super::Finding;
use crate::layout::{LayoutName, Role, Scheme};
use crate::table::{Planned, TablePlan};
use crate::units::{Extent, Lba};

/// All that is wrong with the table.
pub fn check(plan: &TablePlan) -> Vec<Finding> {
    let mut findings = head(plan);
    findings.extend(identity(plan));
    findings.extend(scheme(plan));
    findings.extend(places(plan));
    findings.extend(roles(plan));
    findings
}

/// The parts of the head do not overlap. With a GPT they lie outside all partitions, with an MBR
/// inside the boot volume.
fn head(plan: &TablePlan) -> Vec<Finding> {
    let head = &plan.head;
    let one = |at: Lba| Extent::with_len(at, 1);
    let parts = [
        ("boot sector", one(Lba::new(0))),
        ("header", head.gpt.and_then(|gpt| one(gpt.header))),
        ("entry array", head.gpt.map(|gpt| gpt.array)),
        ("spare entry array", head.gpt.map(|gpt| gpt.spare)),
        ("old boot sector", head.old_lba0.and_then(one)),
        ("rescue record", Some(head.rescue)),
        ("core image a", head.core_a),
        ("core image b", head.core_b),
    ];
    let parts: Vec<(&str, Extent)> =
        parts.into_iter().filter_map(|(what, extent)| Some((what, extent?))).collect();
    let mut findings = Vec::new();
    for (i, (what, extent)) in parts.iter().enumerate() {
        if parts.iter().take(i).any(|(_, other)| other.overlaps(*extent)) {
            findings.push(Finding::HeadOverlap { what });
        }
        if misplaced(plan, *extent) {
            findings.push(Finding::HeadMisplaced { what });
        }
    }
    findings
}

fn misplaced(plan: &TablePlan, part: Extent) -> bool {
    let inside = |planned: &Planned| planned.extent.overlaps(part);
    let beyond = plan.geometry.blocks <= part.last().get();
    let at_zero = part.last() == Lba::new(0);
    match plan.scheme {
        Scheme::Gpt => beyond || plan.partitions.iter().any(inside),
        Scheme::Mbr if at_zero => plan.partitions.iter().any(inside),
        Scheme::Mbr => {
            !plan.partition(Role::Boot).is_some_and(|volume| volume.extent.contains(part))
        }
    }
}

fn identity(plan: &TablePlan) -> Vec<Finding> {
    let max = match plan.scheme {
        Scheme::Gpt => 128,
        Scheme::Mbr => 4,
    };
    let mut findings = Vec::new();
    for (i, planned) in plan.partitions.iter().enumerate() {
        let number = planned.number;
        let others = plan.partitions.iter().take(i);
        if others.clone().any(|other| other.number == number) {
            findings.push(Finding::NumberTwice { number });
        }
        if !(1..=max).contains(&number) {
            findings.push(Finding::NumberOutOfRange { number, max });
        }
        if others.clone().any(|other| other.role == planned.role) {
            findings.push(Finding::RoleTwice { role: planned.role });
        }
        let guid = planned.guid;
        let taken = others.clone().any(|other| other.guid == guid) || guid == plan.disk_guid;
        if plan.scheme == Scheme::Gpt && (taken || guid.is_nil()) {
            findings.push(Finding::GuidNotUnique { number });
        }
        let units = planned.name.encode_utf16().count();
        if units > 36 {
            findings.push(Finding::NameTooLong { number, units });
        }
    }
    findings
}

/// What only one kind of table has is there, and what only the other has is not.
fn scheme(plan: &TablePlan) -> Vec<Finding> {
    let is_mbr = plan.scheme == Scheme::Mbr;
    let mut findings = Vec::new();
    if plan.head.gpt.is_some() == is_mbr {
        findings.push(Finding::MixedScheme { what: "head" });
    }
    let typed = |p: &Planned| (p.type_guid.is_nil(), p.mbr_type != 0) == (is_mbr, is_mbr);
    if !plan.partitions.iter().all(typed) {
        findings.push(Finding::MixedScheme { what: "a partition's type" });
    }
    if !is_mbr {
        return findings;
    }
    if plan.partitions.iter().any(|p| !p.name.is_empty() || !p.guid.is_nil()) {
        findings.push(Finding::MixedScheme { what: "a partition's name or GUID" });
    }
    let active = plan.partitions.iter().filter(|p| p.attributes & 0x80 == 0x80);
    let active: Vec<u32> = active.map(|p| p.number).collect();
    let root: Vec<u32> = plan.partition(Role::Root).map(|p| p.number).into_iter().collect();
    if active != root {
        findings.push(Finding::NotActive { active });
    }
    if plan.mbr_signature == 0 {
        findings.push(Finding::NoSignature);
    }
    findings
}

fn places(plan: &TablePlan) -> Vec<Finding> {
    let block_size = plan.geometry.block_size.bytes();
    let usable = |planned: &Planned| match (plan.scheme, planned.role) {
        // The backup GPT: one header block, and 16,384 bytes of entries before it.
        (Scheme::Gpt, _) => {
            let array = 16_384_u64.div_ceil(block_size);
            let last = plan.geometry.blocks.saturating_sub(array).saturating_sub(2);
            (plan.head.first_usable.get(), last)
        }
        // The boot volume fills the gap before the first MiB; an MBR counts with 32 bits.
        (Scheme::Mbr, Role::Boot) => (1, plan.head.first_usable.get().saturating_sub(1)),
        (Scheme::Mbr, _) => {
            let last = plan.geometry.blocks.saturating_sub(1).min(u64::from(u32::MAX));
            (plan.head.first_usable.get(), last)
        }
    };
    let mut findings = Vec::new();
    for (i, planned) in plan.partitions.iter().enumerate() {
        let (number, extent) = (planned.number, planned.extent);
        for other in plan.partitions.iter().take(i) {
            if extent.overlaps(other.extent) {
                findings.push(Finding::Overlap { a: other.number, b: number });
            }
        }
        let start = extent.first().get();
        let in_gap = plan.scheme == Scheme::Mbr && planned.role == Role::Boot;
        let on_mib = start.saturating_mul(block_size).trailing_zeros() >= 20;
        if !on_mib && !planned.kept && !in_gap {
            findings.push(Finding::Unaligned { number, first: start });
        }
        let (first, last) = usable(planned);
        if start < first || last < extent.last().get() {
            findings.push(Finding::OutsideUsable { number, extent, first, last });
        }
    }
    findings
}

/// What every host needs.
fn roles(plan: &TablePlan) -> Vec<Finding> {
    let missing = |role| plan.partition(role).is_none().then_some(Finding::Missing { role });
    let mut findings: Vec<Finding> =
        [Role::Root, Role::Backup, Role::Boot].into_iter().filter_map(missing).collect();
    if let (Some(a), Some(b)) = (plan.partition(Role::Root), plan.partition(Role::Backup)) {
        let (a, b) = (a.extent.blocks(), b.extent.blocks());
        let fine = match (plan.layout, plan.scheme) {
            (LayoutName::Modern, _) | (LayoutName::Legacy, Scheme::Mbr) => a == b,
            // The boot partition was carved out of the root, which keeps their sum at 4 GiB.
            (LayoutName::Legacy, Scheme::Gpt) => a <= b,
        };
        if !fine {
            findings.push(Finding::UnequalSlots);
        }
    }
    findings
}
