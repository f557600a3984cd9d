//! Taking over a host of another product, or one of ours on the layout `legacy`, with its disk
//! divided anew. Pure: what its disk says in, plan or refusal out.
//!
//! Two tables and two commits. The *trial table* has the new system beside the old one, which
//! stays bit for bit and is what a failed trial falls back to. Once the new system was blessed, the
//! old one is copied to slot b, and the *final table* takes the place of the trial table. What is
//! written in which order is `partitioner::write::takeover`'s; what may be written, the fence's.

use partitioner::ids::{Guid, Ids};
use partitioner::installations::Installation;
use partitioner::layout::{Role, Scheme};
use partitioner::table::{Compat, Geometry, SrChoice};
use partitioner::takeover::{
    OldNumbers, SrProof, Takeover, TakeoverRequest, plan_takeover, trial_write_set,
};
use partitioner::units::Extent;
use partitioner::write::takeover as write;

pub mod asked;
mod facts;
pub mod finish;
mod host;
pub mod old_boot;
pub mod own;
mod refuse;
mod render;
mod rerun;
mod retry;
mod step;
pub mod xenserver;

pub use asked::Wish;
pub use facts::{Carried, MachineSize, OldRoot, TakeoverFacts, TrialFacts};
pub use host::{TakenOver, files as made_files};
pub use render::{render, to_json};
pub use retry::Failed;
pub use step::{FinishStep, TakeoverStep};

use crate::bootstate::{BootState, Other, Slot, Trial};
use crate::facts::Firmware;
use crate::outcome::Exit;
use crate::plan::Plan;
use crate::release::Manifest;
use crate::request::{InstallRequest, Refusal};
use crate::target::TargetFile;
use crate::upgrade::SlotPlace;
use crate::values::DeploymentId;
use old_boot::OldBoot;
use own::OwnRoot;

/// What will be done to one host.
#[derive(Clone, Debug)]
pub struct TakeoverPlan {
    pub facts: TakeoverFacts,
    pub old: Installation,
    /// UUID of the old root's file system.
    pub old_uuid: Guid,
    pub old_boot: OldBoot,
    /// An earlier run was cut off, and is done again.
    pub resumed: bool,
    /// It had our boot code in LBA 0 already: what was there before.
    pub switch_back: Option<Vec<u8>>,
    /// An earlier one came as far as its trial, which failed; it is begun over in slot a. `None`
    /// beside [`TakeoverFacts::trial`]: its commit was torn, and is done again.
    pub failed: Option<Failed>,
    pub tables: Takeover,
    /// The new host, as if it had been installed with the final table.
    pub host: Plan,
    pub config: Config,
    pub steps: Vec<TakeoverStep>,
    /// What will be lost, one line per thing.
    pub destroys: Vec<String>,
    /// What stays as it is.
    pub keeps: Vec<String>,
    /// Of the old host, and not carried over.
    pub left_behind: Vec<String>,
    /// SHA-256 in lower-case hexadecimal.
    pub digest: String,
}

/// What the new system is configured from.
#[derive(Clone, Debug)]
pub enum Config {
    /// As an installation is, from what a host of another product says of itself.
    Made {
        request: Box<InstallRequest>,
        /// Files of the old host, beside what follows from the request.
        carried: Vec<TargetFile>,
    },
    /// As an upgrade is, from the root of a host of ours.
    CarriedOver { own: Box<OwnRoot>, wish: Wish },
}

/// What the boot state says from the first commit on.
pub const ON_TRIAL: BootState =
    BootState { slot: Slot::A, other: Other::Old, trial: Trial::Pending, generation: 1 };

impl TakeoverPlan {
    /// Where the new system lies, and how it is named.
    pub fn place(&self) -> Option<SlotPlace> {
        let table = &self.host.table;
        let partuuid = table.partuuid(table.partition(Role::Root)?);
        Some(SlotPlace { slot: Slot::A, partuuid, fs_uuid: self.host.ids.root_a })
    }

    /// Every block that may be written.
    pub fn write_set(&self) -> Vec<Extent> {
        match &self.facts.trial {
            None => trial_write_set(&self.tables),
            Some(trial) => retry::write_set(self, trial),
        }
    }

    /// The name that the new host has from then on.
    pub fn deployment_id(&self) -> Option<&str> {
        match &self.config {
            Config::Made { request, .. } => {
                request.deployment_id.as_ref().map(DeploymentId::as_str)
            }
            Config::CarriedOver { own, wish } => {
                let given = wish.deployment_id.as_ref().map(DeploymentId::as_str);
                given.or(own.inventory.deployment_id.as_deref())
            }
        }
    }
}

/// Decides everything, or refuses.
pub fn plan(
    facts: &TakeoverFacts,
    manifest: &Manifest,
    wish: &Wish,
    ids: &mut Ids,
) -> Result<TakeoverPlan, Refusal> {
    let (old, root) = refuse::one(facts)?;
    match &facts.trial {
        None => refuse::shape(facts, old)?,
        Some(trial) => retry::allowed(facts, trial)?,
    }
    match root.own() {
        None => refuse::pool(old)?,
        Some(own) => own::allowed(facts, root, own, manifest)?,
    }
    let proof = refuse::storage(facts, old)?;
    refuse::root(old, root)?;
    let unsuitable = |what: String| Refusal::new(Exit::Unsuitable, what);
    let old_boot = root.boot.clone().map_err(|why| {
        unsuitable(format!("how {} is started is not known: {why}", refuse::named(old)))
            .hint("there would be nothing to fall back to")
    })?;
    let firmware = match (root.own(), &facts.trial) {
        (Some(own), _) => own.inventory.firmware,
        (None, None) => firmware_of(facts, old),
        (None, Some(trial)) => retry::firmware(facts, trial),
    };
    // A GPT of ours starts by both, before and after: our core image lies in its head already.
    if root.own().is_none() || firmware == Firmware::Bios {
        refuse::firmware(facts, firmware)?;
    }
    let carried = root.carried.clone()?;
    let Ground { tables, resumed, switch_back } = match &facts.trial {
        None => Ground::new(facts, (old, proof), firmware, ids)?,
        Some(trial) => Ground::of_trial(trial, firmware, ids),
    };
    let mut host = host::plan(facts, firmware, &tables, root, manifest, ids)?;
    let (config, left_behind) = match carried {
        Carried::Told(told) => {
            let request = Box::new(host::request(facts, &told, wish));
            (Config::Made { request, carried: told.files }, told.left_behind)
        }
        Carried::Own(own) => {
            let left_behind = own.left_behind(wish);
            (Config::CarriedOver { own, wish: wish.clone() }, left_behind)
        }
    };
    if let Some(trial) = &facts.trial {
        (host.ids.root_a, host.ids.root_b) = (trial.dispatch.slot_a, trial.dispatch.slot_b);
    }
    let mut plan = TakeoverPlan {
        old: old.clone(),
        old_uuid: root.fs_uuid,
        old_boot,
        resumed,
        switch_back,
        failed: facts.trial.as_ref().and_then(retry::failed),
        steps: match &facts.trial {
            None => steps(&tables, firmware),
            Some(trial) => retry::steps(trial, firmware),
        },
        destroys: match &facts.trial {
            None => destroys(facts, old),
            Some(trial) => retry::destroys(trial),
        },
        keeps: keeps(old, root),
        left_behind,
        digest: String::new(),
        facts: facts.clone(),
        tables,
        host,
        config,
    };
    plan.digest = render::digest(&plan);
    Ok(plan)
}

/// What the new system is put on.
struct Ground {
    tables: Takeover,
    resumed: bool,
    switch_back: Option<Vec<u8>>,
}

impl Ground {
    /// The disk of the old host, which is to be divided anew.
    fn new(
        facts: &TakeoverFacts,
        (old, proof): (&Installation, SrProof),
        firmware: Firmware,
        ids: &mut Ids,
    ) -> Result<Self, Refusal> {
        let wish = TakeoverRequest {
            firmware: firmware.into(),
            boot_size: None,
            sr: SrChoice::Rest,
            compat: Compat::None,
            old: OldNumbers {
                root: old.root,
                backup: old.backup.as_ref().map(|backup| backup.partition),
                boot: old.boot,
                sr: old.sr,
            },
            proof,
            loader: facts.loader,
        };
        let mut tables = tables(facts, &wish, ids)?;
        let resumed = rerun::adopt(&mut tables, facts)?;
        let switched = rerun::is_switched(&tables, facts);
        let switch_back = facts.saved_lba0.clone().filter(|_| switched);
        Ok(Self { tables, resumed, switch_back })
    }

    /// It was divided anew by the takeover whose trial has failed.
    fn of_trial(trial: &TrialFacts, firmware: Firmware, ids: &mut Ids) -> Self {
        let tables = retry::tables(trial, firmware, ids);
        Self { tables, resumed: false, switch_back: None }
    }
}

/// Both tables.
fn tables(
    facts: &TakeoverFacts,
    wanted: &TakeoverRequest,
    ids: &mut Ids,
) -> Result<Takeover, Refusal> {
    let geometry = Geometry::of_size(facts.disk.size, facts.disk.block_size);
    plan_takeover(geometry, &rerun::as_it_counts(facts), wanted, ids)
        .map_err(|error| refuse::tables(facts, &error))
}

/// How the old host starts: by the kind of its boot partition.
fn firmware_of(facts: &TakeoverFacts, old: &Installation) -> Firmware {
    let boot = facts.report.inspection.partitions.iter().find(|p| Some(p.number) == old.boot);
    let esp = partitioner::layout::Kind::EfiSystem.gpt_type().to_string();
    if boot.is_some_and(|found| found.kind == esp) { Firmware::Uefi } else { Firmware::Bios }
}

fn steps(tables: &Takeover, firmware: Firmware) -> Vec<TakeoverStep> {
    use TakeoverStep as S;
    let mut steps = vec![
        S::Rescue,
        S::WipeSignatures,
        S::WriteSlot,
        S::IdentifySlot,
        S::ConfigureSlot,
        S::CheckSlot,
        S::MakeSwap,
        S::MakeBoot,
    ];
    if write::needs_boot_code(tables) {
        steps.extend([S::WriteCore, S::SwitchBootCode]);
    }
    steps.extend([S::PrepareTable, S::Verify, S::Commit, S::Settle]);
    match firmware {
        Firmware::Uefi => steps.push(S::BootEntry),
        Firmware::Bios => {}
    }
    steps
}

fn destroys(facts: &TakeoverFacts, old: &Installation) -> Vec<String> {
    let mut list = Vec::new();
    if let Some(backup) = &old.backup {
        let what = backup.version.as_deref().map_or_else(
            || "the old backup".to_owned(),
            |version| format!("the old backup, version {version}"),
        );
        list.push(format!("partition {}: {what}", backup.partition));
    }
    if let Some(number) = old.sr {
        let what =
            facts.report.sr.as_ref().map_or_else(|| "nothing".to_owned(), |sr| sr.verdict.reason());
        list.push(format!("partition {number}: the storage repository, which holds {what}"));
    }
    list
}

fn keeps(old: &Installation, root: &OldRoot) -> Vec<String> {
    let name = refuse::named(old);
    let mut keeps =
        vec![format!("{name}: bit for bit, to fall back to until the new system was blessed")];
    keeps.extend(old.boot.map(|number| format!("partition {number}: its boot files, as long")));
    keeps.push("then a copy of it goes to slot b, with `host-installer finish`".to_owned());
    if root.needs_recovery {
        let what = "it was not shut down cleanly; its journal stays as it is, and is replayed when \
                    it boots the next time";
        keeps.push(what.to_owned());
    }
    keeps
}

/// How the old table is stored, for people.
pub(crate) const fn scheme(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Gpt => "a GPT",
        Scheme::Mbr => "an MBR",
    }
}
