//! Everything that can be said of a disk without writing to it: table, partitions, installations,
//! storage repository. What `partitioner inspect --json` prints.

use serde::Serialize;

use super::{Inspection, Table, inspect};
use crate::block::{BlockIo, IoError};
use crate::installations::{DatabaseState, Installation, find};
use crate::rescue::{Rescue, Saved};
use crate::sr::{Records, Storage, prove};

/// The report. As JSON it has `table`, `partitions`, `problems`, `content`, `installations`, `sr`,
/// and `rescue`: the places of all partitions as an installation wrote them down, or null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub inspection: Inspection,
    pub installations: Vec<Installation>,
    pub sr: Option<Storage>,
    pub rescue: Option<Rescue>,
}

impl Report {
    /// What the table's lines do not say: problems, installations, the repository, the record.
    pub fn lines(&self) -> Vec<String> {
        let problems = self.inspection.problems.iter().map(|one| format!("problem: {one}"));
        let hosts = self.installations.iter().map(|one| format!("installation: {one}"));
        let sr = self.sr.as_ref().map(|sr| {
            let place = sr.partition.map(|number| format!("partition {number}, "));
            let (place, verdict) = (place.unwrap_or_default(), sr.verdict.as_str());
            format!("storage repository: {place}{verdict}: {}", sr.verdict.reason())
        });
        let rescue = self.rescue.as_ref().map(|rescue| {
            let (count, guid) = (rescue.regions.len(), rescue.disk_guid);
            format!("rescue record: {count} partitions of the table with GUID {guid}")
        });
        problems.chain(hosts).chain(sr).chain(rescue).collect()
    }
}

/// Reads the whole disk's story.
pub fn report(disk: &mut dyn BlockIo) -> Result<Report, IoError> {
    let inspection = inspect(disk)?;
    let rescue = Saved::find(disk)?.map(|saved| saved.rescue);
    if inspection.table == Table::Unfinished {
        return Ok(Report { inspection, installations: Vec::new(), sr: None, rescue });
    }
    let installations = find(disk, &inspection)?;
    let sr = storage(disk, &inspection, &installations)?;
    Ok(Report { inspection, installations, sr, rescue })
}

/// The storage repository, compared with the databases of the hosts on the disk.
pub fn storage(
    disk: &mut dyn BlockIo,
    inspection: &Inspection,
    installations: &[Installation],
) -> Result<Option<Storage>, IoError> {
    let mut disks = Vec::new();
    let mut read = false;
    for installation in installations {
        match &installation.database {
            DatabaseState::None => {}
            DatabaseState::Unreadable(why) => {
                return prove(disk, inspection, Records::Unreadable(why));
            }
            DatabaseState::Read(database) => {
                read = true;
                disks.extend(database.disks.iter().cloned());
            }
        }
    }
    let records = if read { Records::Disks(&disks) } else { Records::None };
    prove(disk, inspection, records)
}
