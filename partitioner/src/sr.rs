//! Is the storage repository of a disk empty? Answered from the bytes of the disk alone, by no
//! tool, without activating a volume group or mounting anything.
//!
//! Understood are the two local kinds: LVM (group `VG_XenStorage-UUID`, a volume per guest disk)
//! and EXT (group `XSLocalEXT-UUID`, one volume of that UUID with an ext3 or ext4 file system that
//! holds a file per guest disk). A host of xenhost makes the first kind at its first good boot,
//! under the same names, so that one reader serves both and tools of `XenServer` know it.
//!
//! Only [`Verdict::Empty`] permits to give the partition up. What cannot be read, is not known, or
//! contradicts itself is [`Verdict::Unknown`]. The record of an old host's own database comes in as
//! plain data, [`Records`]; a marker file of the old host is no proof, and nothing here asks for
//! one.

mod judge;
mod linear;
pub mod lvm;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::block::window::Window;
use crate::block::{BlockIo, IoError};
use crate::ids::Guid;
use crate::inspect::{Found, Inspection, Table, bytes_at, signature};
use crate::layout::Kind as PartitionKind;
use crate::units::{Extent, Lba};

/// What is known of the contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Proven: no guest disk, no other owner, no doubt.
    Empty,
    /// A line per thing that would be lost.
    InUse {
        what: Vec<String>,
    },
    Unknown {
        why: String,
    },
}

/// How guest disks are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Lvm,
    Ext,
}

/// The name of a repository is its kind and UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    kind: Kind,
    uuid: Guid,
}

/// The storage repository of a disk, or what is in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// The partition; `None` for a disk that is one physical volume without a table.
    pub partition: Option<u32>,
    pub verdict: Verdict,
    /// `None` where it is not known to be a repository.
    pub kind: Option<Kind>,
    pub uuid: Option<Guid>,
}

/// A disk that a host's database lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The repository that it is on.
    pub sr: Guid,
    /// Its name and size, for people.
    pub what: String,
}

/// What the database of the host that used the repository says.
#[derive(Clone, Copy, Debug)]
pub enum Records<'a> {
    /// The host keeps none, or there is no host.
    None,
    /// It has one, which cannot be read.
    Unreadable(&'a str),
    Disks(&'a [Listed]),
}

/// Found so far: things that would be lost, and reasons not to be sure.
#[derive(Debug, Default)]
struct Evidence {
    name: Option<Name>,
    uses: Vec<String>,
    doubts: Vec<String>,
}

/// How much of a partition meant for guest storage must be zero to be taken for one that was never
/// used: label, metadata area and the first file system blocks lie there.
const BLANK: usize = 1 << 20;

/// Looks at every partition, and at the whole disk where it has no table. `None`: no physical
/// volume is there, and no partition meant for one that holds anything.
pub fn prove(
    disk: &mut dyn BlockIo,
    inspection: &Inspection,
    records: Records<'_>,
) -> Result<Option<Storage>, IoError> {
    let mut found = Vec::new();
    for place in places(disk, inspection) {
        found.extend(look(disk, &place)?.map(|evidence| (place.partition, evidence)));
    }
    let mut found = found.into_iter();
    let Some((partition, mut evidence)) = found.next() else { return Ok(None) };
    for (_, other) in found {
        evidence.doubts.push("the disk has two physical volumes".to_owned());
        evidence.uses.extend(other.uses);
        evidence.doubts.extend(other.doubts);
    }
    compare(&mut evidence, records);
    let (kind, uuid) = (evidence.name.map(|n| n.kind), evidence.name.map(|n| n.uuid));
    Ok(Some(Storage { partition, verdict: verdict(evidence), kind, uuid }))
}

/// A place where a repository may be.
struct Place {
    /// `None` for the whole disk.
    partition: Option<u32>,
    extent: Extent,
    /// The table says that it is for LVM.
    meant: bool,
}

/// The partitions within the disk; the disk itself where it has no table.
fn places(disk: &dyn BlockIo, inspection: &Inspection) -> Vec<Place> {
    let meant = |found: &Found| {
        let kind = &found.kind;
        *kind == PartitionKind::LinuxLvm.gpt_type().to_string()
            || *kind == format!("{:#04x}", PartitionKind::LinuxLvm.mbr_type())
    };
    let whole = Extent::with_len(Lba::new(0), disk.blocks());
    match whole {
        None => Vec::new(),
        Some(extent) if inspection.table == Table::None => {
            vec![Place { partition: None, extent, meant: false }]
        }
        Some(whole) => inspection
            .partitions
            .iter()
            .filter(|found| whole.contains(found.extent))
            .map(|found| Place {
                partition: Some(found.number),
                extent: found.extent,
                meant: meant(found),
            })
            .collect(),
    }
}

/// The evidence of one place; `None` where no repository is and none could have been.
fn look(disk: &mut dyn BlockIo, place: &Place) -> Result<Option<Evidence>, IoError> {
    let mut volume = Window::new(disk, place.extent)?;
    match lvm::read(&mut volume)? {
        Ok(Some(found)) => judge::evidence(&mut volume, &found).map(Some),
        Err(why) => Ok(Some(Evidence::doubt(why.to_string()))),
        Ok(None) if !place.meant => Ok(None),
        Ok(None) => meant(&mut volume),
    }
}

/// A partition meant for guest storage in which no physical volume is.
fn meant(volume: &mut dyn BlockIo) -> Result<Option<Evidence>, IoError> {
    if let Some(what) = signature(volume)? {
        return Ok(Some(Evidence::doubt(format!("no storage repository but {what}"))));
    }
    let size = volume.blocks().saturating_mul(volume.block_size().bytes());
    let len = usize::try_from(size).unwrap_or(BLANK).min(BLANK);
    let start = bytes_at(volume, 0, len)?.unwrap_or_default();
    let blank = start.iter().all(|byte| *byte == 0);
    let doubt = || Evidence::doubt("neither blank nor anything known".to_owned());
    Ok((!blank).then(doubt))
}

/// What the host's database has to say of it.
fn compare(evidence: &mut Evidence, records: Records<'_>) {
    match records {
        Records::None => {}
        Records::Unreadable(why) => {
            evidence.doubts.push(format!("the host's database cannot be read: {why}"));
        }
        Records::Disks(disks) => {
            let on_disk = evidence.uses.len();
            let here = |disk: &&Listed| evidence.name.is_some_and(|name| name.uuid == disk.sr);
            let listed: Vec<&Listed> = disks.iter().filter(here).collect();
            if on_disk == 0 && !listed.is_empty() {
                let lines = listed.iter().map(|disk| format!("database disagrees: {}", disk.what));
                evidence.uses.extend(lines);
            }
        }
    }
}

fn verdict(evidence: Evidence) -> Verdict {
    if !evidence.uses.is_empty() {
        Verdict::InUse { what: evidence.uses }
    } else if !evidence.doubts.is_empty() {
        Verdict::Unknown { why: evidence.doubts.join("; ") }
    } else {
        Verdict::Empty
    }
}

impl Evidence {
    fn doubt(why: String) -> Self {
        Self { doubts: vec![why], ..Self::default() }
    }
}

impl Verdict {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::InUse { .. } => "in-use",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// One line for people.
    pub fn reason(&self) -> String {
        match self {
            Self::Empty => "no guest disk, and nothing else signed in the partition".to_owned(),
            Self::InUse { what } => what.join("; "),
            Self::Unknown { why } => format!("cannot prove the storage repository empty: {why}"),
        }
    }
}

impl Serialize for Storage {
    /// `verdict`, `reason`, `kind`, `uuid`, `partition`, and `holds`, one entry per thing.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let holds: &[String] = match &self.verdict {
            Verdict::InUse { what } => what,
            Verdict::Empty | Verdict::Unknown { .. } => &[],
        };
        let mut fields = serializer.serialize_struct("Storage", 6)?;
        fields.serialize_field("verdict", self.verdict.as_str())?;
        fields.serialize_field("reason", &self.verdict.reason())?;
        fields.serialize_field("kind", &self.kind)?;
        fields.serialize_field("uuid", &self.uuid)?;
        fields.serialize_field("partition", &self.partition)?;
        fields.serialize_field("holds", holds)?;
        fields.end()
    }
}
