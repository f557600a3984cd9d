//! Finds a finished xenhost installation: its inventory, read from a slot without mounting it.

use std::path::Path;

use partitioner::block::BlockIo;
use partitioner::inspect::{Found, Inspection, Table};
use serde::Deserialize;

use super::{Reader, range};
use crate::call::{Call, Run};

const INVENTORY: &str = "/etc/xenhost/inventory.json";
/// Slot a and slot b, in the order of preference.
const SLOTS: [u32; 2] = [1, 2];

/// The part of the inventory that counts here.
#[derive(Debug, Deserialize)]
struct Inventory {
    #[serde(default)]
    deployment_id: Option<String>,
}

/// The `deployment_id` of the installation on the disk. A disk whose LBA 0 is not armed shows no
/// table, so an installation that was cut off is not found.
pub(super) fn deployment_id(
    path: &Path,
    found: &Inspection,
    disk: &Reader,
    run: &mut dyn Run,
) -> Option<String> {
    // debugfs takes what follows a question mark for options.
    let has_table = matches!(found.table, Table::Gpt { .. } | Table::Mbr { .. });
    if !has_table || path.to_string_lossy().contains('?') {
        return None;
    }
    let slot = |number| found.partitions.iter().find(|partition| partition.number == number);
    SLOTS.into_iter().filter_map(slot).find_map(|slot| read(path, slot, disk, run))
}

fn read(path: &Path, slot: &Found, disk: &Reader, run: &mut dyn Run) -> Option<String> {
    let (start, _) = range(slot, disk.block_size().bytes());
    let call = Call::new("debugfs")
        .args(["-R", &format!("cat {INVENTORY}")])
        .arg(format!("{}?offset={start}", path.display()));
    // Not a file system, or one without an inventory: not ours.
    let output = run.run(&call).ok()?;
    let inventory: Inventory = serde_json::from_slice(&output.stdout).ok()?;
    inventory.deployment_id
}
