//! A physical volume with anything for label, header and text, checksums put right; and the text on
//! its own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use partitioner::inspect::inspect;
use partitioner::sr::lvm::group;
use partitioner::sr::{Records, Verdict, prove};
use partitioner::units::BlockSize;
use xenhost_fuzz::{disk, lvm_checksum, put, set32};

const BLOCKS: u64 = 4096;
const LABEL: usize = 512;
const HEADER: usize = 512;

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    if mode & 1 == 0 {
        let _ = group::read(data);
        return;
    }
    let mut bytes = data.to_vec();
    bytes.resize(bytes.len().max(LABEL + HEADER), 0);
    let (label, rest) = bytes.split_at_mut(LABEL);
    let (header, ring) = rest.split_at_mut(HEADER);
    label[..8].copy_from_slice(b"LABELONE");
    label[8..16].copy_from_slice(&1_u64.to_le_bytes());
    label[24..32].copy_from_slice(b"LVM2 001");
    let sum = lvm_checksum(&label[20..]);
    set32(label, 16, sum);
    header[4..20].copy_from_slice(b" LVM2 x[5A%r0N*>");
    set32(header, 20, 1);
    header[24..32].copy_from_slice(&4096_u64.to_le_bytes());
    // The text in force is the whole ring, unless the input places it.
    if mode & 2 == 0 {
        let size = u64::try_from(ring.len()).unwrap();
        header[32..40].copy_from_slice(&(size + 512).to_le_bytes());
        header[40..48].copy_from_slice(&512_u64.to_le_bytes());
        header[48..56].copy_from_slice(&size.to_le_bytes());
        set32(header, 56, lvm_checksum(ring));
        set32(header, 60, 0);
    }
    let sum = lvm_checksum(&header[4..]);
    set32(header, 0, sum);
    let mut disk = disk(&[], BlockSize::B512, BLOCKS);
    put(&mut disk, 1, label);
    put(&mut disk, 8, header);
    put(&mut disk, 9, ring);
    let found = inspect(&mut disk).expect("no I/O error");
    let storage = prove(&mut disk, &found, Records::None).expect("no I/O error");
    // An empty repository has a name, whatever else the input says.
    if let Some(storage) = storage
        && storage.verdict == Verdict::Empty
    {
        assert!(storage.uuid.is_some());
    }
});
