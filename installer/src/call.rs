//! External programs: a command line as a value, and the one place that starts processes.
//!
//! A program is looked for in fixed folders only, runs with a cleared environment and `LC_ALL=C`,
//! and has a time limit. Nobody sees its output before its exit status was checked.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};

/// Where programs are looked for, in this order.
pub const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// The limit of a [`Call`] that names none. Generous: emulated machines are slow.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);
/// How much of each output of a failed program a message repeats.
const TAIL_BYTES_MAX: usize = 2048;

/// A command line, not yet run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub program: &'static str,
    pub args: Vec<OsString>,
    pub env: Vec<(&'static str, OsString)>,
    /// Where the program runs, for those whose scripts name files.
    pub folder: Option<PathBuf>,
    /// Exit statuses that count as success beside 0.
    pub also_ok: Vec<i32>,
    pub timeout: Duration,
    /// How much of the end of each output is kept; all of it without.
    pub tail_bytes: Option<usize>,
}

impl Call {
    pub fn new(program: &'static str) -> Self {
        Self {
            program,
            args: Vec::new(),
            env: Vec::new(),
            folder: None,
            also_ok: Vec::new(),
            timeout: TIMEOUT_DEFAULT,
            tail_bytes: None,
        }
    }

    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name, value.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Exit `status` counts as success too.
    #[must_use]
    pub fn accept(mut self, status: i32) -> Self {
        self.also_ok.push(status);
        self
    }

    /// Of a program that may print without end, the end is kept.
    #[must_use]
    pub fn tail(mut self, bytes: usize) -> Self {
        self.tail_bytes = Some(bytes);
        self
    }

    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }
}

impl fmt::Display for Call {
    /// As a person would type it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program)?;
        for arg in &self.args {
            let arg = arg.to_string_lossy();
            if arg.contains(' ') || arg.is_empty() {
                write!(f, " '{arg}'")?;
            } else {
                write!(f, " {arg}")?;
            }
        }
        Ok(())
    }
}

/// What a successful program printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Output {
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// Carries what a person needs to run the command again by hand.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("program {program} is not in {}", FOLDERS.join(", "))]
    NotFound { program: &'static str },
    #[error("running `{call}`: {source}")]
    Start { call: Box<Call>, source: io::Error },
    #[error("`{call}` ended with {status}: {said}")]
    Status { call: Box<Call>, status: String, said: String },
    #[error("`{call}` was ended after {} s, its time limit", call.timeout.as_secs())]
    Timeout { call: Box<Call>, said: Vec<u8> },
}

/// Runs programs. There is no way to get the output without the check for success.
pub trait Run: fmt::Debug {
    fn run(&mut self, call: &Call) -> Result<Output, CallError>;
}

/// Where `program` lies, if it is installed.
pub fn find_program(program: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
}

/// Runs real processes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Processes;

impl Run for Processes {
    fn run(&mut self, call: &Call) -> Result<Output, CallError> {
        let path =
            find_program(call.program).ok_or(CallError::NotFound { program: call.program })?;
        let start = |source| CallError::Start { call: Box::new(call.clone()), source };
        let child = spawn(&path, call).map_err(start)?;
        let (status, stdout, stderr) = match wait(child, call).map_err(start)? {
            Ended::Itself { status, stdout, stderr } => (status, stdout, stderr),
            Ended::ByUs { said } => {
                return Err(CallError::Timeout { call: Box::new(call.clone()), said });
            }
        };
        match status.code() {
            Some(code) if code == 0 || call.also_ok.contains(&code) => {
                Ok(Output { status: code, stdout, stderr })
            }
            Some(_) | None => Err(CallError::Status {
                call: Box::new(call.clone()),
                status: status.to_string(),
                said: last_words(&stderr, &stdout),
            }),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the port that starts processes")]
fn spawn(path: &Path, call: &Call) -> io::Result<Child> {
    let mut command = std::process::Command::new(path);
    if let Some(folder) = &call.folder {
        command.current_dir(folder);
    }
    command
        // Ctrl-C is for us: we stop between two steps, not in the middle of a tool's work.
        .process_group(0)
        .args(&call.args)
        .env_clear()
        .env("PATH", FOLDERS.join(":"))
        .env("LC_ALL", "C")
        .envs(call.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

enum Ended {
    Itself {
        status: ExitStatus,
        stdout: Vec<u8>,
        stderr: Vec<u8>,
    },
    /// The limit passed, and all its processes were killed.
    ByUs {
        said: Vec<u8>,
    },
}

/// Waits for the end of the process and of its output.
fn wait(mut child: Child, call: &Call) -> io::Result<Ended> {
    // The handle is taken before the process can be reaped, so that it cannot name another one.
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("the process has no id"));
    let handle = pid.and_then(|pid| Ok((pid, pidfd_open(pid, PidfdFlags::empty())?)));
    let (pid, handle) = match handle {
        Ok(handle) => handle,
        Err(error) => {
            child.kill()?;
            child.wait()?;
            return Err(error);
        }
    };
    let (stdout, out_reader) = read_all(child.stdout.take(), call.tail_bytes);
    let (stderr, err_reader) = read_all(child.stderr.take(), call.tail_bytes);
    let (done, ended) = mpsc::channel();
    let waiter = thread::spawn(move || {
        let read = join(out_reader).and_then(|()| join(err_reader));
        let all = child.wait().and_then(|status| read.map(|()| status));
        // The receiver is gone only if the limit passed.
        drop(done.send(all));
    });
    match ended.recv_timeout(call.timeout) {
        Ok(status) => {
            Ok(Ended::Itself { status: status?, stdout: kept(&stdout), stderr: kept(&stderr) })
        }
        Err(RecvTimeoutError::Timeout) => {
            // Where this works the process was not reaped yet, so its group is still its own.
            pidfd_send_signal(&handle, Signal::KILL)?;
            kill_process_group(pid, Signal::KILL).ok();
            // A grandchild in a group of its own may hold the pipes open: the waiter is not joined.
            drop(waiter);
            Ok(Ended::ByUs { said: [kept(&stdout), kept(&stderr)].concat() })
        }
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the waiting thread died")),
    }
}

/// What a program has printed so far.
type Printed = Arc<Mutex<Vec<u8>>>;
type Reader = thread::JoinHandle<io::Result<()>>;

fn read_all(
    from: Option<impl Read + Send + 'static>,
    tail_bytes: Option<usize>,
) -> (Printed, Reader) {
    let printed = Printed::default();
    let into = printed.clone();
    let reader = thread::spawn(move || {
        let Some(mut from) = from else { return Ok(()) };
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let count = match from.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let mut all = into.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend_from_slice(piece.get(..count).unwrap_or_default());
            if let Some(tail) = tail_bytes {
                let beyond = all.len().saturating_sub(tail);
                all.drain(..beyond);
            }
        }
    });
    (printed, reader)
}

/// Read from a pipe at once.
const PIECE_BYTES: usize = 64 << 10;

fn kept(printed: &Printed) -> Vec<u8> {
    std::mem::take(&mut *printed.lock().unwrap_or_else(PoisonError::into_inner))
}

fn join(reader: Reader) -> io::Result<()> {
    reader.join().unwrap_or_else(|_| Err(io::Error::other("the reading thread died")))
}

/// The ends of both outputs on one line; some programs tell their errors on the standard one.
fn last_words(stderr: &[u8], stdout: &[u8]) -> String {
    let mut words = Vec::new();
    for output in [stderr, stdout] {
        let from = output.len().saturating_sub(TAIL_BYTES_MAX);
        let text = String::from_utf8_lossy(output.get(from..).unwrap_or_default()).into_owned();
        words.extend(text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned));
    }
    if words.is_empty() { "it said nothing".to_owned() } else { words.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Call {
        Call::new("sh").arg("-c").arg(script)
    }

    #[test]
    fn output_comes_with_success() {
        let out = Processes.run(&sh("echo out; echo err >&2")).unwrap();
        assert_eq!((out.stdout_text().as_str(), out.stderr_text().as_str()), ("out\n", "err\n"));
    }

    #[test]
    fn failure_shows_command_status_and_last_words() {
        let error = Processes.run(&sh("echo no space >&2; exit 3")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c 'echo no space >&2; exit 3'` ended with exit status: 3: no space"
        );
    }

    #[test]
    fn accepted_status_is_success() {
        assert_eq!(Processes.run(&sh("exit 1").accept(1)).unwrap().status, 1);
    }

    #[test]
    fn time_limit_ends_a_program() {
        let error = Processes.run(&sh("exec sleep 60").timeout(Duration::from_millis(50)));
        assert!(matches!(error, Err(CallError::Timeout { .. })), "{error:?}");
    }

    #[test]
    fn what_a_program_started_is_ended_with_it_and_what_it_said_is_kept() {
        // The inner one would hold the pipe for a minute.
        let call = sh("echo begun; sleep 60 & wait").timeout(Duration::from_secs(3));
        let Err(CallError::Timeout { said, .. }) = Processes.run(&call) else { panic!("no end") };
        assert_eq!(String::from_utf8(said).unwrap(), "begun\n");
    }

    #[test]
    fn of_an_output_without_end_the_end_is_kept() {
        let call = sh("yes | head -c 5000000; echo end").tail(6);
        assert_eq!(Processes.run(&call).unwrap().stdout_text(), "y\nend\n");
    }

    #[test]
    fn missing_program_is_named() {
        let error = Processes.run(&Call::new("no-such-program")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "program no-such-program is not in /usr/sbin, /usr/bin, /sbin, /bin"
        );
    }

    #[test]
    fn environment_is_cleared() {
        let out = Processes.run(&sh("echo $HOME-$LC_ALL").env("X", "1")).unwrap();
        assert_eq!(out.stdout_text(), "-C\n");
    }
}
