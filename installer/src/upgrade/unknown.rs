//! What a system has and the other slot's does not know: changes that were made since the upgrade,
//! and that a rollback would undo, or bring back. One line per thing.

use std::collections::BTreeMap;

use installer_core::upgrade::accounts;

use super::collect;
use super::root::{Kind, Root, RootError, file};

/// A definition of a guest, a network file and a list of keys are smaller.
const FILE_MAX: u64 = 1 << 20;
/// Of one place; more would be left out in silence, so that it is an error.
const FILES_MAX: usize = 2000;
const DEPTH_MAX: usize = 4;

/// Guests, with the links that start them, and the network, with what is dropped in.
const PLACES: [(&str, &str, &str); 2] =
    [("guest", "etc/xen", ".cfg"), ("network file", "etc/systemd/network", "")];

type Files = BTreeMap<String, Vec<u8>>;

/// `here` is the system that is left, `there` the one that is gone back to.
pub fn there(here: &dyn Root, there: &dyn Root) -> Result<Vec<String>, RootError> {
    let mut lines = Vec::new();
    for (what, folder, ending) in PLACES {
        let within = |root| {
            let mut found = Files::new();
            walk(root, folder, ending, 0, &mut found).map(|()| found)
        };
        lines.extend(differences(what, &within(here)?, &within(there)?));
    }
    let (ours, theirs) = (collect::accounts(here)?, collect::accounts(there)?);
    lines.extend(accounts::unknown(&ours, &theirs));
    lines.extend(differences("login keys", &keys(here, &ours)?, &keys(there, &theirs)?));
    Ok(lines)
}

/// Files and links with names that end so. A link's content is what it names.
fn walk(
    root: &dyn Root,
    folder: &str,
    ending: &str,
    depth: usize,
    found: &mut Files,
) -> Result<(), RootError> {
    if root.stat(folder)?.is_none_or(|stat| stat.kind != Kind::Folder) {
        return Ok(());
    }
    for name in root.list(folder)? {
        let path = format!("{folder}/{name}");
        let content = match root.stat(&path)?.map(|stat| stat.kind) {
            Some(Kind::Folder) if depth < DEPTH_MAX => {
                walk(root, &path, ending, depth.saturating_add(1), found)?;
                None
            }
            Some(Kind::File) if name.ends_with(ending) => file(root, &path, FILE_MAX)?,
            Some(Kind::Link) if name.ends_with(ending) => Some(root.link(&path)?.into_bytes()),
            Some(Kind::Folder | Kind::File | Kind::Link | Kind::Other) | None => None,
        };
        found.extend(content.map(|bytes| (path, bytes)));
        if FILES_MAX < found.len() {
            let count = |files| u64::try_from(files).unwrap_or(u64::MAX);
            let (have, max) = (count(found.len()), count(FILES_MAX));
            let (root, path) = (root.name(), folder.to_owned());
            return Err(RootError::TooMany { root, path, have, max });
        }
    }
    Ok(())
}

/// By which people and root log in.
fn keys(root: &dyn Root, accounts: &accounts::Accounts) -> Result<Files, RootError> {
    let mut found = Files::new();
    for home in accounts::homes(accounts).values() {
        let path = format!("{}/.ssh/authorized_keys", home.trim_start_matches('/'));
        found.extend(file(root, &path, FILE_MAX)?.map(|bytes| (path, bytes)));
    }
    Ok(found)
}

fn differences(what: &str, here: &Files, there: &Files) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, bytes) in here {
        match there.get(path) {
            None => lines.push(format!("{what} /{path}: it is not there")),
            Some(other) if other != bytes => lines.push(format!("{what} /{path}: it differs")),
            Some(_) => {}
        }
    }
    let gone = there.keys().filter(|path| !here.contains_key(*path));
    lines.extend(gone.map(|path| format!("{what} /{path}: it is still there")));
    lines
}
