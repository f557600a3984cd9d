//! Power cuts: while a machine is being installed, and, from a log of all that a machine writes,
//! at many places of an upgrade and of a takeover.

mod judge;
mod points;
mod takeover;
mod tried;
mod upgrade;

use std::time::Duration;

use crate::answers::Answers;
use crate::dom0;
use crate::failure::{Result, ensure};
use crate::install::{self, Bench};
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware, MediumKind};

pub(super) use self::takeover::takeover;
pub(super) use self::upgrade::upgrade;

const MESSAGE: &str = "installation not finished";
const HALF_WAY_LIMIT: Duration = Duration::from_secs(20 * 60);
const MESSAGE_LIMIT: Duration = Duration::from_secs(60);

/// The power goes while slot a is being written. The disk then says so in a BIOS, and installing
/// once more, over what is there, ends well.
pub(super) fn install(lab: &mut Lab) -> Result<()> {
    let answers = Answers { on_existing: "replace-own", ..Answers::default() };
    let iso = lab.iso("power-cut", &answers)?;
    let bench = Bench::new(lab, "power-cut")?;
    let mut spec = dom0::spec(lab, "power-cut-first", Firmware::Bios, &bench.disks());
    spec.medium = Some((iso.clone(), MediumKind::Cd));
    lab.report.stage("power-cut: install until the image is being written", |tick| {
        let mut machine = spec.start()?;
        machine.serial.wait_for_any(&["] write the dom0 image"], HALF_WAY_LIMIT, tick)?;
        // Somewhere within the many seconds that the image takes.
        std::thread::sleep(Duration::from_secs(12));
        ensure(!machine.serial.text().contains(install::DISK_STATE), || {
            "the installation was over before the cut".to_owned()
        })?;
        machine.cut_power()
    })?;
    bench.check_bystander()?;
    let disk = Disk { path: bench.target.clone(), serial: crate::disks::TARGET };
    // The message goes to the screen and, by itself, to the serial line.
    let spec = dom0::spec(lab, "power-cut-boot", Firmware::Bios, &[disk]);
    lab.report.stage("power-cut: the disk's message", |tick| {
        let mut machine = spec.start()?;
        machine.serial.wait_for_any(&[MESSAGE], MESSAGE_LIMIT, tick)?;
        machine.cut_power()
    })?;
    let medium = (iso.as_path(), MediumKind::Cd);
    let verdict = install::run(lab, "power-cut", Firmware::Bios, medium, &bench.disks())?;
    ensure(verdict.exit == 0, || {
        format!("the second run: exit {}: {}", verdict.exit, verdict.state)
    })?;
    bench.check_bystander()?;
    dom0::boot_to_xen(lab, "power-cut", Firmware::Bios, &bench.target)
}
