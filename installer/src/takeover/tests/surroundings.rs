//! What of the machine, and of the disk since the plan was made, ends a takeover or does not.
//! Numbers are of the list of bad inputs.

use installer_core::takeover::{self as core, MachineSize, TakeoverFacts, Wish};
use partitioner::ids::Ids;
use partitioner::takeover::trial_write_set;
use partitioner::units::Bytes;

use super::*;
use crate::host::image::ImageHost;

fn overwrite(scene: &Scene, at: u64, bytes: usize) {
    let disk = File::options().write(true).open(scene.disk()).unwrap();
    disk.write_all_at(&vec![0x5A; bytes], at).unwrap();
}

/// Rows 79 and 81: of the machine that the disk is in; an image says nothing of one.
#[test]
fn machines_that_do_not_fit_are_refused() {
    let scene = Scene::new(Made::usual(Kind::GptUefi));
    let release = Release::open(scene.release.dir()).unwrap();
    let machine = |firmware, memory| MachineSize { firmware, memory, cpus: 4 };
    let rows = [
        (79, machine(Firmware::Uefi, Bytes::mib(900)), "has 900 MiB of memory, 1440 MiB needed"),
        (81, machine(Firmware::Bios, Bytes::gib(8)), "starts by UEFI, this machine was started by"),
    ];
    for (number, machine, text) in rows {
        let facts = TakeoverFacts { machine: Some(machine), ..scene.facts() };
        let mut ids = Ids::from_seed([9; 32]);
        let refusal =
            core::plan(&facts, release.manifest(), &Wish::default(), &mut ids).unwrap_err();
        assert_eq!(refusal.exit, Exit::Unsuitable, "row {number}: {refusal}");
        assert!(refusal.message.contains(text), "row {number}: {refusal}: {text}");
    }
}

/// Row 83: a firmware that takes no boot entry is a warning, and only that.
#[test]
fn a_boot_entry_that_cannot_be_written_stops_nothing() {
    let full = || HostError::BootEntry { why: "no space left for variables".to_owned() }.into();
    let mut events = Vec::new();
    excuse(TakeoverStep::BootEntry, full(), &mut |event| events.push(event)).unwrap();
    let [Event::Warning { text }] = &events[..] else { panic!("{events:?}") };
    assert!(text.contains("no space left for variables; the machine boots without it"), "{text}");
    excuse(TakeoverStep::Settle, full(), &mut |event| panic!("{event:?}")).unwrap_err();
}

/// Row 35: between the plan and the first write somebody else was at the disk.
#[test]
fn a_disk_that_changed_since_the_plan_is_not_taken_over() {
    for what in ["a partition is gone", "another boot loader", "another root"] {
        let scene = Scene::new(Made::usual(Kind::GptUefi));
        let (plan, release) = (scene.plan().unwrap(), Release::open(scene.release.dir()).unwrap());
        match what {
            "another boot loader" => overwrite(&scene, 0, 64),
            "another root" => overwrite(&scene, scene::old_root(scene.made.kind).0, 4096),
            _ => {
                let call = Call::new("sgdisk").args(["-d", "3"]);
                Processes.run(&call.arg(scene.disk())).unwrap();
            }
        }
        let before = scene.fingerprint();
        let fence = trial_write_set(&plan.tables);
        let mut host = ImageHost::open(&scene.disk(), scene::SIZE, fence).unwrap();
        let cancel = Cancel::default();
        let failure =
            run(&plan, &release, &mut host, &cancel, &mut |event| panic!("{event:?}")).unwrap_err();
        let told = (failure.exit, failure.state);
        assert_eq!(told, (Exit::DiskNotFound, DiskState::Untouched), "{what}: {failure}");
        assert!(failure.to_string().contains("changed since the plan was made"), "{what}");
        drop(host);
        assert!(scene.fingerprint() == before, "{what}: the disk changed");
    }
}
