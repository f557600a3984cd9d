//! Tells web servers how an installation went. A report that is lost is a warning and nothing more:
//! the host is installed, or not, whatever becomes of it.
//!
//! A report holds what the console shows: no answers, no addresses with passwords.

use std::time::{Duration, Instant};

use installer_core::answers::{RawAnswers, ReportEvent, RollbackAnswers, UpgradeAnswers, Webhook};
use installer_core::event::ScriptEnd;
use installer_core::facts::MachineFacts;
use installer_core::outcome::{DiskState, Exit};
use installer_core::values::DeploymentId;
use serde::Serialize;

use super::inputs::Inputs;
use super::source::trust;
use super::{Ended, Outcome, say};
use crate::fetch::{Patience, Web};
use crate::find_answers::Here;
use crate::host::linux::Elsewhere;

/// The value of `schema`.
const SCHEMA: &str = "xenhost-report/v1";

/// A machine that has something else to do must not wait long for it.
const PATIENCE: Patience = Patience {
    attempts_max: 3,
    wait_first: Duration::from_secs(1),
    silence_max: Duration::from_secs(10),
};

/// What is sent.
#[derive(Debug, Serialize)]
struct Report<'r> {
    schema: &'static str,
    event: &'static str,
    /// What was to be done: `install`, `upgrade`, `rollback`.
    mode: &'static str,
    deployment_id: Option<&'r str>,
    /// Nothing for a host that keeps its name.
    hostname: Option<&'r str>,
    /// As the firmware names the machine; nothing for image files.
    serial: Option<&'r str>,
    system_uuid: Option<&'r str>,
    /// The disk of the host.
    disk: Option<&'r str>,
    /// The release, and the digest of the plan.
    version: Option<&'r str>,
    build: Option<&'r str>,
    plan: Option<&'r str>,
    /// Nothing for `start`.
    exit: Option<u8>,
    message: Option<&'r str>,
    hint: Option<&'r str>,
    disk_state: String,
    /// How the scripts of `hooks` ended that ran, without what they printed.
    scripts: Vec<ScriptReport>,
    /// Since the answers were read.
    seconds: u64,
}

#[derive(Debug, Serialize)]
struct ScriptReport {
    /// `hooks.pre[0]`.
    name: String,
    /// Nothing for one that was ended.
    status: Option<u8>,
    ended: String,
    seconds: u64,
}

impl From<&ScriptEnd> for ScriptReport {
    fn from(end: &ScriptEnd) -> Self {
        let ScriptEnd { status, ended, seconds, .. } = end;
        Self { name: end.name(), status: *status, ended: ended.clone(), seconds: *seconds }
    }
}

/// How it ended, as far as it has.
#[derive(Clone, Copy)]
struct End<'e> {
    outcome: &'e Outcome,
    scripts: &'e [ScriptEnd],
}

/// Knows whom to tell.
#[derive(Debug)]
pub(super) struct Reporter<'a> {
    subject: Subject<'a>,
    begun: Instant,
}

/// What the answers say of what is told, and to whom.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    mode: &'static str,
    deployment_id: Option<&'a DeploymentId>,
    hostname: Option<&'a str>,
    hooks: &'a [Webhook],
}

impl<'a> Subject<'a> {
    pub(super) fn of(answers: &'a RawAnswers) -> Self {
        Self {
            mode: "install",
            deployment_id: answers.deployment_id.as_ref(),
            hostname: Some(answers.system.hostname.as_str()),
            hooks: &answers.report,
        }
    }

    pub(super) fn upgrade(answers: &'a UpgradeAnswers) -> Self {
        let (deployment_id, hooks) = (answers.deployment_id.as_ref(), &answers.report);
        Self { mode: "upgrade", deployment_id, hostname: None, hooks }
    }

    pub(super) fn rollback(answers: &'a RollbackAnswers) -> Self {
        let hooks = &answers.report;
        Self { mode: "rollback", deployment_id: None, hostname: None, hooks }
    }
}

/// What is known of the machine and the plan, once there is one.
#[derive(Debug)]
pub(super) struct About<'r> {
    pub(super) machine: &'r MachineFacts,
    pub(super) disk: &'r str,
    pub(super) version: &'r str,
    pub(super) build: &'r str,
    /// A rollback has none.
    pub(super) plan: Option<&'r str>,
}

impl<'r> About<'r> {
    pub(super) fn of(inputs: &'r Inputs) -> Self {
        let (plan, manifest) = (inputs.plan.plan(), inputs.release.manifest());
        Self {
            machine: &inputs.facts.machine,
            disk: &plan.disk.path,
            version: &manifest.version,
            build: &manifest.build,
            plan: Some(&plan.digest),
        }
    }
}

impl<'a> Reporter<'a> {
    pub(super) fn new(subject: Subject<'a>) -> Self {
        Self { subject, begun: Instant::now() }
    }

    /// The plan is made, and nothing is written yet.
    pub(super) fn started(&self, about: &About<'_>) {
        self.tell(ReportEvent::Start, Some(about), None);
    }

    /// How it ended. `about` is there if it came as far as a plan.
    pub(super) fn ended(
        &self,
        about: Option<&About<'_>>,
        outcome: &Outcome,
        scripts: &[ScriptEnd],
    ) {
        let event = match outcome {
            Ok(()) => ReportEvent::Done,
            Err(ended) if ended.exit == Exit::Done => ReportEvent::Done,
            Err(_) => ReportEvent::Failed,
        };
        self.tell(event, about, Some(End { outcome, scripts }));
    }

    fn tell(&self, event: ReportEvent, about: Option<&About<'_>>, end: Option<End<'_>>) {
        let wanted = |hook: &&Webhook| hook.events.contains(&event);
        let hooks: Vec<&Webhook> = self.subject.hooks.iter().filter(wanted).collect();
        if hooks.is_empty() {
            return;
        }
        let Ok(json) = serde_json::to_string(&self.report(event, about, end)) else { return };
        if Elsewhere::detect() == Elsewhere::Lock
            && let Err(error) = Here::default().connect_now()
        {
            say(&format!("warning: no report of `{}`: {error}\n", event.word()));
            return;
        }
        for hook in hooks {
            if let Err(why) = send(hook, &json) {
                say(&format!("warning: no report of `{}`: {why}\n", event.word()));
            }
        }
    }

    fn report<'r>(
        &'r self,
        event: ReportEvent,
        about: Option<&'r About<'r>>,
        end: Option<End<'r>>,
    ) -> Report<'r> {
        let outcome = end.map(|end| end.outcome);
        let machine = about.map(|about| about.machine);
        let error = outcome.and_then(|outcome| outcome.as_ref().err());
        let state = match outcome {
            None => DiskState::Untouched,
            Some(Ok(())) => DiskState::NewSystemBoots,
            Some(Err(ended)) => ended.state,
        };
        Report {
            schema: SCHEMA,
            event: event.word(),
            mode: self.subject.mode,
            deployment_id: self.subject.deployment_id.map(DeploymentId::as_str),
            hostname: self.subject.hostname,
            serial: machine.and_then(|machine| machine.serial.as_deref()),
            system_uuid: machine.and_then(|machine| machine.system_uuid.as_deref()),
            disk: about.map(|about| about.disk),
            version: about.map(|about| about.version),
            build: about.map(|about| about.build),
            plan: about.and_then(|about| about.plan),
            exit: outcome.map(|_| error.map_or(Exit::Done, |ended: &Ended| ended.exit).code()),
            message: error.map(|ended| ended.message.as_str()).filter(|text| !text.is_empty()),
            hint: error.and_then(|ended| ended.hint.as_deref()),
            disk_state: state.to_string(),
            scripts: end
                .map_or(&[][..], |end| end.scripts)
                .iter()
                .map(ScriptReport::from)
                .collect(),
            seconds: self.begun.elapsed().as_secs(),
        }
    }
}

fn send(hook: &Webhook, json: &str) -> Result<(), String> {
    let trust = trust(&hook.trust);
    let web = Web::new(&trust, PATIENCE).map_err(|error| format!("{}: {error}", hook.url))?;
    let bearer = hook.token.as_ref().map(|token| format!("Bearer {}", token.expose()));
    let headers: Vec<(&str, &str)> =
        bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
    web.post(&hook.url, &headers, json).map_err(|error| error.to_string())
}
