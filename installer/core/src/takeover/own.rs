//! What is of its own where the host that is divided anew is one of ours, on the layout `legacy`:
//! it goes to `modern` in the way in which a host of another product is taken over, and is
//! configured as by an upgrade.
//!
//! Its running slot becomes the old system, in its place and bit for bit. The boot partition of the
//! old layout stays beside the new one: under the old table it is the one that our boot loader
//! finds, under the new table the new one is.

use partitioner::layout::MODERN;

use super::facts::{OldRoot, TakeoverFacts};
use super::{Config, TakeoverPlan, Wish, host};
use crate::bootcfg::{BootConf, root_argument};
use crate::bootstate::{Other, Slot, Trial};
use crate::facts::DiskFacts;
use crate::outcome::Exit;
use crate::release::Manifest;
use crate::request::Refusal;
use crate::target::{Body, Inventory, Mounts, TargetFile, added_to_fstab};
use crate::upgrade::carry::within;
use crate::upgrade::{BootRecord, OldTexts, OwnError, SlotPlace, not_downgrade, own_files};

/// A root of ours.
#[derive(Clone, Debug)]
pub struct OwnRoot {
    pub inventory: Inventory,
    /// `None` beside a new system on trial, which has the boot state then.
    pub boot: Option<BootRecord>,
    /// What was changed on it and does not move.
    pub left_behind: Vec<String>,
}

impl OwnRoot {
    /// The same, without what this asks for.
    pub(super) fn left_behind(&self, wish: &Wish) -> Vec<String> {
        let is_kept = |line: &String| {
            let path = line.trim_start_matches('/');
            wish.keep.iter().any(|keep| within(path, keep.as_str()))
        };
        self.left_behind.iter().filter(|line| !is_kept(line)).cloned().collect()
    }
}

fn no(message: impl Into<String>) -> Refusal {
    Refusal::new(Exit::NotUpgradeable, message)
}

/// Whether this host may go to the layout `modern`, by this release.
pub(super) fn allowed(
    facts: &TakeoverFacts,
    root: &OldRoot,
    own: &OwnRoot,
    manifest: &Manifest,
) -> Result<(), Refusal> {
    not_downgrade(&own.inventory, manifest)?;
    if root.needs_recovery {
        let what = format!("{}: slot a needs recovery: it was not shut down", facts.disk.path);
        return Err(no(what).hint(
            "its journal holds what its blocks do not, and nothing here replays it: start the host \
             once and shut it down",
        ));
    }
    let Some(boot) = &own.boot else { return Ok(()) };
    let path = &facts.disk.path;
    // A trial that failed is over in fact: slot a runs again.
    let failed =
        (boot.state.trial, boot.state.other, boot.tries) == (Trial::Pending, Other::A, Some(0));
    if boot.state.trial == Trial::Pending && !failed {
        let left = boot.tries.map_or("an unreadable number of".to_owned(), |n| n.to_string());
        let slot = boot.state.slot;
        return Err(no(format!("{path}: slot {slot} is on trial, with {left} tries left"))
            .hint("wait for it to be blessed, or give it up with `host-installer rollback`"));
    }
    let chosen_a = failed || boot.state.slot == Slot::A;
    if !chosen_a || own.inventory.slot != Slot::A {
        let what = format!(
            "{path}: the host runs from slot b, which lies where the layout modern has a slot, \
             too; only from slot a can the old system stay whole until the new one was blessed"
        );
        return Err(no(what).hint(
            "`host-installer upgrade` inside its slots, or `host-installer rollback`, brings it to \
             slot a",
        ));
    }
    Ok(())
}

/// Why a host of ours keeps its layout, where the disk at rest was not even looked at.
pub fn only_at_rest(disk: &DiskFacts) -> Refusal {
    const KEEP: &str = "`layout: keep` upgrades it inside its slots";
    let DiskFacts { path, size, .. } = disk;
    let what = format!(
        "layout modern: the host on {path} runs; its disk is divided anew only while it does not"
    );
    let min = MODERN.disk_min;
    if *size < min {
        let what = format!("layout modern: {path} has {size}, and {min} are needed");
        return Refusal::new(Exit::Unsuitable, what).hint(KEEP);
    }
    no(what).hint(format!("start the installation medium and upgrade from it; {KEEP}"))
}

/// What the new system says of itself, but for slot and release.
pub fn inventory(plan: &TakeoverPlan) -> Option<Inventory> {
    let Config::CarriedOver { own, wish } = &plan.config else { return None };
    let old = own.inventory.clone();
    let id = wish.deployment_id.as_ref().map(|id| id.as_str().to_owned());
    let timeout = wish.health.timeout.map(crate::values::Minutes::get);
    Some(
        Inventory {
            deployment_id: id.or(old.deployment_id.clone()),
            health_timeout_minutes: timeout.or(old.health_timeout_minutes),
            ..old
        }
        .placed(&plan.host),
    )
}

/// The files of the new system that are of its slot. What it carries over is read from the old
/// root.
///
/// # Errors
///
/// The old boot.conf, where it cannot be read.
pub fn files(
    plan: &TakeoverPlan,
    inventory: &Inventory,
    manifest: &Manifest,
    old: &OldTexts<'_>,
) -> Result<Vec<TargetFile>, OwnError> {
    let place = SlotPlace::of(inventory, Slot::A)?;
    let fstab = host::fstab(&plan.host) + &added_to_fstab(old.fstab);
    let texts = OldTexts { fstab: &fstab, ..*old };
    let mut files = own_files(inventory, place, manifest, &plan.host.boot_files, &texts)?;
    files.push(host::taken_over(plan));
    Ok(files)
}

/// What the copy of a root of ours is made from; as it lies there.
#[derive(Clone, Debug)]
pub struct OwnTexts {
    pub inventory: Inventory,
    pub boot_conf: String,
    pub slot_cfg: String,
}

impl OwnTexts {
    /// The files by which the copy is slot b of the new host. `new` is what its slot a says.
    pub(super) fn copy_files(
        &self,
        fstab: &str,
        new: &Inventory,
        place: SlotPlace,
    ) -> Result<Vec<TargetFile>, OwnError> {
        let inventory = Inventory { slot: place.slot, ..self.inventory.clone().on_disk_of(new) };
        let conf = BootConf::parse(&self.boot_conf)?;
        let root = root_argument(place.partuuid);
        let argument = |root: &str| format!("'root={root}'");
        let menu = self.slot_cfg.replace(&argument(&conf.root), &argument(&root));
        let uuid = |key: &str| new.fs_uuid.get(key).copied();
        let mounts = Mounts { root: place.fs_uuid, logs: uuid("logs"), swap: uuid("swap") };
        let fstab = mounts.fstab() + &added_to_fstab(fstab);
        let folder = |path| TargetFile::root(path, 0o755, Body::Directory);
        Ok(vec![
            folder("etc/xenhost"),
            TargetFile::file("etc/xenhost/inventory.json", 0o644, inventory.to_text()),
            TargetFile::file("etc/xenhost/boot.conf", 0o644, BootConf { root, ..conf }.render()),
            folder("boot/xenhost"),
            TargetFile::file("boot/xenhost/slot.cfg", 0o644, menu),
            TargetFile::file("etc/fstab", 0o644, fstab),
        ])
    }
}
