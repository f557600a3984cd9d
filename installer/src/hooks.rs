//! Scripts of the answers that run during an installation.
//!
//! A script is run by its own interpreter, with a cleared environment, no input, a time limit and
//! the folder `/`. What it prints comes as an event, without the secrets of the answers. It runs
//! where the installer environment runs, and nowhere else: on the machine that is installed.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use installer_core::answers::{Hook, Hooks, OnFail, Stage};
use installer_core::event::{Event, ScriptEnd};
use installer_core::outcome::Exit;
use installer_core::values::Redactor;

use crate::call::{Call, CallError, Run};

/// Of what a script prints, the end is told.
const SAID_BYTES_MAX: usize = 16 << 10;
/// Both outputs in the order in which they were written.
const RUN: &str = "exec \"$0\" \"$@\" 2>&1";

/// What the scripts of one stage find.
#[derive(Clone, Debug)]
pub struct Moment<'a> {
    pub stage: Stage,
    pub hooks: &'a [Hook],
    pub env: Vec<(&'static str, OsString)>,
    /// What an old script of the same stage expects.
    pub args: Vec<OsString>,
    pub redactor: &'a Redactor,
}

/// Why the scripts of the answers end an installation.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    #[error("{script} {ended}")]
    Failed { script: String, ended: String },
    #[error(
        "{script}: its interpreter {interpreter} is not in the installer environment, /bin/sh is"
    )]
    NoInterpreter { script: String, interpreter: String },
    #[error("{script}: its text was not fetched")]
    NoText { script: String },
    #[error("{script}: {source}")]
    Call { script: String, source: CallError },
    #[error("{action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
}

impl HookError {
    pub const fn exit(&self) -> Exit {
        match self {
            Self::NoInterpreter { .. } => Exit::BadAnswers,
            Self::NoText { .. } => Exit::InternalError,
            Self::Failed { .. } | Self::Call { .. } => Exit::ToolFailed,
            Self::File { .. } => Exit::IoBeforeCommit,
        }
    }
}

fn name(stage: Stage, index: usize) -> String {
    format!("hooks.{stage}[{index}]")
}

/// Every text is there and can be run, which is known before the first write.
pub fn check(hooks: &Hooks) -> Result<(), HookError> {
    for (stage, hooks) in hooks.iter() {
        for (index, hook) in hooks.iter().enumerate() {
            let script = name(stage, index);
            let Some(text) = hook.source.text() else { return Err(HookError::NoText { script }) };
            let interpreter = interpreter(text);
            if !Path::new(interpreter).is_file() {
                let interpreter = interpreter.to_owned();
                return Err(HookError::NoInterpreter { script, interpreter });
            }
        }
    }
    Ok(())
}

/// The program of the line that begins with `#!`.
fn interpreter(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("#!").split_whitespace().next().unwrap_or_default()
}

impl Moment<'_> {
    /// Runs each script, until one fails that must not.
    pub fn run(
        &self,
        runner: &mut dyn Run,
        scratch: &Path,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), HookError> {
        for (index, hook) in self.hooks.iter().enumerate() {
            let end = self.run_one(index, hook, runner, scratch)?;
            let (script, ended, good) = (end.name(), end.ended.clone(), end.status == Some(0));
            tell(Event::Script(end));
            match hook.on_fail {
                OnFail::Warn | OnFail::Abort if good => {}
                OnFail::Abort => return Err(HookError::Failed { script, ended }),
                OnFail::Warn => tell(Event::Warning { text: format!("{script} {ended}") }),
            }
        }
        Ok(())
    }

    fn run_one(
        &self,
        index: usize,
        hook: &Hook,
        runner: &mut dyn Run,
        scratch: &Path,
    ) -> Result<ScriptEnd, HookError> {
        let script = name(self.stage, index);
        let text =
            hook.source.text().ok_or_else(|| HookError::NoText { script: script.clone() })?;
        let path = scratch.join(format!("hook-{}-{index}", self.stage));
        write(&path, text)?;
        let begun = Instant::now();
        let result = runner.run(&self.call(&path, hook.timeout.duration()));
        let seconds = begun.elapsed().as_secs();
        let removed = std::fs::remove_file(&path);
        removed.map_err(|source| HookError::File { action: "removing", path, source })?;
        let (status, ended, said) = match result {
            Ok(out) => (u8::try_from(out.status).ok(), ended(out.status), out.stdout),
            Err(CallError::Timeout { said, .. }) => {
                (None, format!("ran for {}, its time limit, and was ended", hook.timeout), said)
            }
            Err(CallError::Status { status, said, .. }) => {
                (None, format!("was ended by {status}"), said.into_bytes())
            }
            Err(source @ (CallError::NotFound { .. } | CallError::Start { .. })) => {
                return Err(HookError::Call { script, source });
            }
        };
        let said = self.redactor.clean(&String::from_utf8_lossy(&said));
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        Ok(ScriptEnd { stage: self.stage, index, status, ended, seconds, said })
    }

    fn call(&self, script: &Path, limit: Duration) -> Call {
        let mut call = Call::new("sh")
            .args(["-c", RUN])
            .arg(script)
            .args(&self.args)
            .in_folder(Path::new("/"))
            .env("HOME", "/root")
            .env("XENHOST_STAGE", self.stage.word())
            .tail(SAID_BYTES_MAX)
            .timeout(limit);
        call.env.extend(self.env.iter().cloned());
        // Every one is told.
        call.also_ok.extend(1..=255);
        call
    }
}

fn ended(status: i32) -> String {
    match status {
        126 | 127 => {
            format!("ended with {status}: a program it names cannot be run, or is not there")
        }
        _ => format!("ended with {status}"),
    }
}

/// For root alone: it may hold secrets.
fn write(path: &Path, text: &str) -> Result<(), HookError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o700);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| HookError::File { action: "writing", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
