//! How Linux names a disk and a partition: by GUID with a GPT, by the disk signature with an MBR.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{Guid, as_text};

/// A PARTUUID: a partition's GUID, or `1234abcd-01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PartUuid {
    Gpt(Guid),
    Mbr { signature: u32, number: u32 },
}

/// The identity of a whole disk: the GUID of its GPT, or the signature of its MBR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DiskId {
    Gpt(Guid),
    Mbr(u32),
}

/// The text is neither of the two.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither a GUID nor of the form of an MBR, as in 1234abcd or 1234abcd-01")]
pub struct NotAnId(String);

impl DiskId {
    /// Eight hexadecimal digits, upper case: the part that labels carry.
    pub fn short(self) -> String {
        match self {
            Self::Gpt(guid) => guid.short(),
            Self::Mbr(signature) => format!("{signature:08X}"),
        }
    }
}

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpt(guid) => write!(f, "{guid}"),
            Self::Mbr(signature) => write!(f, "{signature:08x}"),
        }
    }
}

impl fmt::Display for PartUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpt(guid) => write!(f, "{guid}"),
            Self::Mbr { signature, number } => write!(f, "{signature:08x}-{number:02x}"),
        }
    }
}

/// Exactly eight hexadecimal digits.
fn signature(text: &str) -> Option<u32> {
    let whole = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(text, 16).ok().filter(|_| whole)
}

impl FromStr for DiskId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let mbr = || signature(text).map(Self::Mbr);
        text.parse().ok().map(Self::Gpt).or_else(mbr).ok_or_else(|| NotAnId(text.to_owned()))
    }
}

impl FromStr for PartUuid {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let mbr = || {
            let (disk, number) = text.split_once('-')?;
            let number = u32::from_str_radix(number, 16).ok().filter(|_| number.len() == 2)?;
            Some(Self::Mbr { signature: signature(disk)?, number })
        };
        text.parse().ok().map(Self::Gpt).or_else(mbr).ok_or_else(|| NotAnId(text.to_owned()))
    }
}

as_text!(DiskId, NotAnId);
as_text!(PartUuid, NotAnId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_they_are_written() {
        let guid = Guid::from_u128(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);
        let mbr = PartUuid::Mbr { signature: 0x12_34ab, number: 4 };
        assert_eq!(mbr.to_string(), "001234ab-04");
        for id in [PartUuid::Gpt(guid), mbr] {
            assert_eq!(id.to_string().parse::<PartUuid>().unwrap(), id);
            assert_eq!(id.to_string().to_uppercase().parse::<PartUuid>().unwrap(), id);
        }
        for id in [DiskId::Gpt(guid), DiskId::Mbr(0x12_34ab)] {
            assert_eq!(id.to_string().parse::<DiskId>().unwrap(), id);
        }
        assert_eq!(DiskId::Mbr(0x12_34ab).short(), "001234AB");
        for text in ["", "1234abcd", "1234abcd-", "1234abcd-001", "+234abcd-01", "x-01"] {
            assert!(text.parse::<PartUuid>().is_err(), "{text}");
        }
        for text in ["", "1234abc", "1234abcd-01", "+234abcd"] {
            assert!(text.parse::<DiskId>().is_err(), "{text}");
        }
    }
}
