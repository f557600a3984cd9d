//! A judge of finished tables that does not know how they are made.
//!
//! The planner should never produce a finding, and a table that has one is never written. Written
//! apart from the planner, from the words of UEFI 2.10, section 5.3, and of the layouts, so that
//! one mistake cannot hide in both: it shares no arithmetic with `table`.

use std::fmt;

use crate::layout::Role;
use crate::table::TablePlan;
use crate::units::{Extent, Lba};

/// Something that must not be in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    Overlap {
        a: u32,
        b: u32,
    },
    /// The start is not on a MiB.
    Unaligned {
        number: u32,
        first: u64,
    },
    OutsideUsable {
        number: u32,
        extent: Extent,
        first: u64,
        last: u64,
    },
    NumberTwice {
        number: u32,
    },
    NumberOutOfRange {
        number: u32,
    },
    RoleTwice {
        role: Role,
    },
    /// The same GUID twice, the disk's included, or none.
    GuidNotUnique {
        number: u32,
    },
    NameTooLong {
        number: u32,
        units: usize,
    },
    /// A part of the head overlaps another or the first usable block.
    HeadOverlap {
        what: &'static str,
    },
    /// A slot is missing, or one is smaller than the other.
    UnequalSlots,
    Missing {
        role: Role,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlap { a, b } => write!(f, "partitions {a} and {b} overlap"),
            Self::Unaligned { number, first } => {
                write!(f, "partition {number} starts at block {first}, not on a MiB")
            }
            Self::OutsideUsable { number, extent, first, last } => {
                write!(f, "partition {number} has blocks {extent}, usable are {first}-{last}")
            }
            Self::NumberTwice { number } => write!(f, "partition number {number} is used twice"),
            Self::NumberOutOfRange { number } => {
                write!(f, "partition number {number} is not between 1 and 128")
            }
            Self::RoleTwice { role } => write!(f, "there are two partitions for {role}"),
            Self::GuidNotUnique { number } => {
                write!(f, "partition {number} has no GUID of its own")
            }
            Self::NameTooLong { number, units } => {
                write!(f, "partition {number} has a name of {units} units, 36 fit")
            }
            Self::HeadOverlap { what } => write!(f, "{what} overlaps its neighbour"),
            Self::UnequalSlots => f.write_str("the two slots differ in size"),
            Self::Missing { role } => write!(f, "there is no partition for {role}"),
        }
    }
}

/// All that is wrong with the plan.
pub fn check(plan: &TablePlan) -> Vec<Finding> {
    let mut findings = head(plan);
    findings.extend(identity(plan));
    findings.extend(places(plan));
    findings.extend(roles(plan));
    findings
}

/// The parts of the head follow each other and end before the partitions.
fn head(plan: &TablePlan) -> Vec<Finding> {
    let head = &plan.head;
    let mut parts = vec![
        ("entry array", head.gpt.map(|gpt| gpt.array)),
        ("spare entry array", head.gpt.map(|gpt| gpt.spare)),
        ("rescue record", Some(head.rescue)),
        ("core image a", head.core_a),
        ("core image b", head.core_b),
    ];
    parts.retain(|(_, extent)| extent.is_some());
    let mut findings = Vec::new();
    let mut before = Lba::new(1);
    for (what, extent) in parts {
        let Some(extent) = extent else { continue };
        if extent.first() <= before {
            findings.push(Finding::HeadOverlap { what });
        }
        before = extent.last();
    }
    if head.first_usable <= before {
        findings.push(Finding::HeadOverlap { what: "first partition" });
    }
    findings
}

fn identity(plan: &TablePlan) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (i, planned) in plan.partitions.iter().enumerate() {
        let number = planned.number;
        let others = plan.partitions.iter().take(i);
        if others.clone().any(|other| other.number == number) {
            findings.push(Finding::NumberTwice { number });
        }
        if !(1..=128).contains(&number) {
            findings.push(Finding::NumberOutOfRange { number });
        }
        if others.clone().any(|other| other.role == planned.role) {
            findings.push(Finding::RoleTwice { role: planned.role });
        }
        let guid = planned.guid;
        let taken = others.clone().any(|other| other.guid == guid) || guid == plan.disk_guid;
        if taken || guid.is_nil() {
            findings.push(Finding::GuidNotUnique { number });
        }
        let units = planned.name.encode_utf16().count();
        if units > 36 {
            findings.push(Finding::NameTooLong { number, units });
        }
    }
    findings
}

fn places(plan: &TablePlan) -> Vec<Finding> {
    // The backup GPT: one header block, and 16,384 bytes of entries before it.
    let block_size = plan.geometry.block_size.bytes();
    let array = 16_384_u64.div_ceil(block_size);
    let last = plan.geometry.blocks.saturating_sub(array).saturating_sub(2);
    let first = plan.head.first_usable.get();
    let mut findings = Vec::new();
    for (i, planned) in plan.partitions.iter().enumerate() {
        let (number, extent) = (planned.number, planned.extent);
        for other in plan.partitions.iter().take(i) {
            if extent.overlaps(other.extent) {
                findings.push(Finding::Overlap { a: other.number, b: number });
            }
        }
        let start = extent.first().get();
        if start.saturating_mul(block_size).trailing_zeros() < 20 {
            findings.push(Finding::Unaligned { number, first: start });
        }
        if start < first || last < extent.last().get() {
            findings.push(Finding::OutsideUsable { number, extent, first, last });
        }
    }
    findings
}

/// What every host needs, whatever its layout.
fn roles(plan: &TablePlan) -> Vec<Finding> {
    let missing = |role| plan.partition(role).is_none().then_some(Finding::Missing { role });
    let mut findings: Vec<Finding> =
        [Role::Root, Role::Backup, Role::Boot].into_iter().filter_map(missing).collect();
    if let (Some(a), Some(b)) = (plan.partition(Role::Root), plan.partition(Role::Backup))
        && a.extent.blocks() != b.extent.blocks()
    {
        findings.push(Finding::UnequalSlots);
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Guid, Ids};
    use crate::layout::Firmware;
    use crate::table::{Geometry, Planned, TableRequest, plan_table};
    use crate::units::{BlockSize, Bytes};

    /// The findings after one thing about a sound plan was spoilt.
    #[track_caller]
    fn finds(spoil: impl FnOnce(&mut TablePlan), want: &[Finding]) {
        let geometry = Geometry::of_size(Bytes::gib(60), BlockSize::B512);
        let request = TableRequest::new(Firmware::Uefi);
        let mut plan = plan_table(geometry, &request, &mut Ids::from_seed([0; 32])).unwrap();
        assert_eq!(check(&plan), []);
        spoil(&mut plan);
        assert_eq!(check(&plan), want);
    }

    fn extent(first: u64, last: u64) -> Extent {
        Extent::new(Lba::new(first), Lba::new(last)).unwrap()
    }

    fn at(plan: &mut TablePlan, number: u32) -> &mut Planned {
        plan.partitions.iter_mut().find(|planned| planned.number == number).unwrap()
    }

    #[test]
    fn swap_over_the_boot_partition() {
        finds(
            |plan| at(plan, 6).extent = extent(83_888_128, 83_890_175),
            &[Finding::Overlap { a: 4, b: 6 }],
        );
    }

    #[test]
    fn partitions_in_the_head_and_over_the_backup() {
        let (head, tail) = (extent(0, 2048), extent(96_471_040, 125_829_087));
        let usable = |number, extent| Finding::OutsideUsable {
            number,
            extent,
            first: 2048,
            last: 125_829_086,
        };
        finds(|plan| at(plan, 5).extent = head, &[usable(5, head)]);
        finds(|plan| at(plan, 3).extent = tail, &[usable(3, tail)]);
    }

    #[test]
    fn a_start_between_two_mib() {
        finds(
            |plan| at(plan, 3).extent = extent(96_471_041, 96_480_000),
            &[Finding::Unaligned { number: 3, first: 96_471_041 }],
        );
    }

    #[test]
    fn numbers_roles_and_guids_that_are_not_unique() {
        finds(|plan| at(plan, 6).number = 5, &[Finding::NumberTwice { number: 5 }]);
        finds(|plan| at(plan, 6).number = 129, &[Finding::NumberOutOfRange { number: 129 }]);
        finds(|plan| at(plan, 6).role = Role::Logs, &[Finding::RoleTwice { role: Role::Logs }]);
        finds(|plan| at(plan, 3).guid = Guid::NIL, &[Finding::GuidNotUnique { number: 3 }]);
        finds(
            |plan| {
                let disk = plan.disk_guid;
                at(plan, 3).guid = disk;
            },
            &[Finding::GuidNotUnique { number: 3 }],
        );
    }

    #[test]
    fn a_missing_slot_and_unequal_ones() {
        finds(
            |plan| plan.partitions.retain(|planned| planned.number != 2),
            &[Finding::Missing { role: Role::Backup }],
        );
        finds(|plan| at(plan, 2).extent = extent(8_390_656, 46_139_390), &[Finding::UnequalSlots]);
    }

    #[test]
    fn a_core_image_over_the_first_partition() {
        finds(
            |plan| plan.head.core_b = Some(extent(1088, 2048)),
            &[Finding::HeadOverlap { what: "first partition" }],
        );
        finds(
            |plan| plan.head.gpt.as_mut().unwrap().spare = extent(33, 65),
            &[Finding::HeadOverlap { what: "spare entry array" }],
        );
    }

    #[test]
    fn a_name_longer_than_its_field() {
        finds(
            |plan| at(plan, 3).name = "x".repeat(37),
            &[Finding::NameTooLong { number: 3, units: 37 }],
        );
    }
}
