//! Why no table can be planned, with both values and the way out.

use crate::inspect::GptState;
use crate::layout::{LayoutName, Role, Scheme};
use crate::units::Bytes;

/// Why no table can be planned. All of them are exit code 13.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    #[error("the disk has {have}, {need} needed")]
    TooSmall { have: Bytes, need: Bytes },
    #[error("layout {layout} needs {need}, the disk has {have}")]
    TooSmallFor { layout: LayoutName, have: Bytes, need: Bytes },
    #[error(
        "layout {layout} needs {need} after the preserved partition, the disk has {have} there"
    )]
    TooSmallAfter { layout: LayoutName, have: Bytes, need: Bytes },
    #[error("a disk with 4096-byte sectors cannot be started by BIOS: 4096-byte sectors need UEFI")]
    FourKOnBios,
    #[error("the disk has blocks of {have} bytes, 512 or 4096 needed")]
    BlockSize { have: u64 },
    #[error(
        "layout legacy with BIOS is an MBR, which reaches {max}, and the disk has {have}: choose \
         layout modern, which has a GPT"
    )]
    BeyondMbr { have: Bytes, max: Bytes },
    #[error("boot_size {have} is not between {min} and {max}")]
    BootSize { have: Bytes, min: Bytes, max: Bytes },
    #[error("boot_size of {have} bytes is not a whole number of MiB")]
    BootSizeNotMib { have: u64 },
    #[error("boot_size {have} is given, and layout legacy with BIOS has a boot volume of {fixed}")]
    BootSizeFixed { have: Bytes, fixed: Bytes },
    #[error("partition {role} does not fit below block {blocks}")]
    DoesNotFit { role: Role, blocks: u64 },
    #[error(transparent)]
    Preserve(#[from] PreserveError),
}

/// Why a first partition cannot be preserved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PreserveError {
    #[error("the first partition is to be preserved, and the disk has no partition 1")]
    None,
    #[error("partitions {a} and {b} are both utility partitions, only one can be preserved")]
    Two { a: u32, b: u32 },
    #[error(
        "partition {number} is to be preserved and is not the first on the disk: only the first \
         can be, and preserve-first no gives it up"
    )]
    NotFirst { number: u32 },
    #[error(
        "partition {number} starts at block {first}, preserving it needs block {need} or later"
    )]
    Early { number: u32, first: u64, need: u64 },
    #[error("partition {number} ends at block {last} and would overlap the backup table at {at}")]
    Overlaps { number: u32, last: u64, at: u64 },
    #[error(
        "partition {number} is a utility partition of MBR type 0xde, and the new table is a gpt: \
         preserve-first no gives it up"
    )]
    OldUtility { number: u32 },
    #[error(
        "partition {number} lies in {from} and the new table is {to}: its entry cannot be preserved"
    )]
    OtherScheme { number: u32, from: Scheme, to: Scheme },
    #[error(
        "an MBR has four entries, and layout legacy needs all: partition 1 cannot be preserved"
    )]
    NoEntryLeft,
    #[error("the partition table must be repaired before partition {number} is preserved: {state}")]
    Damaged { number: u32, state: GptState },
    #[error("the entry of partition {number} has a type or name that cannot be written again")]
    Unreadable { number: u32 },
}
