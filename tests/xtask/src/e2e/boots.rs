//! Installations in both firmwares, and disks that change their firmware.

use std::path::Path;
use std::time::Duration;

use crate::demo;
use crate::disks::{self, TARGET};
use crate::dom0;
use crate::failure::Result;
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware, MediumKind, Spec};

const MENU_LIMIT: Duration = Duration::from_secs(90);
/// The installer environment waits some seconds for a medium, in case there is one.
const SHELL_LIMIT: Duration = Duration::from_secs(180);

pub(super) fn install_uefi(lab: &mut Lab) -> Result<()> {
    demo::core_path(lab, "install-uefi", Firmware::Uefi).map(drop)
}

pub(super) fn install_bios(lab: &mut Lab) -> Result<()> {
    demo::core_path(lab, "install-bios", Firmware::Bios).map(drop)
}

/// The rescue entry of the boot menu starts the installer from the disk itself, without a medium.
/// It installs nothing, and knows the disk.
pub(super) fn rescue(lab: &mut Lab) -> Result<()> {
    let disk = lab.installed_copy(Firmware::Bios, "rescue")?;
    let disks = [Disk { path: disk, serial: TARGET }];
    in_rescue(lab, "rescue", &disks, "host-installer facts", &[TARGET, "root-"])
}

/// The line of a shell that performs what `command` plans, as it plans it.
pub(super) fn confirmed(command: &str) -> String {
    let digest = r#"sed -n 's/^  "digest": "\(.*\)".*/\1/p'"#;
    format!("{command} --confirm $({command} --json 2>/dev/null | {digest})")
}

/// Types a command at the prompt of the rescue entry, waits for words in what it says, one after
/// the other, and cuts the power.
pub(super) fn in_rescue(
    lab: &mut Lab,
    name: &str,
    disks: &[Disk],
    command: &str,
    words: &[&str],
) -> Result<()> {
    let spec = dom0::spec(lab, name, Firmware::Bios, disks);
    at_a_shell(lab, &spec, ("Rescue (key r)", "r"), command, words)
}

/// The same from a medium.
pub(super) fn in_rescue_of(
    lab: &mut Lab,
    name: &str,
    iso: &Path,
    disks: &[Disk],
    command: &str,
    words: &[&str],
) -> Result<()> {
    let mut spec = dom0::spec(lab, name, Firmware::Bios, disks);
    spec.medium = Some((iso.to_owned(), MediumKind::Cd));
    at_its_medium(lab, &spec, command, words)
}

/// The same in a machine that has one: the fourth entry of its menu.
pub(super) fn at_its_medium(
    lab: &mut Lab,
    machine: &Spec,
    command: &str,
    words: &[&str],
) -> Result<()> {
    let down = "\x1b[B\x1b[B\x1b[B";
    at_a_shell(lab, machine, ("Rescue: a shell", down), command, words)
}

/// Waits for the entry in the menu, types what chooses it, and then the command.
fn at_a_shell(
    lab: &mut Lab,
    spec: &Spec,
    (entry, keys): (&str, &str),
    command: &str,
    words: &[&str],
) -> Result<()> {
    lab.report.stage(&format!("{}: a shell and what it says", spec.name), |tick| {
        let mut machine = spec.start()?;
        machine.serial.wait_for_any(&[entry], MENU_LIMIT, tick)?;
        machine.serial.type_line(keys)?;
        machine.serial.wait_for_any(&["rescue: nothing is installed"], SHELL_LIMIT, tick)?;
        machine.serial.wait_for_any(&["# "], SHELL_LIMIT, tick)?;
        machine.serial.type_line(command)?;
        for word in words {
            machine.serial.wait_for_any(&[word], SHELL_LIMIT, tick)?;
        }
        machine.cut_power()
    })
}

/// The menu's sixth entry starts the previous system once, and writes nothing for it.
pub(super) fn previous_once(
    lab: &mut Lab,
    name: &str,
    firmware: Firmware,
    disks: &[Disk],
    says: &str,
) -> Result<()> {
    let disk = &disks.first().expect("the host's disk").path;
    let before = crate::digest::disk(disk)?;
    let spec = dom0::spec(lab, name, firmware, disks);
    lab.report.stage(&format!("{name}: the previous system, once"), |tick| {
        let mut machine = spec.start()?;
        machine.serial.wait_for_any(&["previous system for one boot"], MENU_LIMIT, tick)?;
        machine.serial.type_line(&"\x1b[B".repeat(5))?;
        machine.serial.wait_for_any(&[says], MENU_LIMIT, tick)?;
        // Dom0 writes as every running system does; what starts it must not.
        machine.serial.wait_for_any(&[dom0::XEN_BANNER], dom0::XEN_LIMIT, tick)?;
        machine.cut_power()
    })?;
    disks::check_unchanged(disk, &before)
}

/// A disk boots in the firmware that it was not installed in, and no boot needs an entry in NVRAM:
/// every machine here starts with empty variables.
pub(super) fn crossed(lab: &mut Lab) -> Result<()> {
    for firmware in Firmware::BOTH {
        let disk = lab.installed_copy(firmware, "crossed")?;
        let name = format!("crossed-{}", firmware.other().name());
        dom0::boot_to_xen(lab, &name, firmware.other(), &disk)?;
    }
    Ok(())
}
