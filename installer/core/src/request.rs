//! What is to be installed on which disk: the answers, matched with the machine.
//!
//! Nothing is ever chosen arbitrarily. Where not exactly one disk fits, the refusal shows every
//! disk and the rule that excluded it.

use partitioner::table::{Compat, LayoutChoice};
use partitioner::units::Bytes;

mod choose;
mod existing;
mod machine;
mod network;
mod selector;
mod storage;

pub(crate) use machine::is_for;
pub use selector::Selector;
pub use storage::Wanted;

use crate::answers::{
    Access, Boot, Finish, Health, Hooks, MachineRules, Network, OnExisting, RawAnswers, Script,
    StorageKind, System, Xen,
};
use crate::facts::{DiskFacts, HostFacts};
use crate::outcome::Exit;
use crate::values::{DeploymentId, RootPassword};

/// What will be installed. One that exists fits the machine it was resolved for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallRequest {
    pub deployment_id: Option<DeploymentId>,
    /// The disk, as it was when it was chosen.
    pub disk: DiskFacts,
    /// How the answers chose it, for people: `serial SN42`.
    pub chosen_by: String,
    pub layout: LayoutChoice,
    pub boot_size: Option<Bytes>,
    pub compat: Compat,
    /// What becomes of the rest of the host disk.
    pub sr: StorageKind,
    pub repositories: Vec<Wanted>,
    pub on_existing: OnExisting,
    /// Each interface by its address, where the machine's interfaces are known.
    pub network: Network,
    pub system: System,
    /// Invariant: no password in clear, in a file or in the environment.
    pub access: Access,
    pub xen: Xen,
    pub boot: Boot,
    pub health: Health,
    pub hooks: Hooks,
    pub first_boot: Vec<Script>,
    pub finish: Finish,
    /// The digest that the plan must have.
    pub plan_digest: Option<String>,
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
    machine::fits(&answers.machine, facts)?;
    let selector = answers.disks.get(&answers.target).ok_or_else(|| {
        Refusal::new(Exit::InternalError, format!("no disk is named {}", answers.target))
    })?;
    let disk = choose::disk(&answers.target, selector, &answers.safety.protect, &facts.disks)?;
    existing::already_done(answers.deployment_id.as_ref(), disk)?;
    existing::permit(answers.on_existing, selector, disk)?;
    settled(&answers.access.root_password)?;
    Ok(InstallRequest {
        deployment_id: answers.deployment_id.clone(),
        disk: disk.clone(),
        chosen_by: selector.to_string(),
        layout: answers.layout,
        boot_size: answers.boot_size,
        compat: answers.compat,
        sr: answers.storage.sr,
        repositories: storage::wanted(answers, disk, facts)?,
        on_existing: answers.on_existing,
        network: network::pinned(&answers.network, facts)?,
        system: answers.system.clone(),
        access: answers.access.clone(),
        xen: answers.xen.clone(),
        boot: answers.boot.clone(),
        health: answers.health,
        hooks: answers.hooks.clone(),
        first_boot: answers.first_boot.clone(),
        finish: answers.finish,
        plan_digest: answers.safety.plan.clone(),
    })
}

/// Whether this is the machine that the answers are for.
pub(crate) fn for_machine(rules: &MachineRules, facts: &HostFacts) -> Result<(), Refusal> {
    machine::fits(rules, facts)
}

/// The one disk that a selector means.
pub(crate) fn one_disk<'d>(
    name: &str,
    selector: &Selector,
    protect: &[(String, Selector)],
    disks: &'d [DiskFacts],
) -> Result<&'d DiskFacts, Refusal> {
    choose::disk(name, selector, protect, disks)
}

/// Whether a selector means this disk, which is in use for a reason that is known.
pub(crate) fn is_disk(
    name: &str,
    selector: &Selector,
    protect: &[(String, Selector)],
    disk: &DiskFacts,
) -> Result<(), Refusal> {
    let idle = DiskFacts { holders: Vec::new(), ..disk.clone() };
    choose::disk(name, selector, protect, std::slice::from_ref(&idle)).map(drop)
}

/// A password in clear is hashed before anything else is decided: [`RootPassword::settle`].
fn settled(password: &RootPassword) -> Result<(), Refusal> {
    match password {
        RootPassword::Hash(_) | RootPassword::Ask | RootPassword::Locked => Ok(()),
        RootPassword::Plain(_) | RootPassword::File(_) | RootPassword::Env(_) => {
            let what = "access.root_password: this command takes a hash, and nothing else";
            Err(Refusal::new(Exit::BadAnswers, what)
                .hint("`hash: \"$6$…\"`, from `mkpasswd -m yescrypt`"))
        }
    }
}

#[cfg(test)]
mod tests;
