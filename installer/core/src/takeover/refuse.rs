//! Why a host of another product is not taken over. Nothing was written.

use partitioner::installations::{Database, DatabaseState, Installation, Product, Shape};
use partitioner::sr::Verdict;
use partitioner::takeover::{OLD_ROOT, SrProof, TakeoverError};

use super::facts::{OldRoot, TakeoverFacts};
use super::rerun;
use crate::facts::Firmware;
use crate::outcome::Exit;
use crate::request::Refusal;

/// How guests leave a host before it is taken over.
const GUESTS: &str = "the new system runs other tools, and knows none of this host's guests: on \
                      the old host move them to another one, or export them (`xe vm-export`) to \
                      storage elsewhere, then remove them (`xe vm-uninstall`) and their disks";

/// The same for one of ours, whose guests go on.
const DISKS: &str = "the storage repository is made anew: bring the disks of its guests to storage \
                     elsewhere and remove them here; `layout: keep` upgrades the host inside its \
                     slots, whatever the repository holds";

const fn way_out(host: &Installation) -> &'static str {
    match host.product {
        Product::Xenhost => DISKS,
        Product::Xenserver | Product::Unknown => GUESTS,
    }
}

fn no(message: impl Into<String>) -> Refusal {
    Refusal::new(Exit::NotUpgradeable, message)
}

/// The one installation that is meant, and its root.
pub(super) fn one(facts: &TakeoverFacts) -> Result<(&Installation, &OldRoot), Refusal> {
    let path = &facts.disk.path;
    let hosts = &facts.report.installations;
    // What a takeover that is begun over has left in slot a may not be known for what it is.
    let is_own = |host: &Installation| {
        facts.roots.iter().any(|root| root.number == host.root && root.own().is_some())
    };
    let is_old = |host: &&Installation| match facts.trial {
        Some(_) => host.root == OLD_ROOT,
        None => host.product != Product::Xenhost || is_own(host),
    };
    let mut found = hosts.iter().filter(is_old);
    let host = match (found.next(), found.next()) {
        (Some(one), None) => one,
        (None, _) => return Err(no(format!("{path} carries no host"))),
        (Some(_), Some(_)) => {
            let list: Vec<String> = hosts.iter().map(named).collect();
            let what = format!("{path} carries {} installations: {}", hosts.len(), list.join("; "));
            return Err(Refusal::new(Exit::DiskNotFound, what)
                .hint("which of them is the host cannot be told; remove the other one first"));
        }
    };
    let is_known = match host.product {
        Product::Xenserver => true,
        Product::Xenhost => is_own(host),
        Product::Unknown => false,
    };
    if !is_known {
        let why = host.problem.as_deref().unwrap_or("its root says nothing that is known");
        return Err(no(format!("{path}: {}: another product: {why}", named(host)))
            .hint("XenServer and XCP-ng hosts are taken over; `install` makes a new host"));
    }
    let root = facts.roots.iter().find(|root| root.number == host.root);
    Ok((host, root.ok_or_else(|| no(format!("{path}: {}: it was not read", named(host))))?))
}

/// `XenServer 7.1.0 on partition 1`.
pub(super) fn named(host: &Installation) -> String {
    let name = host.name.as_deref().unwrap_or("an unknown system");
    let version = host.version.as_deref().map(|v| format!(" {v}")).unwrap_or_default();
    format!("{name}{version} on partition {}", host.root)
}

/// The disk as its table has it.
pub(super) fn shape(facts: &TakeoverFacts, host: &Installation) -> Result<(), Refusal> {
    let path = &facts.disk.path;
    if let Some(problem) = rerun::as_it_counts(facts).problems.first() {
        return Err(Refusal::new(Exit::Unsuitable, format!("{path}: {problem}"))
            .hint("`partitioner repair` shows what can be done"));
    }
    if let Some(number) = host.utility {
        let what = format!("{path}: partition {number} is a manufacturer's utility partition");
        return Err(Refusal::new(Exit::Unsuitable, what)
            .hint("a host that has one is not taken over; `install` can keep the partition"));
    }
    match host.shape {
        Shape::LegacyMbr | Shape::LegacyGpt => Ok(()),
        Shape::Modern => Err(no(format!(
            "{path}: {}: it has a log partition; taken over are hosts with slots of 4 GiB",
            named(host)
        ))
        .hint("`install` with `on_existing: wipe` makes a new host")),
    }
}

/// Whether the machine starts as the old host did.
pub(super) fn firmware(facts: &TakeoverFacts, old: Firmware) -> Result<(), Refusal> {
    match facts.machine.map(|machine| machine.firmware) {
        Some(have) if have != old => Err(Refusal::new(
            Exit::Unsuitable,
            format!(
                "the old host starts by {}, this machine was started by {}",
                spoken(old),
                spoken(have)
            ),
        )
        .hint("start the medium as the old host starts: the boot menu of the firmware has both")),
        Some(_) | None => Ok(()),
    }
}

const fn spoken(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "BIOS",
        Firmware::Uefi => "UEFI",
    }
}

/// What the old host's database says of guests, pool and high availability.
pub(super) fn pool(host: &Installation) -> Result<(), Refusal> {
    let database = match &host.database {
        DatabaseState::Read(database) => database,
        DatabaseState::Unreadable(why) => {
            return Err(no(format!("the old host's database cannot be read: {why}")).hint(
                "boot the old host once and shut it down; without it nobody knows of guests",
            ));
        }
        DatabaseState::None => return Err(no("the old host keeps no database")),
    };
    let Database { hosts, ha_enabled, guests, disks: _ } = database;
    if host.pool_member || *hosts != 1 {
        let role = if host.pool_member { "a member of a pool" } else { "in a pool" };
        return Err(no(format!("the old host is {role}, its database lists {hosts} hosts"))
            .hint("take it out of the pool first (`xe pool-eject`)"));
    }
    if *ha_enabled {
        return Err(no("high availability is on").hint("switch it off: `xe pool-ha-disable`"));
    }
    match guests.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(no(format!(
            "the old host's database lists {} guests, such as \"{first}\"",
            guests.len()
        ))
        .hint(GUESTS)),
    }
}

/// Only a proof gives the repository up. A marker file of the old host is none.
pub(super) fn storage(facts: &TakeoverFacts, host: &Installation) -> Result<SrProof, Refusal> {
    let Some(sr) = &facts.report.sr else { return unused(host) };
    let place = sr.partition.map_or_else(|| "the disk".to_owned(), |n| format!("partition {n}"));
    match &sr.verdict {
        Verdict::Empty if sr.partition == host.sr => Ok(SrProof::Empty),
        Verdict::Empty => {
            Err(no(format!("the storage repository on {place} is not the old host's")))
        }
        Verdict::InUse { .. } => {
            let what =
                format!("the storage repository on {place} is in use: {}", sr.verdict.reason());
            Err(no(what).hint(way_out(host)))
        }
        Verdict::Unknown { .. } => Err(no(format!("{place}: {}", sr.verdict.reason()))
            .hint("nothing is given up on doubt; `partitioner inspect` shows what was found")),
    }
}

/// No repository was found: there never was one, or it lost its head, or its place in the table.
/// The old host knows.
fn unused(host: &Installation) -> Result<SrProof, Refusal> {
    let listed = match &host.database {
        DatabaseState::Read(database) => database.disks.as_slice(),
        DatabaseState::Unreadable(_) | DatabaseState::None => &[],
    };
    match (listed, host.sr) {
        ([first, ..], _) => Err(no(format!(
            "no storage repository is found on the disk, and the old host's database lists {} \
             disks, such as {}: whether they were here cannot be told",
            listed.len(),
            first.what
        ))
        .hint(
            "if they are on storage elsewhere, let the old host forget it (`xe sr-forget`); else \
             bring the repository back, or let the old host forget the disks (`xe vdi-forget`)",
        )),
        ([], Some(_)) => Ok(SrProof::Empty),
        ([], None) => Ok(SrProof::None),
    }
}

/// The old root is whole, has run, and can be started by us.
pub(super) fn root(host: &Installation, root: &OldRoot) -> Result<(), Refusal> {
    let name = named(host);
    if let Some(problem) = &host.problem {
        return Err(no(format!("{name}: {problem}")));
    }
    if let Some(what) = &root.first_boot {
        return Err(no(format!("{name} has never finished a first boot: {what}"))
            .hint("boot it once; or install anew, there is nothing to take over"));
    }
    if let Some(errors) = &root.fs_errors {
        let what = format!("the root file system of {name} has errors: {errors}");
        return Err(no(what).hint(if root.needs_recovery {
            "it was not shut down cleanly, and nothing here replays its journal: boot the old \
             host once and shut it down"
        } else {
            "run e2fsck on it first; the old host does so when it boots after `touch /forcefsck`"
        }));
    }
    if let Some(guest) = root.saved_guests.first() {
        let hint = match host.product {
            Product::Xenhost => SAVED,
            Product::Xenserver | Product::Unknown => GUESTS,
        };
        return Err(no(format!("{name} holds a saved guest: {guest}")).hint(hint));
    }
    Ok(())
}

const SAVED: &str = "a saved guest would meet its own past on the other system: `xl restore` it \
                     and shut it down, or delete the image";

/// Why there are no two tables.
pub(super) fn tables(facts: &TakeoverFacts, error: &TakeoverError) -> Refusal {
    let is_sr = matches!(error, TakeoverError::SrNotEmpty);
    let exit = if is_sr { Exit::NotUpgradeable } else { Exit::Unsuitable };
    Refusal::new(exit, format!("{}: {error}", facts.disk.path))
}
