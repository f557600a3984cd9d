//! What is known of the disk of a host that is taken over.

use partitioner::ids::Guid;
use partitioner::inspect::report::Report;
use partitioner::takeover::{Again, OldLoader};
use partitioner::units::Bytes;

use super::old_boot::OldBoot;
use super::own::OwnRoot;
use super::xenserver::{CarriedOver, CarryError};
use crate::bootcfg::Dispatch;
use crate::facts::{DiskFacts, Firmware};
use crate::upgrade::BootRecord;

/// One disk with a host that is to be divided anew. Nothing here is a decision.
#[derive(Clone, Debug)]
pub struct TakeoverFacts {
    pub disk: DiskFacts,
    /// Table, installations with their databases, storage repository, rescue record.
    pub report: Report,
    pub loader: OldLoader,
    /// LBA 0 as it is, and as an earlier run saved it.
    pub lba0: Vec<u8>,
    pub saved_lba0: Option<Vec<u8>>,
    /// By number, for each installation that may be meant.
    pub roots: Vec<OldRoot>,
    /// How the machine starts, and what it has. `None` for an image file.
    pub machine: Option<MachineSize>,
    /// The disk is divided anew already, by an earlier takeover.
    pub trial: Option<TrialFacts>,
}

/// What an earlier takeover left: a new system on trial, beside the old one.
#[derive(Clone, Debug)]
pub struct TrialFacts {
    /// The tables; the log partition of the final one has no identifier yet.
    pub again: Again,
    pub boot: BootRecord,
    /// By which the boot loader finds the slots.
    pub dispatch: Dispatch,
    /// What slot a holds, where it can be read: `xenhost 0.2.0`.
    pub system: Option<String>,
}

/// The machine that the disk is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineSize {
    pub firmware: Firmware,
    pub memory: Bytes,
    pub cpus: u32,
}

/// The root file system of an old host, another product's or ours.
#[derive(Clone, Debug)]
pub struct OldRoot {
    /// Its partition.
    pub number: u32,
    pub fs_uuid: Guid,
    /// What a check of the file system found. The check changes nothing, and replays no journal.
    pub fs_errors: Option<String>,
    /// It was not unmounted: its journal waits to be replayed.
    pub needs_recovery: bool,
    /// What of its first boot was not done.
    pub first_boot: Option<String>,
    /// Images of saved guests, as paths.
    pub saved_guests: Vec<String>,
    /// How it is started, or why that is not known.
    pub boot: Result<OldBoot, String>,
    /// What moves to the new system, or why that is not certain.
    pub carried: Result<Carried, CarryError>,
}

/// What moves to the new system.
#[derive(Clone, Debug)]
pub enum Carried {
    /// From a host of another product: what it says of itself.
    Told(Box<CarriedOver>),
    /// From one of ours: what an upgrade carries over, read when it is written.
    Own(Box<OwnRoot>),
}

impl OldRoot {
    /// Of a host of ours.
    pub fn own(&self) -> Option<&OwnRoot> {
        match &self.carried {
            Ok(Carried::Own(own)) => Some(own),
            Ok(Carried::Told(_)) | Err(_) => None,
        }
    }
}
