//! The backup GPT of a host on a disk that has grown goes to its end.

use std::sync::Arc;

use partitioner::block::fence::Fence;
use partitioner::block::recorder::Recorder;
use partitioner::repair::{repair, write_set};

use super::takeover::Host;
use super::{Scenario, Untouched, old, slots, upgrade};
use crate::epochs::steps;
use crate::image::Image;
use crate::loader::known;
use crate::stamps::Stamps;

/// Runs the repair on an installed host, whose disk has grown by half.
pub fn record(host: &Host) -> Scenario {
    let (small, _) = upgrade::installed(host);
    let old_last = Image::of(&small).blocks() - 1;
    let blocks = 3 * old_last.div_ceil(2);
    let image = Image::of(&small).grown(blocks);
    let mut disk = image.to_mem("grown");
    let allowed = write_set(&mut disk).expect("a disk in memory");
    let recorder = Recorder::new(Box::new(disk));
    let log = recorder.log();
    log.mark("repair");
    let mut disk = Fence::new(Box::new(recorder), allowed);
    repair(&mut disk).expect("the repair").expect("something to repair");
    let (array, rest) = (32 * 512 / image.block_bytes(), old_last + 1);
    let array = u64::try_from(array).expect("a small number");
    let part = |first, end: u64| Untouched { extent: old::extent(first, end - first), until: None };
    Scenario {
        name: format!("grown {:?}{}", host.firmware, host.suffix()).to_lowercase(),
        firmware: host.firmware,
        // The boot sector, everything from the primary array to the old backup, and what is new.
        untouched: vec![part(0, 1), part(2, old_last), part(rest, blocks - 1 - array)],
        old: image,
        steps: steps(&log.entries()),
        keeps_old: true,
        entry_must_match: false,
        has_gpt: true,
        entries: Vec::new(),
        known: known(&host.loader, &host.old_loader),
        systems: Arc::new(Stamps),
        slots: slots(host.rescue_at()),
        secret_in: Vec::new(),
        ends: "old",
    }
}
