//! What an answer file asks of a host that is there, held against the machine and the host.

use partitioner::layout::LayoutName;

use super::UpgradeFacts;
use crate::answers::{MachineRules, RollbackAnswers, UpgradeAnswers, UpgradeLayout};
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

/// The disk is to be divided anew: the host is on the layout `legacy`, and shall leave it.
pub fn goes_modern(layout: UpgradeLayout, facts: &UpgradeFacts) -> bool {
    (layout, facts.table.layout) == (UpgradeLayout::Modern, LayoutName::Legacy)
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
    // The last of its tries may be the one that runs.
    if facts.boot.gave_way() && facts.running != Some(slot) {
        let unknown = match facts.boot.tries {
            Some(_) => "its user space was never reached",
            None => "the count of its tries cannot be read",
        };
        let reason = facts.boot.reason.as_deref().unwrap_or(unknown);
        let what =
            format!("{path}: the deployment {id} has failed its trial in slot {slot}: {reason}");
        return Err(Refusal::new(Exit::NotUpgradeable, what)
            .hint("another deployment_id in the answer file tries again"));
    }
    let what = format!("{path} carries the deployment {id} already, there is nothing to do");
    Err(Refusal::new(Exit::Done, what)
        .hint("another deployment_id in the answer file upgrades the host again"))
}
