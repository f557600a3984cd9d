//! Free space, asked for before it is used up half way.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Refuses where the file system that will hold `path` has less than `need` bytes free.
pub fn require(path: &Path, need: u64, what: &'static str) -> Result<()> {
    let existing = existing_ancestor(path);
    let stat = rustix::fs::statvfs(&existing).map_err(|e| Error::io(&existing)(e.into()))?;
    let have = stat.f_bavail.saturating_mul(stat.f_frsize);
    if have < need {
        return Err(Error::NoSpace { path: existing, have, need, what });
    }
    Ok(())
}

fn existing_ancestor(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = absolute.ancestors().find(|p| p.exists());
    found.unwrap_or_else(|| Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impossible_need_is_refused_with_both_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let error = require(&dir.path().join("not/yet/there"), u64::MAX, "a test").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("MiB free, 17592186044415 MiB needed for a test"), "{text}");
        assert!(text.contains(&*dir.path().to_string_lossy()), "{text}");
        require(dir.path(), 1, "a test").unwrap();
    }
}
