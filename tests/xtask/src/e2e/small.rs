//! Disks below 46 GiB, which get slots of 4 GiB: by UEFI in a GPT, by BIOS in an MBR.

use crate::disks::TARGET;
use crate::dom0;
use crate::failure::{Result, ensure};
use crate::inside;
use crate::install;
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware, MediumKind};

pub(super) const GIB: u64 = 20;

pub(super) fn uefi(lab: &mut Lab) -> Result<()> {
    whole_path(lab, "legacy-uefi", Firmware::Uefi, "gpt")
}

pub(super) fn bios(lab: &mut Lab) -> Result<()> {
    whole_path(lab, "legacy-bios", Firmware::Bios, "dos")
}

/// Installed from the medium, and booted to a host that blesses itself.
fn whole_path(lab: &mut Lab, name: &str, firmware: Firmware, label: &str) -> Result<()> {
    let bench = install::install_on(lab, name, firmware, MediumKind::Cd, GIB)?;
    let have = inside::label(&bench.target)?;
    ensure(have == label, || format!("the table is {have}, {label} expected"))?;
    let disks = [Disk { path: bench.target, serial: TARGET }];
    let mut dom0 = dom0::boot(lab, name, firmware, &disks)?;
    dom0.wait_ready(lab, name).map_err(|f| dom0::with_journal(&mut dom0, f))?;
    let seen = dom0.look(dom0::LEGACY).map_err(|f| dom0::with_journal(&mut dom0, f))?;
    println!("{}\n{}", seen.layout, seen.bless);
    dom0.power_off(lab, name)
}
