//! Finding the boot partition on a recorded machine whose disk sgdisk partitioned.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use super::*;
use crate::call::{Call, Processes, Run};

const BOOT: &str = "11111111-2222-4333-8444-555555555555";

/// A machine in a folder: `sda` with root on number 1 and boot on number 4.
struct Recorded {
    folder: tempfile::TempDir,
}

impl Recorded {
    fn new() -> Self {
        let recorded = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["dev", "proc/self", "sys/block", "sys/dev/block"] {
            fs::create_dir_all(recorded.folder.path().join(name)).unwrap();
        }
        recorded.disk("sda", "8");
        recorded.mount("8:1 / / rw - ext4 /dev/sda1 rw");
        recorded
    }

    fn disk(&self, name: &str, major: &str) {
        let path = self.folder.path();
        let image = path.join("dev").join(name);
        File::create(&image).unwrap().set_len(1 << 30).unwrap();
        let sgdisk = Call::new("sgdisk")
            .args(["-n", "1:2048:1048575", "-n", "4:1048576:2000000"])
            .args(["-u", &format!("4:{BOOT}")])
            .arg(&image);
        Processes.run(&sgdisk).unwrap();
        let folder = path.join("sys/block").join(name);
        for (number, start, size) in [(1, 2048, 1_046_528), (4, 1_048_576, 951_425)] {
            let node = folder.join(format!("{name}{number}"));
            fs::create_dir_all(&node).unwrap();
            fs::write(node.join("partition"), format!("{number}\n")).unwrap();
            fs::write(node.join("start"), format!("{start}\n")).unwrap();
            fs::write(node.join("size"), format!("{size}\n")).unwrap();
            symlink(&node, path.join(format!("sys/dev/block/{major}:{number}"))).unwrap();
        }
        fs::create_dir_all(folder.join("queue")).unwrap();
        fs::write(folder.join("queue/logical_block_size"), "512\n").unwrap();
    }

    fn mount(&self, rest: &str) {
        fs::write(self.folder.path().join("proc/self/mountinfo"), format!("1 0 {rest}\n")).unwrap();
    }

    fn machine(&self) -> Machine {
        let path = |name| self.folder.path().join(name);
        Machine { sys: path("sys"), proc: path("proc"), dev: path("dev") }
    }

    fn find(&self, partuuid: &str) -> Result<PathBuf, FindError> {
        boot_partition(&self.machine(), partuuid)
    }

    #[track_caller]
    fn refused(&self, partuuid: &str, words: &str) {
        let error = self.find(partuuid).expect_err("there is no one partition").to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn found_on_the_disk_of_root_though_a_clone_is_attached() {
    let recorded = Recorded::new();
    recorded.disk("sdb", "9");
    let dev = recorded.folder.path().join("dev");
    assert_eq!(recorded.find(&BOOT.to_uppercase()).unwrap(), dev.join("sda4"));
    recorded.mount("9:1 / / rw - ext4 /dev/sdb1 rw");
    assert_eq!(recorded.find(BOOT).unwrap(), dev.join("sdb4"));
}

#[test]
fn no_such_partition() {
    Recorded::new().refused("00000000-2222-4333-8444-555555555555", "has 0 partitions");
}

#[test]
fn root_elsewhere_than_on_a_partition() {
    let recorded = Recorded::new();
    recorded.mount("0:31 / / rw - tmpfs tmpfs rw");
    recorded.refused(BOOT, "root is on 0:31 tmpfs (no block device)");
    recorded.mount("8:1 / /mnt rw - ext4 /dev/sda1 rw");
    recorded.refused(BOOT, "nothing is mounted on /");
}

#[test]
fn a_kernel_with_an_old_view_of_the_table() {
    let recorded = Recorded::new();
    let node = recorded.folder.path().join("sys/block/sda/sda4");
    fs::write(node.join("start"), "2048\n").unwrap();
    recorded.refused(BOOT, "partition 4 is not what the kernel offers");
    fs::remove_dir_all(node).unwrap();
    recorded.refused(BOOT, "it offers no such partition");
}

/// Its inventory names a partition of the table before; the new one is known by its number.
#[test]
fn a_system_that_was_taken_over_finds_the_new_boot_partition() {
    let recorded = Recorded::new();
    assert!(!runs_old(&recorded.machine()).unwrap());
    let node = recorded.folder.path().join("sys/block/sda/sda1");
    fs::write(node.join("partition"), "10\n").unwrap();
    assert!(runs_old(&recorded.machine()).unwrap());
    let of_before = "1f2e3d4c-04";
    recorded.refused(of_before, "has 0 partitions");
    let image = recorded.folder.path().join("dev/sda");
    Processes.run(&Call::new("sgdisk").args(["-t", "4:ef00"]).arg(&image)).unwrap();
    assert_eq!(recorded.find(of_before).unwrap(), image.with_file_name("sda4"));
}
