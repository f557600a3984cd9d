//! A disk whose MBR and extended boot records are anything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use partitioner::inspect::report::report;
use partitioner::units::BlockSize;
use xenhost_fuzz::{disk, put};

const BLOCKS: u64 = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let mut sectors = data.chunks(66);
    let table = |bytes: &[u8]| {
        let mut sector = [0; 512];
        sector[446..446 + bytes.len().min(64)].copy_from_slice(&bytes[..bytes.len().min(64)]);
        for status in [446, 462, 478, 494] {
            sector[status] &= 0x80;
        }
        sector[510..].copy_from_slice(&[0x55, 0xAA]);
        sector
    };
    let mut disk = disk(&table(sectors.next().unwrap_or_default()), BlockSize::B512, BLOCKS);
    // Each further record: where it is, and what it says.
    for record in sectors.filter(|record| 2 < record.len()).take(64) {
        let at = u64::from(u16::from_le_bytes([record[0], record[1]]));
        if at != 0 {
            put(&mut disk, at, &table(&record[2..]));
        }
    }
    let found = report(&mut disk).expect("no I/O error");
    assert!(found.inspection.partitions.len() <= 4 + 128);
});
