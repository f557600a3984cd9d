//! The command as its users meet it: output, exit codes, and that it writes to no disk.
#![allow(clippy::unwrap_used, reason = "a test may panic: that is how it fails")]
#![allow(clippy::disallowed_methods, reason = "the test runs the command itself")]

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

fn partitioner(args: &[&str]) -> (i32, String, String) {
    let output: Output =
        Command::new(env!("CARGO_BIN_EXE_partitioner")).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn image(gib: u64) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    File::create(&path).unwrap().set_len(gib << 30).unwrap();
    (folder, path)
}

#[test]
fn a_plan_is_shown_and_nothing_written() {
    let (_folder, path) = image(60);
    let disk = path.to_str().unwrap();
    let (code, out, _) = partitioner(&["plan", disk]);
    assert_eq!(code, 0);
    let want = "\
number  role           first        last       size
     5  logs            2048     8390655      4 GiB
     2  backup       8390656    46139391     18 GiB
     1  root        46139392    83888127     18 GiB
     4  boot        83888128    94373887      5 GiB
     6  swap        94373888    96471039      1 GiB
     3  sr          96471040   125829086   13.9 GiB
destroys: nothing
Nothing was written.
";
    assert!(out.ends_with(want), "{out}");
    let blocks = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&path).unwrap());
    assert_eq!(blocks, 0, "the image is still a hole");
}

#[test]
fn the_json_plan_has_a_digest_that_follows_what_is_asked() {
    let (_folder, path) = image(60);
    let disk = path.to_str().unwrap();
    let json = |args: &[&str]| -> serde_json::Value {
        let (code, out, err) = partitioner(&[&["plan", disk, "--json"], args].concat());
        assert_eq!(code, 0, "{err}");
        serde_json::from_str(&out).unwrap()
    };
    let plan = json(&[]);
    for key in ["digest", "layout", "firmware", "disks", "destroys", "keeps", "steps"] {
        assert!(plan.get(key).is_some(), "no {key}");
    }
    assert_eq!((&plan["layout"], &plan["firmware"]), (&"modern".into(), &"uefi".into()));
    assert_eq!(plan, json(&[]), "the same every time");
    let other = json(&["--boot-size", "512MiB"]);
    assert_ne!(plan["digest"], other["digest"]);
    let count = |plan: &serde_json::Value| plan["partitions"].as_array().unwrap().len();
    assert_eq!((count(&plan), count(&json(&["--no-sr"]))), (6, 5));
}

#[track_caller]
fn ends(args: &[&str], code: i32, message: &str) {
    let (have, _, err) = partitioner(args);
    assert!(have == code && err.contains(message), "exit {have}: {err}");
}

#[test]
fn errors_have_their_exit_codes() {
    let (_folder, path) = image(11);
    let small = path.to_str().unwrap();
    ends(&["plan", small], 13, "the disk has 11 GiB, 12 GiB needed");
    ends(&["plan", "/nowhere/disk.img"], 11, "/nowhere/disk.img");
    ends(&["inspect", "/nowhere/disk.img"], 11, "/nowhere/disk.img");
    ends(&["plan", small, "--boot-size", "512"], 10, "has no unit");
    ends(&["plan", small, "--sector-size", "1000"], 10, "sector size 1000 is not 512 or 4096");
    ends(&["apply", small], 10, "unrecognized subcommand");
    let (_folder, path) = image(60);
    let large = path.to_str().unwrap();
    let four_k = ["plan", large, "--sector-size", "4096", "--firmware", "bios"];
    ends(&four_k, 13, "cannot be started by BIOS");
}

#[test]
fn a_blank_image_is_inspected() {
    let (_folder, path) = image(60);
    let disk = path.to_str().unwrap();
    let (code, out, _) = partitioner(&["inspect", disk]);
    assert_eq!(code, 0);
    assert!(out.ends_with("60 GiB, blocks of 512 bytes\nno partition table\ncontent: nothing\n"));
    let (_, out, _) = partitioner(&["inspect", disk, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["table"]["kind"], "none");
    assert_eq!(json["partitions"], serde_json::json!([]));
}

#[test]
fn every_layout_is_listed() {
    let (code, out, _) = partitioner(&["layouts"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("modern (gpt, bios and uefi), disks from 46 GiB\n"), "{out}");
    assert!(out.contains("legacy (mbr, bios), disks from 12 GiB"), "{out}");
    let (_, out, _) = partitioner(&["layouts", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 3);
}
