//! Releases that reach dom0's user space and are never judged there: bless ends with an error, or
//! all of it hangs. The host comes back by itself, by the units around bless, or by Xen's watchdog.

use super::at_rest;
use super::upgrade::{Fault, RESTARTS, THREE_TRIES, falls_back, replaced, set_tries};
use crate::disks::TARGET;
use crate::failure::Result;
use crate::inside::tree::{Change, Tree};
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware};

const NOT_JUDGED: &str = "user space was never reached, or could not be judged";

const LOST: Fault = Fault {
    name: "lost",
    changes: |_| Ok(vec![("/etc/xenhost/inventory.json".to_owned(), None)]),
    strikes: RESTARTS,
    given_up: THREE_TRIES,
    told: NOT_JUDGED,
};
/// As of a disk whose table the kernel can no longer read in full.
const NO_BOOT: Fault = Fault {
    name: "no-boot",
    changes: |slot| before_bless(slot, "delpart /dev/vda 4"),
    strikes: RESTARTS,
    given_up: THREE_TRIES,
    told: NOT_JUDGED,
};
/// PID 1 is stopped as a debugger does it, by ptrace(2) with `PTRACE_ATTACH`: no signal stops it.
const HANG: Fault = Fault {
    name: "hang",
    changes: |slot| before_bless(slot, "perl -e 'syscall(101, 16, 1, 0, 0) == 0 or die; sleep'"),
    strikes: "Hardware Dom0 shutdown: watchdog rebooting machine",
    given_up: THREE_TRIES,
    told: NOT_JUDGED,
};

/// The unit of bless with a command that runs before it.
fn before_bless(slot: &Tree, command: &str) -> Result<Vec<Change>> {
    let path = "/usr/lib/systemd/system/xenhost-bless.service";
    let begin = "\nExecStart=";
    let unit = replaced(slot, path, begin, &format!("\nExecStartPre={command}{begin}"))?;
    Ok(vec![(path.to_owned(), Some(unit))])
}

pub(super) fn lost(lab: &mut Lab) -> Result<()> {
    last_try(lab, &LOST)
}

pub(super) fn no_boot(lab: &mut Lab) -> Result<()> {
    last_try(lab, &NO_BOOT)
}

pub(super) fn hangs(lab: &mut Lab) -> Result<()> {
    last_try(lab, &HANG)
}

/// Two tries are taken as made, since each is a boot of some minutes.
fn last_try(lab: &mut Lab, fault: &Fault) -> Result<()> {
    let disk = at_rest::on_trial(lab, fault.name)?;
    set_tries(&disk, b'1')?;
    let disks = [Disk { path: disk, serial: TARGET }];
    falls_back(lab, Firmware::Bios, &disks, fault)?.cut_power()
}
