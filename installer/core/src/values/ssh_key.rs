//! A public key that may log in as root.

use super::ValueError;

/// One line of `authorized_keys`: type, key and comment, without options. The key's own type is
/// the one in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshKey(String);

const TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

impl SshKey {
    /// The message does not show the text: it may be a private key, pasted by mistake.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let text = text.trim();
        if text.contains("PRIVATE KEY") {
            return Err(ValueError::new("this is a private key")
                .hint("put the line of the .pub file here, and replace the key that was shown"));
        }
        if text.chars().any(char::is_control) {
            return Err(ValueError::new("a public key is one line"));
        }
        let mut words = text.split_whitespace();
        let kind = words.next().unwrap_or_default();
        if kind == "ssh-dss" {
            return Err(ValueError::new("OpenSSH no longer accepts keys of the type ssh-dss"));
        }
        if !TYPES.contains(&kind) {
            return Err(ValueError::new("this is not a public key: TYPE KEY COMMENT is needed")
                .hint(format!("types: {}", TYPES.join(", "))));
        }
        let Some(blob) = words.next().and_then(base64) else {
            return Err(ValueError::new(format!("what follows {kind} is not whole base64")));
        };
        if inner_type(&blob) != Some(kind.as_bytes()) {
            return Err(ValueError::new(format!("the key that follows {kind} is of another type")));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A key begins with the length and the name of its type.
fn inner_type(blob: &[u8]) -> Option<&[u8]> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let body = text.trim_end_matches('=');
    let padding = text.len().checked_sub(body.len())?;
    if !text.len().is_multiple_of(4) || 2 < padding {
        return None;
    }
    for group in body.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for i in 0..4 {
            let six = group.get(i).map_or(Some(0), |b| six_bits(*b))?;
            bits = (bits << 6) | u32::from(six);
        }
        let [_, bytes @ ..] = bits.to_be_bytes();
        out.extend(bytes.get(..group.len().checked_sub(1)?)?);
    }
    Some(out)
}

fn six_bits(b: u8) -> Option<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let place = ALPHABET.iter().position(|a| *a == b)?;
    u8::try_from(place).ok()
}
