//! A judge of finished tables and plans that does not know how they are made.
//!
//! The planner should never produce a finding, and a table that has one is never written. Written
//! apart from the planner, from the words of UEFI 2.10, section 5.3, of the MBR's format and of
//! the layouts, so that one mistake cannot hide in both: it shares no arithmetic with `table` or
//! `plan`, and encodes what is kept itself.

use std::fmt;

use crate::layout::Role;
use crate::units::Extent;

mod kept;
mod rules;

pub use kept::check_plan;
pub use rules::check;

/// Something that must not be in a table or a plan.
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
        max: u32,
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
    /// A part of the head overlaps one before it.
    HeadOverlap {
        what: &'static str,
    },
    /// A part of the head lies in a partition, or in an MBR outside the boot volume.
    HeadMisplaced {
        what: &'static str,
    },
    /// The table is of one kind, and its head or its partitions of the other.
    MixedScheme {
        what: &'static str,
    },
    /// An MBR wants one partition that the BIOS starts, and it is the root.
    NotActive {
        active: Vec<u32>,
    },
    NoSignature,
    /// A slot is missing, or one is smaller than the other.
    UnequalSlots,
    Missing {
        role: Role,
    },
    /// The disk has another entry, or none, where one is kept.
    KeptDiffers {
        number: u32,
    },
    /// A write reaches into a partition that is kept.
    WritesKept {
        number: u32,
        extent: Extent,
    },
    WritesOutside {
        extent: Extent,
        blocks: u64,
    },
    /// Two regions of the write set overlap or are not in order.
    RegionsMixed {
        extent: Extent,
    },
    /// A part of the table is not among what is written.
    NotWritten {
        extent: Extent,
    },
    /// Something that is lost is not listed.
    Unlisted {
        line: String,
    },
    /// A plan that has nothing to do for a disk that is not as planned.
    NotDone {
        number: u32,
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
            Self::NumberOutOfRange { number, max } => {
                write!(f, "partition number {number} is not between 1 and {max}")
            }
            Self::RoleTwice { role } => write!(f, "there are two partitions for {role}"),
            Self::GuidNotUnique { number } => {
                write!(f, "partition {number} has no GUID of its own")
            }
            Self::NameTooLong { number, units } => {
                write!(f, "partition {number} has a name of {units} units, 36 fit")
            }
            Self::HeadOverlap { what } => write!(f, "{what} overlaps its neighbour"),
            Self::HeadMisplaced { what } => write!(f, "{what} lies where it must not"),
            Self::MixedScheme { what } => write!(f, "{what} is of another kind than the table"),
            Self::NotActive { active } => {
                write!(f, "active are the partitions {active:?}, the root alone must be")
            }
            Self::NoSignature => f.write_str("the MBR has no disk signature"),
            Self::UnequalSlots => f.write_str("the two slots differ in size"),
            Self::Missing { role } => write!(f, "there is no partition for {role}"),
            Self::KeptDiffers { number } => {
                write!(f, "the entry of partition {number}, which is kept, is not the disk's")
            }
            Self::WritesKept { number, extent } => {
                write!(
                    f,
                    "a write to blocks {extent} reaches into partition {number}, which is kept"
                )
            }
            Self::WritesOutside { extent, blocks } => {
                write!(f, "a write to blocks {extent} leaves the disk of {blocks} blocks")
            }
            Self::RegionsMixed { extent } => {
                write!(f, "the region {extent} overlaps the one before it or is out of order")
            }
            Self::NotWritten { extent } => {
                write!(f, "blocks {extent} belong to the table and are not written")
            }
            Self::Unlisted { line } => write!(f, "`{line}` is lost and not listed"),
            Self::NotDone { number } => {
                write!(f, "there is something to do: partition {number} is not as planned")
            }
        }
    }
}

#[cfg(test)]
mod tests;
