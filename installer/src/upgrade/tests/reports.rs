//! What web servers are told of upgrades and rollbacks by answers.

use serde_json::Value;

use super::answers::{ROLLBACK, SIZE, UPGRADE, by, run};
use super::*;
use crate::shelf::{Shelf, Trouble};

/// A server that is told everything, and what the answers say of it.
fn ear(scene: &Scene) -> (Shelf, String) {
    let ear = Shelf::open(scene.dir.path());
    let hook = format!(
        "report: {{webhook: [{{url: \"http://u:hunter2@127.0.0.1:{}/hook\", events: [start, done, \
         failed]}}]}}\n",
        ear.port
    );
    (ear, hook)
}

fn told(ear: &Shelf) -> Vec<Value> {
    let posted = ear.posted();
    assert!(posted.iter().all(|json| !json.contains("hunter2")), "{posted:?}");
    posted.iter().map(|json| serde_json::from_str(json).unwrap()).collect()
}

/// Event, exit code and state of the disk of each report.
fn events(told: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    let one = |json: &Value| {
        format!("{} {} {}", text(&json["event"]), text(&json["exit"]), text(&json["disk_state"]))
    };
    told.iter().map(one).collect()
}

#[test]
fn an_upgrade_is_told_of() {
    let scene = Scene::lived_in(SIZE);
    let (ear, hook) = ear(&scene);
    let answers = format!("{UPGRADE}{hook}");
    assert_eq!(by(&scene, "plan", &answers, &["--memory", "3GiB"]).0, Exit::Done);
    assert_eq!(ear.posted().len(), 0, "who only looks is not told of");
    // Refused before there is a plan; not what was confirmed; cut short by a damaged release.
    let other = answers.replace("SN42", "SN99");
    assert_eq!(by(&scene, "upgrade", &other, &[]).0, Exit::DiskNotFound);
    let wrong = by(&scene, "upgrade", &answers, &["--confirm", "abc"]);
    assert_eq!(wrong.0, Exit::RefusedToDestroy);
    scene.second.flip_byte("dom0.img.zst", 2000);
    assert_eq!(by(&scene, "install", &answers, &[]).0, Exit::HashMismatch);
    scene.second.flip_byte("dom0.img.zst", 2000);
    assert_eq!(by(&scene, "install", &answers, &[]).0, Exit::Done);
    // Once more from the network.
    assert_eq!(by(&scene, "install", &answers, &[]).0, Exit::Done);
    let told = told(&ear);
    let want = [
        "failed 11 untouched",
        "failed 12 untouched",
        "start null untouched",
        "failed 14 old system boots",
        "start null untouched",
        "done 0 new system boots",
        "done 0 untouched",
    ];
    assert_eq!(events(&told), want);
    assert!(told.iter().all(|json| json["mode"] == "upgrade"), "{told:?}");
    assert!(told.iter().all(|json| json["deployment_id"] == "rack7-43"), "{told:?}");
    let disk = scene.disk().display().to_string();
    let known = |json: &Value| json["disk"] == disk && json["version"] == "0.2.0";
    assert_eq!(
        told.iter().map(known).collect::<Vec<_>>(),
        [false, true, true, true, true, true, false]
    );
    let digest = told[4]["plan"].as_str().unwrap();
    assert_eq!((digest.len(), told[5]["plan"].as_str()), (64, Some(digest)));
    assert!(told[3]["message"].as_str().unwrap().contains("write the dom0 image"), "{told:?}");
    assert!(told[6]["message"].as_str().unwrap().contains("rack7-43 already"), "{told:?}");
}

#[test]
fn a_rollback_is_told_of() {
    let scene = Scene::lived_in(SIZE);
    let (ear, hook) = ear(&scene);
    let back = scene.write("rollback.yaml", &format!("{ROLLBACK}{hook}"));
    let back = || run(&scene, &["install", "--answers", &back]).0;
    assert_eq!(back(), Exit::NotUpgradeable, "there is no other system");
    assert_eq!(by(&scene, "upgrade", UPGRADE, &[]).0, Exit::Done);
    scene.blessed(Slot::B);
    assert_eq!(back(), Exit::Done);
    assert_eq!(back(), Exit::Done, "is back already");
    let told = told(&ear);
    let want = [
        "failed 16 untouched",
        "start null untouched",
        "done 0 new system boots",
        "done 0 untouched",
    ];
    assert_eq!(events(&told), want);
    assert!(told.iter().all(|json| json["mode"] == "rollback" && json["plan"].is_null()));
    assert_eq!(told[2]["version"], "0.1.0");
}

/// A report that is lost stops nothing.
#[test]
fn a_server_that_takes_no_report_stops_no_upgrade() {
    let scene = Scene::lived_in(SIZE);
    let (ear, hook) = ear(&scene);
    ear.trouble("hook", Trouble::Status { line: "403 Forbidden" });
    assert_eq!(by(&scene, "upgrade", &format!("{UPGRADE}{hook}"), &[]).0, Exit::Done);
    assert_eq!(scene.facts(SIZE).boot.state.trial, Trial::Pending);
}
