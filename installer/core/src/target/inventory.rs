//! `/etc/xenhost/inventory.json`: what dom0 knows about how it was installed.

use std::collections::BTreeMap;

use partitioner::ids::Guid;
use partitioner::layout::LayoutName;
use serde::{Deserialize, Serialize};

use crate::bootstate::Slot;
use crate::facts::Firmware;

/// The file. Written by the installer, read by bless, status and upgrade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    pub product: String,
    pub version: String,
    pub build: String,
    pub suite: String,
    pub deployment_id: Option<String>,
    pub slot: Slot,
    pub layout: LayoutName,
    pub firmware: Firmware,
    pub disk_guid: Guid,
    /// By role: `root_a`, `root_b`, `boot`, `logs`, `swap`, `sr`.
    pub partuuid: BTreeMap<String, Guid>,
    /// By role: `root_a`, `root_b`, `logs`, `swap`.
    pub fs_uuid: BTreeMap<String, Guid>,
    /// The version of the installer.
    pub installed_by: String,
}
