//! `partitioner repair`: a damaged copy of a GPT anew, from the whole one.

use std::io::Write;

use partitioner::block::fence::Fence;
use partitioner::block::{BlockIo, IoError};
use partitioner::repair::{Copy, RepairError, examine, repair};
use partitioner::units::{Extent, Lba};
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
    let failed = |source| Failure::Repair { disk: disk(), source };
    let mut device = seen.open_read_only()?;
    let Some(copy) = examine(device.disk()).map_err(failed)? else {
        let told = format!("{}: both copies of the GPT are whole, nothing to repair", seen.name);
        return tell(args, &told, None, out);
    };
    let what = format!("{}: the {copy} copy of the GPT is damaged", seen.name);
    let digest = digest(&seen, copy);
    let asked = apply::Asked { disk: &seen.name, what: "the repair", digest: &digest };
    apply::agreed(&asked, args.confirm.as_deref(), || {
        format!("{what}. It is written anew, from the other.\nDigest: {digest}")
    })?;
    let allowed = places(device.disk(), copy)?;
    let mut fenced = Fence::new(seen.open_for_writing()?, allowed);
    // From here on the damaged copy may be half written; the whole one stays.
    *state = DiskState::OldBoots;
    repair(&mut fenced).map_err(failed)?;
    tell(args, &format!("{what}, and was written anew"), Some(copy), out)
}

fn tell(
    args: &RepairArgs,
    told: &str,
    copy: Option<Copy>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if args.json {
        show::print(out, &json!({ "repaired": copy.map(|copy| copy.to_string()) }))
    } else {
        Ok(writeln!(out, "{told}")?)
    }
}

/// Covers which copy is damaged and all that was found on the disk.
fn digest(seen: &Seen, copy: Copy) -> String {
    let form = json!({
        "repair": copy.to_string(),
        "disk": seen.name,
        "blocks": seen.geometry.blocks,
        "before": seen.report,
    });
    let pairs: Vec<String> =
        Sha256::digest(form.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.concat()
}

/// Where the damaged copy lies: outside the usable blocks that the header of the whole one names
/// (UEFI 2.10 table 5-5, offsets 40 and 48), on its own side of them.
fn places(disk: &mut dyn BlockIo, copy: Copy) -> Result<Vec<Extent>, Failure> {
    let last = disk.blocks().saturating_sub(1);
    let whole = match copy {
        Copy::Primary => last,
        Copy::Backup => 1,
    };
    let mut header = vec![0; usize::try_from(disk.block_size().bytes()).unwrap_or(512)];
    disk.read(Lba::new(whole), &mut header).map_err(|error: IoError| Failure::from(error))?;
    let number = |at: usize| {
        let bytes = header.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |eight| u64::from_le_bytes(*eight))
    };
    let place = match copy {
        Copy::Primary => (1, number(40).saturating_sub(1)),
        Copy::Backup => (number(48).saturating_add(1), last),
    };
    let extent = Extent::new(Lba::new(place.0), Lba::new(place.1));
    let none =
        || Failure::Repair { disk: disk.name().to_owned(), source: RepairError::NoRoom { copy } };
    extent.map(|extent| vec![extent]).ok_or_else(none)
}
