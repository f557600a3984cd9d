//! A host that is there meets a medium with answers, and nobody at the keyboard.

use std::path::Path;

use super::media::check;
use super::{at_rest, upgrade};
use crate::disks::{self, TARGET};
use crate::failure::Result;
use crate::install::{self, Bench};
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware, MediumKind};

const NAME: &str = "upgrade-unattended";

/// Upgraded by the medium, which then finds nothing to do; on trial, blessed; and back by another.
pub(super) fn there_and_back(lab: &mut Lab) -> Result<()> {
    let bench = Bench::new(lab, NAME)?;
    disks::copy(&at_rest::blessed(lab, NAME)?, &bench.target)?;
    let release = upgrade::next_folder(lab)?;
    let forward = answers("upgrade") + "deployment_id: next\n";
    let iso = lab.iso_with(&format!("{NAME}-forward"), &release, &forward)?;
    let back = lab.iso_with(&format!("{NAME}-back"), &release, &answers("rollback"))?;
    crate::cache::remove(&release)?;

    let disks = bench.disks();
    let trial = ["The new system goes into slot b", "the new system boots from now on"];
    meet(lab, "forward", (&iso, &disks), ("new system boots", &trial))?;
    let done = ["carries the deployment next already"];
    meet(lab, "again", (&iso, &disks), ("untouched", &done))?;

    let mut dom0 = upgrade::boot(lab, NAME, Firmware::Uefi, &disks)?;
    dom0.must("findmnt -no SOURCE / | grep -q '^/dev/vda2$'")?;
    dom0.must("host-installer status | grep -q 'boots: slot b, else a'")?;
    dom0.check_all(upgrade::WELL_TRIED)?;
    dom0.power_off(lab, NAME)?;

    let went = ["slot a boots from now on"];
    meet(lab, "back", (&back, &disks), ("new system boots", &went))?;
    let done = ["is the previous system already"];
    meet(lab, "back-again", (&back, &disks), ("untouched", &done))?;
    bench.check_bystander()
}

/// Answers for a host that is there.
pub(super) fn answers(mode: &str) -> String {
    format!(
        "schema: xenhost/v1\nmode: {mode}\ndisks: {{host: {{serial: {TARGET}}}}}\n\
         finish: {{action: poweroff}}\n"
    )
}

fn meet(
    lab: &mut Lab,
    name: &str,
    (iso, disks): (&Path, &[Disk]),
    (state, says): (&str, &[&str]),
) -> Result<()> {
    let (name, medium) = (format!("{NAME}-{name}"), (iso, MediumKind::Cd));
    let verdict = install::run(lab, &name, Firmware::Uefi, medium, disks)?;
    check(&verdict, 0, state, says)
}
