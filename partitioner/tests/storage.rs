//! The emptiness proof against disks that real LVM and real mke2fs made. How they were made:
//! `fixtures/sr/make`.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test that overflows or cannot read its fixture has failed"
)]

use partitioner::block::BlockIo;
use partitioner::block::memory::MemDisk;
use partitioner::inspect::inspect;
use partitioner::sr::{Kind, Listed, Records, Storage, Verdict, prove};
use partitioner::units::Lba;

#[path = "fixtures/packed.rs"]
#[expect(dead_code, reason = "the example packs")]
mod packed;

fn fixture(name: &str) -> MemDisk {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sr");
    packed::unpack(&std::fs::read(format!("{folder}/{name}.zst")).unwrap())
}

fn proof(disk: &mut MemDisk) -> Storage {
    let found = inspect(disk).unwrap();
    prove(disk, &found, Records::None).unwrap().unwrap()
}

#[track_caller]
fn empty(name: &str, kind: Kind, uuid: &str) {
    let storage = proof(&mut fixture(name));
    assert_eq!(storage.verdict, Verdict::Empty);
    assert_eq!((storage.partition, storage.kind), (Some(3), Some(kind)));
    assert_eq!(storage.uuid.unwrap().to_string(), uuid);
}

#[track_caller]
fn in_use(name: &str, want: &[&str]) {
    let what = want.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(proof(&mut fixture(name)).verdict, Verdict::InUse { what });
}

#[track_caller]
fn unknown(storage: &Storage, want: &str) {
    assert_eq!(storage.verdict, Verdict::Unknown { why: want.to_owned() });
}

/// First sector of partition 3, the repository.
fn start(disk: &mut MemDisk) -> u64 {
    let found = inspect(disk).unwrap();
    let place = found.partitions.iter().find(|partition| partition.number == 3).unwrap();
    place.extent.first().get()
}

/// Changes one sector of the repository.
fn change(disk: &mut MemDisk, sector: u64, how: impl Fn(&mut [u8])) {
    let at = Lba::new(start(disk) + sector);
    let mut bytes = [0; 512];
    disk.read(at, &mut bytes).unwrap();
    how(&mut bytes);
    disk.write(at, &bytes).unwrap();
}

/// A number in a sector of the repository.
fn number(disk: &mut MemDisk, sector: u64, at: usize) -> u64 {
    let mut bytes = [0; 512];
    let first = start(disk);
    disk.read(Lba::new(first + sector), &mut bytes).unwrap();
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Where the first metadata area's header lies, in sectors.
const AREA: u64 = 8;

/// LVM's checksum, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0xF597_A6CF, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}

#[test]
fn a_repository_with_the_management_volume_alone_is_empty() {
    empty("empty-lvm", Kind::Lvm, "11111111-1111-4111-8111-111111111111");
}

#[test]
fn guest_disks_are_named_with_their_sizes() {
    in_use(
        "used-lvm",
        &[
            "volume LV-5d2f4b7a-1c3e-4e8b-a6f9-0d1e2f3a4b5c, 256 MiB",
            "volume VHD-0a8f3c52-6a3e-4f0e-9d27-8b6a7d1c2e11, 512 MiB",
        ],
    );
}

#[test]
fn thin_volumes_and_snapshots_are_volumes() {
    let thin = proof(&mut fixture("thin-lvm")).verdict.reason();
    for volume in ["guest, 1 GiB", "guest-snapshot, 1 GiB", "pool, 200 MiB"] {
        assert!(thin.contains(&format!("volume {volume}")), "{thin}");
    }
    let snapshot = proof(&mut fixture("snapshot-lvm")).verdict.reason();
    for volume in ["LV-77777777-1c3e-4e8b-a6f9-0d1e2f3a4b5c, 64 MiB", "snap, 32 MiB"] {
        assert!(snapshot.contains(&format!("volume {volume}")), "{snapshot}");
    }
}

#[test]
fn a_group_with_a_disk_elsewhere_is_not_proven() {
    unknown(
        &proof(&mut fixture("partial-lvm")),
        "the volume group has 2 physical volumes, not one",
    );
}

#[test]
fn a_foreign_group_is_named_with_its_volumes() {
    let storage = proof(&mut fixture("foreign-group"));
    unknown(&storage, "volume group `debian-vg` is not a storage repository; volume root, 512 MiB");
    assert_eq!((storage.kind, storage.uuid), (None, None));
}

#[test]
fn a_tag_of_another_host_is_a_claim() {
    unknown(
        &proof(&mut fixture("tagged")),
        "may be in use by another host: the group has tag host_4711",
    );
}

#[test]
fn two_copies_that_agree_are_believed() {
    empty("two-copies", Kind::Lvm, "66666666-6666-4666-8666-666666666666");
}

#[test]
fn a_text_that_crosses_the_end_of_the_ring_is_read_whole() {
    empty("wrapped-ring", Kind::Lvm, "77777777-7777-4777-8777-777777777777");
    // The fixture is what its name says.
    let mut disk = fixture("wrapped-ring");
    let mut number = |at| number(&mut disk, AREA, at);
    let (area, offset, size) = (number(32), number(40), number(48));
    assert!(area < offset + size && offset < area, "{size} bytes at {offset} in {area}");
}

#[test]
fn files_of_an_ext_repository_are_guest_disks() {
    empty("empty-ext", Kind::Ext, "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa");
    in_use(
        "used-ext",
        &[
            "file 0a8f3c52-6a3e-4f0e-9d27-8b6a7d1c2e11.vhd, 9 bytes",
            "file 5d2f4b7a-1c3e-4e8b-a6f9-0d1e2f3a4b5c.raw, 10 MiB",
        ],
    );
}

#[test]
fn a_file_that_is_in_the_journal_alone_is_seen() {
    in_use("cut-ext", &["file 0a8f3c52-6a3e-4f0e-9d27-8b6a7d1c2e11.vhd, 9 bytes"]);
}

#[test]
fn a_database_that_lists_a_disk_disagrees() {
    let mut disk = fixture("empty-lvm");
    let found = inspect(&mut disk).unwrap();
    let mut with = |records: Records<'_>| prove(&mut disk, &found, records).unwrap().unwrap();
    let listed = |sr: &str| Listed { sr: sr.parse().unwrap(), what: "web, 8 GiB".to_owned() };
    let here = [listed("11111111-1111-4111-8111-111111111111")];
    let there = [listed("22222222-2222-4222-8222-222222222222")];
    let disagrees = Verdict::InUse { what: vec!["database disagrees: web, 8 GiB".to_owned()] };
    assert_eq!(with(Records::Disks(&here)).verdict, disagrees);
    assert_eq!(with(Records::Disks(&there)).verdict, Verdict::Empty);
    unknown(&with(Records::Unreadable("EOF")), "the host's database cannot be read: EOF");
}

/// The doubt about a disk that was changed.
#[track_caller]
fn changed(name: &str, sector: u64, how: impl Fn(&mut [u8]), want: &str) {
    let mut disk = fixture(name);
    change(&mut disk, sector, how);
    unknown(&proof(&mut disk), want);
}

#[test]
fn damage_anywhere_is_a_doubt() {
    changed(
        "empty-lvm",
        1,
        |label| label[60] ^= 1,
        "the LVM label in sector 1 has a wrong checksum",
    );
    changed(
        "empty-lvm",
        AREA,
        |header| header[400] ^= 1,
        "the header of the metadata area at byte 4096 has a wrong checksum",
    );
    changed(
        "empty-lvm",
        AREA,
        |header| header.fill(0),
        "the metadata area at byte 4096 has no header",
    );
    let text = number(&mut fixture("empty-lvm"), AREA, 40) / 512;
    changed(
        "empty-lvm",
        AREA + text,
        |text| text[100] ^= 1,
        "the text in the metadata area at byte 4096 has a wrong checksum",
    );
    // An old file system's superblock behind the label.
    changed(
        "empty-lvm",
        2,
        |sector| sector[0x38..0x3A].copy_from_slice(&[0x53, 0xEF]),
        "the partition is also signed as ext2",
    );
    changed("empty-lvm", 1, |label| label.fill(0), "neither blank nor anything known");
}

/// The other copy says that nothing is there; only both together could prove it.
#[test]
fn one_damaged_copy_of_two_is_a_doubt() {
    let mut disk = fixture("two-copies");
    let second = number(&mut disk, 1, 32 + 40 + 48) / 512;
    let text = number(&mut disk, second, 40) / 512;
    change(&mut disk, second + text, |bytes| bytes[0] ^= 1);
    let offset = second * 512;
    unknown(
        &proof(&mut disk),
        &format!("the text in the metadata area at byte {offset} has a wrong checksum"),
    );
}

/// The second copy, put back to an earlier state of the ring, is a group of another number.
#[test]
fn copies_of_different_age_are_a_doubt() {
    let mut disk = fixture("two-copies");
    let second = number(&mut disk, 1, 32 + 40 + 48) / 512;
    // LVM left the text before the last at the start of the ring.
    let mut old = vec![0; 8192];
    let first = start(&mut disk);
    disk.read(Lba::new(first + second + 1), &mut old).unwrap();
    let len = old.iter().position(|byte| *byte == 0).unwrap() + 1;
    change(&mut disk, second, |header| {
        header[40..48].copy_from_slice(&512_u64.to_le_bytes());
        header[48..56].copy_from_slice(&u64::try_from(len).unwrap().to_le_bytes());
        header[56..60].copy_from_slice(&checksum(&old[..len]).to_le_bytes());
        let sum = checksum(&header[4..512]);
        header[..4].copy_from_slice(&sum.to_le_bytes());
    });
    unknown(&proof(&mut disk), "copies of the metadata disagree (numbers 2 and 1)");
}

/// A change that was cut off is no ground to call the repository empty, nor to miss what it names.
#[test]
fn a_prepared_change_is_read_as_well() {
    let mut disk = fixture("used-lvm");
    // The text in force becomes the prepared one; in force is the one with no volume.
    let mut ring = vec![0; 64 << 10];
    let first = start(&mut disk);
    disk.read(Lba::new(first + AREA), &mut ring).unwrap();
    let end = |at: usize| at + ring[at..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let len = end(512) - 512;
    let sum = checksum(&ring[512..512 + len]);
    change(&mut disk, AREA, |header| {
        header.copy_within(40..64, 64);
        header[40..48].copy_from_slice(&512_u64.to_le_bytes());
        header[48..56].copy_from_slice(&u64::try_from(len).unwrap().to_le_bytes());
        header[56..60].copy_from_slice(&sum.to_le_bytes());
        let sum = checksum(&header[4..512]);
        header[..4].copy_from_slice(&sum.to_le_bytes());
    });
    let Verdict::InUse { what } = proof(&mut disk).verdict else { panic!("it names volumes") };
    assert_eq!(what.len(), 2, "{what:?}");
}

#[test]
fn a_partition_that_was_never_used_is_no_repository() {
    let mut disk = fixture("empty-lvm");
    let first = start(&mut disk);
    disk.write(Lba::new(first), &vec![0; 1 << 20]).unwrap();
    let found = inspect(&mut disk).unwrap();
    assert_eq!(prove(&mut disk, &found, Records::None).unwrap(), None);
    disk.write(Lba::new(first + 2047), &[7; 512]).unwrap();
    unknown(&proof(&mut disk), "neither blank nor anything known");
}
