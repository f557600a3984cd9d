//! What an answer file asks of a host that is there, held against the machine and the host.

use partitioner::layout::{LayoutName, MODERN};

use super::UpgradeFacts;
use crate::answers::{MachineRules, RollbackAnswers, UpgradeAnswers, UpgradeLayout};
use crate::bootstate::Trial;
use crate::facts::{DiskFacts, HostFacts};
use crate::outcome::Exit;
use crate::request::{self, Refusal, Selector};

/// Which host is meant.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    machine: &'a MachineRules,
    disk: Option<&'a Selector>,
    protect: &'a [(String, Selector)],
}

impl<'a> From<&'a UpgradeAnswers> for Asked<'a> {
    fn from(answers: &'a UpgradeAnswers) -> Self {
        let (machine, protect) = (&answers.machine, &answers.safety.protect);
        Self { machine, disk: Some(&answers.disk), protect }
    }
}

impl<'a> From<&'a RollbackAnswers> for Asked<'a> {
    fn from(answers: &'a RollbackAnswers) -> Self {
        Self { machine: &answers.machine, disk: answers.disk.as_ref(), protect: &[] }
    }
}

impl Asked<'_> {
    /// The one disk that the answers mean; `None` where they name none. A disk that is in use is
    /// none of a machine at rest.
    pub fn disk(&self, facts: &HostFacts) -> Result<Option<DiskFacts>, Refusal> {
        request::for_machine(self.machine, facts)?;
        let Some(disk) = self.disk else { return Ok(None) };
        request::one_disk("host", disk, self.protect, &facts.disks).map(|disk| Some(disk.clone()))
    }

    /// Whether the host that runs here is the one that is meant. Its own disk is in use by itself.
    pub fn is_running(&self, facts: &HostFacts, own: &DiskFacts) -> Result<(), Refusal> {
        request::for_machine(self.machine, facts)?;
        match self.disk {
            Some(disk) => request::is_disk("host", disk, self.protect, own),
            None => Ok(()),
        }
    }
}

/// Whether there is something to do, and it is what this installer can do.
pub fn permit(answers: &UpgradeAnswers, facts: &UpgradeFacts) -> Result<(), Refusal> {
    deployed(answers, facts)?;
    match (answers.layout, facts.table.layout) {
        (UpgradeLayout::Keep, _) | (UpgradeLayout::Modern, LayoutName::Modern) => Ok(()),
        (UpgradeLayout::Modern, LayoutName::Legacy) => Err(stays_legacy(&facts.disk)),
    }
}

/// Until the new system is blessed, both would have a boot partition on the disk, and our boot
/// loader finds its own by the files that lie in it: it cannot tell two of ours apart. On an MBR
/// the old one also lies where the modern layout has its core images.
fn stays_legacy(disk: &DiskFacts) -> Refusal {
    const KEEP: &str = "`layout: keep` upgrades it inside its slots";
    let DiskFacts { path, size, .. } = disk;
    let what = format!(
        "upgrade.layout: modern: the host on {path} is on the layout legacy, which a host of this \
         product keeps when it is upgraded"
    );
    let min = MODERN.disk_min;
    if *size < min {
        let what = format!("{what}; {path} has {size}, and modern needs {min}");
        return Refusal::new(Exit::Unsuitable, what).hint(KEEP);
    }
    Refusal::new(Exit::Unsuitable, what).hint(format!(
        "{KEEP}; for the layout modern move its guests elsewhere and install it anew: `mode: \
         install` with `on_existing: replace-own`, or `wipe` where it has a storage repository"
    ))
}

/// A host that carries the deployment is done; one on which it failed is not given it again, so
/// that a machine which always boots from the network does not try without end.
pub fn deployed(answers: &UpgradeAnswers, facts: &UpgradeFacts) -> Result<(), Refusal> {
    let Some(id) = &answers.deployment_id else { return Ok(()) };
    let state = facts.boot.state;
    let carried = facts.slot(state.slot).inventory.and_then(|inventory| inventory.deployment_id);
    if carried.as_deref() != Some(id.as_str()) {
        return Ok(());
    }
    let (path, id, slot) = (&facts.disk.path, id.as_str(), state.slot);
    if (state.trial, facts.boot.tries) == (Trial::Pending, Some(0)) {
        let reason = facts.boot.reason.as_deref().unwrap_or("its user space was never reached");
        let what =
            format!("{path}: the deployment {id} has failed its trial in slot {slot}: {reason}");
        return Err(Refusal::new(Exit::NotUpgradeable, what)
            .hint("another deployment_id in the answer file tries again"));
    }
    let what = format!("{path} carries the deployment {id} already, there is nothing to do");
    Err(Refusal::new(Exit::Done, what)
        .hint("another deployment_id in the answer file upgrades the host again"))
}
