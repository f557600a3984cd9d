//! A tiny host on an image file, installed and lived in.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use installer_core::bootstate::Slot;
use installer_core::facts::{Firmware, HostFacts};
use installer_core::request::Refusal;
use installer_core::upgrade::{self as core, UpgradeFacts, Wish};
use installer_core::values::Redactor;
use installer_core::{answers, plan, request};
use partitioner::block::file::FileDisk;
use partitioner::ids::Ids;
use partitioner::table::write_set;
use partitioner::units::{BlockSize, Bytes};
use rustix::fs::{SeekFrom, seek};
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use super::super::root::SlotRoot;
use super::super::*;
use crate::call::{Call, Processes, Run};
use crate::engine;
use crate::host::image::ImageHost;
use crate::probe;
pub(super) use crate::testing::ANSWERS;
use crate::testing::{TinyRelease, dom0_with, thing};

const SIZE: Bytes = Bytes::gib(46);

/// An installed and blessed host, and a second release.
pub(super) struct Scene {
    pub(super) dir: TempDir,
    pub(super) second: TinyRelease,
    block_size: BlockSize,
}

fn system(dir: &Path, mark: &str, sshd: u32, thing: &[u8]) -> Vec<u8> {
    let tree = dir.join("tree");
    fs::create_dir_all(tree.join("etc/xen")).unwrap();
    fs::create_dir_all(tree.join("var/lib/dpkg")).unwrap();
    let write = |path: &str, text: &str| fs::write(tree.join(path), text).unwrap();
    write(
        "etc/passwd",
        &format!(
            "root:x:0:0:root:/root:/bin/bash\nsshd:x:{sshd}:65534::/run/sshd:/usr/sbin/nologin\n"
        ),
    );
    write("etc/group", "root:x:0:\nshadow:x:42:\nsudo:x:27:\n");
    write("etc/gshadow", "root:*::\nshadow:*::\nsudo:*::\n");
    write("etc/xen/xl.conf", &format!("# {mark}\n"));
    let sum = Processes.run(&Call::new("md5sum").arg(tree.join("etc/xen/xl.conf"))).unwrap();
    let sum = sum.stdout_text();
    let sum = sum.split(' ').next().unwrap();
    write(
        "var/lib/dpkg/status",
        &format!("Package: xen-utils-common\nConffiles:\n /etc/xen/xl.conf {sum}\nVersion: 1\n\n"),
    );
    write("etc/release-mark", mark);
    dom0_with(dir, thing)
}

/// The second release, with this as its largest file.
pub(super) fn second_release(thing: &[u8]) -> TinyRelease {
    let dir = tempfile::tempdir().unwrap();
    let release = TinyRelease::of_bytes(&system(dir.path(), "0.2.0", 105, thing));
    release.manifest(|m| (m.version, m.build) = ("0.2.0".to_owned(), "second".to_owned()));
    release
}

impl Scene {
    pub(super) fn new(block_size: BlockSize) -> Self {
        Self::of(SIZE, block_size, Firmware::Uefi)
    }

    pub(super) fn of(size: Bytes, block_size: BlockSize, firmware: Firmware) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let release = TinyRelease::of_bytes(&system(dir.path(), "0.1.0", 104, &thing()));
        let scene = Self { dir, second: second_release(&thing()), block_size };
        FileDisk::create(&scene.disk(), size, block_size).unwrap();
        let facts = HostFacts {
            firmware,
            memory: Bytes::gib(3),
            cpus: 2,
            machine: installer_core::facts::MachineFacts::default(),
            disks: vec![
                probe::probe_image("SN42", &scene.disk(), block_size, &mut Processes).unwrap(),
            ],
            nics: Vec::new(),
        };
        let request =
            request::resolve(&answers::parse("a", ANSWERS.as_bytes()).unwrap(), &facts).unwrap();
        let release = Release::open(release.dir()).unwrap();
        let mut ids = Ids::from_seed([7; 32]);
        let plan = plan::plan(&request, &facts, release.manifest(), &mut ids).unwrap();
        let plan = plan::checked(plan).unwrap();
        let fence = write_set(&plan.plan().table);
        let mut host = ImageHost::open(&scene.disk(), block_size, fence).unwrap();
        let job = engine::Job {
            plan: &plan,
            request: &request,
            facts: &facts,
            release: &release,
            redactor: &Redactor::default(),
        };
        engine::run(job, &mut host, &Cancel::default(), &mut |_| {}).unwrap();
        scene
    }

    /// Installed, booted well, and in the hands of an administrator.
    pub(super) fn lived_in(block_size: BlockSize) -> Self {
        let scene = Self::new(block_size);
        scene.blessed(Slot::A);
        scene
    }

    /// A file that bless leaves.
    pub(super) fn blessed(&self, slot: Slot) {
        let facts = self.facts(self.block_size);
        self.edit(&facts, slot, &[("var/lib/xenhost/blessed.json", "{}\n")]);
    }

    /// Installed, upgraded, and the second system has booted well.
    pub(super) fn upgraded(block_size: BlockSize) -> Self {
        let scene = Self::lived_in(block_size);
        scene.upgrade(&scene.facts(block_size), &mut |_| {}).unwrap();
        scene.end_trial();
        scene
    }

    /// What bless does.
    pub(super) fn end_trial(&self) {
        let facts = self.facts(self.block_size);
        let mut site = AtRest::for_state(Rest::Image, &facts).unwrap();
        let mut boot = BootFiles::open(site.open_boot().unwrap()).unwrap();
        boot.commit(facts.boot.state.blessed()).unwrap();
        drop(boot);
        drop(site);
        self.blessed(facts.boot.state.slot);
    }

    /// Does something to the disk as it is now, again and again.
    pub(super) fn each<T>(&self, all: &[T], mut work: impl FnMut(&T)) {
        let kept = self.dir.path().join("kept.img");
        let copy = |from: &Path, to: &Path| {
            let call = Call::new("cp").arg("--sparse=always").arg("--reflink=auto");
            Processes.run(&call.arg(from).arg(to)).unwrap();
        };
        copy(&self.disk(), &kept);
        for one in all {
            work(one);
            copy(&kept, &self.disk());
        }
        fs::remove_file(&kept).unwrap();
    }

    pub(super) fn disk(&self) -> PathBuf {
        self.dir.path().join("disk.img")
    }

    pub(super) fn facts(&self, block_size: BlockSize) -> UpgradeFacts {
        let disk = probe::probe_image("SN42", &self.disk(), block_size, &mut Processes).unwrap();
        read::read(&disk, None, &mut Processes).unwrap().unwrap()
    }

    /// Writes files into a slot, as a running system would, through debugfs on the image.
    pub(super) fn edit(&self, facts: &UpgradeFacts, slot: Slot, files: &[(&str, &str)]) {
        let mut script = Vec::new();
        for (number, (path, text)) in files.iter().enumerate() {
            let parts: Vec<&str> = path.split('/').collect();
            for end in 1..parts.len() {
                script.push(format!("mkdir {}", parts[..end].join("/")));
            }
            let copy = self.dir.path().join(format!("edit{number}"));
            fs::write(&copy, text).unwrap();
            script.push(format!("rm {path}"));
            script.push(format!("write {} {path}", copy.display()));
        }
        self.debugfs(facts, slot, &script.join("\n"));
    }

    pub(super) fn debugfs(&self, facts: &UpgradeFacts, slot: Slot, script: &str) -> String {
        let extent = facts.table.partition(core::role(slot)).unwrap().extent;
        let offset = extent.first().byte_offset(facts.disk.block_size).unwrap();
        // A folder that is there already would be made twice, which damages it.
        let root = SlotRoot::open(&self.disk(), facts.disk.block_size, extent).unwrap();
        let mut made = std::collections::BTreeSet::new();
        let lines = script.lines().filter(|line| match line.split_once(' ') {
            Some(("mkdir", path)) => {
                root.stat(path).unwrap().is_none() && made.insert(path.to_owned())
            }
            Some(("rm", path)) => root.stat(path).unwrap().is_some(),
            _ => true,
        });
        let text: Vec<&str> = lines.collect();
        let path = self.dir.path().join("script");
        fs::write(&path, text.join("\n") + "\n").unwrap();
        let disk = format!("{}?offset={offset}", self.disk().display());
        let call = Call::new("debugfs").args(["-w", "-f"]).arg(&path).arg(disk).accept(1);
        Processes.run(&call).unwrap().stdout_text()
    }

    pub(super) fn plan(&self, facts: &UpgradeFacts) -> Result<UpgradePlan, Refusal> {
        let release = Release::open(self.second.dir()).unwrap();
        core::plan(facts, release.manifest(), &Wish::default())
    }

    pub(super) fn upgrade(
        &self,
        facts: &UpgradeFacts,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), Failure> {
        let release = Release::open(self.second.dir()).unwrap();
        let plan = self.plan(facts).unwrap();
        let mut site = AtRest::open(Rest::Image, &plan).unwrap();
        run(&plan, &release, &mut site, &Cancel::default(), tell)
    }

    pub(super) fn sgdisk(&self, args: &[&str]) {
        Processes.run(&Call::new("sgdisk").args(args).arg(self.disk())).unwrap();
    }

    /// A file beside the disk.
    pub(super) fn write(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// `--disk` for it.
    pub(super) fn arg(&self) -> String {
        let size = if self.block_size == BlockSize::B4096 { ":4096" } else { "" };
        format!("SN42={}{size}", self.disk().display())
    }

    pub(super) fn root(&self, facts: &UpgradeFacts, slot: Slot) -> SlotRoot {
        let extent = facts.table.partition(core::role(slot)).unwrap().extent;
        SlotRoot::open(&self.disk(), facts.disk.block_size, extent).unwrap()
    }

    /// Every block that is not zero, outside the given byte ranges: where it is, and its hash.
    pub(super) fn blocks_outside(&self, ranges: &[(u64, u64)]) -> Vec<(u64, u64)> {
        const CHUNK: u64 = 1 << 20;
        let file = File::open(self.disk()).unwrap();
        let zeros = vec![0; 1 << 20];
        let mut found = Vec::new();
        let mut at = 0;
        while let Ok(data) = seek(&file, SeekFrom::Data(at)) {
            at = data / CHUNK * CHUNK + CHUNK;
            let start = at - CHUNK;
            let mut bytes = vec![0; 1 << 20];
            file.read_exact_at(&mut bytes, start).unwrap();
            for (from, to) in ranges {
                let inside =
                    |edge: &u64| usize::try_from((*edge).clamp(start, at) - start).unwrap();
                bytes[inside(from)..inside(to)].fill(0);
            }
            if bytes != zeros {
                found.push((start, xxh3_64(&bytes)));
            }
        }
        found
    }
}
