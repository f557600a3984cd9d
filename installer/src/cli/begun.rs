//! What `status`, `verify` and `rollback` go by where a takeover was begun over after a failed
//! trial, and cut off: its new system says nothing of itself, and the old one boots.

use installer_core::facts::DiskFacts;
use installer_core::upgrade::UpgradeFacts;

use super::{Ended, upgrade};
use crate::call::Processes;
use crate::upgrade::read;

/// The one host of ours; or, where there is none, the one takeover.
pub(super) fn the_one(disks: &[DiskFacts]) -> Result<UpgradeFacts, Ended> {
    upgrade::the_one(disks).or_else(|none| {
        let is_own = |disk| matches!(read::read(disk, None, &mut Processes), Ok(Some(_)));
        if disks.iter().any(is_own) {
            return Err(none);
        }
        let mut found = disks.iter().filter_map(on);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (None | Some(_), _) => Err(none),
        }
    })
}

/// The takeover on this disk. One that cannot be read is none: of an old host others tell.
pub(super) fn on(disk: &DiskFacts) -> Option<UpgradeFacts> {
    read::begun(disk, &mut Processes).ok().flatten()
}
