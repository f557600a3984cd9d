//! `partitioner repair`: a damaged copy of a GPT anew from the whole one, or its backup to the end
//! of a disk that has grown.

use std::io::Write;

use partitioner::block::fence::Fence;
use partitioner::repair::{Copy, Damage, RepairError, examine, repair, write_set};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::args::RepairArgs;
use super::failure::Failure;
use super::seen::Seen;
use super::{DiskState, Ended, apply, show};

pub(super) fn run(args: &RepairArgs, out: &mut dyn Write) -> Ended {
    let mut state = DiskState::Untouched;
    let result = perform(args, out, &mut state);
    Ended { state: Some(state), result }
}

fn perform(args: &RepairArgs, out: &mut dyn Write, state: &mut DiskState) -> Result<(), Failure> {
    let seen = Seen::open(&args.disk)?;
    let disk = || seen.name.clone();
    let failed = |source: RepairError| Failure::Repair { disk: disk(), source: Box::new(source) };
    let mut device = seen.open_read_only()?;
    let Some(damage) = examine(device.disk()).map_err(failed)? else {
        let told = format!("{}: both copies of the GPT are whole, nothing to repair", seen.name);
        return tell(args, &told, None, out);
    };
    let what = format!("{}: {damage}", seen.name);
    let digest = digest(&seen, damage);
    let asked = apply::Asked { disk: &seen.name, what: "the repair", digest: &digest };
    let (will, was) = match damage {
        Damage::Copy(_) => ("It is written anew, from the other.", "was written anew"),
        Damage::NotAtEnd { .. } => (
            "It is written to the end, then the primary header names it, then the header of the \
             old one is made zero.",
            "was moved to the end",
        ),
    };
    if args.confirm.is_none() {
        // What `plan` is to `apply`: what would be done, and the digest that confirms it.
        let page = json!({ "damage": name(damage), "digest": digest });
        let text = format!("{what}. {will}\nDigest: {digest}");
        if args.json { show::print(out, &page)? } else { writeln!(out, "{text}")? }
    }
    apply::agreed(&asked, args.confirm.as_deref(), || what.clone())?;
    let allowed = write_set(device.disk()).map_err(failed)?;
    let mut fenced = Fence::new(seen.open_for_writing()?, allowed);
    // From here on one copy may be half written; the other stays whole.
    *state = DiskState::OldBoots;
    repair(&mut fenced).map_err(failed)?;
    tell(args, &format!("{what}, and {was}"), Some(damage), out)
}

fn tell(
    args: &RepairArgs,
    told: &str,
    damage: Option<Damage>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if args.json {
        show::print(out, &json!({ "repaired": damage.map(name) }))
    } else {
        Ok(writeln!(out, "{told}")?)
    }
}

/// For scripts.
const fn name(damage: Damage) -> &'static str {
    match damage {
        Damage::Copy(Copy::Primary) => "primary",
        Damage::Copy(Copy::Backup) => "backup",
        Damage::NotAtEnd { .. } => "backup-moved",
    }
}

/// Covers what is wrong and all that was found on the disk.
fn digest(seen: &Seen, damage: Damage) -> String {
    let form = json!({
        "repair": damage.to_string(),
        "disk": seen.name,
        "blocks": seen.geometry.blocks,
        "before": seen.report.as_ref(),
    });
    let pairs: Vec<String> =
        Sha256::digest(form.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.concat()
}
