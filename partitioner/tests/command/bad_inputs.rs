//! Bad inputs, each with what must be said and the exit code. The image is the same afterwards.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{image, last_line, partitioner, used};

/// How the image is made before the command.
#[derive(Clone, Copy, Debug)]
enum Before {
    Blank,
    /// By sfdisk, from this script.
    Table(&'static str),
    ReadOnly,
    Missing,
}

struct Case {
    what: &'static str,
    /// A KiB more or less is what decides.
    kib: u64,
    before: Before,
    options: &'static [&'static str],
    says: &'static str,
    exit: i32,
}

const GIB: u64 = 1 << 20;
const DOS_UTILITY: &str = "label: dos\nstart=2048, size=80262, type=de\nsize=4GiB, type=7\n";
const GPT_DATA: &str = "label: gpt\nstart=2048, size=4GiB\n";
const GPT_EARLY: &str = "label: gpt\nfirst-lba: 34\ngrain: 512\nstart=63, size=80262, \
    type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=DELLUTILITY\n";
const GPT_LATE: &str = "label: gpt\nstart=2048, size=9GiB, name=first\n";

const CASES: [Case; 15] = [
    Case {
        what: "no such disk",
        kib: 0,
        before: Before::Missing,
        options: &[],
        says: "no such disk",
        exit: 11,
    },
    Case {
        what: "one KiB short of 12 GiB",
        kib: 12 * GIB - 1,
        before: Before::Blank,
        options: &[],
        says: "the disk has 11.9 GiB, 12 GiB needed",
        exit: 13,
    },
    Case {
        what: "one KiB short of 46 GiB",
        kib: 46 * GIB - 1,
        before: Before::Blank,
        options: &["--layout", "modern"],
        says: "layout modern needs 46 GiB, the disk has 45.9 GiB",
        exit: 13,
    },
    Case {
        what: "an MBR beyond 2 TiB",
        kib: 2048 * GIB + 1,
        before: Before::Blank,
        options: &["--layout", "legacy", "--firmware", "bios"],
        says: "choose layout modern, which has a GPT",
        exit: 13,
    },
    Case {
        what: "large sectors with BIOS",
        kib: 60 * GIB,
        before: Before::Blank,
        options: &["--sector-size", "4096", "--firmware", "bios"],
        says: "4096-byte sectors need UEFI",
        exit: 13,
    },
    Case {
        what: "a write-protected disk",
        kib: 60 * GIB,
        before: Before::ReadOnly,
        options: &["--confirm", "DIGEST"],
        says: "write protected",
        exit: 13,
    },
    Case {
        what: "another plan was confirmed",
        kib: 60 * GIB,
        before: Before::Blank,
        options: &["--confirm", "abc"],
        says: "the disk changed since it was confirmed",
        exit: 11,
    },
    Case {
        what: "no consent",
        kib: 60 * GIB,
        before: Before::Table(GPT_DATA),
        options: &[],
        says: "needs consent: --confirm ",
        exit: 12,
    },
    Case {
        what: "a first partition to preserve on a blank disk",
        kib: 60 * GIB,
        before: Before::Blank,
        options: &["--preserve-first", "yes"],
        says: "the disk has no partition 1",
        exit: 13,
    },
    Case {
        what: "an old utility partition and a new GPT",
        kib: 60 * GIB,
        before: Before::Table(DOS_UTILITY),
        options: &[],
        says: "utility partition of MBR type 0xde, and the new table is a gpt",
        exit: 13,
    },
    Case {
        what: "a utility partition in the head of the disk",
        kib: 60 * GIB,
        before: Before::Table(GPT_EARLY),
        options: &[],
        says: "partition 1 starts at block 63, preserving it needs block 2048 or later",
        exit: 13,
    },
    Case {
        what: "a first partition that leaves too little",
        kib: 50 * GIB,
        before: Before::Table(GPT_LATE),
        options: &["--preserve-first", "yes"],
        says: "layout modern needs 46 GiB after the preserved partition, the disk has 40.9 GiB",
        exit: 13,
    },
    Case {
        what: "a boot size without a unit",
        kib: 60 * GIB,
        before: Before::Blank,
        options: &["--boot-size", "512"],
        says: "has no unit",
        exit: 10,
    },
    Case {
        what: "a sector size that no disk has",
        kib: 60 * GIB,
        before: Before::Blank,
        options: &["--sector-size", "1000"],
        says: "sector size 1000 is not 512 or 4096",
        exit: 10,
    },
    Case {
        what: "a boot size for a fixed volume",
        kib: 20 * GIB,
        before: Before::Blank,
        options: &["--firmware", "bios", "--boot-size", "512MiB"],
        says: "has a boot volume of 896 KiB",
        exit: 13,
    },
];

/// The parts of the image that a table could be in.
fn edges(path: &Path) -> Vec<u8> {
    let Ok(file) = File::open(path) else { return Vec::new() };
    let len = file.metadata().unwrap().len();
    let mut bytes = vec![0; 4 << 20];
    let (head, tail) = bytes.split_at_mut(2 << 20);
    file.read_exact_at(head, 0).unwrap();
    file.read_exact_at(tail, len.saturating_sub(2 << 20)).unwrap();
    bytes
}

#[test]
fn bad_inputs_are_refused_by_name_and_nothing_is_written() {
    for case in CASES {
        let (_folder, path) = image(0);
        prepare(&case, &path);
        let disk = path.to_str().unwrap();
        let digest = digest(disk);
        let mut args = vec!["apply", disk];
        args.extend(case.options.iter().map(|o| if *o == "DIGEST" { digest.as_str() } else { o }));
        let before = (edges(&path), path.exists().then(|| used(&path)));
        let (exit, out, err) = partitioner(&args);
        assert_eq!(exit, case.exit, "{}: {err}", case.what);
        assert!(err.contains(case.says), "{}: {err}", case.what);
        assert_eq!(last_line(&err), "DISK STATE: untouched", "{}", case.what);
        assert_eq!(out, "", "{}", case.what);
        let after = (edges(&path), path.exists().then(|| used(&path)));
        assert!(before == after, "{}: the image changed", case.what);
    }
}

fn prepare(case: &Case, path: &Path) {
    File::options().write(true).open(path).unwrap().set_len(case.kib << 10).unwrap();
    match case.before {
        Before::Blank => {}
        Before::Missing => std::fs::remove_file(path).unwrap(),
        Before::ReadOnly => {
            let mut permissions = path.metadata().unwrap().permissions();
            permissions.set_readonly(true);
            std::fs::set_permissions(path, permissions).unwrap();
        }
        Before::Table(script) => {
            let text = path.with_extension("sfdisk");
            std::fs::write(&text, script).unwrap();
            let status = std::process::Command::new("sfdisk")
                .args(["-q", path.to_str().unwrap()])
                .stdin(File::open(&text).unwrap())
                .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
                .status()
                .unwrap();
            assert!(status.success(), "{}", case.what);
        }
    }
}

/// Of the plan without options, where there is one.
fn digest(disk: &str) -> String {
    let (_, out, _) = partitioner(&["plan", disk, "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap_or_default();
    plan["digest"].as_str().unwrap_or_default().to_owned()
}

/// Whoever asks for nothing, or for something that is none.
#[test]
fn bad_arguments_end_with_10() {
    let (_folder, path) = image(60);
    let disk = path.to_str().unwrap();
    for args in [&["frobnicate", disk][..], &["apply"], &["apply", disk, "--layout", "huge"]] {
        let (exit, _, err) = partitioner(args);
        assert_eq!(exit, 10, "{args:?}: {err}");
        let performs = args[0] == "apply";
        assert_eq!(last_line(&err) == "DISK STATE: untouched", performs, "{args:?}: {err}");
    }
    let (exit, _, err) = partitioner(&["plan", "/nowhere/disk.img"]);
    assert_eq!((exit, err.as_str()), (11, "partitioner: /nowhere/disk.img: no such disk\n"));
}
