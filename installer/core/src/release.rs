//! The release manifest, `release.json`: what a release holds and how each byte of it is checked.
//!
//! Pure: the installer reads the files, `image-builder` writes them.

use serde::{Deserialize, Serialize};

/// The value of [`Manifest::schema`].
pub const SCHEMA: &str = "xenhost-release/v1";
/// The machines that xenhost runs on, as `uname -m` says it.
pub const ARCH: &str = "x86_64";
/// File names within a release directory.
pub const MANIFEST: &str = "release.json";
/// Where the minisign signature of the manifest lies.
pub const SIGNATURE: &str = "release.json.minisig";
pub const DOM0_IMAGE: &str = "dom0.img.zst";
/// GRUB's BIOS boot sector, unpatched (512 bytes).
pub const BOOT_IMG: &str = "boot/boot.img";
/// GRUB's BIOS core image, unpatched.
pub const CORE_IMG: &str = "boot/core.img";
/// GRUB for x86-64 UEFI; becomes both `/EFI/BOOT/BOOTX64.EFI` and `/EFI/xenhost/grubx64.efi`.
pub const GRUB_EFI: &str = "boot/grubx64.efi";
/// Kernel and initramfs of the installer environment; copied to the boot partition as the rescue
/// system.
pub const INSTALLER_KERNEL: &str = "installer/vmlinuz";
pub const INSTALLER_INITRD: &str = "installer/initrd.img";
pub const SBOM: &str = "sbom.json";

/// `release.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub schema: String,
    pub product: String,
    pub version: String,
    /// Names this build: derived from the contents, so that equal inputs give equal builds.
    pub build: String,
    /// As `uname -m` says it.
    pub arch: String,
    /// Debian suite of the dom0 image.
    pub suite: String,
    /// The oldest version that may be upgraded to this one.
    pub min_upgrade_from: String,
    pub dom0: Dom0,
    pub image: Image,
    /// Every other file of the release.
    pub files: Vec<File>,
}

/// What the boot configuration needs to know of the dom0 image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dom0 {
    /// Absolute paths within the image.
    pub xen: String,
    pub kernel: String,
    pub initrd: String,
    /// Package versions, for people.
    pub xen_version: String,
    pub kernel_version: String,
}

/// The dom0 image: a raw ext4 file system in zstd frames, one per chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    pub file: String,
    /// Length of the file in bytes.
    pub file_size: u64,
    /// SHA-256 of the whole file, in lower-case hexadecimal.
    pub file_sha256: String,
    /// Length of the decompressed image in bytes, a multiple of 4096.
    pub size: u64,
    /// In order, without gaps, in the image as in the file.
    pub chunks: Vec<Chunk>,
}

/// A range of the image and the zstd frame that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chunk {
    /// Byte range in the decompressed image.
    pub offset: u64,
    pub length: u64,
    /// Byte range of the frame in the file.
    pub frame_offset: u64,
    pub frame_length: u64,
    /// SHA-256 of the compressed frame.
    pub sha256: String,
    /// The range holds zeros only, and is skipped where the target reads as zero.
    #[serde(default, skip_serializing_if = "is_false")]
    pub zero: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_false(b: &bool) -> bool {
    !*b
}

/// Another file of the release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Relative to the release directory.
    pub path: String,
    pub size: u64,
    pub sha256: String,
}

impl Manifest {
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|f| f.path == path)
    }
}
