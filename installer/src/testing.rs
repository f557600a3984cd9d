//! For tests: a release small enough to be made in a moment, and answers that install it.
//!
//! Used by the unit tests of this crate and, through its path, by the tests of the command.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use installer_core::release::{
    self, BOOT_IMG, CORE_IMG, Chunk, DOM0_IMAGE, Dom0, GRUB_EFI, INSTALLER_INITRD,
    INSTALLER_KERNEL, Image, Manifest,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use installer::call::{Call, Processes, Run};
use installer::fresh::EXT4_FEATURES;
use installer::release_dir::hex;

/// The shape that every release understands, for a disk with the serial SN42.
pub(crate) const ANSWERS: &str = r#"
schema: xenhost/v1
mode: install
deployment_id: rack7-42
disks:
  host: {serial: SN42}
layout: {target: host, name: auto}
on_existing: wipe
network:
  management: {mac: "00:16:3e:aa:bb:cc", ipv4: dhcp}
system: {hostname: xen1, timezone: Europe/Berlin, keymap: us}
access:
  root_password:
    hash: "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"
  ssh_keys:
    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1k0pXyq0kR8nCjYp3m5h7s3Yb2p0m4m2rB9q8w7v6u
finish: {action: reboot}
"#;

const CHUNK_BYTES: usize = 4 << 20;

/// A release directory that goes away with the value.
pub(crate) struct TinyRelease {
    dir: TempDir,
}

impl TinyRelease {
    /// A release whose dom0 image is these bytes.
    pub(crate) fn of_bytes(image: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let image = write_frames(dir.path(), image);
        let files = [
            (BOOT_IMG, boot_img()),
            (CORE_IMG, core_img()),
            (GRUB_EFI, noise(2, 1000)),
            (INSTALLER_KERNEL, noise(3, 50_000)),
            (INSTALLER_INITRD, noise(4, 3_000_000)),
        ];
        let files = files.iter().map(|(name, bytes)| write_file(dir.path(), name, bytes)).collect();
        let manifest = Manifest {
            schema: release::SCHEMA.into(),
            product: "xenhost".into(),
            version: "0.1.0".into(),
            build: "test".into(),
            arch: "x86_64".into(),
            suite: "trixie".into(),
            min_upgrade_from: "0.1.0".into(),
            dom0: Dom0 {
                xen: "/boot/xen-4.20-amd64.gz".into(),
                kernel: "/boot/vmlinuz-6.12.0-amd64".into(),
                initrd: "/boot/initrd.img-6.12.0-amd64".into(),
                xen_version: "4.20.0".into(),
                kernel_version: "6.12.0".into(),
            },
            image,
            files,
        };
        let json = serde_json::to_vec_pretty(&manifest).unwrap();
        fs::write(dir.path().join(release::MANIFEST), json).unwrap();
        Self { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Changes what the release says of itself.
    pub(crate) fn manifest(&self, change: impl FnOnce(&mut Manifest)) {
        let path = self.dir().join(release::MANIFEST);
        let mut manifest: Manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut manifest);
        fs::write(path, serde_json::to_vec_pretty(&manifest).unwrap()).unwrap();
    }

    /// What a bad sector does.
    pub(crate) fn flip_byte(&self, name: &str, at: u64) {
        use std::os::unix::fs::FileExt;
        let file = File::options().read(true).write(true).open(self.dir().join(name)).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    }
}

/// An image that no slot holds: zeros, which no file has to.
pub(crate) fn too_large(manifest: &mut Manifest) {
    const SIZE: u64 = 19 << 30;
    let image = &mut manifest.image;
    let zeros = Chunk {
        offset: image.size,
        length: SIZE.checked_sub(image.size).unwrap(),
        frame_offset: image.file_size,
        frame_length: 0,
        sha256: image.file_sha256.clone(),
        zero: true,
    };
    image.size = SIZE;
    image.chunks.push(zeros);
}

fn write_frames(dir: &Path, bytes: &[u8]) -> Image {
    let mut out = File::create(dir.join(DOM0_IMAGE)).unwrap();
    let mut whole = Sha256::new();
    let mut chunks = Vec::new();
    let mut offset = 0_u64;
    for piece in bytes.chunks(CHUNK_BYTES) {
        let frame = zstd::bulk::compress(piece, 3).unwrap();
        whole.update(&frame);
        let frame_offset = out.seek(SeekFrom::End(0)).unwrap();
        out.write_all(&frame).unwrap();
        chunks.push(Chunk {
            offset,
            length: u64::try_from(piece.len()).unwrap(),
            frame_offset,
            frame_length: u64::try_from(frame.len()).unwrap(),
            sha256: hex(&Sha256::digest(&frame)),
            zero: piece.iter().all(|b| *b == 0),
        });
        offset = offset.checked_add(u64::try_from(piece.len()).unwrap()).unwrap();
    }
    Image {
        file: DOM0_IMAGE.into(),
        file_size: out.seek(SeekFrom::End(0)).unwrap(),
        file_sha256: hex(&whole.finalize()),
        size: offset,
        chunks,
    }
}

fn write_file(dir: &Path, name: &str, bytes: &[u8]) -> release::File {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    release::File {
        path: name.into(),
        size: u64::try_from(bytes.len()).unwrap(),
        sha256: hex(&Sha256::digest(bytes)),
    }
}

/// A boot sector that does nothing but has what is looked for.
fn boot_img() -> Vec<u8> {
    let mut bytes = vec![0x90; 512];
    bytes[510..].copy_from_slice(&[0x55, 0xAA]);
    bytes
}

/// A core image by its first block list entry: load segment 0x820.
fn core_img() -> Vec<u8> {
    let mut bytes = noise(1, 30_000);
    // The list ends with its first entry.
    bytes[0x1E8..0x1F4].fill(0);
    bytes[0x1FE..0x200].copy_from_slice(&0x820_u16.to_le_bytes());
    bytes
}

/// Bytes that do not compress and are the same in every run.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len.next_multiple_of(8));
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A file system with the least that an installation needs.
pub(crate) fn dom0(dir: &Path) -> Vec<u8> {
    dom0_with(dir, &thing())
}

/// The same with this as its largest file.
pub(crate) fn dom0_with(dir: &Path, thing: &[u8]) -> Vec<u8> {
    let tree = dir.join("tree");
    for folder in ["etc/default", "boot", "root", "usr/bin"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
    }
    fs::write(tree.join("etc/shadow"), "root:*:1:0:99999:7:::\nsshd:!:1::::::\n").unwrap();
    fs::write(tree.join("etc/hostname"), "build-machine\n").unwrap();
    fs::write(tree.join("usr/bin/thing"), thing).unwrap();
    for file in ["xen-4.20-amd64.gz", "vmlinuz-6.12.0-amd64", "initrd.img-6.12.0-amd64"] {
        fs::write(tree.join("boot").join(file), noise(9, 100_000)).unwrap();
    }
    let image = dir.join("dom0.img");
    File::create(&image).unwrap().set_len(96 << 20).unwrap();
    let call = Call::new("mke2fs").args(["-q", "-t", "ext4", "-O", EXT4_FEATURES, "-d"]);
    Processes.run(&call.arg(&tree).arg(&image)).unwrap();
    fs::read(image).unwrap()
}

/// A file of [`dom0`] that takes more than one chunk.
pub(crate) fn thing() -> Vec<u8> {
    noise(8, 9 << 20)
}
