//! The `partitioner` command: shows layouts, what is on a disk and what a plan would do to it, and
//! writes or repairs a partition table.

mod cli;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use cli::DiskState;
use cli::args::Args;

/// Bad arguments.
const USAGE: u8 = 10;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no errors; everything else is a bad argument.
            let code = if error.use_stderr() { USAGE } else { 0 };
            let told = error.print().is_ok();
            let verb = std::env::args().nth(1);
            if code != 0 && matches!(verb.as_deref(), Some("apply" | "repair")) {
                tell(DiskState::Untouched.line());
            }
            return if told { code.into() } else { ExitCode::FAILURE };
        }
    };
    let ended = cli::run(&args.command, &mut io::stdout().lock());
    if let Err(failure) = &ended.result {
        tell(&format!("partitioner: {failure}"));
    }
    if let Some(state) = ended.state {
        tell(state.line());
    }
    ended.result.err().map_or(ExitCode::SUCCESS, |failure| failure.exit().into())
}

/// Where standard error is gone the exit code still tells.
fn tell(line: &str) {
    let _told = writeln!(io::stderr(), "{line}");
}
