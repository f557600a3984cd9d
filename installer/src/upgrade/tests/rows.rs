//! Bad inputs of upgrades and rollbacks: what the host or the release is, what is said of it,
//! the exit code, and that no byte of the disk changed. Numbers are of the list of bad inputs.

use installer_core::release::{MANIFEST, Manifest};

use super::*;

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

fn manifest(scene: &Scene, change: fn(&mut Manifest)) {
    let path = scene.second.dir().join(MANIFEST);
    let mut manifest: Manifest = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    std::fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
}

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
    row(54, "newer", |s| manifest(s, |m| m.version = "0.0.9".into()), NO, "downgrade refused"),
    row(55, "product", |s| manifest(s, |m| m.product = "other".into()), NO, "the release is other"),
    row(
        71,
        "architecture",
        |s| manifest(s, |m| m.arch = "aarch64".into()),
        ("upgrade", Exit::SourceFailed),
        "the release is for aarch64",
    ),
    row(
        55,
        "minimum",
        |s| manifest(s, |m| m.min_upgrade_from = "0.1.5".into()),
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
    row(61, "saved guest", |s| write(s, Slot::A, SAVED, "image"), NO, "1 saved guests, such as"),
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

fn unfinished_backup(scene: &Scene) {
    remove(scene, Slot::A, MARKER);
    remove(scene, Slot::A, BLESSED);
}

fn told(scene: &Scene, command: &str) -> (Exit, String) {
    let release = scene.second.dir().to_string_lossy().into_owned();
    let mut args = vec![command.to_owned(), "--disk".to_owned(), scene.arg()];
    if command == "upgrade" {
        args.extend(["--release".to_owned(), release]);
    }
    cli::told(&args)
}

/// Each row on a copy of the same host.
fn check(scene: &Scene, rows: &[Row]) {
    let kept = scene.dir.path().join("kept.img");
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let call = crate::call::Call::new("cp").arg("--sparse=always").arg(from).arg(to);
        crate::call::Run::run(&mut Processes, &call).unwrap();
    };
    let release = scene.second.dir().join(MANIFEST);
    let manifest = std::fs::read(&release).unwrap();
    copy(&scene.disk(), &kept);
    for Row { number, what, spoil, command, exit, text } in rows {
        spoil(scene);
        let before = scene.blocks_outside(&[]);
        let (had, message) = told(scene, command);
        assert_eq!(had, *exit, "row {number}, {what}: {message}");
        assert!(message.contains(text), "row {number}, {what}: {message}: {text}");
        assert!(scene.blocks_outside(&[]) == before, "row {number}, {what}: the disk changed");
        copy(&kept, &scene.disk());
        std::fs::write(&release, &manifest).unwrap();
    }
    std::fs::remove_file(&kept).unwrap();
}

#[test]
fn bad_hosts_and_releases_are_refused_by_name_and_stay_as_they_are() {
    let scene = Scene::lived_in(SIZE);
    check(&scene, FIRST);
    let facts = scene.facts(SIZE);
    scene.upgrade(&facts, &mut |_| {}).unwrap();
    check(&scene, TRIAL);
    let facts = scene.facts(SIZE);
    let mut site = AtRest::for_state(Rest::Image, &facts).unwrap();
    let mut boot = BootFiles::open(site.open_boot().unwrap()).unwrap();
    boot.commit(facts.boot.state.blessed()).unwrap();
    drop(boot);
    drop(site);
    scene.blessed(Slot::B);
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
