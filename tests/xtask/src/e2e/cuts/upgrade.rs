//! Power cuts while a medium upgrades a host, by UEFI.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::judge::{self, Judge, Made, Place, Progress};
use super::points::Cut;
use super::tried::Run;
use crate::call::{Call, Ended};
use crate::disks::{self, TARGET};
use crate::dom0;
use crate::e2e::media::check;
use crate::e2e::{at_rest, unattended, upgrade};
use crate::failure::{At, Result};
use crate::install;
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware, MediumKind};
use crate::writelog::WriteLog;

const NAME: &str = "power-cut-upgrade";
const FIRMWARE: Firmware = Firmware::Uefi;
const RERUN_LIMIT: Duration = Duration::from_secs(600);
const DONE: &str = "DISK STATE: new system boots";
const NOTHING_TO_DO: &str = "carries the deployment next already";

/// Recorded, cut, and two of the cuts gone on with in the machine.
pub(in crate::e2e) fn upgrade(lab: &mut Lab) -> Result<()> {
    let release = upgrade::next_folder(lab)?;
    let text = unattended::answers("upgrade") + "deployment_id: next\n";
    let iso = lab.iso_with(NAME, &release, &text)?;
    let run = recorded(lab, &iso)?;
    let [old, new] = run.try_cuts(lab)?;
    in_full(lab, &run, &iso, (&old, Progress::Old))?;
    in_full(lab, &run, &iso, (&new, Progress::New))
}

/// A host at rest is upgraded by the medium; its disk has a log.
fn recorded(lab: &mut Lab, iso: &Path) -> Result<Run> {
    let before = at_rest::blessed(lab, NAME)?;
    let after = lab.run.join("after.img");
    disks::copy(&before, &after)?;
    let log = lab.run.join("writes.log");
    let mut spec = dom0::spec(lab, &format!("{NAME}-recorded"), FIRMWARE, &[target(&after)]);
    spec.medium = Some((iso.to_owned(), MediumKind::Cd));
    spec.write_log = Some(log.clone());
    let verdict = install::watch(lab, NAME, &spec)?;
    check(&verdict, 0, "new system boots", &["the new system boots from now on"])?;
    let place = |number, progress, whole_on: &Path| -> Result<Place> {
        let (span, made) = (judge::span(&before, number)?, Made::ByUs);
        Ok(Place { span, progress, made, whole_on: whole_on.to_owned() })
    };
    let judge = Judge {
        firmware: FIRMWARE,
        known: judge::loaders(&lab.products.release)?,
        slots: judge::slots(&before)?,
        places: vec![place(1, Progress::Old, &before)?, place(2, Progress::New, &after)?],
    };
    Ok(Run {
        name: NAME,
        log: WriteLog::open(&log)?,
        before,
        after,
        judge,
        rerun,
        ends: [(0, DONE), (0, NOTHING_TO_DO)],
        markers: ["xenhost: booting slot a", "xenhost: booting slot b"],
        wanted: 18,
    })
}

fn target(disk: &Path) -> Disk {
    Disk { path: disk.to_owned(), serial: TARGET }
}

/// What the medium does, on an image.
fn rerun(lab: &Lab, disk: &Path) -> Result<Ended> {
    let answers: PathBuf = lab.run.join(format!("{NAME}.yaml"));
    Call::new(&lab.products.binaries.host_installer)
        .args(["upgrade", "--answers"])
        .arg(answers)
        .arg("--release")
        .arg(lab.run.join(upgrade::NEXT_FOLDER))
        .arg("--disk")
        .arg(format!("{TARGET}={}", disk.display()))
        .limit(RERUN_LIMIT)
        .output()
}

/// The machine starts what is there, up to its login; then it meets the medium again, and starts
/// the new system.
fn in_full(lab: &mut Lab, run: &Run, iso: &Path, (cut, progress): (&Cut, Progress)) -> Result<()> {
    let name = format!("{NAME}-{}", progress.word());
    let disk = run.disk(lab, cut, &name)?;
    let disks = [target(&disk)];
    let (root, states) = match progress {
        Progress::Old => ("/dev/vda1", ("new system boots", "the new system boots from now on")),
        Progress::New => ("/dev/vda2", ("untouched", NOTHING_TO_DO)),
    };
    let mut dom0 = dom0::boot(lab, &name, FIRMWARE, &disks)?;
    dom0.wait_ready(lab, &name).map_err(|f| dom0::with_journal(&mut dom0, f))?;
    dom0.must(&format!("findmnt -no SOURCE / | grep -q '^{root}$'"))?;
    dom0.power_off(lab, &name)?;
    let verdict = install::run(lab, &name, FIRMWARE, (iso, MediumKind::Cd), &disks)?;
    check(&verdict, 0, states.0, &[states.1])?;
    run.starts(lab, &disk, Progress::New)?;
    std::fs::remove_file(&disk).at("removing", &disk)
}
