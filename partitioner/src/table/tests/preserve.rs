//! A first partition that stays.

use std::fmt::Write as _;

use super::{BIOS, UEFI};
use crate::check::check;
use crate::ids::{Guid, Ids};
use crate::inspect::{Found, GptState, Inspection, Table};
use crate::layout::{BASIC_DATA, Kind};
use crate::table::{
    Geometry, LayoutChoice, PreserveFirst, TablePlan, TableRequest, plan_table_on, write_set,
};
use crate::units::{BlockSize, Bytes, Extent, Lba};

const YES: TableRequest = TableRequest { preserve_first: PreserveFirst::Yes, ..UEFI };

/// An entry with its raw form.
fn entry(number: u32, first: u64, blocks: u64, type_guid: Guid, name: &str) -> Found {
    let extent = Extent::with_len(Lba::new(first), blocks).unwrap();
    let guid = Guid::from_u128(u128::from(number) << 64 | 0xABCD);
    let attributes = 1;
    let mut entry = Vec::new();
    entry.extend(type_guid.to_gpt_bytes());
    entry.extend(guid.to_gpt_bytes());
    entry.extend(first.to_le_bytes());
    entry.extend(extent.last().get().to_le_bytes());
    entry.extend(u64::to_le_bytes(attributes));
    entry.extend(name.encode_utf16().flat_map(u16::to_le_bytes));
    entry.resize(128, 0);
    Found {
        number,
        extent,
        kind: type_guid.to_string(),
        name: Some(name.to_owned()),
        guid: Some(guid),
        attributes,
        entry,
        content: None,
    }
}

fn utility(first: u64, blocks: u64) -> Found {
    entry(1, first, blocks, Kind::EfiSystem.gpt_type(), "DELLUTILITY")
}

fn gpt(partitions: Vec<Found>) -> Inspection {
    let table = Table::Gpt { disk_guid: Guid::from_u128(7), state: GptState::Whole };
    Inspection { table, partitions, problems: Vec::new(), content: Vec::new() }
}

fn mbr(kind: &str) -> Inspection {
    let mut one = entry(1, 2048, 80_262, BASIC_DATA, "");
    one.kind = kind.to_owned();
    one.entry.truncate(16);
    let table = Table::Mbr { disk_signature: 1 };
    Inspection { table, partitions: vec![one], problems: Vec::new(), content: Vec::new() }
}

fn planned(
    size: Bytes,
    found: &Inspection,
    request: &TableRequest,
) -> Result<TablePlan, super::LayoutError> {
    let geometry = Geometry::of_size(size, BlockSize::B512);
    let plan = plan_table_on(found, geometry, request, &mut Ids::from_seed([0; 32]))?;
    assert_eq!(check(&plan), [], "the judge agrees");
    Ok(plan)
}

#[track_caller]
fn table(found: &Inspection, request: &TableRequest, want: &str) {
    let plan = planned(Bytes::gib(100), found, request).unwrap();
    let mut have = String::new();
    for p in &plan.partitions {
        writeln!(have, "{} {} {}", p.number, p.role, p.extent).unwrap();
    }
    assert!(have.lines().eq(want.trim().lines().map(str::trim)), "{have}");
}

#[track_caller]
fn refused(found: &Inspection, request: &TableRequest, want: &str) {
    let error = planned(Bytes::gib(100), found, request).unwrap_err();
    assert_eq!(error.to_string(), want);
}

#[test]
fn a_utility_partition_stays_and_every_number_shifts_by_one() {
    let found = gpt(vec![utility(2048, 80_263), entry(2, 90_000, 9, BASIC_DATA, "x")]);
    let want = "
        1 preserved 2048-82310
        6 logs 83968-8472575
        3 backup 8472576-46221311
        2 root 46221312-83970047
        5 boot 83970048-94455807
        7 swap 94455808-96552959
        4 sr 96552960-209715166";
    table(&found, &UEFI, want);
    table(&found, &YES, want);
    table(&found, &BIOS, want);
    let plan = planned(Bytes::gib(100), &found, &UEFI).unwrap();
    let [kept, others @ ..] = plan.partitions.as_slice() else { panic!() };
    let one = &found.partitions[0];
    assert!(kept.kept && others.iter().all(|other| !other.kept));
    assert_eq!((kept.guid, kept.attributes), (one.guid.unwrap(), one.attributes));
    assert_eq!(crate::gpt::encode(&plan).unwrap().primary_array[..128], one.entry);
    let drawn = plan.draw(&mut Ids::from_seed([5; 32]));
    assert_eq!(&drawn.partitions[0], kept, "it keeps its GUID");
    // Neither it nor the gap behind it is written.
    let set: Vec<String> = write_set(&plan).iter().map(ToString::to_string).collect();
    assert_eq!(set, ["0-2047", "83968-96555007", "209713119-209715199"]);
}

#[test]
fn preserving_follows_the_wish() {
    let ordinary = gpt(vec![entry(1, 2048, 4096, BASIC_DATA, "data")]);
    let numbers = |found: &Inspection, request: &TableRequest| -> Vec<u32> {
        let plan = planned(Bytes::gib(100), found, request).unwrap();
        plan.partitions.iter().map(|p| p.number).collect()
    };
    assert_eq!(numbers(&ordinary, &UEFI), [5, 2, 1, 4, 6, 3]);
    assert_eq!(numbers(&ordinary, &YES), [1, 6, 3, 2, 5, 7, 4]);
    let no = TableRequest { preserve_first: PreserveFirst::No, ..UEFI };
    assert_eq!(numbers(&gpt(vec![utility(2048, 80_263)]), &no), [5, 2, 1, 4, 6, 3]);
    assert_eq!(numbers(&gpt(Vec::new()), &UEFI), [5, 2, 1, 4, 6, 3]);
}

#[test]
fn sizes_count_from_its_end() {
    // One MiB, and 46 GiB behind it.
    let found = gpt(vec![utility(2048, 2048)]);
    let exact = Bytes::new((46 << 30) + (2 << 20));
    let plan = planned(exact, &found, &UEFI).unwrap();
    let boot = plan.partitions.iter().find(|p| p.number == 5).unwrap();
    assert_eq!(plan.size_of(boot), Bytes::mib(5 * 1024 - 1));
    let less = Bytes::new(exact.get() - 512);
    let error = planned(less, &found, &UEFI).unwrap_err().to_string();
    let want = "layout modern needs 46 GiB after the preserved partition, the disk has 45.9 GiB \
                there";
    assert_eq!(error, want);
}

#[test]
fn what_cannot_stay_is_refused_by_name() {
    refused(
        &gpt(Vec::new()),
        &YES,
        "the first partition is to be preserved, and the disk has no partition 1",
    );
    refused(
        &gpt(vec![utility(63, 80_263)]),
        &UEFI,
        "partition 1 starts at block 63, preserving it needs block 2048 or later",
    );
    let mut second = utility(500_000, 80_263);
    second.number = 3;
    refused(
        &gpt(vec![utility(2048, 80_263), second.clone()]),
        &UEFI,
        "partitions 1 and 3 are both utility partitions, only one can be preserved",
    );
    let not_first = |number| {
        format!(
            "partition {number} is to be preserved and is not the first on the disk: only the \
             first can be, and preserve-first no gives it up"
        )
    };
    refused(&gpt(vec![second]), &UEFI, &not_first(3));
    let behind = gpt(vec![utility(9000, 100), entry(2, 2048, 9, BASIC_DATA, "x")]);
    refused(&behind, &UEFI, &not_first(1));
    refused(
        &gpt(vec![utility(2048, 209_713_150)]),
        &UEFI,
        "partition 1 ends at block 209715197 and would overlap the backup table at 209715167",
    );
}

#[test]
fn an_entry_stays_only_in_a_whole_table_of_its_kind() {
    refused(
        &mbr("0xde"),
        &UEFI,
        "partition 1 is a utility partition of MBR type 0xde, and the new table is a gpt: \
         preserve-first no gives it up",
    );
    refused(
        &mbr("0x07"),
        &YES,
        "partition 1 lies in mbr and the new table is gpt: its entry cannot be preserved",
    );
    let legacy = TableRequest { layout: LayoutChoice::Legacy, ..BIOS };
    refused(
        &mbr("0xde"),
        &legacy,
        "an MBR has four entries, and layout legacy needs all: partition 1 cannot be preserved",
    );
    refused(
        &gpt(vec![utility(2048, 9)]),
        &legacy,
        "partition 1 lies in gpt and the new table is mbr: its entry cannot be preserved",
    );
    let mut damaged = gpt(vec![utility(2048, 9)]);
    damaged.table = Table::Gpt { disk_guid: Guid::from_u128(7), state: GptState::BackupOnly };
    refused(
        &damaged,
        &UEFI,
        "the partition table must be repaired before partition 1 is preserved: primary copy \
         damaged",
    );
}

#[test]
fn a_name_that_would_change_is_refused() {
    let mut found = gpt(vec![utility(2048, 80_263)]);
    found.partitions[0].entry[127] = 1;
    let want = "the entry of partition 1 has a type or name that cannot be written again";
    refused(&found, &UEFI, want);
}
