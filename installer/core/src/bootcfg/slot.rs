//! `/boot/xenhost/slot.cfg`: how the boot loader starts the dom0 of this slot.

use super::{BootConf, BootFiles};

/// The script for the boot loader. `entries` come newest first; the ones after the first are what
/// is tried when a file of the one before is missing, and what the menu offers as older systems.
pub fn slot_cfg(conf: &BootConf, entries: &[BootFiles]) -> String {
    drop((conf, entries));
    todo!()
}
