//! Bad inputs of upgrades and rollbacks: what the host or the release is, what is said of it,
//! the exit code, and that no byte of the disk changed. Numbers are of the list of bad inputs; 0 is
//! for what that list does not have.

use installer_core::release::MANIFEST;

use super::*;
use crate::testing::too_large;

const SIZE: BlockSize = BlockSize::B512;

struct Row {
    number: u32,
    what: &'static str,
    spoil: fn(&Scene),
    command: &'static str,
    exit: Exit,
    text: &'static str,
}

const fn row(
    number: u32,
    what: &'static str,
    spoil: fn(&Scene),
    (command, exit): (&'static str, Exit),
    text: &'static str,
) -> Row {
    Row { number, what, spoil, command, exit, text }
}

const NO: (&str, Exit) = ("upgrade", Exit::NotUpgradeable);
const BACK: (&str, Exit) = ("rollback", Exit::NotUpgradeable);
const UNFIT: (&str, Exit) = ("upgrade", Exit::Unsuitable);

fn write(scene: &Scene, slot: Slot, path: &str, text: &str) {
    scene.edit(&scene.facts(SIZE), slot, &[(path, text)]);
}

fn remove(scene: &Scene, slot: Slot, path: &str) {
    scene.debugfs(&scene.facts(SIZE), slot, &format!("rm {path}"));
}

fn inventory(scene: &Scene, slot: Slot, change: fn(&mut Inventory)) {
    let mut inventory = scene.facts(SIZE).slot(slot).inventory.unwrap();
    change(&mut inventory);
    write(scene, slot, "etc/xenhost/inventory.json", &inventory.to_text());
}

const INVENTORY: &str = "etc/xenhost/inventory.json";
const BLESSED: &str = "var/lib/xenhost/blessed.json";
const SAVED: &str = "var/lib/xen/save/web";
const XEN: &str = "boot/xen-4.20-amd64.gz";
const KERNEL: &str = "boot/vmlinuz-6.12.0-amd64";

/// A host that has never been upgraded.
const FIRST: &[Row] = &[
    row(
        53,
        "inventory",
        |s| write(s, Slot::A, INVENTORY, "{\n\"a\": $(id)"),
        NO,
        "at line 2 column",
    ),
    row(53, "no inventory", |s| write(s, Slot::A, INVENTORY, "[]"), NO, "inventory.json"),
    row(
        54,
        "newer",
        |s| s.second.manifest(|m| m.version = "0.0.9".into()),
        NO,
        "downgrade refused",
    ),
    row(
        55,
        "product",
        |s| s.second.manifest(|m| m.product = "other".into()),
        NO,
        "the release is other",
    ),
    row(
        71,
        "architecture",
        |s| s.second.manifest(|m| m.arch = "aarch64".into()),
        ("upgrade", Exit::HashMismatch),
        "the release is for aarch64",
    ),
    row(
        61,
        "slot",
        |s| s.second.manifest(too_large),
        UNFIT,
        "slot b has 18 GiB, the dom0 image of xenhost 0.2.0 needs 19 GiB",
    ),
    row(
        55,
        "minimum",
        |s| s.second.manifest(|m| m.min_upgrade_from = "0.1.5".into()),
        NO,
        "upgrades 0.1.5 or later",
    ),
    row(
        56,
        "file system",
        |s| drop(s.debugfs(&s.facts(SIZE), Slot::A, "sif etc/hostname links_count 7")),
        NO,
        "the file system of slot a has errors",
    ),
    row(57, "journal", journal_left, NO, "the file system of slot a needs recovery"),
    row(58, "first boot", |s| remove(s, Slot::A, BLESSED), NO, "never finished a first boot"),
    row(0, "saved guest", |s| write(s, Slot::A, SAVED, "image"), NO, "1 saved guests, such as"),
    row(
        0,
        "saved elsewhere",
        |s| {
            write(s, Slot::A, "etc/default/xendomains", "XENDOMAINS_SAVE=/srv/saved\n");
            write(s, Slot::A, "srv/saved/web", "image");
        },
        NO,
        "1 saved guests, such as /srv/saved/web",
    ),
    row(42, "primary table", |s| overwrite(s, 512), UNFIT, "primary GPT damaged"),
    row(42, "backup table", |s| overwrite(s, (46 << 30) - 512), UNFIT, "backup GPT damaged"),
    row(49, "grown", grown, UNFIT, "backup GPT is not at the end"),
    row(0, "a partition", |s| s.sgdisk(&["-d", "6"]), NO, "0 partitions are swap"),
    row(63, "no backup", |_| {}, BACK, "slot a has no previous system to go back to"),
];

/// One that was upgraded and blessed.
const SECOND: &[Row] = &[
    row(63, "no marker", unfinished_backup, BACK, "its installation was not finished"),
    row(63, "no system", |s| remove(s, Slot::A, INVENTORY), BACK, "slot a would not boot"),
    row(
        63,
        "another disk",
        |s| inventory(s, Slot::A, |i| i.disk_id = partitioner::partuuid::DiskId::Mbr(7)),
        BACK,
        "its inventory is of another disk",
    ),
    row(
        63,
        "another product",
        |s| inventory(s, Slot::A, |i| i.product = "other".into()),
        BACK,
        "it holds another product, other",
    ),
    row(63, "no menu", |s| remove(s, Slot::A, "boot/xenhost/slot.cfg"), BACK, "is missing"),
    row(
        63,
        "another slot's",
        |s| inventory(s, Slot::A, |i| i.slot = Slot::B),
        BACK,
        "its inventory says that it is slot b",
    ),
    row(
        63,
        "another build's",
        |s| inventory(s, Slot::A, |i| i.build = "other".into()),
        BACK,
        "its marker is of another build than its inventory",
    ),
    row(63, "no Xen", |s| remove(s, Slot::A, XEN), BACK, "/boot/xen-4.20-amd64.gz is missing"),
    row(
        63,
        "an empty kernel",
        |s| write(s, Slot::A, KERNEL, ""),
        BACK,
        "/boot/vmlinuz-6.12.0-amd64 is missing",
    ),
    row(
        63,
        "an inventory that cannot be read",
        |s| write(s, Slot::A, INVENTORY, "{"),
        BACK,
        "inventory.json: EOF while parsing",
    ),
    row(
        63,
        "a guest saved here",
        |s| write(s, Slot::B, SAVED, "image"),
        BACK,
        "slot b holds a saved guest",
    ),
    row(
        63,
        "saved guest",
        |s| write(s, Slot::A, SAVED, "image"),
        BACK,
        "slot a holds a saved guest",
    ),
    row(
        63,
        "file system",
        |s| drop(s.debugfs(&s.facts(SIZE), Slot::A, "sif etc/hostname links_count 7")),
        BACK,
        "its file system has errors",
    ),
];

/// One whose trial has not ended.
const TRIAL: &[Row] = &[row(66, "trial", |_| {}, NO, "slot b is on trial, with 3 tries left")];

/// A journal with a transaction that was not carried out, as after a power cut.
fn journal_left(scene: &Scene) {
    let block = scene.write("block", &"x".repeat(4096));
    let script = format!("jo -c -v 3\njw -b 2000 {block}\njc");
    scene.debugfs(&scene.facts(SIZE), Slot::A, &script);
}

fn overwrite(scene: &Scene, at: u64) {
    let disk = File::options().write(true).open(scene.disk()).unwrap();
    disk.write_all_at(&[0xA5; 512], at).unwrap();
}

fn grown(scene: &Scene) {
    File::options().write(true).open(scene.disk()).unwrap().set_len(47 << 30).unwrap();
}

fn unfinished_backup(scene: &Scene) {
    remove(scene, Slot::A, MARKER);
    remove(scene, Slot::A, BLESSED);
}

fn told(scene: &Scene, command: &str) -> (Exit, String) {
    let release = scene.second.dir().to_string_lossy().into_owned();
    let mut args: Vec<String> = command.split(' ').map(str::to_owned).collect();
    args.extend(["--disk".to_owned(), scene.arg()]);
    if command == "upgrade" {
        args.extend(["--release".to_owned(), release]);
    }
    cli::told(&args)
}

/// Each row on the same host. What speaks against a rollback is told by its check as well.
fn check(scene: &Scene, rows: &[Row]) {
    let release = scene.second.dir().join(MANIFEST);
    let manifest = std::fs::read(&release).unwrap();
    scene.each(rows, |Row { number, what, spoil, command, exit, text }| {
        spoil(scene);
        let before = scene.blocks_outside(&[]);
        let checked = (*command == BACK.0).then_some("rollback --check");
        for command in [*command].into_iter().chain(checked) {
            let (had, message) = told(scene, command);
            assert_eq!(had, *exit, "row {number}, {what}: {message}");
            assert!(message.contains(text), "row {number}, {what}: {message}: {text}");
        }
        assert!(scene.blocks_outside(&[]) == before, "row {number}, {what}: the disk changed");
        std::fs::write(&release, &manifest).unwrap();
    });
}

#[test]
fn bad_hosts_and_releases_are_refused_by_name_and_stay_as_they_are() {
    let scene = Scene::lived_in(SIZE);
    check(&scene, FIRST);
    let facts = scene.facts(SIZE);
    scene.upgrade(&facts, &mut |_| {}).unwrap();
    check(&scene, TRIAL);
    scene.end_trial();
    check(&scene, SECOND);
}

/// Performs the second release until a step whose title begins with `cut`.
fn cut_off(scene: &Scene, cut: &str) -> Failure {
    let plan = scene.plan(&scene.facts(SIZE)).unwrap();
    let release = Release::open(scene.second.dir()).unwrap();
    let cancel = Cancel::default();
    let mut site = AtRest::open(Rest::Image, &plan).unwrap();
    run(&plan, &release, &mut site, &cancel, &mut |event| {
        if let Event::StepBegun { title, .. } = event
            && title.starts_with(cut)
        {
            cancel.set();
        }
    })
    .unwrap_err()
}

/// Row 35, of the table; the boot state is another test's.
#[test]
fn a_table_that_changed_since_the_plan_stops_before_the_first_write() {
    let scene = Scene::lived_in(SIZE);
    let facts = scene.facts(SIZE);
    let rows = [
        vec!["-d", "2", "-n", "2:0:+17G"],
        vec!["-d", "6"],
        vec!["-U", "11111111-2222-4333-8444-555555555555"],
    ];
    scene.each(&rows, |change| {
        scene.sgdisk(change);
        let before = scene.blocks_outside(&[]);
        let failure = scene.upgrade(&facts, &mut |event| panic!("{event:?}")).unwrap_err();
        let told = (failure.exit, failure.state);
        assert_eq!(told, (Exit::DiskNotFound, DiskState::Untouched), "{failure}");
        assert!(failure.to_string().contains("partition table changed since the plan"));
        assert!(scene.blocks_outside(&[]) == before, "{change:?}: the disk changed");
    });
}

/// Row 84: what is carried over finds no room in the new system.
#[test]
fn a_slot_that_gets_full_leaves_the_old_system_until_less_is_carried() {
    let mut scene = Scene::lived_in(SIZE);
    scene.second = scene::second_release(&vec![0x5A; 60 << 20]);
    let large = "x".repeat(15 << 20);
    let paths = ["etc/xen/one", "etc/xen/two", "etc/xen/three"];
    scene.edit(&scene.facts(SIZE), Slot::A, &paths.map(|path| (path, large.as_str())));
    let failure = scene.upgrade(&scene.facts(SIZE), &mut |_| {}).unwrap_err();
    let told = (failure.exit, failure.state);
    assert_eq!(told, (Exit::IoBeforeCommit, DiskState::OldSystemBoots), "{failure}");
    let text = failure.to_string();
    assert!(text.starts_with("carry the configuration over to backup: "), "{text}");
    assert!(text.contains("file system is full: 45 MiB were to be put in, "), "{text}");
    let facts = scene.facts(SIZE);
    assert_eq!((facts.boot.state.slot, facts.boot.state.other), (Slot::A, Other::None));
    for path in paths {
        remove(&scene, Slot::A, path);
    }
    scene.upgrade(&scene.facts(SIZE), &mut |_| {}).unwrap();
    assert_eq!(scene.facts(SIZE).boot.state.slot, Slot::B);
}

/// Row 65: a run that was cut off is told, by every command, before anything is begun again. On an
/// image a slot is written whole at the end of its check; before, there is nothing to tell.
#[test]
fn a_run_that_was_cut_off_is_told_and_begun_again() {
    let scene = Scene::lived_in(SIZE);
    let found = |scene: &Scene| scene.facts(SIZE).unfinished();
    assert_eq!(found(&scene), None);
    let failure = cut_off(&scene, "carry the configuration");
    assert_eq!((failure.exit, failure.state), (Exit::Cancelled, DiskState::OldSystemBoots));
    assert_eq!(found(&scene), None, "slot b is as empty as before");
    for cut in ["read back", "boot state: three tries"] {
        assert_eq!(cut_off(&scene, cut).state, DiskState::OldSystemBoots);
        told_of(&scene, cut);
    }
    // Half a slot, as it is where the slot is written in place.
    for path in [MARKER, INVENTORY] {
        remove(&scene, Slot::B, path);
    }
    told_of(&scene, "half a slot");
    let mut warned = Vec::new();
    let facts = scene.facts(SIZE);
    scene
        .upgrade(&facts, &mut |event| {
            if let Event::Warning { text } = event {
                warned.push(text);
            }
        })
        .unwrap();
    assert!(warned.iter().any(|text| text.contains("did not finish")), "{warned:?}");
    assert_eq!((scene.facts(SIZE).boot.state.slot, found(&scene)), (Slot::B, None));
}

#[track_caller]
fn told_of(scene: &Scene, cut: &str) {
    let facts = scene.facts(SIZE);
    let found = facts.unfinished().unwrap_or_else(|| panic!("{cut}: nothing was found"));
    assert!(found.contains("did not finish: nothing boots slot b; slot a"), "{found}");
    let page = core::render(&scene.plan(&facts).unwrap());
    assert!(page.contains(&format!("Found: {found}")), "{page}");
    let whole = core::verify(&facts);
    assert!(whole.iter().any(|check| check.what.contains("did not finish")), "{whole:?}");
    assert!(whole.iter().all(|check| check.problems.is_empty()), "{whole:?}");
    for command in ["status", "verify"] {
        assert_eq!(told(scene, command).0, Exit::Done, "{command} after {cut}");
    }
}
