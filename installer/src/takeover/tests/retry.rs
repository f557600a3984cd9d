//! Takeovers that are begun over after a failed trial, and those that are given up.

use installer_core::bootstate::GIVEN_UP;

use super::*;
use crate::probe;

const NEW: &str = "boots new from slot a";
const OLD: &str = "boots old from the old system";

fn taken_over(kind: Kind) -> Scene {
    let scene = Scene::new(Made::usual(kind));
    assert_eq!(scene.upgrade(&["--confirm", &digest(&scene)]), Exit::Done, "{kind:?}");
    scene
}

/// How `host-installer` ends, and what it says.
fn told(scene: &Scene, word: &str, more: &[&str]) -> (Exit, String) {
    let disk = format!("OLD={}", scene.disk().display());
    let args = [word, "--disk", &disk].into_iter().chain(more.iter().copied());
    crate::cli::told(&args.map(str::to_owned).collect::<Vec<_>>())
}

fn fell_back() -> String {
    format!("{OLD}, [FellBack]")
}

#[test]
fn a_takeover_that_failed_its_trial_is_begun_over() {
    for kind in [Kind::MbrGap, Kind::GptUefi] {
        let scene = taken_over(kind);
        let (slots, before) = (slots(&scene), scene.old_bytes());
        scene.fail_trial("no bridge");
        assert_eq!(scene.boots(&slots)[0], OLD, "{kind:?}");
        let plan = scene.plan().unwrap();
        let page = installer_core::takeover::render(&plan);
        assert!(page.contains("the reason that it gave: no bridge"), "{page}");
        assert!(page.contains("slot a holds xenhost 0.1.0"), "{page}");
        let untouched = scene.fingerprint();
        assert_eq!(scene.upgrade(&[]), Exit::RefusedToDestroy, "{kind:?}: not confirmed");
        assert!(scene.fingerprint() == untouched, "{kind:?}: a plan writes nothing");
        assert_eq!(scene.upgrade(&["--confirm", &plan.digest]), Exit::Done, "{kind:?}");
        assert!(scene.old_bytes() == before, "{kind:?}: the old root is what it was");
        assert_eq!(scene.boots(&slots), [NEW, OLD, &fell_back()], "{kind:?}");
        check_tables(&scene, &plan.tables.trial);
        check_new_system(&scene);
        let boot = scene.own().unwrap().boot;
        assert_eq!((boot.state, boot.tries, boot.reason), (ON_TRIAL, Some(3), None), "{kind:?}");
        assert_eq!(scene.verify(), Exit::Done, "{kind:?}");
        scene.bless();
        assert_eq!(scene.finish(), Exit::Done, "{kind:?}");
        assert_eq!(scene.verify(), Exit::Done, "{kind:?}");
        assert_eq!(scene.boots(&slots)[2], "boots old from slot b, [FellBack]", "{kind:?}");
    }
}

/// What the commands say of a takeover that was begun over and cut off in slot a; none writes.
fn check_cut_off(scene: &Scene, kind: Kind) {
    let before = scene.fingerprint();
    let page = "schema: xenhost/v1\nmode: rollback\n";
    let rollback = super::answers::file(scene, page);
    let by = ["--answers", &rollback];
    let rows: [(&str, &[&str], Exit, &str); 6] = [
        ("status", &[], Exit::Done, ""),
        ("status", &["--json"], Exit::Done, ""),
        ("verify", &[], Exit::NotUpgradeable, " of 5 are not whole"),
        ("rollback", &[], Exit::Done, "the old system boots from now on"),
        ("rollback", &["--check"], Exit::Done, "the old system boots from now on"),
        ("rollback", &by, Exit::Done, "the old system boots from now on"),
    ];
    for (word, more, exit, want) in rows {
        let (ended, message) = told(scene, word, more);
        assert_eq!(ended, exit, "{kind:?}: {word} {more:?}: {message}");
        assert!(message.contains(want), "{kind:?}: {word} {more:?}: {message}");
    }
    let disk = probe::probe_image("OLD", &scene.disk(), scene::SIZE, &mut Processes).unwrap();
    let facts = upgrade::read::begun(&disk, &mut Processes).unwrap().unwrap();
    let told = crate::cli::told_at_rest(&facts);
    let (first, rest) = told.split_once('\n').unwrap();
    assert!(first.starts_with("slot a: ") && !first.contains("0.1.0"), "{told}");
    let want = "boots: slot a (on trial, 0 tries left), else old, generation 1\n\
                a takeover has come as far as its trial, and slot a is not whole; the old system \
                boots as before; run the upgrade again\n";
    assert_eq!(rest, want, "{kind:?}");
    let checks = installer_core::upgrade::verify(&facts);
    let wrong: Vec<&str> = checks
        .iter()
        .filter(|check| !check.problems.is_empty())
        .map(|check| check.what.as_str())
        .collect();
    assert_eq!(wrong, ["slot a (on trial): no system"], "{kind:?}");
    assert!(scene.fingerprint() == before, "{kind:?}: the disk changed");
}

/// As after a cut: nothing in slot a is needed, and the plan is the same.
#[test]
fn what_lies_in_slot_a_does_not_matter() {
    // All of its beginning is gone; or its superblock is torn, with its label in it.
    for (kind, at, len) in [(Kind::MbrBios, 0, 8 << 20), (Kind::GptBios, 1024 + 0x3FC, 4)] {
        let scene = taken_over(kind);
        let slots = slots(&scene);
        scene.fail_trial("");
        let plan = scene.plan().unwrap();
        let first = plan.tables.trial.partition(Role::Root).unwrap().extent.first().get();
        let disk = File::options().write(true).open(scene.disk()).unwrap();
        disk.write_all_at(&vec![0; len], first * 512 + at).unwrap();
        check_cut_off(&scene, kind);
        let again = scene.plan().unwrap();
        assert_eq!(again.failed.as_ref().unwrap().system, None, "{kind:?}");
        assert_eq!(again.digest, plan.digest, "{kind:?}");
        assert_eq!(scene.upgrade(&["--confirm", &plan.digest]), Exit::Done, "{kind:?}");
        assert_eq!(scene.boots(&slots), [NEW, OLD, &fell_back()], "{kind:?}");
        assert_eq!(scene.verify(), Exit::Done, "{kind:?}");
    }
}

#[test]
fn a_takeover_on_trial_is_given_up_first() {
    let scene = taken_over(Kind::GptBios);
    let slots = slots(&scene);
    for tries in [3, 1] {
        scene.boot_state(|files| files.write_tries(tries).unwrap());
        let refusal = scene.plan().unwrap_err();
        let want = format!("on trial, with {tries} of 3 tries left");
        assert!(refusal.message.contains(&want), "{refusal}");
        assert_eq!(scene.upgrade(&[]), Exit::NotUpgradeable);
    }
    let check = told(&scene, "rollback", &["--check"]);
    assert_eq!(check, (Exit::Done, String::new()));
    assert_eq!(scene.boots(&slots)[0], NEW, "a check writes nothing");
    let (exit, message) = told(&scene, "rollback", &[]);
    assert_eq!(exit, Exit::Done, "{message}");
    assert!(message.contains("the old system boots from now on"), "{message}");
    assert_eq!(scene.boots(&slots)[0], OLD);
    let boot = scene.own().unwrap().boot;
    assert_eq!((boot.tries, boot.reason.as_deref()), (Some(0), Some(GIVEN_UP)));
    let before = scene.fingerprint();
    let (exit, message) = told(&scene, "rollback", &[]);
    assert_eq!(exit, Exit::Done, "{message}");
    assert!(message.contains("no try of the takeover is left"), "{message}");
    assert!(scene.fingerprint() == before, "it was given up already");
    assert_eq!(scene.upgrade(&["--confirm", &digest(&scene)]), Exit::Done);
    assert_eq!(scene.boots(&slots)[0], NEW);
}

/// The old system ran meanwhile, and may have got guests.
#[test]
fn guests_of_the_old_system_stop_it_once_more() {
    let scene = taken_over(Kind::MbrBios);
    scene.fail_trial("");
    let text = made::database(|t| {
        t.replace("<table name=\"VM\">", &format!("<table name=\"VM\">{}", made::VM))
    });
    let file = scene.dir.path().join("state.db");
    std::fs::write(&file, text).unwrap();
    let disk = format!("{}?offset={}", scene.disk().display(), 63 * 512);
    for request in ["rm", "write"] {
        let what = match request {
            "rm" => "rm var/lib/xcp/state.db".to_owned(),
            _ => format!("write {} var/lib/xcp/state.db", file.display()),
        };
        Processes.run(&Call::new("debugfs").args(["-w", "-R", &what]).arg(&disk)).unwrap();
    }
    let before = scene.fingerprint();
    let refusal = scene.plan().unwrap_err();
    assert!(refusal.message.contains("lists 1 guests"), "{refusal}");
    assert_eq!(scene.upgrade(&["--confirm", "abc"]), Exit::NotUpgradeable);
    assert!(scene.fingerprint() == before);
}

/// The count of tries is the commit of a takeover that is begun over: a cut tears it.
#[test]
fn a_count_that_was_torn_is_no_obstacle() {
    let scene = taken_over(Kind::GptUefi);
    let slots = slots(&scene);
    let at = scene.own().unwrap().boot.extents;
    scene.fail_trial("");
    let disk = File::options().read(true).write(true).open(scene.disk()).unwrap();
    for extent in at {
        let first = extent.first().get() * 512;
        let mut block = [0; 512];
        disk.read_exact_at(&mut block, first).unwrap();
        if block.windows(6).any(|word| word == b"tries=") {
            disk.write_all_at(&[0xA5; 512], first).unwrap();
        }
    }
    assert_eq!(scene.own().unwrap().boot.tries, None);
    assert!(scene.boots(&slots)[0].starts_with(OLD));
    assert_eq!(scene.upgrade(&["--confirm", &digest(&scene)]), Exit::Done);
    assert_eq!(scene.boots(&slots), [NEW, OLD, &fell_back()]);
    assert_eq!(scene.verify(), Exit::Done);
}

/// A bless was cut between the two files of the boot state, and the trial was given up.
#[test]
fn both_files_of_the_boot_state_are_on_trial_again() {
    let scene = taken_over(Kind::MbrBios);
    scene.fail_trial("");
    scene.boot_state(|files| {
        let blessed = files.state().unwrap().blessed();
        files.commit_copy(blessed).unwrap();
    });
    assert_eq!(scene.upgrade(&["--confirm", &digest(&scene)]), Exit::Done);
    assert_eq!(scene.verify(), Exit::Done);
    assert!(scene.own().unwrap().boot.copies_agree);
}
