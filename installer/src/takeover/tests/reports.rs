//! What a web server is told of a takeover by answers.

use serde_json::Value;

use super::answers::{UPGRADE, by};
use super::*;
use crate::shelf::Shelf;

#[test]
fn a_takeover_is_told_of() {
    let scene = Scene::new(Made::usual(Kind::GptUefi));
    let ear = Shelf::open(scene.dir.path());
    let answers = format!(
        "{UPGRADE}report: {{webhook: [{{url: \"{}/hook\", events: [start, done, failed]}}]}}\n",
        ear.url()
    );
    let keep = answers.replace("modern", "keep");
    assert_eq!(by(&scene, "install", &keep, &[]).0, Exit::RefusedToDestroy);
    scene.release.flip_byte("dom0.img.zst", 2000);
    assert_eq!(by(&scene, "install", &answers, &[]).0, Exit::HashMismatch);
    scene.release.flip_byte("dom0.img.zst", 2000);
    // What was begun and cut short is done again.
    assert_eq!(by(&scene, "install", &answers, &[]).0, Exit::Done);
    let told: Vec<Value> =
        ear.posted().iter().map(|json| serde_json::from_str(json).unwrap()).collect();
    let events: Vec<[&Value; 3]> =
        told.iter().map(|json| ["event", "exit", "disk_state"].map(|key| &json[key])).collect();
    let want = serde_json::json!([
        ["failed", 12, "untouched"],
        ["start", null, "untouched"],
        ["failed", 14, "old system boots"],
        ["start", null, "untouched"],
        ["done", 0, "new system boots"],
    ]);
    assert_eq!(serde_json::to_value(events).unwrap(), want);
    let disk = scene.disk().display().to_string();
    for json in &told {
        assert_eq!(
            (&json["mode"], &json["deployment_id"]),
            (&"upgrade".into(), &"rack7-43".into())
        );
    }
    assert!(told[0]["message"].as_str().unwrap().contains("divides the disk anew"), "{told:?}");
    assert!(told[2]["message"].as_str().unwrap().contains("write the dom0 image"), "{told:?}");
    assert_eq!((&told[4]["disk"], &told[4]["build"]), (&disk.into(), &"test".into()));
    assert_eq!(told[1]["plan"], told[4]["plan"], "the plan of a rerun is the same");
}
