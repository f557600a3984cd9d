//! External programs as values: built, then run with their output watched.
//!
//! A [`Program`] may belong to the machine (found on fixed paths) or to a tree of another Debian
//! suite, in which case that tree's own loader runs it: no chroot, no root.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use thiserror::Error;

use crate::progress::Progress;

/// Lines of standard error that an error report keeps.
const TAIL_LINES_MAX: usize = 30;
/// Where programs of the build machine are looked for, in this order.
const PROGRAM_DIRS: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// The loader of a Debian amd64 tree and its libraries, relative to the tree. Not the loader's
/// official place in lib64: older suites have an absolute link there, which leads out of the tree.
const LOADER: &str = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

#[derive(Debug, Error)]
pub enum ExecError {
    #[error("program {program} is not installed")]
    Missing { program: String, package: Option<&'static str> },
    #[error("{command} did not start: {source}")]
    NotStarted { command: String, source: std::io::Error },
    #[error("{command} ended with {status}{}", tail_text(stderr_tail))]
    Status { command: String, status: ExitStatus, stderr_tail: Vec<String> },
}

fn tail_text(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |text, line| text + "\n    " + line)
}

impl ExecError {
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { package: Some(package), .. } => {
                Some(format!("apt-get install {package}"))
            }
            Self::Missing { package: None, .. } | Self::NotStarted { .. } | Self::Status { .. } => {
                None
            }
        }
    }

    /// What the program said last, for callers that recognise a situation.
    pub fn stderr_tail(&self) -> &[String] {
        match self {
            Self::Status { stderr_tail, .. } => stderr_tail,
            Self::Missing { .. } | Self::NotStarted { .. } => &[],
        }
    }
}

/// A command line with its environment. Not yet run.
#[derive(Clone, Debug)]
pub struct Call {
    program: OsString,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    dir: Option<PathBuf>,
}

impl Call {
    /// A program of the build machine; `package` is the Debian package that brings it.
    pub fn host(program: &str, package: &'static str) -> Result<Self, ExecError> {
        let found = PROGRAM_DIRS.iter().map(|d| Path::new(d).join(program)).find(|p| p.is_file());
        match found {
            Some(path) => Ok(Self::new(path.into_os_string())),
            None => Err(ExecError::Missing { program: program.into(), package: Some(package) }),
        }
    }

    /// A program of a Debian tree, run by that tree's loader with that tree's libraries.
    pub fn in_tree(tree: &Path, program: &str) -> Result<Self, ExecError> {
        let missing =
            |p: &Path| ExecError::Missing { program: p.display().to_string(), package: None };
        let path = tree.join(program);
        if !path.exists() {
            return Err(missing(&path));
        }
        let loader = tree.join(LOADER);
        if !loader.is_file() {
            return Err(missing(&loader));
        }
        let name = Path::new(program).file_name().unwrap_or_default();
        Ok(Self::new(loader.into_os_string())
            .arg("--argv0")
            .arg(name)
            .arg("--library-path")
            .arg(tree.join(LIBRARIES))
            .arg(path))
    }

    /// Asks a tree's loader which libraries a program of the tree uses.
    pub fn loader_list(tree: &Path, program: &str) -> Result<Self, ExecError> {
        let mut call = Self::in_tree(tree, program)?;
        call.args.insert(0, "--list".into());
        Ok(call)
    }

    fn new(program: OsString) -> Self {
        let env = BTreeMap::from([("LC_ALL".into(), "C.UTF-8".into())]);
        Self { program, args: Vec::new(), env, dir: None }
    }

    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn args(self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.into(), value.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// As a person would type it.
    fn text(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that starts programs")]
    fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.args).envs(&self.env).stdin(Stdio::null());
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    /// Runs it and returns its standard output; there is none without success.
    pub fn output(&self) -> Result<Vec<u8>, ExecError> {
        let output = self.command().output().map_err(|e| self.not_started(e))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let skip = lines.len().saturating_sub(TAIL_LINES_MAX);
        let stderr_tail = lines.into_iter().skip(skip).collect();
        Err(ExecError::Status { command: self.text(), status: output.status, stderr_tail })
    }

    /// What it says on standard error, for programs that tell their version there.
    pub fn said(&self) -> Result<String, ExecError> {
        let output = self.command().output().map_err(|e| self.not_started(e))?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Runs it for long work: each line it says on standard error goes to `progress`.
    pub fn watch(&self, progress: &dyn Progress) -> Result<(), ExecError> {
        let mut child = self
            .command()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| self.not_started(e))?;
        let mut tail = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            each_line(stderr, |line| {
                progress.line(line);
                if tail.len() == TAIL_LINES_MAX {
                    tail.remove(0);
                }
                tail.push(line.to_owned());
            });
        }
        let status = child.wait().map_err(|e| self.not_started(e))?;
        if status.success() {
            return Ok(());
        }
        Err(ExecError::Status { command: self.text(), status, stderr_tail: tail })
    }

    /// Becomes that program; there is no return but with an error.
    pub fn replace(&self) -> ExecError {
        self.not_started(self.command().exec())
    }

    fn not_started(&self, source: std::io::Error) -> ExecError {
        ExecError::NotStarted { command: self.text(), source }
    }
}

/// Lines end with a newline or, as progress meters do it, a carriage return.
fn each_line(from: impl Read, mut line: impl FnMut(&str)) {
    for chunk in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let text = String::from_utf8_lossy(&chunk);
        if let Some(last) = text.rsplit('\r').find(|part| !part.trim().is_empty()) {
            line(last.trim_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Call {
        Call::host("sh", "dash").unwrap().arg("-c").arg(script)
    }

    #[test]
    fn output_comes_only_with_success() {
        assert_eq!(sh("echo a; echo b >&2").output().unwrap(), b"a\n");
        let error = sh("echo a; echo why >&2; exit 3").output().unwrap_err();
        assert_eq!(error.stderr_tail(), ["why"]);
    }

    #[test]
    fn a_failing_watched_program_keeps_its_last_words() {
        let error = sh("seq 1 100 >&2; false").watch(&crate::progress::Silent).unwrap_err();
        assert_eq!(error.stderr_tail().len(), TAIL_LINES_MAX);
        assert_eq!(error.stderr_tail().last().map(String::as_str), Some("100"));
    }

    #[test]
    fn a_missing_program_names_its_package() {
        let error = Call::host("no-such-program", "the-package").unwrap_err();
        assert_eq!(error.to_string(), "program no-such-program is not installed");
        assert_eq!(error.hint().as_deref(), Some("apt-get install the-package"));
    }
}
