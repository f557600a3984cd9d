//! Tables as text a person can check against the layout, and properties over all sizes.

use std::fmt::Write as _;

mod legacy;
mod preserve;

use super::*;
use crate::check::check;

/// The table of a disk, one line per partition, or the error.
fn text(size: Bytes, block_size: BlockSize, request: &TableRequest) -> String {
    let geometry = Geometry::of_size(size, block_size);
    let plan = match plan_table(geometry, request, &mut Ids::from_seed([0; 32])) {
        Ok(plan) => plan,
        Err(error) => return error.to_string(),
    };
    assert_eq!(check(&plan), [], "the judge agrees");
    let mut out = String::new();
    for planned in &plan.partitions {
        let Planned { number, role, extent, .. } = planned;
        writeln!(out, "{number} {role} {extent} {}", plan.size_of(planned)).unwrap();
    }
    out
}

#[track_caller]
fn table(size: Bytes, request: &TableRequest, want: &str) {
    let have = text(size, BlockSize::B512, request);
    assert!(have.lines().eq(want.trim().lines().map(str::trim)), "{have}");
}

#[track_caller]
fn refused(size: Bytes, block_size: BlockSize, request: &TableRequest, want: &str) {
    assert_eq!(text(size, block_size, request), want);
}

const UEFI: TableRequest = TableRequest::new(Firmware::Uefi);
const BIOS: TableRequest = TableRequest::new(Firmware::Bios);
const SMALL_BOOT: TableRequest = TableRequest { boot_size: Some(Bytes::mib(512)), ..UEFI };
const NO_SR: TableRequest = TableRequest { sr: SrChoice::None, ..UEFI };

#[test]
fn sixty_gib() {
    table(
        Bytes::gib(60),
        &UEFI,
        "
        5 logs 2048-8390655 4 GiB
        2 backup 8390656-46139391 18 GiB
        1 root 46139392-83888127 18 GiB
        4 boot 83888128-94373887 5 GiB
        6 swap 94373888-96471039 1 GiB
        3 sr 96471040-125829086 13.9 GiB",
    );
}

#[test]
fn hundred_gib_with_the_boot_size_of_existing_hosts() {
    table(
        Bytes::gib(100),
        &SMALL_BOOT,
        "
        5 logs 2048-8390655 4 GiB
        2 backup 8390656-46139391 18 GiB
        1 root 46139392-83888127 18 GiB
        4 boot 83888128-84936703 512 MiB
        6 swap 84936704-87033855 1 GiB
        3 sr 87033856-209715166 58.4 GiB",
    );
}

#[test]
fn exactly_46_gib_takes_2_mib_from_boot_and_has_no_sr() {
    table(
        Bytes::gib(46),
        &BIOS,
        "
        5 logs 2048-8390655 4 GiB
        2 backup 8390656-46139391 18 GiB
        1 root 46139392-83888127 18 GiB
        4 boot 83888128-94369791 4.9 GiB
        6 swap 94369792-96466943 1 GiB",
    );
}

#[test]
fn without_an_sr_its_number_is_absent_and_no_other_changes() {
    table(
        Bytes::gib(60),
        &NO_SR,
        "
        5 logs 2048-8390655 4 GiB
        2 backup 8390656-46139391 18 GiB
        1 root 46139392-83888127 18 GiB
        4 boot 83888128-94373887 5 GiB
        6 swap 94373888-96471039 1 GiB",
    );
}

#[test]
fn an_sr_under_1_gib_is_not_made() {
    // The rest is what the 46 GiB, the head of 1 MiB and the backup GPT of 33 blocks leave.
    let full = Bytes::new((47 << 30) + (1 << 20) + 33 * 512);
    assert!(text(full, BlockSize::B512, &UEFI).contains("3 sr 96471040-98568191 1 GiB"));
    let less = Bytes::new(full.get() - 512);
    assert!(!text(less, BlockSize::B512, &UEFI).contains("sr"));
}

#[test]
fn four_k_blocks() {
    let text = text(Bytes::gib(60), BlockSize::B4096, &UEFI);
    let want = "5 logs 256-1048831 4 GiB\n2 backup 1048832-5767423 18 GiB\n\
        1 root 5767424-10486015 18 GiB\n4 boot 10486016-11796735 5 GiB\n\
        6 swap 11796736-12058879 1 GiB\n3 sr 12058880-15728634 13.9 GiB\n";
    assert_eq!(text, want);
}

#[test]
fn unsuitable_disks_are_refused_with_both_values() {
    let below = |size: Bytes| Bytes::new(size.get() - 512);
    refused(below(Bytes::gib(12)), BlockSize::B512, &UEFI, "the disk has 11.9 GiB, 12 GiB needed");
    let modern = TableRequest { layout: LayoutChoice::Modern, ..UEFI };
    refused(
        Bytes::gib(40),
        BlockSize::B512,
        &modern,
        "layout modern needs 46 GiB, the disk has 40 GiB",
    );
    refused(
        Bytes::gib(60),
        BlockSize::B4096,
        &BIOS,
        "a disk with 4096-byte sectors cannot be started by BIOS: 4096-byte sectors need UEFI",
    );
    refused(
        Bytes::gib(60),
        BlockSize::new(2048).unwrap(),
        &UEFI,
        "the disk has blocks of 2048 bytes, 512 or 4096 needed",
    );
}

#[test]
fn boot_sizes_are_checked() {
    let boot = |size| TableRequest { boot_size: Some(size), ..UEFI };
    refused(
        Bytes::gib(60),
        BlockSize::B512,
        &boot(Bytes::mib(299)),
        "boot_size 299 MiB is not between 300 MiB and 64 GiB",
    );
    refused(
        Bytes::gib(60),
        BlockSize::B512,
        &boot(Bytes::new((512 << 20) + 1)),
        "boot_size of 536870913 bytes is not a whole number of MiB",
    );
    refused(
        Bytes::gib(60),
        BlockSize::B512,
        &boot(Bytes::gib(20)),
        "layout modern needs 61 GiB, the disk has 60 GiB",
    );
}

#[test]
fn other_identifiers_leave_everything_else_alone() {
    let geometry = Geometry::of_size(Bytes::gib(60), BlockSize::B512);
    let one = plan_table(geometry, &UEFI, &mut Ids::from_seed([1; 32])).unwrap();
    let two = plan_table(geometry, &UEFI, &mut Ids::from_seed([2; 32])).unwrap();
    assert_ne!(one, two);
    assert_eq!(one.draw(&mut Ids::from_seed([2; 32])), two);
}

#[test]
fn what_may_be_written_spares_the_middle_of_the_sr() {
    let geometry = Geometry::of_size(Bytes::gib(60), BlockSize::B512);
    let plan = plan_table(geometry, &UEFI, &mut Ids::from_seed([0; 32])).unwrap();
    let shown = |set: Vec<Extent>| set.iter().map(ToString::to_string).collect::<Vec<_>>();
    // The SR is 96471040-125829086: its first MiB, and its last joined with the end of the disk.
    assert_eq!(shown(write_set(&plan)), ["0-96473087", "125827039-125829119"]);
    let wiped = shown(wipe_set(&plan));
    // LBA 0 holds the message, and 66 to 127 what was there before.
    assert_eq!(wiped[..2], ["1-65", "128-4095"]);
    for extent in wipe_set(&plan) {
        assert!(write_set(&plan).iter().any(|allowed| allowed.contains(extent)), "{extent}");
    }
}
