//! Takeovers of old hosts on image files, judged by the boot oracle and by other people's tools.
#![allow(clippy::disallowed_methods, reason = "sfdisk reads its table from its standard input")]

use std::fs::File;
use std::os::unix::fs::FileExt;

use installer_core::bootstate::{Other, Slot, Trial};
use installer_core::outcome::Exit;
use partitioner::table::TablePlan;

use super::*;
use crate::call::{Call, Processes, Run};
use crate::testing;

mod answers;
mod begun_again;
mod own;
mod reports;
mod retry;
mod rows;
mod scene;
mod surroundings;

use scene::made;
use scene::{Kind, Made, Scene};

fn uuid(id: partitioner::ids::Guid) -> [u8; 16] {
    id.to_bytes()
}

/// By what an installed slot a says of itself, or nothing of ours.
fn slots(scene: &Scene) -> boot_oracle::Slots {
    let inventory = scene.own().and_then(|own| own.slot(Slot::A).inventory);
    let fs = |key: &str| inventory.as_ref().map_or([0; 16], |i| uuid(i.fs_uuid[key]));
    boot_oracle::Slots {
        uuid_a: fs("root_a"),
        uuid_b: fs("root_b"),
        uuid_old: Some(scene.old_uuid),
        rescue_at: vec![66, 34],
    }
}

fn digest(scene: &Scene) -> String {
    scene.plan().unwrap().digest
}

fn check_tables(scene: &Scene, table: &TablePlan) {
    let said = Processes.run(&Call::new("sgdisk").arg("-v").arg(scene.disk())).unwrap();
    assert!(said.stdout_text().contains("No problems found"), "{}", said.stdout_text());
    let root = table.partition(Role::Root).unwrap().extent.first().get() * 512;
    let disk = format!("{}?offset={root}", scene.disk().display());
    Processes.run(&Call::new("e2fsck").arg("-fn").arg(disk)).unwrap();
}

#[test]
fn an_old_host_is_taken_over_and_stays_to_fall_back_to() {
    for kind in Kind::ALL {
        let scene = Scene::new(Made::usual(kind));
        assert_eq!(scene.boots(&slots(&scene))[0], "boots old from the old system", "{kind:?}");
        let before = scene.old_bytes();
        let untouched = scene.fingerprint();
        assert_eq!(scene.upgrade(&[]), Exit::RefusedToDestroy, "{kind:?}: not confirmed");
        assert_eq!(scene.upgrade(&["--confirm", "abc"]), Exit::RefusedToDestroy);
        assert!(scene.fingerprint() == untouched, "{kind:?}: a plan writes nothing");
        let table = scene.plan().unwrap().tables.trial;
        assert_eq!(scene.upgrade(&["--confirm", &digest(&scene)]), Exit::Done, "{kind:?}");
        assert!(scene.old_bytes() == before, "{kind:?}: the old root is what it was");
        let (new, old) = ("boots new from slot a", "boots old from the old system");
        let fell = format!("{old}, [FellBack]");
        assert_eq!(scene.boots(&slots(&scene)), [new, old, &fell], "{kind:?}");
        check_tables(&scene, &table);
    }
}

/// The new system is the old host by name, network and keys, and says where it came from.
fn check_new_system(scene: &Scene) {
    let own = scene.own().unwrap();
    let at = own.table.partition(Role::Root).unwrap().extent;
    let root = SlotRoot::open(&scene.disk(), scene::SIZE, at).unwrap();
    let has = |path: &str| upgrade::root::text(&root, path, 1 << 20).unwrap();
    assert_eq!(has("etc/hostname"), "old-host\n");
    assert_eq!(has("etc/machine-id"), "0123456789abcdef0123456789abcdef\n");
    assert_eq!(has("etc/ssh/ssh_host_rsa_key"), "private");
    assert_eq!(has("root/.ssh/authorized_keys"), "ssh-ed25519 AAAA ann\n");
    assert!(has("etc/shadow").starts_with(&format!("root:{}:", made::HASH)));
    let fstab = has("etc/fstab");
    let logs = fstab.lines().find(|line| line.contains(" /var/log ")).unwrap();
    assert!(logs.contains("nofail") && logs.contains("device-timeout=10s"), "{logs}");
    assert!(has("etc/xenhost/taken-over.json").contains("\"XenServer\""));
}

/// Trial, bless, finish, and an upgrade that would come too early.
#[test]
fn a_blessed_takeover_is_finished() {
    for kind in Kind::ALL {
        let scene = Scene::new(Made::usual(kind));
        let before = scene.old_bytes();
        assert_eq!(scene.upgrade(&["--confirm", &digest(&scene)]), Exit::Done, "{kind:?}");
        check_new_system(&scene);
        assert_eq!(scene.verify(), Exit::Done, "{kind:?}: a trial is whole");
        assert_eq!(scene.finish(), Exit::NotUpgradeable, "{kind:?}: not blessed");
        scene.bless();
        assert_eq!(scene.verify(), Exit::NotUpgradeable, "{kind:?}: to be finished");
        assert_eq!(scene.upgrade(&[]), Exit::NotUpgradeable, "{kind:?}: finish first");
        assert!(scene.old_bytes() == before, "{kind:?}");
        let slots = slots(&scene);
        assert_eq!(scene.finish(), Exit::Done, "{kind:?}");
        let (new, copy) = ("boots new from slot a", "boots old from slot b, [FellBack]");
        assert_eq!(scene.boots(&slots), [new, new, copy], "{kind:?}");
        let state = scene.own().unwrap().boot.state;
        assert_eq!((state.slot, state.other, state.trial), (Slot::A, Other::B, Trial::Over));
        check_finished(&scene);
        assert_eq!(scene.finish(), Exit::Done, "{kind:?}: nothing is left");
        assert_eq!(scene.verify(), Exit::Done, "{kind:?}");
        assert_eq!(scene.rollback(), Exit::Done, "{kind:?}");
        assert_eq!(scene.boots(&slots)[0], "boots old from slot b", "{kind:?}");
        assert_eq!(scene.rollback(), Exit::Done, "{kind:?}");
        assert_eq!(scene.boots(&slots)[0], new, "{kind:?}");
    }
}

fn check_finished(scene: &Scene) {
    let own = scene.own().unwrap();
    let numbers: Vec<u32> = own.table.partitions.iter().map(|p| p.number).collect();
    assert_eq!(numbers, [5, 2, 1, 4, 6, 3]);
    check_tables(scene, &own.table);
    for role in [Role::Backup, Role::Logs] {
        let at = own.table.partition(role).unwrap().extent.first().get() * 512;
        let disk = format!("{}?offset={at}", scene.disk().display());
        Processes.run(&Call::new("e2fsck").arg("-fn").arg(disk)).unwrap();
    }
    let extent = own.table.partition(Role::Backup).unwrap().extent;
    let root = SlotRoot::open(&scene.disk(), scene::SIZE, extent).unwrap();
    let has = |path: &str| upgrade::root::text(&root, path, 1 << 20).unwrap();
    let fstab = has("etc/fstab");
    assert!(fstab.starts_with("LABEL=oldroot-"), "{fstab}");
    assert!(has("boot/xenhost/slot.cfg").contains("'root=LABEL=oldroot-"));
    assert_eq!(has("etc/xensource/pool.conf"), "master");
}
