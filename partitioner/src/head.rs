//! The head of the disk: who owns which block before the first partition, and what LBA 0 holds.
//!
//! Pure: boot loader images in, patched images out. Facts about GRUB's images are from its
//! `boot.S`, `diskboot.S` and `include/grub/i386/pc/boot.h`; the protective MBR follows UEFI 2.10,
//! section 5.2.3.

use serde::Serialize;

use crate::table::Geometry;
use crate::units::{BlockSize, Extent, Lba};

mod message;

pub use message::{MESSAGE_MAX, NOT_FINISHED, disarmed_lba0};

/// Who owns which blocks of the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HeadMap {
    /// `None` on a disk with an MBR.
    pub gpt: Option<GptMap>,
    /// A byte copy of the LBA 0 that was there before, for a boot loader to chain to.
    pub old_lba0: Option<Lba>,
    /// Saved old LBA 0 and 1, regions, identifiers, CRC.
    pub rescue: Extent,
    /// GRUB core images. Absent where BIOS cannot start the disk.
    pub core_a: Option<Extent>,
    pub core_b: Option<Extent>,
    /// The first block that a partition may have. The volume of the MBR layout, which holds
    /// rescue record and cores in its reserved sectors, lies before it.
    pub first_usable: Lba,
}

/// Where the parts of a primary GPT lie. On a disk that is taken over they may be anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct GptMap {
    pub header: Lba,
    /// The entry array that the header points to.
    pub array: Extent,
    /// Another place for it, so that a table can be replaced by one write of the header.
    pub spare: Extent,
}

impl GptMap {
    /// The last block of the disk.
    pub fn backup_header(&self, geometry: Geometry) -> Lba {
        Lba::new(geometry.blocks.saturating_sub(1))
    }

    /// The backup entry array, right before the backup header.
    pub fn backup_array(&self, geometry: Geometry) -> Extent {
        let header = self.backup_header(geometry).get();
        let first = Lba::new(header.saturating_sub(self.array.blocks()));
        Extent::with_len(first, self.array.blocks()).unwrap_or(self.array)
    }
}

/// Sectors of the MBR layout's boot volume, from LBA 256 on, before its first FAT: cores, saved
/// boot sector and rescue record. The data begins at a multiple of 4 KiB.
pub const MBR_RESERVED: u16 = 1100;

impl HeadMap {
    pub const B512: Self = Self {
        gpt: Some(GptMap { header: Lba::new(1), array: blocks(2, 33), spare: blocks(34, 65) }),
        old_lba0: None,
        rescue: blocks(66, 127),
        core_a: Some(blocks(128, 1087)),
        core_b: Some(blocks(1088, 2047)),
        first_usable: Lba::new(2048),
    };

    pub const B4096: Self = Self {
        gpt: Some(GptMap { header: Lba::new(1), array: blocks(2, 5), spare: blocks(6, 9) }),
        old_lba0: None,
        rescue: blocks(10, 15),
        core_a: None,
        core_b: None,
        first_usable: Lba::new(256),
    };

    /// The MBR layout: all lies in the reserved sectors of the volume at LBA 256. GRUB's core with
    /// all that a host needs takes 444 sectors.
    pub const MBR: Self = Self {
        gpt: None,
        old_lba0: Some(Lba::new(1288)),
        rescue: blocks(1289, 1351),
        core_a: Some(blocks(264, 775)),
        core_b: Some(blocks(776, 1287)),
        first_usable: Lba::new(2048),
    };

    /// The GPT map for disks with such blocks; `None` where there is none.
    pub fn of(block_size: BlockSize) -> Option<Self> {
        match block_size {
            BlockSize::B512 => Some(Self::B512),
            BlockSize::B4096 => Some(Self::B4096),
            _ => None,
        }
    }

    /// LBA 0 to the last block before the partitions.
    pub fn whole(&self) -> Extent {
        Extent::with_len(Lba::new(0), self.first_usable.get()).unwrap_or(self.rescue)
    }

    /// The last block that a partition may have: the one before the backup entry array, or the
    /// last of the disk.
    pub fn last_usable(&self, geometry: Geometry) -> Lba {
        let end = match &self.gpt {
            Some(gpt) => gpt.backup_array(geometry).first().get(),
            None => geometry.blocks,
        };
        Lba::new(end.saturating_sub(1))
    }
}

/// An extent of a constant map.
const fn blocks(first: u64, last: u64) -> Extent {
    match Extent::new(Lba::new(first), Lba::new(last)) {
        Some(extent) => extent,
        None => panic!("the first block of an extent comes after the last"),
    }
}

/// Why a boot loader image cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("boot sector image has {have} bytes, 512 needed")]
    BootImageLength { have: usize },
    #[error("boot sector image ends with {have:#06x}, 0xaa55 needed")]
    BootImageSignature { have: u16 },
    #[error("core image has {have} bytes, at least 1024 needed")]
    CoreTooShort { have: usize },
    #[error("core image has {have:#06x} as its load segment, 0x0820 needed")]
    NotACore { have: u16 },
    #[error("core image takes {have} sectors, the head of the disk has {max}")]
    CoreTooLarge { have: u64, max: u64 },
    #[error("a disk with blocks of {have} bytes has no place for a core image")]
    NoPlaceForCore { have: u64 },
}

const SECTOR: usize = 512;
/// Code ends here: the disk signature (0x1B8), the partition entries (0x1BE) and 55 AA follow.
const CODE_END: usize = 0x1B8;
const ENTRIES: usize = 0x1BE;
const SIGNATURE: usize = 0x1FE;
/// `GRUB_BOOT_MACHINE_KERNEL_SECTOR`: where `boot.img` keeps the LBA of the core image.
const BOOT_KERNEL_SECTOR: usize = 0x5C;
/// `GRUB_BOOT_MACHINE_BOOT_DRIVE`: 0xFF takes the drive number that the BIOS gave.
const BOOT_DRIVE: usize = 0x64;
/// `GRUB_BOOT_MACHINE_DRIVE_CHECK`: a jump that forces drive 0x80 on a BIOS that gives nonsense;
/// with two `nop` the BIOS is believed.
const BOOT_DRIVE_CHECK: usize = 0x66;
/// First block list entry of `diskboot.S`: u64 start, u16 length, u16 segment.
const CORE_BLOCK_LIST: usize = 0x1F4;
/// `GRUB_BOOT_MACHINE_KERNEL_SEG` (0x800) and the one sector that `boot.img` has loaded already.
const CORE_SEGMENT: u16 = 0x820;

/// LBA 0 of a finished host: boot code that loads the core image at `core_lba`, and the
/// protective MBR.
///
/// The result is one block. With blocks of 4096 bytes it is the protective MBR alone: BIOS cannot
/// start such a disk, so that `boot_img` is not looked at.
pub fn armed_lba0(
    boot_img: &[u8],
    core_lba: Lba,
    geometry: Geometry,
) -> Result<Vec<u8>, HeadError> {
    let sector = if geometry.block_size == BlockSize::B512 {
        patch_boot(boot_img, core_lba)?
    } else {
        [0; SECTOR]
    };
    Ok(protective_lba0(&sector, geometry))
}

/// LBA 0 with the code of this sector and the protective MBR.
pub(crate) fn protective_lba0(code: &[u8; SECTOR], geometry: Geometry) -> Vec<u8> {
    let mut sector = *code;
    put(&mut sector, CODE_END, &[0; SIGNATURE - CODE_END]);
    put(&mut sector, ENTRIES, &protective_entries(geometry));
    put(&mut sector, SIGNATURE, &[0x55, 0xAA]);
    one_block(&sector, geometry.block_size)
}

/// LBA 0 with our boot code, and everything behind the code as it was: the old table still rules.
pub fn switched_lba0(boot_img: &[u8], core_lba: Lba, old: &[u8]) -> Result<Vec<u8>, HeadError> {
    let code = patch_boot(boot_img, core_lba)?;
    let mut block = old.to_vec();
    for (to, byte) in block.iter_mut().zip(code.iter().take(CODE_END)) {
        *to = *byte;
    }
    Ok(block)
}

/// `boot.img` with its four fields set and its table empty.
pub(crate) fn patch_boot(boot_img: &[u8], core_lba: Lba) -> Result<[u8; SECTOR], HeadError> {
    let have = boot_img.len();
    let image: &[u8; SECTOR] =
        boot_img.try_into().map_err(|_| HeadError::BootImageLength { have })?;
    let signature = u16::from_le_bytes([image[SIGNATURE], image[SIGNATURE + 1]]);
    if signature != 0xAA55 {
        return Err(HeadError::BootImageSignature { have: signature });
    }
    let mut sector = *image;
    put(&mut sector, BOOT_KERNEL_SECTOR, &core_lba.get().to_le_bytes());
    put(&mut sector, BOOT_DRIVE, &[0xFF]);
    put(&mut sector, BOOT_DRIVE_CHECK, &[0x90, 0x90]);
    put(&mut sector, CODE_END, &[0; SIGNATURE - CODE_END]);
    Ok(sector)
}

/// The four entries of the protective MBR (UEFI 2.10 tables 5-3 and 5-4).
///
/// The second entry is empty but for its active flag: some BIOSes start no disk without an active
/// partition, and the specification wants the flag of the 0xEE entry to be 0.
fn protective_entries(geometry: Geometry) -> [u8; 64] {
    let size = geometry.blocks.saturating_sub(1);
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    let mut entries = [0; 64];
    // Starts at CHS 0/0/2, ends at the largest CHS address, begins at LBA 1.
    put(&mut entries, 0, &[0x00, 0x00, 0x02, 0x00, 0xEE, 0xFF, 0xFF, 0xFF]);
    put(&mut entries, 8, &1_u32.to_le_bytes());
    put(&mut entries, 12, &size.to_le_bytes());
    put(&mut entries, 16, &[0x80]);
    entries
}

/// `core.img`, padded to whole sectors, that knows to lie at `lba`. Patching it again changes
/// nothing but the place.
pub fn patch_core(core: &[u8], lba: Lba) -> Result<Vec<u8>, HeadError> {
    let have = core.len();
    if have < 2 * SECTOR {
        return Err(HeadError::CoreTooShort { have });
    }
    let segment = u16::from_le_bytes([core[0x1FE], core[0x1FF]]);
    if segment != CORE_SEGMENT {
        return Err(HeadError::NotACore { have: segment });
    }
    let max = HeadMap::B512.core_a.map_or(0, Extent::blocks);
    let sectors = core.len().div_ceil(SECTOR);
    let rest = u16::try_from(sectors).ok().and_then(|sectors| sectors.checked_sub(1));
    let Some(rest) = rest.filter(|rest| u64::from(*rest) < max) else {
        return Err(HeadError::CoreTooLarge { have: u64::try_from(sectors).unwrap_or(max), max });
    };
    let mut image = core.to_vec();
    image.resize(sectors.saturating_mul(SECTOR), 0);
    put(&mut image, CORE_BLOCK_LIST, &lba.get().saturating_add(1).to_le_bytes());
    put(&mut image, CORE_BLOCK_LIST + 8, &rest.to_le_bytes());
    put(&mut image, CORE_BLOCK_LIST + 10, &CORE_SEGMENT.to_le_bytes());
    Ok(image)
}

/// How many sectors a core image has that begins at `lba` with this one: by the first entry of its
/// block list, which must be the only one and go on right behind it.
pub(crate) fn core_sectors(first: &[u8], lba: Lba) -> Option<u64> {
    let entry = |at: usize| first.get(at..)?.first_chunk::<12>();
    let [next @ .., a, b, c, d] = entry(CORE_BLOCK_LIST)?;
    let (rest, segment) = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
    let is_next = lba.get().checked_add(1) == Some(u64::from_le_bytes(*next));
    // The list grows towards the start of the sector, up to an entry of length 0.
    let is_one = entry(CORE_BLOCK_LIST - 12).is_some_and(|entry| entry[8..10] == [0, 0]);
    (is_next && is_one && segment == CORE_SEGMENT && 0 < rest).then(|| u64::from(rest) + 1)
}

/// Where GRUB 2's code in this LBA 0 loads the core image from.
pub(crate) fn core_of(lba0: &[u8]) -> Lba {
    Lba::new(crate::inspect::le64(lba0, BOOT_KERNEL_SECTOR))
}

/// This LBA 0, whose code is that of GRUB 2, loading the core image from there.
pub(crate) fn with_core_at(lba0: &[u8], core: Lba) -> Vec<u8> {
    let mut block = lba0.to_vec();
    put(&mut block, BOOT_KERNEL_SECTOR, &core.get().to_le_bytes());
    block
}

/// The core image as it lies in its place, which it has to fit into.
pub fn core_for(core: &[u8], place: Extent) -> Result<Vec<u8>, HeadError> {
    let image = patch_core(core, place.first())?;
    let (max, sectors) = (place.blocks(), image.len().div_ceil(SECTOR));
    let have = u64::try_from(sectors).unwrap_or(u64::MAX);
    if have <= max { Ok(image) } else { Err(HeadError::CoreTooLarge { have, max }) }
}

/// The sector, and zeros up to the end of its block.
pub(crate) fn one_block(sector: &[u8; SECTOR], block_size: BlockSize) -> Vec<u8> {
    let mut block = sector.to_vec();
    block.resize(usize::try_from(block_size.bytes()).unwrap_or(SECTOR), 0);
    block
}

/// Copies `bytes` to `at`. Offsets here are constants, within buffers of known length.
fn put(into: &mut [u8], at: usize, bytes: &[u8]) {
    into[at..][..bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    fn boot_img() -> Vec<u8> {
        let mut image = vec![0xCC; SECTOR];
        image[SIGNATURE..].copy_from_slice(&[0x55, 0xAA]);
        image
    }

    fn core_img(len: usize) -> Vec<u8> {
        let mut image = vec![0xCC; len];
        image[0x1FE..0x200].copy_from_slice(&0x820_u16.to_le_bytes());
        image
    }

    #[test]
    fn four_fields_of_the_boot_sector_change_and_the_table_is_protective() {
        let geometry = Geometry::of_size(Bytes::gib(60), BlockSize::B512);
        let lba0 = armed_lba0(&boot_img(), Lba::new(128), geometry).unwrap();
        let mut want = boot_img();
        want[0x5C..0x64].copy_from_slice(&[128, 0, 0, 0, 0, 0, 0, 0]);
        want[0x64] = 0xFF;
        want[0x66..0x68].copy_from_slice(&[0x90, 0x90]);
        want[0x1B8..0x1FE].fill(0);
        want[0x1BE..0x1CA].copy_from_slice(&[0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0]);
        want[0x1CA..0x1CE].copy_from_slice(&(60_u32 * 2_097_152 - 1).to_le_bytes());
        want[0x1CE] = 0x80;
        assert_eq!(lba0, want);
    }

    #[test]
    fn a_disk_beyond_2_tib_has_the_largest_size_in_its_protective_entry() {
        let geometry = Geometry::of_size(Bytes::gib(4096), BlockSize::B512);
        let lba0 = armed_lba0(&boot_img(), Lba::new(128), geometry).unwrap();
        assert_eq!(lba0[0x1CA..0x1CE], [0xFF; 4]);
    }

    #[test]
    fn with_large_blocks_there_is_a_protective_mbr_and_no_code() {
        let geometry = Geometry::of_size(Bytes::gib(60), BlockSize::B4096);
        let lba0 = armed_lba0(&[], Lba::new(0), geometry).unwrap();
        assert_eq!((lba0.len(), lba0[0x1C2], lba0[510], lba0[511]), (4096, 0xEE, 0x55, 0xAA));
        assert!(lba0[..0x1BE].iter().chain(&lba0[512..]).all(|byte| *byte == 0));
    }

    #[test]
    fn images_that_are_something_else_are_refused() {
        let geometry = Geometry::of_size(Bytes::gib(60), BlockSize::B512);
        let boot = |image: &[u8]| armed_lba0(image, Lba::new(128), geometry).unwrap_err();
        assert_eq!(boot(&[0; 511]), HeadError::BootImageLength { have: 511 });
        assert_eq!(boot(&[0; 512]), HeadError::BootImageSignature { have: 0 });
        let core = |image: &[u8]| patch_core(image, Lba::new(128)).unwrap_err();
        assert_eq!(core(&core_img(1023)), HeadError::CoreTooShort { have: 1023 });
        assert_eq!(core(&[0; 1024]), HeadError::NotACore { have: 0 });
        let large = core_img(960 * SECTOR + 1);
        assert_eq!(core(&large), HeadError::CoreTooLarge { have: 961, max: 960 });
        patch_core(&core_img(960 * SECTOR), Lba::new(128)).unwrap();
    }

    #[test]
    fn a_core_knows_where_its_second_sector_is_and_how_many_follow() {
        let image = patch_core(&core_img(1300), Lba::new(128)).unwrap();
        assert_eq!(image.len(), 3 * SECTOR);
        assert_eq!(image[0x1F4..0x200], [129, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0x20, 0x08]);
        assert_eq!(image[1300..], [0; 236]);
        assert_eq!(patch_core(&image, Lba::new(128)).unwrap(), image, "patching twice is the same");
    }

    #[test]
    fn a_long_message_is_cut_before_the_table() {
        let sector = disarmed_lba0(&"x".repeat(1000));
        assert_eq!(sector[CODE_END - 2..CODE_END], [b'x', 0], "the text ends with a zero");
        assert_eq!(sector[CODE_END..SIGNATURE], [0; SIGNATURE - CODE_END]);
        assert_eq!(sector[SIGNATURE..], [0x55, 0xAA]);
    }

    #[test]
    fn a_core_that_is_larger_than_its_place_is_refused() {
        let place = HeadMap::MBR.core_a.unwrap();
        assert_eq!(core_for(&core_img(512 * SECTOR), place).unwrap().len(), 512 * SECTOR);
        let error = core_for(&core_img(512 * SECTOR + 1), place).unwrap_err().to_string();
        assert_eq!(error, "core image takes 513 sectors, the head of the disk has 512");
    }

    /// Cores, saved sector and record lie between the volume's boot sector and its first FAT.
    #[test]
    fn the_reserved_sectors_of_an_mbr_hold_all_that_is_not_a_file() {
        let volume = 256;
        let last = HeadMap::MBR.rescue.last().get();
        assert!(last < volume + u64::from(MBR_RESERVED));
        // Two FATs of a sector each and a root directory of two.
        assert_eq!((volume + u64::from(MBR_RESERVED) + 4) % 8, 0);
    }
}
