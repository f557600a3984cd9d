//! Stand-ins for hosts of `XenServer` with 4 GiB partitions, made of real parts without root or
//! mounts: Debian's kernel, a root with the files that such hosts have, real boot loaders, and a
//! storage repository that real LVM made. What runs says from which root it was started, and ends.

mod loader;
mod root;

pub(crate) use self::loader::grub_images;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use partitioner::block::BlockIo;

use crate::call::Call;
use crate::disks::{self, TARGET};
use crate::dom0;
use crate::failure::{At, Failure, Result, ensure};
use crate::inside;
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware};

/// The label of the old root, by which kernel and boot loader find it.
pub(crate) const LABEL: &str = "root-abcdef";
/// What a stand-in says once its root is up.
pub(crate) const UP: &str = "OLD HOST UP: xen1 from ";
/// Firmware, boot loader, kernel, initramfs: under emulation on a busy machine.
pub(crate) const BOOT_LIMIT: Duration = Duration::from_secs(400);
const GIB: u64 = 60;
const SECTOR: u64 = 512;
/// First sectors of the root, and of the storage repository of the disks that LVM was given.
const MBR_ROOT: u64 = 63;
const GPT_ROOT: u64 = 2048 + (512 << 11);
const MBR_SR: u64 = 16_777_279;
const GPT_SR: u64 = 2048 + (8 << 21);

/// How it is divided, and what starts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chain {
    /// An MBR with its root at sector 63, whose boot sector is that of extlinux.
    MbrExtlinux,
    /// The same with GRUB between LBA 0 and the root.
    MbrGrub,
    /// A GPT with a BIOS boot partition before the root.
    GptBios,
    /// A GPT with a system partition before the root.
    GptUefi,
}

/// What the storage repository holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Repository {
    Empty,
    /// A guest's disk.
    InUse,
}

impl Chain {
    pub(crate) const ALL: [Self; 4] =
        [Self::MbrExtlinux, Self::MbrGrub, Self::GptBios, Self::GptUefi];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::MbrExtlinux => "mbr-extlinux",
            Self::MbrGrub => "mbr-grub",
            Self::GptBios => "gpt-bios",
            Self::GptUefi => "gpt-uefi",
        }
    }

    pub(crate) const fn firmware(self) -> Firmware {
        match self {
            Self::MbrExtlinux | Self::MbrGrub | Self::GptBios => Firmware::Bios,
            Self::GptUefi => Firmware::Uefi,
        }
    }

    const fn root_at(self) -> u64 {
        match self {
            Self::MbrExtlinux | Self::MbrGrub => MBR_ROOT,
            Self::GptBios | Self::GptUefi => GPT_ROOT,
        }
    }

    const fn sr_at(self) -> u64 {
        match self {
            Self::MbrExtlinux | Self::MbrGrub => MBR_SR,
            Self::GptBios | Self::GptUefi => GPT_SR,
        }
    }

    /// The size of the root, as mke2fs wants it.
    const fn root_size(self) -> &'static str {
        match self {
            Self::MbrExtlinux | Self::MbrGrub => "4096M",
            Self::GptBios | Self::GptUefi => "3584M",
        }
    }
}

/// Makes the disk of such a host.
pub(crate) fn make(lab: &mut Lab, chain: Chain, sr: Repository, disk: &Path) -> Result<()> {
    disks::blank(disk, GIB)?;
    table(chain, disk)?;
    repository(chain, sr, disk)?;
    let content = lab.run.join(format!("{}-root", chain.name()));
    root::lay_out(lab, chain, sr, &content)?;
    let options = format!("offset={}", chain.root_at() * SECTOR);
    // As few inodes as do, since their tables are written out.
    Call::new("mke2fs")
        .args(["-q", "-F", "-t", "ext3", "-L", LABEL, "-N", "4096", "-E", &options, "-d"])
        .args([content.as_os_str(), disk.as_os_str(), chain.root_size().as_ref()])
        .limit(Duration::from_secs(300))
        .stdout()?;
    loader::install(lab, chain, disk)?;
    crate::cache::remove(&content)
}

/// Boots the disk to the word of the old root, which has this label.
pub(crate) fn boots(
    lab: &mut Lab,
    name: &str,
    chain: Chain,
    disk: &Path,
    label: &str,
) -> Result<()> {
    boots_after(lab, name, chain, disk, (label, &[]))
}

/// The same; the boot loader says these words before, one after the other.
pub(crate) fn boots_after(
    lab: &mut Lab,
    name: &str,
    chain: Chain,
    disk: &Path,
    (label, words): (&str, &[&str]),
) -> Result<()> {
    let disks = [Disk { path: disk.to_owned(), serial: TARGET }];
    let spec = dom0::spec(lab, name, chain.firmware(), &disks);
    lab.report.stage(&format!("{name}: old host"), |tick| {
        let mut machine = spec.start()?;
        for word in words {
            machine.serial.wait_for_any(&[word], BOOT_LIMIT, tick)?;
        }
        machine.serial.wait_for_any(&[&format!("{UP}LABEL={label}")], BOOT_LIMIT, tick)?;
        machine.wait_off(BOOT_LIMIT)
    })
}

/// Does the root at this place hold what its boot loader starts?
pub(crate) fn can_start(disk: &Path, first: u64, sectors: u64) -> Result<()> {
    let root = inside::files_at(disk, first, sectors)?;
    for path in root::STARTED {
        let found = root.metadata(path).map_err(|error| {
            Failure::check(format!("{}, root at sector {first}: {path}: {error}", disk.display()))
        })?;
        ensure(0 < found.len(), || format!("{}: {path} is empty", disk.display()))?;
    }
    Ok(())
}

fn table(chain: Chain, disk: &Path) -> Result<()> {
    match chain {
        Chain::MbrExtlinux | Chain::MbrGrub => mbr(disk),
        Chain::GptBios => gpt(disk, "ef02"),
        Chain::GptUefi => gpt(disk, "ef00"),
    }
}

/// Root and backup of 4 GiB, storage repository; the root is active.
fn mbr(disk: &Path) -> Result<()> {
    let blocks = GIB << 21;
    let size = 8 << 20;
    let parts = [
        (0x80, 0x83, MBR_ROOT, size),
        (0, 0x83, MBR_ROOT + size, size),
        (0, 0x8E, MBR_SR, blocks - MBR_SR),
    ];
    let mut sector = vec![0; 512];
    put(&mut sector, 0x1B8, &0x1F2E_3D4C_u32.to_le_bytes());
    for (number, (status, kind, first, blocks)) in parts.into_iter().enumerate() {
        let at = 0x1BE + 16 * number;
        put(&mut sector, at, &[status, 0xFE, 0xFF, 0xFF, kind, 0xFE, 0xFF, 0xFF]);
        let le = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
        put(&mut sector, at + 8, &[le(first), le(blocks)].concat());
    }
    put(&mut sector, 510, &[0x55, 0xAA]);
    write_at(disk, 0, &sector)
}

/// Boot of 512 MiB, root of 3584 MiB, backup of 4 GiB, storage repository.
fn gpt(disk: &Path, boot_type: &str) -> Result<()> {
    Call::new("sgdisk")
        .args(["-n", "4:2048:+512M", "-t", &format!("4:{boot_type}")])
        .args(["-n", "1:0:+3584M", "-t", "1:0700", "-n", "2:0:+4096M", "-t", "2:0700"])
        .args(["-n", "3:0:0", "-t", "3:8e00"])
        .arg(disk)
        .stdout()
        .map(drop)
}

/// Copies a physical volume that real LVM made to where the storage repository is.
fn repository(chain: Chain, sr: Repository, disk: &Path) -> Result<()> {
    const EMPTY: &[u8] = include_bytes!("../../../partitioner/tests/fixtures/sr/empty-lvm.zst");
    const USED: &[u8] = include_bytes!("../../../partitioner/tests/fixtures/sr/used-lvm.zst");
    let mut from = disks::packed::unpack(match sr {
        Repository::Empty => EMPTY,
        Repository::InUse => USED,
    });
    let used: Vec<_> = from.used().filter(|lba| MBR_SR <= lba.get()).collect();
    let file = File::options().write(true).open(disk).at("opening", disk)?;
    let mut block = vec![0; 512];
    for lba in used {
        from.read(lba, &mut block).map_err(|error| Failure::check(error.to_string()))?;
        let at = lba.get() - MBR_SR + chain.sr_at();
        file.write_all_at(&block, at * SECTOR).at("writing", disk)?;
    }
    Ok(())
}

fn write_at(disk: &Path, sector: u64, bytes: &[u8]) -> Result<()> {
    let file = File::options().write(true).open(disk).at("opening", disk)?;
    file.write_all_at(bytes, sector * SECTOR).at("writing", disk)
}

/// Copies `bytes` to a constant place of a sector.
fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    into[at..][..bytes.len()].copy_from_slice(bytes);
}
