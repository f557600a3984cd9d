//! A boot partition whose boot sector, FAT and directories are anything, searched for the files of
//! the boot state. The input's parts are put where its boot sector says they belong.
#![no_main]

use libfuzzer_sys::fuzz_target;
use partitioner::block::BlockIo;
use partitioner::units::BlockSize;
use xenhost_fuzz::fat_locate::locate;
use xenhost_fuzz::{disk, put};

/// Boot sector and FAT have a block of input each; the rest is clusters from the root on.
const PART: usize = 512;

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let block_size = if mode & 1 == 0 { BlockSize::B512 } else { BlockSize::B4096 };
    // A volume that says it is large is one: what was never written reads as zero.
    let blocks = if mode & 2 == 0 { 1 << 21 } else { 4096 };
    let mut boot = data.get(..PART).unwrap_or(data).to_vec();
    boot.resize(PART, 0);
    let number = |at: usize, len: usize| {
        boot[at..at + len].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let scale = block_size.bytes() / 512;
    let (reserved, fats, fat) = (number(14, 2), number(16, 1), number(36, 4));
    let root = number(44, 4).saturating_sub(2) * number(13, 1);
    let mut disk = disk(&boot, block_size, blocks);
    let rest = data.get(PART..).unwrap_or_default();
    let (table, clusters) = rest.split_at(rest.len().min(PART));
    for copy in 0..fats.min(2) {
        let at = reserved + copy * fat;
        put(&mut disk, if at < 1 << 20 { at / scale } else { blocks }, table);
    }
    let at = (reserved + fats * fat).saturating_add(root) / scale;
    if at < disk.blocks() {
        put(&mut disk, at, clusters);
    }
    for path in ["/xenhost/state.env", "/EFI/BOOT/BOOTX64.EFI", "/a long name of a folder/x"] {
        let _ = locate(&mut disk, path);
    }
});
