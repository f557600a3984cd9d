//! `status`: what is installed, and what the boot loader will start. On the running host, on an
//! image, and from the medium on the one disk that carries a host.

use std::fs;
use std::path::Path;

use clap::Args;
use installer_core::bootstate::{BootState, Trial};
use installer_core::outcome::Exit;
use installer_core::target::Inventory;
use installer_core::upgrade::{UpgradeFacts, base};
use serde::Serialize;

use super::image_arg::ImageArg;
use super::upgrade::{INVENTORY, Target};
use super::{Ended, Outcome, print, show};
use crate::bless::{self, Boot, ThisHost};

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// An image file that carries the host; default: the running dom0, and from the medium or the
    /// rescue entry the one disk that carries a host.
    #[arg(long, value_name = "NAME=IMAGE[:4096]")]
    disk: Vec<ImageArg>,
    #[arg(long)]
    json: bool,
}

/// What is told.
#[derive(Serialize)]
struct Status {
    /// None where a takeover that was begun over was cut off.
    inventory: Option<Inventory>,
    /// Why there is none.
    problem: Option<String>,
    #[serde(flatten)]
    boot: Boot,
    /// Whether that system runs, or only lies on a disk.
    running: bool,
    /// An upgrade that was cut off, or a takeover that was begun over.
    unfinished: Option<String>,
}

pub(super) fn status(args: &StatusArgs) -> Outcome {
    let status = if args.disk.is_empty() && Path::new(INVENTORY).exists() {
        here()?
    } else {
        at_rest(&Target::find_begun(&args.disk)?.facts)?
    };
    print(&if args.json { show::to_json(&status)? } else { lines(&status) });
    Ok(())
}

fn here() -> Result<Status, Ended> {
    let wrong = |e: String| Ended::early(Exit::InternalError, &format!("{INVENTORY}: {e}"));
    let text = fs::read(INVENTORY).map_err(|e| wrong(e.to_string()))?;
    let inventory = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
    let boot = bless::boot_state(&mut ThisHost::new())
        .map_err(|e| Ended::early(Exit::InternalError, &format!("boot state: {e}")))?;
    // What is in the other slot takes a look at the whole disk; a host tells of itself without.
    let unfinished = Target::find(&[]).ok().and_then(|target| target.facts.unfinished());
    Ok(Status { inventory: Some(inventory), problem: None, boot, running: true, unfinished })
}

/// The system that would run: while a trial is on, the one on trial.
fn at_rest(facts: &UpgradeFacts) -> Result<Status, Ended> {
    let slot = base(facts).unwrap_or(facts.boot.state.slot);
    let (inventory, unfinished) = (facts.slot(slot).inventory, facts.begun_over());
    let problem = inventory.is_none().then(|| {
        let problem = facts.slot(slot).problem;
        problem.unwrap_or_else(|| "it holds no system".to_owned())
    });
    if let (Some(_), None) = (&problem, &unfinished) {
        let what = format!("{}: slot {slot} holds no system", facts.disk.path);
        return Err(Ended::early(Exit::NotUpgradeable, &what));
    }
    let (state, tries, reason) = (facts.boot.state, facts.boot.tries, facts.boot.reason.clone());
    let boot = Boot { state, tries, reason, aside: None, taken_over: false };
    let unfinished = unfinished.or_else(|| facts.unfinished());
    Ok(Status { inventory, problem, boot, running: false, unfinished })
}

/// What is said of a host at rest.
#[cfg(test)]
pub(crate) fn told(facts: &UpgradeFacts) -> String {
    lines(&at_rest(facts).unwrap())
}

fn lines(status: &Status) -> String {
    let BootState { slot: chosen, other, trial, generation } = status.boot.state;
    let trial = match (trial, status.boot.tries) {
        (Trial::Over, _) => String::new(),
        (Trial::Pending, Some(left)) => format!(" (on trial, {left} tries left)"),
        (Trial::Pending, None) => " (on trial, unknown tries left)".to_owned(),
    };
    let runs = if status.running { "running" } else { "at rest" };
    let place = |slot, layout| {
        if status.boot.taken_over {
            "the old system, beside the one that has taken it over".to_owned()
        } else {
            format!("slot {slot}, layout {layout}")
        }
    };
    let system = status.inventory.as_ref().map_or_else(
        || format!("slot {chosen}: {}", status.problem.as_deref().unwrap_or_default()),
        |Inventory { product, version, build, suite, slot, layout, .. }| {
            let place = place(*slot, *layout);
            format!("{product} {version}, build {build}, Debian {suite}\n{runs}: {place}")
        },
    );
    let mut text = format!(
        "{system}\nboots: slot {chosen}{trial}, else {other}, generation {generation}\n",
        other = other.word(),
    );
    match (&status.boot.aside, &status.boot.reason) {
        (Some(aside), _) => text += &["NOT the chosen system: ", aside, "\n"].concat(),
        (None, Some(reason)) => text += &["last failed trial: ", reason, "\n"].concat(),
        (None, None) => {}
    }
    if let Some(unfinished) = &status.unfinished {
        text += &[unfinished, "; run the upgrade again\n"].concat();
    }
    text
}
