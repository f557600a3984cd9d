//! What an answer file asks for: an installation, or something of a host that is there.
//!
//! An answer file whose selector means one disk is consent, so that nothing is asked here; the
//! command line, the kernel line and the answers themselves may pin the plan.

use std::path::Path;

use installer_core::answers::{Answers, RollbackAnswers, UpgradeAnswers};
use installer_core::facts::{DiskFacts, Firmware, HostFacts, MachineFacts};
use installer_core::outcome::Exit;
use installer_core::target::RelPath;
use installer_core::upgrade::asked::{self, Asked};
use installer_core::upgrade::{Wish, rollback};
use partitioner::layout::Role;
use partitioner::units::Bytes;

use super::answer_file::AnswerFile;
use super::console::Style;
use super::image_arg::ImageArg;
use super::inputs::Facts;
use super::install::{self, With};
use super::job::Job;
use super::report::{About, Reporter, Subject};
use super::source::ReleaseArgs;
use super::takeover::OldHost;
use super::upgrade::{self as command, INVENTORY, Target};
use super::{Ended, MachineArgs, Outcome, SourceArgs, begun, init, inputs, print, say};
use crate::call::Processes;
use crate::probe;
use crate::release_dir::Release;
use crate::upgrade::{Rest, read};

/// What the command line says beside the answers.
pub(super) struct Means<'a> {
    pub(super) release: &'a ReleaseArgs,
    pub(super) images: &'a [ImageArg],
    /// Beside those of the answers.
    pub(super) keep: &'a [RelPath],
    pub(super) confirm: Option<&'a str>,
    pub(super) style: Style,
}

/// `install`: the mode says what is done.
pub(super) fn perform(
    source: &SourceArgs,
    machine: &MachineArgs,
    confirm: Option<&str>,
    json: bool,
) -> Outcome {
    let file = AnswerFile::get(source.answers.as_deref())?;
    let style = if json { Style::Json } else { Style::Lines };
    let (release, images) = (&source.release, &machine.disk[..]);
    match inputs::answers(&file, Facts::Of(machine))? {
        Answers::Install(answers) => {
            install::install(&file, &answers, release, machine, With { confirm, style })
        }
        Answers::Upgrade(answers) => {
            upgrade_as(&file, &answers, &Means { release, images, keep: &[], confirm, style })
        }
        Answers::Rollback(answers) => {
            pins_no_plan(confirm.or(file.confirm.as_deref()))?;
            rollback_as(&answers, images)
        }
    }
}

/// `upgrade --answers`.
pub(super) fn upgrade_by(path: &Path, means: &Means<'_>) -> Outcome {
    let file = AnswerFile::get(Some(path))?;
    match inputs::answers_for_a_host(&file)? {
        Answers::Upgrade(answers) => upgrade_as(&file, &answers, means),
        other @ (Answers::Install(_) | Answers::Rollback(_)) => {
            Err(another_mode(&file, &other, "upgrade"))
        }
    }
}

/// `rollback --answers`.
pub(super) fn rollback_by(path: &Path, images: &[ImageArg], command: Command) -> Outcome {
    let file = AnswerFile::get(Some(path))?;
    match (inputs::answers_for_a_host(&file)?, command) {
        (Answers::Rollback(answers), Command::Perform) => rollback_as(&answers, images),
        (Answers::Rollback(answers), Command::Check(style)) => {
            command::check(&own(&Asked::from(&*answers), images)?.0, style)
        }
        (other @ (Answers::Install(_) | Answers::Upgrade(_)), _) => {
            Err(another_mode(&file, &other, "rollback"))
        }
    }
}

/// What `rollback` is to do.
#[derive(Clone, Copy)]
pub(super) enum Command {
    Perform,
    Check(Style),
}

fn another_mode(file: &AnswerFile, answers: &Answers, command: &str) -> Ended {
    let what = format!("{}: the file says mode: {}, not {command}", file.name, answers.mode());
    Ended::early(Exit::BadAnswers, &what).hint("`host-installer install` does what the file says")
}

/// A rollback is one block, and has no plan that could be pinned.
fn pins_no_plan(confirm: Option<&str>) -> Outcome {
    match confirm {
        None => Ok(()),
        Some(_) => Err(Ended::early(Exit::BadAnswers, "a rollback has no plan to confirm")
            .hint("leave out --confirm, or xenhost.confirm= on the kernel line")),
    }
}

/// `plan`, for what is not an installation.
pub(super) fn show(
    answers: &Answers,
    release: &ReleaseArgs,
    images: &[ImageArg],
    json: bool,
) -> Outcome {
    let style = if json { Style::Json } else { Style::Lines };
    match answers {
        Answers::Upgrade(answers) => {
            let means = Means { release, images, keep: &[], confirm: None, style };
            print(&prepare(answers, &means)?.job.shown(style)?);
            Ok(())
        }
        Answers::Rollback(answers) => {
            let (target, _) = own(&Asked::from(&**answers), images)?;
            rollback::already_back(&target.facts)?;
            command::check(&target, style)
        }
        Answers::Install(_) => Err(Ended::early(Exit::InternalError, "an installation")),
    }
}

/// All that an upgrade needs.
struct Prepared {
    machine: MachineFacts,
    release: Release,
    job: Job,
}

/// Answers, then host, then release: the cheapest mistakes are told first.
fn prepare(answers: &UpgradeAnswers, means: &Means<'_>) -> Result<Prepared, Ended> {
    let (host, machine) = found(&Asked::from(answers), means.images)?;
    let keep: Vec<RelPath> = answers.keep.iter().chain(means.keep).cloned().collect();
    let open = || means.release.open(&answers.source);
    let (release, job) = match host {
        Host::Own(target) => {
            asked::deployed(answers, &target.facts)?;
            if asked::goes_modern(answers.layout, &target.facts) {
                let old = OldHost::of_own(&target)?;
                let release = open()?;
                let job = Job::takeover_by(answers, old, keep, &release)?;
                return Ok(Prepared { machine, release, job });
            }
            let release = open()?;
            let wish = Wish {
                keep,
                deployment_id: answers.deployment_id.clone(),
                health: answers.health,
                left_behind: Vec::new(),
            };
            let job = Job::upgrade(target, &release, wish)?;
            (release, job)
        }
        Host::Old { old, new } => {
            if let Some(new) = new {
                asked::deployed(answers, &new.facts)?;
            }
            old.keeps(&keep)?;
            let release = open()?;
            let job = Job::takeover_by(answers, *old, keep, &release)?;
            (release, job)
        }
    };
    Ok(Prepared { machine, release, job })
}

fn upgrade_as(file: &AnswerFile, answers: &UpgradeAnswers, means: &Means<'_>) -> Outcome {
    init::after_error(answers.on_error);
    let reporter = Reporter::new(Subject::upgrade(answers));
    let prepared = match prepare(answers, means) {
        Ok(prepared) => prepared,
        Err(ended) => {
            let outcome = Err(ended);
            init::after(&outcome, answers.finish);
            reporter.ended(None, &outcome, &[]);
            return outcome;
        }
    };
    let Prepared { machine, release, job } = &prepared;
    let manifest = release.manifest();
    let about = About {
        machine,
        disk: job.disk(),
        version: &manifest.version,
        build: &manifest.build,
        plan: Some(job.digest()),
    };
    let pins = [means.confirm, file.confirm.as_deref(), answers.safety.plan.as_deref()];
    let outcome = performed(&prepared, pins, &reporter, &about, means.style);
    init::after(&outcome, answers.finish);
    if outcome.is_ok() && job.is_of_the_running() {
        say("the trial begins when the host restarts; this command does not restart it\n");
    }
    reporter.ended(Some(&about), &outcome, &[]);
    outcome
}

fn performed(
    Prepared { release, job, .. }: &Prepared,
    pins: [Option<&str>; 3],
    reporter: &Reporter<'_>,
    about: &About<'_>,
    style: Style,
) -> Outcome {
    if style == Style::Lines {
        print(&job.shown(style)?);
    }
    for pin in pins {
        install::confirmed(pin, job.digest())?;
    }
    reporter.started(about);
    job.perform(release, style)
}

fn rollback_as(answers: &RollbackAnswers, images: &[ImageArg]) -> Outcome {
    init::after_error(answers.on_error);
    let reporter = Reporter::new(Subject::rollback(answers));
    let (target, machine) = match own(&Asked::from(answers), images) {
        Ok(found) => found,
        Err(ended) => {
            let outcome = Err(ended);
            reporter.ended(None, &outcome, &[]);
            return outcome;
        }
    };
    let to = target.facts.slot(target.facts.boot.state.slot.opposite()).inventory;
    let (version, build) = to.map(|to| (to.version, to.build)).unwrap_or_default();
    let disk = &target.facts.disk.path;
    let about = About { machine: &machine, disk, version: &version, build: &build, plan: None };
    let possible =
        rollback::already_back(&target.facts).and_then(|()| rollback::is_possible(&target.facts));
    let outcome = possible.map_err(Ended::from).and_then(|()| {
        reporter.started(&about);
        command::roll_back(&target)
    });
    init::after(&outcome, answers.finish);
    reporter.ended(Some(&about), &outcome, &[]);
    outcome
}

/// A host of ours, or of another product.
enum Host {
    Own(Target),
    Old {
        old: Box<OldHost>,
        /// Beside it, what a takeover that has failed its trial left.
        new: Option<Target>,
    },
}

/// The host that the answers mean, on images, running, or on the disks of this machine.
fn found(asked: &Asked<'_>, images: &[ImageArg]) -> Result<(Host, MachineFacts), Ended> {
    if images.is_empty() && Path::new(INVENTORY).exists() {
        let target = Target::find(images)?;
        let facts = here()?;
        asked.is_running(&facts, &target.facts.disk)?;
        return Ok((Host::Own(target), facts.machine));
    }
    let (facts, rest) = if images.is_empty() {
        (here()?, Rest::Machine)
    } else {
        (on_images(command::probed(images)?), Rest::Image)
    };
    let host = match asked.disk(&facts)? {
        Some(disk) => on_disk(&disk, &facts, rest)?,
        None => Host::Own(Target { facts: begun::the_one(&facts.disks)?, rest: Some(rest) }),
    };
    Ok((host, facts.machine))
}

fn on_disk(disk: &DiskFacts, facts: &HostFacts, rest: Rest) -> Result<Host, Ended> {
    let own = read::read(disk, None, &mut Processes)
        .map(|own| own.map(|facts| Target { facts, rest: Some(rest) }));
    let beside = |own: &Target| own.facts.table.partition(Role::OldRoot).is_some();
    let own = match own {
        Ok(Some(own)) if !beside(&own) => return Ok(Host::Own(own)),
        own => own,
    };
    let old = OldHost::on(disk, facts, rest);
    match (own, old) {
        // Nothing of the failed one needs to be readable.
        (own, Ok(Some(old))) if old.is_taken_up() => {
            let begun = || begun::on(disk).map(|facts| Target { facts, rest: Some(rest) });
            let new = own.ok().flatten().or_else(begun).filter(|_| old.is_back());
            Ok(Host::Old { old: Box::new(old), new })
        }
        (Ok(Some(own)), _) => Ok(Host::Own(own)),
        (Ok(None), Ok(Some(old))) => Ok(Host::Old { old: Box::new(old), new: None }),
        (Ok(None), Ok(None)) => Err(no_host(disk)),
        (Err(refusal), _) | (_, Err(refusal)) => Err(refusal.into()),
    }
}

/// The same, for what only a host of ours has.
fn own(asked: &Asked<'_>, images: &[ImageArg]) -> Result<(Target, MachineFacts), Ended> {
    match found(asked, images)? {
        (Host::Own(target) | Host::Old { new: Some(target), .. }, machine) => Ok((target, machine)),
        (Host::Old { old, new: None }, _) => {
            let what = format!("{} boots, and no system of ours does", old.named());
            Err(Ended::early(Exit::NotUpgradeable, &what)
                .hint("there is nothing to go back to; `mode: upgrade` takes the host over"))
        }
    }
}

fn no_host(disk: &DiskFacts) -> Ended {
    let path = &disk.path;
    let what = format!("{path} is the disk that the answers mean, and carries no host");
    Ended::early(Exit::NotUpgradeable, &what).hint("`mode: install` installs one")
}

fn here() -> Result<HostFacts, Ended> {
    probe::probe(&mut Processes).map_err(|e| Ended::early(Exit::DiskNotFound, &e.to_string()))
}

/// Images say nothing of the machine that they are for: a rule on it does not hold.
fn on_images(disks: Vec<DiskFacts>) -> HostFacts {
    HostFacts {
        firmware: Firmware::Uefi,
        memory: Bytes::ZERO,
        cpus: 0,
        machine: MachineFacts::default(),
        disks,
        nics: Vec::new(),
    }
}
