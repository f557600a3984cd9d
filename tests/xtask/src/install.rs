//! An installation in a machine, from the medium: watched to its end, and judged.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::answers::Answers;
use crate::disks::{self, BYSTANDER, TARGET};
use crate::dom0;
use crate::failure::{Result, ensure};
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware, Machine, MediumKind, Spec};

/// The last line that the installer says, in every case.
pub(crate) const DISK_STATE: &str = "DISK STATE: ";
/// What the installer environment says first, and when the installer has ended.
const BEGUN: &str = "xenhost: installer environment";
const ENDED: &str = "xenhost: installer ended with exit ";
const TARGET_GIB: u64 = 60;
/// Firmware, GRUB, kernel and initramfs.
const START_LIMIT: Duration = Duration::from_secs(240);
/// Under emulation the image is hashed at 14 MB/s and unpacked not much faster.
const INSTALL_LIMIT: Duration = Duration::from_secs(25 * 60);
const OFF_LIMIT: Duration = Duration::from_secs(120);

/// The disks of one installation, and what the bystander was before it.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    pub(crate) target: PathBuf,
    bystander: PathBuf,
    before: String,
}

/// How an installation ended.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) state: String,
    pub(crate) exit: i32,
    /// Everything that the serial console showed.
    pub(crate) text: String,
}

impl Bench {
    pub(crate) fn new(lab: &Lab, name: &str) -> Result<Self> {
        Self::sized(lab, name, TARGET_GIB)
    }

    fn sized(lab: &Lab, name: &str, gib: u64) -> Result<Self> {
        let target = lab.run.join(format!("{name}.target.img"));
        disks::blank(&target, gib)?;
        let bystander = lab.run.join(format!("{name}.bystander.img"));
        disks::bystander(&bystander, &lab.run)?;
        let before = crate::digest::disk(&bystander)?;
        Ok(Self { target, bystander, before })
    }

    pub(crate) fn disks(&self) -> Vec<Disk> {
        vec![
            Disk { path: self.target.clone(), serial: TARGET },
            Disk { path: self.bystander.clone(), serial: BYSTANDER },
        ]
    }

    pub(crate) fn check_bystander(&self) -> Result<()> {
        disks::check_unchanged(&self.bystander, &self.before)
    }
}

/// Boots the medium and waits until the installer has said how it ended.
pub(crate) fn run(
    lab: &mut Lab,
    name: &str,
    firmware: Firmware,
    medium: (&Path, MediumKind),
    disks: &[Disk],
) -> Result<Verdict> {
    let mut spec = dom0::spec(lab, &format!("{name}-install"), firmware, disks);
    spec.medium = Some((medium.0.to_owned(), medium.1));
    watch(lab, name, &spec)
}

/// Starts a machine that runs the installer, and waits until that has said how it ended.
pub(crate) fn watch(lab: &mut Lab, name: &str, spec: &Spec) -> Result<Verdict> {
    let (mut machine, verdict) = watch_ending(lab, name, spec)?;
    if verdict.exit != 0 {
        return Ok(verdict);
    }
    off(lab, name, &mut machine, verdict)
}

/// The same until the machine is off, whatever the installer said.
pub(crate) fn watch_to_the_end(lab: &mut Lab, name: &str, spec: &Spec) -> Result<Verdict> {
    let (mut machine, verdict) = watch_ending(lab, name, spec)?;
    off(lab, name, &mut machine, verdict)
}

fn off(lab: &mut Lab, name: &str, machine: &mut Machine, verdict: Verdict) -> Result<Verdict> {
    lab.report.stage(&format!("{name}: off"), |_| machine.wait_off(OFF_LIMIT))?;
    Ok(Verdict { text: machine.serial.text(), ..verdict })
}

fn watch_ending(lab: &mut Lab, name: &str, spec: &Spec) -> Result<(Machine, Verdict)> {
    let mut machine = lab.report.stage(&format!("{name}: start the installer"), |tick| {
        let mut machine = spec.start()?;
        machine.serial.wait_for_any(&[BEGUN], START_LIMIT, tick)?;
        Ok(machine)
    })?;
    lab.report.stage(&format!("{name}: install"), |tick| {
        machine.serial.wait_for_any(&[ENDED], INSTALL_LIMIT, tick)?;
        let code = rest_of_line(&mut machine.serial)?;
        let exit = code.trim().parse().unwrap_or(-1);
        let text = machine.serial.text();
        Ok((machine, Verdict { state: last_state(&text), exit, text }))
    })
}

fn last_state(text: &str) -> String {
    let line = text.lines().rev().find_map(|line| line.split_once(DISK_STATE));
    line.map_or_else(|| "never told".to_owned(), |(_, state)| state.trim().to_owned())
}

fn rest_of_line(console: &mut crate::qemu::console::Console) -> Result<String> {
    let from = console.seen_len();
    console.wait_for("\n", OFF_LIMIT)?;
    Ok(console.slice(from, console.seen_len()).trim().to_owned())
}

/// An installation that must succeed, with the bystander checked.
pub(crate) fn install(
    lab: &mut Lab,
    name: &str,
    firmware: Firmware,
    kind: MediumKind,
) -> Result<Bench> {
    install_on(lab, name, firmware, kind, TARGET_GIB)
}

/// The same on a disk of another size.
pub(crate) fn install_on(
    lab: &mut Lab,
    name: &str,
    firmware: Firmware,
    kind: MediumKind,
    gib: u64,
) -> Result<Bench> {
    let iso = lab.iso(name, &Answers::default())?;
    let bench = Bench::sized(lab, name, gib)?;
    let verdict = run(lab, name, firmware, (&iso, kind), &bench.disks())?;
    ensure(verdict.exit == 0 && verdict.state == "new system boots", || {
        format!("the installation ended with {}: {}", verdict.exit, verdict.state)
    })?;
    bench.check_bystander()?;
    Ok(bench)
}
