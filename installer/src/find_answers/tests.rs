//! The order of the places, on a machine that exists in memory; labelled volumes in files.

use std::collections::BTreeMap;
use std::path::Path;

use installer_core::values::WebUrl;

use super::*;
use crate::call::{Call, Processes, Run as _};

/// Everything that a machine may hold.
#[derive(Debug, Default)]
struct Twin {
    line: String,
    files: BTreeMap<String, Vec<u8>>,
    volumes: Vec<Labelled>,
    web: BTreeMap<String, Vec<u8>>,
    connected: bool,
}

impl Places for Twin {
    fn kernel_line(&mut self) -> Result<String, FindError> {
        Ok(self.line.clone())
    }

    fn file(&mut self, path: &str) -> Result<Option<Vec<u8>>, FindError> {
        Ok(self.files.get(path).cloned())
    }

    fn labelled(&mut self) -> Result<Vec<Labelled>, FindError> {
        Ok(self.volumes.clone())
    }

    fn connect(&mut self, _: &BootLine) -> Result<MachineNames, FindError> {
        self.connected = true;
        Ok(MachineNames { mac: Some("00:16:3e:aa:bb:cc".into()), ..MachineNames::default() })
    }

    fn fetch(&mut self, url: &WebUrl, _: &BootLine) -> Result<Vec<u8>, FindError> {
        assert!(self.connected);
        self.web
            .get(&url.expose())
            .cloned()
            .ok_or_else(|| FindError::NoFile { path: String::new() })
    }
}

fn volume(device: &str, file: Option<&str>) -> Labelled {
    let file = file.map(|text| ("answers.yaml".to_owned(), text.as_bytes().to_vec()));
    Labelled { device: device.to_owned(), file }
}

#[track_caller]
fn finds(twin: &mut Twin, name: &str, told: &str) {
    let found = find(twin).unwrap();
    assert_eq!(found.name, name);
    assert!(found.told.join("\n").contains(told), "{:?}", found.told);
}

#[test]
fn the_kernel_line_then_the_medium_then_a_volume() {
    let mut twin = Twin::default();
    assert!(matches!(find(&mut twin), Err(FindError::Nowhere)));
    twin.volumes = vec![volume("/dev/sdb1", Some("a"))];
    finds(&mut twin, "/dev/sdb1:answers.yaml", "the volume labelled ANSWERFILE");
    twin.files.insert(EMBEDDED.to_owned(), b"b".to_vec());
    finds(&mut twin, EMBEDDED, "not used, the medium comes first: ANSWERFILE on /dev/sdb1");
    twin.line = "answerfile=https://u:p@h/{mac}.yaml".to_owned();
    twin.web.insert("https://u:p@h/00-16-3e-aa-bb-cc.yaml".to_owned(), b"c".to_vec());
    finds(&mut twin, "https://***@h/00-16-3e-aa-bb-cc.yaml", "not used, the kernel line comes");
    assert_eq!(find(&mut twin).unwrap().bytes, b"c");
}

#[test]
fn a_named_file_that_is_not_there_is_not_replaced_by_another() {
    let mut twin = Twin { line: "answerfile=/mine.yaml".to_owned(), ..Twin::default() };
    twin.files.insert(EMBEDDED.to_owned(), b"b".to_vec());
    let error = find(&mut twin).unwrap_err();
    assert_eq!(error.exit(), Exit::BadAnswers);
    assert!(error.to_string().contains("answerfile=/mine.yaml: there is no such file"), "{error}");
    twin.files.insert(format!("{MEDIUM}/mine.yaml"), b"m".to_vec());
    finds(&mut twin, "/run/medium/mine.yaml", "named by answerfile=");
}

#[test]
fn the_hash_is_held_against_every_source() {
    let good = hex(&Sha256::digest(b"a"));
    let mut twin =
        Twin { line: format!("answerfile=/a answerfile-sha256={good}"), ..Twin::default() };
    twin.files.insert("/a".to_owned(), b"a".to_vec());
    finds(&mut twin, "/a", "its SHA-256 is");
    twin.files.insert("/a".to_owned(), b"b".to_vec());
    let error = find(&mut twin).unwrap_err();
    assert_eq!(error.exit(), Exit::HashMismatch);
    assert!(error.to_string().contains(&good), "{error}");
}

#[test]
fn a_plan_is_pinned() {
    let digest = "a".repeat(64);
    let mut twin = Twin { line: format!("xenhost.confirm={digest}"), ..Twin::default() };
    twin.files.insert(EMBEDDED.to_owned(), b"b".to_vec());
    assert_eq!(find(&mut twin).unwrap().confirm, Some(digest));
    twin.line = "xenhost.confrim=x".to_owned();
    assert_eq!(find(&mut twin).unwrap_err().exit(), Exit::BadAnswers);
}

#[test]
fn two_volumes_are_one_too_many() {
    let volumes = vec![volume("/dev/sdb1", Some("a")), volume("/dev/sdc1", None)];
    let mut twin = Twin { volumes, ..Twin::default() };
    let error = find(&mut twin).unwrap_err();
    assert!(error.to_string().contains("/dev/sdb1, /dev/sdc1"), "{error}");
    twin.volumes.remove(0);
    assert!(
        matches!(find(&mut twin), Err(FindError::EmptyVolume(device)) if device == "/dev/sdc1")
    );
}

fn run(call: &Call) {
    Processes.run(call).unwrap();
}

/// A volume made by the tools that people use, with a file in it.
#[track_caller]
fn reads(make: impl FnOnce(&Path, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    let content = dir.path().join("content");
    std::fs::create_dir(&content).unwrap();
    std::fs::write(content.join("answers.yaml"), "schema: xenhost/v1\n").unwrap();
    let volume = dir.path().join("volume.img");
    make(&volume, &content);
    let before = std::fs::read(&volume).unwrap();
    let found = label::read(&volume).unwrap().unwrap();
    let file = ("answers.yaml".to_owned(), b"schema: xenhost/v1\n".to_vec());
    assert_eq!(found.file, Some(file));
    assert_eq!(std::fs::read(&volume).unwrap(), before, "the volume was written");
}

fn blank(volume: &Path, mib: u64) {
    std::fs::File::create(volume).unwrap().set_len(mib << 20).unwrap();
}

#[test]
fn sticks_of_every_size_of_fat() {
    for (mib, bits) in [(4, "12"), (16, "16"), (64, "32")] {
        reads(|volume, content| {
            blank(volume, mib);
            let make = Call::new("mkfs.vfat").args(["-F", bits, "-n", "ANSWERFILE"]);
            run(&make.arg(volume));
            let copy = Call::new("mcopy").arg("-i").arg(volume);
            run(&copy.arg(content.join("answers.yaml")).arg("::/answers.yaml"));
        });
    }
}

#[test]
fn ext4() {
    reads(|volume, content| {
        blank(volume, 8);
        let make = Call::new("mke2fs").args(["-q", "-F", "-t", "ext4", "-L", "answerfile", "-d"]);
        run(&make.arg(content).arg(volume));
    });
}

#[test]
fn discs_with_and_without_long_names() {
    for level in ["1", "3"] {
        reads(|volume, content| {
            let make = Call::new("xorriso").args(["-as", "mkisofs", "-quiet", "-V", "ANSWERFILE"]);
            run(&make.args(["-iso-level", level, "-o"]).arg(volume).arg(content));
        });
    }
}

#[test]
fn other_volumes_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let volume = dir.path().join("volume.img");
    blank(&volume, 4);
    assert_eq!(label::read(&volume).unwrap(), None);
    run(&Call::new("mkfs.vfat").args(["-n", "PHOTOS"]).arg(&volume));
    assert_eq!(label::read(&volume).unwrap(), None);
    blank(&volume, 0);
    assert_eq!(label::read(&volume).unwrap(), None);
}
