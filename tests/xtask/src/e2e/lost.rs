//! A release whose bless ends with an error before it can judge the host: the host comes back by
//! itself, by the units around bless.

use super::at_rest;
use super::upgrade::{Fault, THREE_TRIES, falls_back, set_tries};
use crate::disks::TARGET;
use crate::failure::Result;
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware};

const LOST: Fault = Fault {
    name: "lost",
    changes: |_| Ok(vec![("/etc/xenhost/inventory.json".to_owned(), None)]),
    given_up: THREE_TRIES,
    told: "user space was never reached, or could not be judged",
};

/// Two tries are taken as made, since each is a boot of some minutes.
pub(super) fn lost(lab: &mut Lab) -> Result<()> {
    let disk = at_rest::on_trial(lab, LOST.name)?;
    set_tries(&disk, b'1')?;
    let disks = [Disk { path: disk, serial: TARGET }];
    falls_back(lab, Firmware::Bios, &disks, &LOST)?.cut_power()
}
