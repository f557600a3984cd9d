//! The running dom0.

use std::fs::File;
use std::path::{Path, PathBuf};

use installer_core::storage::{DiskId, Place};
use installer_core::target::Inventory;

use super::{Dom0, StorageError, words};
use crate::bless;
use crate::call::{Call, CallError, Output, Processes, Run};
use crate::probe::{self, Machine, mount_points};

const INVENTORY: &str = "etc/xenhost/inventory.json";

/// The dom0 that this program runs in.
#[derive(Debug)]
pub struct ThisDom0 {
    machine: Machine,
}

impl ThisDom0 {
    pub fn new() -> Self {
        Self { machine: Machine::running() }
    }
}

impl Default for ThisDom0 {
    fn default() -> Self {
        Self::new()
    }
}

impl Run for ThisDom0 {
    fn run(&mut self, call: &Call) -> Result<Output, CallError> {
        Processes.run(call)
    }
}

impl Dom0 for ThisDom0 {
    fn root(&self) -> &Path {
        Path::new("/")
    }

    fn find(&mut self, place: &Place) -> Result<Option<PathBuf>, StorageError> {
        match place {
            Place::HostDisk => {
                let path = self.root().join(INVENTORY);
                let text = std::fs::read_to_string(&path)
                    .map_err(|source| StorageError::File { path: path.clone(), source })?;
                let inventory = Inventory::parse(&text)
                    .map_err(|source| StorageError::NotOurs { path, source })?;
                let id = inventory.partuuid.get("sr").ok_or(StorageError::NoPartition)?;
                Ok(Some(bless::boot_partition(&self.machine, &id.to_string())?))
            }
            Place::Disk(id) => Ok(the_one(&self.machine, place, id)?),
        }
    }

    fn is_mounted(&mut self, at: &Path) -> Result<bool, StorageError> {
        Ok(mount_points(&self.machine)?.iter().any(|mount| Path::new(&mount.at) == at))
    }

    fn flush(&mut self, device: &Path) -> Result<(), StorageError> {
        let flush = || File::open(device)?.sync_all();
        flush().map_err(|source| StorageError::File { path: device.to_owned(), source })
    }
}

/// The one disk that tells all that the recorded one told.
fn the_one(machine: &Machine, place: &Place, id: &DiskId) -> Result<Option<PathBuf>, StorageError> {
    let same = |want: &Option<String>, have: &Option<String>| want.is_none() || want == have;
    let mut found: Vec<PathBuf> = probe::identities(machine)?
        .into_iter()
        .filter(|disk| same(&id.serial, &disk.serial) && same(&id.wwn, &disk.wwn))
        .filter(|disk| disk.size == id.size)
        .map(|disk| disk.path)
        .collect();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        count => Err(StorageError::Several { count, what: words(place) }),
    }
}
