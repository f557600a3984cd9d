//! Plans on disks of all kinds: what is lost, what stays, and what planning again finds.

use super::*;
use crate::apply::apply;
use crate::block::BlockIo;
use crate::block::memory::MemDisk;
use crate::block::recorder::{self, Recorder};
use crate::check::{Finding, check_plan};
use crate::inspect::inspect;
use crate::inspect::report::report;
use crate::layout::{Compat, Role};
use crate::table::{LayoutChoice, PreserveFirst, SrChoice};
use crate::units::{BlockSize, Bytes, Lba};

const UEFI: TableRequest = TableRequest::new(Firmware::Uefi);
const BIOS: TableRequest = TableRequest::new(Firmware::Bios);

fn ids() -> Ids {
    Ids::from_seed([4; 32])
}

fn blank(gib: u32, block_size: BlockSize) -> MemDisk {
    MemDisk::new("m", block_size, Bytes::gib(gib).blocks_floor(block_size))
}

/// The plan for a disk as it is, which the judge has nothing to say against.
fn planned(disk: &mut MemDisk, request: &TableRequest) -> Plan {
    let report = Arc::new(report(disk).unwrap());
    let geometry = Geometry { block_size: disk.block_size(), blocks: disk.blocks() };
    let facts = Facts { path: "disk.img", geometry, report: &report };
    let plan = plan(&facts, request, Policy::Replace, &mut ids()).unwrap();
    assert_eq!(check_plan(&plan, &report.inspection), []);
    plan
}

fn all() -> Vec<(u32, BlockSize, TableRequest)> {
    let legacy = |request| TableRequest { layout: LayoutChoice::Legacy, ..request };
    let compat = TableRequest { compat: Compat::Xenserver, ..UEFI };
    let no_sr = |request| TableRequest { sr: SrChoice::None, ..request };
    vec![
        (60, BlockSize::B512, UEFI),
        (60, BlockSize::B512, BIOS),
        (60, BlockSize::B4096, UEFI),
        (46, BlockSize::B512, UEFI),
        (12, BlockSize::B512, UEFI),
        (12, BlockSize::B512, BIOS),
        (12, BlockSize::B4096, UEFI),
        (2048, BlockSize::B512, legacy(BIOS)),
        (60, BlockSize::B512, compat),
        (60, BlockSize::B512, no_sr(compat)),
        (20, BlockSize::B512, no_sr(legacy(BIOS))),
    ]
}

#[test]
fn planning_on_the_result_of_a_plan_finds_nothing_to_do() {
    for (gib, block_size, request) in all() {
        let mut disk = blank(gib, block_size);
        let first = planned(&mut disk, &request);
        assert_eq!((first.outcome, first.destroys.len()), (Outcome::Write, 0));
        apply(&mut disk, &first.table, &mut || true).unwrap();
        let again = planned(&mut disk, &request);
        assert_eq!(again.outcome, Outcome::Nothing, "{gib} {request:?}");
        assert_eq!((again.regions.len(), again.steps.len(), again.destroys.len()), (0, 0, 0));
        assert_eq!(again.keeps.len(), first.table.partitions.len());
    }
}

#[test]
fn another_wish_on_the_same_disk_is_something_to_do() {
    let mut disk = blank(60, BlockSize::B512);
    let first = planned(&mut disk, &UEFI);
    apply(&mut disk, &first.table, &mut || true).unwrap();
    for request in [
        TableRequest { compat: Compat::Xenserver, ..UEFI },
        TableRequest { sr: SrChoice::None, ..UEFI },
        TableRequest { layout: LayoutChoice::Legacy, ..UEFI },
        TableRequest { layout: LayoutChoice::Legacy, ..BIOS },
    ] {
        let plan = planned(&mut disk, &request);
        assert_eq!(plan.outcome, Outcome::Write);
        assert_eq!(plan.destroys.len(), 6, "{:?}", plan.destroys);
    }
}

#[test]
fn a_kept_partition_is_neither_lost_nor_written() {
    let mut disk = blank(60, BlockSize::B512);
    // A small boot partition in front, as the one to be preserved.
    let old = TableRequest { layout: LayoutChoice::Legacy, ..UEFI };
    let mut first = planned(&mut disk, &old).table;
    first.partitions[0].number = 1;
    first.partitions[1].number = 4;
    apply(&mut disk, &first, &mut || true).unwrap();
    disk.write(Lba::new(5000), &[0x5A; 512]).unwrap();
    let before = inspect(&mut disk).unwrap();
    let request = TableRequest { preserve_first: PreserveFirst::Yes, ..UEFI };
    let plan = planned(&mut disk, &request);
    assert_eq!(plan.keeps, ["partition 1: boot, blocks 2048-1050623"]);
    assert!(plan.destroys.iter().all(|line| about(line) != Some(1)), "{:?}", plan.destroys);
    assert_eq!(plan.destroys.len(), 3);
    apply(&mut disk, &plan.table.draw(&mut Ids::from_seed([8; 32])), &mut || true).unwrap();
    let after = inspect(&mut disk).unwrap();
    assert_eq!(after.partitions[0].entry, before.partitions[0].entry, "bit for bit");
    let mut content = [0; 512];
    disk.read(Lba::new(5000), &mut content).unwrap();
    assert_eq!(content, [0x5A; 512]);
    assert_eq!(planned(&mut disk, &request).outcome, Outcome::Nothing);
}

/// The power fails after any write of a plan that keeps a partition: planning again keeps it.
#[test]
fn after_any_cut_what_is_kept_is_found_again() {
    let mut old = blank(60, BlockSize::B512);
    let legacy = TableRequest { layout: LayoutChoice::Legacy, ..UEFI };
    let mut first = planned(&mut old, &legacy).table;
    first.partitions[0].number = 1;
    first.partitions[1].number = 4;
    apply(&mut old, &first, &mut || true).unwrap();
    let entry = inspect(&mut old).unwrap().partitions[0].entry.clone();
    let wish = TableRequest { preserve_first: PreserveFirst::Yes, ..UEFI };
    let plan = planned(&mut old, &wish);
    let mut recorder = Recorder::new(Box::new(old.clone()));
    let log = recorder.log();
    apply(&mut recorder, &plan.table.draw(&mut Ids::from_seed([8; 32])), &mut || true).unwrap();
    let entries = log.entries();
    assert!(entries.len() > 10);
    for cut in 0..=entries.len() {
        if let Some(entry) = entries[..cut].last() {
            recorder::apply(&mut old, entry).unwrap();
        }
        let again = planned(&mut old, &wish);
        let kept = again.table.partition(Role::Preserved);
        assert_eq!(kept, plan.table.partition(Role::Preserved), "cut at {cut}");
        let found = inspect(&mut old).unwrap();
        assert!(found.partitions.iter().any(|one| one.entry == entry), "cut at {cut}");
    }
    assert_eq!(planned(&mut old, &wish).outcome, Outcome::Nothing);
}

#[test]
fn a_disk_that_is_not_blank_may_be_refused() {
    let mut disk = blank(60, BlockSize::B512);
    let first = planned(&mut disk, &UEFI);
    apply(&mut disk, &first.table, &mut || true).unwrap();
    let told = Arc::new(report(&mut disk).unwrap());
    let facts = Facts { path: "disk.img", geometry: first.table.geometry, report: &told };
    let refuse = |request| plan(&facts, &request, Policy::Refuse, &mut ids());
    let error = refuse(TableRequest { sr: SrChoice::None, ..UEFI }).unwrap_err().to_string();
    assert!(error.starts_with("the disk is not blank: partition 1: "), "{error}");
    assert!(refuse(UEFI).is_ok(), "nothing is lost where nothing is to do");
}

#[test]
fn a_digest_follows_the_disk_and_the_wish_and_no_identifiers() {
    let mut disk = blank(60, BlockSize::B512);
    let plain = planned(&mut disk, &UEFI);
    assert_eq!(plain.digest.len(), 64);
    assert_eq!(plain.digest, planned(&mut disk, &UEFI).digest);
    let told = Arc::new(report(&mut disk).unwrap());
    let facts = Facts { path: "disk.img", geometry: plain.table.geometry, report: &told };
    let other_ids = plan(&facts, &UEFI, Policy::Refuse, &mut Ids::from_seed([5; 32])).unwrap();
    assert_ne!(plain.table.disk_guid, other_ids.table.disk_guid);
    assert_eq!(plain.digest, other_ids.digest);
    let mut all = vec![plain.digest.clone()];
    all.push(planned(&mut disk, &BIOS).digest);
    all.push(planned(&mut disk, &TableRequest { sr: SrChoice::None, ..UEFI }).digest);
    all.push(planned(&mut blank(61, BlockSize::B512), &UEFI).digest);
    apply(&mut disk, &plain.table, &mut || true).unwrap();
    all.push(planned(&mut disk, &UEFI).digest);
    apply(&mut disk, &other_ids.table, &mut || true).unwrap();
    all.push(planned(&mut disk, &UEFI).digest);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 6, "each change shows");
}

#[test]
fn regions_have_their_purposes_in_order() {
    let shown = |gib, request| -> Vec<String> {
        let plan = planned(&mut blank(gib, BlockSize::B512), &request);
        let line = |region: &Region| format!("{} {:?}", region.extent, region.purpose);
        plan.regions.iter().map(line).collect()
    };
    let gpt = shown(60, UEFI);
    assert_eq!(gpt[..3], ["0-0 BootSector", "1-1 Header", "2-33 Entries"]);
    assert_eq!(gpt[3..6], ["34-65 Signatures", "66-127 RescueRecord", "128-4095 Signatures"]);
    assert_eq!(
        gpt[gpt.len() - 3..],
        [
            "125827039-125829086 Signatures",
            "125829087-125829118 BackupEntries",
            "125829119-125829119 BackupHeader"
        ]
    );
    let mbr = shown(12, BIOS);
    assert_eq!(mbr[..2], ["0-0 BootSector", "1-4095 Signatures"]);
    assert_eq!(mbr.last().map(String::as_str), Some("25163776-25165823 Signatures"));
}

/// Each thing that a planner could get wrong, in a plan that was sound.
#[test]
fn the_judge_sees_what_a_plan_must_not_do() {
    let mut disk = blank(60, BlockSize::B512);
    let old = TableRequest { layout: LayoutChoice::Legacy, ..UEFI };
    let mut first = planned(&mut disk, &old).table;
    first.partitions[0].number = 1;
    first.partitions[1].number = 4;
    apply(&mut disk, &first, &mut || true).unwrap();
    let request = TableRequest { preserve_first: PreserveFirst::Yes, ..UEFI };
    let found = inspect(&mut disk).unwrap();
    let good = planned(&mut disk, &request);
    let finds = |spoil: &dyn Fn(&mut Plan)| {
        let mut plan = good.clone();
        spoil(&mut plan);
        check_plan(&plan, &found)
    };
    let extent = |first, last| Extent::new(Lba::new(first), Lba::new(last)).unwrap();
    let write = |first, last| Region { extent: extent(first, last), purpose: Purpose::Signatures };
    assert_eq!(
        finds(&|plan| plan.table.partitions[0].attributes = 1),
        [Finding::KeptDiffers { number: 1 }]
    );
    assert_eq!(
        finds(&|plan| plan.table.partitions[0].name = "x".into()),
        [Finding::KeptDiffers { number: 1 }]
    );
    assert_eq!(
        finds(&|plan| plan.regions[5] = write(128, 2048)),
        [Finding::WritesKept { number: 1, extent: extent(128, 2048) }]
    );
    let end = good.table.geometry.blocks;
    assert_eq!(
        finds(&|plan| plan.regions.push(write(end, end))),
        [Finding::WritesOutside { extent: extent(end, end), blocks: end }]
    );
    assert_eq!(
        finds(&|plan| plan.regions.push(write(34, 34))),
        [Finding::RegionsMixed { extent: extent(34, 34) }]
    );
    assert_eq!(
        finds(&|plan| plan.regions.retain(|region| region.purpose != Purpose::Header)),
        [Finding::NotWritten { extent: extent(1, 1) }]
    );
    let line = good.destroys[0].clone();
    let unlisted = finds(&|plan| plan.destroys.retain(|other| *other != line));
    assert_eq!(unlisted, [Finding::Unlisted { line: line.clone() }]);
    let nothing = finds(&|plan| plan.outcome = Outcome::Nothing);
    assert!(nothing.contains(&Finding::NotDone { number: 6 }), "{nothing:?}");
}

#[test]
fn the_page_of_a_new_disk() {
    let page = picture::render(&planned(&mut blank(60, BlockSize::B512), &UEFI));
    let want = "\
disk.img: 60 GiB, blocks of 512 bytes
Layout modern as gpt, started by uefi

Before:
  |                                   blank                                    |
After:
";
    assert!(page.starts_with(want), "{page}");
    assert!(page.lines().all(|line| line.len() <= 80), "{page}");
    assert!(page.contains("       5  logs              2048      8390655      4 GiB\n"), "{page}");
}

#[test]
fn a_bar_of_what_was_there() {
    let mut disk = blank(60, BlockSize::B512);
    let small = TableRequest { sr: SrChoice::None, ..UEFI };
    let first = planned(&mut disk, &small);
    apply(&mut disk, &first.table, &mut || true).unwrap();
    let page = picture::render(&planned(&mut disk, &UEFI));
    let bar = page.lines().nth(4).unwrap();
    let parts: Vec<&str> = bar.trim().trim_matches('|').split('|').map(str::trim).collect();
    let want = ["5 lo", "2 backup 18 GiB", "1 root 18 GiB", "4 boo", "6", "free 13.9 GiB"];
    assert_eq!(parts.len(), want.len(), "{bar}");
    assert!(parts.iter().zip(want).all(|(have, want)| have.starts_with(want)), "{bar}");
    let done = picture::render(&planned(&mut disk, &small));
    assert!(done.contains("Nothing to do: the disk has this table already.\n"), "{done}");
}
