//! `upgrade` and `rollback`: which host is meant, the plan, and what became of it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use installer_core::answers::Source;
use installer_core::bootstate::{Slot, Trial};
use installer_core::facts::DiskFacts;
use installer_core::outcome::{DiskState, Exit};
use installer_core::request::Refusal;
use installer_core::target::{Inventory, RelPath};
use installer_core::upgrade::rollback::GiveUp;
use installer_core::upgrade::{self, UpgradeFacts, UpgradePlan, Wish, asked, role};
use serde_json::json;

use super::by_answers::{self, Means};
use super::console::{self, Style};
use super::image_arg::ImageArg;
use super::job::Job;
use super::show::to_json;
use super::source::ReleaseArgs;
use super::takeover::{LayoutArg, OldHost, is_old};
use super::{Ended, Outcome, begun, give_up, install, print};
use crate::bless::disk_of_root;
use crate::call::Processes;
use crate::engine::{Failure, StepError};
use crate::ports::HostError;
use crate::probe::{self, Machine};
use crate::release_dir::Release;
use crate::slot::SlotError;
use crate::upgrade::read::{self, Live, root_of};
use crate::upgrade::root::RootError;
use crate::upgrade::{self as engine, AtRest, Rest, RunningSite, Site, collect};

pub(super) const INVENTORY: &str = "/etc/xenhost/inventory.json";

#[derive(Debug, Args)]
pub(super) struct UpgradeArgs {
    /// Do as this file says, which is consent: `mode: upgrade`.
    #[arg(long, value_name = "FILE|URL")]
    answers: Option<PathBuf>,
    #[command(flatten)]
    release: ReleaseArgs,
    /// An image file that carries the host; default: the running dom0, and from the medium or the
    /// rescue entry the one disk that carries a host.
    #[arg(long, value_name = "NAME=IMAGE[:4096]")]
    disk: Vec<ImageArg>,
    /// Carry this path over too, such as etc/nagios; may be repeated.
    #[arg(long, value_name = "PATH", value_parser = rel_path)]
    keep: Vec<RelPath>,
    /// `modern` divides the disk of a host on the layout legacy anew, from the medium and where its
    /// storage repository is proven empty.
    #[arg(long, value_name = "LAYOUT", value_enum, default_value_t, conflicts_with = "answers")]
    layout: LayoutArg,
    /// Perform the plan if it has this digest.
    #[arg(long, value_name = "DIGEST")]
    confirm: Option<String>,
    /// The plan, or events, as JSON on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Do as this file says: `mode: rollback`.
    #[arg(long, value_name = "FILE|URL")]
    answers: Option<PathBuf>,
    /// An image file that carries the host; default: the running dom0, and from the medium or the
    /// rescue entry the one disk that carries a host.
    #[arg(long, value_name = "NAME=IMAGE[:4096]")]
    disk: Vec<ImageArg>,
    /// Only say whether the other slot would boot, and what it does not know. Writes nothing.
    #[arg(long)]
    check: bool,
    #[arg(long)]
    json: bool,
}

fn rel_path(text: &str) -> Result<RelPath, String> {
    RelPath::new(text.strip_prefix('/').unwrap_or(text)).map_err(|e| e.to_string())
}

pub(super) fn upgrade(args: &UpgradeArgs) -> Outcome {
    let style = if args.json { Style::Json } else { Style::Lines };
    let confirm = args.confirm.as_deref();
    if let Some(path) = &args.answers {
        let (release, images, keep) = (&args.release, &args.disk[..], &args.keep[..]);
        let means = Means { release, images, keep, confirm, style };
        return by_answers::upgrade_by(path, &means);
    }
    let release = args.release.open(&Source::Medium)?;
    let job = if let Some(old) = OldHost::find(&args.disk)? {
        Job::takeover(old, &args.keep, &release)?
    } else {
        let target = Target::find(&args.disk)?;
        if asked::goes_modern(args.layout.into(), &target.facts) {
            Job::takeover(OldHost::of_own(&target)?, &args.keep, &release)?
        } else {
            let wish = Wish { keep: args.keep.clone(), ..Wish::default() };
            Job::upgrade(target, &release, wish)?
        }
    };
    if style == Style::Lines || confirm.is_none() {
        print(&job.shown(style)?);
    }
    let wanted = install::given(confirm, job.digest())?;
    install::confirmed(Some(wanted), job.digest())?;
    job.perform(&release, style)
}

pub(super) fn opening(error: &HostError) -> Ended {
    Ended::early(error.exit(), &format!("opening the disk: {error}"))
}

/// The host that is meant.
pub(super) struct Target {
    pub(super) facts: UpgradeFacts,
    /// `None` for the running dom0.
    pub(super) rest: Option<Rest>,
}

/// Which of the disks is meant.
type Choose = fn(&[DiskFacts]) -> Result<UpgradeFacts, Ended>;

impl Target {
    /// One of the images, or the running dom0, or, where no host runs, what is on the disks here.
    pub(super) fn find(images: &[ImageArg]) -> Result<Self, Ended> {
        Self::found(images, the_one)
    }

    /// The same for what looks at a host, or gives its new system up: beside one of ours also what
    /// a takeover left that was begun over and cut off.
    pub(super) fn find_begun(images: &[ImageArg]) -> Result<Self, Ended> {
        Self::found(images, begun::the_one)
    }

    fn found(images: &[ImageArg], choose: Choose) -> Result<Self, Ended> {
        if !images.is_empty() {
            return Ok(Self { facts: choose(&probed(images)?)?, rest: Some(Rest::Image) });
        }
        match std::fs::read_to_string(INVENTORY) {
            Ok(text) => Ok(Self { facts: running(&text)?, rest: None }),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let facts = probe::probe(&mut Processes)
                    .map_err(|e| Ended::early(Exit::DiskNotFound, &e.to_string()))?;
                Ok(Self { facts: choose(&facts.disks)?, rest: Some(Rest::Machine) })
            }
            Err(e) => Err(Ended::early(Exit::DiskNotFound, &format!("{INVENTORY}: {e}"))),
        }
    }

    /// Opens it for the boot state. `other` is a slot that does not run.
    pub(super) fn site_for_state(&self, other: Slot) -> Result<Box<dyn Site>, Ended> {
        Ok(match self.rest {
            Some(rest) => Box::new(AtRest::for_state(rest, &self.facts).map_err(|e| opening(&e))?),
            None => Box::new(RunningSite::open(&self.facts, role(other)).map_err(|e| opening(&e))?),
        })
    }

    /// Performs the plan that was made of it.
    pub(super) fn upgrade(&self, plan: &UpgradePlan, release: &Release, style: Style) -> Outcome {
        if let Some(rest) = self.rest {
            let mut site = AtRest::open(rest, plan).map_err(|e| opening(&e))?;
            perform(plan, release, &mut site, style)
        } else {
            let mut site = RunningSite::open(&self.facts, plan.role()).map_err(|e| opening(&e))?;
            perform(plan, release, &mut site, style)
        }
    }
}

pub(super) fn probed(images: &[ImageArg]) -> Result<Vec<DiskFacts>, Ended> {
    let probe = |image: &ImageArg| {
        probe::probe_image(&image.name, &image.path, image.block_size, &mut Processes)
            .map_err(|e| Ended::early(Exit::DiskNotFound, &format!("disk {}: {e}", image.name)))
    };
    images.iter().map(probe).collect()
}

pub(super) fn the_one(disks: &[DiskFacts]) -> Result<UpgradeFacts, Ended> {
    let mut found = Vec::new();
    let mut broken = None;
    for disk in disks {
        match read::read(disk, None, &mut Processes) {
            Ok(host) => found.extend(host),
            Err(refusal) => broken = broken.or(Some(refusal)),
        }
    }
    // A disk that is not meant may be broken; one that is the only one is told of.
    if let (Some(refusal), true) = (broken, found.is_empty()) {
        return Err(refusal.into());
    }
    let names: Vec<String> = found.iter().map(|facts| facts.disk.path.clone()).collect();
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => {
            let seen: Vec<&str> = disks.iter().map(|disk| disk.path.as_str()).collect();
            let what = format!("no disk carries a host of ours; looked at: {}", seen.join(", "));
            Err(Ended::early(Exit::DiskNotFound, &what))
        }
        (Some(_), Some(_)) => Err(several(&names)),
    }
}

/// Two installations, and none is named.
pub(super) fn several(disks: &[String]) -> Ended {
    let what = format!("{} disks carry a host: {}", disks.len(), disks.join(", "));
    Ended::early(Exit::DiskNotFound, &what)
        .hint("name one by `disks` in an answer file, or leave one of them connected")
}

fn running(inventory: &str) -> Result<UpgradeFacts, Ended> {
    let inventory = Inventory::parse(inventory)
        .map_err(|e| Ended::early(Exit::NotUpgradeable, &format!("{INVENTORY}: {e}")))?;
    let disk = disk()?;
    if is_old()? {
        let what = format!(
            "{}: what runs is the old system of a host whose disk was divided anew, beside the new \
             one, which was not blessed",
            disk.path
        );
        return Err(Ended::early(Exit::NotUpgradeable, &what)
            .hint("`host-installer upgrade` from the medium begins it over"));
    }
    let live = Live { root: Path::new("/"), slot: inventory.slot };
    read::read(&disk, Some(live), &mut Processes)?.ok_or_else(|| {
        let what = format!("{INVENTORY} is not of disk {}, on which root lies", disk.path);
        Ended::early(Exit::NotUpgradeable, &what)
    })
}

/// The disk behind `/`.
fn disk() -> Result<DiskFacts, Ended> {
    let wrong = |e: &dyn std::fmt::Display| Ended::early(Exit::DiskNotFound, &e.to_string());
    let folder = disk_of_root(&Machine::running()).map_err(|e| wrong(&e))?;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let path = format!("/dev/{}", name.replace('!', "/"));
    let facts = probe::probe(&mut Processes).map_err(|e| wrong(&e))?;
    let found = facts.disks.into_iter().find(|disk| disk.path == path);
    found.ok_or_else(|| wrong(&format!("{path}, on which root lies, is no disk")))
}

pub(super) fn live(facts: &UpgradeFacts) -> Option<Live<'static>> {
    facts.running.map(|slot| Live { root: Path::new("/"), slot })
}

fn unreadable(error: &RootError) -> Ended {
    Ended::early(error.exit(), &error.to_string())
}

/// `wish` without what is left behind, which is found here.
pub(super) fn plan(
    facts: &UpgradeFacts,
    release: &Release,
    wish: Wish,
) -> Result<UpgradePlan, Refusal> {
    let manifest = release.manifest();
    // Refusals first: an old root that cannot be read has its own.
    let from = upgrade::plan(facts, manifest, &wish)?.from;
    let extent = facts.table.partition(role(from)).map(|planned| planned.extent);
    let extent = extent.unwrap_or(facts.table.head.rescue);
    let left_behind = root_of(&facts.disk, extent, live(facts))
        .and_then(|root| collect::left_behind(root.as_ref(), &wish.keep))
        .map_err(|e| Refusal::new(e.exit(), e.to_string()))?;
    upgrade::plan(facts, manifest, &Wish { left_behind, ..wish })
}

fn perform(plan: &UpgradePlan, release: &Release, site: &mut dyn Site, style: Style) -> Outcome {
    console::watch(style, |cancel, tell| engine::run(plan, release, site, cancel, tell), ended)
}

fn ended(failure: &Failure) -> Ended {
    let again = if matches!(&*failure.error, StepError::Slot(SlotError::Full { .. })) {
        "the running system is as it was; make what is carried over smaller, which is the \
         configuration and what --keep or `upgrade.keep` add, and run the upgrade again"
    } else {
        "the running system is as it was; run the upgrade again"
    };
    let hint = (failure.state == DiskState::OldSystemBoots).then(|| again.to_owned());
    Ended { exit: failure.exit, message: failure.to_string(), hint, state: failure.state }
}

pub(super) fn rollback(args: &RollbackArgs) -> Outcome {
    let style = if args.json { Style::Json } else { Style::Lines };
    if let Some(path) = &args.answers {
        let command = if args.check {
            by_answers::Command::Check(style)
        } else {
            by_answers::Command::Perform
        };
        return by_answers::rollback_by(path, &args.disk, command);
    }
    let target = Target::find_begun(&args.disk)?;
    if args.check { check(&target, style) } else { roll_back(&target) }
}

/// Goes back, or forward again.
pub(super) fn roll_back(target: &Target) -> Outcome {
    let facts = &target.facts;
    if let Some(plan) = GiveUp::plan(facts)? {
        return give_up::perform(target, plan);
    }
    let plan = upgrade::rollback::plan(facts)?;
    let unknown = unknown(facts).map_err(|e| unreadable(&e))?;
    for line in &unknown {
        print(&format!("slot {} does not know: {line}\n", plan.to));
    }
    let mut site = target.site_for_state(plan.to)?;
    engine::rollback::perform(&plan, site.as_mut()).map_err(|error| Ended {
        exit: error.exit(),
        message: format!("rollback: {error}"),
        hint: None,
        state: DiskState::OldSystemBoots,
    })?;
    let trial = match plan.state.trial {
        Trial::Over => "",
        Trial::Pending => ", on trial, since it was never blessed",
    };
    print(&format!("slot {} boots from now on{trial}; slot {} stays\n", plan.to, plan.from));
    Ok(())
}

/// Only says whether the other slot would boot, and what it does not know.
pub(super) fn check(target: &Target, style: Style) -> Outcome {
    let json = style == Style::Json;
    if GiveUp::plan(&target.facts)?.is_some() {
        return give_up::check(json);
    }
    let plan = upgrade::rollback::plan(&target.facts);
    let unknown = unknown(&target.facts).map_err(|e| unreadable(&e))?;
    let why = plan.as_ref().err();
    if json {
        let told = json!({
            "possible": why.is_none(),
            "reason": why.map(|refusal| &refusal.message),
            "to": plan.as_ref().ok().map(|plan| plan.to),
            "unknown": unknown,
        });
        print(&to_json(&told)?);
    } else {
        if let Ok(plan) = &plan {
            print(&format!("slot {} would boot\n", plan.to));
        }
        for line in &unknown {
            print(&format!("the other slot does not know: {line}\n"));
        }
    }
    match why {
        Some(_) if json => Err(Ended::early(Exit::NotUpgradeable, "")),
        Some(refusal) => Err(refusal.clone().into()),
        None => Err(Ended::early(Exit::Done, "")),
    }
}

/// What the chosen or running system has and the other one does not know.
fn unknown(facts: &UpgradeFacts) -> Result<Vec<String>, RootError> {
    let here = facts.running.unwrap_or(facts.boot.state.slot);
    let root = |slot: Slot| {
        let extent = facts.table.partition(role(slot)).map(|planned| planned.extent);
        let extent = extent.unwrap_or(facts.table.head.rescue);
        root_of(&facts.disk, extent, live(facts).filter(|live| live.slot == slot))
    };
    if facts.slot(here.opposite()).inventory.is_none() {
        return Ok(Vec::new());
    }
    engine::unknown::there(root(here)?.as_ref(), root(here.opposite())?.as_ref())
}
