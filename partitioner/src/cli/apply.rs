//! `partitioner apply`: the planned table onto the disk, after consent.

use std::io::{self, BufRead, IsTerminal, Write};

use partitioner::apply::{ApplyError, apply};
use partitioner::block::fence::Fence;
use partitioner::ids::Ids;
use partitioner::plan::{Outcome, Plan, Policy, picture};
use rustix::rand::{GetRandomFlags, getrandom};

use super::args::ApplyArgs;
use super::failure::Failure;
use super::seen::Seen;
use super::signals::Signals;
use super::{DiskState, Ended, show};

/// What has to be typed on a terminal.
const YES: &str = "yes";

pub(super) fn run(args: &ApplyArgs, out: &mut dyn Write) -> Ended {
    let mut state = DiskState::Untouched;
    let result = perform(args, out, &mut state);
    Ended { state: Some(state), result }
}

fn perform(args: &ApplyArgs, out: &mut dyn Write, state: &mut DiskState) -> Result<(), Failure> {
    let seen = Seen::open(&args.plan.disk)?;
    let plan = seen.plan(&args.plan, Policy::Replace)?;
    let asked = Asked { disk: &seen.name, what: "writing the table", digest: &plan.digest };
    agreed(&asked, args.confirm.as_deref(), || picture::render(&plan))?;
    if plan.outcome == Outcome::Write {
        write(&seen, &plan, state)?;
    }
    if args.plan.json {
        return show::plan_json(&plan, out);
    }
    let partitions = plan.table.partitions.len();
    let (name, layout) = (&seen.name, plan.table.layout);
    let told = match plan.outcome {
        Outcome::Nothing => "nothing to do".to_owned(),
        Outcome::Write => format!("layout {layout} with {partitions} partitions was written"),
    };
    Ok(writeln!(out, "{name}: {told}")?)
}

fn write(seen: &Seen, plan: &Plan, state: &mut DiskState) -> Result<(), Failure> {
    let table = plan.table.draw(&mut Ids::from_seed(seed()?));
    let findings = partitioner::check::check(&table);
    if !findings.is_empty() {
        return Err(Failure::NotSound { disk: seen.name.clone(), findings });
    }
    let signals = Signals::listen().map_err(Failure::Signals)?;
    let mut disk = Fence::new(seen.open_for_writing()?, plan.write_set());
    match apply(&mut disk, &table, &mut || !signals.asked()) {
        Ok(()) => {
            *state = DiskState::NotBootable;
            Ok(())
        }
        Err(source) => {
            // A table that cannot be encoded is found before the first write.
            *state = match source {
                ApplyError::Mbr(_) | ApplyError::NotBegun => DiskState::Untouched,
                ApplyError::Write(_) | ApplyError::Cancelled => DiskState::NotBootable,
            };
            Err(Failure::Apply { disk: seen.name.clone(), source })
        }
    }
}

/// What consent is asked for.
pub(super) struct Asked<'a> {
    pub(super) disk: &'a str,
    pub(super) what: &'static str,
    pub(super) digest: &'a str,
}

/// The digest was given, or the terminal says yes.
pub(super) fn agreed(
    asked: &Asked<'_>,
    confirmed: Option<&str>,
    page: impl FnOnce() -> String,
) -> Result<(), Failure> {
    let (disk, digest) = (asked.disk.to_owned(), asked.digest.to_owned());
    match confirmed {
        Some(confirmed) if confirmed == digest => Ok(()),
        Some(confirmed) => {
            Err(Failure::Changed { disk, have: digest, confirmed: confirmed.to_owned() })
        }
        None if io::stdin().is_terminal() => {
            let mut terminal = io::stderr().lock();
            write!(terminal, "{}\nType {YES} to write this to {disk}: ", page())?;
            terminal.flush()?;
            let mut answer = String::new();
            io::stdin().lock().read_line(&mut answer)?;
            if answer.trim() == YES { Ok(()) } else { Err(Failure::Declined { disk }) }
        }
        None => Err(Failure::NoConsent { disk, what: asked.what, digest }),
    }
}

/// 32 bytes from the kernel.
fn seed() -> Result<[u8; 32], Failure> {
    let mut seed = [0; 32];
    // Up to 256 bytes come whole, once the kernel's source is ready (getrandom(2)).
    match getrandom(&mut seed, GetRandomFlags::empty()) {
        Ok(32) => Ok(seed),
        Ok(got) => Err(Failure::Random(io::Error::other(format!("{got} of 32 bytes")))),
        Err(errno) => Err(Failure::Random(errno.into())),
    }
}
