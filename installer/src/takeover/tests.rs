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
mod reports;
mod retry;
mod scene;

use scene::made::{self, database};
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

/// Nothing of the disk changes, and the exit code and text say why.
#[track_caller]
fn refused(made: Made, exit: Exit, want: &str) {
    let scene = Scene::new(made);
    let before = scene.fingerprint();
    let refusal = scene.plan().unwrap_err();
    assert_eq!(refusal.exit, exit, "{refusal}");
    assert!(refusal.message.contains(want), "{refusal}");
    assert_eq!(scene.upgrade(&["--confirm", "abc"]), exit);
    assert!(scene.fingerprint() == before, "{want}: the disk changed");
}

const VM: &str = "<row name__label=\"web\" is_a_template=\"false\" is_control_domain=\"false\" \
                  is_a_snapshot=\"false\"/>";

#[test]
fn hosts_that_would_lose_something_are_refused() {
    let no = Exit::NotUpgradeable;
    let usual = || Made::usual(Kind::MbrBios);
    let db =
        |change: &dyn Fn(String) -> String| usual().with("var/lib/xcp/state.db", database(change));
    let table = |text: String, name: &str, rows: &str| {
        text.replace(&format!("<table name=\"{name}\">"), &format!("<table name=\"{name}\">{rows}"))
    };
    refused(db(&|t| table(t, "VM", VM)), no, "lists 1 guests, such as \"web\"");
    refused(db(&|t| table(t, "host", "<row ref=\"h2\"/>")), no, "in a pool, its database lists 2");
    refused(db(&|t| t.replace("ha_enabled=\"false\"", "ha_enabled=\"true\"")), no, "availability");
    let vdi = "<row SR=\"s\" uuid=\"d\" name__label=\"web\" virtual_size=\"1073741824\"/>";
    refused(db(&|t| table(t, "VDI", vdi)), no, "database disagrees: disk d");
    // A repository that is not found is not one that never was.
    let lost = Made { sr: None, ..db(&|t| table(t, "VDI", vdi)) };
    refused(lost, no, "no storage repository is found on the disk");
    refused(usual().with("etc/xensource/pool.conf", "slave:192.0.2.1"), no, "a member of a pool");
    refused(usual().with("var/lib/xcp/state.db", "<database"), no, "database cannot be read");
    // A marker of the old host is no proof.
    let used = Made { sr: Some(made::USED), ..usual() };
    refused(used.with("var/preserve/safe2upgrade", ""), no, "is in use: volume LV-");
    refused(Made { sr: Some(made::TAGGED), ..Made::usual(Kind::GptBios) }, no, "tag host_4711");
    refused(Made { sr: Some(made::FOREIGN), ..Made::usual(Kind::GptBios) }, no, "debian-vg");
    let without = |path| Made { without: vec![path], ..usual() };
    refused(without("var/lib/misc/ran-storage-init"), no, "never finished a first boot");
    let scripts = usual().with("etc/firstboot.d/state/01-x", "");
    refused(scripts.with("etc/xensource-inventory", "reboot\n"), no, "not KEY='value'");
    refused(without("etc/xensource-inventory"), no, "another product");
}

#[test]
fn disks_that_do_not_fit_are_refused() {
    let no = Exit::Unsuitable;
    let usual = || Made::usual(Kind::MbrBios);
    refused(Made { gib: 40, ..usual() }, no, "46 GiB needed");
    refused(Made { gib: 46, ..usual() }, no, "1 MiB for the boot loader");
    let without = |path| Made { without: vec![path], ..usual() };
    refused(without("boot/grub/grub.cfg"), no, "how XenServer 7.1.0 on partition 1 is started");
    // Another firmware than the old host's.
    let scene = Scene::new(Made::usual(Kind::GptUefi));
    let mut facts = scene.facts();
    let (memory, cpus) = (partitioner::units::Bytes::gib(8), 4);
    let firmware = Firmware::Bios;
    facts.machine = Some(installer_core::takeover::MachineSize { firmware, memory, cpus });
    let release = Release::open(scene.release.dir()).unwrap();
    let mut ids = partitioner::ids::Ids::from_seed([9; 32]);
    let wish = installer_core::takeover::Wish::default();
    let refusal =
        installer_core::takeover::plan(&facts, release.manifest(), &wish, &mut ids).unwrap_err();
    assert_eq!(refusal.exit, no);
    assert!(refusal.message.contains("starts by UEFI"), "{refusal}");
}

#[test]
fn a_damaged_root_and_a_second_installation_are_refused() {
    let scene = Scene::new(Made::usual(Kind::MbrBios));
    let disk = format!("{}?offset={}", scene.disk().display(), 63 * 512);
    let call = Call::new("debugfs").args(["-w", "-R", "sif etc/hostname links_count 7"]);
    Processes.run(&call.arg(&disk)).unwrap();
    let before = scene.fingerprint();
    let refusal = scene.plan().unwrap_err();
    assert!(refusal.message.contains("has errors"), "{refusal}");
    assert_eq!(scene.upgrade(&[]), Exit::NotUpgradeable);
    assert!(scene.fingerprint() == before);

    // A copy of the root where the backup was.
    let scene = Scene::new(Made::usual(Kind::MbrBios));
    let file = File::options().read(true).write(true).open(scene.disk()).unwrap();
    let (start, _) = scene::old_root(Kind::MbrBios);
    let mut bytes = vec![0; 1 << 20];
    for mib in 0..256_u64 {
        file.read_exact_at(&mut bytes, start + (mib << 20)).unwrap();
        file.write_all_at(&bytes, start + (4 << 30) + (mib << 20)).unwrap();
    }
    let before = scene.fingerprint();
    assert!(matches!(scene.upgrade(&[]), Exit::DiskNotFound | Exit::RefusedToDestroy));
    assert!(scene.fingerprint() == before);
}
