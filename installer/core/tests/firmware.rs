//! The boot loader's scripts, run by the boot loader: GRUB in `SeaBIOS`, from a disk with the real
//! partition table. What would be Xen is a script that says which slot it is and stops.
//!
//! Needs qemu-system-x86_64, grub-mkimage with its BIOS modules, grub-script-check, mkfs.vfat,
//! mtools and mke2fs: `cargo xtask setup` installs them.
#![expect(clippy::disallowed_methods, reason = "this test runs GRUB and QEMU on a scratch disk")]
#![expect(
    clippy::unwrap_used,
    reason = "a test may stop wherever something is not as it should be"
)]
#![expect(clippy::arithmetic_side_effects, reason = "offsets of a disk that the test laid out")]

use std::path::Path;

use installer_core::bootcfg::{BootConf, BootFiles, Dispatch, dispatch_cfg, slot_cfg};
use installer_core::bootstate::{BootState, Other, Slot, Trial, tries_block};
use installer_core::dom0_size::Dom0Size;
use partitioner::ids::Guid;
use partitioner::partuuid::PartUuid;

#[path = "firmware/machine.rs"]
mod machine;

use machine::{Disk, Files, Media, SLOT_A, SLOT_B, Starts, run};

const GARBAGE: [u8; 1024] = [0xA5; 1024];
/// The menu of a trial that is over and has nothing behind it.
const ASKS: &str = "start slot a, which is on trial";

fn state(slot: Slot, other: Other, trial: Trial) -> Vec<u8> {
    BootState { slot, other, trial, generation: 3 }.encode().to_vec()
}

/// Slot b on trial with a to fall back to, and what was true before the upgrade in the copy.
fn trial(tries: &[u8]) -> Files {
    Files {
        state: state(Slot::B, Other::A, Trial::Pending),
        copy: state(Slot::A, Other::None, Trial::Over),
        tries: tries.to_vec(),
    }
}

fn steady(slot: Slot, other: Other) -> Files {
    let state = state(slot, other, Trial::Over);
    Files { state: state.clone(), copy: state, tries: tries_block(3).to_vec() }
}

/// Boots once; each text must be said, in this order. Returns what `tries.env` holds then.
#[track_caller]
fn says(disk: &Disk, media: Media, texts: &[&str]) -> String {
    said_by(disk, Starts::Bios, media, texts);
    disk.tries()
}

/// The same in either firmware.
#[track_caller]
fn said_by(disk: &Disk, starts: Starts, media: Media, texts: &[&str]) {
    let said = disk.boot(starts, media);
    let mut rest = said.as_str();
    for text in texts {
        let Some((_, after)) = rest.split_once(text) else {
            panic!("`{text}` was not said, or not in its place, in\n{said}");
        };
        rest = after;
    }
}

#[test]
fn grub_accepts_the_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let dispatch = Dispatch { slot_a: SLOT_A, slot_b: SLOT_B };
    let conf =
        BootConf::new(PartUuid::Gpt(Guid::from_u128(1)), Dom0Size { memory_mib: 1168, vcpus: 2 });
    let files = ["1", "2"].map(|v| {
        BootFiles::new("/boot/xen.gz", &format!("/boot/vmlinuz-{v}"), "/boot/initrd").unwrap()
    });
    let texts = [dispatch_cfg(&dispatch), slot_cfg(&conf, &files), slot_cfg(&conf, &[])];
    for (number, text) in texts.iter().enumerate() {
        let path = folder.path().join(number.to_string());
        std::fs::write(&path, text).unwrap();
        run("grub-script-check", &[path.as_os_str()]);
    }
}

#[test]
fn a_trial_is_counted_and_then_given_up() {
    let disk = Disk::make();
    disk.put(&trial(&tries_block(3)));
    let trial_of_b =
        ["xenhost: slot b is on trial", "xenhost: booting slot b", "MARK b hd0,gpt2 xenhost.trial"];
    assert_eq!(says(&disk, Media::Writable, &trial_of_b), "2");
    assert_eq!(says(&disk, Media::Writable, &trial_of_b), "1");
    assert_eq!(says(&disk, Media::Writable, &trial_of_b), "0");
    let given_up =
        ["started three times and not blessed", "xenhost: booting slot a", "MARK a hd0,gpt1 ."];
    assert_eq!(says(&disk, Media::Writable, &given_up), "0");
}

#[test]
fn a_try_that_cannot_be_counted_is_not_made() {
    let disk = Disk::make();
    disk.put(&trial(&GARBAGE));
    says(&disk, Media::Writable, &["count of tries cannot be read", "MARK a hd0,gpt1"]);
    disk.put(&trial(b"# GRUB Environment Block\ntries=9\n"));
    says(&disk, Media::Writable, &["count of tries cannot be read", "MARK a hd0,gpt1"]);
    disk.put(&trial(&tries_block(2)));
    let said = ["count of tries cannot be saved", "xenhost: booting slot a", "MARK a hd0,gpt1"];
    assert_eq!(says(&disk, Media::ReadOnly, &said), "2");
}

/// In both firmwares: each boot finds the same, and would find it for ever if it started the trial.
#[test]
fn a_counter_on_a_bad_sector_never_loops() {
    const FELL: &str = "MARK a hd0,gpt1 .";
    let disk = Disk::make();
    disk.put(&trial(&tries_block(3)));
    for starts in [Starts::Bios, Starts::Uefi] {
        let unreadable = ["count of tries cannot be read", "xenhost: booting slot a", FELL];
        said_by(&disk, starts, Media::CounterUnreadable, &unreadable);
        let unwritable = ["count of tries cannot be saved", "xenhost: booting slot a", FELL];
        said_by(&disk, starts, Media::CounterUnwritable, &unwritable);
        assert_eq!(disk.tries(), "3", "{starts:?}");
    }
    disk.put(&trial(&GARBAGE));
    said_by(&disk, Starts::Uefi, Media::Writable, &["count of tries cannot be read", FELL]);
}

#[test]
fn a_bad_counter_without_another_system_waits_at_the_menu() {
    let disk = Disk::make();
    let pending = state(Slot::A, Other::None, Trial::Pending);
    disk.put(&Files { state: pending.clone(), copy: pending, tries: tries_block(3).to_vec() });
    let said = disk.boot_until(Starts::Bios, Media::CounterUnreadable, ASKS);
    assert!(said.contains("count of tries cannot be read"), "{said}");
    assert!(!said.contains("booting slot"), "{said}");
    let none = "there is no other system to boot";
    for starts in [Starts::Bios, Starts::Uefi] {
        let said = disk.boot_until(starts, Media::CounterUnwritable, none);
        assert!(said.contains("count of tries cannot be saved"), "{starts:?}: {said}");
        assert!(!said.contains("booting slot"), "{starts:?}: {said}");
    }
}

#[test]
fn without_another_system_it_waits_at_the_menu() {
    let disk = Disk::make();
    let pending = state(Slot::A, Other::None, Trial::Pending);
    disk.put(&Files { state: pending.clone(), copy: pending, tries: tries_block(0).to_vec() });
    let said = disk.boot_until(Starts::Bios, Media::Writable, ASKS);
    assert!(said.contains("there is no other system to boot"), "{said}");
    assert!(!said.contains("booting slot"), "{said}");
}

#[test]
fn a_damaged_state_is_survived() {
    let disk = Disk::make();
    let good = steady(Slot::B, Other::A);
    disk.put(&Files { state: GARBAGE.to_vec(), ..good.clone() });
    says(&disk, Media::Writable, &["its copy is used", "MARK b hd0,gpt2"]);
    let half = b"# GRUB Environment Block\nslot=b\nother=a\npending=x\ngen=1\n".to_vec();
    disk.put(&Files { state: half, ..good.clone() });
    says(&disk, Media::Writable, &["its copy is used", "MARK b hd0,gpt2"]);
    disk.put(&Files { copy: GARBAGE.to_vec(), ..good.clone() });
    says(&disk, Media::Writable, &["MARK b hd0,gpt2"]);
    disk.put(&Files { state: GARBAGE.to_vec(), copy: GARBAGE.to_vec(), ..good });
    says(&disk, Media::Writable, &["slot a is taken", "MARK a hd0,gpt1"]);
}

#[test]
fn a_fresh_installation_boots_slot_a_without_counting() {
    let disk = Disk::make();
    let fresh = BootState::FRESH.encode().to_vec();
    disk.put(&Files { state: fresh.clone(), copy: fresh, tries: tries_block(3).to_vec() });
    assert_eq!(says(&disk, Media::Writable, &["xenhost: booting slot a", "MARK a hd0,gpt1"]), "3");
}

#[test]
fn a_slot_that_does_not_start_gives_way_to_the_other() {
    let mut disk = Disk::make();
    let conf =
        BootConf::new(PartUuid::Gpt(Guid::from_u128(1)), Dom0Size { memory_mib: 1168, vcpus: 2 });
    let old = BootFiles::new("/boot/xen.gz", "/boot/vmlinuz-old", "/boot/initrd-old").unwrap();
    let new = BootFiles::new("/boot/xen.gz", "/boot/vmlinuz-new", "/boot/initrd-new").unwrap();
    // Every file of the older kernel is there, but Xen is not: nothing may be loaded.
    disk.write_slot(Slot::B, &slot_cfg(&conf, &[new, old]), &["vmlinuz-old", "initrd-old"]);
    disk.put(&trial(&tries_block(3)));
    let said = [
        "xenhost: booting slot b",
        "xenhost: /boot/xen.gz is missing",
        "xenhost: /boot/xen.gz is missing",
        "no Xen and kernel of this slot could be started",
        "xenhost: slot b did not start",
        "MARK a hd0,gpt1 .",
    ];
    assert_eq!(says(&disk, Media::Writable, &said), "2");
    disk.put(&steady(Slot::B, Other::A));
    says(&disk, Media::Writable, &["xenhost: slot b did not start", "MARK a hd0,gpt1"]);
    assert!(Path::new(&disk.path()).exists());
}
