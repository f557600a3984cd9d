//! Bad inputs of takeovers: what the old host, its disk or the release is, what is said of it, the
//! exit code, and that no byte of the disk changed. Numbers are of the list of bad inputs; 0 is for
//! what that list does not have.

use super::scene::made::{EMPTY, FOREIGN, TAGGED, USED, database};
use super::*;
use crate::testing::too_large;

/// A repository that real LVM made, of the partitioner's tests.
macro_rules! repository {
    ($name:literal) => {
        include_bytes!(concat!("../../../../partitioner/tests/fixtures/sr/", $name, ".zst"))
    };
}

const NO: Exit = Exit::NotUpgradeable;

struct Row {
    number: u32,
    what: &'static str,
    made: fn() -> Made,
    spoil: fn(&Scene),
    exit: Exit,
    text: &'static str,
}

/// A host that was made otherwise.
const fn made(
    number: u32,
    what: &'static str,
    made: fn() -> Made,
    exit: Exit,
    text: &'static str,
) -> Row {
    Row { number, what, made, spoil: |_| {}, exit, text }
}

/// The usual host, of which something was spoilt.
const fn spoilt(
    number: u32,
    what: &'static str,
    spoil: fn(&Scene),
    exit: Exit,
    text: &'static str,
) -> Row {
    Row { number, what, made: usual, spoil, exit, text }
}

fn usual() -> Made {
    Made::usual(Kind::MbrBios)
}

fn without(path: &'static str) -> Made {
    Made { without: vec![path], ..usual() }
}

fn with_sr(kind: Kind, sr: &'static [u8]) -> Made {
    Made { sr: Some(sr), ..Made::usual(kind) }
}

fn inventory(line: &str) -> Made {
    usual().with("etc/xensource-inventory", format!("{}{line}", made::INVENTORY))
}

/// The usual database with rows of one more table, or of one that is there.
fn listed(table: &str, rows: &str) -> Made {
    let begin = format!("<table name=\"{table}\">");
    let text = database(|text| text.replace(&begin, &format!("{begin}{rows}")));
    usual().with("var/lib/xcp/state.db", text)
}

const VDI: &str = "<row SR=\"s\" uuid=\"d\" name__label=\"web\" virtual_size=\"1073741824\"/>";
const EXT: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
/// In a repository that the database does not describe.
const STRAY: &str = "<row SR=\"x\" uuid=\"e\" name__label=\"db\" virtual_size=\"1073741824\"/>";

const HOSTS: &[Row] = &[
    made(53, "a line", || inventory("reboot\n"), NO, "not KEY='value'"),
    made(53, "a key twice", || inventory("PRODUCT_VERSION='7.2.0'\n"), NO, "PRODUCT_VERSION"),
    made(53, "code", || inventory("X=$(id)\n"), NO, "line 8"),
    made(55, "no inventory", || without("etc/xensource-inventory"), NO, "another product"),
    spoilt(56, "file system", damaged, NO, "of XenServer 7.1.0 on partition 1 has errors"),
    made(
        58,
        "set up",
        || without("var/lib/misc/ran-storage-init"),
        NO,
        "never finished a first boot: /var/lib/misc/ran-storage-init",
    ),
    made(0, "guest", || listed("VM", made::VM), NO, "lists 1 guests, such as \"web\""),
    made(0, "pool", || listed("host", "<row ref=\"h2\"/>"), NO, "in a pool, its database lists 2"),
    made(
        0,
        "member",
        || usual().with("etc/xensource/pool.conf", "slave:192.0.2.1"),
        NO,
        "a member of a pool",
    ),
    made(0, "availability", high_availability, NO, "high availability is on"),
    made(
        0,
        "no database",
        || usual().with("var/lib/xcp/state.db", "<database"),
        NO,
        "database cannot be read",
    ),
    made(
        0,
        "saved guest",
        || usual().with("var/lib/xen/save/web", "image"),
        NO,
        "holds a saved guest: /var/lib/xen/save/web",
    ),
    made(
        0,
        "how it starts",
        || without("boot/grub/grub.cfg"),
        Exit::Unsuitable,
        "how XenServer 7.1.0 on partition 1 is started",
    ),
    Row {
        number: 42,
        what: "primary table",
        made: || Made::usual(Kind::GptUefi),
        spoil: |s| open(s).write_all_at(&[0xA5; 512], 512).unwrap(),
        exit: Exit::Unsuitable,
        text: "primary GPT damaged",
    },
    made(30, "size", || Made { gib: 40, ..usual() }, Exit::Unsuitable, "46 GiB needed"),
    made(
        51,
        "no room",
        || Made { gib: 46, ..usual() },
        Exit::Unsuitable,
        "1 MiB for the boot loader",
    ),
    Row {
        number: 64,
        what: "two on one disk",
        made: || Made { sr: None, ..Made::usual(Kind::GptBios) },
        spoil: second_root,
        exit: Exit::DiskNotFound,
        text: "carries 2 installations",
    },
];

/// Only a proof gives a repository up; a doubt keeps it.
const REPOSITORIES: &[Row] = &[
    made(
        59,
        "a volume of the group is missing",
        || with_sr(Kind::MbrBios, repository!("partial-lvm")),
        NO,
        "the volume group has 2 physical volumes, not one",
    ),
    made(59, "another host's", || with_sr(Kind::GptBios, TAGGED), NO, "tag host_4711"),
    made(59, "another group", || with_sr(Kind::GptUefi, FOREIGN), NO, "debian-vg"),
    spoilt(59, "metadata", damaged_metadata, NO, "checksum"),
    spoilt(59, "another signature", signed_twice, NO, "is also signed as"),
    made(
        59,
        "used, with a marker of the old host",
        || with_sr(Kind::MbrBios, USED).with("var/preserve/safe2upgrade", ""),
        NO,
        "is in use: volume LV-",
    ),
    made(59, "thin volumes", || with_sr(Kind::MbrBios, repository!("thin-lvm")), NO, "is in use: "),
    made(
        59,
        "a snapshot",
        || with_sr(Kind::MbrBios, repository!("snapshot-lvm")),
        NO,
        "is in use: ",
    ),
    made(59, "files", || with_sr(Kind::GptBios, repository!("used-ext")), NO, "is in use: file "),
    made(60, "a disk", || listed("VDI", VDI), NO, "database disagrees: disk d \"web\""),
    made(
        60,
        "a disk of elsewhere",
        || listed("VDI", STRAY),
        NO,
        "a repository that the database does not",
    ),
    made(60, "EXT", listed_on_ext, NO, "database disagrees: disk d"),
    // A repository that is not found is not one that never was.
    made(
        60,
        "none found",
        || Made { sr: None, ..listed("VDI", VDI) },
        NO,
        "no storage repository is found on the disk",
    ),
];

/// The same old host, and what is wrong with a release.
const RELEASES: &[Row] = &[
    spoilt(
        61,
        "slot",
        |s| s.release.manifest(too_large),
        Exit::Unsuitable,
        "partition root will have 18 GiB, the dom0 image needs 19 GiB",
    ),
    spoilt(
        71,
        "architecture",
        |s| s.release.manifest(|m| m.arch = "aarch64".into()),
        Exit::HashMismatch,
        "the release is for aarch64",
    ),
];

/// The empty EXT repository has another UUID than the usual one.
fn listed_on_ext() -> Made {
    let text = database(|text| {
        let text = text.replace("11111111-1111-4111-8111-111111111111", EXT);
        text.replace("<table name=\"VDI\">", &format!("<table name=\"VDI\">{VDI}"))
    });
    with_sr(Kind::MbrBios, repository!("empty-ext")).with("var/lib/xcp/state.db", text)
}

fn high_availability() -> Made {
    let on = database(|text| text.replace("ha_enabled=\"false\"", "ha_enabled=\"true\""));
    usual().with("var/lib/xcp/state.db", on)
}

fn debugfs(scene: &Scene, script: &str) {
    let (root, _) = scene::old_root(scene.made.kind);
    let disk = format!("{}?offset={root}", scene.disk().display());
    Processes.run(&Call::new("debugfs").args(["-w", "-R", script]).arg(disk)).unwrap();
}

fn damaged(scene: &Scene) {
    debugfs(scene, "sif etc/hostname links_count 7");
}

fn open(scene: &Scene) -> File {
    File::options().read(true).write(true).open(scene.disk()).unwrap()
}

/// A copy of the root in a partition behind the old host's; where its backup is it would be that.
fn second_root(scene: &Scene) {
    let call = Call::new("sgdisk").args(["-n", "5:0:+1G", "-t", "5:8300"]);
    Processes.run(&call.arg(scene.disk())).unwrap();
    let (file, (start, _)) = (open(scene), scene::old_root(scene.made.kind));
    let to = scene::sr_start(scene.made.kind);
    let mut bytes = vec![0; 1 << 20];
    for mib in 0..256_u64 {
        file.read_exact_at(&mut bytes, start + (mib << 20)).unwrap();
        file.write_all_at(&bytes, to + (mib << 20)).unwrap();
    }
}

/// One bit of the newest metadata, past its header in the first MiB.
fn damaged_metadata(scene: &Scene) {
    let (file, start) = (open(scene), scene::sr_start(scene.made.kind));
    let mut bytes = vec![0; 1 << 20];
    file.read_exact_at(&mut bytes, start).unwrap();
    let word = b"logical_volumes";
    let found: Vec<usize> = bytes
        .windows(word.len())
        .enumerate()
        .filter_map(|(at, window)| (window == word).then_some(at))
        .collect();
    assert_ne!(found, [0; 0], "metadata in text");
    for at in found {
        let at = start + u64::try_from(at).unwrap();
        file.write_all_at(b"L", at).unwrap();
    }
}

/// The repository's partition also begins like a file system of another kind: XFS.
fn signed_twice(scene: &Scene) {
    open(scene).write_all_at(b"XFSB", scene::sr_start(scene.made.kind)).unwrap();
}

/// What is refused is refused before anybody asks whether it was confirmed.
#[track_caller]
fn refused(row: &Row) {
    let Row { number, what, made, spoil, exit, text } = row;
    let scene = Scene::new(made());
    spoil(&scene);
    let before = scene.fingerprint();
    let (had, message) = told(&[&scene], &["--confirm", "abc"]);
    assert_eq!(had, *exit, "row {number}, {what}: {message}");
    assert!(message.contains(text), "row {number}, {what}: {message}: {text}");
    assert!(scene.fingerprint() == before, "row {number}, {what}: the disk changed");
}

/// `upgrade` of the release of the first scene, on the disks of all.
fn told(scenes: &[&Scene], more: &[&str]) -> (Exit, String) {
    let release = scenes[0].release.dir().to_string_lossy().into_owned();
    let mut args = vec!["upgrade".to_owned(), "--release".to_owned(), release];
    for (number, scene) in scenes.iter().enumerate() {
        args.extend(["--disk".to_owned(), format!("OLD{number}={}", scene.disk().display())]);
    }
    args.extend(more.iter().map(|word| (*word).to_owned()));
    crate::cli::told(&args)
}

#[test]
fn old_hosts_that_are_not_taken_over_stay_as_they_are() {
    HOSTS.iter().for_each(refused);
}

#[test]
fn repositories_that_are_not_proven_empty_stay_as_they_are() {
    REPOSITORIES.iter().for_each(refused);
}

#[test]
fn releases_that_do_not_fit_change_nothing() {
    RELEASES.iter().for_each(refused);
}

/// An empty repository of each kind is no reason to refuse: the rows above show what is.
#[test]
fn empty_repositories_are_given_up() {
    let empty: [(Kind, &'static [u8]); 4] = [
        (Kind::MbrBios, EMPTY),
        (Kind::MbrBios, repository!("wrapped-ring")),
        (Kind::MbrBios, repository!("empty-ext")),
        (Kind::GptUefi, repository!("two-copies")),
    ];
    for (kind, sr) in empty {
        Scene::new(with_sr(kind, sr)).plan().unwrap();
    }
}

/// Row 64: two disks with a host each, in any order, and none is named. The first is an old host;
/// what becomes of the second one?
#[test]
fn of_two_hosts_none_is_taken_over_or_upgraded() {
    type Second = fn(&Scene);
    let seconds: [(&str, Second); 4] = [
        ("an old host", |_| {}),
        ("ours, on trial", |scene| begin(scene)),
        ("ours, finished", |scene| {
            begin(scene);
            scene.bless();
            assert_eq!(scene.finish(), Exit::Done);
        }),
        ("an old host that ours gave way to", |scene| {
            begin(scene);
            scene.fail_trial("");
        }),
    ];
    let first = Scene::new(usual());
    for (what, second) in seconds {
        let other = Scene::new(Made::usual(Kind::GptUefi));
        second(&other);
        let before = [&first, &other].map(Scene::fingerprint);
        for disks in [[&first, &other], [&other, &first]] {
            let (exit, message) = told(&disks, &[]);
            assert_eq!(exit, Exit::DiskNotFound, "{what}: {message}");
            assert!(message.starts_with("2 disks carry a host: "), "{what}: {message}");
            for scene in disks {
                assert!(message.contains(&*scene.disk().to_string_lossy()), "{what}: {message}");
            }
            assert!([&first, &other].map(Scene::fingerprint) == before, "{what}");
        }
    }
}

fn begin(scene: &Scene) {
    assert_eq!(scene.upgrade(&["--confirm", &scene.plan().unwrap().digest]), Exit::Done);
}
