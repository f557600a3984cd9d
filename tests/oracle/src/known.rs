//! Programs that the oracle recognises by their bytes: boot sectors, core images, EFI loaders.

use crate::disk::{Disk, array, block, le16, le64};

/// What a loader does once it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// Our GRUB with our first script: finds the boot partition and hands over to the dispatcher.
    Ours,
    /// Another GRUB that starts the system in the partition with this number.
    GrubByNumber(u32),
    /// A loader that starts the system in the file system with this label.
    ByLabel(String),
}

/// What a boot sector's code does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootCode {
    /// GRUB's `boot.img`: loads the core image whose address it holds.
    Grub,
    /// Starts the first sector of the active partition of the table in the same sector.
    ActivePartition,
}

/// Bytes before the disk signature: the code.
const CODE: usize = 0x1B8;

/// The images that may be on a disk.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Whole boot sectors; only the code is compared, without the fields that an installer patches.
    pub boot_codes: Vec<(Vec<u8>, BootCode)>,
    /// Core images; the block list in the first sector is not compared.
    pub cores: Vec<(Vec<u8>, Program)>,
    /// First sectors of partitions, whole.
    pub volume_sectors: Vec<(Vec<u8>, Program)>,
    /// EFI programs, whole.
    pub efi: Vec<(Vec<u8>, Program)>,
}

/// What is on LBA 0, by its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sector {
    /// A core image is to be loaded from here.
    Core(u64),
    ActivePartition,
    /// "installation not finished".
    NotFinished,
    Unknown,
}

impl Known {
    pub fn boot_code(&self, sector: &[u8]) -> Sector {
        let text = b"installation not finished";
        let head = sector.get(..CODE).unwrap_or_default();
        if head.windows(text.len()).any(|window| window == text) {
            return Sector::NotFinished;
        }
        let same = |known: &[u8], code: &BootCode| match code {
            BootCode::Grub => masked(head) == masked(known.get(..CODE).unwrap_or_default()),
            BootCode::ActivePartition => known.get(..CODE) == Some(head),
        };
        match self.boot_codes.iter().find(|(known, code)| same(known, code)) {
            Some((_, BootCode::Grub)) => Sector::Core(le64(sector, 0x5C)),
            Some((_, BootCode::ActivePartition)) => Sector::ActivePartition,
            None => Sector::Unknown,
        }
    }

    /// The core image at this block, loaded by its own block list as `diskboot.S` does.
    pub fn core_at(&self, disk: &dyn Disk, lba: u64) -> Result<&Program, String> {
        let first = block(disk, lba).map_err(|error| format!("core image: {error}"))?;
        let (start, count) = (le64(&first, 0x1F4), le16(&first, 0x1FC));
        let next_entry: [u8; 12] = array(&first, 0x1E8);
        for (image, program) in &self.cores {
            let head = image.get(..0x1E8).is_some_and(|head| first.get(..0x1E8) == Some(head));
            let sectors = image.len().div_ceil(512).saturating_sub(1);
            if !head || next_entry != [0; 12] || usize::from(count) < sectors {
                continue;
            }
            let mut rest = (start..).zip(image.chunks(512).skip(1));
            let same = rest.all(|(lba, want)| {
                block(disk, lba).is_ok_and(|have| have.get(..want.len()) == Some(want))
            });
            if same {
                return Ok(program);
            }
        }
        Err(format!("block {lba} does not hold a whole core image"))
    }

    pub fn efi(&self, bytes: &[u8]) -> Option<&Program> {
        self.efi.iter().find(|(known, _)| known == bytes).map(|(_, program)| program)
    }

    pub fn volume_sector(&self, bytes: &[u8]) -> Option<&Program> {
        let mut known = self.volume_sectors.iter();
        known.find(|(known, _)| bytes.starts_with(known)).map(|(_, program)| program)
    }
}

/// The code without core address, drive number and drive check, and without the parameter block of
/// a FAT volume that some keep there.
fn masked(code: &[u8]) -> Vec<u8> {
    let mut code = code.to_vec();
    for range in [0x5C..0x65, 0x66..0x68] {
        if let Some(field) = code.get_mut(range) {
            field.fill(0);
        }
    }
    code
}
