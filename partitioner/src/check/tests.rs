//! Findings, each in a plan in which one thing was spoilt.

use super::*;
use crate::ids::{Guid, Ids};
use crate::layout::Firmware;
use crate::table::{Geometry, Planned, TablePlan, TableRequest, plan_table};
use crate::units::{BlockSize, Bytes, Lba};

/// The findings after one thing about a sound plan was spoilt.
#[track_caller]
fn finds(spoil: impl FnOnce(&mut TablePlan), want: &[Finding]) {
    let geometry = Geometry::of_size(Bytes::gib(60), BlockSize::B512);
    let request = TableRequest::new(Firmware::Uefi);
    let mut plan = plan_table(geometry, &request, &mut Ids::from_seed([0; 32])).unwrap();
    assert_eq!(check(&plan), []);
    spoil(&mut plan);
    assert_eq!(check(&plan), want);
}

fn extent(first: u64, last: u64) -> Extent {
    Extent::new(Lba::new(first), Lba::new(last)).unwrap()
}

fn at(plan: &mut TablePlan, number: u32) -> &mut Planned {
    plan.partitions.iter_mut().find(|planned| planned.number == number).unwrap()
}

#[test]
fn swap_over_the_boot_partition() {
    finds(
        |plan| at(plan, 6).extent = extent(83_888_128, 83_890_175),
        &[Finding::Overlap { a: 4, b: 6 }],
    );
}

#[test]
fn partitions_in_the_head_and_over_the_backup() {
    let (head, tail) = (extent(0, 2048), extent(96_471_040, 125_829_087));
    let usable =
        |number, extent| Finding::OutsideUsable { number, extent, first: 2048, last: 125_829_086 };
    let misplaced = [
        "boot sector",
        "header",
        "entry array",
        "spare entry array",
        "rescue record",
        "core image a",
        "core image b",
    ];
    let mut all = misplaced.map(|what| Finding::HeadMisplaced { what }).to_vec();
    all.push(usable(5, head));
    finds(|plan| at(plan, 5).extent = head, &all);
    finds(|plan| at(plan, 3).extent = tail, &[usable(3, tail)]);
}

#[test]
fn a_start_between_two_mib() {
    finds(
        |plan| at(plan, 3).extent = extent(96_471_041, 96_480_000),
        &[Finding::Unaligned { number: 3, first: 96_471_041 }],
    );
}

#[test]
fn numbers_roles_and_guids_that_are_not_unique() {
    finds(|plan| at(plan, 6).number = 5, &[Finding::NumberTwice { number: 5 }]);
    finds(|plan| at(plan, 6).number = 129, &[Finding::NumberOutOfRange { number: 129, max: 128 }]);
    finds(|plan| at(plan, 6).role = Role::Logs, &[Finding::RoleTwice { role: Role::Logs }]);
    finds(|plan| at(plan, 3).guid = Guid::NIL, &[Finding::GuidNotUnique { number: 3 }]);
    finds(
        |plan| {
            let disk = plan.disk_guid;
            at(plan, 3).guid = disk;
        },
        &[Finding::GuidNotUnique { number: 3 }],
    );
}

#[test]
fn a_missing_slot_and_unequal_ones() {
    finds(
        |plan| plan.partitions.retain(|planned| planned.number != 2),
        &[Finding::Missing { role: Role::Backup }],
    );
    finds(|plan| at(plan, 2).extent = extent(8_390_656, 46_139_390), &[Finding::UnequalSlots]);
}

#[test]
fn a_core_image_over_the_first_partition() {
    finds(
        |plan| plan.head.core_b = Some(extent(1088, 2048)),
        &[Finding::HeadMisplaced { what: "core image b" }],
    );
    finds(
        |plan| plan.head.gpt.as_mut().unwrap().spare = extent(33, 65),
        &[Finding::HeadOverlap { what: "spare entry array" }],
    );
}

#[test]
fn a_name_longer_than_its_field() {
    finds(
        |plan| at(plan, 3).name = "x".repeat(37),
        &[Finding::NameTooLong { number: 3, units: 37 }],
    );
}

/// The same for the MBR layout.
#[track_caller]
fn finds_in_mbr(spoil: impl FnOnce(&mut TablePlan), want: &[Finding]) {
    let geometry = Geometry::of_size(Bytes::gib(12), BlockSize::B512);
    let request = TableRequest::new(Firmware::Bios);
    let mut plan = plan_table(geometry, &request, &mut Ids::from_seed([0; 32])).unwrap();
    assert_eq!(check(&plan), []);
    spoil(&mut plan);
    assert_eq!(check(&plan), want);
}

#[test]
fn an_mbr_has_its_own_rules() {
    finds_in_mbr(
        |plan| at(plan, 2).attributes = 0x80,
        &[Finding::NotActive { active: vec![1, 2] }],
    );
    finds_in_mbr(|plan| at(plan, 1).attributes = 0, &[Finding::NotActive { active: vec![] }]);
    finds_in_mbr(|plan| plan.mbr_signature = 0, &[Finding::NoSignature]);
    finds_in_mbr(|plan| at(plan, 3).number = 5, &[Finding::NumberOutOfRange { number: 5, max: 4 }]);
    finds_in_mbr(
        |plan| at(plan, 3).mbr_type = 0,
        &[Finding::MixedScheme { what: "a partition's type" }],
    );
    finds_in_mbr(
        |plan| at(plan, 3).name = "sr".into(),
        &[Finding::MixedScheme { what: "a partition's name or GUID" }],
    );
    finds_in_mbr(
        |plan| plan.head.core_a = Some(extent(128, 300)),
        &[Finding::HeadMisplaced { what: "core image a" }],
    );
    finds_in_mbr(
        |plan| plan.head.core_b = Some(extent(600, 1031)),
        &[Finding::HeadOverlap { what: "core image b" }],
    );
    let volume = extent(256, 2048);
    finds_in_mbr(
        |plan| at(plan, 4).extent = volume,
        &[
            Finding::OutsideUsable { number: 4, extent: volume, first: 1, last: 2047 },
            Finding::Overlap { a: 4, b: 1 },
        ],
    );
}

#[test]
fn a_partition_beyond_what_an_mbr_can_address() {
    let geometry = Geometry::of_size(Bytes::gib(2048), BlockSize::B512);
    let request = TableRequest {
        layout: crate::table::LayoutChoice::Legacy,
        ..TableRequest::new(Firmware::Bios)
    };
    let mut plan = plan_table(geometry, &request, &mut Ids::from_seed([0; 32])).unwrap();
    assert_eq!(check(&plan), []);
    plan.geometry.blocks += 2048;
    let sr = at(&mut plan, 3);
    sr.extent = extent(sr.extent.first().get(), 1 << 32);
    let usable = Finding::OutsideUsable {
        number: 3,
        extent: sr.extent,
        first: 2048,
        last: u64::from(u32::MAX),
    };
    assert_eq!(check(&plan), [usable]);
}
