//! The repositories of the answers, each with its disk.

use std::collections::BTreeMap;

use partitioner::ids::{Guid, Ids};
use partitioner::units::Bytes;

use super::{Refusal, Selector, choose};
use crate::answers::{RawAnswers, StorageKind};
use crate::facts::{DiskFacts, HostFacts};
use crate::outcome::Exit;
use crate::storage::{DiskId, LOCAL, Place, Repository};

/// A smaller one is a mistake.
const SIZE_MIN: Bytes = Bytes::gib(1);

/// A repository that the answers ask for, and the disk it takes whole, if it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub repository: Repository,
    pub disk: Option<DiskFacts>,
}

impl Wanted {
    /// The same with a fresh identifier.
    #[must_use]
    pub fn draw(&self, ids: &mut Ids) -> Self {
        Self { repository: self.repository.draw(ids), disk: self.disk.clone() }
    }
}

pub(super) fn wanted(
    answers: &RawAnswers,
    host: &DiskFacts,
    facts: &HostFacts,
) -> Result<Vec<Wanted>, Refusal> {
    let mut wanted = Vec::new();
    match answers.storage.sr {
        StorageKind::Partition | StorageKind::None => {}
        StorageKind::Made(kind) => {
            let (name, id) = (LOCAL.to_owned(), Guid::NIL);
            let repository = Repository { name, kind, id, place: Place::HostDisk };
            wanted.push(Wanted { repository, disk: None });
        }
    }
    let mut taken: BTreeMap<&str, &str> = BTreeMap::from([(host.path.as_str(), "the host disk")]);
    for (name, kind) in &answers.storage.disks {
        let selector = answers
            .disks
            .get(name)
            .ok_or_else(|| Refusal::new(Exit::InternalError, format!("no disk is named {name}")))?;
        let disk = choose::disk(name, selector, &answers.safety.protect, &facts.disks)?;
        if let Some(other) = taken.insert(&disk.path, name) {
            let what = format!("{} is asked for as {name} and is {other}", disk.path);
            return Err(Refusal::new(Exit::DiskNotFound, what));
        }
        let id = fit(name, selector, disk)?;
        let (name, kind) = (name.clone(), *kind);
        let repository = Repository { name, kind, id: Guid::NIL, place: Place::Disk(id) };
        wanted.push(Wanted { repository, disk: Some(disk.clone()) });
    }
    Ok(wanted)
}

/// Only a blank disk: nothing is ever removed from a disk that is not the host's.
fn fit(name: &str, selector: &Selector, disk: &DiskFacts) -> Result<DiskId, Refusal> {
    let DiskFacts { path, serial, wwn, size, content, .. } = disk;
    if !content.is_empty() {
        let mut what = format!("{path} ({size}), storage.disks.{name}, is not blank; it holds");
        for line in content {
            what.push_str("\n    ");
            what.push_str(line);
        }
        return Err(Refusal::new(Exit::RefusedToDestroy, what)
            .hint("a repository is made on a blank disk only; `wipefs -a` makes one of it"));
    }
    if *size < SIZE_MIN {
        let what = format!("{path}, storage.disks.{name}, has {size}, {SIZE_MIN} needed");
        return Err(Refusal::new(Exit::Unsuitable, what));
    }
    if serial.is_none() && wwn.is_none() {
        let what = format!(
            "{path}, storage.disks.{name} ({selector}), tells neither a serial number nor a WWN: \
             dom0 could not know it again"
        );
        return Err(Refusal::new(Exit::Unsuitable, what));
    }
    Ok(DiskId { serial: serial.clone(), wwn: wwn.clone(), size: *size })
}
