//! Scripts of the answers: each is fetched and held against its hash before anything is written,
//! and those of `failed` run when an installation ended with an error.

use std::fs::File;
use std::io::Read;

use installer_core::answers::{
    self, Hook, RawAnswers, SCRIPT_BYTES_MAX, ScriptError, ScriptSource, Stage,
};
use installer_core::event::{Event, ScriptEnd};
use installer_core::outcome::Exit;
use installer_core::request::InstallRequest;
use installer_core::values::Redactor;

use super::console::{Style, show_one};
use super::inputs::Inputs;
use super::source::{PATIENCE, connected, trust};
use super::{Ended, MachineArgs, Outcome, say};
use crate::call::Processes;
use crate::engine;
use crate::fetch::{Fetch as _, Web};
use crate::find_answers::Here;
use crate::hooks::Moment;
use crate::host::linux::Elsewhere;

/// The scripts of one installation, and how those ended that ran.
pub(super) struct Scripts<'a> {
    answers: &'a RawAnswers,
    pub(super) redactor: Redactor,
    /// With their texts, as soon as those were fetched.
    failed: Vec<Hook>,
    pub(super) ends: Vec<ScriptEnd>,
    here: Place,
}

/// Whether hooks run where this program runs. The engine has its own word in this: see
/// [`crate::ports::Host::check_hooks`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    InstallerEnvironment,
    Elsewhere,
}

impl<'a> Scripts<'a> {
    pub(super) fn new(answers: &'a RawAnswers, machine: &MachineArgs) -> Self {
        let here = match Elsewhere::detect() {
            Elsewhere::Lock if machine.disk.is_empty() => Place::InstallerEnvironment,
            Elsewhere::Lock | Elsewhere::LeaveAlone => Place::Elsewhere,
        };
        Self {
            answers,
            redactor: Redactor::new(answers::secrets(answers)),
            failed: answers.hooks.of(Stage::Failed).to_vec(),
            ends: Vec::new(),
            here,
        }
    }

    /// The request with the text of each script.
    pub(super) fn fetched(&mut self, request: &InstallRequest) -> Result<InstallRequest, Ended> {
        let mut request = request.clone();
        for (stage, index, source) in request.hooks.sources_mut() {
            *source = text_of(source, &format!("hooks.{stage}[{index}]"))?;
        }
        for (index, script) in request.first_boot.iter_mut().enumerate() {
            script.source = text_of(&script.source, &format!("first_boot[{index}]"))?;
        }
        self.failed = request.hooks.of(Stage::Failed).to_vec();
        Ok(request)
    }

    /// After an error the scripts of `failed` run. Whatever becomes of them is a warning: the first
    /// error is the one that counts.
    pub(super) fn failed(&mut self, inputs: Option<&Inputs>, outcome: &Outcome, style: Style) {
        let Err(ended) = outcome else { return };
        if ended.exit == Exit::Done || self.here == Place::Elsewhere || self.failed.is_empty() {
            return;
        }
        let warn = |text: &str| say(&format!("warning: {text}\n"));
        let mut hooks = Vec::new();
        for (index, hook) in self.failed.iter().enumerate() {
            // An error before the plan came before they were fetched.
            match text_of(&hook.source, &format!("hooks.failed[{index}]")) {
                Ok(source) => hooks.push(Hook { source, ..hook.clone() }),
                Err(ended) => warn(&ended.message),
            }
        }
        let ran = tempfile::tempdir().map_err(|error| error.to_string()).and_then(|scratch| {
            let moment = Moment {
                stage: Stage::Failed,
                hooks: &hooks,
                env: self.env(inputs, ended),
                args: vec!["1".into()],
                redactor: &self.redactor,
            };
            let tell = &mut |event: Event| {
                show_one(&event, style);
                self.ends.extend(end_of(&event));
            };
            moment.run(&mut Processes, scratch.path(), tell).map_err(|error| error.to_string())
        });
        if let Err(why) = ran {
            warn(&why);
        }
    }

    fn env(
        &self,
        inputs: Option<&Inputs>,
        ended: &Ended,
    ) -> Vec<(&'static str, std::ffi::OsString)> {
        let hostname = || vec![("XENHOST_HOSTNAME", self.answers.system.hostname.as_str().into())];
        let about = |inputs: &Inputs| engine::about(inputs.plan.plan(), &inputs.request);
        let mut env = inputs.map_or_else(hostname, about);
        env.extend([
            ("XENHOST_EXIT", ended.exit.code().to_string().into()),
            ("XENHOST_MESSAGE", ended.message.clone().into()),
            ("XENHOST_DISK_STATE", ended.state.to_string().into()),
        ]);
        env
    }
}

pub(super) fn end_of(event: &Event) -> Option<ScriptEnd> {
    if let Event::Script(end) = event { Some(end.clone()) } else { None }
}

/// The script with its text. `name` is how the answers name it.
fn text_of(source: &ScriptSource, name: &str) -> Result<ScriptSource, Ended> {
    let bytes = match source {
        ScriptSource::Inline(_) => return Ok(source.clone()),
        ScriptSource::Web(web) => {
            connected()?;
            let client = Web::new(&trust(&web.trust), PATIENCE).map_err(|error| {
                Ended::early(Exit::SourceFailed, &format!("{name}: {}: {error}", web.url))
            })?;
            client.get(&web.url, SCRIPT_BYTES_MAX).map_err(|error| {
                let hint = error.hint();
                Ended::early(error.exit(), &format!("{name}: {error}")).hint(hint)
            })?
        }
        ScriptSource::File { path, .. } => read(path).map_err(|error| {
            Ended::early(Exit::SourceFailed, &format!("{name}: {path}: {error}"))
                .hint("a path is one of the installer environment or of the medium")
        })?,
    };
    source.accept(&bytes).map_err(|error| {
        let exit = match error {
            ScriptError::Hash { .. } => Exit::HashMismatch,
            ScriptError::NotOne { .. } => Exit::SourceFailed,
        };
        Ended::early(exit, &format!("{name}: {source}: {error}"))
    })
}

fn read(path: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = SCRIPT_BYTES_MAX.saturating_add(1);
    File::open(Here::file_or_medium(path))?.take(limit).read_to_end(&mut bytes)?;
    if SCRIPT_BYTES_MAX < u64::try_from(bytes.len()).unwrap_or(u64::MAX) {
        let what = format!("longer than {} KiB, this is no script", SCRIPT_BYTES_MAX / 1024);
        return Err(std::io::Error::other(what));
    }
    Ok(bytes)
}
