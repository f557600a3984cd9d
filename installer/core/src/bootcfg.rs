//! What the boot loader reads: `slot.cfg` in each slot, and `dispatch.cfg` on the boot partition.
//!
//! Pure: texts out. `slot.cfg` is made by the installer and, after every change of kernel or Xen,
//! by `host-installer boot-menu` in dom0. `dispatch.cfg` is written once and never changes.

use partitioner::partuuid::PartUuid;

mod conf;
mod dispatch;
mod files;
mod slot;

pub use conf::{BootConf, BootConfError};
pub use dispatch::{Dispatch, dispatch_cfg};
pub use files::{BootFiles, BootPathError};
pub use slot::slot_cfg;

/// How the kernel finds the root file system of a slot: `PARTUUID=…`.
pub fn root_argument(partuuid: PartUuid) -> String {
    format!("PARTUUID={partuuid}")
}
