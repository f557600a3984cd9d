//! `cargo xtask`: set up, build, boot and test xenhost.
#![allow(clippy::arithmetic_side_effects, reason = "counts of tests and seconds; overflow panics")]
#![allow(clippy::print_stdout, reason = "it is a command for people")]
#![allow(clippy::print_stderr, reason = "it is a command for people")]
#![allow(clippy::disallowed_methods, reason = "xtask runs programs and waits for machines")]

mod answers;
mod cache;
mod call;
mod checks;
mod demo;
mod digest;
mod disks;
mod dom0;
mod e2e;
mod failure;
mod folders;
mod inside;
mod install;
mod lab;
mod oldhost;
mod products;
mod qemu;
mod report;
mod setup;
mod soak;
mod writelog;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::demo::Files;
use crate::e2e::Choice;
use crate::failure::Result;
use crate::qemu::{Display, Firmware};

/// Sets up, builds, boots and tests xenhost.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Installs the Debian packages that everything else needs.
    Setup,
    /// Builds the ISO, boots it in QEMU, installs a host, boots the host.
    Demo {
        #[arg(long, value_enum, default_value = "uefi")]
        firmware: Firmware,
        /// Leaves the disks, the ISO and the logs.
        #[arg(long)]
        keep: bool,
        /// Shows the machine in a window, where there is a display.
        #[arg(long)]
        gui: bool,
    },
    /// Checks everything: format, lints, tests, and an installation in each firmware.
    Test,
    /// Runs the scenarios, or some of them.
    E2e {
        /// Leaves out what would end later, for example `40m`.
        #[arg(long, value_parser = e2e::parse_budget)]
        budget: Option<Duration>,
        /// Runs this one; may be given several times.
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
        /// Shows the scenarios and runs none.
        #[arg(long)]
        list: bool,
    },
    /// Gives the readers of disks half a minute of inputs that no tool would write, each.
    Soak,
}

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode> {
    match command {
        Command::Setup => setup::setup().map(|()| ExitCode::SUCCESS),
        Command::Demo { firmware, keep, gui } => {
            let files = if keep { Files::Keep } else { Files::Remove };
            let display = if gui { Display::Window } else { Display::Headless };
            demo::demo(firmware, files, display)
        }
        Command::Test => checks::test(),
        Command::Soak => soak::soak(),
        Command::E2e { list: true, .. } => {
            e2e::list();
            Ok(ExitCode::SUCCESS)
        }
        Command::E2e { budget, only, list: false } => e2e::e2e(&Choice { budget, only }),
    }
}
