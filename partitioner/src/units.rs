//! Units of disk space. A length in bytes, a block address and a block size are different types,
//! and every conversion that rounds says so in its name.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

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

    pub const fn mib(n: u32) -> Self {
        Self(widen(n) << 20)
    }

    pub const fn gib(n: u32) -> Self {
        Self(widen(n) << 30)
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whole blocks needed to hold this many bytes; rounds up.
    pub fn blocks_ceil(self, size: BlockSize) -> u64 {
        self.0.div_ceil(size.bytes())
    }

    /// Whole blocks that fit into this many bytes; rounds down.
    pub fn blocks_floor(self, size: BlockSize) -> u64 {
        self.0 >> size.0.trailing_zeros()
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

/// The text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotASize {
    #[error("size `{0}` has no unit: KiB, MiB, GiB or TiB needed")]
    NoUnit(String),
    #[error("`{0}` is not a size, as in 512MiB")]
    Malformed(String),
    #[error("size `{0}` does not fit in 64 bits")]
    TooLarge(String),
}

impl FromStr for Bytes {
    type Err = NotASize;

    /// A whole number and a binary unit, with or without a space: `512MiB`, `60 GiB`.
    fn from_str(text: &str) -> Result<Self, NotASize> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let shift = match unit.strip_prefix(' ').unwrap_or(unit) {
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            "TiB" => 40,
            "" if !number.is_empty() => return Err(NotASize::NoUnit(text.to_owned())),
            _ => return Err(NotASize::Malformed(text.to_owned())),
        };
        if number.is_empty() {
            return Err(NotASize::Malformed(text.to_owned()));
        }
        let too_large = || NotASize::TooLarge(text.to_owned());
        let number: u64 = number.parse().map_err(|_| too_large())?;
        number.checked_mul(1_u64 << shift).map(Self).ok_or_else(too_large)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn size(text: &str, want: &str) {
        let have = match text.parse::<Bytes>() {
            Ok(size) => size.get().to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(have, want);
    }

    #[test]
    fn sizes_have_units() {
        size("512MiB", "536870912");
        size("60 GiB", "64424509440");
        size("0KiB", "0");
        size("512", "size `512` has no unit: KiB, MiB, GiB or TiB needed");
        size("", "`` is not a size, as in 512MiB");
        size("GiB", "`GiB` is not a size, as in 512MiB");
        size("5GB", "`5GB` is not a size, as in 512MiB");
        size("-5GiB", "`-5GiB` is not a size, as in 512MiB");
        size("16777216TiB", "size `16777216TiB` does not fit in 64 bits");
        size("99999999999999999999TiB", "size `99999999999999999999TiB` does not fit in 64 bits");
    }

    #[test]
    fn sizes_are_shown_rounded_down() {
        assert_eq!(Bytes::gib(46).to_string(), "46 GiB");
        assert_eq!(Bytes::new((46 << 30) - 512).to_string(), "45.9 GiB");
        assert_eq!(Bytes::new(511).to_string(), "511 bytes");
    }

    #[test]
    fn extents_have_both_ends() {
        let extent = Extent::with_len(Lba::new(2048), 10).unwrap();
        assert_eq!((extent.to_string().as_str(), extent.blocks()), ("2048-2057", 10));
        assert_eq!(Extent::with_len(Lba::new(0), 0), None);
        assert_eq!(Extent::with_len(Lba::new(u64::MAX), 2), None);
        assert_eq!(Extent::new(Lba::new(2), Lba::new(1)), None);
        let next = Extent::with_len(Lba::new(2058), 1).unwrap();
        assert!(!extent.overlaps(next) && !extent.contains(next));
    }

    #[test]
    fn block_sizes_are_powers_of_two_from_512() {
        for bytes in [0, 1, 256, 513, 1000] {
            assert_eq!(BlockSize::new(bytes), None);
        }
        assert_eq!(Bytes::new(8191).blocks_floor(BlockSize::B4096), 1);
        assert_eq!(Bytes::new(4097).blocks_ceil(BlockSize::B4096), 2);
    }
}
