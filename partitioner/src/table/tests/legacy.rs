//! The 4 GiB layouts, and the geometry of existing hosts.

use super::{BIOS, UEFI, refused, table, text};
use crate::ids::{Guid, Ids};
use crate::layout::{BASIC_DATA, Compat, Kind, LayoutName, Role, Scheme};
use crate::table::{Geometry, LayoutChoice, SrChoice, TablePlan, TableRequest, plan_table};
use crate::units::{BlockSize, Bytes};

const COMPAT: TableRequest = TableRequest { compat: Compat::Xenserver, ..UEFI };

fn legacy(request: TableRequest) -> TableRequest {
    TableRequest { layout: LayoutChoice::Legacy, ..request }
}

fn plan(size: Bytes, request: &TableRequest) -> TablePlan {
    let geometry = Geometry::of_size(size, BlockSize::B512);
    plan_table(geometry, request, &mut Ids::from_seed([0; 32])).unwrap()
}

#[test]
fn auto_is_legacy_below_46_gib_and_refuses_below_12() {
    let below = |gib| Bytes::new(Bytes::gib(gib).get() - 512);
    for (request, scheme) in [(BIOS, Scheme::Mbr), (UEFI, Scheme::Gpt)] {
        for size in [Bytes::gib(12), below(46)] {
            let plan = plan(size, &request);
            assert_eq!((plan.layout, plan.scheme), (LayoutName::Legacy, scheme), "{size}");
        }
        assert_eq!(plan(Bytes::gib(46), &request).layout, LayoutName::Modern);
        let told = "the disk has 11.9 GiB, 12 GiB needed";
        refused(below(12), BlockSize::B512, &request, told);
        refused(below(12), BlockSize::B512, &legacy(request), told);
    }
}

#[test]
fn legacy_on_bios() {
    table(
        Bytes::gib(12),
        &BIOS,
        "
        4 boot 256-2047 896 KiB
        1 root 2048-8390655 4 GiB
        2 backup 8390656-16779263 4 GiB
        3 sr 16779264-25165823 3.9 GiB",
    );
    let plan = plan(Bytes::gib(12), &BIOS);
    let shown: Vec<_> =
        plan.partitions.iter().map(|p| (p.number, p.mbr_type, p.attributes)).collect();
    assert_eq!(shown, [(4, 1, 0), (1, 0x83, 0x80), (2, 0x83, 0), (3, 0x8E, 0)]);
    assert_ne!(plan.mbr_signature, 0);
    let root = plan.partition(Role::Root).unwrap();
    assert_eq!(plan.partuuid(root).to_string(), format!("{:08x}-01", plan.mbr_signature));
}

#[test]
fn legacy_on_uefi() {
    table(
        Bytes::gib(12),
        &UEFI,
        "
        4 boot 2048-1050623 512 MiB
        1 root 1050624-8390655 3.5 GiB
        2 backup 8390656-16779263 4 GiB
        3 sr 16779264-25165790 3.9 GiB",
    );
    assert_eq!(
        text(Bytes::gib(12), BlockSize::B4096, &UEFI),
        "4 boot 256-131327 512 MiB\n1 root 131328-1048831 3.5 GiB\n\
         2 backup 1048832-2097407 4 GiB\n3 sr 2097408-3145722 3.9 GiB\n"
    );
}

#[test]
fn legacy_without_an_sr_has_no_number_3() {
    for request in [UEFI, BIOS] {
        let request = TableRequest { sr: SrChoice::None, ..request };
        let mut numbers: Vec<u32> =
            plan(Bytes::gib(12), &request).partitions.iter().map(|p| p.number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 4]);
    }
}

#[test]
fn what_an_mbr_cannot_do_is_refused_by_name() {
    let bios = legacy(BIOS);
    let told = "layout legacy with BIOS is an MBR, which reaches 2 TiB, and the disk has 2 TiB: \
                choose layout modern, which has a GPT";
    let tib2 = Bytes::gib(2048);
    refused(Bytes::new(tib2.get() + 512), BlockSize::B512, &bios, told);
    let text = text(tib2, BlockSize::B512, &bios);
    assert!(text.ends_with("3 sr 16779264-4294967295 1.9 TiB\n"), "{text}");
    let told = "boot_size 512 MiB is given, and layout legacy with BIOS has a boot volume of \
                896 KiB";
    let boot = TableRequest { boot_size: Some(Bytes::mib(512)), ..bios };
    refused(Bytes::gib(20), BlockSize::B512, &boot, told);
    let told = "a disk with 4096-byte sectors cannot be started by BIOS: 4096-byte sectors need \
                UEFI";
    refused(Bytes::gib(20), BlockSize::B4096, &bios, told);
}

/// The numbers of a real host, of 100 GiB.
#[test]
fn the_geometry_of_existing_hosts() {
    let want = "
        5 logs 2048-8390655 4 GiB
        2 backup 8390656-46139391 18 GiB
        1 root 46139392-83888127 18 GiB
        4 boot 83888128-84936703 512 MiB
        6 swap 84936704-87033855 1 GiB";
    let sr = "\n        3 sr 87033856-209715166 58.4 GiB";
    for request in [COMPAT, TableRequest { compat: Compat::Xenserver, ..BIOS }] {
        table(Bytes::gib(100), &request, &format!("{want}{sr}"));
        table(Bytes::gib(100), &TableRequest { sr: SrChoice::None, ..request }, want);
    }
}

#[test]
fn the_types_and_names_of_existing_hosts() {
    let shown = |request| -> Vec<(String, Guid)> {
        let plan = plan(Bytes::gib(100), &request);
        plan.partitions.iter().map(|p| (p.name.clone(), p.type_guid)).collect()
    };
    let (esp, swap) = (Kind::EfiSystem.gpt_type(), Kind::LinuxSwap.gpt_type());
    let (data, lvm) = (Kind::LinuxData.gpt_type(), Kind::LinuxLvm.gpt_type());
    let table = |names: [&str; 6], types: [Guid; 6]| -> Vec<(String, Guid)> {
        names.iter().map(ToString::to_string).zip(types).collect()
    };
    let ours = ["logs", "backup", "root", "boot", "swap", "sr"];
    assert_eq!(shown(UEFI), table(ours, [data, data, data, esp, swap, lvm]));
    let theirs = ["logs", "backup", "root", "ESP", "swap", "localsr"];
    let types = [BASIC_DATA, BASIC_DATA, BASIC_DATA, esp, swap, lvm];
    assert_eq!(shown(COMPAT), table(theirs, types));
}

#[test]
fn a_boot_size_counts_more_than_compat() {
    let request = TableRequest { boot_size: Some(Bytes::gib(1)), ..COMPAT };
    let plan = plan(Bytes::gib(100), &request);
    assert_eq!(plan.size_of(plan.partition(Role::Boot).unwrap()), Bytes::gib(1));
}
