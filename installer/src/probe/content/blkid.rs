//! The signatures that `blkid` knows.

use std::path::Path;

use partitioner::inspect::foreign;

use crate::call::{Call, Run};

/// What lies in the byte range of the device or file; `None` where nothing is known.
pub(super) fn look(path: &Path, start: u64, length: u64, run: &mut dyn Run) -> Option<String> {
    let call = Call::new("blkid")
        .args(foreign::args(start, length))
        .arg(path)
        .accept(foreign::NOTHING)
        .accept(foreign::AMBIVALENT);
    match run.run(&call) {
        Ok(output) => foreign::describe(output.status, &output.stdout_text()),
        // An unknown content is not a blank one.
        Err(error) => Some(format!("unknown: {error}")),
    }
}
