//! SHA-256 as people write it.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::ValueError;

/// In lower-case hexadecimal.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all that is written to it");
        text
    })
}

/// In lower-case hexadecimal.
pub fn sha256_digits(text: &str) -> Result<String, ValueError> {
    let text = text.to_ascii_lowercase();
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text);
    }
    Err(ValueError::new("64 hexadecimal digits are needed"))
}

/// Of a public key, with or without `sha256:` in front.
pub fn key_digest(text: &str) -> Result<[u8; 32], ValueError> {
    let mut bytes = [0; 32];
    let digits = sha256_digits(text.strip_prefix("sha256:").unwrap_or(text)).map_err(|e| {
        ValueError::new(format!("the SHA-256 of a public key is needed: {}", e.what))
    })?;
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(pair, 16).map_err(|_| ValueError::new("not hexadecimal"))?;
    }
    Ok(bytes)
}
