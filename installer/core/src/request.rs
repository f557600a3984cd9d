//! What is to be installed on which disk: the answers, matched with the machine.
//!
//! Nothing is ever chosen arbitrarily. Where not exactly one disk fits, the refusal shows every
//! disk and the rule that excluded it.

use partitioner::table::LayoutChoice;
use partitioner::units::Bytes;

mod choose;
mod existing;
mod selector;

pub use selector::Selector;

use crate::answers::{Access, Finish, OnExisting, RawAnswers, System};
use crate::facts::{DiskFacts, HostFacts};
use crate::outcome::Exit;
use crate::values::{DeploymentId, Mac};

/// What will be installed. One that exists fits the machine it was resolved for.
#[derive(Clone, Debug)]
pub struct InstallRequest {
    pub deployment_id: Option<DeploymentId>,
    /// The disk, as it was when it was chosen.
    pub disk: DiskFacts,
    /// How the answers chose it, for people: `serial SN42`.
    pub chosen_by: String,
    pub layout: LayoutChoice,
    pub boot_size: Option<Bytes>,
    pub on_existing: OnExisting,
    /// The interface that the management bridge stands on.
    pub management: Mac,
    pub system: System,
    pub access: Access,
    pub finish: Finish,
}

/// Why this machine is not installed. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub exit: Exit,
    pub message: String,
    pub hint: Option<String>,
}

impl Refusal {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Matches the answers with the machine.
///
/// A machine that already carries the same `deployment_id` is refused with [`Exit::Done`]: there is
/// nothing to do, and a machine that always boots from the network is not installed in a loop.
pub fn resolve(answers: &RawAnswers, facts: &HostFacts) -> Result<InstallRequest, Refusal> {
    let selector = answers.disks.get(&answers.target).ok_or_else(|| {
        Refusal::new(Exit::InternalError, format!("no disk is named {}", answers.target))
    })?;
    let disk = choose::disk(&answers.target, selector, &facts.disks)?;
    existing::already_done(answers.deployment_id.as_ref(), disk)?;
    existing::permit(answers.on_existing, selector, disk)?;
    interface(answers.management, facts)?;
    Ok(InstallRequest {
        deployment_id: answers.deployment_id.clone(),
        disk: disk.clone(),
        chosen_by: selector.to_string(),
        layout: answers.layout,
        boot_size: answers.boot_size,
        on_existing: answers.on_existing,
        management: answers.management,
        system: answers.system.clone(),
        access: answers.access.clone(),
        finish: answers.finish,
    })
}

/// The management interface exists. Facts without interfaces, as of an offline installation, say
/// nothing about it.
fn interface(mac: Mac, facts: &HostFacts) -> Result<(), Refusal> {
    let wanted = mac.to_string();
    let matches = facts.nics.iter().filter(|nic| nic.mac == wanted).count();
    if matches == 1 || facts.nics.is_empty() {
        return Ok(());
    }
    let mut message = if matches == 0 {
        format!("no interface has the address {wanted} of network.management.mac")
    } else {
        format!("{matches} interfaces have the address {wanted} of network.management.mac")
    };
    for nic in &facts.nics {
        let link = match nic.link {
            Some(true) => "link up",
            Some(false) => "link down",
            None => "link unknown",
        };
        let driver = nic.driver.as_deref().unwrap_or("driver unknown");
        let row = format!("\n    {:<10} {}  {driver}, {link}", nic.name, nic.mac);
        message.push_str(&row);
    }
    Err(Refusal::new(Exit::Unsuitable, message))
}

#[cfg(test)]
mod tests;
