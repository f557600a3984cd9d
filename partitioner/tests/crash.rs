//! Power cuts during a fresh install, on the recording disk: whatever a cut leaves behind either
//! is the old disk untouched, says that the installation has not finished, or is complete.
//!
//! Fault model: a block write is atomic, a completed flush makes earlier writes durable, and writes
//! that were not flushed persist in any subset. The judge below reads a disk as a machine would,
//! and knows nothing of the order in which it is written.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test may panic: that is how it fails"
)]

use partitioner::block::BlockIo;
use partitioner::block::memory::MemDisk;
use partitioner::block::recorder::{Entry, Recorder, apply};
use partitioner::head::{self, HeadMap};
use partitioner::ids::Ids;
use partitioner::inspect::{GptState, Table, inspect};
use partitioner::layout::{Firmware, Role};
use partitioner::rescue::Saved;
use partitioner::table::{Geometry, TablePlan, TableRequest, plan_table};
use partitioner::units::{BlockSize, Bytes, Extent, Lba};
use partitioner::write;

/// Subsets of one epoch that are tried where all of them would be too many.
const RANDOM_SUBSETS: u32 = 100;
/// Up to so many writes in an epoch, every subset is tried.
const EXHAUSTIVE: usize = 8;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Old,
    Message,
    Complete,
}

/// One installation: the plan, the images, what the disk held before.
struct Install {
    plan: TablePlan,
    boot_img: Vec<u8>,
    core_img: Vec<u8>,
    old: MemDisk,
}

impl Install {
    fn new(block_size: BlockSize) -> Self {
        let geometry = Geometry::of_size(Bytes::gib(60), block_size);
        let request = TableRequest::new(Firmware::Uefi);
        let plan = plan_table(geometry, &request, &mut Ids::from_seed([3; 32])).unwrap();
        let mut boot_img = vec![0xB0; 512];
        boot_img[510..].copy_from_slice(&[0x55, 0xAA]);
        let mut core_img: Vec<u8> = (1..=200_u8).cycle().take(5 * 512).collect();
        core_img[0x1FE..0x200].copy_from_slice(&0x820_u16.to_le_bytes());
        Self { old: old_disk(&plan), plan, boot_img, core_img }
    }

    fn has_core(&self) -> bool {
        self.plan.head.core_a.is_some()
    }

    fn armed(&self) -> Vec<u8> {
        let core_at = self.plan.head.core_a.map_or(Lba::new(0), Extent::first);
        head::armed_lba0(&self.boot_img, core_at, self.plan.geometry).unwrap()
    }

    /// What the engine does, with the file systems reduced to a block each.
    fn run(&self) -> Vec<Entry> {
        let mut disk = Recorder::new(Box::new(self.old.clone()));
        let log = disk.log();
        log.mark("disarm");
        write::disarm(&mut disk, &self.plan).unwrap();
        log.mark("wipe");
        write::wipe_signatures(&mut disk, &self.plan).unwrap();
        log.mark("table");
        write::write_table(&mut disk, &self.plan).unwrap();
        log.mark("root");
        disk.write(self.root(), &self.block(0xEE)).unwrap();
        disk.flush().unwrap();
        if self.has_core() {
            log.mark("core");
            write::write_core(&mut disk, &self.plan, &self.core_img).unwrap();
        }
        log.mark("arm");
        write::arm(&mut disk, &self.armed()).unwrap();
        log.entries()
    }

    fn root(&self) -> Lba {
        self.plan.partition(Role::Root).unwrap().extent.first()
    }

    fn block(&self, byte: u8) -> Vec<u8> {
        vec![byte; usize::try_from(self.plan.geometry.block_size.bytes()).unwrap()]
    }

    /// Reads the disk as a machine would.
    fn judge(&self, disk: &mut MemDisk) -> Result<State, String> {
        let mut lba0 = self.block(0);
        disk.read(Lba::new(0), &mut lba0).unwrap();
        if lba0 == self.armed() {
            return self.judge_armed(disk);
        }
        let message = b"installation not finished";
        let protective = [0x1C2, 0x1D2, 0x1E2, 0x1F2].iter().any(|at| lba0[*at] == 0xEE);
        if lba0.windows(message.len()).any(|window| window == message) && !protective {
            return Ok(State::Message);
        }
        if *disk == self.old {
            return Ok(State::Old);
        }
        Err("the old system would start on a disk that has changed".to_owned())
    }

    fn judge_armed(&self, disk: &mut MemDisk) -> Result<State, String> {
        let found = inspect(disk).unwrap();
        let disk_guid = self.plan.disk_guid;
        if found.table != (Table::Gpt { disk_guid, state: GptState::Whole }) {
            return Err(format!("armed, and the table is {:?}", found.table));
        }
        let mut want: Vec<_> =
            self.plan.partitions.iter().map(|p| (p.number, p.extent, Some(p.guid))).collect();
        want.sort();
        let have: Vec<_> = found.partitions.iter().map(|p| (p.number, p.extent, p.guid)).collect();
        if have != want {
            return Err(format!("armed, and the partitions are {have:?}"));
        }
        let mut root = self.block(0);
        disk.read(self.root(), &mut root).unwrap();
        if root != self.block(0xEE) {
            return Err("armed, and slot a is not written".to_owned());
        }
        if let Some(place) = self.plan.head.core_a {
            let want = head::patch_core(&self.core_img, place.first()).unwrap();
            let mut have = vec![0; want.len()];
            disk.read(place.first(), &mut have).unwrap();
            if have != want {
                return Err("armed, and the core image is not written".to_owned());
            }
        }
        Ok(State::Complete)
    }
}

/// An MBR disk with an ext4 signature where the new root will be, and LVM at its end.
fn old_disk(plan: &TablePlan) -> MemDisk {
    let geometry = plan.geometry;
    let mut disk = MemDisk::new("old", geometry.block_size, geometry.blocks);
    let mut block = vec![0; usize::try_from(geometry.block_size.bytes()).unwrap()];
    block[0x1BE..0x1CE]
        .copy_from_slice(&[0x80, 0, 2, 0, 0x83, 255, 255, 255, 63, 0, 0, 0, 0, 0, 0x80, 0]);
    block[510..512].copy_from_slice(&[0x55, 0xAA]);
    disk.write(Lba::new(0), &block).unwrap();
    for planned in &plan.partitions {
        block.fill(0x0D);
        disk.write(planned.extent.first(), &block).unwrap();
        disk.write(planned.extent.last(), &block).unwrap();
    }
    for lba in [1, 2, 200, geometry.blocks - 1] {
        disk.write(Lba::new(lba), &block).unwrap();
    }
    disk
}

/// Entries as things that persist or not: a write block by block, a zeroed range in four parts.
fn atoms(entry: &Entry, block_size: BlockSize) -> Vec<Entry> {
    match entry {
        Entry::Write { first, bytes } => bytes
            .chunks(usize::try_from(block_size.bytes()).unwrap())
            .zip(first.get()..)
            .map(|(block, lba)| Entry::Write { first: Lba::new(lba), bytes: block.to_vec() })
            .collect(),
        Entry::Zero { extent } => {
            let step = extent.blocks().div_ceil(4);
            let parts = (extent.first().get()..=extent.last().get())
                .step_by(usize::try_from(step).unwrap());
            parts
                .map(|first| {
                    let last = (first + step - 1).min(extent.last().get());
                    Entry::Zero { extent: Extent::new(Lba::new(first), Lba::new(last)).unwrap() }
                })
                .collect()
        }
        Entry::Flush | Entry::Mark(_) => Vec::new(),
    }
}

/// Which subsets of `count` unflushed writes are tried: all of few; of many, every prefix, every
/// suffix, each one alone, each one missing, and some at random.
fn subsets(count: usize) -> Vec<Vec<bool>> {
    if count <= EXHAUSTIVE {
        return (0..1_u32 << count)
            .map(|bits| (0..count).map(|i| bits >> i & 1 == 1).collect())
            .collect();
    }
    let mut all = Vec::new();
    for k in 0..=count {
        all.push((0..count).map(|i| i < k).collect());
        all.push((0..count).map(|i| i >= k).collect());
        all.push((0..count).map(|i| i == k).collect());
        all.push((0..count).map(|i| i != k).collect());
    }
    let mut state = 1_u64;
    for _ in 0..RANDOM_SUBSETS {
        let mut subset = Vec::new();
        for _ in 0..count {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            subset.push(state >> 40 & 1 == 1);
        }
        all.push(subset);
    }
    all
}

/// Judges every state that a cut may leave. Gives how many there were, or the first bad one.
fn simulate(install: &Install, log: &[Entry]) -> Result<usize, String> {
    let mut durable = install.old.clone();
    let mut states = 0;
    let mut seen = State::Old;
    let mut what = "start";
    let block_size = install.plan.geometry.block_size;
    let mut epoch: Vec<Entry> = Vec::new();
    let end = [Entry::Flush];
    for entry in log.iter().chain(&end) {
        match entry {
            Entry::Mark(mark) => what = mark,
            Entry::Write { .. } | Entry::Zero { .. } => epoch.extend(atoms(entry, block_size)),
            Entry::Flush => {
                for subset in subsets(epoch.len()) {
                    let mut disk = durable.clone();
                    for (atom, _) in epoch.iter().zip(&subset).filter(|(_, kept)| **kept) {
                        apply(&mut disk, atom).unwrap();
                    }
                    install.judge(&mut disk).map_err(|why| format!("{what}: {why}"))?;
                    states += 1;
                }
                for atom in epoch.drain(..) {
                    apply(&mut durable, &atom).unwrap();
                }
                let state = install.judge(&mut durable).map_err(|why| format!("{what}: {why}"))?;
                if state < seen {
                    return Err(format!("{what}: from {seen:?} back to {state:?}"));
                }
                seen = state;
            }
        }
    }
    if seen == State::Complete { Ok(states) } else { Err(format!("ends as {seen:?}")) }
}

#[test]
fn every_cut_of_a_fresh_install_leaves_a_disk_that_tells_the_truth() {
    for block_size in [BlockSize::B512, BlockSize::B4096] {
        let install = Install::new(block_size);
        let states = simulate(&install, &install.run()).unwrap();
        assert!(states > 200, "{states}");
    }
}

#[test]
fn a_repeated_install_after_a_cut_ends_complete() {
    let install = Install::new(BlockSize::B512);
    let log = install.run();
    for cut in 0..log.len() {
        let mut disk = install.old.clone();
        for entry in &log[..cut] {
            apply(&mut disk, entry).unwrap();
        }
        // The second run starts on what the first left, and writes the same.
        for entry in &log {
            apply(&mut disk, entry).unwrap();
        }
        assert_eq!(install.judge(&mut disk), Ok(State::Complete), "cut at {cut}");
    }
}

/// The part of a log under a mark, without the mark.
fn part(log: &[Entry], name: &str) -> Vec<Entry> {
    let begins = |entry: &Entry| *entry == Entry::Mark(name.to_owned());
    let after = log.iter().skip_while(|entry| !begins(entry)).skip(1);
    after.take_while(|entry| !matches!(entry, Entry::Mark(_))).cloned().collect()
}

/// A wrong protocol must be caught, or the simulation proves nothing.
#[test]
fn broken_orders_are_caught() {
    let install = Install::new(BlockSize::B512);
    let log = install.run();
    let in_order =
        |names: &[&str]| -> Vec<Entry> { names.iter().flat_map(|name| part(&log, name)).collect() };
    let all = ["disarm", "wipe", "table", "root", "core", "arm"];
    assert!(simulate(&install, &in_order(&all)).is_ok());
    for wrong in [
        // One step left out.
        vec!["wipe", "table", "root", "core", "arm"],
        vec!["disarm", "wipe", "root", "core", "arm"],
        vec!["disarm", "wipe", "table", "core", "arm"],
        vec!["disarm", "wipe", "table", "root", "arm"],
        vec!["disarm", "wipe", "table", "root", "core"],
        // Armed too early.
        vec!["disarm", "arm", "wipe", "table", "root", "core"],
        vec!["disarm", "wipe", "table", "arm", "root", "core"],
        vec!["disarm", "wipe", "table", "root", "arm", "core"],
        vec!["disarm", "wipe", "root", "core", "arm", "table"],
        // Disarmed too late.
        vec!["wipe", "disarm", "table", "root", "core", "arm"],
        vec!["table", "disarm", "wipe", "root", "core", "arm"],
    ] {
        assert!(simulate(&install, &in_order(&wrong)).is_err(), "{wrong:?} was not caught");
    }
}

#[test]
fn missing_flushes_are_caught() {
    let install = Install::new(BlockSize::B512);
    let log = install.run();
    let without_flush = |names: &[&str]| -> Vec<Entry> {
        let mut mark = String::new();
        let mut kept = Vec::new();
        for entry in &log {
            if let Entry::Mark(name) = entry {
                mark.clone_from(name);
            }
            if *entry != Entry::Flush || !names.contains(&mark.as_str()) {
                kept.push(entry.clone());
            }
        }
        kept
    };
    // The commit must not overtake the core, nor the wiping the message. The flushes within are
    // backed by the next one, so that both have to go.
    for names in [&["disarm"][..], &["core", "arm"]] {
        let broken = without_flush(names);
        assert!(simulate(&install, &broken).is_err(), "without flushes in {names:?}");
    }
}

#[test]
fn a_head_without_a_core_is_for_large_blocks() {
    assert_eq!(HeadMap::B4096.core_a, None);
    assert!(HeadMap::B512.core_a.is_some());
}

/// A record names places of partitions: one of an earlier table must not outlive it.
#[test]
fn no_record_of_an_earlier_gpt_is_left_beside_an_mbr() {
    let geometry = Geometry::of_size(Bytes::gib(20), BlockSize::B512);
    let mut disk = MemDisk::new("disk", BlockSize::B512, geometry.blocks);
    for (firmware, left) in [(Firmware::Uefi, true), (Firmware::Bios, false)] {
        let request = TableRequest::new(firmware);
        let plan = plan_table(geometry, &request, &mut Ids::from_seed([5; 32])).unwrap();
        write::disarm(&mut disk, &plan).unwrap();
        write::wipe_signatures(&mut disk, &plan).unwrap();
        write::write_table(&mut disk, &plan).unwrap();
        assert_eq!(Saved::find(&mut disk).unwrap().is_some(), left, "{firmware:?}");
    }
}
