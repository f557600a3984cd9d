//! Boot loader images: made up for the explorer, or GRUB's own for the firmware.

use boot_oracle::known::{BootCode, Known, Program};

/// What the installer puts on a disk so that it starts.
#[derive(Clone, Debug)]
pub struct Loader {
    pub boot_img: Vec<u8>,
    pub core_img: Vec<u8>,
    pub efi: Vec<u8>,
    pub dispatch: Option<String>,
    /// How the system is started that was taken over.
    pub old_cfg: Option<String>,
}

/// What an old host starts with.
#[derive(Clone, Debug)]
pub struct OldLoader {
    /// Starts the active partition's first sector.
    pub mbr_code: Vec<u8>,
    /// The first sector of the old root.
    pub volume_sector: Vec<u8>,
    /// GRUB's boot sector and core of an old host with a GPT, started by BIOS.
    pub boot_img: Vec<u8>,
    pub core_img: Vec<u8>,
    pub efi: Vec<u8>,
}

/// Label of the old root, by which old loaders and kernels find it.
pub const OLD_LABEL: &str = "root-old";

fn sector(fill: u8) -> Vec<u8> {
    let mut sector = vec![fill; 512];
    sector[0x1BE..0x1FE].fill(0);
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    sector
}

/// As the real one says its name, and that it loads to 0x8000.
fn grub_sector() -> Vec<u8> {
    let mut sector = sector(0xE3);
    sector[0x5A..0x5C].copy_from_slice(&[0x00, 0x80]);
    sector[0x180..0x185].copy_from_slice(b"GRUB ");
    sector
}

fn core(fill: u8, sectors: usize) -> Vec<u8> {
    let numbers = (0..u8::MAX).cycle().skip(fill.into());
    let mut core: Vec<u8> = numbers.take(sectors * 512).collect();
    core[0x1E8..0x1F4].fill(0);
    core[0x1FE..0x200].copy_from_slice(&0x820_u16.to_le_bytes());
    core
}

impl Loader {
    /// Small images that the oracle recognises.
    pub fn made_up() -> Self {
        Self {
            boot_img: sector(0xB0),
            core_img: core(7, 12),
            efi: (0..u8::MAX).cycle().take(3000).collect(),
            dispatch: None,
            old_cfg: None,
        }
    }
}

impl OldLoader {
    pub fn made_up() -> Self {
        Self {
            mbr_code: sector(0xE1),
            volume_sector: sector(0xE2),
            boot_img: grub_sector(),
            // As large as it may be before a partition at sector 63.
            core_img: core(99, 62),
            efi: (0..u8::MAX).rev().cycle().take(2000).collect(),
        }
    }
}

/// Everything that may be on a disk, for the oracle.
pub fn known(loader: &Loader, old: &OldLoader) -> Known {
    let by_label = || Program::ByLabel(OLD_LABEL.to_owned());
    Known {
        boot_codes: vec![
            (loader.boot_img.clone(), BootCode::Grub),
            (old.boot_img.clone(), BootCode::Grub),
            (old.mbr_code.clone(), BootCode::ActivePartition),
        ],
        cores: vec![
            (loader.core_img.clone(), Program::Ours),
            (old.core_img.clone(), Program::GrubByNumber(1)),
        ],
        volume_sectors: vec![(old.volume_sector.clone(), by_label())],
        efi: vec![(loader.efi.clone(), Program::Ours), (old.efi.clone(), by_label())],
    }
}
