//! Upgrade of hosts that start by BIOS: while they run, on a disk with a GPT and on a small one
//! with an MBR; and from the rescue entry.

use std::path::Path;

use super::{at_rest, boots, small, upgrade};
use crate::answers::Answers;
use crate::failure::Result;
use crate::install;
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware, MediumKind};

const BIOS: Firmware = Firmware::Bios;

/// There and back, once to the new system by the menu, and forward again from the medium.
pub(super) fn modern(lab: &mut Lab) -> Result<()> {
    const NAME: &str = "upgrade-bios";
    let target = lab.installed_copy(BIOS, NAME)?;
    let disks = back_again(lab, NAME, &target, &[])?;
    boots::previous_once(lab, NAME, BIOS, &disks, "xenhost: booting slot b")?;
    // Nobody reads the answers: the rescue entry installs nothing.
    let iso = lab.iso(NAME, &Answers::default())?;
    let name = format!("{NAME}-medium");
    boots::in_rescue_of(lab, &name, &iso, &disks, "host-installer rollback", &upgrade::FORWARD)?;
    upgrade::forward(lab, NAME, BIOS, &disks)
}

/// There and back, and forward again on the running host: there is no room for a rescue system.
pub(super) fn legacy(lab: &mut Lab) -> Result<()> {
    const NAME: &str = "upgrade-legacy";
    let bench = install::install_on(lab, NAME, BIOS, MediumKind::Cd, small::GIB)?;
    let forward = "host-installer rollback | grep 'slot b boots from now on'";
    let disks = back_again(lab, NAME, &bench.target, &[forward])?;
    upgrade::forward(lab, NAME, BIOS, &disks)
}

/// From the rescue entry of the disk itself, with the release on another disk.
pub(super) fn rescue(lab: &mut Lab) -> Result<()> {
    const NAME: &str = "upgrade-rescue";
    let host = at_rest::blessed(lab, NAME)?;
    let disks = upgrade::with_release(lab, &host)?;
    let upgrade = boots::confirmed("host-installer upgrade --release /mnt");
    let command = format!("mkdir -p /mnt && mount -o ro /dev/vdb /mnt && {upgrade}");
    let words = [
        "write the dom0 image to",
        "the new system boots from now on",
        "DISK STATE: new system boots",
    ];
    boots::in_rescue(lab, NAME, &disks, &command, &words)?;
    upgrade::forward(lab, NAME, BIOS, &disks)
}

fn back_again(
    lab: &mut Lab,
    name: &str,
    target: &Path,
    in_old_system: &[&str],
) -> Result<Vec<Disk>> {
    let disks = upgrade::with_release(lab, target)?;
    let identity = upgrade::upgrade_running(lab, name, BIOS, &disks)?;
    upgrade::tried_and_left(lab, name, BIOS, &disks, &identity)?;
    upgrade::back(lab, name, BIOS, &disks, in_old_system)?;
    Ok(disks)
}
