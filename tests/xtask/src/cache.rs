//! Things that are slow to make, kept outside the checkout under the digest of what they were made
//! from, and bounded in number.

use std::path::{Path, PathBuf};

use crate::call::Call;
use crate::failure::{At, Result};

/// How many things of each kind are kept.
const KEPT: usize = 3;

/// Gives the folder of the thing `kind` made from inputs with the digest `key`, making it with
/// `make` unless it is there. `make` gets a folder that does not exist yet.
pub(crate) fn entry(
    cache: &Path,
    kind: &str,
    key: &str,
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let shelf = cache.join(kind);
    std::fs::create_dir_all(&shelf).at("making", &shelf)?;
    // Two runs at a time would otherwise make the same thing twice, or remove each other's.
    let lock_path = cache.join(format!("{kind}.lock"));
    let lock = std::fs::File::create(&lock_path).at("creating", &lock_path)?;
    lock.lock().at("locking", &lock_path)?;
    let name: String = key.chars().take(24).collect();
    let place = shelf.join(&name);
    if !place.exists() {
        let part = shelf.join(format!("{name}.part"));
        remove(&part)?;
        make(&part)?;
        std::fs::rename(&part, &place).at("naming", &place)?;
    }
    // Marks it as used, which is what decides about staying.
    let mark = shelf.join(format!("{name}.used"));
    std::fs::write(&mark, "").at("writing", &mark)?;
    forget_old(&shelf, &name)?;
    Ok(place)
}

fn forget_old(shelf: &Path, current: &str) -> Result<()> {
    let mut others = Vec::new();
    for entry in std::fs::read_dir(shelf).at("listing", shelf)? {
        let path = entry.at("listing", shelf)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.contains('.') || name == current {
            continue;
        }
        let mark = shelf.join(format!("{name}.used"));
        others.push((mark.metadata().and_then(|m| m.modified()).ok(), path, mark));
    }
    others.sort();
    let surplus = (others.len() + 1).saturating_sub(KEPT);
    for (_, path, mark) in others.drain(..surplus) {
        remove(&path)?;
        remove(&mark)?;
    }
    Ok(())
}

/// Removes a file or a folder with everything in it; nothing there is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let Ok(kind) = path.symlink_metadata() else { return Ok(()) };
    if kind.is_dir() {
        let removed = std::fs::remove_dir_all(path);
        if removed.is_err() && !rustix::process::geteuid().is_root() {
            // A tree with files of many users, made in a namespace such as this.
            let rm = ["--user", "--map-root-user", "--map-auto", "rm", "-rf", "--"];
            Call::new("unshare").args(rm).arg(path).stdout()?;
            return Ok(());
        }
        removed.at("removing", path)
    } else {
        std::fs::remove_file(path).at("removing", path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_made_once_and_the_oldest_unused_one_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut made = Vec::new();
        let mut get = |key: &str| {
            entry(dir.path(), "thing", key, |path| {
                made.push(key.to_owned());
                std::fs::create_dir(path).at("making", path)
            })
            .unwrap();
            // The order of use is told apart by file times.
            std::thread::sleep(std::time::Duration::from_millis(15));
        };
        for key in ["a", "b", "c", "a", "d", "a", "b"] {
            get(key);
        }
        assert_eq!(made, ["a", "b", "c", "d", "b"]);
    }

    #[test]
    fn what_failed_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let fail = |path: &Path| {
            std::fs::create_dir(path).at("making", path)?;
            Err(crate::failure::Failure::check("no"))
        };
        assert!(entry(dir.path(), "thing", "k", fail).is_err());
        let path = entry(dir.path(), "thing", "k", |p| std::fs::write(p, "x").at("w", p)).unwrap();
        assert!(path.is_file());
    }
}
