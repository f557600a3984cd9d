//! Upgrades and rollbacks as answer files ask for them, by the commands that people call.

use installer_core::facts::Firmware;
use partitioner::units::Bytes;

use super::*;

pub(super) const UPGRADE: &str = "schema: xenhost/v1\nmode: upgrade\ndeployment_id: rack7-43\n\
    disks: {host: {serial: SN42}}\nupgrade: {keep: [/etc/nagios]}\nhealth: {timeout: 7m}\n";
pub(super) const ROLLBACK: &str =
    "schema: xenhost/v1\nmode: rollback\ndisks: {host: {serial: SN42}}\n";
pub(super) const SIZE: BlockSize = BlockSize::B512;

pub(super) fn run(scene: &Scene, words: &[&str]) -> (Exit, String) {
    let mut args: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    args.extend(["--disk".to_owned(), scene.arg()]);
    cli::told(&args)
}

/// A command with an answer file and the second release.
pub(super) fn by(scene: &Scene, command: &str, answers: &str, more: &[&str]) -> (Exit, String) {
    let (file, release) = (scene.write("answers.yaml", answers), scene.second.dir());
    let release = release.to_string_lossy();
    let words = [&[command, "--answers", &file, "--release", &release], more].concat();
    run(scene, &words)
}

#[track_caller]
fn refused(told: &(Exit, String), exit: Exit, text: &str) {
    assert_eq!(told.0, exit, "{told:?}");
    assert!(told.1.contains(text), "{told:?}: {text}");
}

#[test]
fn answers_are_consent_and_what_they_say_is_in_the_new_system() {
    let scene = Scene::lived_in(SIZE);
    scene.edit(&scene.facts(SIZE), Slot::A, &[("etc/nagios/nrpe.cfg", "port=5666\n")]);
    let before = scene.blocks_outside(&[]);
    assert_eq!(by(&scene, "plan", UPGRADE, &["--memory", "3GiB"]).0, Exit::Done);
    let told = by(&scene, "upgrade", UPGRADE, &["--confirm", "abc"]);
    refused(&told, Exit::RefusedToDestroy, "abc was confirmed");
    let pinned = format!("{UPGRADE}safety: {{plan: '{}'}}\n", "5".repeat(64));
    let told = by(&scene, "upgrade", &pinned, &[]);
    refused(&told, Exit::RefusedToDestroy, "555 was confirmed");
    assert!(scene.blocks_outside(&[]) == before, "nothing was written");

    assert_eq!(by(&scene, "upgrade", UPGRADE, &[]), (Exit::Done, String::new()));
    let facts = scene.facts(SIZE);
    assert_eq!((facts.boot.state.slot, facts.boot.state.trial), (Slot::B, Trial::Pending));
    let inventory = facts.slot(Slot::B).inventory.unwrap();
    assert_eq!(inventory.deployment_id.as_deref(), Some("rack7-43"));
    assert_eq!(inventory.health_timeout_minutes, Some(7));
    let root = scene.root(&facts, Slot::B);
    assert_eq!(has(&root, "etc/nagios/nrpe.cfg"), "port=5666\n");

    // A machine that boots from the network once more is done, and not upgraded in a loop.
    let before = scene.blocks_outside(&[]);
    refused(&by(&scene, "install", UPGRADE, &[]), Exit::Done, "rack7-43 already");
    let other = UPGRADE.replace("rack7-43", "rack7-44");
    refused(&by(&scene, "install", &other, &[]), Exit::NotUpgradeable, "on trial");
    assert!(scene.blocks_outside(&[]) == before, "nothing was written");
}

#[test]
fn a_deployment_that_failed_its_trial_is_not_tried_again() {
    let scene = Scene::lived_in(SIZE);
    assert_eq!(by(&scene, "install", UPGRADE, &[]).0, Exit::Done);
    let facts = scene.facts(SIZE);
    let mut site = AtRest::for_state(Rest::Image, &facts).unwrap();
    let mut boot = BootFiles::open(site.open_boot().unwrap()).unwrap();
    boot.write_tries(0).unwrap();
    drop(boot);
    drop(site);
    let told = by(&scene, "install", UPGRADE, &[]);
    refused(&told, Exit::NotUpgradeable, "rack7-43 has failed its trial in slot b");
    let other = UPGRADE.replace("rack7-43", "rack7-44");
    assert_eq!(by(&scene, "install", &other, &[]).0, Exit::Done);
    assert_eq!(scene.facts(SIZE).boot.tries, Some(TRIES));
}

#[test]
fn a_rollback_by_answers_goes_back_once() {
    let scene = Scene::lived_in(SIZE);
    assert_eq!(by(&scene, "upgrade", UPGRADE, &[]).0, Exit::Done);
    scene.blessed(Slot::B);
    let file = scene.write("rollback.yaml", ROLLBACK);
    let before = scene.blocks_outside(&[]);
    assert_eq!(run(&scene, &["plan", "--answers", &file, "--memory", "3GiB"]).0, Exit::Done);
    assert_eq!(run(&scene, &["rollback", "--check", "--answers", &file]).0, Exit::Done);
    let told = run(&scene, &["install", "--answers", &file, "--confirm", "abc"]);
    refused(&told, Exit::BadAnswers, "no plan to confirm");
    assert!(scene.blocks_outside(&[]) == before, "nothing was written");
    let chosen = || scene.facts(SIZE).boot.state.slot;
    assert_eq!(run(&scene, &["install", "--answers", &file]).0, Exit::Done);
    assert_eq!(chosen(), Slot::A);
    let told = run(&scene, &["rollback", "--answers", &file]);
    refused(&told, Exit::Done, "slot a has 0.1.0 and is the previous system already");
    assert_eq!(chosen(), Slot::A);
    // A person goes on again.
    assert_eq!(run(&scene, &["rollback"]).0, Exit::Done);
    assert_eq!(chosen(), Slot::B);
}

#[test]
fn what_the_answers_cannot_mean_is_refused_by_name() {
    let scene = Scene::lived_in(SIZE);
    let before = scene.blocks_outside(&[]);
    let told = by(&scene, "upgrade", super::scene::ANSWERS, &[]);
    refused(&told, Exit::BadAnswers, "the file says mode: install, not upgrade");
    let file = scene.write("upgrade.yaml", UPGRADE);
    let told = run(&scene, &["rollback", "--answers", &file]);
    refused(&told, Exit::BadAnswers, "mode: upgrade, not rollback");
    let told = by(&scene, "upgrade", &UPGRADE.replace("SN42", "SN99"), &[]);
    refused(&told, Exit::DiskNotFound, "no disk matches disks.host (serial SN99)");
    let told = by(&scene, "upgrade", &format!("{UPGRADE}machine: {{serial: X}}\n"), &[]);
    refused(&told, Exit::Unsuitable, "machine.serial is X");
    let facts = scene.write("facts.json", "{}");
    let recorded = ["plan", "--answers", &file, "--facts", &facts].map(str::to_owned);
    refused(&cli::told(&recorded), Exit::BadAnswers, "what is in the slots is not recorded");
    assert!(scene.blocks_outside(&[]) == before, "nothing was written");
}

#[test]
fn a_host_on_a_small_disk_keeps_its_layout() {
    let scene = Scene::of(Bytes::gib(20), SIZE, Firmware::Uefi);
    scene.blessed(Slot::A);
    let before = scene.blocks_outside(&[]);
    let modern = UPGRADE.replace("keep: [/etc/nagios]", "layout: modern");
    let told = by(&scene, "upgrade", &modern, &[]);
    refused(&told, Exit::Unsuitable, "has 20 GiB, 46 GiB needed");
    assert!(scene.blocks_outside(&[]) == before, "nothing was written");
    assert_eq!(by(&scene, "upgrade", UPGRADE, &[]).0, Exit::Done);
}

#[test]
fn of_two_hosts_one_is_named() {
    let (scene, second) = (Scene::lived_in(SIZE), Scene::lived_in(SIZE));
    let other = format!("SN43={}", second.disk().display());
    let file = scene.write("rollback.yaml", "schema: xenhost/v1\nmode: rollback\n");
    let told = run(&scene, &["rollback", "--answers", &file, "--disk", &other]);
    refused(&told, Exit::DiskNotFound, "2 disks carry a host");
    let before = second.blocks_outside(&[]);
    assert_eq!(by(&scene, "upgrade", UPGRADE, &["--disk", &other]).0, Exit::Done);
    assert!(second.blocks_outside(&[]) == before, "the other host is as it was");
}
