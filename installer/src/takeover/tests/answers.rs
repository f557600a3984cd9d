//! Takeovers as answer files ask for them, by the commands that people call.

use installer_core::bootstate::Other;
use installer_core::upgrade::UpgradeFacts;

use super::*;
use crate::cli;

pub(super) const UPGRADE: &str = "schema: xenhost/v1\nmode: upgrade\ndeployment_id: rack7-43\n\
    disks: {host: {serial: OLD}}\nupgrade: {layout: modern}\nhealth: {timeout: 7m}\n";

pub(super) fn run(scene: &Scene, words: &[&str]) -> (Exit, String) {
    let disk = format!("OLD={}", scene.disk().display());
    let mut args: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    args.extend(["--disk".to_owned(), disk]);
    cli::told(&args)
}

pub(super) fn file(scene: &Scene, answers: &str) -> String {
    let file = scene.dir.path().join("answers.yaml");
    std::fs::write(&file, answers).unwrap();
    file.display().to_string()
}

/// A command with an answer file and the release.
pub(super) fn by(scene: &Scene, command: &str, answers: &str, more: &[&str]) -> (Exit, String) {
    let release = scene.release.dir().to_string_lossy().into_owned();
    let file = file(scene, answers);
    let words = [&[command, "--answers", &file, "--release", &release], more].concat();
    run(scene, &words)
}

/// How it ends, what is said, and that no byte of the disk changed.
#[track_caller]
fn refused(scene: &Scene, act: impl Fn() -> (Exit, String), exit: Exit, want: &str) -> String {
    let before = scene.fingerprint();
    let (ended, message) = act();
    assert_eq!(ended, exit, "{message}");
    assert!(message.contains(want), "{message}: {want}");
    assert!(scene.fingerprint() == before, "{want}: the disk changed");
    message
}

fn deployment(own: &UpgradeFacts) -> Option<String> {
    own.slot(Slot::A).inventory.and_then(|inventory| inventory.deployment_id)
}

#[test]
fn answers_take_a_host_over_once() {
    for kind in [Kind::MbrBios, Kind::GptUefi] {
        let scene = Scene::new(Made::usual(kind));
        let (old, untouched) = (scene.old_bytes(), scene.fingerprint());
        assert_eq!(by(&scene, "plan", UPGRADE, &["--memory", "3GiB"]).0, Exit::Done, "{kind:?}");
        assert!(scene.fingerprint() == untouched, "{kind:?}: a plan writes nothing");
        let wrong = || by(&scene, "upgrade", UPGRADE, &["--confirm", "abc"]);
        refused(&scene, wrong, Exit::RefusedToDestroy, "abc was confirmed");
        let pinned = format!("{UPGRADE}safety: {{plan: '{}'}}\n", "5".repeat(64));
        let wrong = || by(&scene, "install", &pinned, &[]);
        refused(&scene, wrong, Exit::RefusedToDestroy, "555 was confirmed");

        // What a medium runs.
        assert_eq!(by(&scene, "install", UPGRADE, &[]), (Exit::Done, String::new()), "{kind:?}");
        assert!(scene.old_bytes() == old, "{kind:?}: the old root is what it was");
        let (new, fell) = ("boots new from slot a", "boots old from the old system");
        let boots = scene.boots(&slots(&scene));
        assert_eq!([&boots[0], &boots[1]], [new, fell], "{kind:?}");
        let own = scene.own().unwrap();
        assert_eq!((own.boot.state.other, own.boot.state.trial), (Other::Old, Trial::Pending));
        assert_eq!(deployment(&own).as_deref(), Some("rack7-43"));
        assert_eq!(own.slot(Slot::A).inventory.unwrap().health_timeout_minutes, Some(7));

        // A machine that starts from the network once more is done.
        let again = || by(&scene, "install", UPGRADE, &[]);
        refused(&scene, again, Exit::Done, "rack7-43 already");
        let other = UPGRADE.replace("rack7-43", "rack7-44");
        let again = || by(&scene, "install", &other, &[]);
        refused(&scene, again, Exit::NotUpgradeable, "on trial");
        scene.bless();
        let again = || by(&scene, "install", UPGRADE, &[]);
        refused(&scene, again, Exit::Done, "rack7-43 already");
    }
}

#[test]
fn a_takeover_that_failed_its_trial_is_begun_over_for_another_deployment() {
    let scene = Scene::new(Made::usual(Kind::GptUefi));
    assert_eq!(by(&scene, "install", UPGRADE, &[]).0, Exit::Done);
    let old = scene.old_bytes();
    scene.fail_trial("no bridge");
    let again = || by(&scene, "install", UPGRADE, &[]);
    let told = refused(&scene, again, Exit::NotUpgradeable, "rack7-43 has failed its trial");
    assert!(told.contains("no bridge"), "{told}");
    // The disk is divided already, so that nothing more needs to be permitted.
    let other = UPGRADE.replace("rack7-43", "rack7-44").replace("{layout: modern}", "{}");
    assert_eq!(by(&scene, "install", &other, &[]), (Exit::Done, String::new()));
    assert!(scene.old_bytes() == old, "the old root is what it was");
    let own = scene.own().unwrap();
    assert_eq!((deployment(&own).as_deref(), own.boot.tries), (Some("rack7-44"), Some(3)));

    // And given up, once.
    let back = "schema: xenhost/v1\nmode: rollback\ndisks: {host: {serial: OLD}}\n";
    let file = file(&scene, back);
    let told = run(&scene, &["install", "--answers", &file]);
    assert_eq!(told.0, Exit::Done, "{told:?}");
    assert!(told.1.contains("given up"), "{told:?}");
    let again = || run(&scene, &["install", "--answers", &file]);
    refused(&scene, again, Exit::Done, "no try of the takeover is left");
}

#[test]
fn the_answers_have_to_permit_it() {
    let scene = Scene::new(Made::usual(Kind::MbrBios));
    for (command, how) in [("upgrade", "{layout: keep}"), ("install", "{}"), ("plan", "{}")] {
        let answers = UPGRADE.replace("{layout: modern}", how);
        let more: &[&str] = if command == "plan" { &["--memory", "3GiB"] } else { &[] };
        let act = || by(&scene, command, &answers, more);
        let told = refused(&scene, act, Exit::RefusedToDestroy, "divides the disk anew");
        assert!(told.contains("partition 3: the storage repository"), "{told}");
    }
    let keep = UPGRADE.replace("modern", "modern, keep: [/etc/nagios]");
    let act = || by(&scene, "upgrade", &keep, &[]);
    refused(&scene, act, Exit::BadAnswers, "/etc/nagios is to be kept");
    let act = || by(&scene, "upgrade", UPGRADE, &["--keep", "/etc/nagios"]);
    refused(&scene, act, Exit::BadAnswers, "/etc/nagios is to be kept");
    let release = scene.release.dir().display().to_string();
    let act = || run(&scene, &["upgrade", "--release", &release, "--keep", "etc/nagios"]);
    refused(&scene, act, Exit::BadAnswers, "/etc/nagios is to be kept");
    let act = || by(&scene, "upgrade", &UPGRADE.replace("OLD", "SN99"), &[]);
    refused(&scene, act, Exit::DiskNotFound, "no disk matches disks.host (serial SN99)");
    let act = || by(&scene, "upgrade", &format!("{UPGRADE}machine: {{serial: X}}\n"), &[]);
    refused(&scene, act, Exit::Unsuitable, "machine.serial is X");
}

/// What loses something is refused in the words of the command line.
#[test]
fn refusals_are_those_of_the_command_line() {
    let usual = || Made::usual(Kind::MbrBios);
    let db = |from: &str, to: &str| {
        usual().with("var/lib/xcp/state.db", made::database(|text| text.replace(from, to)))
    };
    let table = |name: &str, rows: &str| {
        let head = format!("<table name=\"{name}\">");
        db(&head, &format!("{head}{rows}"))
    };
    let no = Exit::NotUpgradeable;
    let without = |path| Made { without: vec![path], ..usual() };
    let cases = [
        (table("VM", made::VM), no, "lists 1 guests"),
        (table("host", "<row ref=\"h2\"/>"), no, "in a pool"),
        (db("ha_enabled=\"false\"", "ha_enabled=\"true\""), no, "availability"),
        (usual().with("etc/xensource/pool.conf", "slave:192.0.2.1"), no, "a member of a pool"),
        (Made { sr: Some(made::USED), ..usual() }, no, "is in use: volume LV-"),
        (Made { sr: Some(made::TAGGED), ..Made::usual(Kind::GptUefi) }, no, "tag host_4711"),
        (without("var/lib/misc/ran-storage-init"), no, "never finished a first boot"),
        (without("etc/xensource-inventory"), no, "another product"),
        (Made { gib: 40, ..usual() }, Exit::Unsuitable, "46 GiB needed"),
    ];
    for (made, exit, want) in cases {
        let scene = Scene::new(made);
        let release = scene.release.dir().display().to_string();
        let (_, typed) = run(&scene, &["upgrade", "--release", &release]);
        // Whether or not the answers permit it.
        for answers in [UPGRADE.to_owned(), UPGRADE.replace("modern", "keep")] {
            let act = || by(&scene, "install", &answers, &[]);
            assert_eq!(refused(&scene, act, exit, want), typed);
        }
    }
}

#[test]
fn of_two_hosts_the_one_that_is_meant_is_taken_over() {
    let scene = Scene::new(Made::usual(Kind::GptUefi));
    let second = Scene::new(Made::usual(Kind::MbrBios));
    let other = format!("SN43={}", second.disk().display());
    let release = scene.release.dir().display().to_string();
    let typed = || run(&scene, &["upgrade", "--release", &release, "--disk", &other]);
    refused(&scene, typed, Exit::DiskNotFound, "2 disks carry a host");
    let before = second.fingerprint();
    assert_eq!(by(&scene, "upgrade", UPGRADE, &["--disk", &other]).0, Exit::Done);
    assert!(second.fingerprint() == before, "the other host is as it was");
    // Beside one of ours too, which somebody at a shell would upgrade.
    let own = format!("SN44={}", scene.disk().display());
    let before = scene.fingerprint();
    assert_eq!(by(&second, "upgrade", UPGRADE, &["--disk", &own]).0, Exit::Done);
    assert!(scene.fingerprint() == before, "the host of ours is as it was");
}

#[test]
fn there_is_nothing_to_roll_back_to() {
    let scene = Scene::new(Made::usual(Kind::GptBios));
    let back = "schema: xenhost/v1\nmode: rollback\ndisks: {host: {serial: OLD}}\n";
    let file = file(&scene, back);
    for command in ["install", "rollback"] {
        let act = || run(&scene, &[command, "--answers", &file]);
        refused(&scene, act, Exit::NotUpgradeable, "XenServer 7.1.0 on partition 1 boots");
    }
}
