//! What `image-builder` promises: equal inputs give equal bytes, and what it lacks it names.

use std::path::Path;

use crate::answers::Answers;
use crate::call::Call;
use crate::digest::{self, Inputs};
use crate::failure::{At, Result, ensure};
use crate::lab::Lab;
use crate::products::{self, Products};

/// Two releases from one root file system, two media from one release.
pub(super) fn reproducible(lab: &mut Lab) -> Result<()> {
    let answers = lab.answers("reproducible", &Answers::default())?;
    let builder = lab.products.binaries.image_builder.clone();
    let release = lab.products.release.clone();
    let mut digests = Vec::new();
    for n in 0..2 {
        let out = lab.run.join(format!("reproducible-{n}.iso"));
        let log = lab.run.join("iso.log");
        let call = products::iso_call(&builder, &release, &out, Some(&answers))
            .env("SOURCE_DATE_EPOCH", "1767225600");
        products::run_logged(&mut lab.report, "build the ISO again", &call, &log)?;
        digests.push(digest::file(&out)?);
        crate::cache::remove(&out)?;
    }
    ensure(digests[0] == digests[1], || format!("two ISOs differ: {digests:?}"))?;
    let before = Inputs::default().path(&release)?.hex();
    let again = lab.run.join("release-again");
    let Products { binaries, packages, .. } = lab.products.clone();
    products::build_release(&binaries, &packages, &lab.run, &mut lab.report, &again)?;
    // The name of the folder is part of a digest.
    let same_name = lab.run.join(release.file_name().unwrap_or_default());
    std::fs::rename(&again, &same_name).at("naming", &same_name)?;
    let after = Inputs::default().path(&same_name)?.hex();
    ensure(before == after, || {
        format!("two releases differ: {} {}", release.display(), same_name.display())
    })?;
    crate::cache::remove(&same_name)
}

/// An archive on this machine that signs nothing and holds nothing.
pub(super) fn missing_package(lab: &mut Lab) -> Result<()> {
    let archive = lab.run.join("archive");
    let dist = archive.join("dists/trixie");
    let binary = dist.join("main/binary-amd64");
    std::fs::create_dir_all(&binary).at("making", &binary)?;
    write(&binary.join("Packages"), "")?;
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let release = format!(
        "Origin: Test\nSuite: trixie\nCodename: trixie\nArchitectures: amd64\nComponents: main\n\
         Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {empty} 0 main/binary-amd64/Packages\n"
    );
    write(&dist.join("Release"), &release)?;
    write(&dist.join("InRelease"), &release)?;
    let mirror = format!("deb [trusted=yes] file:{} trixie main", archive.display());
    let out = lab.run.join("missing-rootfs");
    let call = rootfs(lab, &out).args(["--mirror", &mirror]);
    let ended = call.output()?;
    let all = format!("{}{}", ended.stdout, ended.stderr);
    ensure(ended.code() == 15, || format!("exit {}, 15 expected:\n{all}", ended.code()))?;
    ensure(all.contains("linux-image-amd64") || all.contains("systemd"), || {
        format!("no package is named:\n{all}")
    })
}

/// A file system of 64 MiB, in a mount namespace of its own.
pub(super) fn no_space(lab: &mut Lab) -> Result<()> {
    let full = lab.run.join("full");
    std::fs::create_dir_all(&full).at("making", &full)?;
    let script = "mount -t tmpfs -o size=64m none \"$0\" && exec \"$@\"";
    let builder = &lab.products.binaries.image_builder;
    let call = Call::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .args([full.as_path(), builder.as_path()])
        .args(["iso", "--release"])
        .arg(&lab.products.release)
        .arg("--out")
        .arg(full.join("xenhost.iso"));
    let ended = call.output()?;
    let all = format!("{}{}", ended.stdout, ended.stderr);
    ensure(ended.code() == 13, || format!("exit {}, 13 expected:\n{all}", ended.code()))?;
    ensure(all.contains("MiB free") && all.contains("needed"), || {
        format!("nothing tells the space that is there and needed:\n{all}")
    })
}

fn rootfs(lab: &Lab, out: &Path) -> Call {
    let binaries = &lab.products.binaries;
    let cache = lab.run.join("missing-cache");
    products::rootfs_call(&binaries.image_builder, &binaries.host_installer, out, &cache)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).at("writing", path)
}
