//! `upgrade` where the disk carries a host of another product: it is taken over. And `finish`.

use std::path::Path;

use clap::{Args, ValueEnum};
use installer_core::answers::UpgradeLayout;
use installer_core::facts::{DiskFacts, HostFacts};
use installer_core::outcome::{DiskState, Exit};
use installer_core::request::Refusal;
use installer_core::takeover::{
    self as core, MachineSize, TakeoverFacts, TakeoverPlan, TrialFacts, Wish, asked, own,
};
use installer_core::target::RelPath;
use partitioner::block::open;
use partitioner::ids::Ids;
use partitioner::inspect::inspect;
use partitioner::installations::{self, Product};
use partitioner::takeover::final_write_set;

use super::console::{self, Style};
use super::image_arg::ImageArg;
use super::inputs::seed;
use super::upgrade::{INVENTORY, Target, live, opening, probed, several};
use super::{Ended, Outcome};
use crate::bless::runs_old;
use crate::call::Processes;
use crate::engine::Failure;
use crate::host::image::ImageHost;
use crate::host::linux::{Elsewhere, LinuxHost};
use crate::ports::Host;
use crate::probe::{self, Machine};
use crate::release_dir::Release;
use crate::takeover;
use crate::upgrade::Rest;

/// Where the running dom0 makes file systems before they are copied to their partitions.
const SCRATCH: &str = "/var/lib/xenhost/finish";

/// As `upgrade.layout` in answers.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum LayoutArg {
    #[default]
    Keep,
    Modern,
}

impl From<LayoutArg> for UpgradeLayout {
    fn from(layout: LayoutArg) -> Self {
        match layout {
            LayoutArg::Keep => Self::Keep,
            LayoutArg::Modern => Self::Modern,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct FinishArgs {
    /// An image file that carries the host; default: the running dom0.
    #[arg(long, value_name = "NAME=IMAGE[:4096]")]
    disk: Vec<ImageArg>,
    /// Events as JSON lines on standard output.
    #[arg(long)]
    json: bool,
}

pub(super) fn finish(args: &FinishArgs) -> Outcome {
    if args.disk.is_empty() && Path::new(INVENTORY).exists() && is_old()? {
        return Err(Ended::early(Exit::Done, "nothing to finish: this is the old system"));
    }
    let target = Target::find(&args.disk)?;
    let host = &target.facts;
    let read = takeover::finish::read(host, live(host), &mut Processes)?;
    let Some(facts) = read else {
        return Err(Ended::early(Exit::Done, "nothing to finish: this host was not taken over"));
    };
    let plan = core::finish::plan(&facts)?;
    let fence = final_write_set(&facts.again.takeover);
    let disk = Path::new(&host.disk.path);
    let mut site = match target.rest {
        Some(Rest::Image) => ImageHost::open(disk, host.disk.block_size, fence),
        None => ImageHost::of_running(disk, Path::new(SCRATCH), fence),
        Some(Rest::Machine) => {
            return Err(Ended::early(Exit::NotUpgradeable, "a takeover is finished by its dom0")
                .hint("start the host from its disk; it finishes by itself after the bless"));
        }
    }
    .map_err(|e| opening(&e))?;
    let style = if args.json { Style::Json } else { Style::Lines };
    console::watch(
        style,
        |cancel, tell| takeover::finish::run(&plan, &mut site, cancel, tell),
        ended,
    )
}

/// The one disk that carries such a host. One of ours whose takeover has failed its trial is such a
/// host: the old system boots again. So is one whose takeover was cut off at its commit.
#[derive(Debug)]
pub(super) struct OldHost {
    facts: TakeoverFacts,
    rest: Rest,
}

impl OldHost {
    /// On one of the images; or, from the medium, on the disks of the machine. `Ok(None)` where
    /// hosts of ours are all that there is. Which of two hosts is meant nobody has said.
    pub(super) fn find(images: &[ImageArg]) -> Result<Option<Self>, Ended> {
        let (disks, machine, rest) = if !images.is_empty() {
            (probed(images)?, None, Rest::Image)
        } else if Path::new(INVENTORY).exists() {
            return Ok(None);
        } else {
            let facts = probe::probe(&mut Processes)
                .map_err(|e| Ended::early(Exit::DiskNotFound, &e.to_string()))?;
            let size = size_of(&facts);
            (facts.disks, Some(size), Rest::Machine)
        };
        let (mut names, mut found, mut broken) = (Vec::new(), Vec::new(), None);
        for disk in &disks {
            match (carries_own(disk), takeover::read::read(disk, machine, &mut Processes)) {
                (_, Ok(Some(old))) if is_taken_up(&old) => found.push(old),
                (true, _) => names.push(disk.path.clone()),
                (false, Ok(old)) => found.extend(old),
                (false, Err(refusal)) => broken = broken.or(Some(refusal)),
            }
        }
        let own = names.len();
        names.extend(found.iter().map(|facts| facts.disk.path.clone()));
        match (own, found.len(), broken) {
            (0, _, Some(refusal)) => Err(refusal.into()),
            (_, 0, _) => Ok(None),
            (0, 1, None) => Ok(found.pop().map(|facts| Self { facts, rest })),
            (_, _, _) => Err(several(&names)),
        }
    }

    /// On the one disk that is meant.
    pub(super) fn on(
        disk: &DiskFacts,
        facts: &HostFacts,
        rest: Rest,
    ) -> Result<Option<Self>, Refusal> {
        let machine = match rest {
            Rest::Image => None,
            Rest::Machine => Some(size_of(facts)),
        };
        let found = takeover::read::read(disk, machine, &mut Processes)?;
        Ok(found.map(|facts| Self { facts, rest }))
    }

    /// The host of ours that was found, whose disk is to be divided anew.
    pub(super) fn of_own(target: &Target) -> Result<Self, Ended> {
        let disk = &target.facts.disk;
        let (rest, machine) = match target.rest {
            None => return Err(own::only_at_rest(disk).into()),
            Some(Rest::Image) => (Rest::Image, None),
            Some(Rest::Machine) => {
                let facts = probe::probe(&mut Processes)
                    .map_err(|e| Ended::early(Exit::DiskNotFound, &e.to_string()))?;
                (Rest::Machine, Some(size_of(&facts)))
            }
        };
        let found = takeover::read::read_own(disk, machine, &mut Processes)?;
        let facts = found.ok_or_else(|| {
            let what = format!("{}: its root cannot be read", disk.path);
            Ended::early(Exit::NotUpgradeable, &what)
        })?;
        Ok(Self { facts, rest })
    }

    /// Whether this may be carried over beside the declared list.
    pub(super) fn keeps(&self, keep: &[RelPath]) -> Result<(), Refusal> {
        let is_own = self.facts.roots.iter().any(|root| root.own().is_some());
        if is_own { Ok(()) } else { asked::keeps_no_more(keep) }
    }

    /// A takeover has failed its trial, and this is what boots again.
    pub(super) fn is_back(&self) -> bool {
        self.facts.trial.as_ref().is_some_and(TrialFacts::gave_way)
    }

    /// The same; or a takeover was cut off at its commit.
    pub(super) fn is_taken_up(&self) -> bool {
        is_taken_up(&self.facts)
    }

    /// `/dev/sda: XenServer 7.1.0 on partition 1`.
    pub(super) fn named(&self) -> String {
        let hosts = self.facts.report.installations.iter().map(ToString::to_string);
        format!("{}: {}", self.facts.disk.path, hosts.collect::<Vec<_>>().join("; "))
    }

    /// What will be done to it.
    pub(super) fn plan(&self, release: &Release, wish: &Wish) -> Result<TakeoverPlan, Ended> {
        let mut ids = Ids::from_seed(seed()?);
        Ok(core::plan(&self.facts, release.manifest(), wish, &mut ids)?)
    }

    /// Performs the plan that was made of it.
    pub(super) fn take_over(
        &self,
        plan: &TakeoverPlan,
        release: &Release,
        style: Style,
    ) -> Outcome {
        let mut host = self.open(plan)?;
        console::watch(
            style,
            |cancel, tell| takeover::run(plan, release, host.as_mut(), cancel, tell),
            ended,
        )
    }

    fn open(&self, plan: &TakeoverPlan) -> Result<Box<dyn Host>, Ended> {
        let (disk, fence) = (&self.facts.disk, plan.write_set());
        Ok(match self.rest {
            Rest::Image => {
                let host = ImageHost::open(Path::new(&disk.path), disk.block_size, fence);
                Box::new(host.map_err(|e| opening(&e))?)
            }
            Rest::Machine => {
                let host = LinuxHost::open(disk, fence, Elsewhere::detect());
                Box::new(host.map_err(|e| opening(&e))?)
            }
        })
    }
}

/// What runs is what a takeover has left in its old place.
pub(super) fn is_old() -> Result<bool, Ended> {
    runs_old(&Machine::running()).map_err(|e| Ended::early(Exit::DiskNotFound, &e.to_string()))
}

fn is_taken_up(old: &TakeoverFacts) -> bool {
    old.trial.as_ref().is_some_and(TrialFacts::is_taken_up)
}

fn size_of(facts: &HostFacts) -> MachineSize {
    MachineSize { firmware: facts.firmware, memory: facts.memory, cpus: facts.cpus }
}

/// A host of ours is upgraded in its own way. A disk that cannot be read carries none.
fn carries_own(disk: &DiskFacts) -> bool {
    let Ok(mut opened) = open::open_read_only(Path::new(&disk.path), Some(disk.block_size)) else {
        return false;
    };
    let Ok(found) = inspect(opened.disk()) else { return false };
    let hosts = installations::find(opened.disk(), &found).unwrap_or_default();
    hosts.iter().any(|host| host.product == Product::Xenhost)
}

fn ended(failure: &Failure) -> Ended {
    let hint = match failure.state {
        DiskState::OldSystemBoots => "the old system is as it was; run the upgrade again",
        DiskState::NewSystemBootsCleanupPending => {
            "boot the new system; once it was blessed it finishes what is left"
        }
        DiskState::NotBootable => {
            "`partitioner inspect` shows the rescue record, which holds the old block 0"
        }
        DiskState::Untouched | DiskState::NewSystemBoots => return plain(failure, None),
    };
    plain(failure, Some(hint.to_owned()))
}

fn plain(failure: &Failure, hint: Option<String>) -> Ended {
    Ended { exit: failure.exit, message: failure.to_string(), hint, state: failure.state }
}
