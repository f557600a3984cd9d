//! Upgrade of running hosts that start by BIOS: on a disk with a GPT, and on a small one with an MBR.

use std::path::Path;

use super::{boots, small, upgrade};
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
