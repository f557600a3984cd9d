//! A fresh installation over an old host.

use boot_oracle::Firmware;
use installer_core::bootstate::BootState;
use partitioner::block::BlockIo;
use partitioner::block::fence::Fence;
use partitioner::block::recorder::Recorder;
use partitioner::head::armed_lba0;
use partitioner::ids::Ids;
use partitioner::layout::Role;
use partitioner::table::{Geometry, TableRequest, plan_table, write_set};
use partitioner::units::{BlockSize, Bytes};
use partitioner::write;

use super::takeover::{Host, guid, new_stamp, partition};
use super::{Scenario, slots, write_boot};
use crate::epochs::steps;
use crate::image::Image;
use crate::loader::known;

/// Runs it over the old disk of `host`.
pub fn record(host: &Host) -> Scenario {
    let old = host.old_disk();
    let geometry = Geometry { block_size: BlockSize::B512, blocks: old.blocks() };
    let firmware = match host.firmware {
        Firmware::Bios => partitioner::layout::Firmware::Bios,
        Firmware::Uefi => partitioner::layout::Firmware::Uefi,
    };
    let request = TableRequest { boot_size: Some(Bytes::mib(300)), ..TableRequest::new(firmware) };
    let plan = plan_table(geometry, &request, &mut Ids::from_seed([8; 32])).expect("a plan");
    let image = Image::of(&old);
    let recorder = Recorder::new(Box::new(old));
    let log = recorder.log();
    let mut disk = Fence::new(Box::new(recorder), write_set(&plan));
    log.mark("disarm");
    write::disarm(&mut disk).expect("disarm");
    log.mark("wipe");
    write::wipe_signatures(&mut disk, &plan).expect("wipe");
    log.mark("table");
    write::write_table(&mut disk, &plan).expect("table");
    log.mark("slot");
    let root = partition(&plan, Role::Root);
    new_stamp(guid(&plan, Role::Root), host.wrong).write(&mut disk, root).expect("slot");
    log.mark("boot");
    let boot = partition(&plan, Role::Boot);
    write_boot(&mut disk, boot, &host.loader, BootState::FRESH, host.wrong);
    log.mark("core");
    write::write_core(&mut disk, &host.loader.core_img).expect("core");
    log.mark("arm");
    let core = plan.head.core_a.expect("a place for the core").first();
    let lba0 = armed_lba0(&host.loader.boot_img, core, geometry).expect("boot sector");
    write::arm(&mut disk, &lba0).expect("arm");
    Scenario {
        name: format!("fresh over {:?} {:?}", host.source, host.firmware).to_lowercase(),
        firmware: host.firmware,
        old: image,
        steps: steps(&log.entries()),
        keeps_old: false,
        entry_must_match: false,
        has_gpt: true,
        entries: Vec::new(),
        known: known(&host.loader, &host.old_loader),
        slots: slots(vec![66, 34]),
    }
}
