//! Bad input, given to `host-installer` on image files: the text, the exit code, the last line, and
//! a disk that is as it was.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::answers::Answers;
use crate::call::{Call, Ended};
use crate::disks;
use crate::failure::{At, Failure, Result, ensure};
use crate::install::DISK_STATE;
use crate::lab::Lab;

/// What a refusal must look like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) exit: i32,
    pub(super) says: &'a [&'a str],
    pub(super) state: &'a str,
}

/// Checks how a command ended.
fn check(ended: &Ended, expected: &Expected<'_>) -> Result<()> {
    let Expected { exit, says, state } = *expected;
    let all = format!("{}{}", ended.stdout, ended.stderr);
    ensure(ended.code() == exit, || format!("exit {}, {exit} expected:\n{all}", ended.code()))?;
    for words in says {
        ensure(all.contains(words), || format!("nothing says {words:?}:\n{all}"))?;
    }
    let last = ended.stderr.trim_end().lines().next_back().unwrap_or_default();
    ensure(last == format!("{DISK_STATE}{state}"), || format!("the last line is {last:?}:\n{all}"))
}

/// Runs an installation that must be refused and must not change the disk.
fn refused(call: &Call, disk: &Path, expected: &Expected<'_>) -> Result<()> {
    let before = crate::digest::disk(disk)?;
    check(&call.output()?, expected)?;
    disks::check_unchanged(disk, &before)
}

fn target(lab: &Lab, name: &str, gib: u64) -> Result<PathBuf> {
    let disk = lab.run.join(format!("{name}.img"));
    disks::blank(&disk, gib)?;
    Ok(disk)
}

pub(super) fn small_disk(lab: &mut Lab) -> Result<()> {
    let disk = target(lab, "small-disk", 11)?;
    let answers = lab.answers("small-disk", &Answers::default())?;
    let expected = Expected { exit: 13, says: &["11 GiB", "12 GiB"], state: "untouched" };
    refused(&lab.install_offline(&answers, &disk), &disk, &expected)
}

pub(super) fn bad_answers(lab: &mut Lab) -> Result<()> {
    let disk = target(lab, "bad-answers", 60)?;
    let extra = Answers { extra: "colour: blue\n", ..Answers::default() };
    let unknown = lab.answers("unknown-key", &extra)?;
    let line = Answers::default().text().lines().count() + 1;
    let place = format!(":{line}:1:");
    let empty = lab.run.join("empty.yaml");
    std::fs::write(&empty, "").at("writing", &empty)?;
    let missing = lab.run.join("missing.yaml");
    let cases: [(&Path, &[&str]); 3] =
        [(&unknown, &["colour", &place]), (&empty, &["empty"]), (&missing, &["missing.yaml"])];
    for (answers, says) in cases {
        let expected = Expected { exit: 10, says, state: "untouched" };
        refused(&lab.install_offline(answers, &disk), &disk, &expected)?;
    }
    Ok(())
}

pub(super) fn wrong_serial(lab: &mut Lab) -> Result<()> {
    let disk = target(lab, "wrong-serial", 60)?;
    let answers = Answers { serial: "SN99", ..Answers::default() };
    let answers = lab.answers("wrong-serial", &answers)?;
    // The error shows every disk and the rule that excluded it.
    let expected = Expected { exit: 11, says: &["SN99", "SN42"], state: "untouched" };
    refused(&lab.install_offline(&answers, &disk), &disk, &expected)
}

pub(super) fn not_blank(lab: &mut Lab) -> Result<()> {
    let disk = lab.run.join("not-blank.img");
    disks::bystander(&disk, &lab.run)?;
    let answers = lab.answers("not-blank", &Answers::default())?;
    let expected = Expected { exit: 12, says: &["ext4", "LVM2"], state: "untouched" };
    refused(&lab.install_offline(&answers, &disk), &disk, &expected)
}

pub(super) fn corrupt(lab: &mut Lab) -> Result<()> {
    let disk = target(lab, "corrupt-release", 60)?;
    let answers = lab.answers("corrupt-release", &Answers::default())?;
    let release = lab.run.join("corrupt-release");
    Call::new("cp").arg("-a").args([&lab.products.release, &release]).stdout()?;
    let (frame, sha256) = middle_frame(&release)?;
    flip(&release.join(installer_core::release::DOM0_IMAGE), frame)?;
    let call = lab.install_offline_from(&release, &answers, &disk);
    let expected = Expected {
        exit: 14,
        says: &[&sha256, "not decompressed"],
        state: "not bootable, rerun installer",
    };
    check(&call.output()?, &expected)?;
    crate::cache::remove(&release)
}

/// A byte within a frame in the middle of the image that holds data: its place in the file of the
/// image, and the frame's SHA-256 in the manifest.
pub(super) fn middle_frame(release: &Path) -> Result<(u64, String)> {
    let path = release.join(installer_core::release::MANIFEST);
    let text = std::fs::read(&path).at("reading", &path)?;
    let manifest: installer_core::release::Manifest = serde_json::from_slice(&text)
        .map_err(|source| Failure::Json { what: path.display().to_string(), source })?;
    let full: Vec<_> = manifest.image.chunks.iter().filter(|chunk| !chunk.zero).collect();
    let none = || Failure::check("the image has no chunk with data");
    let chunk = full.get(full.len() / 2).ok_or_else(none)?;
    Ok((chunk.frame_offset + chunk.frame_length / 2, chunk.sha256.clone()))
}

/// Flips one bit of a byte.
pub(super) fn flip(path: &Path, at: u64) -> Result<()> {
    let file = std::fs::File::options().read(true).write(true).open(path).at("opening", path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).at("reading", path)?;
    file.write_all_at(&[byte[0] ^ 1], at).at("writing", path)
}
