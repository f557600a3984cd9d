//! Unpacking Debian packages into a directory with mmdebstrap, with two caches: packages, so that
//! nothing is fetched twice, and whole trees, named by everything that went into them.

use std::path::{Path, PathBuf};

use installer::release_dir::hex;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::exec::{Call, ExecError};
use crate::progress::Progress;
use crate::rootfs::overlay::{self, Phase};
use crate::sources::Source;
use crate::tree;

/// Trees kept per kind; older ones go.
const TREES_KEPT_MAX: usize = 3;
/// Raised when this file changes what it makes of equal inputs.
const KEY_VERSION: u32 = 1;

/// What mmdebstrap shall make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// A system that installed itself: maintainer scripts have run.
    System,
    /// Unpacked packages, nothing run.
    Unpacked,
}

/// A tree to be made.
#[derive(Clone, Debug)]
pub struct Recipe<'a> {
    pub variant: Variant,
    pub suite: &'a str,
    pub sources: &'a [Source],
    /// The archive's signed statements of what it holds now, one per source.
    pub in_release: &'a [Vec<u8>],
    pub packages: &'a [&'static str],
    pub dpkg_options: &'a [&'static str],
    pub epoch: i64,
    pub cache: &'a Path,
}

impl Recipe<'_> {
    /// Two recipes with one key make one tree.
    fn key(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(bytes);
        };
        add(format!("{KEY_VERSION} {:?} {} {}", self.variant, self.suite, self.epoch).as_bytes());
        self.sources.iter().for_each(|s| add(s.line().as_bytes()));
        self.in_release.iter().for_each(|r| add(r));
        self.packages.iter().chain(self.dpkg_options).for_each(|p| add(p.as_bytes()));
        for file in overlay::FILES.iter().filter(|f| f.phase == Phase::BeforePackages) {
            add(file.path.as_bytes());
            add(file.body.as_bytes());
        }
        hex(&hash.finalize())[..24].to_owned()
    }

    fn kind(&self) -> &'static str {
        match self.variant {
            Variant::System => "system",
            Variant::Unpacked => "tools",
        }
    }
}

/// Makes the tree at `out`, which is emptied first.
pub fn make(recipe: &Recipe<'_>, out: &Path, progress: &dyn Progress) -> Result<()> {
    tree::recreate(out)?;
    let trees = recipe.cache.join("trees");
    std::fs::create_dir_all(&trees).map_err(Error::io(&trees))?;
    let kept = trees.join(format!("{}-{}.tar.zst", recipe.kind(), recipe.key()));
    if kept.is_file() && unpack(&kept, out).is_ok() {
        progress.line("same packages as last time: taken from the cache");
        return Ok(());
    }
    tree::recreate(out)?;
    mmdebstrap(recipe, out, progress)?;
    pack(out, &kept)?;
    forget_old(&trees, recipe.kind())
}

fn mmdebstrap(recipe: &Recipe<'_>, out: &Path, progress: &dyn Progress) -> Result<()> {
    let debs = recipe.cache.join("debs");
    std::fs::create_dir_all(&debs).map_err(Error::io(&debs))?;
    let debs = std::path::absolute(&debs).map_err(Error::io(&debs))?;
    let stage = tempfile::tempdir().map_err(Error::io(Path::new("a temporary directory")))?;
    if recipe.variant == Variant::System {
        overlay::lay(stage.path(), Phase::BeforePackages)?;
    }
    Call::host("mmdebstrap", "mmdebstrap")?;
    // In a mount namespace of its own: what it binds into the tree goes with it, however it ends.
    let mut call = Call::host("unshare", "util-linux")?
        .args(["--mount", "--propagation", "private", "mmdebstrap"])
        .args(["--mode=root", "--format=directory", "--skip=essential/unlink,download/empty"])
        .args([
            "--aptopt=APT::Install-Recommends \"false\"",
            "--aptopt=Acquire::Languages \"none\"",
        ])
        .arg(format!("--include={}", recipe.packages.join(",")))
        .args(recipe.dpkg_options.iter().map(|o| format!("--dpkgopt={o}")))
        .arg(format!("--setup-hook={}", bring_hook(stage.path(), &debs)))
        .arg(format!("--customize-hook={}", keep_hook(&debs)))
        .env("SOURCE_DATE_EPOCH", recipe.epoch.to_string());
    call = match recipe.variant {
        Variant::System => call.arg("--variant=apt"),
        Variant::Unpacked => {
            call.arg("--variant=extract").arg("--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr")
        }
    };
    if recipe.sources.iter().any(|s| s.folder().is_some()) {
        call = call.arg("--hook-dir=/usr/share/mmdebstrap/hooks/file-mirror-automount");
    }
    call = call.arg(recipe.suite).arg(out);
    call = call.args(recipe.sources.iter().map(Source::line));
    call.watch(progress).map_err(|error| recognise(error, recipe))
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

/// Shell text that lays `stage` and the packages of the cache into the tree. Links, not copies:
/// a package file is never changed in place.
fn bring_hook(stage: &Path, debs: &Path) -> String {
    format!(
        "cp -r {stage}/. \"$1\"/ && mkdir -p \"$1\"/var/cache/apt/archives && \
         for f in {debs}/*.deb; do [ ! -e \"$f\" ] || \
         cp -ln \"$f\" \"$1\"/var/cache/apt/archives/ 2>/dev/null || \
         cp \"$f\" \"$1\"/var/cache/apt/archives/; done",
        stage = quoted(stage),
        debs = quoted(debs)
    )
}

/// Shell text that keeps the packages the tree was made from.
fn keep_hook(debs: &Path) -> String {
    format!(
        "for f in \"$1\"/var/cache/apt/archives/*.deb; do [ ! -e \"$f\" ] || \
         [ -e {debs}/\"${{f##*/}}\" ] || cp -l \"$f\" {debs}/ 2>/dev/null || \
         {{ cp \"$f\" {debs}/.new && mv {debs}/.new {debs}/\"${{f##*/}}\"; }}; done",
        debs = quoted(debs)
    )
}

/// Finds the situation behind apt's words.
fn recognise(error: ExecError, recipe: &Recipe<'_>) -> Error {
    let tail = error.stderr_tail();
    let mut names: Vec<String> = tail.iter().filter_map(|line| missing_package(line)).collect();
    if tail.iter().any(|line| line.contains("did not find any indices")) {
        // An archive without a single package lacks them all.
        names.extend(recipe.packages.iter().map(|name| (*name).to_owned()));
    }
    if !names.is_empty() {
        return Error::PackageMissing { names, suite: recipe.suite.to_owned() };
    }
    let full = tail.iter().any(|line| line.contains("No space left on device"));
    if full {
        let stderr = tail.join("; ");
        return Error::Io {
            path: PathBuf::from("the dom0 tree"),
            source: std::io::Error::new(std::io::ErrorKind::StorageFull, stderr),
        };
    }
    error.into()
}

fn missing_package(line: &str) -> Option<String> {
    let line = line.trim().strip_prefix("E: ")?;
    if let Some(name) = line.strip_prefix("Unable to locate package ") {
        return Some(name.to_owned());
    }
    let name = line.strip_prefix("Package '")?;
    Some(name.strip_suffix("' has no installation candidate")?.to_owned())
}

fn tar() -> Result<Call> {
    Ok(Call::host("tar", "tar")?.args(["--numeric-owner", "--xattrs", "--xattrs-include=*"]))
}

fn pack(from: &Path, to: &Path) -> Result<()> {
    let part = to.with_extension("part");
    tar()?.args(["-I", "zstd -1 -T0", "-cf"]).arg(&part).arg("-C").arg(from).arg(".").output()?;
    std::fs::rename(&part, to).map_err(Error::io(to))
}

fn unpack(from: &Path, to: &Path) -> Result<()> {
    tar()?.args(["-I", "zstd", "-xpf"]).arg(from).arg("-C").arg(to).output()?;
    Ok(())
}

fn forget_old(trees: &Path, kind: &str) -> Result<()> {
    let mut found = Vec::new();
    for node in tree::walk(trees)? {
        let name = node.path.to_string_lossy().into_owned();
        if name.starts_with(kind) {
            found.push((node.meta.modified().map_err(Error::io(trees))?, trees.join(name)));
        }
    }
    found.sort();
    found.reverse();
    for (_, path) in found.iter().skip(TREES_KEPT_MAX) {
        std::fs::remove_file(path).map_err(Error::io(path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe<'a>(sources: &'a [Source], in_release: &'a [Vec<u8>], cache: &'a Path) -> Recipe<'a> {
        Recipe {
            variant: Variant::System,
            suite: "trixie",
            sources,
            in_release,
            packages: &["a", "b"],
            dpkg_options: &[],
            epoch: 7,
            cache,
        }
    }

    #[test]
    fn the_key_follows_the_inputs() {
        let source = crate::sources::from_mirror("http://m.example/d", "trixie", None);
        let sources = [source];
        let (one, two) = ([b"1".to_vec()], [b"2".to_vec()]);
        let (here, there) = (Path::new("/here"), Path::new("/there"));
        let key = recipe(&sources, &one, here).key();
        assert_eq!(key, recipe(&sources, &one, there).key());
        assert_ne!(key, recipe(&sources, &two, here).key());
        assert_ne!(key, recipe(&[], &one, here).key());
    }

    #[test]
    fn a_missing_package_is_recognised() {
        for (line, want) in [
            ("E: Unable to locate package no-such", Some("no-such")),
            ("E: Package 'virtual-one' has no installation candidate", Some("virtual-one")),
            ("E: Unable to correct problems, you have held broken packages.", None),
        ] {
            assert_eq!(missing_package(line).as_deref(), want);
        }
    }

    #[test]
    fn a_tree_survives_the_cache() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to, kept) =
            (dir.path().join("from"), dir.path().join("to"), dir.path().join("k.tar.zst"));
        std::fs::create_dir_all(from.join("d")).unwrap();
        std::fs::create_dir_all(&to).unwrap();
        std::fs::write(from.join("d/f"), "x").unwrap();
        std::os::unix::fs::symlink("d/f", from.join("l")).unwrap();
        tree::clamp_times(&from, 1_000_000).unwrap();
        pack(&from, &kept).unwrap();
        unpack(&kept, &to).unwrap();
        assert_eq!(tree::digest(&from).unwrap(), tree::digest(&to).unwrap());
    }
}
