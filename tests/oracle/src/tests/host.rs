//! A small host, made by hand and with other people's tools: a GPT, a FAT volume, a real ext4.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Write};
use std::process::Command;

use crate::disk::{Disk, Unreadable};
use crate::installed::Installed;
use crate::known::{BootCode, Known, Program};
use crate::{Firmware, Machine, Slots};

const BLOCK: usize = 512;
pub(super) const BLOCKS: u64 = 70_000;
const CORE_AT: u64 = 40;
/// First block and number of blocks: boot partition, slot a.
const BOOT: (u64, u64) = (2048, 32_768);
pub(super) const ROOT: (u64, u64) = (34_816, 32_768);
const ESP: u128 = 0xC12A_7328_F81F_11D2_BA4B_00A0_C93E_C93B;
const LINUX: u128 = 0x0FC6_3DAF_8483_4772_8E79_3D69_D847_7DE4;
const UUID_A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const PARTUUID: &str = "01020304-0506-0708-090a-0b0c0d0e0f10";
const SLOT_CFG: &str = "\
if multiboot2 ($root)/boot/xen.gz placeholder $xenhost_xen; then
  if module2 ($root)/boot/vmlinuz placeholder 'root=PARTUUID=PARTUUID' 'ro' $xenhost_kernel; then
    if module2 --nounzip ($root)/boot/initrd; then
";

/// A disk in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Ram {
    blocks: BTreeMap<u64, Vec<u8>>,
    unreadable: BTreeSet<u64>,
}

impl Disk for Ram {
    fn block_bytes(&self) -> usize {
        BLOCK
    }

    fn blocks(&self) -> u64 {
        BLOCKS
    }

    fn read(&self, lba: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        if BLOCKS <= lba || self.unreadable.contains(&lba) {
            return Err(Unreadable(lba));
        }
        match self.blocks.get(&lba) {
            Some(block) => into.copy_from_slice(block),
            None => into.fill(0),
        }
        Ok(())
    }
}

impl Ram {
    pub(super) fn put(&mut self, at: u64, bytes: &[u8]) {
        for (lba, chunk) in (at..).zip(bytes.chunks(BLOCK)) {
            let mut block = chunk.to_vec();
            block.resize(BLOCK, 0);
            self.blocks.insert(lba, block);
        }
    }

    /// Turns over bits.
    pub(super) fn change(&mut self, lba: u64, byte: usize, bits: u8) {
        self.blocks.entry(lba).or_insert_with(|| vec![0; BLOCK])[byte] ^= bits;
    }

    pub(super) fn lose(&mut self, lba: u64) {
        self.unreadable.insert(lba);
    }
}

/// What the host is made of.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) boot: BTreeMap<&'static str, Vec<u8>>,
    pub(super) root: BTreeMap<&'static str, Vec<u8>>,
    pub(super) partuuid: String,
    pub(super) uuid: String,
}

/// An environment block of GRUB.
pub(super) fn env(variables: &str) -> Vec<u8> {
    let mut bytes = format!("# GRUB Environment Block\n{variables}").into_bytes();
    bytes.resize(1024, b'#');
    bytes
}

fn efi() -> Vec<u8> {
    (0..=250).cycle().take(3000).collect()
}

fn boot_img() -> Vec<u8> {
    let mut sector = vec![0xB0; BLOCK];
    sector[0x5C..0x64].copy_from_slice(&CORE_AT.to_le_bytes());
    sector[0x1B8..].fill(0);
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    sector
}

/// With the list of blocks by which it loads itself.
fn core_img() -> Vec<u8> {
    let mut core: Vec<u8> = (7..=255).cycle().take(6 * BLOCK).collect();
    core[0x1E8..0x200].fill(0);
    core[0x1F4..0x1FC].copy_from_slice(&(CORE_AT + 1).to_le_bytes());
    core[0x1FC..0x1FE].copy_from_slice(&5_u16.to_le_bytes());
    core
}

fn number(text: &str) -> u128 {
    u128::from_str_radix(&text.replace('-', ""), 16).unwrap()
}

/// A GUID as a GPT stores it.
fn stored(number: u128) -> [u8; 16] {
    let mut bytes = number.to_be_bytes();
    for field in [0..4, 4..6, 6..8] {
        bytes[field].reverse();
    }
    bytes
}

impl Host {
    pub(super) fn new() -> Self {
        let state = env("slot=a\nother=none\npending=0\ngen=1\n");
        let boot = BTreeMap::from([
            ("EFI/BOOT/BOOTX64.EFI", efi()),
            ("xenhost/dispatch.cfg", b"# chooses\n".to_vec()),
            ("xenhost/state.env", state.clone()),
            ("xenhost/state2.env", state),
            ("xenhost/tries.env", env("tries=3\n")),
        ]);
        let root = BTreeMap::from([
            ("boot/xenhost/slot.cfg", SLOT_CFG.replace("=PARTUUID'", "=XX'").into_bytes()),
            ("boot/xen.gz", vec![1; 70_000]),
            ("boot/vmlinuz", vec![2; 300_000]),
            ("boot/initrd", vec![3; 500_000]),
            ("etc/version", b"1.0\n".to_vec()),
        ]);
        Self { boot, root, partuuid: PARTUUID.to_owned(), uuid: UUID_A.to_owned() }
    }

    /// Puts it on a disk.
    pub(super) fn disk(&self) -> Ram {
        let mut disk = Ram::default();
        let mut lba0 = boot_img();
        lba0[0x1BE..0x1CE]
            .copy_from_slice(&[0, 0, 2, 0, 0xEE, 255, 255, 255, 1, 0, 0, 0, 255, 255, 255, 255]);
        disk.put(0, &lba0);
        disk.put(CORE_AT, &core_img());
        disk.put(BOOT.0, &self.fat());
        disk.put(ROOT.0, &self.ext4());
        self.gpt(&mut disk);
        disk
    }

    fn gpt(&self, disk: &mut Ram) {
        let mut array = vec![0; 128 * 128];
        let parts = [(0, LINUX, number(&self.partuuid), ROOT), (3, ESP, 4, BOOT)];
        for (index, kind, id, (first, blocks)) in parts {
            let entry = &mut array[index * 128..][..128];
            entry[..16].copy_from_slice(&stored(kind));
            entry[16..32].copy_from_slice(&stored(id));
            entry[32..40].copy_from_slice(&first.to_le_bytes());
            entry[40..48].copy_from_slice(&(first + blocks - 1).to_le_bytes());
        }
        let last = BLOCKS - 1;
        for (own, other, at) in [(1, last, 2), (last, 1, last - 32)] {
            let mut header = vec![0; 92];
            header[..16].copy_from_slice(b"EFI PART\0\0\x01\0\x5C\0\0\0");
            for (place, value) in [(24, own), (32, other), (40, 34), (48, last - 33), (72, at)] {
                header[place..place + 8].copy_from_slice(&u64::to_le_bytes(value));
            }
            header[80..88].copy_from_slice(&[128, 0, 0, 0, 128, 0, 0, 0]);
            header[88..92].copy_from_slice(&crc32fast::hash(&array).to_le_bytes());
            let crc = crc32fast::hash(&header);
            header[16..20].copy_from_slice(&crc.to_le_bytes());
            disk.put(at, &array);
            disk.put(own, &header);
        }
    }

    fn fat(&self) -> Vec<u8> {
        let mut image = Cursor::new(vec![0; usize::try_from(BOOT.1).unwrap() * BLOCK]);
        fatfs::format_volume(&mut image, fatfs::FormatVolumeOptions::new()).unwrap();
        {
            let volume = fatfs::FileSystem::new(&mut image, fatfs::FsOptions::new()).unwrap();
            let root = volume.root_dir();
            for (path, bytes) in &self.boot {
                for (end, _) in path.match_indices('/') {
                    root.create_dir(&path[..end]).unwrap();
                }
                root.create_file(path).unwrap().write_all(bytes).unwrap();
            }
        }
        image.into_inner()
    }

    /// By mke2fs, from a folder.
    fn ext4(&self) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let (tree, image) = (folder.path().join("tree"), folder.path().join("root.img"));
        for (path, bytes) in &self.root {
            let path = tree.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = String::from_utf8(bytes.clone()).unwrap();
            std::fs::write(path, text.replace("=XX'", &format!("={PARTUUID}'"))).unwrap();
        }
        let made = Command::new("mke2fs")
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .args(["-q", "-t", "ext4", "-b", "4096", "-U", &self.uuid, "-d"])
            .args([tree.as_os_str(), "-O".as_ref()])
            .arg("64bit,metadata_csum,^metadata_csum_seed,^orphan_file")
            .args([image.as_os_str(), "16M".as_ref()])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        std::fs::read(image).unwrap()
    }
}

/// What happens at power-on, in words.
pub(super) fn boots(firmware: Firmware, disk: &Ram) -> String {
    let known = Known {
        boot_codes: vec![(boot_img(), BootCode::Grub)],
        cores: vec![(core_img(), Program::Ours)],
        volume_sectors: Vec::new(),
        efi: vec![(efi(), Program::Ours)],
    };
    let slots = Slots { uuid_a: number(UUID_A).to_be_bytes(), ..Slots::default() };
    let systems = Installed { version_file: "etc/version" };
    let machine =
        Machine { firmware, entries: &[], known: &known, systems: &systems, slots: &slots };
    machine.boot(disk).outcome.to_string()
}
