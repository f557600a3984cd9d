//! Tables that were damaged, grew, or disagree.

use super::*;
use crate::block::fence::Fence;
use crate::block::memory::MemDisk;
use crate::block::recorder::{self, Recorder};
use crate::head::armed_lba0;
use crate::ids::Ids;
use crate::layout::Firmware;
use crate::table::{Geometry, TableRequest, plan_table};
use crate::units::{BlockSize, Bytes};
use crate::write;

fn armed(size: BlockSize) -> MemDisk {
    let geometry = Geometry::of_size(Bytes::gib(60), size);
    let request = TableRequest::new(Firmware::Uefi);
    let plan = plan_table(geometry, &request, &mut Ids::from_seed([4; 32])).unwrap();
    let mut disk = MemDisk::new("sda", size, geometry.blocks);
    write::write_table(&mut disk, &plan).unwrap();
    let mut boot = vec![0; 512];
    boot[510..].copy_from_slice(&[0x55, 0xAA]);
    write::arm(&mut disk, &armed_lba0(&boot, Lba::new(128), geometry).unwrap()).unwrap();
    disk
}

#[test]
fn each_damaged_copy_is_written_anew_bit_for_bit() {
    for size in [BlockSize::B512, BlockSize::B4096] {
        let good = armed(size);
        let last = good.blocks() - 1;
        let block = vec![0xA5; usize::try_from(size.bytes()).unwrap()];
        let backup_array = last - 16384 / size.bytes();
        for (at, copy) in [
            (1, Copy::Primary),
            (2, Copy::Primary),
            (last, Copy::Backup),
            (backup_array, Copy::Backup),
        ] {
            let mut disk = good.clone();
            assert_eq!(examine(&mut disk).unwrap(), None);
            disk.write(Lba::new(at), &block).unwrap();
            assert_eq!(examine(&mut disk).unwrap(), Some(Damage::Copy(copy)));
            assert_eq!(repair(&mut disk).unwrap(), Some(Damage::Copy(copy)));
            assert_eq!(disk, good, "block {at}");
            assert_eq!(repair(&mut disk).unwrap(), None);
        }
    }
}

#[test]
fn what_cannot_be_decided_is_refused() {
    let good = armed(BlockSize::B512);
    let last = good.blocks() - 1;
    let refused = |spoil: &dyn Fn(&mut MemDisk), want: &str| {
        let mut disk = good.clone();
        spoil(&mut disk);
        let before = disk.clone();
        let error = repair(&mut disk).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
        assert_eq!(disk, before, "nothing was written");
    };
    let garbage = [0xA5; 512];
    refused(
        &|disk| {
            disk.write(Lba::new(1), &garbage).unwrap();
            disk.write(Lba::new(last), &garbage).unwrap();
        },
        "neither copy",
    );
    refused(&|disk| disk.write(Lba::new(0), &[0; 512]).unwrap(), "no entry of type 0xEE");
    // The backup of another table.
    let geometry = Geometry { block_size: BlockSize::B512, blocks: good.blocks() };
    let request = TableRequest::new(Firmware::Uefi);
    let other = plan_table(geometry, &request, &mut Ids::from_seed([9; 32])).unwrap();
    let blocks = crate::gpt::encode(&other).unwrap();
    refused(
        &|disk| {
            disk.write(blocks.backup_array_at.first(), &blocks.backup_array).unwrap();
            disk.write(blocks.backup_header_at, &blocks.backup_header).unwrap();
        },
        "differ",
    );
}

/// A disk that was copied to one of twice the size.
fn grown(from: &MemDisk, blocks: u64) -> MemDisk {
    let mut from = from.clone();
    let mut disk = MemDisk::new("sda", from.block_size(), blocks);
    let used: Vec<Lba> = from.used().collect();
    for lba in used {
        let block = read(&mut from, lba.get(), 1).unwrap();
        disk.write(lba, &block).unwrap();
    }
    disk
}

#[test]
fn the_backup_of_a_grown_disk_goes_to_its_end() {
    for size in [BlockSize::B512, BlockSize::B4096] {
        let old = armed(size);
        let (at, last) = (old.blocks() - 1, 2 * old.blocks() - 1);
        let mut disk = grown(&old, last + 1);
        let damage = Damage::NotAtEnd { at: Lba::new(at), last: Lba::new(last) };
        assert_eq!(examine(&mut disk).unwrap(), Some(damage));
        let mut fenced = Fence::new(Box::new(disk.clone()), write_set(&mut disk).unwrap());
        assert_eq!(repair(&mut fenced).unwrap(), Some(damage));
        let mut fenced = fenced.into_inner();
        assert_eq!(examine(fenced.as_mut()).unwrap(), None);
        assert_eq!(read(fenced.as_mut(), at, 1).unwrap(), vec![0; old_block(size)]);
        let found = crate::inspect::inspect(fenced.as_mut()).unwrap();
        assert_eq!(found.problems, []);
        assert_eq!(found.partitions, crate::inspect::inspect(&mut old.clone()).unwrap().partitions);
        // All that was not the table is as it was.
        repair(&mut disk).unwrap();
        let array = last - 16384 / size.bytes();
        for lba in old.used().filter(|lba| ![1, at].contains(&lba.get())) {
            let (mut one, mut two) = (old.clone(), disk.clone());
            let same =
                read(&mut one, lba.get(), 1).unwrap() == read(&mut two, lba.get(), 1).unwrap();
            assert!(same, "{lba}");
        }
        assert!(disk.used().all(|lba| lba.get() <= at || array <= lba.get()));
    }
}

fn old_block(size: BlockSize) -> usize {
    usize::try_from(size.bytes()).unwrap()
}

/// The last write was flushed and the primary header was not yet written, or was.
#[test]
fn a_move_that_was_cut_is_finished_by_a_second_run() {
    let old = armed(BlockSize::B512);
    let disk = grown(&old, 2 * old.blocks());
    let mut done = disk.clone();
    repair(&mut done).unwrap();
    let mut recorder = Recorder::new(Box::new(disk.clone()));
    repair(&mut recorder).unwrap();
    let log = recorder.log().entries();
    for cut in 0..log.len() {
        let mut half = disk.clone();
        for entry in &log[..cut] {
            recorder::apply(&mut half, entry).unwrap();
        }
        repair(&mut half).unwrap();
        let stale = old.blocks() - 1;
        let same = |lba: u64| {
            let (mut one, mut two) = (half.clone(), done.clone());
            read(&mut one, lba, 1).unwrap() == read(&mut two, lba, 1).unwrap()
        };
        let last = done.blocks() - 1;
        assert!([0, 1, 2, last, last - 32].into_iter().all(same), "cut {cut}");
        // Once the new header counts, the old one is a block that nothing reads.
        assert!(same(stale) || cut + 3 >= log.len(), "cut {cut}");
    }
}

#[test]
fn what_stands_at_the_end_of_a_grown_disk_may_belong_to_another_table() {
    let old = armed(BlockSize::B512);
    let geometry = Geometry { block_size: BlockSize::B512, blocks: 2 * old.blocks() };
    let request = TableRequest::new(Firmware::Uefi);
    let other = plan_table(geometry, &request, &mut Ids::from_seed([9; 32])).unwrap();
    let mut disk = grown(&old, geometry.blocks);
    let blocks = crate::gpt::encode(&other).unwrap();
    disk.write(blocks.backup_array_at.first(), &blocks.backup_array).unwrap();
    disk.write(blocks.backup_header_at, &blocks.backup_header).unwrap();
    assert!(matches!(repair(&mut disk), Err(RepairError::Differ)));
    // A disk that shrank has lost more than its backup.
    let mut cut = MemDisk::new("sda", BlockSize::B512, old.blocks() - 100);
    let mut whole = old.clone();
    let blocks = cut.blocks();
    for lba in old.used().filter(|lba| lba.get() < blocks) {
        cut.write(lba, &read(&mut whole, lba.get(), 1).unwrap()).unwrap();
    }
    assert!(matches!(repair(&mut cut), Err(RepairError::Elsewhere { .. })));
}
