//! The root password in `/etc/shadow`.

use super::{Body, RelPath, TargetFile};
use crate::request::InstallRequest;
use crate::values::{PasswordHash, RootPassword};

/// Matches no password. A key still logs in, which it would not everywhere with `!`.
const NO_PASSWORD: &str = "*";

/// Debian's group that may read the file.
const SHADOW_GROUP: u32 = 42;

/// The image's `/etc/shadow` has no line for root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the image's etc/shadow has no line for root")]
pub struct ShadowError;

/// `/etc/shadow` with root's password, made from the image's own.
pub fn shadow_file(current: &str, request: &InstallRequest) -> Result<TargetFile, ShadowError> {
    let text = match &request.access.root_password {
        RootPassword::Hash(hash) => set_root_hash(current, hash)?,
        RootPassword::Ask
        | RootPassword::Locked
        | RootPassword::Plain(_)
        | RootPassword::File(_)
        | RootPassword::Env(_) => set_root(current, NO_PASSWORD)?,
    };
    let path = RelPath::new("etc/shadow").expect("a relative path");
    let body = Body::Content(text.into_bytes());
    Ok(TargetFile { path, mode: 0o640, uid: 0, gid: SHADOW_GROUP, body })
}

/// The same text with another hash for root; everything else stays as it is.
pub fn set_root_hash(shadow: &str, hash: &PasswordHash) -> Result<String, ShadowError> {
    set_root(shadow, hash.expose())
}

fn set_root(shadow: &str, word: &str) -> Result<String, ShadowError> {
    let mut found = false;
    let mut text = String::new();
    for line in shadow.lines() {
        match line.strip_prefix("root:").and_then(|rest| rest.split_once(':')) {
            Some((_, rest)) => {
                found = true;
                text.push_str("root:");
                text.push_str(word);
                text.push(':');
                text.push_str(rest);
            }
            None => text.push_str(line),
        }
        text.push('\n');
    }
    found.then_some(text).ok_or(ShadowError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hash_of_root_changes() {
        let hash = format!("$y$j9T$salt${}", "a".repeat(43));
        let hash = PasswordHash::parse(&hash).unwrap();
        let before = "root:*:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\nrooted:x:1::::::\n";
        let after = set_root_hash(before, &hash).unwrap();
        assert_eq!(after, before.replacen("root:*:", &format!("root:{}:", hash.expose()), 1));
        assert_eq!(set_root_hash("daemon:*:1::::::\n", &hash), Err(ShadowError));
    }
}
