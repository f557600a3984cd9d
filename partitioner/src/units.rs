//! Units of disk space. A length in bytes, a block address and a block size are different types,
//! and every conversion that rounds says so in its name.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// A length in bytes. Never a block count, never mebibytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(u64);

impl Bytes {
    pub const ZERO: Self = Self(0);

    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    #[expect(clippy::arithmetic_side_effects, reason = "u32 << 20 fits in u64")]
    pub const fn mib(n: u32) -> Self {
        Self(widen(n) << 20)
    }

    #[expect(clippy::arithmetic_side_effects, reason = "u32 << 30 fits in u64")]
    pub const fn gib(n: u32) -> Self {
        Self(widen(n) << 30)
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whole blocks needed to hold this many bytes; rounds up.
    pub fn blocks_ceil(self, size: BlockSize) -> u64 {
        self.0.div_ceil(size.bytes())
    }

    /// Whole blocks that fit into this many bytes; rounds down.
    pub fn blocks_floor(self, size: BlockSize) -> u64 {
        self.0 / size.bytes()
    }
}

/// `u64::from` is not yet const.
#[expect(clippy::as_conversions, reason = "u32 to u64 is lossless and `from` is not const")]
const fn widen(n: u32) -> u64 {
    n as u64
}

impl fmt::Display for Bytes {
    /// The largest binary unit that shows the size with at most one decimal, rounded down.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        for (name, shift) in UNITS {
            let whole = self.0 >> shift;
            if whole == 0 {
                continue;
            }
            let rest = self.0 & (1_u64 << shift).wrapping_sub(1);
            let tenths = (u128::from(rest).saturating_mul(10)) >> shift;
            return if rest == 0 || tenths == 0 {
                write!(f, "{whole} {name}")
            } else {
                write!(f, "{whole}.{tenths} {name}")
            };
        }
        write!(f, "{} bytes", self.0)
    }
}

/// A logical block address on one particular disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lba(u64);

impl Lba {
    pub const fn new(block: u64) -> Self {
        Self(block)
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    pub fn checked_add(self, blocks: u64) -> Option<Self> {
        self.0.checked_add(blocks).map(Self)
    }

    /// Where this block begins, in bytes from the start of the disk; `None` past 2^64.
    pub fn byte_offset(self, size: BlockSize) -> Option<u64> {
        self.0.checked_mul(size.bytes())
    }
}

impl fmt::Display for Lba {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LBA {}", self.0)
    }
}

/// A disk's logical block size. Invariant: a power of two, 512 or larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct BlockSize(NonZeroU32);

impl BlockSize {
    pub const B512: Self = Self(NonZeroU32::new(512).expect("512 is not zero"));
    pub const B4096: Self = Self(NonZeroU32::new(4096).expect("4096 is not zero"));

    pub fn new(bytes: u32) -> Option<Self> {
        let bytes = NonZeroU32::new(bytes)?;
        (bytes.is_power_of_two() && 512 <= bytes.get()).then_some(Self(bytes))
    }

    pub fn bytes(self) -> u64 {
        u64::from(self.0.get())
    }
}

/// The number is not a block size that a disk can have.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not a block size: a power of two from 512 is needed")]
pub struct NotABlockSize(u32);

impl TryFrom<u32> for BlockSize {
    type Error = NotABlockSize;

    fn try_from(bytes: u32) -> Result<Self, NotABlockSize> {
        Self::new(bytes).ok_or(NotABlockSize(bytes))
    }
}

impl From<BlockSize> for u32 {
    fn from(size: BlockSize) -> Self {
        size.0.get()
    }
}

/// A range of blocks, both ends included. Invariant: `first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Extent {
    first: Lba,
    last: Lba,
}

impl Extent {
    pub const fn new(first: Lba, last: Lba) -> Option<Self> {
        if first.0 <= last.0 { Some(Self { first, last }) } else { None }
    }

    /// The `blocks` blocks from `first` on; `None` for no block or past 2^64.
    pub fn with_len(first: Lba, blocks: u64) -> Option<Self> {
        let last = first.get().checked_add(blocks.checked_sub(1)?)?;
        Some(Self { first, last: Lba(last) })
    }

    pub const fn first(self) -> Lba {
        self.first
    }

    pub const fn last(self) -> Lba {
        self.last
    }

    /// How many blocks it holds.
    pub const fn blocks(self) -> u64 {
        self.last.0.saturating_sub(self.first.0).saturating_add(1)
    }

    pub fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// From this block to the last address there is.
impl From<std::ops::RangeFrom<Lba>> for Extent {
    fn from(range: std::ops::RangeFrom<Lba>) -> Self {
        Self { first: range.start, last: Lba(u64::MAX) }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first.0, self.last.0)
    }
}
