//! For tests: a release small enough to be made in a moment.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use installer_core::release::{
    self, BOOT_IMG, CORE_IMG, Chunk, DOM0_IMAGE, Dom0, GRUB_EFI, INSTALLER_INITRD,
    INSTALLER_KERNEL, Image, Manifest,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::release_dir::hex;

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

    /// What a bad sector does.
    pub(crate) fn flip_byte(&self, name: &str, at: u64) {
        use std::os::unix::fs::FileExt;
        let file = File::options().read(true).write(true).open(self.dir().join(name)).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    }
}

fn write_frames(dir: &Path, bytes: &[u8]) -> Image {
    let mut out = File::create(dir.join(DOM0_IMAGE)).unwrap();
    let mut whole = Sha256::new();
    let mut chunks = Vec::new();
    let mut offset = 0;
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
        offset += u64::try_from(piece.len()).unwrap();
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
    bytes[0x1FE..0x200].copy_from_slice(&0x820_u16.to_le_bytes());
    bytes
}

/// Bytes that do not compress and are the same in every run.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}
