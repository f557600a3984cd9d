//! A disk that boots, and each single defect that must stop it, or must not.
#![allow(clippy::arithmetic_side_effects, reason = "block numbers of a disk made up here")]
#![allow(clippy::disallowed_methods, reason = "the file system is made by another's tool")]

use super::Firmware;
use crate::disk::Span;
use crate::ext4::Ext4;

mod host;

use host::{BLOCKS, Host, ROOT, Ram, boots, env};

const BOOTS: &str = "boots 1.0 from slot a";
const LAST: u64 = BLOCKS - 1;

/// A name, what is done to a disk or a host, and what BIOS and UEFI then come to.
type Case<'c, T> = (&'static str, &'c dyn Fn(&mut T), &'static str, &'static str);

#[track_caller]
fn check(what: &str, disk: &Ram, bios: &str, uefi: &str) {
    for (firmware, want) in [(Firmware::Bios, bios), (Firmware::Uefi, uefi)] {
        let told = boots(firmware, disk);
        let same = if want == BOOTS { told == want } else { told.contains(want) };
        assert!(same, "{what}, {firmware:?}: {told}; expected {want}");
    }
}

/// The table by which each block of the disk that matters to a boot is damaged alone.
#[test]
fn each_defect_of_the_disk_has_its_end() {
    let good = Host::new().disk();
    let spoilt = |spoil: &dyn Fn(&mut Ram)| {
        let mut disk = good.clone();
        spoil(&mut disk);
        disk
    };
    let superblock = ROOT.0 + 2;
    let no_root = "starts slot a, which is not whole: no partition is PartUuid";
    let repaired = "boots 1.0 from slot a, [GptRepaired]";
    let dead = "ends in UEFI";
    let cases: [Case<'_, Ram>; 19] = [
        ("nothing", &|_| {}, BOOTS, BOOTS),
        ("LBA 0 is torn", &|d| d.put(0, &[0xA5; 512]), "ends in BIOS", dead),
        ("LBA 0 cannot be read", &|d| d.lose(0), "ends in BIOS: block 0 cannot be read", dead),
        ("LBA 0 has no signature", &|d| d.change(0, 510, 0xFF), "has no 55 AA", dead),
        ("its code is another", &|d| d.change(0, 9, 1), "unknown boot code", BOOTS),
        ("it loads another block", &|d| d.change(0, 0x5C, 1), "a whole core image", BOOTS),
        ("no protective entry", &|d| d.change(0, 0x1C2, 0xEE), "ends in GRUB", dead),
        ("the core is damaged", &|d| d.change(43, 77, 1), "a whole core image", BOOTS),
        ("the core cannot be read", &|d| d.lose(44), "a whole core image", BOOTS),
        ("the header has a wrong CRC", &|d| d.change(1, 16, 1), no_root, repaired),
        ("the header is gone", &|d| d.put(1, &[0; 512]), "no rescue record", repaired),
        ("the header cannot be read", &|d| d.lose(1), "no rescue record", repaired),
        ("the array has a wrong CRC", &|d| d.change(2, 60, 1), no_root, repaired),
        ("the backup has a wrong CRC", &|d| d.change(LAST, 16, 1), BOOTS, repaired),
        ("the backup array has one", &|d| d.change(LAST - 32, 60, 1), BOOTS, repaired),
        (
            "neither header has a right CRC",
            &|d| {
                d.change(1, 16, 1);
                d.change(LAST, 16, 1);
            },
            no_root,
            dead,
        ),
        ("a feature GRUB reads not", &|d| d.change(superblock, 0x61, 0x80), "0x8000", "0x8000"),
        ("a journal not replayed", &|d| d.change(superblock, 0x60, 4), BOOTS, BOOTS),
        (
            "no file system in the slot",
            &|d| d.change(superblock, 0x38, 1),
            "waits at the menu: slot a did not start: slot a is not on the disk",
            "slot a is not on the disk",
        ),
    ];
    for (what, spoil, bios, uefi) in cases {
        check(what, &spoilt(spoil), bios, uefi);
    }
}

/// The host without one of its files.
fn without(file: &'static str) -> impl Fn(&mut Host) {
    move |host| {
        let gone = host.boot.remove(file).or_else(|| host.root.remove(file));
        assert!(gone.is_some(), "{file}");
    }
}

/// What is missing from, or wrong in, the two file systems.
#[test]
fn each_defect_of_the_files_has_its_end() {
    let made = |change: &dyn Fn(&mut Host)| {
        let mut host = Host::new();
        change(&mut host);
        host.disk()
    };
    let state = |text: &'static str| {
        move |host: &mut Host| {
            for file in ["xenhost/state.env", "xenhost/state2.env"] {
                host.boot.insert(file, env(text));
            }
        }
    };
    let other = "ffffffff-0000-4000-8000-000000000001";
    let cases: [Case<'_, Host>; 14] = [
        ("no BOOTX64", &without("EFI/BOOT/BOOTX64.EFI"), BOOTS, "no system partition has EFI"),
        (
            "another BOOTX64",
            &|host| drop(host.boot.insert("EFI/BOOT/BOOTX64.EFI", vec![9; 3000])),
            BOOTS,
            "no system partition has EFI",
        ),
        (
            "no dispatcher",
            &without("xenhost/dispatch.cfg"),
            "no boot partition and no rescue record",
            "no boot partition and no rescue record",
        ),
        ("no state", &without("xenhost/state.env"), "[StateFromCopy]", "[StateFromCopy]"),
        ("no state in either", &state("slot=q\n"), "[StateLost]", "[StateLost]"),
        (
            "the other slot is chosen",
            &state("slot=b\nother=none\npending=0\n"),
            "slot b is not on the disk",
            "slot b is not on the disk",
        ),
        (
            "its tries are used up",
            &|host| {
                state("slot=a\nother=none\npending=1\n")(host);
                host.boot.insert("xenhost/tries.env", env("tries=0\n"));
            },
            "waits at the menu: there is no other system to boot",
            "there is no other system to boot",
        ),
        (
            "another PARTUUID",
            &|host| host.partuuid = other.to_owned(),
            "no partition is PartUuid",
            "no partition is PartUuid",
        ),
        (
            "another UUID",
            &|host| host.uuid = other.to_owned(),
            "slot a is not on the disk",
            "slot a is not on the disk",
        ),
        ("no slot.cfg", &without("boot/xenhost/slot.cfg"), "no xenhost", "no xenhost"),
        ("no Xen", &without("boot/xen.gz"), "/boot/xen.gz is missing", "/boot/xen.gz is missing"),
        ("no kernel", &without("boot/vmlinuz"), "vmlinuz is missing", "vmlinuz is missing"),
        ("no initrd", &without("boot/initrd"), "initrd is missing", "initrd is missing"),
        ("no version", &without("etc/version"), "which is not whole", "which is not whole"),
    ];
    for (what, change, bios, uefi) in cases {
        check(what, &made(change), bios, uefi);
    }
}

/// The message of an interrupted installation, on whatever firmware.
#[test]
fn an_unfinished_installation_says_so() {
    let mut disk = Host::new().disk();
    let mut lba0 = b"\xFA xenhost: installation not finished".to_vec();
    lba0.resize(510, 0);
    lba0.extend([0x55, 0xAA]);
    disk.put(0, &lba0);
    let told = "says that the installation is not finished";
    check("message", &disk, told, told);
}

/// Bytes of files of all kinds, from a file system that mke2fs made, and none from a damaged one.
#[test]
fn files_are_read_as_they_were_written() {
    let mut host = Host::new();
    let long: Vec<u8> = (0..=99_u8).cycle().take(1_234_567).collect();
    host.root.insert("srv/long", long.clone());
    host.root.insert("srv/empty", Vec::new());
    let names: Vec<String> = (0..600).map(|n| format!("many/file-with-a-long-name-{n}")).collect();
    let disk = {
        let names: Vec<&'static str> = names.into_iter().map(|name| &*name.leak()).collect();
        host.root.extend(names.iter().map(|name| (*name, name.as_bytes().to_vec())));
        host.disk()
    };
    let span = Span::new(ROOT.0, ROOT.1);
    let files = Ext4::open(&disk, span).unwrap();
    assert!(files.read("srv/long").unwrap() == long);
    assert_eq!(files.read("/srv/empty").unwrap(), []);
    for path in ["many/file-with-a-long-name-0", "many/file-with-a-long-name-599"] {
        assert_eq!(files.read(path).unwrap(), path.as_bytes());
    }
    assert!(!files.has("many") && !files.has("srv/none") && !files.has("srv/long/er"));
    // Whichever block of its first MiB is garbage: an answer, and the file or an error.
    for block in (ROOT.0..ROOT.0 + 2048).step_by(61) {
        let mut torn = disk.clone();
        torn.put(block, &[0xA5; 512]);
        if let Ok(files) = Ext4::open(&torn, span) {
            let _told = (files.read("srv/long"), files.has("many/file-with-a-long-name-7"));
        }
    }
}
