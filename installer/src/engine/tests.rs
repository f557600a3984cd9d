//! A whole installation of a tiny release on an image file, looked at by other people's tools.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use installer_core::facts::Firmware;
use installer_core::{answers, plan, request};
use partitioner::block::BlockIo;
use partitioner::block::file::FileDisk;
use partitioner::ids::Ids;
use partitioner::table::write_set;
use partitioner::units::{BlockSize, Bytes, Lba};
use rustix::fs::{SeekFrom, seek};
use tempfile::TempDir;

use super::*;
use crate::call::{Call, Processes, Run};
use crate::host::image::ImageHost;
use crate::probe;
use crate::testing::{ANSWERS, TinyRelease, dom0, noise, thing};

mod legacy;
mod scripts;

/// Where slot a begins: behind the head, logs and slot b.
const ROOT_BYTES: u64 = (22 << 30) + (1 << 20);

/// A folder with a release, a target disk and another disk full of something.
struct Scene {
    dir: TempDir,
    release: TinyRelease,
    block_size: BlockSize,
    firmware: Firmware,
}

impl Scene {
    fn new(block_size: BlockSize, size: Bytes) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let release = TinyRelease::of_bytes(&dom0(dir.path()));
        let mut disk = FileDisk::create(&dir.path().join("disk.img"), size, block_size).unwrap();
        // Old content where our structures go: it must not shine through.
        let old = vec![0xEE; 3 << 20];
        let places = [0, 1 << 30, ROOT_BYTES, ROOT_BYTES + (97 << 20), 41 << 30];
        for first in places.into_iter().filter(|first| *first < size.get()) {
            disk.write(Lba::new(first / block_size.bytes()), &old).unwrap();
        }
        fs::write(dir.path().join("other.img"), noise(77, 5 << 20)).unwrap();
        Self { dir, release, block_size, firmware: Firmware::Uefi }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn facts(&self) -> HostFacts {
        let disk = |name: &str, file: &str, size| {
            probe::probe_image(name, &self.path(file), size, &mut Processes).unwrap()
        };
        HostFacts {
            firmware: self.firmware,
            memory: Bytes::gib(3),
            cpus: 2,
            machine: installer_core::facts::MachineFacts::default(),
            disks: vec![
                disk("OTHER", "other.img", BlockSize::B512),
                disk("SN42", "disk.img", self.block_size),
            ],
            nics: Vec::new(),
        }
    }

    fn install(&self, events: &mut dyn FnMut(Event)) -> Result<(), Failure> {
        let facts = self.facts();
        self.perform(&facts, &resolve(ANSWERS, &facts).unwrap(), &Cancel::default(), events)
    }

    fn perform(
        &self,
        facts: &HostFacts,
        request: &InstallRequest,
        cancel: &Cancel,
        events: &mut dyn FnMut(Event),
    ) -> Result<(), Failure> {
        let release = Release::open(self.release.dir()).unwrap();
        let mut ids = Ids::from_seed([7; 32]);
        let plan = plan::plan(request, facts, release.manifest(), &mut ids).unwrap();
        let plan = plan::checked(plan).unwrap();
        let fence = write_set(&plan.plan().table);
        let mut host = ImageHost::open(&self.path("disk.img"), self.block_size, fence).unwrap();
        let job =
            Job { plan: &plan, request, facts, release: &release, redactor: &Redactor::default() };
        run(job, &mut host, cancel, events)
    }

    fn lba0(&self) -> Vec<u8> {
        let disk = &mut FileDisk::open(&self.path("disk.img"), self.block_size).unwrap();
        let mut block = vec![0; 4096];
        disk.read(Lba::new(0), &mut block).unwrap();
        block.truncate(512);
        block
    }

    /// A partition of the disk as a file of its own, its holes kept.
    fn extract(&self, first: u64, blocks: u64, name: &str) -> PathBuf {
        let (path, bytes) = (self.path(name), self.block_size.bytes());
        let (from, to) = (File::open(self.path("disk.img")).unwrap(), File::create(&path).unwrap());
        to.set_len(blocks * bytes).unwrap();
        let (start, end) = (first * bytes, (first + blocks) * bytes);
        let mut at = start;
        while let Ok(data) = seek(&from, SeekFrom::Data(at)) {
            if end <= data {
                break;
            }
            let hole = seek(&from, SeekFrom::Hole(data)).unwrap().min(end);
            at = hole.min(data + (16 << 20));
            let mut piece = vec![0; usize::try_from(at - data).unwrap()];
            from.read_exact_at(&mut piece, data).unwrap();
            to.write_all_at(&piece, data - start).unwrap();
        }
        path
    }
}

fn resolve(answers: &str, facts: &HostFacts) -> Result<InstallRequest, request::Refusal> {
    request::resolve(&answers::parse("a.yaml", answers.as_bytes()).unwrap(), facts)
}

fn output(call: &Call) -> String {
    Processes.run(call).unwrap().stdout_text()
}

fn is_disarmed(lba0: &[u8]) -> bool {
    lba0.windows(12).any(|w| w.eq_ignore_ascii_case(b"installation"))
        && lba0[450] != 0xEE
        && lba0[510..] == [0x55, 0xAA]
}

/// First block and length of partition `number`, as `sgdisk` tells them.
fn partition(disk: &Path, number: u32) -> (u64, u64) {
    let text = output(&Call::new("sgdisk").arg(format!("-i{number}")).arg(disk));
    let field = |name: &str| -> u64 {
        let line = text.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    (field("First sector: "), field("Partition size: "))
}

#[test]
fn a_whole_installation_satisfies_other_peoples_tools() {
    let scene = Scene::new(BlockSize::B512, Bytes::gib(60));
    let other = fs::read(scene.path("other.img")).unwrap();
    let mut events = Vec::new();
    scene.install(&mut |event| events.push(event)).unwrap();

    assert_eq!(events.last(), Some(&Event::Finished));
    assert!(events.contains(&Event::Committed));
    assert!(!events.iter().any(|e| matches!(e, Event::Warning { .. })), "{events:?}");
    assert!(fs::read(scene.path("other.img")).unwrap() == other);
    assert_eq!(scene.lba0()[450], 0xEE);

    let disk = scene.path("disk.img");
    let text = output(&Call::new("sgdisk").arg("-v").arg(&disk));
    assert!(text.contains("No problems found"), "{text}");
    for (number, label) in [(1, "root-"), (5, "logs-")] {
        let (first, blocks) = partition(&disk, number);
        let part = scene.extract(first, blocks, "part.img");
        Processes.run(&Call::new("e2fsck").arg("-fn").arg(&part)).unwrap();
        let text = output(&Call::new("blkid").args(["-p", "-s", "LABEL"]).arg(&part));
        assert!(text.contains(&format!("LABEL=\"{label}")), "{text}");
        if number == 1 {
            assert_eq!(first * 512, ROOT_BYTES);
            check_root(&part);
            let mut behind = vec![1; 3 << 20];
            File::open(&part).unwrap().read_exact_at(&mut behind, 97 << 20).unwrap();
            assert!(behind.iter().all(|b| *b == 0), "old content shines through a hole");
        }
        fs::remove_file(&part).unwrap();
    }
    let (first, blocks) = partition(&disk, 4);
    let boot = scene.extract(first, blocks, "part.img");
    Processes.run(&Call::new("fsck.vfat").arg("-n").arg(&boot)).unwrap();
    let text = output(&Call::new("blkid").arg("-p").arg(&boot));
    assert!(text.contains("LABEL=\"XENHOSTBOOT\""), "{text}");
    let left = fs::read_dir(scene.dir.path()).unwrap().map(|e| e.unwrap().file_name());
    let left: Vec<_> = left.filter(|n| n.to_string_lossy().starts_with('.')).collect();
    assert!(left.is_empty(), "scratch files are gone: {left:?}");
}

fn check_root(slot: &Path) {
    let text = |path: &str| String::from_utf8(slot::read_file(slot, path).unwrap()).unwrap();
    assert_eq!(text("/etc/hostname"), "xen1\n");
    assert!(text("/etc/shadow").starts_with("root:$y$j9T$F5Jx5fExrKuPp53xLKQ..1$"));
    assert!(text("/etc/fstab").contains("x-systemd.growfs"));
    assert!(text("/boot/xenhost/slot.cfg").contains("/boot/xen-4.20-amd64.gz"));
    assert!(text("/etc/xenhost/inventory.json").contains("rack7-42"));
    assert!(slot::read_file(slot, "/usr/bin/thing").unwrap() == thing());
}

#[test]
fn a_disk_with_blocks_of_4096_bytes_is_installed_too() {
    let scene = Scene::new(BlockSize::B4096, Bytes::gib(46));
    scene.install(&mut |_| {}).unwrap();
    assert_eq!(scene.lba0()[450], 0xEE);
}

#[test]
fn a_second_installation_over_the_first_is_as_good() {
    let scene = Scene::new(BlockSize::B512, Bytes::gib(46));
    scene.install(&mut |_| {}).unwrap();
    let facts = scene.facts();
    let done = resolve(ANSWERS, &facts).unwrap_err();
    assert_eq!(done.exit, Exit::Done, "the same deployment is not installed twice: {done}");
    let request = resolve(&ANSWERS.replace("rack7-42", "rack7-43"), &facts).unwrap();
    scene.perform(&facts, &request, &Cancel::default(), &mut |_| {}).unwrap();
    let text = output(&Call::new("sgdisk").arg("-v").arg(scene.path("disk.img")));
    assert!(text.contains("No problems found"), "{text}");
    let facts = scene.facts();
    assert_eq!(facts.disks[1].deployment_id.as_deref(), Some("rack7-43"));
}

#[test]
fn one_flipped_byte_in_the_image_ends_with_14_and_a_disk_that_says_so() {
    let scene = Scene::new(BlockSize::B512, Bytes::gib(46));
    let release = Release::open(scene.release.dir()).unwrap();
    let bad = &release.manifest().image.chunks[1];
    scene.release.flip_byte("dom0.img.zst", bad.frame_offset + bad.frame_length - 1);
    let failure = scene.install(&mut |_| {}).unwrap_err();
    assert_eq!((failure.exit, failure.state), (Exit::HashMismatch, DiskState::NotBootable));
    assert!(is_disarmed(&scene.lba0()));
    assert!(failure.to_string().contains("was not decompressed"), "{failure}");
    // What was not finished is begun again without a word about what is on the disk.
    scene.release.flip_byte("dom0.img.zst", bad.frame_offset + bad.frame_length - 1);
    let facts = scene.facts();
    let request = resolve(&ANSWERS.replace("wipe", "refuse"), &facts).unwrap();
    scene.perform(&facts, &request, &Cancel::default(), &mut |_| {}).unwrap();
}

/// Fails before the first write, and leaves every byte as it was.
#[track_caller]
fn untouched(spoil: impl FnOnce(&Scene), exit: Exit) {
    let scene = Scene::new(BlockSize::B512, Bytes::gib(46));
    spoil(&scene);
    let before = scene.lba0();
    let failure = scene.install(&mut |event| panic!("nothing begins: {event:?}")).unwrap_err();
    assert_eq!((failure.exit, failure.state), (exit, DiskState::Untouched), "{failure}");
    assert_eq!(scene.lba0(), before);
}

#[test]
fn a_missing_kernel_leaves_the_disk_as_it_was() {
    untouched(
        |scene| fs::remove_file(scene.release.dir().join("installer/vmlinuz")).unwrap(),
        Exit::SourceFailed,
    );
}

#[test]
fn a_damaged_boot_loader_leaves_the_disk_as_it_was() {
    untouched(|scene| scene.release.flip_byte("boot/grubx64.efi", 500), Exit::HashMismatch);
}

#[test]
fn a_truncated_image_leaves_the_disk_as_it_was() {
    untouched(
        |scene| {
            let path = scene.release.dir().join("dom0.img.zst");
            File::options().write(true).open(path).unwrap().set_len(4096).unwrap();
        },
        Exit::SourceFailed,
    );
}

#[test]
fn cancelling_between_two_steps_ends_there_and_the_disk_says_so() {
    let scene = Scene::new(BlockSize::B512, Bytes::gib(60));
    let (facts, cancel) = (scene.facts(), Cancel::default());
    let request = resolve(ANSWERS, &facts).unwrap();
    let failure = scene
        .perform(&facts, &request, &cancel, &mut |event| {
            if event == (Event::StepDone { step: 1 }) {
                cancel.set();
            }
        })
        .unwrap_err();
    assert_eq!((failure.exit, failure.state), (Exit::Cancelled, DiskState::NotBootable));
    assert!(is_disarmed(&scene.lba0()));
}

#[test]
fn cancelling_before_the_first_step_touches_nothing() {
    let scene = Scene::new(BlockSize::B512, Bytes::gib(46));
    let before = scene.lba0();
    let facts = scene.facts();
    let request = resolve(ANSWERS, &facts).unwrap();
    let cancel = Cancel::default();
    cancel.set();
    let failure = scene.perform(&facts, &request, &cancel, &mut |_| {}).unwrap_err();
    assert_eq!((failure.exit, failure.state), (Exit::Cancelled, DiskState::Untouched));
    assert_eq!(scene.lba0(), before);
}
