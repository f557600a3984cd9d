//! Tests of planning: what the digest covers, and what the judge sees.

use partitioner::units::BlockSize;

use super::*;
use crate::samples::{facts, ids, manifest, request, sample_plan};
use crate::values::{Hostname, Keymap, SshKey};

fn digest(change: impl Fn(&mut InstallRequest, &mut HostFacts, &mut Manifest)) -> String {
    let (mut request, mut facts, mut manifest) = (request(), facts(), manifest());
    change(&mut request, &mut facts, &mut manifest);
    plan(&request, &facts, &manifest, &mut ids()).unwrap().digest
}

#[test]
fn a_digest_changes_with_everything_that_is_agreed_to() {
    let same = digest(|_, _, _| {});
    assert_eq!(same.len(), 64);
    let changed = [
        digest(|r, _, _| r.disk.serial = Some("SN43".into())),
        digest(|r, _, _| r.disk.size = Bytes::gib(61)),
        digest(|r, _, _| r.disk.content.push("ext4".into())),
        digest(|r, _, _| r.boot_size = Some(Bytes::mib(512))),
        digest(|r, _, _| r.system.hostname = Hostname::parse("xen2").unwrap()),
        digest(|r, _, _| r.system.keymap = Keymap::parse("de").unwrap()),
        digest(|r, _, _| r.access.ssh_keys = Vec::<SshKey>::new()),
        digest(|r, _, _| r.access.root_password = other_password()),
        digest(|_, f, _| f.firmware = Firmware::Bios),
        digest(|_, f, _| f.memory = Bytes::gib(4)),
        digest(|_, _, m| m.build.push('0')),
    ];
    for (number, digest) in changed.iter().enumerate() {
        assert_ne!(*digest, same, "change {number} does not show");
    }
}

#[test]
fn a_digest_does_not_change_with_what_may_differ_at_the_next_start() {
    let same = digest(|_, _, _| {});
    assert_eq!(same, digest(|r, _, _| r.disk.path = "/dev/sdz".into()));
    assert_eq!(same, digest(|_, f, _| f.disks.truncate(1)));
    let unnamed = digest(|r, _, _| r.disk.serial = None);
    let path = |r: &mut InstallRequest| {
        r.disk.serial = None;
        r.disk.path = "/dev/sdz".into();
    };
    assert_ne!(unnamed, digest(|r, _, _| path(r)), "a disk without a name has only its path");
}

fn other_password() -> crate::values::RootPassword {
    let hash = format!("$y$j9T$salt${}", "b".repeat(43));
    crate::values::RootPassword::Hash(crate::values::PasswordHash::parse(&hash).unwrap())
}

#[test]
fn drawing_changes_identifiers_and_nothing_else() {
    let plan = sample_plan();
    let drawn = plan.draw(&mut Ids::from_seed([9; 32]));
    assert_ne!(plan.table.disk_guid, drawn.table.disk_guid);
    assert_ne!(plan.ids, drawn.ids);
    assert_eq!(plan.digest, drawn.digest);
    assert_eq!(render(&plan), render(&drawn));
    assert!(checked(drawn).is_ok());
}

#[test]
fn blocks_of_4096_bytes_get_no_bios_boot_loader() {
    let mut request = request();
    request.disk.block_size = BlockSize::B4096;
    let plan = plan(&request, &facts(), &manifest(), &mut ids()).unwrap();
    assert!(!plan.steps.contains(&Step::WriteCore));
    assert!(checked(plan).is_ok());
}

#[test]
fn an_image_that_is_larger_than_its_slot_is_refused() {
    let mut manifest = manifest();
    manifest.image.size = Bytes::gib(18).get();
    assert!(plan(&request(), &facts(), &manifest, &mut ids()).is_ok());
    manifest.image.size += 4096;
    let refusal = plan(&request(), &facts(), &manifest, &mut ids()).unwrap_err();
    assert_eq!(refusal.exit, Exit::Unsuitable);
    assert_eq!(
        refusal.message,
        "partition root will have 18 GiB, the dom0 image needs 18 GiB (19327356928 bytes)"
    );
}

#[test]
fn a_manifest_with_a_strange_path_is_refused() {
    let mut manifest = manifest();
    manifest.dom0.xen = "/boot/xen.gz; reboot".into();
    let refusal = plan(&request(), &facts(), &manifest, &mut ids()).unwrap_err();
    assert_eq!(refusal.exit, Exit::SourceFailed);
}

/// What the judge says of a plan that was changed by hand.
#[track_caller]
fn finds(change: impl Fn(&mut Plan), want: &str) {
    let mut plan = sample_plan();
    change(&mut plan);
    let findings: Vec<String> =
        checked(plan).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(findings.iter().any(|finding| finding.contains(want)), "{findings:?}");
}

fn position(plan: &Plan, step: Step) -> usize {
    plan.steps.iter().position(|s| *s == step).unwrap()
}

fn remove(step: Step) -> impl Fn(&mut Plan) {
    move |plan| plan.steps.retain(|s| *s != step)
}

#[test]
fn the_judge_misses_no_step() {
    for step in sample_plan().steps {
        if step != Step::BootEntry {
            finds(remove(step), &format!("`{}` is performed 0 times, 1 needed", step.title()));
        }
    }
    finds(|plan| plan.steps.push(Step::Arm), "performed 2 times");
    finds(|plan| plan.disk.block_size = BlockSize::B4096, "performed 1 times, 0 needed");
}

#[test]
fn the_judge_sees_every_exchange_of_two_steps() {
    let count = sample_plan().steps.len();
    for first in 0..count {
        for second in (first + 1)..count {
            finds(|plan| plan.steps.swap(first, second), "is performed before");
        }
    }
}

#[test]
fn the_judge_sees_what_else_may_not_be() {
    finds(|plan| plan.ids.logs = plan.ids.swap, "share the identifier");
    finds(|plan| plan.disk.size = Bytes::gib(59), "the plan is for");
    finds(|plan| plan.disk.content.push("ext4".into()), "not listed as destroyed");
    finds(
        |plan| plan.table.partitions.retain(|p| p.role != Role::Logs),
        "no partition logs to write to",
    );
    finds(
        |plan| {
            let root = plan.table.partitions.iter().position(|p| p.role == Role::Root).unwrap();
            let backup = plan.table.partitions.iter().position(|p| p.role == Role::Backup).unwrap();
            plan.table.partitions[root].extent = plan.table.partitions[backup].extent;
        },
        "overlap",
    );
    assert!(position(&sample_plan(), Step::Disarm) == 1, "behind the scripts of `pre`");
}
