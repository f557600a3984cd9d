//! The disks that were not chosen.
//!
//! In the installer environment nothing else has business with them, so the kernel is told to
//! refuse every write to them, by whatever program: a second fence, behind ours. On a machine in
//! ordinary use one of them holds its root, and they are left alone; there the fence around the
//! chosen disk, and the kernel's exclusive claim on it, are what protects the others.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{file_error, probe_error};
use crate::ports::HostError;
use crate::probe::{self, Machine};
use crate::sys::{self, Access};

/// Exists in the installer environment only; its initramfs carries it.
const INSTALLER_ENVIRONMENT: &str = "/etc/xenhost-installer";

/// What happens to the disks that were not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// They are set read-only.
    Lock,
    LeaveAlone,
}

impl Elsewhere {
    /// By where this program runs.
    pub fn detect() -> Self {
        if Path::new(INSTALLER_ENVIRONMENT).exists() { Self::Lock } else { Self::LeaveAlone }
    }
}

/// The disks that this process set read-only. They become writable again when it ends in order; a
/// machine on which it did not is started again anyway.
#[derive(Debug)]
pub(super) struct LockedDisks(Vec<(PathBuf, File)>);

impl LockedDisks {
    /// Locks every disk but `target`. One that cannot be locked stops the installation before
    /// anything was written.
    pub(super) fn lock(
        machine: &Machine,
        target: &str,
        elsewhere: Elsewhere,
    ) -> Result<Self, HostError> {
        let mut locked = Self(Vec::new());
        match elsewhere {
            Elsewhere::LeaveAlone => return Ok(locked),
            Elsewhere::Lock => {}
        }
        let disks = probe::whole_disks(machine).map_err(probe_error)?;
        for name in disks.into_iter().filter(|name| name != target) {
            let path = machine.dev.join(name.replace('!', "/"));
            let disk = File::open(&path).map_err(file_error("opening", &path))?;
            let before = sys::access(&disk).map_err(file_error("asking", &path))?;
            if before == Access::ReadWrite {
                sys::set_access(&disk, Access::ReadOnly)
                    .map_err(file_error("setting read-only", &path))?;
                locked.0.push((path, disk));
            }
        }
        Ok(locked)
    }
}

impl Drop for LockedDisks {
    fn drop(&mut self) {
        for (_, disk) in &self.0 {
            // A disk that went away needs no unlocking.
            drop(sys::set_access(disk, Access::ReadWrite));
        }
    }
}
