//! The ways to give root a password, and the one hash that comes of them.

use std::fmt;

use sha_crypt::{PasswordHasher as _, ShaCrypt};

use super::{PasswordHash, Secret, ValueError};

/// What the answers say about root's password.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum RootPassword {
    Hash(PasswordHash),
    /// In clear. Only until [`RootPassword::settle`].
    Plain(Secret),
    /// The first line of this file is a hash or a password.
    File(String),
    /// This environment variable holds a hash or a password.
    Env(String),
    /// Nobody knows it yet: the console asks at the first boot.
    #[default]
    Ask,
    /// Nobody logs in with a password.
    Locked,
}

/// Where passwords come from that are not in the answers, and the salt that hashes them.
pub trait PasswordSource {
    /// The text of a file, or why there is none.
    fn file(&mut self, path: &str) -> Result<Secret, String>;
    /// The value of an environment variable, or why there is none.
    fn env(&mut self, name: &str) -> Result<Secret, String>;
    /// Twelve fresh random bytes, or why there are none.
    fn salt(&mut self) -> Result<[u8; SALT_BYTES], String>;
}

/// In crypt's base64 these are 16 characters, the longest salt that crypt(3) reads whole: with
/// more, the library and libcrypt would disagree and root would be locked out.
pub const SALT_BYTES: usize = 12;
/// Fewer characters are no password for root.
pub const PASSWORD_CHARS_MIN: usize = 8;

impl RootPassword {
    /// A password in clear that could be one.
    pub fn plain(text: &str) -> Result<Self, ValueError> {
        check(text)?;
        Ok(Self::Plain(Secret::new(text)))
    }

    /// Turns what is in clear or somewhere else into a hash.
    pub fn settle(self, source: &mut dyn PasswordSource) -> Result<Self, ValueError> {
        let text = match self {
            Self::Hash(_) | Self::Ask | Self::Locked => return Ok(self),
            Self::Plain(secret) => return hash(&secret, source).map(Self::Hash),
            Self::File(path) => {
                source.file(&path).map_err(|e| ValueError::new(format!("{path}: {e}")))?
            }
            Self::Env(name) => source
                .env(&name)
                .map_err(|e| ValueError::new(format!("the variable {name}: {e}")))?,
        };
        let line = Secret::new(text.expose().lines().next().unwrap_or_default());
        if line.expose().starts_with('$') {
            return PasswordHash::parse(line.expose()).map(Self::Hash);
        }
        check(line.expose())?;
        hash(&line, source).map(Self::Hash)
    }
}

/// The message never shows the text.
fn check(text: &str) -> Result<(), ValueError> {
    if text.chars().any(char::is_control) {
        return Err(ValueError::new("the password holds control characters"));
    }
    if text.chars().count() < PASSWORD_CHARS_MIN {
        return Err(ValueError::new(format!(
            "the password needs at least {PASSWORD_CHARS_MIN} characters"
        )));
    }
    Ok(())
}

fn hash(password: &Secret, source: &mut dyn PasswordSource) -> Result<PasswordHash, ValueError> {
    let salt = source.salt().map_err(|e| ValueError::new(format!("a salt is needed: {e}")))?;
    let hash = ShaCrypt::SHA512
        .hash_password_with_salt(password.expose().as_bytes(), &salt)
        .map_err(|e| ValueError::new(format!("hashing the password: {e}")))?;
    PasswordHash::parse(hash.as_str())
}

impl fmt::Debug for RootPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hash(_) => "Hash(not shown)",
            Self::Plain(_) => "Plain(not shown)",
            Self::File(_) => "File",
            Self::Env(_) => "Env",
            Self::Ask => "Ask",
            Self::Locked => "Locked",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static str);

    impl PasswordSource for Fixed {
        fn file(&mut self, _: &str) -> Result<Secret, String> {
            Ok(Secret::new(self.0))
        }
        fn env(&mut self, _: &str) -> Result<Secret, String> {
            Err("it is not set".into())
        }
        fn salt(&mut self) -> Result<[u8; SALT_BYTES], String> {
            Ok(*b"abcdefghijkl")
        }
    }

    #[track_caller]
    fn settled(password: RootPassword, file: &'static str) -> String {
        match password.settle(&mut Fixed(file)) {
            Ok(RootPassword::Hash(hash)) => hash.expose().to_owned(),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.what,
        }
    }

    #[test]
    fn a_password_in_clear_becomes_a_hash_with_a_salt_of_16_characters() {
        let plain = RootPassword::plain("correct horse").unwrap();
        let hash = settled(plain, "");
        let parts: Vec<&str> = hash.split('$').collect();
        assert_eq!(parts[1], "6");
        assert_eq!(parts[parts.len() - 2].len(), 16, "{hash}");
        assert_eq!(hash, settled(RootPassword::File("x".into()), "correct horse\nmore\n"));
    }

    #[test]
    fn a_file_may_hold_a_hash() {
        let hash = "$6$xenhostdocs$yYqNEF0kMBNJ58A8YrU2qltEbfJgOxcwuChSnoEz12J1.l8NpI8FOeTbtXovfN9\
                    jh.VR9Ntmp.LlOyOJsHXkA0";
        assert_eq!(settled(RootPassword::File("x".into()), hash), hash);
        let old = settled(RootPassword::File("x".into()), "$1$abc$def\n");
        assert!(old.contains("MD5"), "{old}");
    }

    #[test]
    fn mistakes_do_not_show_the_password() {
        for (text, want) in [("abc", "at least 8 characters"), ("hunter2\nx", "control")] {
            let error = RootPassword::plain(text).unwrap_err();
            assert!(error.what.contains(want) && !error.what.contains(text), "{error}");
        }
        assert_eq!(settled(RootPassword::Env("X".into()), ""), "the variable X: it is not set");
        let shown = format!("{:?}", RootPassword::plain("hunter22").unwrap());
        assert!(!shown.contains("hunter22"), "{shown}");
    }
}
