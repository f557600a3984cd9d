//! Sizes as people write them, and rules about sizes of disks.

use std::fmt;

use partitioner::units::Bytes;

use super::ValueError;

const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// A whole number and a unit, `512MiB` or `400GB`; binary and decimal units are what they say.
pub fn parse_size(text: &str) -> Result<Bytes, ValueError> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let no = |why: &str| ValueError::new(format!("`{text}` is not a size: {why}"));
    if number.is_empty() {
        return Err(no("it does not begin with a number").hint("for example 512MiB or 400GB"));
    }
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Err(no("the unit is missing").hint(format!("for example {number}GiB")));
    }
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(no(&format!("`{unit}` is not a unit"))
            .hint("units: KiB, MiB, GiB, TiB, or KB, MB, GB, TB for powers of ten"));
    };
    let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(*factor));
    bytes.map(Bytes::new).ok_or_else(|| no("it is too large"))
}

/// The size as [`parse_size`] reads it, exactly: the largest binary unit that divides it.
pub fn size_text(size: Bytes) -> String {
    let binary = ["TiB", "GiB", "MiB", "KiB"].into_iter().zip([40_u32, 30, 20, 10]);
    for (unit, shift) in binary {
        if shift <= size.get().trailing_zeros() && size.get() != 0 {
            return format!("{}{unit}", size.get() >> shift);
        }
    }
    // Only sizes with a unit are read, so that what is left was written in thousands.
    format!("{}KB", size.get() / 1000)
}

/// A rule about the size of a disk: `>=400GB`, `<2TB`, `==60GiB`, `200GiB..1TiB` (both included).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeRule {
    AtLeast(Bytes),
    MoreThan(Bytes),
    AtMost(Bytes),
    LessThan(Bytes),
    Exactly(Bytes),
    Within(Bytes, Bytes),
}

/// Makes a rule of the size behind a sign.
type Make = fn(Bytes) -> SizeRule;

impl SizeRule {
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let text = text.trim();
        if let Some((low, high)) = text.split_once("..") {
            let (low, high) = (parse_size(low)?, parse_size(high)?);
            if high < low {
                return Err(ValueError::new(format!("`{text}` leaves no size: {high} < {low}")));
            }
            return Ok(Self::Within(low, high));
        }
        // The longer sign first, since `>` begins `>=` too.
        let signs: [(&str, Make); 5] = [
            (">=", Self::AtLeast),
            ("<=", Self::AtMost),
            ("==", Self::Exactly),
            (">", Self::MoreThan),
            ("<", Self::LessThan),
        ];
        for (sign, rule) in signs {
            if let Some(size) = text.strip_prefix(sign) {
                return parse_size(size).map(rule);
            }
        }
        Err(ValueError::new(format!("`{text}` is not a rule about a size"))
            .hint("for example \">=400GB\", \"==60GiB\" or \"200GiB..1TiB\""))
    }

    /// The rule as [`SizeRule::parse`] reads it.
    pub fn written(self) -> String {
        match self {
            Self::AtLeast(n) => format!(">={}", size_text(n)),
            Self::MoreThan(n) => format!(">{}", size_text(n)),
            Self::AtMost(n) => format!("<={}", size_text(n)),
            Self::LessThan(n) => format!("<{}", size_text(n)),
            Self::Exactly(n) => format!("=={}", size_text(n)),
            Self::Within(low, high) => format!("{}..{}", size_text(low), size_text(high)),
        }
    }

    pub fn allows(self, size: Bytes) -> bool {
        match self {
            Self::AtLeast(n) => n <= size,
            Self::MoreThan(n) => n < size,
            Self::AtMost(n) => size <= n,
            Self::LessThan(n) => size < n,
            Self::Exactly(n) => size == n,
            Self::Within(low, high) => low <= size && size <= high,
        }
    }
}

impl fmt::Display for SizeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(n) => write!(f, ">= {n}"),
            Self::MoreThan(n) => write!(f, "> {n}"),
            Self::AtMost(n) => write!(f, "<= {n}"),
            Self::LessThan(n) => write!(f, "< {n}"),
            Self::Exactly(n) => write!(f, "== {n}"),
            Self::Within(low, high) => write!(f, "{low} .. {high}"),
        }
    }
}
