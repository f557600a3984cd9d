//! `<primary-disk>` and what belongs to it.

use std::collections::BTreeMap;

use super::element::Element;
use crate::answers::{SrKind, Storage, StorageKind};
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

/// The attributes of `<primary-disk>`.
pub(super) fn storage(
    disk: &mut Element<'_, '_>,
    kind: Option<(crate::problem::Place, String)>,
    problems: &mut Problems,
) -> Option<Storage> {
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
        problems
            .push(problem.hint("`if-utility` is, and it is what happens without the attribute"));
    }
    if let Some((at, text)) = disk.attribute("fs-type")
        && text != "ext4"
    {
        let problem = Problem::new(at, disk.path(), format!("fs-type `{text}` is not available"));
        problems.push(problem.allowed(["ext4"]));
    }
    let kind = match kind {
        // What the old installer made where nothing was said.
        None => Some(SrKind::Lvm),
        Some((at, text)) => {
            let kind = SrKind::ALL.into_iter().find(|kind| kind.word() == text);
            if kind.is_none() {
                let what = format!("sr-type `{text}` is not available");
                let allowed = SrKind::ALL.map(SrKind::word);
                problems.push(Problem::new(at, "sr-type", what).value(text).allowed(allowed));
            }
            kind
        }
    };
    let sr = if guests? { StorageKind::Made(kind?) } else { StorageKind::None };
    Some(Storage { sr, disks: BTreeMap::new() })
}
