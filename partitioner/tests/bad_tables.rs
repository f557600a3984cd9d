//! Bad inputs by number: rows 37, 38, 40 and 42 to 52 of the project's list. A case is a disk and
//! the text that must name what is wrong with it. Every one is read in well under a second, and
//! reading writes nothing.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test that overflows or cannot make its disk has failed"
)]

use std::time::{Duration, Instant};

use partitioner::block::BlockIo;
use partitioner::block::memory::MemDisk;
use partitioner::inspect::TableProblem;
use partitioner::inspect::report::{Report, report};
use partitioner::units::{BlockSize, Lba};

#[path = "fixtures/packed.rs"]
#[expect(dead_code, reason = "the example packs")]
mod packed;
#[path = "fixtures/raw_gpt.rs"]
mod raw_gpt;

use raw_gpt::{BLOCKS, RawGpt, sign};

fn fixture(name: &str) -> MemDisk {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sr");
    packed::unpack(&std::fs::read(format!("{folder}/{name}.zst")).unwrap())
}

/// One row of the list, or one of its variants.
struct Case {
    row: u32,
    disk: MemDisk,
    /// A part of a problem's text, of a content line, or of the repository's reason.
    text: &'static str,
    /// May a plan keep partitions of such a table?
    keeping: bool,
}

fn case(row: u32, disk: MemDisk, text: &'static str) -> Case {
    Case { row, disk, text, keeping: false }
}

fn texts(report: &Report) -> Vec<String> {
    let problems = report.inspection.problems.iter().map(ToString::to_string);
    let sr = report.sr.iter().map(|sr| format!("{}: {}", sr.verdict.as_str(), sr.verdict.reason()));
    problems.chain(report.inspection.content.iter().cloned()).chain(sr).collect()
}

#[track_caller]
fn check(cases: Vec<Case>) {
    for Case { row, mut disk, text, keeping } in cases {
        let before = disk.clone();
        let start = Instant::now();
        let found = report(&mut disk).unwrap();
        assert!(start.elapsed() < Duration::from_secs(1), "row {row}: {text}");
        assert!(disk == before, "row {row}: {text}");
        let texts = texts(&found);
        assert!(texts.iter().any(|one| one.contains(text)), "row {row}: {text}: {texts:#?}");
        let permits = found.inspection.problems.iter().all(TableProblem::permits_keeping);
        assert_eq!(permits, keeping, "row {row}: {text}: {texts:#?}");
    }
}

/// A sound disk with two partitions, changed.
fn gpt(change: impl FnOnce(&mut RawGpt)) -> MemDisk {
    let mut gpt = RawGpt::new(BlockSize::B512);
    gpt.entry(1, (2048, 4095), "root");
    gpt.entry(2, (4096, 8191), "backup");
    change(&mut gpt);
    gpt.disk()
}

/// The same change to both headers.
fn headers(change: impl Fn(&mut [u8])) -> MemDisk {
    let mut disk = gpt(|_| ());
    for at in [1, BLOCKS - 1] {
        let mut header = vec![0; 512];
        disk.read(Lba::new(at), &mut header).unwrap();
        change(&mut header);
        sign(&mut header);
        disk.write(Lba::new(at), &header).unwrap();
    }
    disk
}

fn flip(disk: &mut MemDisk, block: u64, byte: usize) {
    let mut sector = vec![0; usize::try_from(disk.block_size().bytes()).unwrap()];
    disk.read(Lba::new(block), &mut sector).unwrap();
    sector[byte] ^= 1;
    disk.write(Lba::new(block), &sector).unwrap();
}

fn flipped(block: u64, byte: usize) -> MemDisk {
    let mut disk = gpt(|_| ());
    flip(&mut disk, block, byte);
    disk
}

/// An MBR with these entries: type, first, blocks.
fn mbr(entries: &[(u8, u32, u32)]) -> [u8; 512] {
    let mut sector = [0; 512];
    for (place, (kind, first, blocks)) in sector[446..510].chunks_mut(16).zip(entries) {
        place[4] = *kind;
        place[8..12].copy_from_slice(&first.to_le_bytes());
        place[12..].copy_from_slice(&blocks.to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    sector
}

fn mbr_disk(records: &[(u64, [u8; 512])]) -> MemDisk {
    let mut disk = MemDisk::new("m", BlockSize::B512, BLOCKS);
    for (at, record) in records {
        disk.write(Lba::new(*at), record).unwrap();
    }
    disk
}

#[test]
fn storage_that_must_not_be_lost() {
    let kept = |row, disk, text| Case { keeping: true, ..case(row, disk, text) };
    check(vec![
        kept(37, fixture("used-lvm"), "in-use: volume LV-5d2f4b7a-1c3e-4e8b-a6f9-0d1e2f3a4b5c"),
        kept(37, fixture("used-ext"), "vhd, 9 bytes; file"),
        kept(38, fixture("tagged"), "may be in use by another host: the group has tag host_4711"),
    ]);
}

#[test]
fn systems_that_are_named() {
    let signed = |at: u64, magic: &[u8]| {
        let mut disk = gpt(|_| ());
        let mut sector = [0; 512];
        let byte = usize::try_from(at % 512).unwrap();
        sector[byte..byte + magic.len()].copy_from_slice(magic);
        disk.write(Lba::new(2048 + at / 512), &sector).unwrap();
        disk
    };
    let kept = |disk, text| Case { keeping: true, ..case(40, disk, text) };
    check(vec![
        kept(signed(128 << 10, &0x00BA_B10C_u64.to_le_bytes()), "partition 1: ZFS pool member"),
        kept(signed(0, b"bluestore block device"), "partition 1: Ceph BlueStore"),
        kept(signed(3, b"NTFS    "), "partition 1: NTFS"),
        kept(signed(3, b"-FVE-FS-"), "partition 1: BitLocker volume"),
        kept(signed(0, b"LUKS\xBA\xBE"), "partition 1: LUKS container"),
    ]);
}

#[test]
fn copies_that_are_damaged_or_disagree() {
    let mut disagree = gpt(|_| ());
    let other = gpt(|gpt| gpt.entry(2, (4096, 6143), "backup"));
    let mut tail = vec![0; 33 * 512];
    let mut other = other;
    other.read(Lba::new(BLOCKS - 33), &mut tail).unwrap();
    disagree.write(Lba::new(BLOCKS - 33), &tail).unwrap();
    let mut both = flipped(1, 60);
    flip(&mut both, BLOCKS - 1, 60);
    check(vec![
        case(
            42,
            flipped(1, 60),
            "primary GPT damaged (the checksum of the header is wrong); backup is valid; run \
             `partitioner repair` or choose a fresh installation",
        ),
        case(42, flipped(2, 40), "damaged (the checksum of the entries is wrong); backup is valid"),
        Case {
            keeping: true,
            ..case(42, flipped(BLOCKS - 1, 60), "backup GPT damaged (the checksum of the header")
        },
        case(42, both, "both copies of the GPT are damaged: primary: the checksum"),
        case(
            43,
            disagree,
            "primary and backup GPT disagree: partition 2 is 4096-8191 and 4096-6143",
        ),
    ]);
}

#[test]
fn real_entries_beside_the_protective_one() {
    let hybrid = |entries: &[(u8, u32, u32)]| {
        let mut disk = gpt(|_| ());
        disk.write(Lba::new(0), &mbr(entries)).unwrap();
        disk
    };
    let hybrid_text = "hybrid MBR not supported for upgrade: beside type 0xee it has partition 2";
    let last = 0xEE;
    check(vec![
        case(44, hybrid(&[(last, 1, 2047), (0x83, 2048, 2048)]), hybrid_text),
        // An 0xEE entry anywhere makes it one, also without a GPT behind it.
        case(48, mbr_disk(&[(0, mbr(&[(last, 1, 99), (0x83, 2048, 2048)]))]), hybrid_text),
    ]);
}

#[test]
fn entries_that_cannot_be() {
    let entry = |first, last| gpt(|gpt| gpt.entry(3, (first, last), "odd"));
    let placed = |entries: &[(u8, u32, u32)]| mbr_disk(&[(0, mbr(entries))]);
    check(vec![
        case(45, entry(4000, 5000), "partitions 1 (2048-4095) and 3 (4000-5000) overlap"),
        case(45, entry(8000, 8100), "partitions 2 (4096-8191) and 3 (8000-8100) overlap"),
        case(45, entry(9000, 8999), "partition 3 ends before it starts (first LBA 9000, last"),
        case(45, entry(9000, BLOCKS), "reaches past the end of the disk of 16384 blocks"),
        case(45, entry(u64::MAX - 1, u64::MAX), "reaches past the end of the disk"),
        case(45, entry(0, 10), "partition 3 (0-10) lies on the table itself; usable are 34-16350"),
        case(45, entry(9000, BLOCKS - 1), "partition 3 (9000-16383) lies on the table itself"),
        case(45, placed(&[(0x83, 63, 100), (0x83, 100, 100)]), "partitions 1 (63-162) and 2"),
        case(45, placed(&[(0x83, 63, 0)]), "partition 1 has no length (first LBA 63)"),
        case(45, placed(&[(0x83, 63, 1 << 20)]), "reaches past the end of the disk"),
        case(45, placed(&[(0x83, 0, 100)]), "partition 1 (0-99) lies on the table itself"),
    ]);
}

#[test]
fn headers_that_lie() {
    let set32 = |at: usize, number: u32| {
        headers(move |header| header[at..at + 4].copy_from_slice(&number.to_le_bytes()))
    };
    let set64 = |at: usize, number: u64| {
        headers(move |header| header[at..at + 8].copy_from_slice(&number.to_le_bytes()))
    };
    check(vec![
        case(46, set32(84, 256), "invalid GPT header: entry size is 256, 128 expected"),
        case(46, set32(80, 0), "invalid GPT header: number of entries is 0, 1 to 1024 expected"),
        case(46, set32(80, u32::MAX), "invalid GPT header: number of entries is 4294967295"),
        case(46, set64(72, 0), "invalid GPT header: entry array LBA is 0, 2 to 16352 expected"),
        case(46, set64(72, BLOCKS), "invalid GPT header: entry array LBA is 16384"),
        case(46, set64(72, u64::MAX), "invalid GPT header: entry array LBA is 1844674407370955161"),
        case(46, set64(24, 7), "invalid GPT header: own LBA is 7, 1 expected"),
        case(46, set32(12, 4096), "invalid GPT header: header size is 4096, 92 to 512 expected"),
    ]);
}

#[test]
fn chains_of_logical_partitions() {
    let first = (0, mbr(&[(0x83, 63, 100), (0x05, 200, 8000)]));
    let broken = mbr_disk(&[first, (200, mbr(&[(0x83, 10, 50), (0x05, 300, 100)]))]);
    let loops = mbr_disk(&[
        first,
        (200, mbr(&[(0x83, 10, 50), (0x05, 300, 100)])),
        (500, mbr(&[(0x83, 10, 50), (0x05, 0, 100)])),
    ]);
    let two =
        mbr_disk(&[(0, mbr(&[(0x05, 200, 100), (0x0F, 400, 100)])), (200, mbr(&[(0x83, 10, 50)]))]);
    check(vec![
        case(47, loops, "extended chain loops at LBA 200"),
        case(47, broken, "extended chain leads to LBA 500, where no record is"),
        case(47, two, "partition 2 is a second extended partition; it was not followed"),
    ]);
}

#[test]
fn disks_that_changed_around_the_table() {
    // The disk is twice as long as it was.
    let mut small = gpt(|_| ());
    let mut all = vec![0; usize::try_from(BLOCKS * 512).unwrap()];
    small.read(Lba::new(0), &mut all).unwrap();
    let mut grown = MemDisk::new("m", BlockSize::B512, BLOCKS * 2);
    grown.write(Lba::new(0), &all).unwrap();
    // The same bytes on a disk of 4096-byte sectors, and the other way round.
    let mut large = MemDisk::new("m", BlockSize::B4096, BLOCKS / 8);
    large.write(Lba::new(0), &all).unwrap();
    let mut other = RawGpt::new(BlockSize::B4096).disk();
    let mut bytes = vec![0; 64 * 4096];
    other.read(Lba::new(0), &mut bytes).unwrap();
    let mut fine = MemDisk::new("m", BlockSize::B512, BLOCKS);
    fine.write(Lba::new(0), &bytes).unwrap();
    check(vec![
        Case {
            keeping: true,
            ..case(
                49,
                grown,
                "backup GPT is not at the end (disk grown?): it is at LBA 16383, the disk ends \
                 with LBA 32767; a plan or `partitioner repair` moves it there",
            )
        },
        case(50, large, "sector size mismatch: the table was made for sectors of 512 bytes"),
        case(50, fine, "sector size mismatch: the table was made for sectors of 4096 bytes"),
    ]);
}

/// Where its parts of the head go then is for the planner; the table as such is sound.
#[test]
fn a_first_partition_at_lba_34_is_no_problem_of_the_table() {
    let mut disk = gpt(|gpt| gpt.entry(3, (34, 2047), "first"));
    let found = report(&mut disk).unwrap();
    assert_eq!(found.inspection.problems, [], "row 51");
}

#[test]
fn names_are_shown_escaped() {
    let shown = |name: &[u16]| {
        let mut disk = gpt(|gpt| gpt.raw_name(1, name));
        let mut names = report(&mut disk).unwrap().inspection.partitions.into_iter();
        names.next().and_then(|found| found.name).unwrap()
    };
    let utf16 = |text: &str| text.encode_utf16().collect::<Vec<_>>();
    assert_eq!(shown(&utf16("root")), "root", "row 52");
    assert_eq!(shown(&utf16("a\u{1b}[2Jb")), "a\\u{1b}[2Jb", "row 52");
    assert_eq!(shown(&utf16("\"; reboot #")), "\\u{22}; reboot #", "row 52");
    assert_eq!(shown(&[0x61, 0xD800, 0x62]), "a\u{FFFD}b", "row 52");
}
