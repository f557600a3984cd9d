//! Takeovers that a power cut ended while the new table was being prepared behind the old one, or
//! while the block by which it counts was being written.

use installer_core::bootstate::BootState;
use installer_core::takeover::FinishStep;
use partitioner::block::BlockIo;
use partitioner::block::file::FileDisk;
use partitioner::gpt;

use super::scene::SIZE;
use super::*;

/// From an MBR: one copy of the new table is there, and then both, with nothing that makes them
/// count. The command is given again, lays out the same table, and ends well.
#[test]
fn a_new_table_that_does_not_count_yet_is_no_obstacle() {
    let scene = Scene::new(Made::usual(Kind::MbrBios));
    let tables = scene.plan().unwrap().tables;
    let mut disk = FileDisk::open(&scene.disk(), SIZE).unwrap();
    steps::write_rescue(&mut disk, &tables).unwrap();
    let blocks = gpt::encode(&tables.trial).unwrap();
    disk.write(blocks.backup_array_at.first(), &blocks.backup_array).unwrap();
    disk.write(blocks.backup_header_at, &blocks.backup_header).unwrap();
    drop(disk);
    assert_eq!(scene.plan().unwrap().tables.trial, tables.trial);
    let mut disk = FileDisk::open(&scene.disk(), SIZE).unwrap();
    steps::prepare_trial(&mut disk, &tables).unwrap();
    drop(disk);
    assert_eq!(scene.plan().unwrap().tables.trial, tables.trial);
    assert_eq!(scene.upgrade(&["--confirm", &digest(&scene)]), Exit::Done);
    assert_eq!(scene.boots(&slots(&scene))[0], "boots new from slot a");
}

/// A table without a record of a takeover is somebody's, and not ours to write over.
#[test]
fn another_table_behind_an_mbr_is_a_reason_to_stop() {
    let scene = Scene::new(Made::usual(Kind::MbrBios));
    let tables = scene.plan().unwrap().tables;
    let mut disk = FileDisk::open(&scene.disk(), SIZE).unwrap();
    steps::prepare_trial(&mut disk, &tables).unwrap();
    drop(disk);
    let refusal = scene.plan().unwrap_err().to_string();
    assert!(refusal.contains("GPT without a protective MBR"), "{refusal}");
}

const NEW: &str = "boots new from slot a";
const OLD: &str = "boots old from the old system";
/// In blocks, of a GPT with 128 entries.
const ARRAY: usize = 32;

fn entries(scene: &Scene) -> Vec<u8> {
    let mut array = vec![0; ARRAY * 512];
    File::open(scene.disk()).unwrap().read_exact_at(&mut array, 2 * 512).unwrap();
    array
}

/// LBA 1 is torn; and behind it the entries are still those of the table before.
fn tear(scene: &Scene, entries: &[u8]) {
    let disk = File::options().write(true).open(scene.disk()).unwrap();
    disk.write_all_at(entries, 2 * 512).unwrap();
    disk.write_all_at(&[0xA5; 512], 512).unwrap();
}

fn fell_back() -> String {
    format!("{OLD}, [FellBack]")
}

/// A firmware that knows the backup copy writes the primary one from it.
fn repaired(boots: &str) -> String {
    format!("{boots}, [GptRepaired]")
}

/// The backup copy alone has the new table. The command is given again, writes that one block, and
/// ends well.
#[test]
fn a_torn_commit_is_done_again() {
    // A GRUB that a BIOS has started looks at no backup copy, and goes by the rescue record.
    let by_record = format!("{OLD}, [TableLost, NotCounted]");
    for (kind, boots) in [(Kind::GptUefi, repaired(NEW)), (Kind::GptBios, by_record)] {
        let scene = Scene::new(Made::usual(kind));
        let (before, array) = (scene.old_bytes(), entries(&scene));
        assert_eq!(scene.upgrade(&["--confirm", &digest(&scene)]), Exit::Done, "{kind:?}");
        let slots = slots(&scene);
        tear(&scene, &array);
        assert_eq!(scene.boots(&slots)[0], boots, "{kind:?}");
        let torn = scene.fingerprint();
        let plan = scene.plan().unwrap();
        let page = installer_core::takeover::render(&plan);
        assert!(page.contains("cut off at its commit"), "{page}");
        assert!(plan.destroys.is_empty(), "{page}");
        assert_eq!(scene.upgrade(&[]), Exit::RefusedToDestroy, "{kind:?}: not confirmed");
        assert!(scene.fingerprint() == torn, "{kind:?}: a plan writes nothing");
        assert_eq!(scene.upgrade(&["--confirm", &plan.digest]), Exit::Done, "{kind:?}");
        assert!(scene.old_bytes() == before, "{kind:?}: the old root is what it was");
        assert_eq!(scene.boots(&slots), [NEW, OLD, &fell_back()], "{kind:?}");
        check_tables(&scene, &plan.tables.trial);
        assert_eq!(scene.upgrade(&[]), Exit::NotUpgradeable, "{kind:?}: it is on trial");
        scene.bless();
        assert_eq!(scene.finish(), Exit::Done, "{kind:?}");
        assert_eq!(scene.verify(), Exit::Done, "{kind:?}");
    }
}

/// As where a firmware starts by the backup copy, and the new system does not turn out well.
#[test]
fn a_trial_by_a_torn_table_is_begun_over() {
    let scene = Scene::new(Made::usual(Kind::GptUefi));
    let array = entries(&scene);
    assert_eq!(scene.upgrade(&["--confirm", &digest(&scene)]), Exit::Done);
    let slots = slots(&scene);
    scene.fail_trial("no bridge");
    tear(&scene, &array);
    assert_eq!(scene.boots(&slots)[0], repaired(OLD));
    let plan = scene.plan().unwrap();
    assert!(plan.failed.is_some());
    assert_eq!(scene.upgrade(&["--confirm", &plan.digest]), Exit::Done);
    assert_eq!(scene.boots(&slots), [NEW, OLD, &fell_back()]);
    check_tables(&scene, &plan.tables.trial);
    assert_eq!(scene.verify(), Exit::Done);
}

/// Where the new system was blessed, and where the final table counts.
#[test]
fn a_torn_table_is_finished() {
    for kind in [Kind::GptUefi, Kind::MbrBios] {
        let scene = Scene::new(Made::usual(kind));
        let old = entries(&scene);
        assert_eq!(scene.upgrade(&["--confirm", &digest(&scene)]), Exit::Done, "{kind:?}");
        let trial = entries(&scene);
        scene.bless();
        tear(&scene, &old);
        assert_eq!(scene.finish(), Exit::Done, "{kind:?}: the first table");
        assert_eq!(scene.verify(), Exit::Done, "{kind:?}");
        tear(&scene, &trial);
        assert_eq!(scene.finish(), Exit::Done, "{kind:?}: the final table");
        assert_eq!(scene.verify(), Exit::Done, "{kind:?}");
        check_finished(&scene);
    }
}

/// A backup copy of another table says nothing of this one.
#[test]
fn another_table_in_the_backup_copy_is_a_reason_to_stop() {
    let scene = Scene::new(Made::usual(Kind::GptUefi));
    assert_eq!(scene.upgrade(&["--confirm", &digest(&scene)]), Exit::Done);
    let call = Call::new("sgdisk").args(["-c", "1:other"]);
    Processes.run(&call.arg(scene.disk())).unwrap();
    tear(&scene, &entries(&scene));
    let before = scene.fingerprint();
    assert_ne!(scene.upgrade(&["--confirm", "abc"]), Exit::Done);
    assert_ne!(scene.finish(), Exit::Done);
    assert!(scene.fingerprint() == before);
}

/// The deployment is not done, though the new system carries its name already; and nothing more
/// needs to be permitted.
#[test]
fn the_same_answers_do_a_torn_commit_again() {
    let scene = Scene::new(Made::usual(Kind::GptUefi));
    let array = entries(&scene);
    let by = |text: &str| answers::by(&scene, "install", text, &[]);
    assert_eq!(by(answers::UPGRADE), (Exit::Done, String::new()));
    tear(&scene, &array);
    let keep = answers::UPGRADE.replace("modern", "keep");
    assert_eq!(by(&keep), (Exit::Done, String::new()));
    assert_eq!(scene.boots(&slots(&scene))[0], NEW);
    assert_eq!(scene.verify(), Exit::Done);
}

/// It was cut off between the two files of the boot state, or tore one: both name the copy of the
/// old system in the end.
#[test]
fn both_files_of_the_boot_state_are_finished() {
    let scene = Scene::new(Made::usual(Kind::GptUefi));
    assert_eq!(scene.upgrade(&["--confirm", &digest(&scene)]), Exit::Done);
    scene.bless();
    let facts = finish::read(&scene.own().unwrap(), None, &mut Processes).unwrap().unwrap();
    let plan = installer_core::takeover::finish::plan(&facts).unwrap();
    let fence = partitioner::takeover::final_write_set(&facts.again.takeover);
    let mut host = crate::host::image::ImageHost::open(&scene.disk(), SIZE, fence).unwrap();
    let cancel = Cancel::default();
    let mut stop = |event| {
        if matches!(event, Event::StepBegun { title, .. } if title == FinishStep::Other.title()) {
            cancel.set();
        }
    };
    finish::run(&plan, &mut host, &cancel, &mut stop).unwrap_err();
    drop(host);
    // The copy is whole by now, and may be gone back to; slot a has to finish.
    assert_eq!(scene.rollback(), Exit::Done);
    let (exit, told) = answers::run(&scene, &["finish"]);
    assert_eq!(exit, Exit::NotUpgradeable, "{told}");
    assert!(told.contains("the copy of the old system is the chosen one"), "{told}");
    assert_eq!(scene.rollback(), Exit::Done);
    scene.bless();
    scene.boot_state(|files| {
        let before = files.state().unwrap();
        assert_eq!(before.other, Other::B);
        files.commit_copy(BootState { other: Other::Old, ..before }).unwrap();
    });
    assert_eq!(scene.finish(), Exit::Done);
    assert_eq!(scene.verify(), Exit::Done);
    check_finished(&scene);
}
