//! An empty FAT12 volume in the gap before the first partition of an MBR. Its reserved sectors hold
//! the boot loader's core images, of which no library that makes file systems knows.
//!
//! Field by field from Microsoft's FAT specification (fatgen103, "Boot Sector and BPB").

use std::io::{self, Seek, SeekFrom, Write};

use partitioner::head::MBR_RESERVED;

const SECTOR: u16 = 512;
/// Clusters of 4096 bytes.
const CLUSTER_SECTORS: u8 = 8;
const ROOT_ENTRIES: u16 = 32;
const ENTRY_BYTES: u16 = 32;
const MEDIA: u8 = 0xF8;
/// An entry that is the label of the volume, dated 1 January 1980.
const LABEL_ATTRIBUTE: u8 = 0x08;
const FIRST_DAY: [u8; 2] = [0x21, 0x00];

/// Its clusters; fewer than 4085 make it a FAT12, and one sector of FAT names 340 of them.
pub(super) const fn clusters(sectors: u16) -> u16 {
    let root = ROOT_ENTRIES * ENTRY_BYTES / SECTOR;
    sectors.saturating_sub(MBR_RESERVED + 2 + root) / 8
}

/// Writes boot sector, both FATs and the root directory. What lies between boot sector and FATs is
/// not touched.
pub(super) fn format<W: Write + Seek>(
    volume: &mut W,
    sectors: u16,
    hidden: u32,
    name: super::FatName,
) -> io::Result<()> {
    let mut label = [b' '; 11];
    for (place, byte) in label.iter_mut().zip(name.label.bytes()) {
        *place = byte;
    }
    let mut boot = Vec::with_capacity(512);
    boot.extend([0xEB, 0x3C, 0x90]);
    boot.extend(b"XENHOST ");
    boot.extend(SECTOR.to_le_bytes());
    boot.push(CLUSTER_SECTORS);
    boot.extend(MBR_RESERVED.to_le_bytes());
    boot.push(2);
    boot.extend(ROOT_ENTRIES.to_le_bytes());
    boot.extend(sectors.to_le_bytes());
    boot.push(MEDIA);
    // One sector for each FAT; then 63 sectors and 255 heads, which every BIOS shows.
    boot.extend([1, 0, 63, 0, 255, 0]);
    boot.extend(hidden.to_le_bytes());
    boot.extend([0; 4]);
    // First hard disk; a serial number, a label and a type follow.
    boot.extend([0x80, 0, 0x29]);
    boot.extend(name.serial.to_le_bytes());
    boot.extend(label);
    boot.extend(b"FAT12   ");
    boot.resize(510, 0);
    boot.extend([0x55, 0xAA]);
    volume.rewind()?;
    volume.write_all(&boot)?;
    let mut fat = vec![MEDIA, 0xFF, 0xFF];
    fat.resize(usize::from(SECTOR), 0);
    let mut root = label.to_vec();
    root.push(LABEL_ATTRIBUTE);
    root.resize(24, 0);
    root.extend(FIRST_DAY);
    root.resize(usize::from(ROOT_ENTRIES * ENTRY_BYTES), 0);
    volume.seek(SeekFrom::Start(u64::from(MBR_RESERVED) * u64::from(SECTOR)))?;
    for part in [&fat, &fat, &root] {
        volume.write_all(part)?;
    }
    volume.rewind()
}
