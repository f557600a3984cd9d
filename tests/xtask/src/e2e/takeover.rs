//! Old hosts: each boots before anything is done to it, is taken over, can be gone back to until
//! the new system was blessed, and ends in slot b.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::at_rest;
use super::boots;
use super::media::check;
use super::upgrade::{NO_XEN, set_tries};
use crate::answers::Answers;
use crate::call::{Call, Ended};
use crate::disks::{self, TARGET};
use crate::dom0;
use crate::failure::{Result, ensure};
use crate::inside::tree::Tree;
use crate::inside::{self, Partition};
use crate::install::{self, Bench, DISK_STATE};
use crate::lab::Lab;
use crate::oldhost::{self, Chain, LABEL, Repository};
use crate::qemu::{Disk, Firmware, MediumKind};

/// On an image: seconds; ten times that on a busy machine.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(600);
/// A root is copied, and a log partition is made, under emulation.
const FINISH_LIMIT: Duration = Duration::from_secs(900);
pub(super) const COMMAND: &str = "host-installer upgrade";
/// What it says when all is well, one after the other.
pub(super) const DONE: [&str; 4] = [
    "write the dom0 image to root",
    "give root its UUID",
    "the new system boots from now on",
    "DISK STATE: new system boots",
];
const INVENTORY: &str = "/etc/xensource-inventory";
/// The chain of the host that a medium takes over by itself.
const UNATTENDED: Chain = Chain::GptUefi;

/// Every stand-in boots by its own boot loader to its own root.
pub(super) fn old_hosts(lab: &mut Lab) -> Result<()> {
    for chain in Chain::ALL {
        let disk = made(lab, chain, Repository::Empty)?;
        oldhost::boots(lab, chain.name(), chain, &disk, LABEL)?;
        crate::cache::remove(&disk)?;
    }
    Ok(())
}

pub(super) fn mbr_extlinux(lab: &mut Lab) -> Result<()> {
    whole_path(lab, Chain::MbrExtlinux, take_over)
}

pub(super) fn mbr_grub(lab: &mut Lab) -> Result<()> {
    whole_path(lab, Chain::MbrGrub, take_over)
}

pub(super) fn gpt_bios(lab: &mut Lab) -> Result<()> {
    whole_path(lab, Chain::GptBios, take_over)
}

pub(super) fn gpt_uefi(lab: &mut Lab) -> Result<()> {
    whole_path(lab, Chain::GptUefi, take_over)
}

/// As somebody does it who starts the machine from the medium.
pub(super) fn from_medium(lab: &mut Lab) -> Result<()> {
    whole_path(lab, Chain::MbrGrub, take_over_from_medium)
}

/// As a medium with answers does it, with nobody at the keyboard.
pub(super) fn unattended(lab: &mut Lab) -> Result<()> {
    whole_path(lab, UNATTENDED, take_over_unattended)
}

/// What the boot loader says at each start of a new system that has no Xen, until no try is left.
const TRIED: [&[&str]; 4] = [
    &["tries left after this one: 2", NO_XEN.strikes, OLD_BOOTS],
    &["tries left after this one: 1", NO_XEN.strikes, OLD_BOOTS],
    &["tries left after this one: 0", NO_XEN.strikes, OLD_BOOTS],
    &["xenhost: slot a was started three times and not blessed", OLD_BOOTS],
];
const OLD_BOOTS: &str = "xenhost: booting the system that was taken over";
/// What is said where it is begun over from the medium; the old system boots up to the last step.
const BEGUN_OVER: [&str; 5] = [
    "on trial, 0 tries left",
    "write the dom0 image to root",
    "give root its UUID",
    "three tries: the new system boots, on trial again",
    "DISK STATE: new system boots",
];

/// The new system loses its Xen: after three tries the old one boots for good. Taken over once
/// more, from the medium.
pub(super) fn again(lab: &mut Lab) -> Result<()> {
    const NAME: &str = "takeover-again";
    let chain = Chain::MbrExtlinux;
    let disk = made(lab, chain, Repository::Empty)?;
    take_over(lab, &disk)?;
    let slot = Tree::open(&disk, 1)?;
    let changes = (NO_XEN.changes)(&slot)?;
    ensure(!changes.is_empty(), || format!("{}: nothing to break", NO_XEN.name))?;
    slot.change(&lab.run, &changes)?;
    for (number, words) in TRIED.iter().enumerate() {
        let name = format!("{NAME}-try-{}", number + 1);
        oldhost::boots_after(lab, &name, chain, &disk, (LABEL, words))?;
    }
    let iso = lab.iso(NAME, &Answers::default())?;
    let disks = [Disk { path: disk.clone(), serial: TARGET }];
    let command = format!("host-installer status; {}", boots::confirmed(COMMAND));
    boots::in_rescue_of(lab, NAME, &iso, &disks, &command, &BEGUN_OVER)?;
    comes_to_its_end(lab, NAME, chain, &disk)?;
    roll_back(lab, &disk)?;
    oldhost::boots(lab, &format!("{NAME}-slot-b"), chain, &disk, "")
}

/// A guest's disk in the storage repository: nothing is written.
pub(super) fn refused(lab: &mut Lab) -> Result<()> {
    for chain in Chain::ALL {
        let disk = made(lab, chain, Repository::InUse)?;
        let before = crate::digest::disk(&disk)?;
        let products = &lab.products;
        let call =
            at_rest::upgrade_call(&products.binaries.host_installer, &products.release, &disk);
        let ended = call.arg("--json").output()?;
        let told = format!("{}{}", ended.stdout, ended.stderr);
        ensure(ended.code() == 16, || format!("exit {}, 16 expected:\n{told}", ended.code()))?;
        ensure(last_line(&ended) == format!("{DISK_STATE}untouched"), || told)?;
        disks::check_unchanged(&disk, &before)?;
        crate::cache::remove(&disk)?;
    }
    Ok(())
}

fn made(lab: &mut Lab, chain: Chain, sr: Repository) -> Result<PathBuf> {
    let disk = lab.run.join(format!("{}.img", chain.name()));
    oldhost::make(lab, chain, sr, &disk)?;
    Ok(disk)
}

/// Taken over; the old system while the trial lasts; the new one, blessed and finished;
/// and the old one from slot b.
fn whole_path(
    lab: &mut Lab,
    chain: Chain,
    take_over: fn(&mut Lab, &Path) -> Result<()>,
) -> Result<()> {
    let disk = made(lab, chain, Repository::Empty)?;
    take_over(lab, &disk)?;
    given_up(lab, chain, &disk)?;
    comes_to_its_end(lab, chain.name(), chain, &disk)?;
    roll_back(lab, &disk)?;
    let name = format!("{}-slot-b", chain.name());
    oldhost::boots(lab, &name, chain, &disk, "")
}

/// The new system starts, blesses itself and finishes.
pub(super) fn comes_to_its_end(lab: &mut Lab, name: &str, chain: Chain, disk: &Path) -> Result<()> {
    finishes(lab, name, chain.firmware(), disk)?;
    final_table(disk, (INVENTORY, "XenServer"))
}

/// The same, whatever was taken over.
pub(super) fn finishes(lab: &mut Lab, name: &str, firmware: Firmware, disk: &Path) -> Result<()> {
    let disks = [Disk { path: disk.to_owned(), serial: TARGET }];
    let mut dom0 = dom0::boot(lab, name, firmware, &disks)?;
    dom0.wait_ready(lab, name).map_err(|f| dom0::with_journal(&mut dom0, f))?;
    lab.report.stage(&format!("{name}: finished"), |_| {
        let wait = "for i in $(seq 200); do journalctl -u xenhost-finish -o cat --no-pager | \
                    grep -qx 'DISK STATE: new system boots' && ok=1 && break; sleep 3; done; \
                    test -n \"$ok\" || { systemctl status --no-pager -l xenhost-finish; false; }";
        dom0.shell.must(wait, FINISH_LIMIT).map(drop)
    })?;
    println!("{}", dom0.must("host-installer status")?);
    dom0.power_off(lab, name)
}

/// At a shell of the medium.
fn take_over_from_medium(lab: &mut Lab, disk: &Path) -> Result<()> {
    const NAME: &str = "takeover-medium";
    // Nobody reads the answers: the rescue entry installs nothing.
    let iso = lab.iso(NAME, &Answers::default())?;
    let disks = [Disk { path: disk.to_owned(), serial: TARGET }];
    boots::in_rescue_of(lab, NAME, &iso, &disks, &boots::confirmed(COMMAND), &DONE)
}

/// The host is taken over once; the medium that is still there finds nothing to do.
fn take_over_unattended(lab: &mut Lab, disk: &Path) -> Result<()> {
    const NAME: &str = "takeover-unattended";
    let answers = format!(
        "schema: xenhost/v1\nmode: upgrade\ndeployment_id: taken\n\
         disks: {{host: {{serial: {TARGET}}}}}\nupgrade: {{layout: modern}}\n\
         finish: {{action: poweroff}}\n"
    );
    let release = lab.products.release.clone();
    let iso = lab.iso_with(NAME, &release, &answers)?;
    let bench = Bench::new(lab, NAME)?;
    let old = Disk { path: disk.to_owned(), serial: TARGET };
    let disks: Vec<Disk> = [old].into_iter().chain(bench.disks().into_iter().skip(1)).collect();
    let mut meet = |name: &str, state: &str, says: &[&str]| {
        let (name, medium) = (format!("{NAME}-{name}"), (&*iso, MediumKind::Cd));
        let verdict = install::run(lab, &name, UNATTENDED.firmware(), medium, &disks)?;
        check(&verdict, 0, state, says)
    };
    let taken = ["Take over XenServer", "the new table counts: the new system boots, on trial"];
    meet("forward", "new system boots", &taken)?;
    meet("again", "untouched", &["carries the deployment taken already"])?;
    bench.check_bystander()
}

/// On an image.
fn take_over(lab: &mut Lab, disk: &Path) -> Result<()> {
    let done = upgrade_as_planned(lab, disk)?;
    let told = || format!("exit {}:\n{}{}", done.code(), done.stdout, done.stderr);
    println!("{}", done.stdout);
    ensure(done.code() == 0, told)?;
    ensure(last_line(&done) == format!("{DISK_STATE}new system boots"), told)
}

/// The release as it was built, on an image.
pub(super) fn upgrade_as_planned(lab: &Lab, disk: &Path) -> Result<Ended> {
    at_rest::upgrade_image(&lab.products.binaries.host_installer, &lab.products.release, disk)
}

pub(super) fn last_line(ended: &Ended) -> &str {
    ended.stderr.trim_end().lines().next_back().unwrap_or_default()
}

/// With its tries used up, the machine starts the old system where it always was.
fn given_up(lab: &mut Lab, chain: Chain, disk: &Path) -> Result<()> {
    let copy = lab.run.join(format!("{}-spent.img", chain.name()));
    disks::copy(disk, &copy)?;
    set_tries(&copy, b'0')?;
    oldhost::boots(lab, &format!("{}-spent", chain.name()), chain, &copy, LABEL)?;
    crate::cache::remove(&copy)
}

/// The layout of a fresh installation, and the old root in slot b.
pub(super) fn final_table(disk: &Path, (path, holds): (&str, &str)) -> Result<()> {
    let label = inside::label(disk)?;
    ensure(label == "gpt", || format!("the table is {label}, gpt expected"))?;
    let mut numbers: Vec<u32> = inside::partitions(disk)?.iter().map(Partition::number).collect();
    numbers.sort_unstable();
    ensure(numbers == [1, 2, 3, 4, 5, 6], || format!("the partitions are {numbers:?}"))?;
    let inventory = Tree::open(disk, 2)?.text(path)?;
    ensure(inventory.contains(holds), || format!("slot b holds:\n{inventory}"))?;
    Tree::open(disk, 5)?.list("/").map(drop)
}

pub(super) fn roll_back(lab: &Lab, disk: &Path) -> Result<()> {
    Call::new(&lab.products.binaries.host_installer)
        .args(["rollback", "--disk"])
        .arg(format!("{TARGET}={}", disk.display()))
        .limit(TAKEOVER_LIMIT)
        .stdout()
        .map(drop)
}
