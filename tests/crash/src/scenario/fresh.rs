//! A fresh installation over an old host.

use std::sync::Arc;

use boot_oracle::Firmware;
use installer_core::bootstate::BootState;
use partitioner::block::BlockIo;
use partitioner::block::fence::Fence;
use partitioner::block::recorder::Recorder;
use partitioner::ids::Ids;
use partitioner::layout::{Role, Scheme};
use partitioner::table::{Geometry, LayoutChoice, TablePlan, TableRequest, plan_table, write_set};
use partitioner::units::Bytes;
use partitioner::write;

use super::takeover::{Host, new_stamp, partition, partuuid};
use super::{Scenario, Untouched, inside, slots, write_boot};
use crate::epochs::steps;
use crate::image::Image;
use crate::loader::known;
use crate::stamps::Stamps;

/// The table that it writes.
pub(crate) fn plan(host: &Host, blocks: u64) -> TablePlan {
    let geometry = Geometry { block_size: host.block_size, blocks };
    let firmware = match host.firmware {
        Firmware::Bios => partitioner::layout::Firmware::Bios,
        Firmware::Uefi => partitioner::layout::Firmware::Uefi,
    };
    // The volume before an MBR's partitions has the size that it has.
    let is_mbr = host.layout == LayoutChoice::Legacy && host.firmware == Firmware::Bios;
    let boot_size = (!is_mbr).then_some(Bytes::mib(300));
    let request = TableRequest { boot_size, layout: host.layout, ..TableRequest::new(firmware) };
    plan_table(geometry, &request, &mut Ids::from_seed([8; 32])).expect("a plan")
}

/// For names: nothing for the usual layout.
pub(crate) fn layout_word(host: &Host) -> &'static str {
    match host.layout {
        LayoutChoice::Legacy => " legacy",
        LayoutChoice::Auto | LayoutChoice::Modern => "",
    }
}

/// Runs it over the old disk of `host`.
pub fn record(host: &Host) -> Scenario {
    let old = host.old_disk();
    let plan = plan(host, old.blocks());
    let image = Image::of(&old);
    let recorder = Recorder::new(Box::new(old));
    let log = recorder.log();
    let mut disk = Fence::new(Box::new(recorder), write_set(&plan));
    log.mark("disarm");
    write::disarm(&mut disk, &plan).expect("disarm");
    log.mark("wipe");
    write::wipe_signatures(&mut disk, &plan).expect("wipe");
    log.mark("table");
    write::write_table(&mut disk, &plan).expect("table");
    log.mark("slot");
    let root = partition(&plan, Role::Root);
    new_stamp(partuuid(&plan, Role::Root), host.wrong).write(&mut disk, root).expect("slot");
    log.mark("boot");
    write_boot(&mut disk, &plan, &host.loader, BootState::FRESH, host.wrong);
    if plan.head.core_a.is_some() {
        log.mark("core");
        write::write_core(&mut disk, &plan, &host.loader.core_img).expect("core");
    }
    log.mark("arm");
    let lba0 = write::lba0(&plan, &host.loader.boot_img).expect("boot sector");
    write::arm(&mut disk, &lba0).expect("arm");
    let (word, suffix) = (layout_word(host), host.suffix());
    Scenario {
        name: format!("fresh{word} over {:?} {:?}{suffix}", host.source, host.firmware)
            .to_lowercase(),
        firmware: host.firmware,
        old: image,
        steps: steps(&log.entries()),
        keeps_old: false,
        entry_must_match: false,
        has_gpt: plan.scheme == Scheme::Gpt,
        entries: Vec::new(),
        known: known(&host.loader, &host.old_loader),
        systems: Arc::new(Stamps),
        slots: slots(host.rescue_at()),
        untouched: vec![Untouched {
            extent: inside(partition(&plan, Role::Sr), &plan),
            until: None,
        }],
        secret_in: vec![root],
        ends: "new",
    }
}
