//! Judges one physical volume: does a storage repository lie there, and is anything in it?
//!
//! Every copy of the metadata is asked, also one that was only prepared: what any of them calls a
//! guest's is a guest's. `Empty` needs all of them to be whole and to say the same.

use super::linear::{Linear, Map};
use super::lvm::group::{self, Group, Physical, shown};
use super::lvm::{Copy, PhysicalVolume};
use super::{Evidence, Kind, Name};
use crate::block::{BlockIo, IoError};
use crate::ids::Guid;
use crate::inspect::ext4::{self, Unreadable};
use crate::inspect::signatures;
use crate::units::Bytes;

/// The volume in which the storage manager keeps names and descriptions; no guest's.
const MANAGEMENT: &str = "MGT";
/// Files named one by one.
const LISTED_MAX: usize = 64;

/// What the partition says of itself. The group's name tells kind and UUID, if it is a repository.
pub(super) fn evidence(
    volume: &mut dyn BlockIo,
    found: &PhysicalVolume,
) -> Result<Evidence, IoError> {
    let mut evidence = Evidence::default();
    let groups = groups(found, &mut evidence);
    let Some((newest, others)) = groups.split_first() else { return Ok(evidence) };
    evidence.name = repository(&newest.name);
    let kind = evidence.name.map(|name| name.kind);
    if kind.is_none() {
        let name = &newest.name;
        evidence.doubts.push(format!("volume group `{name}` is not a storage repository"));
    }
    for other in others.iter().filter(|other| *other != newest) {
        let (one, two) = (newest.seqno, other.seqno);
        evidence.doubts.push(format!("copies of the metadata disagree (numbers {one} and {two})"));
        evidence.volumes(other, kind);
    }
    evidence.volumes(newest, kind);
    let claims = newest.claims.iter();
    evidence.doubts.extend(
        claims.map(|claim| format!("may be in use by another host: the group has {claim}")),
    );
    let on = physical(newest, found, &mut evidence);
    if kind == Some(Kind::Ext)
        && let Some(on) = on
    {
        files(volume, newest, on, &mut evidence)?;
    }
    let strange = signatures(volume)?.into_iter().filter(|what| what != "LVM2 physical volume");
    evidence.doubts.extend(strange.map(|what| format!("the partition is also signed as {what}")));
    Ok(evidence)
}

/// The groups of all copies that can be read, the newest first.
fn groups(found: &PhysicalVolume, evidence: &mut Evidence) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut vacant = 0_usize;
    for copy in &found.copies {
        let text = match copy {
            Copy::Committed(text) => text,
            Copy::Precommitted(text) => {
                evidence.doubts.push("a change of the volume group was cut off".to_owned());
                text
            }
            Copy::Vacant => {
                vacant = vacant.saturating_add(1);
                continue;
            }
            Copy::Ignored => continue,
            Copy::Damaged(why) => {
                evidence.doubts.push(why.to_string());
                continue;
            }
        };
        match group::read(text) {
            Ok(group) => groups.push(group),
            Err(why) => evidence.doubts.push(format!("metadata that cannot be read: {why}")),
        }
    }
    if vacant != 0 && !groups.is_empty() {
        evidence.doubts.push("one metadata area is empty, another is not".to_owned());
    } else if groups.is_empty() && evidence.doubts.is_empty() {
        let why = "a physical volume without a volume group, or whose group is described elsewhere";
        evidence.doubts.push(why.to_owned());
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.seqno));
    groups
}

/// `VG_XenStorage-UUID`, `XSLocalEXT-UUID`.
fn repository(name: &str) -> Option<Name> {
    let of = |prefix: &str, kind| {
        let uuid: Guid = name.strip_prefix(prefix)?.parse().ok()?;
        Some(Name { kind, uuid })
    };
    of("VG_XenStorage-", Kind::Lvm).or_else(|| of("XSLocalEXT-", Kind::Ext))
}

/// The one physical volume of the group, if it is this one.
fn physical<'a>(
    group: &'a Group,
    found: &PhysicalVolume,
    evidence: &mut Evidence,
) -> Option<(&'a str, &'a Physical)> {
    let mut all = group.physical.iter();
    let (Some((name, physical)), None) = (all.next(), all.next()) else {
        let count = group.physical.len();
        evidence.doubts.push(format!("the volume group has {count} physical volumes, not one"));
        return None;
    };
    let misplaced = found.data_start.is_some_and(|start| physical.start.get() < start);
    if physical.uuid != found.uuid || misplaced {
        evidence.doubts.push("the volume group describes another partition".to_owned());
        return None;
    }
    Some((name, physical))
}

impl Evidence {
    /// Lists the volumes of a group that are neither the manager's own nor the file system of an
    /// EXT repository.
    fn volumes(&mut self, group: &Group, kind: Option<Kind>) {
        let own = match (kind, self.name) {
            (Some(Kind::Lvm), _) => Some(MANAGEMENT.to_owned()),
            (Some(Kind::Ext), Some(name)) => Some(name.uuid.to_string()),
            (Some(Kind::Ext), None) | (None, _) => None,
        };
        let others = group.volumes.iter().filter(|volume| Some(&volume.name) != own.as_ref());
        for volume in others {
            let line = volume.to_string();
            // A foreign group's volumes are no guest disks; they are named all the same.
            let list = if kind.is_some() { &mut self.uses } else { &mut self.doubts };
            if !list.contains(&line) {
                list.push(line);
            }
        }
    }
}

/// Lists the files of an EXT repository.
fn files(
    volume: &mut dyn BlockIo,
    group: &Group,
    on: (&str, &Physical),
    evidence: &mut Evidence,
) -> Result<(), IoError> {
    let uuid = evidence.name.map(|name| name.uuid.to_string()).unwrap_or_default();
    let Some(image) = group.volumes.iter().find(|volume| volume.name == uuid) else {
        evidence.doubts.push(format!("the group has no volume {uuid}"));
        return Ok(());
    };
    let map = match Map::new(volume, group, on, image) {
        Ok(map) => map,
        Err(why) => {
            evidence.doubts.push(why.to_string());
            return Ok(());
        }
    };
    match ext4::ask(&mut Linear::new(volume, map), list)? {
        Ok(found) => evidence.uses.extend(found),
        Err(why) => evidence.doubts.push(format!("its file system cannot be read: {why}")),
    }
    Ok(())
}

/// Everything in the root folder and in `lost+found`: an image may have any name, and a repair may
/// have moved it.
fn list(fs: &ext4_view::Ext4) -> Result<Vec<String>, Unreadable> {
    let mut found = Vec::new();
    for folder in ["/", "/lost+found"] {
        let entries = match fs.read_dir(folder) {
            Err(ext4_view::Ext4Error::NotFound) if folder != "/" => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().display().to_string();
            if matches!(name.as_str(), "." | "..") || (folder == "/" && name == "lost+found") {
                continue;
            }
            if found.len() == LISTED_MAX {
                found.push("and more".to_owned());
                return Ok(found);
            }
            let size = Bytes::new(entry.metadata()?.len());
            found.push(format!("file {}, {size}", shown(&name)));
        }
    }
    Ok(found)
}
