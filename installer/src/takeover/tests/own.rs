//! Hosts of ours that leave the layout legacy.

use installer_core::bootstate::BootState;
use partitioner::layout::LayoutName;

use super::*;

const NEW: &str = "boots new from slot a";
const OLD: &str = "boots old from the old system";

#[test]
fn a_host_of_ours_goes_to_the_layout_modern() {
    for kind in Kind::OWN {
        let scene = Scene::new(Made::usual(kind));
        assert_eq!(scene.boots(&slots(&scene))[0], "boots old from slot a", "{kind:?}");
        let before = scene.old_bytes();
        let untouched = scene.fingerprint();
        assert_eq!(scene.upgrade(&[]), Exit::RefusedToDestroy, "{kind:?}: not confirmed");
        assert!(scene.fingerprint() == untouched, "{kind:?}: a plan writes nothing");
        let plan = scene.plan().unwrap();
        assert_eq!(scene.upgrade(&["--confirm", &plan.digest]), Exit::Done, "{kind:?}");
        assert!(scene.old_bytes() == before, "{kind:?}: the old root is what it was");
        let slots = slots(&scene);
        assert_eq!(scene.boots(&slots), [NEW, OLD, &format!("{OLD}, [FellBack]")], "{kind:?}");
        check_tables(&scene, &plan.tables.trial);
        assert_eq!(scene.verify(), Exit::Done, "{kind:?}: a trial is whole");
        scene.bless();
        assert_eq!(scene.finish(), Exit::Done, "{kind:?}");
        let copy = "boots old from slot b, [FellBack]";
        assert_eq!(scene.boots(&slots), [NEW, NEW, copy], "{kind:?}");
        assert_eq!(scene.verify(), Exit::Done, "{kind:?}");
        assert_eq!(scene.finish(), Exit::Done, "{kind:?}: nothing is left");
        assert_eq!(scene.rollback(), Exit::Done, "{kind:?}");
        assert_eq!(scene.boots(&slots)[0], "boots old from slot b", "{kind:?}");
        assert_eq!(scene.rollback(), Exit::Done, "{kind:?}");
        assert_eq!(scene.boots(&slots)[0], NEW, "{kind:?}");
    }
}

fn root_in(scene: &Scene, role: Role) -> SlotRoot {
    let own = scene.own().unwrap();
    let at = own.table.partition(role).unwrap().extent;
    SlotRoot::open(&scene.disk(), scene::SIZE, at).unwrap()
}

fn has(root: &SlotRoot, path: &str) -> String {
    upgrade::root::text(root, path, 1 << 20).unwrap()
}

/// The new system is configured as by an upgrade, and its own files name the new disk; so do those
/// of the copy.
#[test]
fn configuration_moves_and_each_slot_has_its_own() {
    for kind in Kind::OWN {
        let scene = Scene::new(
            Made::usual(kind)
                .with("etc/xen/auto/web.cfg", "name = \"auto\"\n")
                .with("etc/nagios/nrpe.cfg", "port=5666\n")
                .with("etc/site.conf", "x\n"),
        );
        let old = scene.own().unwrap().slot(Slot::A).inventory.unwrap();
        let keep = ["--keep", "etc/nagios"];
        let told = by_hand(&scene, &[&keep[..], &["--confirm", "abc"]].concat()).1;
        let digest = told.split_whitespace().find(|word| word.len() == 65).unwrap();
        let args = [&keep[..], &["--confirm", digest.trim_end_matches(',')]].concat();
        assert_eq!(scene.upgrade(&args), Exit::Done, "{kind:?}");
        let root = root_in(&scene, Role::Root);
        assert_eq!(has(&root, "etc/hostname"), "xen1\n");
        assert_eq!(has(&root, "etc/machine-id"), "0123456789abcdef0123456789abcdef\n");
        assert_eq!(has(&root, "etc/xen/auto/web.cfg"), "name = \"auto\"\n");
        assert_eq!(has(&root, "etc/nagios/nrpe.cfg"), "port=5666\n");
        assert_eq!(has(&root, "etc/site.conf"), "", "not asked for");
        assert!(has(&root, "etc/shadow").starts_with("root:$y$"), "{kind:?}");
        assert!(has(&root, "root/.ssh/authorized_keys").starts_with("ssh-ed25519 "));
        let fstab = has(&root, "etc/fstab");
        assert!(!fstab.contains("/swapfile"), "{fstab}");
        assert!(fstab.contains("device-timeout=10s"), "{fstab}");
        let new = scene.own().unwrap().slot(Slot::A).inventory.unwrap();
        assert_eq!(new.layout, LayoutName::Modern);
        assert_eq!(new.deployment_id, old.deployment_id);
        assert_ne!(new.disk_id, old.disk_id);
        scene.bless();
        assert_eq!(scene.finish(), Exit::Done, "{kind:?}");
        let copy = root_in(&scene, Role::Backup);
        let said = scene.own().unwrap().slot(Slot::B).inventory.unwrap();
        assert_eq!((said.slot, said.layout), (Slot::B, LayoutName::Modern));
        assert_eq!((said.partuuid, said.fs_uuid), (new.partuuid.clone(), new.fs_uuid));
        let named = format!("'root=PARTUUID={}'", new.partuuid["root_b"]);
        assert!(has(&copy, "boot/xenhost/slot.cfg").contains(&named), "{named}");
        let fstab = has(&copy, "etc/fstab");
        for at in [" / ", " /var/log ", " none swap "] {
            assert_eq!(fstab.matches(at).count(), 1, "{fstab}");
        }
        assert_eq!(has(&copy, "etc/site.conf"), "x\n", "the old system is whole");
    }
}

/// `upgrade --layout modern`.
fn by_hand(scene: &Scene, more: &[&str]) -> (Exit, String) {
    let release = scene.release.dir().display().to_string();
    let words = ["upgrade", "--release", &release, "--layout", "modern"];
    answers::run(scene, &[&words[..], more].concat())
}

fn host(kind: Kind, change: impl FnOnce(&mut Made)) -> Scene {
    let mut made = Made::usual(kind);
    change(&mut made);
    Scene::new(made)
}

fn state(scene: &Scene, change: impl FnOnce(BootState) -> BootState) {
    scene.boot_state(|files| {
        let state = change(files.state().unwrap());
        files.commit(state).unwrap();
    });
}

/// The host, what is done to it before, how the command ends, and what it says.
type Row = (Kind, fn(&mut Made), Option<Box<dyn Fn(&Scene)>>, Exit, &'static str);

#[test]
fn what_would_lose_something_is_refused() {
    const NO: Exit = Exit::NotUpgradeable;
    let on_trial = |s: BootState| BootState { trial: Trial::Pending, other: Other::B, ..s };
    let in_b = |s: BootState| BootState { slot: Slot::B, other: Other::A, ..s };
    let crashed = |scene: &Scene| {
        let path = |name: &str| scene.dir.path().join(name);
        std::fs::write(path("block"), "x".repeat(4096)).unwrap();
        let script = format!("jo -c -v 3\njw -b 2000 {}\njc\n", path("block").display());
        std::fs::write(path("script"), script).unwrap();
        let disk = format!("{}?offset={}", scene.disk().display(), 1 << 20);
        let call = Call::new("debugfs").args(["-w", "-f"]).arg(path("script")).arg(disk);
        Processes.run(&call).unwrap();
    };
    let rows: Vec<Row> = vec![
        (Kind::OwnMbr, |m| m.sr = Some(made::USED), None, NO, "is in use"),
        (Kind::OwnGpt, |m| m.sr = Some(made::TAGGED), None, NO, "host_4711"),
        (Kind::OwnGpt, |m| m.sr = Some(made::FOREIGN), None, NO, "debian-vg"),
        (Kind::OwnGpt, |m| m.gib = 45, None, Exit::Unsuitable, "46 GiB needed"),
        // With a head that is no head of ours, the end of the disk has to have room.
        (Kind::OwnMbr, |m| m.gib = 46, None, Exit::Unsuitable, "46 GiB needed, and 1 MiB"),
        (
            Kind::OwnMbr,
            |m| m.without.push("var/lib/xenhost/blessed.json"),
            None,
            NO,
            "never finished a first boot",
        ),
        (
            Kind::OwnGpt,
            |m| m.files.push(("var/lib/xen/save/web", "x".to_owned())),
            None,
            NO,
            "a saved guest: /var/lib/xen/save/web",
        ),
        (Kind::OwnMbr, |_| {}, Some(Box::new(crashed)), NO, "needs recovery"),
        (Kind::OwnMbr, |_| {}, Some(Box::new(move |s| state(s, on_trial))), NO, "is on trial"),
        (Kind::OwnGpt, |_| {}, Some(Box::new(move |s| state(s, in_b))), NO, "runs from slot b"),
        (
            Kind::OwnMbr,
            |_| {},
            Some(Box::new(|s| s.release.manifest(|m| m.version = "0.0.9".to_owned()))),
            NO,
            "downgrade refused",
        ),
    ];
    for (kind, change, then, exit, want) in rows {
        let scene = host(kind, change);
        if let Some(then) = then {
            then(&scene);
        }
        let before = scene.fingerprint();
        let (ended, told) = by_hand(&scene, &["--confirm", "abc"]);
        assert_eq!(ended, exit, "{want}: {told}");
        assert!(told.contains(want), "{told}: {want}");
        assert!(scene.fingerprint() == before, "{want}: the disk changed");
    }
}

/// The answers decide: the same host stays on its layout, or leaves it.
#[test]
fn answers_ask_for_the_layout() {
    let scene = Scene::new(Made::usual(Kind::OwnMbr));
    let keep = answers::UPGRADE.replace("layout: modern", "layout: keep, keep: [/etc/xen]");
    scene.release.manifest(|m| m.build = "second".to_owned());
    assert_eq!(answers::by(&scene, "install", &keep, &[]), (Exit::Done, String::new()));
    let own = scene.own().unwrap();
    assert_eq!((own.boot.state.slot, own.table.layout), (Slot::B, LayoutName::Legacy));
    scene.fail_trial("no bridge");
    // It runs from slot a again.
    let modern = answers::UPGRADE.replace("layout: modern", "layout: modern, keep: [/etc/xen]");
    let modern = modern.replace("rack7-43", "rack7-44");
    assert_eq!(answers::by(&scene, "install", &modern, &[]), (Exit::Done, String::new()));
    let own = scene.own().unwrap();
    assert_eq!((own.boot.state.slot, own.table.layout), (Slot::A, LayoutName::Modern));
    assert_eq!(own.boot.state.other, Other::Old);
    let inventory = own.slot(Slot::A).inventory.unwrap();
    assert_eq!(inventory.deployment_id.as_deref(), Some("rack7-44"));
    assert_eq!(inventory.health_timeout_minutes, Some(7));
    let (exit, told) = answers::by(&scene, "install", &modern, &[]);
    assert_eq!((exit, told.contains("rack7-44 already")), (Exit::Done, true), "{told}");
}

/// A trial that failed is begun over, with no word on the layout: the disk is divided already.
#[test]
fn a_failed_trial_is_begun_over() {
    for kind in Kind::OWN {
        let scene = Scene::new(Made::usual(kind));
        let digest = scene.plan().unwrap().digest;
        assert_eq!(scene.upgrade(&["--confirm", &digest]), Exit::Done);
        let (slots, before) = (slots(&scene), scene.old_bytes());
        scene.fail_trial("no bridge");
        assert_eq!(scene.boots(&slots)[0], OLD, "{kind:?}");
        let release = scene.release.dir().display().to_string();
        let digest = scene.plan().unwrap().digest;
        let words = ["upgrade", "--release", &release, "--confirm", &digest];
        assert_eq!(answers::run(&scene, &words), (Exit::Done, String::new()), "{kind:?}");
        assert!(scene.old_bytes() == before, "{kind:?}: the old root is what it was");
        assert_eq!(scene.boots(&slots)[..2], [NEW, OLD], "{kind:?}");
        let (exit, told) = answers::run(&scene, &["rollback"]);
        assert_eq!(exit, Exit::Done, "{told}");
        assert_eq!(scene.boots(&slots)[0], OLD, "{kind:?}: given up");
    }
}
