//! Plans and refusals of upgrades and rollbacks over facts that are made up here.

use std::collections::BTreeMap;

use partitioner::partuuid::DiskId;

use super::rollback;
use super::*;
use crate::answers::{self, Answers};
use crate::release::Manifest;
use crate::samples;

fn manifest() -> Manifest {
    Manifest { version: "0.2.0".into(), build: "new".into(), ..samples::manifest() }
}

fn facts() -> UpgradeFacts {
    let plan = samples::sample_plan();
    let inventory =
        Inventory { version: "0.1.0".into(), ..Inventory::of(&plan, &samples::request()) };
    let complete = Complete::of(&samples::manifest());
    let a = SlotFacts {
        complete: Some(Complete { build: inventory.build.clone(), ..complete }),
        inventory: Some(inventory),
        blessed: true,
        ..SlotFacts::default()
    };
    UpgradeFacts {
        disk: plan.disk,
        table_problems: Vec::new(),
        table: plan.table,
        boot: BootRecord {
            state: BootState { generation: 5, ..BootState::FRESH },
            copies_agree: true,
            tries: Some(3),
            reason: None,
            extents: Vec::new(),
        },
        slots: BTreeMap::from([(Slot::A, a)]),
        running: None,
    }
}

/// After an upgrade that was blessed.
fn upgraded() -> UpgradeFacts {
    let mut facts = facts();
    let mut b = facts.slot(Slot::A);
    if let Some(inventory) = &mut b.inventory {
        inventory.slot = Slot::B;
    }
    facts.slots.insert(Slot::B, b);
    facts.boot.state.slot = Slot::B;
    facts.boot.state.other = Other::A;
    facts
}

#[test]
fn an_upgrade_goes_into_the_other_slot_and_commits_once() {
    let plan = plan(&facts(), &manifest(), &Wish::default()).unwrap();
    assert_eq!((plan.from, plan.into, plan.role()), (Slot::A, Slot::B, Role::Backup));
    let state = |slot, other, trial, generation| BootState { slot, other, trial, generation };
    assert_eq!(plan.restricted, state(Slot::A, Other::None, Trial::Over, 6));
    assert_eq!(plan.committed, state(Slot::B, Other::A, Trial::Pending, 7));
    let steps: Vec<String> = plan.steps.iter().map(|step| step.title()).collect();
    assert_eq!(steps.first().unwrap(), "boot state: only the running system");
    assert_eq!(steps.last().unwrap(), "boot state: the new system, on trial");
    let page = render(&plan);
    assert!(page.contains("Upgrade xenhost 0.1.0 to 0.2.0 (new)"), "{page}");
    assert!(page.contains(&plan.digest));
    assert_eq!(to_json(&plan)["digest"], plan.digest);
    let slot_a = plan.facts.table.partition(Role::Root).unwrap().extent;
    assert!(plan.write_set().iter().all(|extent| !extent.overlaps(slot_a)));
}

#[test]
fn the_digest_covers_what_is_lost() {
    let one = plan(&facts(), &manifest(), &Wish::default()).unwrap();
    let wish = Wish { left_behind: vec!["etc/x".into()], ..Wish::default() };
    assert_ne!(one.digest, plan(&facts(), &manifest(), &wish).unwrap().digest);
    let again = UpgradeFacts { running: Some(Slot::A), ..facts() };
    assert_eq!(one.digest, plan(&again, &manifest(), &Wish::default()).unwrap().digest);
}

#[test]
fn a_failed_trial_is_overwritten_from_the_system_that_runs_again() {
    // A count that cannot be read starts the system before as well.
    for tries in [Some(0), None] {
        let mut facts = upgraded();
        facts.boot.state = BootState { trial: Trial::Pending, ..facts.boot.state };
        (facts.boot.tries, facts.running) = (tries, Some(Slot::A));
        let plan = plan(&facts, &manifest(), &Wish::default()).unwrap();
        assert_eq!((plan.from, plan.into), (Slot::A, Slot::B));
    }
}

type Spoil = fn(&mut UpgradeFacts, &mut Manifest);

#[test]
fn every_refusal_has_its_exit_and_its_reason() {
    fn slot(facts: &mut UpgradeFacts) -> &mut SlotFacts {
        facts.slots.get_mut(&Slot::A).unwrap()
    }
    let cases: &[(Spoil, Exit, &str)] = &[
        (|_, m| m.version = "0.0.9".into(), Exit::NotUpgradeable, "downgrade refused"),
        (|_, m| m.product = "other".into(), Exit::NotUpgradeable, "the release is other"),
        (|_, m| m.min_upgrade_from = "0.1.5".into(), Exit::NotUpgradeable, "0.1.5 or later"),
        (|f, _| f.boot.state.trial = Trial::Pending, Exit::NotUpgradeable, "on trial"),
        (
            |f, _| slot(f).saved_guests = vec!["/var/lib/xen/save/web".into()],
            Exit::NotUpgradeable,
            "saved guests, such as /var/lib/xen/save/web",
        ),
        (
            |f, _| slot(f).fs_errors = Some("bad bitmap".into()),
            Exit::NotUpgradeable,
            "has errors: bad bitmap",
        ),
        (|f, _| slot(f).needs_recovery = true, Exit::NotUpgradeable, "needs recovery"),
        (|f, _| slot(f).blessed = false, Exit::NotUpgradeable, "never finished a first boot"),
        (|f, _| slot(f).inventory = None, Exit::NotUpgradeable, "no system that can be upgraded"),
        (
            |f, _| {
                slot(f).inventory = None;
                slot(f).problem = Some("inventory.json: line 3".into());
            },
            Exit::NotUpgradeable,
            "inventory.json: line 3",
        ),
        (|f, _| f.running = Some(Slot::B), Exit::NotUpgradeable, "runs for one boot"),
        (|_, m| m.image.size = 19 << 30, Exit::Unsuitable, "slot b has 18 GiB"),
        (
            |f, _| f.table_problems = vec!["primary copy damaged".into()],
            Exit::Unsuitable,
            "primary copy damaged",
        ),
        (
            |f, m| {
                m.version = "0.1.0".into();
                m.build = f.slot(Slot::A).inventory.unwrap().build;
            },
            Exit::Done,
            "already",
        ),
    ];
    for (spoil, exit, text) in cases {
        let (mut facts, mut manifest) = (facts(), manifest());
        spoil(&mut facts, &mut manifest);
        let refusal = plan(&facts, &manifest, &Wish::default()).unwrap_err();
        assert_eq!(refusal.exit, *exit, "{refusal}");
        assert!(refusal.message.contains(text), "{refusal}: {text}");
    }
}

#[test]
fn a_rollback_swaps_the_slots_and_back() {
    let mut facts = upgraded();
    let back = rollback::plan(&facts).unwrap();
    assert_eq!((back.from, back.to), (Slot::B, Slot::A));
    let want = BootState { slot: Slot::A, other: Other::B, trial: Trial::Over, generation: 6 };
    assert_eq!(back.state, want);
    facts.boot.state = back.state;
    let forward = rollback::plan(&facts).unwrap().state;
    assert_eq!((forward.slot, forward.other), (Slot::B, Other::A));
}

#[test]
fn a_system_that_was_never_blessed_is_on_trial_when_it_is_chosen() {
    let mut facts = upgraded();
    facts.boot.state.trial = Trial::Pending;
    let back = rollback::plan(&facts).unwrap().state;
    assert_eq!((back.slot, back.trial), (Slot::A, Trial::Over), "a trial is given up");
    facts.boot.state = back;
    facts.slots.get_mut(&Slot::B).unwrap().blessed = false;
    let forward = rollback::plan(&facts).unwrap().state;
    assert_eq!((forward.slot, forward.trial), (Slot::B, Trial::Pending));
}

#[test]
fn rollbacks_that_would_strand_the_host_are_refused() {
    fn other(facts: &mut UpgradeFacts) -> &mut SlotFacts {
        facts.slots.get_mut(&Slot::A).unwrap()
    }
    type Spoil = fn(&mut UpgradeFacts);
    let cases: &[(Spoil, &str)] = &[
        (|f| f.boot.state.other = Other::None, "no previous system"),
        (|f| f.boot.state.other = Other::Old, "is not finished"),
        (|f| other(f).saved_guests = vec!["x".into()], "slot a holds a saved guest"),
        (|f| other(f).fs_errors = Some("bad".into()), "errors: bad"),
        (|f| other(f).missing = vec!["/boot/xen".into()], "/boot/xen is missing"),
        (
            |f| {
                other(f).complete = None;
                other(f).blessed = false;
            },
            "not finished",
        ),
        (|f| other(f).inventory = None, "no system"),
        (|f| other(f).inventory.as_mut().unwrap().slot = Slot::B, "says that it is slot b"),
        (|f| other(f).inventory.as_mut().unwrap().product = "x".into(), "another product"),
        (|f| other(f).complete.as_mut().unwrap().build = "x".into(), "another build"),
        (|f| other(f).inventory.as_mut().unwrap().disk_id = DiskId::Mbr(7), "of another disk"),
    ];
    for (spoil, text) in cases {
        let mut facts = upgraded();
        spoil(&mut facts);
        let refusal = rollback::plan(&facts).unwrap_err();
        assert_eq!(refusal.exit, Exit::NotUpgradeable);
        assert!(refusal.message.contains(text), "{refusal}: {text}");
    }
}

#[test]
fn each_thing_that_is_not_whole_is_told() {
    type Spoil = fn(&mut UpgradeFacts);
    let wrong = |facts: &UpgradeFacts| -> Vec<String> {
        let checks = verify(facts);
        assert_eq!(checks.len(), 4);
        checks.into_iter().flat_map(|check| check.problems).collect()
    };
    assert_eq!(wrong(&upgraded()), [""; 0]);
    // A fresh host has nothing in slot b, and needs nothing.
    assert_eq!(wrong(&facts()), [""; 0]);
    let cases: &[(Spoil, &str)] = &[
        (|f| f.table_problems = vec!["backup gone".into()], "backup gone"),
        (|f| f.boot.copies_agree = false, "copies differ"),
        (|f| f.boot.tries = None, "count of tries"),
        (|f| f.slots.get_mut(&Slot::A).unwrap().inventory = None, "no system"),
        (|f| f.slots.get_mut(&Slot::B).unwrap().missing = vec!["/boot/x".into()], "/boot/x is"),
    ];
    for (spoil, text) in cases {
        let mut facts = upgraded();
        spoil(&mut facts);
        let told = wrong(&facts);
        assert!(told.len() == 1 && told[0].contains(text), "{told:?}: {text}");
    }
}

/// Tries left or unreadable, what asks, and whether the deployment is told to be there or to have
/// failed.
#[test]
fn a_deployment_is_done_or_has_failed_its_trial() {
    const THERE: (Exit, &str) = (Exit::Done, "carries the deployment x already");
    const FAILED: (Exit, &str) = (Exit::NotUpgradeable, "never reached");
    const TORN: (Exit, &str) = (Exit::NotUpgradeable, "the count of its tries cannot be read");
    let text = "schema: xenhost/v1\nmode: upgrade\ndeployment_id: x\n\
                disks: {host: {serial: SN42}}\n";
    let Answers::Upgrade(answers) = answers::read("answers", text.as_bytes()).unwrap().0 else {
        panic!("they are of an upgrade");
    };
    for other in [Other::A, Other::Old] {
        for (tries, running, (exit, want)) in [
            (Some(3), None, THERE),
            (Some(1), Some(Slot::B), THERE),
            // The last try runs, or one whose count has become unreadable since.
            (Some(0), Some(Slot::B), THERE),
            (None, Some(Slot::B), THERE),
            (Some(0), None, FAILED),
            (Some(0), Some(Slot::A), FAILED),
            (None, None, TORN),
            (None, Some(Slot::A), TORN),
        ] {
            let mut facts = upgraded();
            facts.boot.state = BootState { other, trial: Trial::Pending, ..facts.boot.state };
            (facts.boot.tries, facts.running) = (tries, running);
            let inventory = facts.slots.get_mut(&Slot::B).unwrap().inventory.as_mut().unwrap();
            inventory.deployment_id = Some("x".to_owned());
            let refusal = asked::deployed(&answers, &facts).unwrap_err();
            let case = format!("{other:?}, {tries:?} tries, {running:?} runs: {refusal}");
            assert_eq!(refusal.exit, exit, "{case}");
            assert!(refusal.message.contains(want), "{case}: {want}");
            facts.boot.state.trial = Trial::Over;
            assert_eq!(asked::deployed(&answers, &facts).unwrap_err().exit, Exit::Done, "{case}");
        }
    }
}
