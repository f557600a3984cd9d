//! Installations in both firmwares, and disks that change their firmware.

use crate::demo;
use crate::dom0;
use crate::failure::Result;
use crate::lab::Lab;
use crate::qemu::Firmware;

pub(super) fn install_uefi(lab: &mut Lab) -> Result<()> {
    demo::core_path(lab, "install-uefi", Firmware::Uefi).map(drop)
}

pub(super) fn install_bios(lab: &mut Lab) -> Result<()> {
    demo::core_path(lab, "install-bios", Firmware::Bios).map(drop)
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
