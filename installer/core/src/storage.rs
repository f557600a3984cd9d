//! Storage repositories: which ones the host is to have, and the file that tells dom0.
//!
//! The installer makes none of them. dom0 does, after its first good boot, on a partition or a disk
//! that is still blank then; what identifies a repository for good is decided here.

use partitioner::ids::{Guid, Ids};
use partitioner::units::Bytes;
use serde::{Deserialize, Serialize};

use crate::answers::SrKind;

/// The name of the repository on the host disk.
pub const LOCAL: &str = "local";
/// Bytes of an ext4 label.
const LABEL_MAX: usize = 16;

/// One repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// `local`, or the name that the answers give its disk.
    pub name: String,
    pub kind: SrKind,
    /// UUID of the file system, or of the physical volume. What carries it was made for this host.
    pub id: Guid,
    pub place: Place,
}

/// Where a repository lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The partition `sr` of the disk that holds dom0.
    HostDisk,
    /// The whole of another disk.
    Disk(DiskId),
}

/// How dom0 finds a disk that the installer saw: all that the disk tells must be the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskId {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wwn: Option<String>,
    pub size: Bytes,
}

impl Repository {
    /// The same with a fresh identifier.
    #[must_use]
    pub fn draw(&self, ids: &mut Ids) -> Self {
        Self { id: ids.guid(&["sr-", &self.name].concat()), ..self.clone() }
    }

    /// The name of the volume group, or of the folder below `/srv`.
    pub fn title(&self) -> String {
        ["sr-", &self.name].concat()
    }

    /// The label of the finished file system. It is the commit: the last thing that is written.
    pub fn label(&self) -> String {
        format!("sr-{}", self.id.short())
    }

    /// The label of a file system that is still being made.
    pub fn label_unfinished(&self) -> String {
        let label = format!("new-{}", self.id.short());
        debug_assert!(label.len() <= LABEL_MAX, "{label}");
        label
    }

    /// The identifier in the form of LVM: 32 characters in groups (`lib/uuid/uuid.c`).
    pub fn volume_uuid(&self) -> String {
        const GROUPS: [usize; 7] = [6, 4, 4, 4, 4, 4, 6];
        let digits: String = self.id.to_string().chars().filter(|c| *c != '-').collect();
        let mut rest = digits.as_str();
        let mut parts = Vec::new();
        for length in GROUPS {
            let (part, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
            parts.push(part);
            rest = after;
        }
        parts.join("-")
    }
}

/// The file `/etc/xenhost/storage.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageFile {
    pub repositories: Vec<Repository>,
}

impl StorageFile {
    /// Where it lies in dom0, without the first slash.
    pub const PATH: &str = "etc/xenhost/storage.json";

    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    pub fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("its keys are text");
        format!("{text}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> Repository {
        Repository {
            name: "data".to_owned(),
            kind: SrKind::Ext,
            id: Guid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
            place: Place::Disk(DiskId {
                serial: Some("SN43".to_owned()),
                wwn: None,
                size: Bytes::gib(20),
            }),
        }
    }

    #[test]
    fn names_follow_from_the_identifier() {
        let repository = repository();
        assert_eq!(repository.volume_uuid(), "012345-6789-abcd-ef01-2345-6789-abcdef");
        assert_eq!(repository.label(), "sr-01234567");
        assert_eq!(repository.label_unfinished(), "new-01234567");
        assert_eq!(repository.title(), "sr-data");
        let other = repository.draw(&mut Ids::from_seed([1; 32]));
        assert!(other.id != repository.id && other.name == repository.name);
    }

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let host = Repository { place: Place::HostDisk, kind: SrKind::Lvm, ..repository() };
        let file = StorageFile { repositories: vec![host, repository()] };
        assert_eq!(StorageFile::parse(&file.to_text()).unwrap(), file);
        assert!(StorageFile::parse("{}").is_err());
    }
}
