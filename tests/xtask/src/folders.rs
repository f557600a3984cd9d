//! Where things are: the checkout, the cache outside it, and a folder for each run.

use std::path::{Path, PathBuf};

use crate::failure::{At, Failure, Result};

/// Folders of runs that failed or were asked to stay, beside those of runs that still go on.
const RUNS_KEPT: usize = 1;

#[derive(Clone, Debug)]
pub(crate) struct Folders {
    pub(crate) repo: PathBuf,
    pub(crate) cache: PathBuf,
}

impl Folders {
    pub(crate) fn find() -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let here = manifest.unwrap_or_else(|| PathBuf::from("."));
        let here = here.canonicalize().at("finding", &here)?;
        let repo = here.ancestors().find(|dir| dir.join("Cargo.lock").exists());
        let repo = repo.ok_or_else(|| Failure::check("run this with `cargo xtask`"))?.to_owned();
        let var = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        // Without a home, which some CI machines lack, the build's own folder has to do.
        let cache = var("XENHOST_CACHE")
            .or_else(|| Some(var("HOME")?.join(".cache/xenhost")))
            .unwrap_or_else(|| repo.join("target/xenhost"));
        std::fs::create_dir_all(&cache).at("making", &cache)?;
        let cache = cache.canonicalize().at("finding", &cache)?;
        Ok(Self { repo, cache })
    }

    /// A new, empty folder for this run of `name`; old ones go.
    pub(crate) fn run(&self, name: &str) -> Result<PathBuf> {
        let runs = self.cache.join("run");
        std::fs::create_dir_all(&runs).at("making", &runs)?;
        forget_old_runs(&runs)?;
        let dir = runs.join(format!("{name}.{}", std::process::id()));
        if dir.exists() {
            std::fs::remove_dir_all(&dir).at("removing", &dir)?;
        }
        std::fs::create_dir(&dir).at("making", &dir)?;
        Ok(dir)
    }
}

fn forget_old_runs(runs: &Path) -> Result<()> {
    let mut old = Vec::new();
    for entry in std::fs::read_dir(runs).at("listing", runs)? {
        let path = entry.at("listing", runs)?.path();
        let pid = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
        let is_running = Path::new("/proc").join(&pid).exists() && !pid.is_empty();
        if !is_running {
            let at = path.metadata().and_then(|m| m.modified()).at("looking at", &path)?;
            old.push((at, path));
        }
    }
    old.sort();
    let surplus = old.len().saturating_sub(RUNS_KEPT);
    for (_, path) in old.drain(..surplus) {
        std::fs::remove_dir_all(&path).at("removing", &path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_gets_an_empty_folder_and_old_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders { repo: PathBuf::new(), cache: dir.path().to_owned() };
        for n in 0..6 {
            // No process has the number 0 or a name.
            std::fs::create_dir_all(dir.path().join(format!("run/old{n}.x{n}"))).unwrap();
        }
        let run = folders.run("demo").unwrap();
        std::fs::write(run.join("file"), "x").unwrap();
        assert_eq!(folders.run("demo").unwrap().read_dir().unwrap().count(), 0);
        assert_eq!(dir.path().join("run").read_dir().unwrap().count(), RUNS_KEPT + 1);
    }
}
