//! Tests of choosing a disk, apart from the ones in `answerfiles/refused`.

use partitioner::units::Bytes;

use super::*;
use crate::samples::{answers, disk, facts};
use crate::values::SizeRule;

/// The path of the disk that the selector chooses among the two of the sample machine.
fn chosen(selector: Selector, change: impl Fn(&mut HostFacts)) -> Result<String, String> {
    let (mut answers, mut facts) = (answers(), facts());
    answers.disks.insert("host".into(), selector);
    change(&mut facts);
    resolve(&answers, &facts).map(|r| r.disk.path).map_err(|refusal| refusal.message)
}

#[test]
fn each_rule_chooses() {
    let first = |selector| assert_eq!(chosen(selector, named), Ok("/dev/vda".to_owned()));
    first(Selector { serial: Some("SN42".to_owned()), ..Selector::default() });
    first(Selector { wwn: Some("0x5000ABCD".to_owned()), ..Selector::default() });
    first(Selector { by_id: Some("virtio-SN42".to_owned()), ..Selector::default() });
    first(Selector {
        by_id: Some("/dev/disk/by-id/virtio-SN42".to_owned()),
        ..Selector::default()
    });
    first(Selector { by_path: Some("pci-0000:00:05.0".to_owned()), ..Selector::default() });
    first(Selector { model: Some("Example".to_owned()), ..Selector::default() });
    let size = SizeRule::parse(">=60GiB").unwrap();
    first(Selector {
        size: Some(size),
        transport: Some("virtio".to_owned()),
        ..Selector::default()
    });
}

fn named(facts: &mut HostFacts) {
    let disk = &mut facts.disks[0];
    disk.wwn = Some("0x5000abcd".to_owned());
    disk.model = Some("Example   ".to_owned());
    disk.by_id = vec!["virtio-SN42".into()];
    disk.by_path = vec!["pci-0000:00:05.0".into()];
}

#[test]
fn no_part_of_a_name_is_taken_for_the_name() {
    for serial in ["42", "SN4", "sn42", "SN42 SN43", ""] {
        let selector = Selector { serial: Some(serial.to_owned()), ..Selector::default() };
        assert!(chosen(selector, |_| {}).is_err(), "{serial}");
    }
}

#[test]
fn removable_disks_are_taken_only_when_asked_for() {
    let stick = |facts: &mut HostFacts| facts.disks[0].transport = "usb".into();
    let by_serial = Selector { serial: Some("SN42".to_owned()), ..Selector::default() };
    assert!(chosen(by_serial.clone(), stick).unwrap_err().contains("it is removable"));
    let asked = Selector { transport: Some("usb".to_owned()), ..by_serial };
    assert_eq!(chosen(asked, stick), Ok("/dev/vda".to_owned()));
}

#[test]
fn a_rule_that_no_longer_matches_one_disk_only_chooses_none() {
    let twin = |facts: &mut HostFacts| {
        facts.disks.push(disk("/dev/vdc", Bytes::gib(60), "SN42"));
    };
    let selector = Selector { serial: Some("SN42".to_owned()), ..Selector::default() };
    assert!(chosen(selector, twin).unwrap_err().starts_with("2 disks match"));
}

/// Rows 26, 28, 29, 33 and 36 of the bad inputs: every disk is shown, with what excluded it.
#[test]
fn a_disk_that_is_not_taken_is_shown_with_the_reason() {
    type Change = fn(&mut HostFacts);
    let cases: [(&str, Change); 6] = [
        ("serial is `SN41`", |facts| facts.disks[0].serial = Some("SN41".into())),
        ("it holds the installation medium", |facts| facts.disks[0].medium = true),
        ("it is in use: /dev/md0", |facts| facts.disks[0].holders = vec!["/dev/md0".into()]),
        ("it is read-only", |facts| facts.disks[0].read_only = true),
        ("it is removable", |facts| facts.disks[0].removable = true),
        ("2 disks match", |facts| facts.disks.push(disk("/dev/vdc", Bytes::gib(60), "SN42"))),
    ];
    for (want, change) in cases {
        let mut facts = facts();
        change(&mut facts);
        let refusal = resolve(&answers(), &facts).unwrap_err();
        assert_eq!(refusal.exit, Exit::DiskNotFound, "{want}");
        assert!(refusal.message.contains(want), "{want}: {}", refusal.message);
        let shown = facts.disks.iter().all(|disk| refusal.message.contains(&disk.path));
        assert!(shown, "{want}: {}", refusal.message);
    }
}

/// Row 25 of the bad inputs.
#[test]
fn a_name_that_may_change_is_refused_where_more_than_one_disk_is_there() {
    let by_path = |path: &str| Selector { path: Some(path.to_owned()), ..Selector::default() };
    let alone = |facts: &mut HostFacts| facts.disks.truncate(1);
    assert_eq!(chosen(by_path("/dev/vda"), alone), Ok("/dev/vda".to_owned()));
    let busy = |facts: &mut HostFacts| facts.disks[1].holders = vec!["/dev/md0".into()];
    assert_eq!(chosen(by_path("/dev/vda"), busy), Ok("/dev/vda".to_owned()));

    let (mut answers, facts) = (answers(), facts());
    answers.disks.insert("host".into(), by_path("/dev/vda"));
    answers.safety.protect.clear();
    let refusal = resolve(&answers, &facts).unwrap_err();
    assert_eq!(refusal.exit, Exit::DiskNotFound);
    assert!(refusal.message.contains("`/dev/vda` is an unstable name"), "{}", refusal.message);
    let shown = facts.disks.iter().all(|disk| refusal.message.contains(&disk.path));
    assert!(shown, "{}", refusal.message);

    // Together with what only one disk has, the name is one rule more.
    let both = Selector { serial: Some("SN42".to_owned()), ..by_path("/dev/vda") };
    assert_eq!(chosen(both, |_| {}), Ok("/dev/vda".to_owned()));
}

#[test]
fn facts_without_interfaces_say_nothing_about_them() {
    let mut facts = facts();
    facts.nics.clear();
    assert!(resolve(&answers(), &facts).is_ok());
}

#[test]
fn one_address_on_two_interfaces_is_refused() {
    let mut facts = facts();
    facts.nics[1].mac = facts.nics[0].mac.clone();
    let refusal = resolve(&answers(), &facts).unwrap_err();
    assert_eq!(refusal.exit, Exit::BadAnswers);
    assert!(refusal.message.starts_with("2 interfaces match `management`"));
}

#[test]
fn the_same_deployment_is_done_whatever_may_be_destroyed() {
    let mut facts = facts();
    facts.disks[0].deployment_id = Some("rack7-42".to_owned());
    facts.disks[0].content = vec!["GPT".into()];
    assert_eq!(resolve(&answers(), &facts).unwrap_err().exit, Exit::Done);
    facts.disks[0].deployment_id = Some("rack7-41".to_owned());
    assert_eq!(resolve(&answers(), &facts).unwrap_err().exit, Exit::RefusedToDestroy);
}
