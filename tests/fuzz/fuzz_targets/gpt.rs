//! A disk whose first and last blocks are anything, with checksums of the GPT put right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use partitioner::inspect::inspect;
use partitioner::units::BlockSize;
use xenhost_fuzz::{crc32, disk, put, set32};

const BLOCKS: u64 = 4096;
/// Bytes of the input per copy: protective MBR, header, 16 entries.
const COPY: usize = 512 + 512 + 16 * 128;

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let block_size = if mode & 1 == 0 { BlockSize::B512 } else { BlockSize::B4096 };
    let block = usize::try_from(block_size.bytes()).unwrap();
    let mut halves = data.chunks(COPY);
    let mut one = halves.next().unwrap_or_default().to_vec();
    let mut two = halves.next().unwrap_or_default().to_vec();
    for copy in [&mut one, &mut two] {
        copy.resize(COPY, 0);
        if mode & 2 == 0 {
            sign(&mut copy[512..]);
        }
    }
    let mut disk = disk(&one[..512], block_size, BLOCKS);
    put(&mut disk, 1, &one[512..1024]);
    put(&mut disk, 2, &one[1024..]);
    // The array may be where the header says, if it says something near.
    let entries = u64::try_from((COPY - 1024).div_ceil(block)).unwrap();
    put(&mut disk, BLOCKS - 1 - entries, &two[1024..]);
    put(&mut disk, BLOCKS - 1, &two[512..1024]);
    let found = inspect(&mut disk).expect("no I/O error");
    for problem in &found.problems {
        assert!(!problem.to_string().is_empty());
    }
});

/// Signature, entry count and size, and both checksums.
fn sign(copy: &mut [u8]) {
    let (header, entries) = copy.split_at_mut(512);
    header[..8].copy_from_slice(b"EFI PART");
    set32(header, 8, 0x0001_0000);
    set32(header, 12, 92);
    set32(header, 80, 16);
    set32(header, 84, 128);
    set32(header, 88, crc32(entries));
    set32(header, 16, 0);
    let sum = crc32(&header[..92]);
    set32(header, 16, sum);
}
