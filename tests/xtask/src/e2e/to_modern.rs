//! Hosts of ours with slots of 4 GiB that go to the layout modern. The old system stays to fall
//! back to, knows what became of the new one, and ends in slot b.

use std::path::{Path, PathBuf};

use super::{at_rest, takeover, upgrade};
use crate::answers::Answers;
use crate::disks::{self, TARGET};
use crate::dom0::{self, Check};
use crate::failure::{Result, ensure};
use crate::inside::{self, tree::Tree};
use crate::install::DISK_STATE;
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware};

/// Large enough for the layout modern.
const GIB: u64 = 60;
/// Of the old system, which runs again in its old place.
const OLD_RUNS: &[Check] = &[
    ("root is the old one", "findmnt -no SOURCE / | grep -qx /dev/vda10"),
    ("status knows", "host-installer status | grep -q 'the old system, beside the one'"),
    ("status says why", "host-installer status | grep -q 'the old system runs again'"),
    ("so does the message of the day", "grep -q 'begins the takeover over' /run/motd.d/xenhost"),
    ("guests may start", "systemctl is-active -q xendomains"),
    ("there is nothing to finish", "host-installer finish"),
    ("it has no slot to go back to", "host-installer rollback; test $? -eq 16"),
];
/// Of the copy in slot b.
const COPY_RUNS: &[Check] = &[
    ("root is slot b", "findmnt -no SOURCE / | grep -qx /dev/vda2"),
    ("logs have their partition", "findmnt -no SOURCE /var/log | grep -qx /dev/vda5"),
    ("swap has its partition", "swapon --noheadings --show=NAME | grep -qx /dev/vda6"),
    ("the way back is open", "host-installer rollback --check | grep 'slot a would boot'"),
    ("all is whole", "host-installer verify"),
    ("no unit failed", "! systemctl --failed --no-legend --plain | grep ."),
];

pub(super) fn bios(lab: &mut Lab) -> Result<()> {
    whole_path(lab, "to-modern-bios", Firmware::Bios, "dos")
}

pub(super) fn uefi(lab: &mut Lab) -> Result<()> {
    whole_path(lab, "to-modern-uefi", Firmware::Uefi, "gpt")
}

fn whole_path(lab: &mut Lab, name: &str, firmware: Firmware, label: &str) -> Result<()> {
    let disk = legacy(lab, name, firmware)?;
    let have = inside::label(&disk)?;
    ensure(have == label, || format!("the table is {have}, {label} expected"))?;
    let release = upgrade::next_folder(lab)?;
    lab.report.stage(&format!("{name}: upgrade the image"), |_| {
        let installer = &lab.products.binaries.host_installer;
        let done = at_rest::upgrade_with(installer, &release, &disk, &["--layout", "modern"])?;
        println!("{}", done.stdout);
        let told = || format!("exit {}:\n{}{}", done.code(), done.stdout, done.stderr);
        ensure(done.code() == 0, told)?;
        let last = takeover::last_line(&done);
        ensure(last == format!("{DISK_STATE}new system boots"), told)
    })?;
    crate::cache::remove(&release)?;
    given_up(lab, name, firmware, &disk)?;
    takeover::finishes(lab, &format!("{name}-new"), firmware, &disk)?;
    takeover::final_table(&disk, ("/etc/xenhost/inventory.json", "\"modern\""))?;
    takeover::roll_back(lab, &disk)?;
    let disks = [Disk { path: disk, serial: TARGET }];
    let mut dom0 = upgrade::boot(lab, &format!("{name}-slot-b"), firmware, &disks)?;
    dom0.check_all(COPY_RUNS).map_err(|f| dom0::with_journal(&mut dom0, f))?;
    dom0.power_off(lab, name)
}

/// A large disk with a host on the small layout that says it was blessed.
fn legacy(lab: &mut Lab, name: &str, firmware: Firmware) -> Result<PathBuf> {
    let disk = lab.run.join(format!("{name}.img"));
    disks::blank(&disk, GIB)?;
    let answers = lab.run.join(format!("{name}.yaml"));
    let text = Answers::default().text().replace("name: auto", "name: legacy");
    crate::failure::At::at(std::fs::write(&answers, text), "writing", &answers)?;
    let call = lab.install_offline(&answers, &disk).args(["--firmware", firmware.name()]);
    lab.report.stage(&format!("{name}: install the image"), |_| call.stdout().map(drop))?;
    let says = ("/var/lib/xenhost/blessed.json".to_owned(), Some("{}\n".to_owned()));
    Tree::open(&disk, 1)?.change(&lab.run, &[says])?;
    Ok(disk)
}

/// With its tries used up, the machine starts the old system, which says so.
fn given_up(lab: &mut Lab, name: &str, firmware: Firmware, disk: &Path) -> Result<()> {
    let copy = lab.run.join(format!("{name}-spent.img"));
    disks::copy(disk, &copy)?;
    upgrade::set_tries(&copy, b'0')?;
    let disks = [Disk { path: copy.clone(), serial: TARGET }];
    let mut dom0 = dom0::boot(lab, &format!("{name}-old"), firmware, &disks)?;
    dom0.said("xenhost: booting the system that was taken over")?;
    dom0.wait_aside(lab, name)?;
    dom0.check_all(OLD_RUNS).map_err(|f| dom0::with_journal(&mut dom0, f))?;
    println!("{}", dom0.must("host-installer status; systemctl --failed --no-legend --plain")?);
    dom0.cut_power()?;
    crate::cache::remove(&copy)
}
