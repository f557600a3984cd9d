//! What is built before a machine can boot: the binaries, the dom0 root file system, the release,
//! the medium. The slow ones are cached by what they are made from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache;
use crate::call::Call;
use crate::digest::{self, Inputs};
use crate::failure::{At, Result};
use crate::folders::Folders;
use crate::report::Report;

pub(crate) const SUITE: &str = "trixie";
pub(crate) const PROFILE: &str = "minimal";
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Optimised builds of everything on two cores, on a cold machine.
const CARGO_LIMIT: Duration = Duration::from_secs(25 * 60);
const ROOTFS_LIMIT: Duration = Duration::from_secs(25 * 60);
const IMAGE_LIMIT: Duration = Duration::from_secs(10 * 60);

/// The two programs.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    /// Static: it runs in the installer environment and in dom0 alike.
    pub(crate) host_installer: PathBuf,
    pub(crate) image_builder: PathBuf,
}

/// Everything that the machines boot from.
#[derive(Clone, Debug)]
pub(crate) struct Products {
    pub(crate) binaries: Binaries,
    pub(crate) release: PathBuf,
    /// Where image-builder keeps packages and unpacked trees.
    pub(crate) packages: PathBuf,
}

pub(crate) fn build_binaries(folders: &Folders, report: &mut Report) -> Result<Binaries> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The static flag goes with an explicit target, so that it does not reach build scripts. The
    // builder needs no static link, but so the two share every crate they have in common.
    let build = |args: &[&str]| {
        Call::new(&cargo)
            .args(["build", "--release", "--target", TARGET])
            .args(args)
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .dir(&folders.repo)
            .limit(CARGO_LIMIT)
    };
    let installer = build(&["-p", "installer", "--bin", "host-installer"]);
    let builder = build(&["-p", "image-builder"]);
    run_logged(report, "build host-installer", &installer, &folders.cache.join("installer.log"))?;
    run_logged(report, "build image-builder", &builder, &folders.cache.join("builder.log"))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| folders.repo.join("target"));
    let copy = |from: PathBuf, name: &str| {
        // A copy with a name of its own: the next build replaces the original under our feet.
        let digest: String = digest::file(&from)?.chars().take(16).collect();
        cache::entry(&folders.cache, name, &digest, |to| {
            std::fs::copy(&from, to).at("copying to", to).map(drop)
        })
    };
    let release = target.join(TARGET).join("release");
    Ok(Binaries {
        host_installer: copy(release.join("host-installer"), "bin-host-installer")?,
        image_builder: copy(release.join("image-builder"), "bin-image-builder")?,
    })
}

pub(crate) fn build(folders: &Folders, report: &mut Report) -> Result<Products> {
    let binaries = build_binaries(folders, report)?;
    // The same folder that image-builder takes by itself, so that both share its packages.
    let packages = folders.cache.clone();
    let builder = binaries.image_builder.as_path();
    let inputs = Inputs::default()
        .part("suite", SUITE.as_bytes())
        .part("profile", PROFILE.as_bytes())
        .path(builder)?
        .path(&binaries.host_installer)?;
    let release_key = inputs.hex();
    let release = cache::entry(&folders.cache, "release", &release_key, |out| {
        build_release(&binaries, &packages, &folders.cache, report, out)
    })?;
    Ok(Products { binaries, release, packages })
}

/// Root file system and release, both from the packages; `work` gets the logs.
pub(crate) fn build_release(
    binaries: &Binaries,
    packages: &Path,
    work: &Path,
    report: &mut Report,
    out: &Path,
) -> Result<()> {
    let rootfs = work.join("rootfs");
    cache::remove(&rootfs)?;
    let call = rootfs_call(&binaries.image_builder, &binaries.host_installer, &rootfs, packages);
    run_logged(report, "build the dom0 root", &call, &work.join("rootfs.log"))?;
    let call = release_call(&binaries.image_builder, &rootfs, out);
    run_logged(report, "build the release", &call, &work.join("release.log"))?;
    cache::remove(&rootfs)
}

/// The dom0 root file system; packages come from, and go to, the folder `packages`.
pub(crate) fn rootfs_call(builder: &Path, installer: &Path, out: &Path, packages: &Path) -> Call {
    Call::new(builder)
        .args(["rootfs", "--suite", SUITE, "--profile", PROFILE, "--host-installer"])
        .arg(installer)
        .arg("--out")
        .arg(out)
        .arg("--cache")
        .arg(packages)
        .limit(ROOTFS_LIMIT)
}

pub(crate) fn release_call(builder: &Path, rootfs: &Path, out: &Path) -> Call {
    Call::new(builder)
        .args(["release", "--rootfs"])
        .arg(rootfs)
        .arg("--out")
        .arg(out)
        .limit(IMAGE_LIMIT)
}

/// The medium with the answer file in it.
pub(crate) fn iso_call(builder: &Path, release: &Path, out: &Path, answers: Option<&Path>) -> Call {
    let call = Call::new(builder).args(["iso", "--release"]).arg(release).arg("--out").arg(out);
    let call = call.limit(IMAGE_LIMIT);
    match answers {
        Some(file) => call.arg("--answers").arg(file),
        None => call,
    }
}

pub(crate) fn run_logged(report: &mut Report, name: &str, call: &Call, log: &Path) -> Result<()> {
    report.stage(name, |tick| call.logged(log, &mut || tick(&last_line(log))))
}

/// The last line of a log that is being written, which may be long.
fn last_line(log: &Path) -> String {
    use std::io::{Read, Seek, SeekFrom};
    const ENOUGH: i64 = 400;
    let read = || {
        let mut file = std::fs::File::open(log)?;
        if file.seek(SeekFrom::End(-ENOUGH)).is_err() {
            file.rewind()?;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    text.trim_end().lines().next_back().unwrap_or_default().to_owned()
}
