//! Disks of old hosts: tables by sgdisk and sfdisk, a root by mke2fs, the repository of a real LVM.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use boot_oracle::disk::{Disk, Span, Unreadable};
use boot_oracle::installed::Installed;
use boot_oracle::known::{BootCode, Known, Program};
use boot_oracle::system::{RootArgument, System, Systems};
use boot_oracle::{Counter, Machine, Slots};
use installer::bless::BootFiles;
use installer::call::{Call, Processes, Run};
use installer::release_dir::Release;
use installer::takeover::read;
use installer::upgrade::root::{Root as _, SlotRoot, text};
use installer::upgrade::{AtRest, Rest, Site as _};
use installer::{cli, probe, upgrade};
use installer_core::outcome::Exit;
use installer_core::release::{BOOT_IMG, CORE_IMG, GRUB_EFI};
use installer_core::request::Refusal;
use installer_core::takeover::{TakeoverFacts, TakeoverPlan, Wish, plan};
use installer_core::upgrade::UpgradeFacts;
use partitioner::ids::Ids;
use partitioner::inspect::inspect;
use partitioner::units::{BlockSize, Extent, Lba};
use rustix::fs::{SeekFrom, seek};
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use super::testing::{TinyRelease, dom0, noise};
use made::{
    GRUB_CFG, copy, gap_boot_img, grub, mbr_code, old_boot_img, old_core, old_efi, sfdisk,
    usual_files, volume_sector,
};
pub(crate) use made::{Kind, LABEL, Made};

#[path = "scene/made.rs"]
pub(crate) mod made;
#[path = "scene/own.rs"]
mod own;
#[path = "../../../../partitioner/tests/fixtures/packed.rs"]
#[expect(dead_code, reason = "the example of the partitioner packs")]
mod packed;

pub(super) const SIZE: BlockSize = BlockSize::B512;
const GIB: u64 = 1 << 30;

/// A disk with an old host, and a release.
pub(super) struct Scene {
    pub(super) dir: TempDir,
    pub(super) release: TinyRelease,
    pub(super) made: Made,
    /// Of the old root.
    pub(super) old_uuid: [u8; 16],
}

/// First byte and length of the old root.
pub(super) fn old_root(kind: Kind) -> (u64, u64) {
    match kind {
        Kind::MbrBios | Kind::MbrGap => (63 * 512, 4 * GIB),
        Kind::OwnMbr => (1 << 20, 4 * GIB),
        Kind::GptBios | Kind::GptUefi | Kind::OwnGpt => ((1 << 20) + (512 << 20), 3584 << 20),
    }
}

pub(super) fn sr_start(kind: Kind) -> u64 {
    match kind {
        Kind::MbrBios | Kind::MbrGap => 63 * 512 + 8 * GIB,
        Kind::GptBios | Kind::GptUefi | Kind::OwnMbr | Kind::OwnGpt => (1 << 20) + 8 * GIB,
    }
}

fn tool(call: &Call) {
    Processes.run(call).unwrap();
}

impl Scene {
    pub(super) fn new(made: Made) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let new = tempfile::tempdir().unwrap();
        let mark = new.path().join("tree/etc");
        fs::create_dir_all(&mark).unwrap();
        fs::write(mark.join("release-mark"), "new\n").unwrap();
        let is_own = made.kind.is_own();
        if is_own {
            own::system(&new.path().join("tree"), "new");
        }
        let release = TinyRelease::of_bytes(&dom0(new.path()));
        let mut scene = Self { dir, release, made, old_uuid: [0; 16] };
        let disk = File::create(scene.disk()).unwrap();
        disk.set_len(scene.made.gib * GIB).unwrap();
        if is_own {
            own::install(&scene);
        } else {
            scene.table();
            scene.root(&disk);
            scene.loader(&disk);
        }
        scene.repository(&disk);
        let at = old_root(scene.made.kind).0 + 1024 + 0x68;
        File::open(scene.disk()).unwrap().read_exact_at(&mut scene.old_uuid, at).unwrap();
        scene
    }

    pub(super) fn disk(&self) -> PathBuf {
        self.dir.path().join("disk.img")
    }

    fn table(&self) {
        let gpt = |kind: &str| {
            let mut call = Call::new("sgdisk");
            for (number, size, code) in
                [("4", "+512M", kind), ("1", "+3584M", "0700"), ("2", "+4096M", "0700")]
            {
                let start = if number == "4" { "2048" } else { "0" };
                call = call.args([
                    "-n",
                    &format!("{number}:{start}:{size}"),
                    "-t",
                    &format!("{number}:{code}"),
                ]);
            }
            if self.made.sr.is_some() {
                call = call.args(["-n", "3:0:0", "-t", "3:8e00"]);
            }
            tool(&call.arg(self.disk()));
        };
        match self.made.kind {
            Kind::GptBios => gpt("ef02"),
            Kind::GptUefi => gpt("ef00"),
            Kind::OwnMbr | Kind::OwnGpt => {}
            Kind::MbrBios | Kind::MbrGap => {
                let mut text =
                    "label: dos\nlabel-id: 0x1f2e3d4c\nstart=63, size=8388608, type=83, \
                                bootable\nstart=8388671, size=8388608, type=83\n"
                        .to_owned();
                if self.made.sr.is_some() {
                    text.push_str("start=16777279, type=8e\n");
                }
                sfdisk(&self.disk(), &text);
            }
        }
    }

    fn root(&self, disk: &File) {
        let tree = self.dir.path().join("old-tree");
        let mut files = usual_files();
        files.push(("boot/grub/grub.cfg", GRUB_CFG.to_owned()));
        if self.made.kind == Kind::GptUefi {
            files.pop();
        }
        files.retain(|(path, _)| !self.made.without.contains(path));
        files.extend(self.made.files.iter().cloned());
        for (path, text) in files {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let image = self.dir.path().join("old-root.img");
        File::create(&image).unwrap().set_len(256 << 20).unwrap();
        let call =
            Call::new("mke2fs").args(["-q", "-F", "-t", "ext3", "-L", self.made.label, "-d"]);
        tool(&call.arg(&tree).arg(&image));
        copy(&File::open(image).unwrap(), disk, old_root(self.made.kind).0);
    }

    fn repository(&self, disk: &File) {
        let Some(packed) = self.made.sr else { return };
        let mut from = packed::unpack(packed);
        let found = inspect(&mut from).unwrap();
        let place = found.partitions.iter().find(|found| found.number == 3).unwrap().extent;
        let start = place.first().get() * SIZE.bytes();
        let end = start + place.blocks() * SIZE.bytes();
        for (offset, bytes) in packed::unpacked(packed).1 {
            if (start..end).contains(&offset) {
                disk.write_all_at(&bytes, sr_start(self.made.kind) + offset - start).unwrap();
            }
        }
    }

    /// What firmware starts: sectors and programs that the oracle knows.
    fn loader(&self, disk: &File) {
        let (root, _) = old_root(self.made.kind);
        match self.made.kind {
            Kind::MbrBios => {
                disk.write_all_at(&mbr_code()[..440], 0).unwrap();
                disk.write_all_at(&volume_sector(), root).unwrap();
            }
            Kind::MbrGap => grub(disk, gap_boot_img(), Lba::new(1)),
            Kind::GptBios => grub(disk, old_boot_img(), Lba::new(2048)),
            Kind::GptUefi => {
                let esp = self.dir.path().join("esp.img");
                File::create(&esp).unwrap().set_len(512 << 20).unwrap();
                tool(&Call::new("mkfs.vfat").args(["-F", "32", "-n", "BOOT-ABCDEF"]).arg(&esp));
                let volume = fatfs::FileSystem::new(
                    File::options().read(true).write(true).open(&esp).unwrap(),
                    fatfs::FsOptions::new(),
                )
                .unwrap();
                let put = |path: &str, bytes: &[u8]| {
                    volume.root_dir().create_file(path).unwrap().write_all(bytes).unwrap();
                };
                for folder in ["EFI", "EFI/xenserver", "EFI/BOOT"] {
                    volume.root_dir().create_dir(folder).unwrap();
                }
                put("EFI/xenserver/grub.cfg", GRUB_CFG.as_bytes());
                put("EFI/xenserver/grubx64.efi", &old_efi());
                put("EFI/BOOT/BOOTX64.EFI", &old_efi());
                volume.unmount().unwrap();
                copy(&File::open(esp).unwrap(), disk, 1 << 20);
            }
            Kind::OwnMbr | Kind::OwnGpt => {}
        }
    }

    /// SHA-256 would take minutes: the place and hash of each MiB that is not a hole.
    pub(super) fn fingerprint(&self) -> Vec<(u64, u64)> {
        let file = File::open(self.disk()).unwrap();
        let (mut found, mut at) = (Vec::new(), 0);
        while let Ok(data) = seek(&file, SeekFrom::Data(at)) {
            let start = data >> 20 << 20;
            let mut bytes = vec![0; 1 << 20];
            file.read_exact_at(&mut bytes, start).unwrap();
            if bytes.iter().any(|byte| *byte != 0) {
                found.push((start, xxh3_64(&bytes)));
            }
            at = start + (1 << 20);
        }
        found
    }

    /// The old root as it lies on the disk.
    pub(super) fn old_bytes(&self) -> Vec<(u64, u64)> {
        let (start, len) = old_root(self.made.kind);
        // The first MiB of an MBR's begins with the head of the disk.
        let first = start.next_multiple_of(1 << 20);
        let mut all = self.fingerprint();
        all.retain(|(at, _)| (first..start + len).contains(at));
        let mut head = vec![0; usize::try_from(first - start).unwrap()];
        File::open(self.disk()).unwrap().read_exact_at(&mut head, start).unwrap();
        all.push((start, xxh3_64(&head)));
        all
    }

    fn command(&self, word: &str, more: &[&str]) -> Exit {
        let disk = format!("OLD={}", self.disk().display());
        let mut args = vec!["host-installer", word, "--disk", &disk];
        args.extend(more);
        cli::main(args.into_iter().map(std::ffi::OsString::from))
    }

    pub(super) fn upgrade(&self, more: &[&str]) -> Exit {
        let release = self.release.dir().to_string_lossy().into_owned();
        let mut args = vec!["--release", &release];
        if self.made.kind.is_own() {
            args.extend(["--layout", "modern"]);
        }
        args.extend(more);
        self.command("upgrade", &args)
    }

    pub(super) fn finish(&self) -> Exit {
        self.command("finish", &[])
    }

    pub(super) fn verify(&self) -> Exit {
        self.command("verify", &[])
    }

    pub(super) fn rollback(&self) -> Exit {
        self.command("rollback", &[])
    }

    /// What our own host says of itself, if there is one.
    pub(super) fn own(&self) -> Option<UpgradeFacts> {
        let disk = probe::probe_image("OLD", &self.disk(), SIZE, &mut Processes).unwrap();
        upgrade::read::read(&disk, None, &mut Processes).unwrap()
    }

    /// What bless writes.
    pub(super) fn bless(&self) {
        self.boot_state(|files| {
            let state = files.state().unwrap().blessed();
            files.commit(state).unwrap();
        });
    }

    /// Three boots that did not turn out well.
    pub(super) fn fail_trial(&self, reason: &str) {
        self.boot_state(|files| {
            files.write_reason(reason).unwrap();
            files.write_tries(0).unwrap();
        });
    }

    pub(super) fn boot_state(&self, change: impl FnOnce(&mut BootFiles<'_>)) {
        let facts = self.own().unwrap();
        let mut site = AtRest::for_state(Rest::Image, &facts).unwrap();
        change(&mut BootFiles::open(site.open_boot().unwrap()).unwrap());
    }

    pub(super) fn facts(&self) -> TakeoverFacts {
        let disk = probe::probe_image("OLD", &self.disk(), SIZE, &mut Processes).unwrap();
        let read = if self.made.kind.is_own() { read::read_own } else { read::read };
        read(&disk, None, &mut Processes).unwrap().unwrap()
    }

    pub(super) fn plan(&self) -> Result<TakeoverPlan, Refusal> {
        let release = Release::open(self.release.dir()).unwrap();
        let mut ids = Ids::from_seed([9; 32]);
        plan(&self.facts(), release.manifest(), &Wish::default(), &mut ids)
    }

    /// What may be on the disk and starts something.
    pub(super) fn known(&self) -> Known {
        let file = |name: &str| fs::read(self.release.dir().join(name)).unwrap();
        let by_label = || Program::ByLabel(LABEL.to_owned());
        Known {
            boot_codes: vec![
                (file(BOOT_IMG), BootCode::Grub),
                (old_boot_img(), BootCode::Grub),
                (gap_boot_img(), BootCode::Grub),
                (mbr_code(), BootCode::ActivePartition),
            ],
            cores: vec![(file(CORE_IMG), Program::Ours), (old_core(), Program::GrubByNumber(1))],
            volume_sectors: vec![(volume_sector(), by_label())],
            efi: vec![(file(GRUB_EFI), Program::Ours), (old_efi(), by_label())],
        }
    }

    /// What the machine boots now; when the trial is spent; when the chosen slot does not start.
    pub(super) fn boots(&self, slots: &Slots) -> [String; 3] {
        let known = self.known();
        let machine = Machine {
            firmware: self.made.kind.firmware(),
            entries: &[],
            known: &known,
            systems: &EitherSystem(self.disk()),
            slots,
        };
        let disk = Image(File::open(self.disk()).unwrap());
        [Counter::OnDisk, Counter::Spent, Counter::ChosenFails]
            .map(|counter| machine.boot_with(&disk, counter).outcome.to_string())
    }
}

/// One of ours; or an old one, with blocks that the oracle's own reader does not read: by the root
/// that its boot menu names, or else its own boot loader's configuration.
#[derive(Debug)]
struct EitherSystem(PathBuf);

impl Systems for EitherSystem {
    fn look(&self, disk: &dyn Disk, span: Span) -> Result<System, String> {
        let own = Installed { version_file: "etc/release-mark" }.look(disk, span);
        own.or_else(|_| {
            let extent = Extent::with_len(Lba::new(span.first), span.blocks).unwrap();
            let root = SlotRoot::open(&self.0, SIZE, extent).map_err(|e| e.to_string())?;
            let read = |path| text(&root, path, 1 << 20).map_err(|e| e.to_string());
            let version = read("etc/release-mark")?.trim().to_owned();
            for file in ["boot/xen.gz", "boot/vmlinuz-4.4-xen", "boot/initrd-4.4-xen.img"] {
                root.stat(file).unwrap().ok_or_else(|| format!("{file} is missing"))?;
            }
            let menu = read("boot/xenhost/slot.cfg")?;
            let named = menu.split_once("root=LABEL=").map(|(_, rest)| rest);
            let label = named.and_then(|rest| rest.split('\'').next()).unwrap_or(LABEL);
            Ok(System { version, root: RootArgument::Label(label.to_owned()), whole: true })
        })
    }
}

/// The image, block by block.
pub(super) struct Image(pub(super) File);

impl Disk for Image {
    fn block_bytes(&self) -> usize {
        512
    }

    fn blocks(&self) -> u64 {
        self.0.metadata().unwrap().len() / 512
    }

    fn read(&self, lba: u64, block: &mut [u8]) -> Result<(), Unreadable> {
        self.0.read_exact_at(block, lba * 512).map_err(|_| Unreadable(lba))
    }
}
