//! A root shell in a running machine, and commands in it.
//!
//! Commands go over a virtio port of their own: the serial console is shared with Xen and the
//! kernel, which write into the middle of lines and lose characters that come too fast. The
//! login itself is made on the serial console, as a person would.

use std::time::Duration;

use super::Machine;
use super::console::{Console, last_lines};
use crate::failure::{Failure, Result, ensure};

const PROMPT_LIMIT: Duration = Duration::from_secs(120);
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// How often the shell on the port is asked for. Each waits `ANSWER_LIMIT`.
const START_ATTEMPTS: u32 = 6;
const LOGIN_ATTEMPTS: u32 = 8;
/// The shell is started from the serial console with this; short, for it is typed.
/// The port can be opened once, so that all three streams share one description.
const START: &str = "sh <>/dev/virtio-ports/xtask >&0 2>&1 &";

/// A shell that reads from the port and writes to it.
#[derive(Debug)]
pub(crate) struct Shell {
    port: Console,
    count: u32,
}

/// What a command in the machine did.
#[derive(Clone, Debug)]
pub(crate) struct Did {
    pub(crate) code: i32,
    pub(crate) output: String,
}

/// Logs in on the serial console, where `login:` has just been said, and starts a shell on the
/// port.
///
/// The getty is sometimes started a second time while the boot ends, and forgets what was typed;
/// hence the attempts.
pub(crate) fn log_in(machine: &mut Machine, password: &str) -> Result<Shell> {
    let mut last = None;
    for _ in 0..LOGIN_ATTEMPTS {
        match try_log_in(machine, password) {
            Ok(true) => return start(machine),
            Ok(false) => {}
            Err(failure) => last = Some(failure),
        }
    }
    let refused = || Failure::check("root's password was refused on the serial console");
    Err(last.unwrap_or_else(refused))
}

fn try_log_in(machine: &mut Machine, password: &str) -> Result<bool> {
    let serial = &mut machine.serial;
    serial.type_line("root")?;
    serial.wait_for("assword:", ANSWER_LIMIT)?;
    serial.type_line(password)?;
    let which = serial.wait_for_any(&["# ", "Login incorrect"], PROMPT_LIMIT, &mut |_| {})?;
    Ok(which == 0)
}

/// Starts a shell on the port from the prompt that the serial console shows.
///
/// Typing is lost where a getty or the kernel takes the console for itself in that moment, hence
/// the attempts. A shell that was merely slow keeps the port: the second one finds it busy, and
/// what the port was sent before is answered first.
pub(crate) fn start(machine: &mut Machine) -> Result<Shell> {
    let mut shell = Shell { port: machine.open_port()?, count: 0 };
    let mut last = None;
    for _ in 0..START_ATTEMPTS {
        machine.serial.type_line(START)?;
        match shell.run("true", ANSWER_LIMIT) {
            Ok(_) => return Ok(shell),
            Err(failure) => last = Some(failure),
        }
    }
    let why = last.map_or_else(String::new, |failure| format!(": {failure}"));
    Err(Failure::check(format!(
        "no shell on the port{why}\nthe serial console says\n{}",
        last_lines(&machine.serial.text())
    )))
}

impl Shell {
    /// Runs a command and gives its output, both streams together, and its exit code.
    pub(crate) fn run(&mut self, command: &str, limit: Duration) -> Result<Did> {
        self.count += 1;
        let n = self.count;
        self.port.send_line(&format!(
            "printf '@@%s-{n}@@\\n' BEGIN; {{ {command}\n}} </dev/null 2>&1; \
             printf '\\n@@%s-{n}=%d@@\\n' END $?"
        ))?;
        self.port.wait_for(&format!("@@BEGIN-{n}@@\n"), limit)?;
        let from = self.port.seen_len();
        let end = format!("\n@@END-{n}=");
        self.port.wait_for(&end, limit)?;
        let to = self.port.seen_len() - end.len();
        let output = self.port.slice(from, to);
        let code_from = self.port.seen_len();
        self.port.wait_for("@@", limit)?;
        let code = self.port.slice(code_from, self.port.seen_len() - 2);
        let bad = |_| Failure::check(format!("{code:?} is not an exit code of {command}"));
        Ok(Did { code: code.parse().map_err(bad)?, output: output.trim_end().to_owned() })
    }

    /// Runs a command that must succeed and gives its output.
    pub(crate) fn must(&mut self, command: &str, limit: Duration) -> Result<String> {
        let did = self.run(command, limit)?;
        let said = || format!("`{command}` in dom0 ended with {}: {}", did.code, did.output);
        ensure(did.code == 0, said)?;
        Ok(did.output)
    }

    /// Sends a command after which nobody answers, such as `poweroff`.
    pub(crate) fn send(&mut self, command: &str) -> Result<()> {
        self.port.send_line(command)
    }
}
