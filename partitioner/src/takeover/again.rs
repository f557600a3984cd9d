//! The two tables of a takeover that has come past its first commit, from the disk itself.
//!
//! The trial table counts, or the final one. Which partition is which, their numbers say; that the
//! tables are those that were planned, the header on the disk proves, which holds the checksum of
//! all entries. That is the primary one; or, where a cut has torn it, the one of the backup copy.

use super::{OLD_BOOT, OLD_ROOT, Place, Takeover};
use crate::block::{BlockIo, IoError};
use crate::gpt;
use crate::head::{GptMap, HeadMap};
use crate::ids::Guid;
use crate::inspect::{Found, GptState, Inspection, Table};
use crate::layout::{Firmware, Kind, LayoutName, Role, Scheme};
use crate::table::{Geometry, Planned, TablePlan};
use crate::units::{Extent, Lba};

/// Which of the two counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Trial,
    Last,
}

/// Where the primary copy of the table that counts is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Primary {
    /// Its entries lie in their usual place.
    Usual,
    Spare,
    /// A cut has torn the block by which it counts. The backup copy is whole, and counts.
    Torn,
}

/// Where a takeover is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    pub stage: Stage,
    pub takeover: Takeover,
    pub primary: Primary,
}

/// The table is not one of a takeover, or not as it was planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgainError {
    #[error("the table is no GPT that can be read")]
    NoGpt,
    #[error("partition {number} ({extent}) is of no layout")]
    Foreign { number: u32, extent: Extent },
    #[error("the table has no {role}")]
    Missing { role: Role },
    #[error("the header on the disk is not that of the table that was planned")]
    Header,
}

/// Reads where a takeover is. `logs` is the PARTUUID that the log partition gets.
pub fn again(
    disk: &mut dyn BlockIo,
    found: &Inspection,
    firmware: Firmware,
    logs: Guid,
) -> Result<Result<Again, AgainError>, IoError> {
    let geometry = Geometry { block_size: disk.block_size(), blocks: disk.blocks() };
    let mut read = |at| {
        let mut block = vec![0; usize::try_from(disk.block_size().bytes()).unwrap_or(0)];
        disk.read(at, &mut block).map(|()| block)
    };
    let last = Lba::new(geometry.blocks.saturating_sub(1));
    let headers = Headers { primary: read(Lba::new(1))?, backup: read(last)? };
    Ok(of(geometry, found, firmware, logs, &headers))
}

/// Both, as the disk has them.
struct Headers {
    primary: Vec<u8>,
    backup: Vec<u8>,
}

impl Headers {
    /// `None` for those of another table than `counts`.
    fn primary_of(&self, counts: &TablePlan, map: GptMap, state: GptState) -> Option<Primary> {
        let blocks = |array| gpt::encode_at(counts, array);
        let is = |array| blocks(array).is_ok_and(|blocks| blocks.primary_header == self.primary);
        let is_backup = || blocks(map.array).is_ok_and(|own| own.backup_header == self.backup);
        if is(map.array) {
            Some(Primary::Usual)
        } else if is(map.spare) {
            Some(Primary::Spare)
        } else if state == GptState::BackupOnly && is_backup() {
            Some(Primary::Torn)
        } else {
            None
        }
    }
}

fn of(
    geometry: Geometry,
    found: &Inspection,
    firmware: Firmware,
    logs: Guid,
    headers: &Headers,
) -> Result<Again, AgainError> {
    let Table::Gpt { disk_guid, state } = found.table else { return Err(AgainError::NoGpt) };
    let partitions: Vec<Planned> =
        found.partitions.iter().map(planned).collect::<Result<_, _>>()?;
    let is_old = |role| matches!(role, Role::OldRoot | Role::OldBoot);
    let mut old = partitions.iter().filter(|one| is_old(one.role)).map(|p| p.extent.first());
    let first = old.by_ref().min();
    let stage = if first.is_some() { Stage::Trial } else { Stage::Last };
    let usual = HeadMap::of(geometry.block_size).ok_or(AgainError::NoGpt)?;
    // Without the old partitions either place may have been chosen; only one fits the header.
    let places = match first {
        Some(first) => vec![Place::of(geometry, first).map_err(|_| AgainError::NoGpt)?],
        None => vec![Place::Usual, Place::Tight],
    };
    for place in places {
        let head = place.head(geometry, Some(usual));
        let table = |partitions: Vec<Planned>| TablePlan {
            layout: LayoutName::Modern,
            scheme: Scheme::Gpt,
            geometry,
            disk_guid,
            mbr_signature: 0,
            head,
            partitions,
        };
        let mut last = table(partitions.iter().filter(|p| !is_old(p.role)).cloned().collect());
        if last.partition(Role::Logs).is_none() {
            last.partitions.push(log_partition(&last, logs)?);
        }
        last.partitions.sort_by_key(|planned| planned.extent);
        let mut trial =
            table(partitions.iter().filter(|one| one.role != Role::Logs).cloned().collect());
        trial.head.first_usable = head.first_usable.min(first.unwrap_or(head.first_usable));
        trial.partitions.sort_by_key(|planned| planned.extent);
        let counts = match stage {
            Stage::Trial => &trial,
            Stage::Last => &last,
        };
        let Some(map) = head.gpt else { continue };
        if let Some(primary) = headers.primary_of(counts, map, state) {
            let (source, moved) = (Scheme::Gpt, None);
            let takeover = Takeover { firmware, source, moved, trial, last };
            return Ok(Again { stage, takeover, primary });
        }
    }
    Err(AgainError::Header)
}

/// From the end of the head to slot b, as the layout has it.
fn log_partition(last: &TablePlan, guid: Guid) -> Result<Planned, AgainError> {
    let role = Role::Logs;
    let backup = last.partition(Role::Backup).ok_or(AgainError::Missing { role: Role::Backup })?;
    let end = backup.extent.first().get().saturating_sub(1);
    let extent = Extent::new(last.head.first_usable, Lba::new(end));
    Ok(Planned {
        number: 5,
        role,
        name: role.as_str().to_owned(),
        type_guid: Kind::LinuxData.gpt_type(),
        mbr_type: 0,
        guid,
        extent: extent.ok_or(AgainError::Missing { role })?,
        attributes: 0,
        kept: false,
    })
}

fn planned(found: &Found) -> Result<Planned, AgainError> {
    let foreign = || AgainError::Foreign { number: found.number, extent: found.extent };
    let role = match found.number {
        1 => Role::Root,
        2 => Role::Backup,
        3 => Role::Sr,
        4 => Role::Boot,
        5 => Role::Logs,
        6 => Role::Swap,
        OLD_ROOT => Role::OldRoot,
        OLD_BOOT => Role::OldBoot,
        _ => return Err(foreign()),
    };
    Ok(Planned {
        number: found.number,
        role,
        name: found.name.clone().unwrap_or_default(),
        type_guid: found.kind.parse().map_err(|_| foreign())?,
        mbr_type: 0,
        guid: found.guid.ok_or_else(foreign)?,
        extent: found.extent,
        attributes: found.attributes,
        kept: false,
    })
}
