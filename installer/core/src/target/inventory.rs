//! `/etc/xenhost/inventory.json`: what dom0 knows about how it was installed.

use std::collections::BTreeMap;

use partitioner::ids::Guid;
use partitioner::layout::{LayoutName, Role};
use partitioner::partuuid::{DiskId, PartUuid};
use serde::{Deserialize, Serialize};

use crate::bootstate::Slot;
use crate::facts::Firmware;
use crate::plan::Plan;
use crate::request::InstallRequest;

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
    /// GUID of the GPT, or signature of the MBR.
    pub disk_id: DiskId,
    /// By role: `root_a`, `root_b`, `boot`, `logs`, `swap`, `sr`.
    pub partuuid: BTreeMap<String, PartUuid>,
    /// By role: `root_a`, `root_b`, and where they are partitions `logs`, `swap`.
    pub fs_uuid: BTreeMap<String, Guid>,
    /// How long bless waits for the host to become well, in minutes; absent for its own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_timeout_minutes: Option<u32>,
    /// The version of the installer.
    pub installed_by: String,
}

impl Inventory {
    /// What a fresh installation writes.
    pub fn of(plan: &Plan, request: &InstallRequest) -> Self {
        let of_release = Self {
            product: plan.release.product.clone(),
            version: plan.release.version.clone(),
            build: plan.release.build.clone(),
            suite: plan.release.suite.clone(),
            deployment_id: request.deployment_id.as_ref().map(|id| id.as_str().to_owned()),
            slot: Slot::A,
            layout: plan.table.layout,
            firmware: plan.firmware,
            disk_id: plan.table.disk_id(),
            partuuid: BTreeMap::new(),
            fs_uuid: BTreeMap::new(),
            health_timeout_minutes: request.health.timeout.map(crate::values::Minutes::get),
            installed_by: env!("CARGO_PKG_VERSION").to_owned(),
        };
        of_release.placed(plan)
    }

    /// The same host on the disk of this plan.
    #[must_use]
    pub fn placed(self, plan: &Plan) -> Self {
        let table = &plan.table;
        let name = |role| key(role).to_owned();
        let ids = &plan.ids;
        let fs = [
            (Role::Root, ids.root_a),
            (Role::Backup, ids.root_b),
            (Role::Logs, ids.logs),
            (Role::Swap, ids.swap),
        ];
        let fs = fs.into_iter().filter(|(role, _)| table.partition(*role).is_some());
        Self {
            layout: table.layout,
            firmware: plan.firmware,
            disk_id: table.disk_id(),
            partuuid: table.partitions.iter().map(|p| (name(p.role), table.partuuid(p))).collect(),
            fs_uuid: fs.map(|(role, id)| (name(role), id)).collect(),
            ..self
        }
    }

    /// The same slot of the same release, as `new` has the disk.
    #[must_use]
    pub fn on_disk_of(self, new: &Self) -> Self {
        let Self { layout, firmware, disk_id, partuuid, fs_uuid, .. } = new.clone();
        Self { layout, firmware, disk_id, partuuid, fs_uuid, ..self }
    }

    /// The file as it is written.
    pub fn to_text(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("its keys are text");
        format!("{text}\n")
    }

    /// Reads the file.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// The name of a partition in the inventory.
const fn key(role: Role) -> &'static str {
    match role {
        Role::Root => "root_a",
        Role::Backup => "root_b",
        Role::Sr => "sr",
        Role::Boot => "boot",
        Role::Logs => "logs",
        Role::Swap => "swap",
        Role::OldRoot => "old_root",
        Role::OldBoot => "old_boot",
        Role::Preserved => "preserved",
    }
}
