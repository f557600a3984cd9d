//! Disks made by other people's tools, and what we say about them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use partitioner::head::{NOT_FINISHED, disarmed_lba0};

use super::*;
use crate::call::{Call, Processes};

struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn blank() -> Self {
        let disk = Self { folder: tempfile::tempdir().unwrap() };
        File::create(disk.path()).unwrap().set_len(256 << 20).unwrap();
        disk
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("disk.img")
    }

    fn run(&self, program: &'static str, args: &[&str]) {
        Processes.run(&Call::new(program).args(args).arg(self.path())).unwrap();
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        let file = OpenOptions::new().write(true).open(self.path()).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }

    fn content(&self) -> Content {
        of(&self.path(), BlockSize::B512, &mut Processes)
    }
}

#[test]
fn a_blank_disk_has_no_content() {
    assert_eq!(Disk::blank().content(), Content::default());
}

#[test]
fn a_file_system_on_the_whole_disk() {
    let disk = Disk::blank();
    disk.run("mke2fs", &["-q", "-F", "-L", "data"]);
    let lines = disk.content().lines;
    assert!(matches!(lines.as_slice(), [line] if line.contains("\"data\"")), "{lines:?}");
}

#[test]
fn systems_that_only_blkid_knows() {
    let disk = Disk::blank();
    disk.write(65_536 + 64, b"_BHRfS_M");
    let lines = disk.content().lines;
    assert!(matches!(lines.as_slice(), [line] if line.contains("btrfs")), "{lines:?}");
}

#[test]
fn an_empty_table_holds_nothing() {
    let disk = Disk::blank();
    disk.run("sgdisk", &["-o"]);
    assert_eq!(disk.content(), Content::default());
}

#[test]
fn partitions_are_looked_into() {
    let disk = Disk::blank();
    disk.run("sgdisk", &["-n", "3:0:+64M", "-n", "7:0:+64M"]);
    disk.write(1 << 20, b"LUKS\xba\xbe\0\x01");
    let lines = disk.content().lines;
    assert!(
        lines.iter().any(|line| line.contains("partition 3: ") && line.contains("LUKS")),
        "{lines:?}"
    );
}

#[test]
fn what_an_unfinished_installation_left_does_not_count() {
    let disk = Disk::blank();
    disk.run("sgdisk", &["-n", "1:0:+64M"]);
    disk.write(0, &disarmed_lba0(NOT_FINISHED));
    assert_eq!(disk.content(), Content::default());
}

#[test]
fn the_medium_is_known_by_its_volume_id() {
    let disk = Disk::blank();
    let mut descriptor = [b' '; 2048];
    descriptor[..6].copy_from_slice(ISO_MAGIC);
    descriptor[40..47].copy_from_slice(b"XENHOST");
    disk.write(ISO_DESCRIPTOR, &descriptor);
    assert!(disk.content().medium);
    disk.write(ISO_DESCRIPTOR + 40, b"XENHOST2");
    assert!(!disk.content().medium);
}

#[test]
fn an_installation_is_known_by_its_inventory() {
    let disk = Disk::blank();
    disk.run("sgdisk", &["-n", "1:0:+64M", "-c", "1:root"]);
    let tree = disk.folder.path().join("tree/etc/xenhost");
    std::fs::create_dir_all(&tree).unwrap();
    let inventory = r#"{"product":"xenhost","version":"1.0","deployment_id":"rack7-42"}"#;
    std::fs::write(tree.join("inventory.json"), inventory).unwrap();
    let mke2fs = Call::new("mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-L", "root-0A1B2C3D", "-E", "offset=1048576", "-d"])
        .arg(disk.folder.path().join("tree"))
        .arg(disk.path())
        .arg("64M");
    Processes.run(&mke2fs).unwrap();
    let content = disk.content();
    assert_eq!(content.deployment_id.as_deref(), Some("rack7-42"));
    let told: Vec<String> = content.installations.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["xenhost 1.0 on partition 1"]);
    // Not finished: LBA 0 says so, and the table behind it does not count.
    disk.write(0, &disarmed_lba0(NOT_FINISHED));
    assert_eq!(disk.content(), Content::default());
}

#[test]
fn a_disk_that_cannot_be_read_is_not_blank() {
    let content = of(Path::new("/nonexistent"), BlockSize::B512, &mut Processes);
    assert!(content.lines[0].starts_with("cannot be read"), "{content:?}");
}

#[test]
fn a_manufacturer_s_utility_partition() {
    let disk = Disk::blank();
    assert_eq!(disk.content().utility, None);
    disk.run("sgdisk", &["-n", "1:2048:+32M", "-t", "1:ef00", "-c", "1:DELLUTILITY"]);
    assert_eq!(disk.content().utility, Some(1));
    disk.run("sgdisk", &["-c", "1:EFI"]);
    assert_eq!(disk.content().utility, None);
}
