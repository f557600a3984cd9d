//! Upgrades and rollbacks of a tiny host on an image file, looked at by other people's tools.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt;

use installer_core::bootstate::{BootState, Other, Slot, Trial};
use installer_core::upgrade::{self as core, Wish};
use partitioner::block::BlockIo;
use partitioner::block::memory::MemDisk;
use partitioner::block::recorder::{Entry, Recorder, apply};
use partitioner::block::window::Window;
use partitioner::layout::Role;
use partitioner::units::{BlockSize, Extent, Lba};

use super::root::SlotRoot;
use super::*;
use crate::call::Processes;
use crate::cli;
use crate::probe;

mod answers;
mod changes;
mod legacy;
mod reports;
mod rows;
mod scene;

use scene::Scene;

fn ranges(plan: &UpgradePlan) -> Vec<(u64, u64)> {
    let block = plan.facts.disk.block_size.bytes();
    let bytes = |extent: &partitioner::units::Extent| {
        (extent.first().get() * block, (extent.last().get() + 1) * block)
    };
    plan.write_set().iter().map(bytes).collect()
}

fn has(root: &SlotRoot, path: &str) -> String {
    text(root, path, TEXT_MAX).unwrap()
}

const CHANGES: &[(&str, &str)] = &[
    ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ("etc/ssh/ssh_host_ed25519_key", "host key\n"),
    ("etc/xen/web.cfg", "name = 'web'\n"),
    ("etc/sysctl.d/local.conf", "vm.swappiness = 1\n"),
    ("etc/nagios/nrpe.cfg", "port=5666\n"),
    ("home/ann/.ssh/authorized_keys", "ssh-ed25519 AAAA ann\n"),
    (
        "etc/passwd",
        concat!(
            "root:x:0:0:root:/root:/bin/bash\nsshd:x:104:65534::/run/sshd:/usr/sbin/nologin\n",
            "ann:x:1000:1000:Ann:/home",
            "/ann:/bin/bash\n"
        ),
    ),
    ("etc/group", "root:x:0:\nshadow:x:42:\nsudo:x:27:ann\nann:x:1000:\n"),
    (
        "etc/shadow",
        "root:$y$j9T$NEW:1:0:99999:7:::\nsshd:!:1::::::\nann:$y$j9T$ANN:1:0:99999:7:::\n",
    ),
];

#[test]
fn a_host_is_upgraded_and_its_old_system_stays_bit_for_bit() {
    let scene = Scene::lived_in(BlockSize::B512);
    let facts = scene.facts(BlockSize::B512);
    assert_eq!(facts.slot(Slot::A).complete.unwrap().build, "test", "a fresh install has a marker");
    scene.edit(&facts, Slot::A, CHANGES);
    let conf = has(&scene.root(&facts, Slot::A), "etc/xenhost/boot.conf");
    let conf = conf.replace("ucode=scan", "ucode=scan iommu=no");
    scene.edit(&facts, Slot::A, &[("etc/xenhost/boot.conf", &conf)]);
    let facts = scene.facts(BlockSize::B512);
    let plan = scene.plan(&facts).unwrap();
    let before = scene.blocks_outside(&ranges(&plan));
    let mut events = Vec::new();
    scene.upgrade(&facts, &mut |event| events.push(event)).unwrap();
    assert!(events.contains(&Event::Committed));
    assert!(scene.blocks_outside(&ranges(&plan)) == before, "nothing but slot b and boot state");

    let facts = scene.facts(BlockSize::B512);
    assert_eq!(facts.boot.state, plan.committed);
    assert!(facts.boot.copies_agree);
    assert_eq!(facts.boot.tries, Some(3));
    let b = facts.slot(Slot::B);
    assert_eq!((b.fs_errors, b.missing, b.problem), (None, vec![], None));
    assert_eq!(b.complete.unwrap().build, "second");
    assert!(!b.blessed, "the new system has yet to prove itself");
    check_new_slot(&scene.root(&facts, Slot::B), &plan);
    let home = scene.root(&facts, Slot::B).stat("home/ann").unwrap().unwrap();
    assert_eq!((home.uid, home.gid, home.kind), (1000, 1000, Kind::Folder));
}

fn check_new_slot(b: &SlotRoot, plan: &UpgradePlan) {
    for (path, content) in CHANGES.iter().filter(|(path, _)| {
        !["etc/passwd", "etc/group", "etc/shadow", "etc/nagios/nrpe.cfg"].contains(path)
    }) {
        assert_eq!(has(b, path), *content, "{path}");
    }
    assert_eq!(has(b, "etc/hostname"), "xen1\n");
    assert_eq!(has(b, "etc/release-mark"), "0.2.0");
    assert_eq!(has(b, "etc/xen/xl.conf"), "# 0.2.0\n", "an unchanged conffile is the release's");
    assert!(has(b, "etc/passwd").contains("sshd:x:105:"), "the release's ids count");
    assert!(has(b, "etc/passwd").contains("ann:x:1000:1000:"));
    assert!(has(b, "etc/group").contains("sudo:x:27:ann"));
    assert!(has(b, "etc/shadow").starts_with("root:$y$j9T$NEW:"));
    assert!(has(b, "etc/shadow").contains("ann:$y$j9T$ANN:"));
    assert_eq!(b.stat("etc/nagios").unwrap(), None);
    assert_eq!(b.stat("var/lib/xenhost/blessed.json").unwrap(), None);
    assert_eq!(b.link("etc/localtime").unwrap(), "/usr/share/zoneinfo/Europe/Berlin");
    let place = plan.place().unwrap();
    assert!(b.uuid().eq_ignore_ascii_case(&place.fs_uuid.to_string()));
    assert!(has(b, "boot/xenhost/slot.cfg").contains(&format!("root=PARTUUID={}", place.partuuid)));
    assert!(has(b, "boot/xenhost/slot.cfg").contains("'iommu=no'"));
    assert!(has(b, "etc/fstab").contains(&format!("UUID={} / ext4", place.fs_uuid)));
    let inventory = Inventory::parse(&has(b, "etc/xenhost/inventory.json")).unwrap();
    assert_eq!((inventory.slot, inventory.version.as_str()), (Slot::B, "0.2.0"));
    assert_eq!(inventory.deployment_id.as_deref(), Some("rack7-42"));
}

#[test]
fn what_is_changed_and_not_carried_is_said_unless_it_is_kept() {
    let scene = Scene::lived_in(BlockSize::B512);
    let facts = scene.facts(BlockSize::B512);
    scene.edit(&facts, Slot::A, CHANGES);
    // As if the host had been installed long ago.
    scene.debugfs(&facts, Slot::A, "sif etc/xenhost/inventory.json mtime 20200101000000");
    let root = scene.root(&facts, Slot::A);
    let report = collect::left_behind(&root, &[]).unwrap();
    assert!(report.contains(&"/etc/nagios/nrpe.cfg".to_owned()), "{report:?}");
    assert!(!report.iter().any(|line| line.contains("/etc/xen/")), "{report:?}");
    let keep = [installer_core::target::RelPath::new("etc/nagios").unwrap()];
    let report = collect::left_behind(&root, &keep).unwrap();
    assert!(!report.iter().any(|line| line.contains("nagios")), "{report:?}");
    let carried = collect::carry_over(&root, &root, &keep).unwrap();
    assert!(carried.files.iter().any(|file| file.path.as_str() == "etc/nagios/nrpe.cfg"));
}

fn command(args: &[&str]) -> installer_core::outcome::Exit {
    let args = ["host-installer"].iter().chain(args).map(OsString::from);
    cli::main(args)
}

#[test]
fn the_commands_go_forward_back_and_forward_again() {
    let scene = Scene::lived_in(BlockSize::B4096);
    let size = BlockSize::B4096;
    let disk = format!("SN42={}:4096", scene.disk().display());
    let release = scene.second.dir().to_string_lossy().into_owned();
    let upgrade = ["upgrade", "--release", &release, "--disk", &disk, "--json"];
    assert_eq!(command(&upgrade), Exit::RefusedToDestroy, "not confirmed");
    let before = scene.facts(size);
    assert_eq!(before.boot.state, BootState::FRESH);
    assert_eq!(command(&["rollback", "--disk", &disk]), Exit::NotUpgradeable);
    let release_read = Release::open(scene.second.dir()).unwrap();
    let left_behind = collect::left_behind(&scene.root(&before, Slot::A), &[]).unwrap();
    let wish = Wish { left_behind, ..Wish::default() };
    let digest = core::plan(&before, release_read.manifest(), &wish).unwrap().digest;
    let wrong = [&upgrade[..], &["--confirm", "abc"]].concat();
    assert_eq!(command(&wrong), Exit::RefusedToDestroy);
    assert_eq!(scene.facts(size).boot.state, BootState::FRESH);
    let right = [&upgrade[..], &["--confirm", &digest]].concat();
    assert_eq!(command(&right), Exit::Done);
    let facts = scene.facts(size);
    assert_eq!((facts.boot.state.slot, facts.boot.state.trial), (Slot::B, Trial::Pending));
    assert_eq!(command(&right), Exit::NotUpgradeable, "a trial is running");

    scene.edit(&facts, Slot::B, &[("var/lib/xenhost/blessed.json", "{}\n")]);
    assert_eq!(command(&["rollback", "--check", "--disk", &disk]), Exit::Done);
    assert_eq!(scene.facts(size).boot.state, facts.boot.state, "a check writes nothing");
    for (slot, other) in [(Slot::A, Other::B), (Slot::B, Other::A)] {
        assert_eq!(command(&["rollback", "--disk", &disk]), Exit::Done);
        let facts = scene.facts(size);
        let state = facts.boot.state;
        assert_eq!((state.slot, state.other, state.trial), (slot, other, Trial::Over));
        assert!(facts.boot.copies_agree);
    }
    assert_eq!(command(&["verify", "--disk", &disk, "--release", &release]), Exit::Done);
    scene.edit(&facts, Slot::A, &[("var/lib/xen/save/web", "image")]);
    assert_eq!(command(&["rollback", "--check", "--disk", &disk]), Exit::NotUpgradeable);
}

#[test]
fn hosts_that_are_not_upgraded_stay_as_they_are() {
    let scene = Scene::new(BlockSize::B512);
    let facts = scene.facts(BlockSize::B512);
    let refused = |want: &str| {
        let before = scene.blocks_outside(&[]);
        let refusal = scene.plan(&scene.facts(BlockSize::B512)).unwrap_err();
        assert_eq!(refusal.exit, Exit::NotUpgradeable, "{refusal}");
        assert!(refusal.message.contains(want), "{refusal}");
        assert!(scene.blocks_outside(&[]) == before);
    };
    refused("never finished a first boot");
    scene.edit(&facts, Slot::A, &[("var/lib/xenhost/blessed.json", "{}\n")]);
    scene.plan(&scene.facts(BlockSize::B512)).unwrap();
    scene.edit(&facts, Slot::A, &[("var/lib/xen/save/web", "image")]);
    refused("/var/lib/xen/save/web");
    scene.debugfs(&facts, Slot::A, "rm var/lib/xen/save/web");
    scene.plan(&scene.facts(BlockSize::B512)).unwrap();
    scene.debugfs(&facts, Slot::A, "sif etc/hostname links_count 7");
    refused("has errors");
    scene.debugfs(&facts, Slot::A, "sif etc/hostname links_count 1");
    scene.edit(&facts, Slot::A, &[("etc/xenhost/inventory.json", "{")]);
    let disk = probe::probe_image("SN42", &scene.disk(), BlockSize::B512, &mut Processes).unwrap();
    let broken = read::read(&disk, None, &mut Processes).unwrap_err();
    assert!(broken.message.contains("/etc/xenhost/inventory.json: EOF"), "{broken}");
}

#[test]
fn a_damaged_release_leaves_the_old_system_and_a_rerun_finishes() {
    let scene = Scene::lived_in(BlockSize::B512);
    let facts = scene.facts(BlockSize::B512);
    let release = Release::open(scene.second.dir()).unwrap();
    let bad = release.manifest().image.chunks[1].clone();
    let at = bad.frame_offset + bad.frame_length - 1;
    scene.second.flip_byte("dom0.img.zst", at);
    let failure = scene.upgrade(&facts, &mut |_| {}).unwrap_err();
    assert_eq!((failure.exit, failure.state), (Exit::HashMismatch, DiskState::OldSystemBoots));
    let cut = scene.facts(BlockSize::B512);
    assert_eq!((cut.boot.state.slot, cut.boot.state.other), (Slot::A, Other::None));
    scene.second.flip_byte("dom0.img.zst", at);
    // The plan of before the cut is not performed any more: the boot state is another.
    let failure = scene.upgrade(&facts, &mut |_| {}).unwrap_err();
    assert_eq!((failure.exit, failure.state), (Exit::DiskNotFound, DiskState::Untouched));
    scene.upgrade(&cut, &mut |_| {}).unwrap();
    assert_eq!(scene.facts(BlockSize::B512).boot.state.slot, Slot::B);
}

/// What the dispatcher would start, by its rules: the first file, else the copy, else slot a.
fn starts(disk: &mut MemDisk) -> (Slot, Other, Option<u8>) {
    let whole = Extent::with_len(Lba::new(0), disk.blocks()).unwrap();
    let mut files = BootFiles::open(Box::new(Window::new(disk, whole).unwrap())).unwrap();
    let fallback = BootState { slot: Slot::A, other: Other::B, trial: Trial::Over, generation: 0 };
    let state = files.state().unwrap_or(fallback);
    let tries = match state.trial {
        Trial::Pending => files.tries().unwrap(),
        Trial::Over => None,
    };
    (state.slot, state.other, tries)
}

/// 32 MiB of the boot partition: its FATs and its first files.
const BOOT_BEGINS: u64 = 32 << 11;

/// The writes of an upgrade to the boot state, cut after each of them, whole and torn.
#[test]
fn every_cut_of_the_boot_state_starts_a_whole_system() {
    let scene = Scene::lived_in(BlockSize::B512);
    let facts = scene.facts(BlockSize::B512);
    let plan = scene.plan(&facts).unwrap();
    let boot = facts.table.partition(Role::Boot).unwrap().extent;
    let image = File::open(scene.disk()).unwrap();
    let mut before = MemDisk::new("boot", BlockSize::B512, boot.blocks());
    // The file system's own blocks, and the files that were written first.
    for lba in 0..BOOT_BEGINS {
        let mut bytes = [0; 512];
        image.read_exact_at(&mut bytes, (boot.first().get() + lba) * 512).unwrap();
        if bytes != [0; 512] {
            before.write(Lba::new(lba), &bytes).unwrap();
        }
    }
    let recorder = Recorder::new(Box::new(before.clone()));
    let log = recorder.log();
    let mut files = BootFiles::open(Box::new(recorder)).unwrap();
    files.commit(plan.restricted).unwrap();
    log.mark("slot b is written");
    files.write_tries(TRIES).unwrap();
    log.mark("slot b is whole");
    files.commit_first(plan.committed).unwrap();
    files.commit_copy(plan.committed).unwrap();
    let entries = log.entries();
    let writes = entries.iter().filter(|entry| matches!(entry, Entry::Write { .. })).count();
    assert_eq!(writes, 5, "copy, state, tries, state, copy");
    let commit = entries.iter().rposition(|e| matches!(e, Entry::Mark(_))).unwrap();
    for cut in 0..=entries.len() {
        for torn in [false, true] {
            let mut disk = before.clone();
            entries[..cut].iter().for_each(|entry| apply(&mut disk, entry).unwrap());
            if torn {
                let Some(Entry::Write { first, .. }) = entries.get(cut) else { continue };
                let noise = Entry::Write { first: *first, bytes: vec![0xA5; 512] };
                apply(&mut disk, &noise).unwrap();
            }
            let (slot, other, tries) = starts(&mut disk);
            let is_new = slot == Slot::B;
            assert!(!is_new || (commit < cut && other == Other::A && tries == Some(3)), "{cut}");
            assert!(
                is_new || other == Other::None,
                "{cut}: slot b may be chosen while it is written"
            );
        }
    }
}
