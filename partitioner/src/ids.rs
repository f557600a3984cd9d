//! Identifiers: the GUID type, and the one source of fresh ones.
//!
//! In goes a 32-byte seed (from the kernel in production, a constant in tests), out come GUIDs by
//! name. This module reads no randomness itself.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A GUID (UUID), kept in the byte order of its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Guid([u8; 16]);

impl Guid {
    /// All zero: the type of an unused GPT entry (UEFI 2.10 table 5-7).
    pub const NIL: Self = Self([0; 16]);

    /// From the 128-bit number that the text spells: `0xC12A7328_F81F_11D2_BA4B_00A0C93EC93B`.
    pub const fn from_u128(number: u128) -> Self {
        Self(number.to_be_bytes())
    }

    /// The bytes in the order of the text, as `tune2fs` and RFC 9562 have them.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The bytes as GPT stores them: the first three fields little endian (UEFI 2.10 appendix A).
    pub const fn to_gpt_bytes(self) -> [u8; 16] {
        swap_fields(self.0)
    }

    pub const fn from_gpt_bytes(bytes: [u8; 16]) -> Self {
        Self(swap_fields(bytes))
    }

    pub fn is_nil(self) -> bool {
        self == Self::NIL
    }

    /// The first eight hexadecimal digits, upper case: the part that labels carry.
    pub fn short(self) -> String {
        let [a, b, c, d, ..] = self.0;
        format!("{:08X}", u32::from_be_bytes([a, b, c, d]))
    }

    /// Sets the version (4) and variant (10) bits of RFC 9562, section 5.4.
    const fn as_random(mut self) -> Self {
        self.0[6] = (self.0[6] & 0x0f) | 0x40;
        self.0[8] = (self.0[8] & 0x3f) | 0x80;
        self
    }
}

/// Text order to GPT order and back; it is its own inverse.
const fn swap_fields(b: [u8; 16]) -> [u8; 16] {
    [
        b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13],
        b[14], b[15],
    ]
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A host has thousands of these; formatting byte by byte takes ten times as long.
        let mut text = String::with_capacity(36);
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            for half in [byte >> 4, byte & 0xF] {
                text.extend(char::from_digit(half.into(), 16));
            }
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What `serde`'s `try_from` and `into` with a `String` need of a type that reads and writes itself
/// as text.
macro_rules! as_text {
    ($id:ty, $error:ty) => {
        impl TryFrom<String> for $id {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> Self {
                id.to_string()
            }
        }
    };
}
pub(crate) use as_text;

/// The text is not a GUID.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a GUID, as in c12a7328-f81f-11d2-ba4b-00a0c93ec93b")]
pub struct NotAGuid(String);

impl FromStr for Guid {
    type Err = NotAGuid;

    fn from_str(text: &str) -> Result<Self, NotAGuid> {
        let wrong = || NotAGuid(text.to_owned());
        let mut number = 0_u128;
        for (at, byte) in text.bytes().enumerate() {
            match (at, char::from(byte).to_digit(16)) {
                (8 | 13 | 18 | 23, _) if byte == b'-' => {}
                (8 | 13 | 18 | 23, _) | (_, None) => return Err(wrong()),
                (_, Some(digit)) => number = number << 4 | u128::from(digit),
            }
        }
        if text.len() == 36 { Ok(Self::from_u128(number)) } else { Err(wrong()) }
    }
}

as_text!(Guid, NotAGuid);

/// The only source of fresh identifiers.
///
/// Each name has a stream of its own, so that a new partition changes no other identifier in a
/// golden file. A second draw under the same name gives the next value of that stream.
#[derive(Clone)]
pub struct Ids {
    seed: [u8; 32],
    drawn: BTreeMap<String, u64>,
}

impl Ids {
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { seed, drawn: BTreeMap::new() }
    }

    /// The next GUID of the stream `name`.
    pub fn guid(&mut self, name: &str) -> Guid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.block(name)[..16]);
        Guid(bytes).as_random()
    }

    /// The next 32-bit number of the stream `name`, for FAT volume ids.
    pub fn serial(&mut self, name: &str) -> u32 {
        let [a, b, c, d, ..] = self.block(name);
        u32::from_be_bytes([a, b, c, d])
    }

    /// SHA-256 over seed, position in the stream, and name. The name comes last and the others
    /// have a fixed length, so no two inputs look alike.
    fn block(&mut self, name: &str) -> [u8; 32] {
        let position = self.drawn.entry(name.to_owned()).or_insert(0);
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(position.to_be_bytes());
        hash.update(name.as_bytes());
        *position = position.wrapping_add(1);
        hash.finalize().into()
    }
}

impl fmt::Debug for Ids {
    /// Without the seed: who knows it knows every identifier to come.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ids").field("drawn", &self.drawn).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";

    #[test]
    fn text_and_gpt_bytes_of_the_efi_system_partition() {
        let guid: Guid = ESP.parse().unwrap();
        // UEFI 2.10 table 5-8 gives the GUID; sgdisk writes these bytes for ef00.
        let stored = [
            0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e,
            0xc9, 0x3b,
        ];
        assert_eq!(guid.to_gpt_bytes(), stored);
        assert_eq!(Guid::from_gpt_bytes(stored).to_string(), ESP);
        assert_eq!(guid.short(), "C12A7328");
        assert_eq!(serde_json::to_string(&guid).unwrap(), format!("\"{ESP}\""));
    }

    #[test]
    fn malformed_texts_are_refused() {
        for text in ["", "c12a7328", "c12a7328f81f11d2ba4b00a0c93ec93b", &ESP.replace('c', "+")] {
            assert!(text.parse::<Guid>().is_err(), "{text}");
        }
    }

    #[test]
    fn streams_are_independent_and_fresh() {
        let mut one = Ids::from_seed([7; 32]);
        let mut two = Ids::from_seed([7; 32]);
        let disk = one.guid("disk");
        assert_ne!(two.guid("root"), disk);
        assert_eq!(two.guid("disk"), disk, "another name drawn before changes nothing");
        assert_ne!(one.guid("disk"), disk, "a second draw is another value");
        assert_ne!(Ids::from_seed([8; 32]).guid("disk"), disk);
    }

    #[test]
    fn drawn_guids_have_the_random_form() {
        let text = Ids::from_seed([1; 32]).guid("disk").to_string();
        assert_eq!(text.as_bytes()[14], b'4', "{text}");
        assert!(matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{text}");
    }

    #[test]
    fn debug_hides_the_seed() {
        assert!(!format!("{:?}", Ids::from_seed([0xab; 32])).contains("171"));
    }
}
