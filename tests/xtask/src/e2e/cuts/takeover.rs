//! Power cuts while somebody at the shell of a medium takes an old host over, by BIOS.

use std::path::Path;

use boot_oracle::disk::Span;
use boot_oracle::known::{BootCode, Program};
use boot_oracle::system::Superblock;

use super::judge::{self, Image, Judge, Made, Place, Progress};
use super::points::Cut;
use super::tried::Run;
use crate::answers::Answers;
use crate::disks::{self, TARGET};
use crate::dom0;
use crate::e2e::boots;
use crate::e2e::takeover;
use crate::failure::{At, Failure, Result};
use crate::lab::Lab;
use crate::oldhost::{self, Chain, LABEL, Repository};
use crate::qemu::{Disk, MediumKind};
use crate::writelog::WriteLog;

const NAME: &str = "power-cut-takeover";
/// The one whose block 0 is written most often: GRUB moves, then ours goes before it, then the
/// table changes.
const CHAIN: Chain = Chain::MbrGrub;
const DONE: &str = "DISK STATE: new system boots";
const ON_TRIAL: &str = "on trial";
/// What the old boot loader shows once it has read its menu from the old root.
const OLD_MENU: &str = "*XenServer";

/// Recorded, cut, and two of the cuts gone on with in the machine.
pub(in crate::e2e) fn takeover(lab: &mut Lab) -> Result<()> {
    // Nobody reads the answers: the rescue entry installs nothing.
    let iso = lab.iso(NAME, &Answers::default())?;
    let run = recorded(lab, &iso)?;
    let [old, new] = run.try_cuts(lab)?;
    old_in_full(lab, &run, &iso, &old)?;
    new_in_full(lab, &run, &iso, &new)
}

fn target(disk: &Path) -> [Disk; 1] {
    [Disk { path: disk.to_owned(), serial: TARGET }]
}

fn recorded(lab: &mut Lab, iso: &Path) -> Result<Run> {
    let (before, after) = (lab.run.join("before.img"), lab.run.join("after.img"));
    oldhost::make(lab, CHAIN, Repository::Empty, &before)?;
    disks::copy(&before, &after)?;
    let log = lab.run.join("writes.log");
    let name = format!("{NAME}-recorded");
    let mut spec = dom0::spec(lab, &name, CHAIN.firmware(), &target(&after));
    spec.medium = Some((iso.to_owned(), MediumKind::Cd));
    spec.write_log = Some(log.clone());
    boots::at_its_medium(lab, &spec, &boots::confirmed(takeover::COMMAND), &takeover::DONE)?;
    let judge = judge(lab, &before, &after)?;
    Ok(Run {
        name: NAME,
        log: WriteLog::open(&log)?,
        before,
        after,
        judge,
        rerun: takeover::upgrade_as_planned,
        ends: [(0, DONE), (16, ON_TRIAL)],
        markers: [OLD_MENU, "xenhost: booting slot a"],
        wanted: 22,
    })
}

fn judge(lab: &Lab, before: &Path, after: &Path) -> Result<Judge> {
    // The old root keeps its place, which the new table has as number 10.
    let old = judge::span(after, 10)?;
    let place = |span: Span, progress, made, whole_on: &Path| Place {
        span,
        progress,
        made,
        whole_on: whole_on.to_owned(),
    };
    let places = vec![
        place(old, Progress::Old, Made::Before, before),
        place(judge::span(after, 1)?, Progress::New, Made::ByUs, after),
    ];
    let mut known = judge::loaders(&lab.products.release)?;
    let grub = oldhost::grub_images(lab)?;
    known.boot_codes.push((grub.boot, BootCode::Grub));
    known.cores.push((grub.core, Program::GrubByNumber(1)));
    let mut slots = judge::slots(after)?;
    let superblock = Superblock::read(&Image::open(before)?, old);
    let superblock = superblock.ok_or_else(|| {
        Failure::check(format!("{}: no root at sector {}", before.display(), old.first))
    })?;
    slots.uuid_old = Some(superblock.uuid);
    Ok(Judge { firmware: CHAIN.firmware(), known, slots, places })
}

/// The old system is up; the takeover, begun again at the shell of the medium, ends well.
fn old_in_full(lab: &mut Lab, run: &Run, iso: &Path, cut: &Cut) -> Result<()> {
    let name = format!("{NAME}-old");
    let disk = run.disk(lab, cut, &name)?;
    oldhost::boots(lab, &name, CHAIN, &disk, LABEL)?;
    let (again, command) = (format!("{name}-again"), boots::confirmed(takeover::COMMAND));
    boots::in_rescue_of(lab, &again, iso, &target(&disk), &command, &takeover::DONE)?;
    run.starts(lab, &disk, Progress::New)?;
    std::fs::remove_file(&disk).at("removing", &disk)
}

/// At the shell of the medium there is nothing to take over any more; the new system is up, blesses
/// itself and brings the takeover to its end.
fn new_in_full(lab: &mut Lab, run: &Run, iso: &Path, cut: &Cut) -> Result<()> {
    let name = format!("{NAME}-new");
    let disk = run.disk(lab, cut, &name)?;
    let again = format!("{name}-again");
    boots::in_rescue_of(lab, &again, iso, &target(&disk), takeover::COMMAND, &[ON_TRIAL])?;
    takeover::comes_to_its_end(lab, &name, CHAIN, &disk)?;
    std::fs::remove_file(&disk).at("removing", &disk)
}
