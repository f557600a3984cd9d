//! The command as its users meet it: output, exit codes, the disk's state as the last line, and
//! that what must not be written is not.
#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]
#![allow(clippy::disallowed_methods, reason = "the test runs the command itself")]

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

#[path = "command/bad_inputs.rs"]
mod bad_inputs;
#[path = "command/schema.rs"]
mod schema;

fn partitioner(args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_partitioner"));
    // Without a terminal there is nobody to ask.
    let output: Output = command.args(args).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn image(gib: u64) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    File::create(&path).unwrap().set_len(gib << 30).unwrap();
    (folder, path)
}

/// Blocks that the file system holds for the image: 0 for a hole.
fn used(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().blocks()
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

#[track_caller]
fn json_of(args: &[&str]) -> Value {
    let (code, out, err) = partitioner(&[args, &["--json"]].concat());
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

/// Plans and performs with these options. Gives the plan.
#[track_caller]
fn applied(disk: &str, options: &[&str]) -> Value {
    let plan = json_of(&[&["plan", disk], options].concat());
    let digest = plan["digest"].as_str().unwrap();
    let (code, _, err) = partitioner(&[&["apply", disk, "--confirm", digest], options].concat());
    assert_eq!(code, 0, "{err}");
    let state = if plan["outcome"] == "write" {
        "DISK STATE: not bootable, rerun installer"
    } else {
        "DISK STATE: untouched"
    };
    assert_eq!(last_line(&err), state);
    plan
}

#[test]
fn a_plan_is_shown_and_nothing_written() {
    let (_folder, path) = image(60);
    let disk = path.to_str().unwrap();
    let (code, out, err) = partitioner(&["plan", disk]);
    assert_eq!((code, err.as_str()), (0, ""));
    let want = "
  number  role             first         last       size
       5  logs              2048      8390655      4 GiB
       2  backup         8390656     46139391     18 GiB
       1  root          46139392     83888127     18 GiB
       4  boot          83888128     94373887      5 GiB
       6  swap          94373888     96471039      1 GiB
       3  sr            96471040    125829086   13.9 GiB

Will be destroyed:
  Nothing: the disk is blank.
";
    assert!(out.contains(want), "{out}");
    assert!(out.ends_with("\nNothing was written.\n"), "{out}");
    assert_eq!(used(&path), 0, "the image is still a hole");
}

/// What the command's own reader does not know is asked of blkid, and a plan says that it is lost.
#[test]
fn a_file_system_that_only_blkid_knows_is_named() {
    let (folder, path) = image(60);
    let part = folder.path().join("minix.img");
    File::create(&part).unwrap().set_len(4 << 20).unwrap();
    let made = Command::new("mkfs.minix").arg(&part).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let disk = path.to_str().unwrap();
    let made = Command::new("sgdisk").args(["-n", "1:2048:+4M", disk]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let content = std::fs::read(&part).unwrap();
    File::options().write(true).open(&path).unwrap().write_all_at(&content, 1 << 20).unwrap();
    assert_eq!(json_of(&["inspect", disk])["partitions"][0]["content"], "minix");
    assert_eq!(json_of(&["plan", disk])["destroys"], json!(["partition 1: minix"]));
    // A file system without a table.
    let whole = part.to_str().unwrap();
    assert_eq!(json_of(&["inspect", whole])["content"], json!(["whole disk: minix"]));
}

#[test]
fn the_json_plan_has_a_digest_that_follows_what_is_asked() {
    let (_folder, path) = image(60);
    let disk = path.to_str().unwrap();
    let plan = json_of(&["plan", disk]);
    for key in ["digest", "layout", "firmware", "disks", "destroys", "keeps", "steps"] {
        assert!(plan.get(key).is_some(), "no {key}");
    }
    assert_eq!((&plan["layout"], &plan["firmware"]), (&json!("modern"), &json!("uefi")));
    assert_eq!(plan, json_of(&["plan", disk]), "the same every time");
    let count = |plan: &Value| plan["partitions"].as_array().unwrap().len();
    let no_sr = json_of(&["plan", disk, "--no-sr"]);
    assert_eq!((count(&plan), count(&no_sr)), (6, 5));
    let mut digests = vec![plan["digest"].clone(), no_sr["digest"].clone()];
    for options in [
        ["--boot-size", "512MiB"],
        ["--firmware", "bios"],
        ["--layout", "legacy"],
        ["--compat", "xenserver"],
    ] {
        digests.push(json_of(&[&["plan", disk], &options[..]].concat())["digest"].clone());
    }
    let all = digests.len();
    digests.sort_by_key(ToString::to_string);
    digests.dedup();
    assert_eq!(digests.len(), all, "each option shows");
}

#[test]
fn a_confirmed_plan_is_performed_and_then_there_is_nothing_to_do() {
    let bios = ["--firmware", "bios"];
    let compat = ["--compat", "xenserver", "--no-sr"];
    let large = ["--sector-size", "4096"];
    for (gib, options) in
        [(60, &[][..]), (60, &compat[..]), (60, &large[..]), (12, &[]), (12, &bios[..])]
    {
        let (_folder, path) = image(gib);
        let disk = path.to_str().unwrap();
        let first = applied(disk, options);
        assert_eq!(first["outcome"], "write");
        let second = applied(disk, options);
        assert_eq!(second["outcome"], "nothing", "{gib} {options:?}");
        let found = json_of(&[&["inspect", disk], &options[..0]].concat());
        assert_eq!(found["table"]["kind"], first["scheme"]);
    }
}

#[test]
fn without_consent_nothing_is_written() {
    let (_folder, path) = image(60);
    let disk = path.to_str().unwrap();
    let (code, _, err) = partitioner(&["apply", disk]);
    assert_eq!(code, 12, "{err}");
    let digest = json_of(&["plan", disk])["digest"].as_str().unwrap().to_owned();
    assert!(err.contains(&format!("needs consent: --confirm {digest}")), "{err}");
    assert_eq!(last_line(&err), "DISK STATE: untouched");
    assert_eq!(used(&path), 0);
}

#[test]
fn a_disk_that_changed_since_the_plan_is_left_alone() {
    let (_folder, path) = image(60);
    let disk = path.to_str().unwrap();
    let digest = json_of(&["plan", disk])["digest"].as_str().unwrap().to_owned();
    // A swap area appears where a partition will be.
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(b"SWAPSPACE2", 4086).unwrap();
    let before = used(&path);
    let (code, _, err) = partitioner(&["apply", disk, "--confirm", &digest]);
    assert_eq!(code, 11, "{err}");
    assert!(err.contains("the disk changed since it was confirmed"), "{err}");
    assert_eq!(last_line(&err), "DISK STATE: untouched");
    assert_eq!(used(&path), before);
    let (code, _, err) = partitioner(&["apply", disk, "--confirm", "0"]);
    assert_eq!((code, last_line(&err)), (11, "DISK STATE: untouched"));
}

#[test]
fn what_a_plan_destroys_and_keeps_is_named() {
    let (_folder, path) = image(60);
    let disk = path.to_str().unwrap();
    applied(disk, &["--layout", "legacy", "--firmware", "bios"]);
    let plan = json_of(&["plan", disk]);
    let lost: Vec<&str> =
        plan["destroys"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(lost.len(), 4, "{lost:?}");
    assert!(lost.iter().all(|line| line.starts_with("partition ")), "{lost:?}");
    let (_, out, _) = partitioner(&["plan", disk]);
    assert!(out.contains("Will be destroyed:\n  partition 1: no known content\n"), "{out}");
}

#[test]
fn a_damaged_copy_is_repaired_after_consent() {
    let (_folder, path) = image(60);
    let disk = path.to_str().unwrap();
    applied(disk, &[]);
    let (code, out, err) = partitioner(&["repair", disk]);
    assert_eq!((code, last_line(&err)), (0, "DISK STATE: untouched"));
    assert!(out.contains("nothing to repair"), "{out}");
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let mut whole = [0; 512];
    file.read_exact_at(&mut whole, 512).unwrap();
    file.write_all_at(&[0xFF; 512], 512).unwrap();
    let (code, out, err) = partitioner(&["repair", disk]);
    assert_eq!((code, last_line(&err)), (12, "DISK STATE: untouched"));
    // As `plan` tells it, on standard output; what to do with it, on standard error.
    let digest = out.split("Digest: ").nth(1).unwrap().trim_end();
    assert!(err.contains(&format!("--confirm {digest}")), "{err}");
    let (_, json, _) = partitioner(&["repair", disk, "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["damage"], &json["digest"]), (&json!("primary"), &json!(digest)));
    let (code, out, err) = partitioner(&["repair", disk, "--confirm", digest]);
    assert_eq!((code, last_line(&err)), (0, "DISK STATE: old system boots"), "{err}");
    assert!(out.contains("the primary copy of the GPT is damaged, and was written anew"), "{out}");
    let mut have = [0; 512];
    file.read_exact_at(&mut have, 512).unwrap();
    assert_eq!(have, whole);
    assert_eq!(json_of(&["plan", disk])["outcome"], "nothing");
}

#[test]
fn a_blank_image_is_inspected() {
    let (_folder, path) = image(60);
    let disk = path.to_str().unwrap();
    let (code, out, _) = partitioner(&["inspect", disk]);
    assert_eq!(code, 0);
    assert!(out.ends_with("60 GiB, blocks of 512 bytes\nno partition table\ncontent: nothing\n"));
    let json = json_of(&["inspect", disk]);
    assert_eq!(json["table"]["kind"], "none");
    assert_eq!((&json["partitions"], &json["sr"]), (&json!([]), &Value::Null));
}

#[test]
fn every_layout_is_listed() {
    let (code, out, _) = partitioner(&["layouts"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("modern (gpt, bios and uefi), disks from 46 GiB\n"), "{out}");
    assert!(out.contains("legacy (mbr, bios), disks from 12 GiB"), "{out}");
    assert_eq!(json_of(&["layouts"]).as_array().unwrap().len(), 3);
}
