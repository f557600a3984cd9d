//! An upgrade that keeps the layout: the other slot is written, and one sector makes it count.
//!
//! The orders are those of the design, with the real boot state code, in a compact form that can be
//! mutated step by step; the tests in `engine.rs` record the installer's own upgrade.

use std::sync::Arc;

use boot_oracle::system::RootArgument;
use installer::fat_locate::locate;
use installer_core::bootstate::{BootState, Other, Slot, Trial, tries_block};
use partitioner::block::BlockIo;
use partitioner::block::memory::MemDisk;
use partitioner::block::recorder::Recorder;
use partitioner::block::window::Window;
use partitioner::layout::{Role, Scheme};
use partitioner::table::TablePlan;
use partitioner::units::Extent;

use super::takeover::{Host, partition, partuuid};
use super::{Scenario, UUID_A, UUID_B, Untouched, Wrong, fresh, slots, state_block};
use crate::epochs::{Step, performed, steps};
use crate::image::Image;
use crate::loader::known;
use crate::stamps::{SECRET, Stamp, Stamps};

fn stamp(version: &'static str, slot: Slot, partuuid: [u8; 16]) -> Stamp {
    let (uuid, label) = match slot {
        Slot::A => (UUID_A, "root-a"),
        Slot::B => (UUID_B, "root-b"),
    };
    let root = RootArgument::PartUuid(partuuid);
    Stamp { version, uuid: uuid.to_bytes(), label, root, secret: SECRET }
}

/// An installed host whose slot a is the old system.
pub(super) fn installed(host: &Host) -> (MemDisk, TablePlan) {
    let mut image = fresh::record(host).finished();
    let plan = fresh::plan(host, image.blocks());
    let id = partuuid(&plan, Role::Root);
    stamp("old", Slot::A, id).write(&mut image, partition(&plan, Role::Root)).expect("slot a");
    (image, plan)
}

/// Runs it.
pub fn record(host: &Host) -> Scenario {
    let (mut disk, plan) = installed(host);
    let boot = partition(&plan, Role::Boot);
    let start = BootState { generation: 1, ..BootState::FRESH };
    if host.wrong == Wrong::StateInTwoSectors {
        for path in ["xenhost/state.env", "xenhost/state2.env"] {
            overwrite(&mut disk, boot, path, &state_block(start, host.wrong));
        }
    }
    let image = Image::of(&disk);
    let slot_b = partition(&plan, Role::Backup);
    let untouched = Untouched::between(&[slot_b, boot], image.blocks());
    let mut disk = Recorder::new(Box::new(disk));
    let log = disk.log();
    let write = |disk: &mut Recorder, state: BootState, path: &str| {
        let block = state_block(state, host.wrong);
        let live = if host.wrong == Wrong::StateInTwoSectors { 1024 } else { 512 };
        overwrite(disk, boot, path, &block[..live]);
    };
    let restricted =
        BootState { slot: Slot::A, other: Other::None, trial: Trial::Over, generation: 2 };
    log.mark("restrict");
    write(&mut disk, restricted, "xenhost/state2.env");
    write(&mut disk, restricted, "xenhost/state.env");
    log.mark("slot");
    let id = partuuid(&plan, Role::Backup);
    stamp("new", Slot::B, id).write(&mut disk, partition(&plan, Role::Backup)).expect("slot b");
    log.mark("tries");
    overwrite(&mut disk, boot, "xenhost/tries.env", &tries_block(3)[..512]);
    log.mark("commit");
    let trial = BootState { slot: Slot::B, other: Other::A, trial: Trial::Pending, generation: 3 };
    write(&mut disk, trial, "xenhost/state.env");
    log.mark("copy");
    write(&mut disk, trial, "xenhost/state2.env");
    Scenario {
        name: format!("upgrade{} {:?}{}", fresh::layout_word(host), host.firmware, host.suffix())
            .to_lowercase(),
        firmware: host.firmware,
        old: image,
        steps: steps(&log.entries()),
        keeps_old: true,
        entry_must_match: false,
        has_gpt: plan.scheme == Scheme::Gpt,
        entries: Vec::new(),
        known: known(&host.loader, &host.old_loader),
        systems: Arc::new(Stamps),
        slots: slots(host.rescue_at()),
        untouched,
        secret_in: vec![partition(&plan, Role::Root), slot_b],
        ends: "new",
    }
}

/// Overwrites a boot state file in place, between two flushes.
fn overwrite(disk: &mut dyn BlockIo, boot: Extent, path: &str, bytes: &[u8]) {
    let mut volume = Window::new(disk, boot).expect("a partition of the disk");
    let place = locate(&mut volume, path).expect("a boot state file");
    volume.flush().expect("a disk in memory");
    // With large blocks the rest of the file lies in the same one.
    let block = usize::try_from(volume.block_size().bytes()).expect("a block fits memory");
    let mut whole = vec![0; bytes.len().next_multiple_of(block)];
    volume.read(place.first, &mut whole).expect("a disk in memory");
    whole[..bytes.len()].copy_from_slice(bytes);
    volume.write(place.first, &whole).expect("a disk in memory");
    volume.flush().expect("a disk in memory");
}

impl Scenario {
    /// The disk at the end of the run.
    pub fn finished(&self) -> MemDisk {
        performed(&self.old, &self.steps).to_mem("finished")
    }

    /// A step by its name.
    pub fn step(&mut self, name: &str) -> Option<&mut Step> {
        self.steps.iter_mut().find(|step| step.name == name)
    }
}
