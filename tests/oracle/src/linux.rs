//! Linux: does the kernel find its root, once, and is it whole?

use crate::disk::Disk;
use crate::grub::Started;
use crate::system::{RootArgument, Superblock};
use crate::table::{self, Backup};
use crate::{Outcome, Warning};

/// What becomes of a kernel that was started.
pub(crate) fn start(disk: &dyn Disk, started: Started, mut warnings: Vec<Warning>) -> Outcome {
    let Started { slot, span, system, lost } = started;
    let backup = if lost { Backup::Used } else { Backup::Ignored };
    let parts = table::linux(disk, backup);
    let superblock = |span| Superblock::read(disk, span);
    let matches = |part: &&table::Part| match &system.root {
        RootArgument::PartUuid(id) => part.id == *id,
        RootArgument::FsUuid(uuid) => superblock(part.span).is_some_and(|s| s.uuid == *uuid),
        RootArgument::Label(label) => superblock(part.span).is_some_and(|s| s.label == *label),
    };
    let roots: Vec<_> = parts.iter().filter(matches).collect();
    let corrupt = |why: String| Outcome::Corrupt { slot, why };
    match roots.as_slice() {
        [root] if root.span != span => {
            let (at, wanted) = (root.span.first, span.first);
            corrupt(format!("root= leads to block {at}, GRUB loaded from block {wanted}"))
        }
        [_] if !system.whole => corrupt(format!("blocks of {} are missing", system.version)),
        [_] => {
            warnings.sort();
            Outcome::Boots { slot, version: system.version, warnings }
        }
        [] => corrupt(format!("no partition is {:?}", system.root)),
        more => corrupt(format!("{} partitions are {:?}", more.len(), system.root)),
    }
}
