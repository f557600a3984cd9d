//! What lies where a repository belongs: nothing, a part of it, the whole, or something else.

use std::path::Path;

use installer_core::answers::SrKind;
use installer_core::storage::Repository;
use partitioner::inspect::foreign::{AMBIVALENT, NOTHING};

use super::{Dom0, StorageError};
use crate::call::{Call, CallError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No signature of anything.
    Blank,
    /// Our file system, whose making was cut off.
    Unfinished,
    /// Our physical volume without a volume group: cut off, or damaged since.
    Orphan,
    Finished,
    /// Something that is not ours.
    Taken(String),
}

pub(super) fn of(
    dom0: &mut dyn Dom0,
    repository: &Repository,
    device: &Path,
) -> Result<State, StorageError> {
    let ask = Call::new("blkid").args(["-p", "-o", "export"]).arg(device);
    let said = dom0.run(&ask.accept(NOTHING).accept(AMBIVALENT))?;
    if said.status == AMBIVALENT {
        return Ok(State::Taken("several signatures that contradict each other".to_owned()));
    }
    let text = said.stdout_text();
    let value =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let Some(kind) = value("TYPE").or_else(|| value("PTTYPE")) else { return Ok(State::Blank) };
    let label = value("LABEL").unwrap_or_default();
    let foreign = || {
        let name = if label.is_empty() { String::new() } else { format!(" \"{label}\"") };
        Ok(State::Taken(format!("{kind}{name}")))
    };
    let id = value("UUID").unwrap_or_default();
    match repository.kind {
        SrKind::Ext if kind == "ext4" && id == repository.id.to_string() => {
            let unfinished = label == repository.label_unfinished();
            Ok(if unfinished { State::Unfinished } else { State::Finished })
        }
        SrKind::Lvm if kind == "LVM2_member" && id == repository.volume_uuid() => {
            let group = group_of(dom0, device)?;
            Ok(if group.is_empty() { State::Orphan } else { State::Finished })
        }
        SrKind::Ext | SrKind::Lvm => foreign(),
    }
}

/// The volume group of a physical volume; empty where it has none.
pub(super) fn group_of(dom0: &mut dyn Dom0, device: &Path) -> Result<String, CallError> {
    let call = Call::new("pvs").args(["--noheadings", "-o", "vg_name"]).arg(device);
    Ok(dom0.run(&call)?.stdout_text().trim().to_owned())
}
