//! Images of GRUB, made by the suite's own `grub-mkimage`, run from its tree: no installation of
//! GRUB on the build machine, no chroot.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::exec::Call;
use crate::installer_env::archive::Archive;

/// What the boot loader of an installed host can do; all of it is inside the image.
const HOST_MODULES: &[&str] = &[
    "all_video",
    "boot",
    "cat",
    "chain",
    "configfile",
    "echo",
    "ext2",
    "fat",
    "gzio",
    "halt",
    "linux",
    "loadenv",
    "loopback",
    "ls",
    "memdisk",
    "minicmd",
    // Xen of hosts that extlinux started, where such a one is taken over.
    "multiboot",
    "multiboot2",
    "newc",
    "normal",
    "part_gpt",
    "part_msdos",
    "probe",
    "reboot",
    "regexp",
    "search",
    "search_fs_file",
    "search_fs_uuid",
    "search_label",
    "serial",
    "sleep",
    "terminal",
    "test",
    "true",
];
/// What the boot loader of the medium can do.
const MEDIUM_MODULES: &[&str] = &[
    "all_video",
    "boot",
    "cat",
    "configfile",
    "echo",
    "fat",
    "gzio",
    "halt",
    "iso9660",
    "linux",
    "ls",
    "memdisk",
    "minicmd",
    "newc",
    "normal",
    "part_gpt",
    "part_msdos",
    "probe",
    "reboot",
    "regexp",
    "search",
    "search_fs_file",
    "search_label",
    "serial",
    "sleep",
    "terminal",
    "test",
    "true",
];
/// Core image A of an installed host lies in LBA 128..=1087.
pub const CORE_BYTES_MAX: u64 = 960 * 512;

/// The kind of image, by GRUB's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Loaded by a boot sector from a list of blocks.
    BiosDisk,
    /// Loaded by the BIOS from an El Torito boot record.
    BiosCd,
    Uefi,
}

impl Platform {
    const fn format(self) -> &'static str {
        match self {
            Self::BiosDisk => "i386-pc",
            Self::BiosCd => "i386-pc-eltorito",
            Self::Uefi => "x86_64-efi",
        }
    }

    const fn folder(self) -> &'static str {
        match self {
            Self::BiosDisk | Self::BiosCd => "i386-pc",
            Self::Uefi => "x86_64-efi",
        }
    }
}

/// Whose boot loader it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Host,
    Medium,
}

impl Purpose {
    const fn modules(self) -> &'static [&'static str] {
        match self {
            Self::Host => HOST_MODULES,
            Self::Medium => MEDIUM_MODULES,
        }
    }

    const fn early(self) -> &'static str {
        match self {
            Self::Host => include_str!("../grub/early.cfg"),
            Self::Medium => include_str!("../../iso/grub/early.cfg"),
        }
    }
}

/// Where the suite's GRUB keeps the files of a platform.
pub fn folder(tools: &Path, platform: Platform) -> PathBuf {
    tools.join("usr/lib/grub").join(platform.folder())
}

/// Makes one image at `out`.
///
/// The script given with `-c` is run by a parser without `if`, so all it does is to hand over to
/// one in the image's memory disk, which is run by the whole parser.
pub fn make_image(tools: &Path, purpose: Purpose, platform: Platform, out: &Path) -> Result<()> {
    let dir = tempfile::tempdir().map_err(Error::io(Path::new("a temporary directory")))?;
    let (memdisk, config) = (dir.path().join("memdisk"), dir.path().join("embedded.cfg"));
    let mut archive = Archive::new(Vec::new());
    archive.file("early.cfg", 0o644, purpose.early().as_bytes())?;
    let bytes = archive.finish()?;
    std::fs::write(&memdisk, bytes).map_err(Error::io(&memdisk))?;
    std::fs::write(&config, include_str!("../grub/embedded.cfg")).map_err(Error::io(&config))?;
    let mut call = Call::in_tree(tools, "usr/bin/grub-mkimage")?
        .args(["-O", platform.format(), "-d"])
        .arg(folder(tools, platform))
        // -m replaces a prefix given before it. One without a device lets GRUB set `root` to where
        // the firmware loaded it from; Debian 13's sets no `cmdpath`.
        .arg("-m")
        .arg(&memdisk)
        .args(["-p", "/"])
        .arg("-c")
        .arg(&config)
        .arg("-o")
        .arg(out)
        .args(purpose.modules());
    if platform != Platform::Uefi {
        call = call.arg("biosdisk");
    }
    call.output()?;
    if platform == Platform::BiosDisk {
        let have = out.metadata().map_err(Error::io(out))?.len();
        if have > CORE_BYTES_MAX {
            let what = "GRUB's core image for BIOS";
            return Err(Error::TooLarge { what, have, limit: CORE_BYTES_MAX });
        }
    }
    Ok(())
}
