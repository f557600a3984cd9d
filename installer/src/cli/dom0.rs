//! The commands that run in an installed dom0.

use std::fs;
use std::path::Path;
use std::time::Duration;

use installer_core::outcome::Exit;
use installer_core::target::Inventory;

use super::{Ended, Outcome, StorageTask, print, say};
use crate::bless::{self, Limits, ThisHost};
use crate::boot_menu;
use crate::storage::{self, Dom0 as _, Done, Task, ThisDom0};

const INVENTORY: &str = "/etc/xenhost/inventory.json";

/// One line on standard output, which the unit sends to console and journal.
pub(super) fn bless() -> Outcome {
    let outcome = bless::bless(&mut ThisHost::new(), limits())
        .map_err(|e| Ended::early(Exit::InternalError, &format!("bless: {e}")))?;
    if outcome.is_good() {
        print(&format!("{outcome}\n"));
        Ok(())
    } else {
        Err(Ended::early(Exit::InternalError, &outcome))
    }
}

/// What the answers of the installation allow, else the usual. An inventory that cannot be read is
/// told by bless itself.
fn limits() -> Limits {
    let inventory = fs::read_to_string(INVENTORY).ok().and_then(|t| Inventory::parse(&t).ok());
    match inventory.and_then(|i| i.health_timeout_minutes) {
        Some(minutes) => {
            let timeout = Duration::from_secs(u64::from(minutes).saturating_mul(60));
            Limits { timeout, ..Limits::DEFAULT }
        }
        None => Limits::DEFAULT,
    }
}

/// One line for each repository, which the unit sends to console and journal. All are tried.
pub(super) fn storage(task: StorageTask) -> Outcome {
    let task = match task {
        StorageTask::Attach => Task::Attach,
        StorageTask::Make => Task::Make,
    };
    let mut dom0 = ThisDom0::new();
    let repositories = storage::wanted(dom0.root())
        .map_err(|e| Ended::early(Exit::InternalError, &format!("storage: {e}")))?;
    let mut wrong = Vec::new();
    for repository in &repositories {
        let title = format!("repository {} ({})", repository.name, repository.kind.word());
        match storage::tend(&mut dom0, repository, task) {
            Ok(Done::Made { device }) => {
                print(&format!("xenhost: {title}: made on {}\n", device.display()));
            }
            Ok(Done::Attached { device }) => {
                print(&format!("xenhost: {title}: attached, {}\n", device.display()));
            }
            Ok(Done::NotYet) => print(&format!("xenhost: {title}: nothing to attach\n")),
            Err(error) => wrong.push(format!("{title}: {error}")),
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Ended::early(Exit::InternalError, &wrong.join("\n")))
}

/// Called by package hooks, whose output people see: one line for each thing that can boot.
pub(super) fn boot_menu() -> Outcome {
    let menu = boot_menu::refresh(Path::new("/"))
        .map_err(|e| Ended::early(Exit::InternalError, &format!("boot menu: {e}")))?;
    for entry in &menu.entries {
        print(&format!("boot menu: {} with {}\n", entry.xen(), entry.kernel()));
    }
    if let Some(warning) = menu.warning {
        say(&format!("warning: {warning}\n"));
    }
    Ok(())
}
