//! `install`: shows the plan, performs it, and tells the environment what to do afterwards.

use std::path::Path;

use installer_core::answers::RawAnswers;
use installer_core::event::Event;
use installer_core::outcome::Exit;
use installer_core::plan;
use partitioner::table::write_set;

use super::answer_file::AnswerFile;
use super::console::{self, Style};
use super::inputs::{self, Facts, Inputs};
use super::report::{About, Reporter, Subject};
use super::scripts::{Scripts, end_of};
use super::source::ReleaseArgs;
use super::{Ended, MachineArgs, Outcome, init, print};
use crate::cancel::Cancel;
use crate::engine::{self, Failure, Job};
use crate::host::image::ImageHost;
use crate::host::linux::{Elsewhere, LinuxHost};
use crate::ports::{Host, HostError};

/// Performs an installation as the answers of `file` want it.
pub(super) fn install(
    file: &AnswerFile,
    answers: &RawAnswers,
    release: &ReleaseArgs,
    machine: &MachineArgs,
    with: With<'_>,
) -> Outcome {
    init::after_error(answers.on_error);
    let reporter = Reporter::new(Subject::of(answers));
    let mut scripts = Scripts::new(answers, machine);
    let style = with.style;
    let inputs = match inputs::collect(answers, release, Facts::Of(machine)) {
        Ok(inputs) => inputs,
        Err(ended) => {
            let outcome = Err(ended);
            init::after(&outcome, answers.finish);
            scripts.failed(None, &outcome, style);
            reporter.ended(None, &outcome, &scripts.ends);
            return outcome;
        }
    };
    let confirm = [with.confirm, file.confirm.as_deref()];
    let outcome = planned(&inputs, &reporter, confirm, machine, &mut scripts, style);
    init::after(&outcome, answers.finish);
    scripts.failed(Some(&inputs), &outcome, style);
    reporter.ended(Some(&About::of(&inputs)), &outcome, &scripts.ends);
    outcome
}

/// What the command line adds.
#[derive(Clone, Copy)]
pub(super) struct With<'a> {
    /// The digest that the plan must have.
    pub(super) confirm: Option<&'a str>,
    pub(super) style: Style,
}

/// Performs what was planned, if it is what was confirmed.
fn planned(
    inputs: &Inputs,
    reporter: &Reporter<'_>,
    confirm: [Option<&str>; 2],
    machine: &MachineArgs,
    scripts: &mut Scripts<'_>,
    style: Style,
) -> Outcome {
    let plan = inputs.plan.plan();
    if style == Style::Lines {
        print(&plan::render(plan));
    }
    // Both may pin it.
    for confirm in confirm {
        confirmed(confirm, &plan.digest)?;
    }
    reporter.started(&About::of(inputs));
    let opening = |e: HostError| Ended::early(e.exit(), &format!("opening the disk: {e}"));
    let fence = write_set(&plan.table);
    if machine.disk.is_empty() {
        let elsewhere = Elsewhere::detect();
        let mut host = LinuxHost::open(&plan.disk, fence, elsewhere).map_err(opening)?;
        perform(inputs, &mut host, scripts, style)
    } else {
        let image = Path::new(&plan.disk.path);
        let mut host = ImageHost::open(image, plan.disk.block_size, fence).map_err(opening)?;
        perform(inputs, &mut host, scripts, style)
    }
}

/// The plan is the one that somebody agreed to, where anybody pins it.
pub(super) fn confirmed(confirm: Option<&str>, digest: &str) -> Outcome {
    match confirm {
        Some(wanted) if wanted != digest => Err(Ended::early(
            Exit::RefusedToDestroy,
            &format!("the plan has the digest {digest}, {wanted} was confirmed"),
        )
        .hint("answers, machine or release are not what they were; look at the plan again")),
        Some(_) | None => Ok(()),
    }
}

/// The digest on the command line, where nobody agreed beforehand.
pub(super) fn given<'c>(confirm: Option<&'c str>, digest: &str) -> Result<&'c str, Ended> {
    confirm.ok_or_else(|| {
        Ended::early(Exit::RefusedToDestroy, "the plan was not confirmed")
            .hint(format!("perform it with --confirm {digest}"))
    })
}

fn perform(
    inputs: &Inputs,
    host: &mut dyn Host,
    scripts: &mut Scripts<'_>,
    style: Style,
) -> Outcome {
    if !inputs.request.hooks.is_empty() {
        // Before anything is fetched for nothing.
        host.check_hooks().map_err(|error| {
            Ended::early(error.exit(), &error)
                .hint("`first_boot` runs scripts in the installed host, wherever it was made")
        })?;
    }
    let request = scripts.fetched(&inputs.request)?;
    let Scripts { redactor, ends, .. } = scripts;
    let (plan, facts, release) = (&inputs.plan, &inputs.facts, &inputs.release);
    let job = Job { plan, request: &request, facts, release, redactor };
    let work = |cancel: &Cancel, tell: &mut dyn FnMut(Event)| {
        engine::run(job, host, cancel, &mut |event| {
            ends.extend(end_of(&event));
            tell(event);
        })
    };
    console::watch(style, work, ended)
}

fn ended(failure: &Failure) -> Ended {
    let hint = match failure.exit {
        Exit::HashMismatch => Some("the medium is damaged or was changed; make it anew"),
        Exit::SourceFailed => Some("the release is not complete or not readable"),
        Exit::IoBeforeCommit | Exit::IoAtCommit => {
            Some("the disk may be failing; see the kernel log")
        }
        Exit::Done
        | Exit::InternalError
        | Exit::Cancelled
        | Exit::BadAnswers
        | Exit::DiskNotFound
        | Exit::RefusedToDestroy
        | Exit::Unsuitable
        | Exit::NotUpgradeable
        | Exit::ToolFailed
        | Exit::CleanupPending => None,
    };
    Ended {
        exit: failure.exit,
        message: failure.to_string(),
        hint: hint.map(str::to_owned),
        state: failure.state,
    }
}
