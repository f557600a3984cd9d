//! Takeovers that a power cut ended while the new table was being prepared behind the old one.

use partitioner::block::BlockIo;
use partitioner::block::file::FileDisk;
use partitioner::gpt;

use super::scene::SIZE;
use super::*;

/// From an MBR: one copy of the new table is there, and then both, with nothing that makes them
/// count. The command is given again, lays out the same table, and ends well.
#[test]
fn a_new_table_that_does_not_count_yet_is_no_obstacle() {
    let scene = Scene::new(Made::usual(Kind::MbrBios));
    let tables = scene.plan().unwrap().tables;
    let mut disk = FileDisk::open(&scene.disk(), SIZE).unwrap();
    steps::write_rescue(&mut disk, &tables).unwrap();
    let blocks = gpt::encode(&tables.trial).unwrap();
    disk.write(blocks.backup_array_at.first(), &blocks.backup_array).unwrap();
    disk.write(blocks.backup_header_at, &blocks.backup_header).unwrap();
    drop(disk);
    assert_eq!(scene.plan().unwrap().tables.trial, tables.trial);
    let mut disk = FileDisk::open(&scene.disk(), SIZE).unwrap();
    steps::prepare_trial(&mut disk, &tables).unwrap();
    drop(disk);
    assert_eq!(scene.plan().unwrap().tables.trial, tables.trial);
    assert_eq!(scene.upgrade(&["--confirm", &digest(&scene)]), Exit::Done);
    assert_eq!(scene.boots(&slots(&scene))[0], "boots new from slot a");
}

/// A table without a record of a takeover is somebody's, and not ours to write over.
#[test]
fn another_table_behind_an_mbr_is_a_reason_to_stop() {
    let scene = Scene::new(Made::usual(Kind::MbrBios));
    let tables = scene.plan().unwrap().tables;
    let mut disk = FileDisk::open(&scene.disk(), SIZE).unwrap();
    steps::prepare_trial(&mut disk, &tables).unwrap();
    drop(disk);
    let refusal = scene.plan().unwrap_err().to_string();
    assert!(refusal.contains("GPT without a protective MBR"), "{refusal}");
}
