//! The root password, which only ever exists as a hash.

use std::fmt;

use super::{Secret, ValueError};

/// A password hash that Debian's libcrypt accepts: SHA-512 crypt or yescrypt. Its text is for
/// `/etc/shadow`; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Secret);

impl PasswordHash {
    /// The message names the kind of hash, never the text.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let good = match text.split('$').collect::<Vec<_>>()[..] {
            ["", "6", salt, hash] => sha512(salt, hash),
            ["", "6", rounds, salt, hash] => is_rounds(rounds) && sha512(salt, hash),
            ["", "y", params, salt, hash] => {
                word(params, 1..=16) && word(salt, 1..=86) && word(hash, 43..=43)
            }
            _ => false,
        };
        if good {
            return Ok(Self(Secret::new(text)));
        }
        Err(ValueError::new(complaint(text))
            .hint("make one with `mkpasswd -m yescrypt` or `openssl passwd -6`"))
    }

    /// The hash of an installed host, which goes on logging in by it. Older kinds that Debian's
    /// libcrypt still checks are good enough for that; the answers may not bring them.
    pub fn carried(text: &str) -> Result<Self, ValueError> {
        let good = match text.split('$').collect::<Vec<_>>()[..] {
            ["", "1", salt, hash] => word(salt, 1..=8) && word(hash, 22..=22),
            ["", "5", salt, hash] => word(salt, 1..=16) && word(hash, 43..=43),
            ["", "5", rounds, salt, hash] => {
                is_rounds(rounds) && word(salt, 1..=16) && word(hash, 43..=43)
            }
            _ => return Self::parse(text),
        };
        if good {
            return Ok(Self(Secret::new(text)));
        }
        Err(ValueError::new(complaint(text)))
    }

    /// A kind that nobody would choose today.
    pub fn is_old(&self) -> bool {
        ["$1$", "$5$"].iter().any(|kind| self.expose().starts_with(kind))
    }

    /// For `/etc/shadow`, and for nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(not shown)")
    }
}

fn sha512(salt: &str, hash: &str) -> bool {
    word(salt, 1..=16) && word(hash, 86..=86)
}

fn is_rounds(text: &str) -> bool {
    let rounds = text.strip_prefix("rounds=").and_then(|n| n.parse::<u32>().ok());
    rounds.is_some_and(|n| (1000..=999_999_999).contains(&n))
}

/// In the alphabet of crypt(3), with a length in the range.
fn word(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/')
}

fn complaint(text: &str) -> String {
    const NEEDED: &str = "SHA-512 crypt ($6$) or yescrypt ($y$) is needed";
    let kinds = [
        ("$1$", "MD5 crypt"),
        ("$2", "bcrypt"),
        ("$5$", "SHA-256 crypt"),
        ("$7$", "scrypt"),
        ("$gy$", "gost-yescrypt"),
        ("$argon2", "Argon2"),
    ];
    if text.is_empty() {
        return format!("the hash is empty; {NEEDED}");
    }
    if text.starts_with('!') || text.starts_with('*') {
        return format!(
            "this is no hash; `!!` alone asks for the password at the first boot, `locked: true` \
             locks it; {NEEDED}"
        );
    }
    if text.starts_with("$6$") {
        return "this is not a whole SHA-512 crypt hash: $6$SALT$HASH with a hash of 86 characters"
            .to_owned();
    }
    if text.starts_with("$y$") {
        return "this is not a whole yescrypt hash: $y$PARAMETERS$SALT$HASH with a hash of 43 \
                characters"
            .to_owned();
    }
    match kinds.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        Some((_, kind)) => format!("unsupported hash type {kind}; {NEEDED}"),
        None => format!("this is not a password hash; {NEEDED}"),
    }
}
