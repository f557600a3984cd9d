//! Takeover plans of the old geometries.
#![expect(clippy::arithmetic_side_effects, reason = "block numbers of tables made up here")]

use super::*;
use crate::block::BlockIo;
use crate::block::memory::MemDisk;
use crate::check::{Finding, check};

const GIB: u64 = 2_097_152;

fn found(number: u32, first: u64, blocks: u64, kind: &str, guid: Option<u128>) -> Found {
    Found {
        number,
        extent: Extent::with_len(Lba::new(first), blocks).unwrap(),
        kind: kind.to_owned(),
        name: guid.map(|_| String::new()),
        guid: guid.map(Guid::from_u128),
        content: None,
        attributes: 0,
        entry: Vec::new(),
    }
}

const BASIC: &str = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7";
const LVM: &str = "e6d6d379-f507-44c2-a23c-238f2a3df928";
const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";

/// Root 4 GiB from LBA 63, backup 4 GiB, storage repository.
fn old_mbr(blocks: u64) -> Inspection {
    let root = found(1, 63, 4 * GIB, "0x83", None);
    let backup = found(2, 63 + 4 * GIB, 4 * GIB, "0x83", None);
    let first = 63 + 8 * GIB;
    let sr = found(3, first, blocks - first, "0x8e", None);
    let table = Table::Mbr { disk_signature: 7 };
    Inspection {
        table,
        partitions: vec![root, backup, sr],
        content: Vec::new(),
        problems: Vec::new(),
    }
}

/// Boot 512 MiB, root 3584 MiB, backup 4 GiB, storage repository.
fn old_gpt(blocks: u64, boot: &str) -> Inspection {
    let (boot_blocks, root_blocks) = (GIB / 2, 4 * GIB - GIB / 2);
    let sr = 2048 + 8 * GIB;
    let partitions = vec![
        found(1, 2048 + boot_blocks, root_blocks, BASIC, Some(0x11)),
        found(2, 2048 + 4 * GIB, 4 * GIB, BASIC, Some(0x12)),
        found(3, sr, blocks - 33 - sr, LVM, Some(0x13)),
        found(4, 2048, boot_blocks, boot, Some(0x14)),
    ];
    let table = Table::Gpt { disk_guid: Guid::from_u128(1), state: GptState::Whole };
    Inspection { table, partitions, content: Vec::new(), problems: Vec::new() }
}

fn request(boot: Option<u32>) -> TakeoverRequest {
    TakeoverRequest {
        firmware: Firmware::Bios,
        boot_size: None,
        sr: SrChoice::Rest,
        compat: Compat::None,
        old: OldNumbers { root: 1, backup: Some(2), boot, sr: Some(3) },
        proof: SrProof::Empty,
        loader: OldLoader::Outside,
    }
}

fn plan(old: &Inspection, request: &TakeoverRequest) -> Result<Takeover, TakeoverError> {
    let geometry = Geometry { block_size: BlockSize::B512, blocks: 100 * GIB };
    plan_takeover(geometry, old, request, &mut Ids::from_seed([2; 32]))
}

fn places(plan: &TablePlan) -> Vec<(u32, u64, u64)> {
    let place = |p: &Planned| (p.number, p.extent.first().get(), p.extent.last().get());
    plan.partitions.iter().map(place).collect()
}

/// Where everything but logs lies in a table of 100 GiB.
const NEW: [(u32, u64, u64); 4] = [
    (2, 8_390_656, 46_139_391),
    (1, 46_139_392, 83_888_127),
    (4, 83_888_128, 94_373_887),
    (6, 94_373_888, 96_471_039),
];

#[test]
fn an_mbr_with_its_root_at_sector_63() {
    let takeover = plan(&old_mbr(100 * GIB), &request(None)).unwrap();
    let trial = places(&takeover.trial);
    assert_eq!(trial[0], (10, 63, 8_388_670));
    assert_eq!(trial[1..5], NEW);
    assert_eq!(trial[5], (3, 96_471_040, 100 * GIB - 34 - 2048));
    assert_eq!(takeover.trial.head.first_usable.get(), 63);
    let last = places(&takeover.last);
    assert_eq!(last[0], (5, 2048, 8_390_655));
    assert_eq!(last[1..], trial[1..]);
    // Nothing of the head touches the old root.
    let head = takeover.trial.head;
    for extent in [head.rescue, head.core_a.unwrap(), head.gpt.unwrap().spare] {
        assert!(takeover.trial.partitions.iter().all(|p| !p.extent.overlaps(extent)), "{extent}");
    }
    assert_eq!(head.old_lba0, Some(Lba::new(62)));
}

#[test]
fn a_gpt_with_boot_before_root() {
    let takeover = plan(&old_gpt(100 * GIB, ESP), &request(Some(4))).unwrap();
    let trial = places(&takeover.trial);
    assert_eq!(trial[..2], [(11, 2048, 1_050_623), (10, 1_050_624, 8_390_655)]);
    assert_eq!(trial[2..6], NEW);
    assert_eq!(takeover.trial.head.gpt, HeadMap::B512.gpt);
    let by = |number| takeover.trial.partitions.iter().find(|p| p.number == number).unwrap();
    assert_eq!(by(10).guid, Guid::from_u128(0x11), "the old root is still found by its PARTUUID");
    assert_eq!(by(4).guid, Guid::from_u128(0x14), "the boot entry of the firmware goes on working");
    assert_ne!(by(11).guid, by(4).guid);
    assert_eq!(by(11).type_guid, Kind::LinuxData.gpt_type(), "one system partition only");
    assert_eq!(takeover.last.partition(Role::Boot).unwrap().guid, by(4).guid);
    assert_eq!(check(&takeover.last), []);
    let bios = "21686148-6449-6e6f-744e-656564454649";
    let takeover = plan(&old_gpt(100 * GIB, bios), &request(Some(4))).unwrap();
    let old_boot = takeover.trial.partition(Role::OldBoot).unwrap();
    assert_eq!((old_boot.type_guid.to_string().as_str(), old_boot.kept), (bios, true));
}

#[test]
fn identifiers_are_the_same_in_both_tables() {
    let takeover = plan(&old_mbr(100 * GIB), &request(None)).unwrap();
    assert_eq!(takeover.trial.disk_guid, takeover.last.disk_guid);
    for planned in &takeover.last.partitions {
        let trial = takeover.trial.partition(planned.role);
        assert!(trial.is_none_or(|trial| trial == planned), "{}", planned.role);
    }
    let trial_findings = check(&takeover.trial);
    // The old root is where it always was.
    let is_known = |finding: &Finding| matches!(finding, Finding::Unaligned { number: 10, .. });
    assert!(trial_findings.iter().all(is_known), "{trial_findings:?}");
}

#[test]
fn write_sets_spare_the_old_system() {
    for takeover in [
        plan(&old_mbr(100 * GIB), &request(None)).unwrap(),
        plan(&old_gpt(100 * GIB, ESP), &request(Some(4))).unwrap(),
    ] {
        let allowed = trial_write_set(&takeover);
        for old in kept(&takeover) {
            assert!(allowed.iter().all(|extent| !extent.overlaps(old)), "{old}");
        }
        let slot_b = takeover.trial.partition(Role::Backup).unwrap().extent;
        assert!(allowed.iter().all(|extent| !extent.overlaps(slot_b)));
        let logs = takeover.last.partition(Role::Logs).unwrap().extent;
        assert!(final_write_set(&takeover).iter().any(|extent| extent.contains(logs)));
    }
}

#[test]
fn what_is_refused_is_named() {
    let refused = |old: &Inspection, request: &TakeoverRequest, want: &str| {
        let error = plan(old, request).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    };
    let old = old_mbr(100 * GIB);
    let in_use = TakeoverRequest { proof: SrProof::NotProven, ..request(None) };
    refused(&old, &in_use, "not proven empty");
    refused(&old, &request(Some(4)), "no partition 4 for the boot");
    let mut extra = old.clone();
    extra.partitions.push(found(4, 99 * GIB, 9, "0x07", None));
    refused(&extra, &request(None), "partition 4 (207618048-207618056) is neither");
    let loader = OldLoader::Stuck { name: "GRUB 0.97", at: Lba::new(1), why: "it reads no GPT" };
    let grub = TakeoverRequest { loader, ..request(None) };
    refused(&old, &grub, "GRUB 0.97 from block 1 on, cannot be kept: it reads no GPT");
    let by_bios = TakeoverRequest { loader, ..request(Some(4)) };
    refused(&old_gpt(100 * GIB, BASIC), &by_bios, "GRUB 0.97 from block 1 on");
    // What LBA 0 of a GPT holds does not matter to UEFI.
    let by_uefi = TakeoverRequest { firmware: Firmware::Uefi, ..by_bios };
    plan(&old_gpt(100 * GIB, BASIC), &by_uefi).unwrap();
    let mut large = old.clone();
    large.partitions[0].extent = Extent::with_len(Lba::new(63), 18 * GIB).unwrap();
    refused(&large, &request(None), "reaches past block 8390655");
    let mut early = old_gpt(100 * GIB, ESP);
    early.partitions[3].extent = Extent::with_len(Lba::new(34), GIB / 2).unwrap();
    refused(&early, &request(Some(4)), "begin at block 34, 63 needed");
    let table = Table::Gpt { disk_guid: Guid::NIL, state: GptState::PrimaryOnly };
    refused(&Inspection { table, ..old.clone() }, &request(None), "backup copy damaged");
    refused(
        &Inspection { table: Table::Unfinished, ..old.clone() },
        &request(None),
        "not finished",
    );
    let geometry = Geometry { block_size: BlockSize::B512, blocks: 46 * GIB };
    let ids = &mut Ids::from_seed([2; 32]);
    let small = plan_takeover(geometry, &old_mbr(46 * GIB), &request(None), ids).unwrap_err();
    assert_eq!(
        small.to_string(),
        "the disk has 46 GiB, 46 GiB needed, and 1 MiB for the boot loader at its end"
    );
}

#[test]
fn a_core_image_in_the_gap_is_moved_out_of_the_way() {
    let core = |first, blocks| Extent::with_len(Lba::new(first), blocks).unwrap();
    let with = |from| TakeoverRequest { loader: OldLoader::GrubInGap(from), ..request(None) };
    // Behind the partitions, where there is room for two cores.
    let takeover = plan(&old_mbr(100 * GIB), &with(core(1, 62))).unwrap();
    let place = takeover.trial.head.core_b.unwrap();
    let to = core(place.first().get(), 62);
    assert_eq!(takeover.moved, Some(MovedCore { from: core(1, 62), to }));
    assert!(trial_write_set(&takeover).iter().any(|extent| extent.contains(to)));
    // Before a first partition at 1 MiB, unless it is in its own way.
    let mut wide = old_mbr(100 * GIB);
    wide.partitions[0].extent = core(2048, 4 * GIB - 2048);
    let takeover = plan(&wide, &with(core(1, 200))).unwrap();
    assert_eq!(takeover.moved, Some(MovedCore { from: core(1, 200), to: core(1088, 200) }));
    assert_eq!(plan(&wide, &with(core(1088, 200))).unwrap().moved, None, "it is there already");
    let error = plan(&wide, &with(core(600, 900))).unwrap_err().to_string();
    assert!(error.contains("reaches into the place it would be moved to"), "{error}");
}

#[test]
fn both_tables_are_found_again_on_the_disk() {
    let mbr = plan(&old_mbr(100 * GIB), &request(None)).unwrap();
    let gpt = plan(&old_gpt(100 * GIB, BASIC), &request(Some(4))).unwrap();
    for takeover in [mbr, gpt] {
        let logs = takeover.last.partition(Role::Logs).unwrap().guid;
        for (stage, table) in [(Stage::Trial, &takeover.trial), (Stage::Last, &takeover.last)] {
            let map = table.head.gpt.unwrap();
            for (array, place) in [(map.spare, Primary::Spare), (map.array, Primary::Usual)] {
                let mut disk = MemDisk::new("m", BlockSize::B512, 100 * GIB);
                // No boot code is looked at.
                disk.write(Lba::new(0), &protective()).unwrap();
                let blocks = crate::gpt::encode_at(table, array).unwrap();
                disk.write(blocks.primary_header_at, &blocks.primary_header).unwrap();
                disk.write(array.first(), &blocks.primary_array).unwrap();
                disk.write(blocks.backup_array_at.first(), &blocks.backup_array).unwrap();
                disk.write(blocks.backup_header_at, &blocks.backup_header).unwrap();
                let found = crate::inspect::inspect(&mut disk).unwrap();
                let seen = again(&mut disk, &found, Firmware::Bios, logs).unwrap().unwrap();
                assert_eq!((seen.stage, seen.primary), (stage, place));
                let header = |table| crate::gpt::encode(table).unwrap().primary_header;
                assert_eq!(header(&seen.takeover.last), header(&takeover.last), "{stage:?}");
                if stage == Stage::Trial {
                    assert_eq!(header(&seen.takeover.trial), header(&takeover.trial));
                }
                // Another name is another table.
                let mut other = found.clone();
                other.partitions[0].name = Some("x".to_owned());
                let error = again(&mut disk, &other, Firmware::Bios, logs).unwrap().unwrap_err();
                assert_eq!(error, AgainError::Header);
            }
        }
    }
}

fn protective() -> Vec<u8> {
    let mut sector = vec![0; 512];
    sector[0x1BE..0x1CE]
        .copy_from_slice(&[0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0, 255, 255, 255, 255]);
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    sector
}
