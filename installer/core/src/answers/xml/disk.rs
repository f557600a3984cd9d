//! `<primary-disk>` and what belongs to it, and the disks beside it.

use std::collections::BTreeMap;

use super::element::Element;
use crate::answers::SrKind;
use crate::problem::{Problem, Problems};
use crate::request::Selector;

/// A disk by the name that the old installer took. Names that can change between two starts are
/// taken with a warning.
pub(super) fn selector(element: &Element<'_, '_>, problems: &mut Problems) -> Option<Selector> {
    let text = element.text();
    if text.is_empty() {
        element.refuse(problems, "no disk is named", "for example /dev/disk/by-id/…");
        return None;
    }
    if text.starts_with("iscsi:") {
        element.refuse(
            problems,
            "installing to iSCSI is not available",
            "a local disk, or one that a host bus adapter shows as local",
        );
        return None;
    }
    if text.contains(',') {
        element.refuse(
            problems,
            "software RAID is not available yet",
            "one disk, or a RAID made by the controller",
        );
        return None;
    }
    let name = text.strip_prefix("/dev/").unwrap_or(&text);
    if let Some(id) = name.strip_prefix("disk/by-id/") {
        return Some(Selector { by_id: Some(id.to_owned()), ..Selector::default() });
    }
    if let Some(path) = name.strip_prefix("disk/by-path/") {
        return Some(Selector { by_path: Some(path.to_owned()), ..Selector::default() });
    }
    let path = format!("/dev/{name}");
    let what = format!("{path} can be another disk at the next start of a machine");
    let problem = Problem::new(element.at(), element.path(), what);
    problems.warn(problem.hint("name the disk by /dev/disk/by-id/…"));
    Some(Selector { path: Some(path), ..Selector::default() })
}

/// The attributes of `<primary-disk>`: whether its rest is for guests.
pub(super) fn rest_for_guests(disk: &mut Element<'_, '_>, problems: &mut Problems) -> Option<bool> {
    let guests = match (disk.attribute("gueststorage"), disk.flag("guest-storage", true, problems))
    {
        (Some(_), _) => disk.flag("gueststorage", true, problems),
        (None, flag) => flag,
    };
    if disk.flag("sr-at-end", true, problems) == Some(false) {
        disk.refuse(problems, "sr-at-end=\"no\" is not available", "the SR lies last on the disk");
    }
    if disk.flag("swraid", false, problems) == Some(true) {
        disk.refuse(
            problems,
            "software RAID is not available yet",
            "one disk, or a RAID made by the controller",
        );
    }
    if let Some((at, text)) = disk.attribute("preserve-first-partition")
        && text != "if-utility"
    {
        let what = format!("preserve-first-partition=\"{text}\" is not available yet");
        let problem = Problem::new(at, disk.path(), what).allowed(["if-utility"]);
        problems.push(problem.hint(
            "`if-utility` is, and goes without saying: a disk with a utility partition is refused",
        ));
    }
    if let Some((at, text)) = disk.attribute("fs-type")
        && text != "ext4"
    {
        let problem = Problem::new(at, disk.path(), format!("fs-type `{text}` is not available"));
        problems.push(problem.allowed(["ext4"]));
    }
    guests
}

/// `sr-type`, and its older name.
pub(super) fn kind(root: &mut Element<'_, '_>, problems: &mut Problems) -> Option<SrKind> {
    let [new, old] = ["sr-type", "srtype"].map(|name| root.attribute(name));
    // What the old installer made where nothing was said.
    let Some((at, text)) = new.or(old) else { return Some(SrKind::Lvm) };
    let kind = SrKind::ALL.into_iter().find(|kind| kind.word() == text);
    if kind.is_none() {
        let what = format!("sr-type `{text}` is not available");
        let allowed = SrKind::ALL.map(SrKind::word);
        problems.push(Problem::new(at, "sr-type", what).value(text).allowed(allowed));
    }
    kind
}

/// Disks for guests beside the rest of the host's.
pub(super) struct Guests {
    /// By the names that they get.
    pub(super) disks: BTreeMap<String, Selector>,
    /// The host's disk is among those that are listed.
    pub(super) on_host: bool,
}

/// `<guest-disks>`. The old installer emptied the disks and made one repository over all of them.
pub(super) fn guests(
    root: &mut Element<'_, '_>,
    host: Option<&Selector>,
    problems: &mut Problems,
) -> Option<Guests> {
    let mut guests = Guests { disks: BTreeMap::new(), on_host: false };
    let Some(mut list) = root.one("guest-disks", problems) else { return Some(guests) };
    let mut whole = true;
    for element in list.all("guest-disk") {
        match selector(&element, problems) {
            None => whole = false,
            Some(disk) if host == Some(&disk) => guests.on_host = true,
            Some(disk) => {
                let number = guests.disks.len().saturating_add(1);
                guests.disks.insert(format!("guest{number:02}"), disk);
            }
        }
    }
    if !guests.disks.is_empty() {
        let what = "the old installer emptied these disks and made one repository of all; here \
                    each must be blank, and becomes a repository of its own";
        problems.warn(Problem::new(list.at(), list.path(), what));
    }
    list.finish(problems);
    whole.then_some(guests)
}
