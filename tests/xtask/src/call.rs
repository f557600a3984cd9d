//! Running programs: a command line is a value, has a time limit, and dies with xtask.
//!
//! Every child is started through `setpriv --pdeathsig KILL`, so that nothing outlives an xtask
//! that was itself killed. The signal follows the thread that started the child, which is why
//! programs are only started from the main thread.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{At, Result};

/// How long between two looks at a child that may have ended.
const POLL: Duration = Duration::from_millis(20);
/// How many lines of a failed program's log an error shows.
const TAIL_LINES: usize = 25;

/// What can go wrong with a program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("{program} did not start: {source}")]
    NotStarted { program: String, source: io::Error },
    #[error("{program} ended with {status}\n{tail}")]
    Ended { program: String, status: ExitStatus, tail: String },
    #[error("{program} did not end within {} s\n{tail}", limit.as_secs())]
    TimedOut { program: String, limit: Duration, tail: String },
    #[error("{program}: {source}")]
    Io { program: String, source: io::Error },
}

/// A command line. Nothing happens before `run`.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    limit: Duration,
}

/// What a program that ended left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The exit code, or -1 for a program that a signal ended.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }
}

impl Call {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: vec![("LC_ALL".into(), "C".into())],
            dir: None,
            limit: Duration::from_secs(60),
        }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.into(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn name(&self) -> String {
        let program = Path::new(&self.program).file_name().unwrap_or(&self.program);
        let mut name = program.to_string_lossy().into_owned();
        if let Some(first) = self.args.first().filter(|a| !a.to_string_lossy().starts_with('-')) {
            name.push(' ');
            name.push_str(&first.to_string_lossy());
        }
        name
    }

    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program).args(&self.args);
        // What cargo tells xtask about itself is none of a child's: build scripts that ask for it
        // would run again whenever xtask was started in another way.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    /// Starts the program with the pipes that the caller wants.
    pub(crate) fn spawn(&self, input: Stdio, output: Stdio, errors: Stdio) -> Result<Child> {
        let child = self.command().stdin(input).stdout(output).stderr(errors).spawn();
        Ok(child.map_err(|source| CallError::NotStarted { program: self.name(), source })?)
    }

    /// Runs it to its end and gives its output, whatever the exit code is.
    pub(crate) fn output(&self) -> Result<Ended> {
        let io = |source| CallError::Io { program: self.name(), source };
        // Files, not pipes: nobody has to read while we wait for the end.
        let mut out = tempfile::tempfile().map_err(io)?;
        let mut err = tempfile::tempfile().map_err(io)?;
        let child = self.spawn(
            Stdio::null(),
            out.try_clone().map_err(io)?.into(),
            err.try_clone().map_err(io)?.into(),
        )?;
        let status = self.wait(child, &mut || {});
        let stdout = text_of(&mut out).map_err(io)?;
        let stderr = text_of(&mut err).map_err(io)?;
        match status? {
            Some(status) => Ok(Ended { status, stdout, stderr }),
            None => Err(self.timed_out(tail(&stderr)).into()),
        }
    }

    /// Runs it to its end and gives its standard output; any exit code but 0 is an error.
    pub(crate) fn stdout(&self) -> Result<String> {
        let ended = self.output()?;
        if ended.status.success() {
            return Ok(ended.stdout);
        }
        let said = if ended.stderr.trim().is_empty() { &ended.stdout } else { &ended.stderr };
        let (program, tail) = (self.name(), tail(said));
        Err(CallError::Ended { program, status: ended.status, tail }.into())
    }

    /// Runs it with everything it says going to `log`; `tick` is called while it runs.
    pub(crate) fn logged(&self, log: &Path, tick: &mut dyn FnMut()) -> Result<()> {
        let file = File::create(log).at("creating", log)?;
        let copy = file.try_clone().at("opening", log)?;
        let child = self.spawn(Stdio::null(), file.into(), copy.into())?;
        let status = self.wait(child, tick)?;
        let said = || tail(&std::fs::read_to_string(log).unwrap_or_default());
        match status {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                Err(CallError::Ended { program: self.name(), status, tail: said() }.into())
            }
            None => Err(self.timed_out(said()).into()),
        }
    }

    fn timed_out(&self, tail: String) -> CallError {
        CallError::TimedOut { program: self.name(), limit: self.limit, tail }
    }

    /// `None` when the time was up and the child was killed.
    fn wait(&self, mut child: Child, tick: &mut dyn FnMut()) -> Result<Option<ExitStatus>> {
        let io = |source| CallError::Io { program: self.name(), source };
        let end = Instant::now() + self.limit;
        loop {
            if let Some(status) = child.try_wait().map_err(io)? {
                return Ok(Some(status));
            }
            if Instant::now() >= end {
                child.kill().map_err(io)?;
                child.wait().map_err(io)?;
                return Ok(None);
            }
            tick();
            std::thread::sleep(POLL);
        }
    }
}

fn text_of(file: &mut File) -> io::Result<String> {
    use std::io::{Read, Seek};
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last lines of a text.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_code_of_a_program_are_seen() {
        let ended = Call::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]).output();
        let ended = ended.unwrap();
        assert_eq!((ended.code(), &*ended.stdout, &*ended.stderr), (3, "out\n", "err\n"));
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let call = Call::new("sleep").arg("60").limit(Duration::from_millis(100));
        let error = call.output().unwrap_err().to_string();
        assert!(error.contains("sleep 60 did not end"), "{error}");
    }

    #[test]
    fn a_failing_program_tells_its_last_lines() {
        let error = Call::new("sh").args(["-c", "echo why >&2; exit 1"]).stdout().unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }
}
