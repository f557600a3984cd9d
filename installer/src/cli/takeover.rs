//! `upgrade` where the disk carries a host of another product: it is taken over. And `finish`.

use std::path::Path;

use clap::Args;
use installer_core::facts::DiskFacts;
use installer_core::outcome::{DiskState, Exit};
use installer_core::takeover::{self as core, MachineSize, TakeoverFacts, TakeoverPlan};
use partitioner::block::open;
use partitioner::ids::Ids;
use partitioner::inspect::inspect;
use partitioner::installations::{self, Installation, Product};
use partitioner::takeover::final_write_set;

use super::console::{self, Style};
use super::image_arg::ImageArg;
use super::inputs::seed;
use super::show::to_json;
use super::upgrade::{INVENTORY, Target, live, opening, probed};
use super::{Ended, Outcome, install, print};
use crate::call::Processes;
use crate::engine::Failure;
use crate::host::image::ImageHost;
use crate::host::linux::{Elsewhere, LinuxHost};
use crate::ports::Host;
use crate::probe;
use crate::release_dir::Release;
use crate::takeover;
use crate::upgrade::Rest;

/// Where the running dom0 makes file systems before they are copied to their partitions.
const SCRATCH: &str = "/var/lib/xenhost/finish";

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

/// The one disk that carries such a host, where no disk carries one of ours. One of ours whose
/// takeover has failed its trial is none: the old system boots again.
#[derive(Debug)]
pub(super) struct OldHost {
    facts: TakeoverFacts,
    rest: Rest,
}

impl OldHost {
    /// On one of the images; or, from the medium, on the disks of the machine.
    pub(super) fn find(images: &[ImageArg]) -> Result<Option<Self>, Ended> {
        let (disks, machine, rest) = if !images.is_empty() {
            (probed(images)?, None, Rest::Image)
        } else if Path::new(INVENTORY).exists() {
            return Ok(None);
        } else {
            let facts = probe::probe(&mut Processes)
                .map_err(|e| Ended::early(Exit::DiskNotFound, &e.to_string()))?;
            let (firmware, memory, cpus) = (facts.firmware, facts.memory, facts.cpus);
            (facts.disks, Some(MachineSize { firmware, memory, cpus }), Rest::Machine)
        };
        let mut found = Vec::new();
        for disk in &disks {
            let (own, old) =
                (carries_own(disk), takeover::read::read(disk, machine, &mut Processes));
            let failed = matches!(&old, Ok(Some(TakeoverFacts { trial: Some(trial), .. }))
                if trial.gave_way());
            if own && !failed {
                return Ok(None);
            }
            found.extend(old?);
        }
        let names: Vec<String> = found.iter().map(|facts| facts.disk.path.clone()).collect();
        let mut found = found.into_iter();
        let first = found.next();
        if found.next().is_some() {
            let what = format!("{} disks carry a host: {}", names.len(), names.join(", "));
            return Err(Ended::early(Exit::DiskNotFound, &what).hint("leave one of them connected"));
        }
        Ok(first.map(|facts| Self { facts, rest }))
    }

    /// Shows the plan, and performs it if it is confirmed.
    pub(super) fn take_over(
        &self,
        release: &Release,
        confirm: Option<&str>,
        json: bool,
    ) -> Outcome {
        let mut ids = Ids::from_seed(seed()?);
        let plan = core::plan(&self.facts, release.manifest(), &mut ids)?;
        if !json {
            print(&core::render(&plan));
        } else if confirm.is_none() {
            print(&to_json(&core::to_json(&plan))?);
        }
        let wanted = install::given(confirm, &plan.digest)?;
        if wanted != plan.digest {
            let what = format!("the plan has the digest {}, {wanted} was confirmed", plan.digest);
            return Err(Ended::early(Exit::RefusedToDestroy, &what)
                .hint("host, release or disk are not what they were; look at the plan again"));
        }
        let mut host = self.open(&plan)?;
        let style = if json { Style::Json } else { Style::Lines };
        console::watch(
            style,
            |cancel, tell| takeover::run(&plan, release, host.as_mut(), cancel, tell),
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

/// A host of ours is upgraded in its own way.
fn carries_own(disk: &DiskFacts) -> bool {
    hosts_on(disk).iter().any(|host| host.product == Product::Xenhost)
}

/// The host of another product on a disk, as one names it.
pub(super) fn old_host_on(disk: &DiskFacts) -> Option<String> {
    let hosts = hosts_on(disk);
    hosts.iter().find(|host| host.product == Product::Xenserver).map(ToString::to_string)
}

/// A disk that cannot be read carries none.
fn hosts_on(disk: &DiskFacts) -> Vec<Installation> {
    let Ok(mut opened) = open::open_read_only(Path::new(&disk.path), Some(disk.block_size)) else {
        return Vec::new();
    };
    let Ok(found) = inspect(opened.disk()) else { return Vec::new() };
    installations::find(opened.disk(), &found).unwrap_or_default()
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
