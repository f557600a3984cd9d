//! The command line: what may be asked, and what each command does with it.

pub(crate) mod apply;
pub(crate) mod args;
mod blkid;
mod classify;
pub(crate) mod failure;
mod repair;
mod seen;
mod show;
mod signals;

use std::io::Write;

use args::Command;
use failure::Failure;

/// How a performing command leaves the disk: its last line on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskState {
    Untouched,
    OldBoots,
    NotBootable,
}

impl DiskState {
    pub(crate) const fn line(self) -> &'static str {
        match self {
            Self::Untouched => "DISK STATE: untouched",
            Self::OldBoots => "DISK STATE: old system boots",
            Self::NotBootable => "DISK STATE: not bootable, rerun installer",
        }
    }
}

/// How a command ends: `state` is there for commands that perform something.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) state: Option<DiskState>,
    pub(crate) result: Result<(), Failure>,
}

/// Does what was asked. Answers go to `out`, questions to the terminal.
pub(crate) fn run(command: &Command, out: &mut dyn Write) -> Ended {
    let looked = |result| Ended { state: None, result };
    match command {
        Command::Layouts { json } => looked(show::layouts(*json, out)),
        Command::Inspect { disk, json } => looked(show::inspect(disk, *json, out)),
        Command::Plan(args) => looked(show::plan(args, out)),
        Command::Apply(args) => apply::run(args, out),
        Command::Repair(args) => repair::run(args, out),
    }
}
