//! What the fuzz targets share: bytes as a disk, and checksums put right, so that what lies behind
//! them is reached.

// The installer's module itself, by a link: all else of the installer would take minutes to build.
pub mod fat_locate;

use partitioner::block::BlockIo;
use partitioner::block::memory::MemDisk;
use partitioner::units::{BlockSize, Lba};

/// A disk that begins with these bytes.
pub fn disk(bytes: &[u8], block_size: BlockSize, blocks: u64) -> MemDisk {
    let mut disk = MemDisk::new("fuzz", block_size, blocks);
    put(&mut disk, 0, bytes);
    disk
}

/// Writes bytes from a block on, as far as the disk reaches.
pub fn put(disk: &mut MemDisk, first: u64, bytes: &[u8]) {
    let block = usize::try_from(disk.block_size().bytes()).expect("a small number");
    for (at, part) in (first..disk.blocks()).zip(bytes.chunks(block)) {
        let mut whole = vec![0; block];
        whole[..part.len()].copy_from_slice(part);
        disk.write(Lba::new(at), &whole).expect("within the disk");
    }
}

/// CRC-32 of IEEE 802.3, as GPT has it.
pub fn crc32(bytes: &[u8]) -> u32 {
    !crc(!0, bytes)
}

/// LVM's checksum.
pub fn lvm_checksum(bytes: &[u8]) -> u32 {
    crc(0xF597_A6CF, bytes)
}

fn crc(start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}

/// Puts a little-endian number into a buffer.
pub fn set32(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}
