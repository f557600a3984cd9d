//! Where the boot loader of an old host keeps its code, from the bytes of its boot sector.
//!
//! A takeover saves LBA 0 and chains to it until the new system is there. That is enough for code
//! that starts the active partition; a GRUB that was embedded between LBA 0 and the first partition
//! would lose its core image to the new table.

use crate::block::{BlockIo, IoError};
use crate::inspect::{Inspection, le16, le32, le64};
use crate::units::Lba;

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldLoader {
    /// In LBA 0 alone, in partitions, or there is none.
    Outside,
    /// From this block on, before the first partition.
    InGap { name: &'static str, at: Lba },
}

/// Code ends here, the disk signature follows.
const CODE_END: usize = 0x1B8;
/// Every boot sector of GRUB says its name before it says what went wrong.
const NAME: &[u8] = b"GRUB ";
/// GRUB 2's `boot.img`: where it loads the core image to, and which block it loads.
const KERNEL_ADDRESS: usize = 0x5A;
const KERNEL_SECTOR: usize = 0x5C;
/// The stage 1 of GRUB 0.97: address and block of stage 1.5 or stage 2.
const STAGE2_ADDRESS: usize = 0x42;
const STAGE2_SECTOR: usize = 0x44;

impl OldLoader {
    /// Of the disk on which this was found.
    pub fn read(disk: &mut dyn BlockIo, found: &Inspection) -> Result<Self, IoError> {
        let mut lba0 = vec![0; usize::try_from(disk.block_size().bytes()).unwrap_or(512)];
        disk.read(Lba::new(0), &mut lba0)?;
        let first = found.partitions.iter().map(|one| one.extent.first()).min();
        Ok(Self::of(&lba0, first.unwrap_or(Lba::new(u64::MAX))))
    }

    /// By the bytes of LBA 0 and the first block of the first partition.
    pub fn of(lba0: &[u8], first: Lba) -> Self {
        let code = lba0.get(..CODE_END).unwrap_or(lba0);
        if !code.windows(NAME.len()).any(|window| window == NAME) {
            return Self::Outside;
        }
        let (name, at) = match (le16(code, KERNEL_ADDRESS), le16(code, STAGE2_ADDRESS)) {
            (0x8000, _) => ("GRUB 2", le64(code, KERNEL_SECTOR)),
            (_, 0x2000 | 0x8000) => ("GRUB 0.97", u64::from(le32(code, STAGE2_SECTOR))),
            // A GRUB of which nothing more is known may have it right behind LBA 0.
            _ => ("a GRUB of an unknown version", 1),
        };
        let at = Lba::new(at);
        if at < first { Self::InGap { name, at } } else { Self::Outside }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A boot sector with GRUB's texts and these fields.
    fn sector(fields: &[(usize, &[u8])]) -> Vec<u8> {
        let mut sector = vec![0; 512];
        let texts = b"GRUB \0Geom\0Hard Disk\0Read\0 Error\r\n\0";
        for (at, bytes) in [(0x180, texts.as_slice()), (510, &[0x55, 0xAA])].iter().chain(fields) {
            sector[*at..][..bytes.len()].copy_from_slice(bytes);
        }
        sector
    }

    #[test]
    fn a_grub_before_the_first_partition_is_seen() {
        let grub2 = |at: u64| sector(&[(0x5A, &[0, 0x80]), (0x5C, &at.to_le_bytes())]);
        let legacy = |at: u32| sector(&[(0x42, &[0, 0x20]), (0x44, &at.to_le_bytes())]);
        let gap = |name, at| OldLoader::InGap { name, at: Lba::new(at) };
        for (sector, want) in [
            (grub2(1), gap("GRUB 2", 1)),
            (grub2(62), gap("GRUB 2", 62)),
            // By a list of blocks inside a partition.
            (grub2(63), OldLoader::Outside),
            (grub2(5_000_000_000), OldLoader::Outside),
            (legacy(1), gap("GRUB 0.97", 1)),
            (legacy(70_000), OldLoader::Outside),
            (sector(&[]), gap("a GRUB of an unknown version", 1)),
            // Code that starts the active partition.
            (vec![0xFA; 512], OldLoader::Outside),
            (vec![0; 512], OldLoader::Outside),
            (Vec::new(), OldLoader::Outside),
        ] {
            assert_eq!(OldLoader::of(&sector, Lba::new(63)), want);
        }
    }
}
