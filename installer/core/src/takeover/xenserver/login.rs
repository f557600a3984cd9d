//! How root gets in: the password's hash, keys, and the host's own SSH keys.

use super::texts::{Texts, in_file, in_line};
use super::{CarryError, OldFile};
use crate::answers::Access;
use crate::target::{Body, RelPath, TargetFile};
use crate::values::{PasswordHash, RootPassword};

const PASSWD: &str = "etc/passwd";
const SHADOW: &str = "etc/shadow";
const SSHD: &str = "etc/ssh/sshd_config";
const SSH: &str = "etc/ssh";
const ROOT_SSH: &str = "root/.ssh";
/// What the old installer wrote for a password that the first boot asks for.
const ASKED: &str = "!!";
/// Kinds of host keys that a current sshd takes.
const HOST_KEYS: [&str; 3] = ["ssh_host_rsa_key", "ssh_host_ecdsa_key", "ssh_host_ed25519_key"];

pub(super) fn access(texts: Texts<'_>, notes: &mut Vec<String>) -> Result<Access, CarryError> {
    Ok(Access {
        root_password: root_password(texts, notes)?,
        // The file is carried over as it is.
        ssh_keys: Vec::new(),
        ssh_password_login: ssh_password_login(texts)?,
    })
}

/// The second field of root's line. A single character in `passwd` sends to `shadow`.
fn root_password(texts: Texts<'_>, notes: &mut Vec<String>) -> Result<RootPassword, CarryError> {
    let root = |path: &str| -> Result<Option<(usize, String)>, CarryError> {
        let lines = texts.lines(path)?;
        Ok(lines.into_iter().find_map(|(number, line)| {
            let (word, _) = line.strip_prefix("root:")?.split_once(':')?;
            Some((number, word.to_owned()))
        }))
    };
    let missing = |path| in_file(path, "it has no line for root");
    let (mut path, mut found) = (PASSWD, root(PASSWD)?.ok_or_else(|| missing(PASSWD))?);
    if found.1.len() == 1 {
        (path, found) = (SHADOW, root(SHADOW)?.ok_or_else(|| missing(SHADOW))?);
    }
    let (line, word) = found;
    if word == ASKED {
        return Ok(RootPassword::Ask);
    }
    if word.starts_with(['!', '*']) {
        return Ok(RootPassword::Locked);
    }
    if word.is_empty() {
        notes.push("root had no password: the console asks for one".to_owned());
        return Ok(RootPassword::Ask);
    }
    let hash = PasswordHash::carried(&word)
        .map_err(|e| in_line(path, line, format!("root's password: {e}")))?;
    if hash.is_old() {
        notes.push("root's password is kept by a weak hash: set it anew with passwd".to_owned());
    }
    Ok(RootPassword::Hash(hash))
}

/// Only what the old host says itself; the new one's default is that root needs a key.
fn ssh_password_login(texts: Texts<'_>) -> Result<Option<bool>, CarryError> {
    let mut root = None;
    let mut passwords = None;
    for (_, text) in texts.lines(SSHD)? {
        let mut words = text.split_whitespace();
        let (key, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        // The first value of a key counts, and a block of `Match` is not for all.
        if key.eq_ignore_ascii_case("match") {
            break;
        }
        if key.eq_ignore_ascii_case("permitrootlogin") {
            root = root.or(Some(value));
        }
        if key.eq_ignore_ascii_case("passwordauthentication") {
            passwords = passwords.or(Some(value));
        }
    }
    Ok(match (root, passwords) {
        (_, Some("no")) => Some(false),
        (Some("yes"), _) => Some(true),
        (Some(_), _) => Some(false),
        (None, _) => None,
    })
}

/// SSH keys: the host's own, and all that lies in root's folder.
pub(super) fn files(texts: Texts<'_>, notes: &mut Vec<String>) -> Vec<TargetFile> {
    let mut files = Vec::new();
    for (name, file) in texts.within(SSH).into_iter().filter(|(n, _)| n.starts_with("ssh_host_")) {
        let (kind, mode) = match name.strip_suffix(".pub") {
            Some(kind) => (kind, 0o644),
            None => (name, 0o600),
        };
        if HOST_KEYS.contains(&kind) {
            files.extend(moved(&format!("{SSH}/{name}"), mode, file, notes));
        } else {
            notes.push(format!("/{SSH}/{name:?}: SSH no longer takes keys of this kind"));
        }
    }
    let own = texts.within(ROOT_SSH);
    if own.is_empty() {
        return files;
    }
    let path = RelPath::new(ROOT_SSH).expect("a relative path");
    files.push(TargetFile { path, mode: 0o700, uid: 0, gid: 0, body: Body::Directory });
    for (name, file) in own {
        files.extend(moved(&format!("{ROOT_SSH}/{name}"), 0o600, file, notes));
    }
    files
}

fn moved(path: &str, mode: u16, file: &OldFile, notes: &mut Vec<String>) -> Option<TargetFile> {
    match (file, RelPath::new(path)) {
        (OldFile::Content(bytes), Ok(path)) => {
            let body = Body::Content(bytes.clone());
            Some(TargetFile { path, mode, uid: 0, gid: 0, body })
        }
        (OldFile::Content(_) | OldFile::Link(_) | OldFile::There, _) => {
            notes.push(format!("/{path:?}: it is no plain file"));
            None
        }
    }
}
