//! What a host does, as scenarios of the explorer: each a run of the installer's own code, with
//! what may boot on the way.

use std::sync::Arc;

use boot_oracle::known::{BootCode, Known, Program};
use boot_oracle::{Firmware, Slots};
use crash_explorer::epochs::{Step, performed};
use crash_explorer::scenario::{Scenario, Untouched};
use installer_core::bootstate::Slot;
use installer_core::release::{BOOT_IMG, CORE_IMG, GRUB_EFI};
use partitioner::layout::{Role, Scheme};
use partitioner::units::Extent;

use super::finished::Finished;
use super::host::TinyHost;
use super::releases::VERSIONS;
use super::running::Health;

/// Boot loaders of the host's release.
pub(crate) fn known(host: &TinyHost) -> Known {
    let read = |name: &str| std::fs::read(host.release_dir(0).join(name)).unwrap();
    Known {
        boot_codes: vec![(read(BOOT_IMG), BootCode::Grub)],
        cores: vec![(read(CORE_IMG), Program::Ours)],
        volume_sectors: Vec::new(),
        efi: vec![(read(GRUB_EFI), Program::Ours)],
    }
}

pub(crate) fn slots(host: &TinyHost) -> Slots {
    Slots {
        uuid_a: host.uuids[0],
        uuid_b: host.uuids[1],
        uuid_old: None,
        rescue_at: vec![host.table.head.rescue.first().get()],
    }
}

/// A run that begins with the host's disk as it is. The slots it names old and new must be called
/// so by `systems`; all but `written` stays as it is.
fn scenario(
    host: &TinyHost,
    (what, firmware): (&str, Firmware),
    steps: Vec<Step>,
    systems: Finished,
    written: &[Extent],
) -> Scenario {
    Scenario {
        name: format!("{what}, {}, {firmware:?}", host.shape.name).to_lowercase(),
        firmware,
        old: host.disk.image.clone(),
        steps,
        keeps_old: true,
        entry_must_match: false,
        has_gpt: host.table.scheme == Scheme::Gpt,
        entries: Vec::new(),
        known: known(host),
        systems: Arc::new(systems),
        slots: slots(host),
        untouched: Untouched::between(written, host.disk.image.blocks()),
        secret_in: vec![host.extent(Role::Root), host.extent(Role::Backup)],
        ends: "new",
    }
}

/// The upgrade of a host that runs the first release in slot a.
pub(crate) fn upgrade(host: &TinyHost, firmware: Firmware, number: usize) -> Scenario {
    let (plan, steps) = host.upgrade(number).unwrap();
    let image = &host.disk.image;
    let end = performed(image, &steps);
    let systems = Finished::default()
        .with(VERSIONS[0], "old", (image, host.extent(Role::Root)))
        .with(VERSIONS[number], "new", (&end, host.extent(Role::Backup)));
    scenario(host, ("upgrade", firmware), steps, systems, &plan.write_set())
}

/// Both slots of a disk that was upgraded: the old system in slot a, the new one in slot b.
pub(crate) fn finished(host: &TinyHost, number: usize) -> Finished {
    let image = &host.disk.image;
    Finished::default().with(VERSIONS[0], "old", (image, host.extent(Role::Root))).with(
        VERSIONS[number],
        "new",
        (image, host.extent(Role::Backup)),
    )
}

/// A trial in slot b, on a disk that was just upgraded: its first try is counted, and it turns out
/// well, or not.
pub(crate) fn trial(
    host: &mut TinyHost,
    firmware: Firmware,
    systems: &Finished,
    health: Health,
) -> Scenario {
    let before = host.disk.image.clone();
    let mut steps = host.count(2);
    host.happens(&steps);
    let (_, more) = host.bless(Slot::B, health);
    steps.extend(more);
    host.disk.image = before;
    let what = match health {
        Health::Well => "trial and bless",
        Health::Unwell => "trial and its reason",
    };
    let written = host.boot().extents;
    scenario(host, (what, firmware), steps, systems.clone(), &written)
}

/// The way back from slot b, which is the old system here.
pub(crate) fn rollback(host: &TinyHost, firmware: Firmware, number: usize) -> Scenario {
    let steps = host.rollback().unwrap();
    let image = &host.disk.image;
    let systems = Finished::default()
        .with(VERSIONS[number], "old", (image, host.extent(Role::Backup)))
        .with(VERSIONS[0], "new", (image, host.extent(Role::Root)));
    scenario(host, ("rollback", firmware), steps, systems, &host.boot().extents)
}
