//! Whether what lies on the chosen disk may be destroyed.

use super::{Refusal, Selector};
use crate::answers::OnExisting;
use crate::facts::DiskFacts;
use crate::outcome::Exit;
use crate::values::DeploymentId;

/// A machine that carries the deployment is done.
pub(super) fn already_done(wanted: Option<&DeploymentId>, disk: &DiskFacts) -> Result<(), Refusal> {
    let Some(wanted) = wanted else { return Ok(()) };
    if disk.deployment_id.as_deref() != Some(wanted.as_str()) {
        return Ok(());
    }
    let message = format!(
        "{} carries the deployment {} already, there is nothing to do",
        disk.path,
        wanted.as_str()
    );
    Err(Refusal::new(Exit::Done, message)
        .hint("another deployment_id in the answer file installs the machine again"))
}

pub(super) fn permit(
    on_existing: OnExisting,
    selector: &Selector,
    disk: &DiskFacts,
) -> Result<(), Refusal> {
    if disk.content.is_empty() {
        return Ok(());
    }
    match on_existing {
        OnExisting::Refuse => Err(refusal(disk, "is not blank, and `on_existing` is `refuse`")
            .hint("`on_existing: wipe` permits to destroy what is listed")),
        OnExisting::ReplaceOwn => replace_own(disk).and_then(|()| without_utility(disk)),
        OnExisting::Wipe => wipe(selector, disk).and_then(|()| without_utility(disk)),
    }
}

/// A manufacturer's utility partition is nobody's old system, and cannot be had again.
fn without_utility(disk: &DiskFacts) -> Result<(), Refusal> {
    let Some(number) = disk.utility else { return Ok(()) };
    let what = format!(
        "{}: partition {number} is a manufacturer's utility partition, which no installation \
         destroys, and keeping one is not available yet",
        disk.path
    );
    Err(Refusal::new(Exit::Unsuitable, what).hint(format!(
        "install on another disk; or, if nobody needs it, delete it by hand first (`sfdisk \
         --delete {} {number}`)",
        disk.path
    )))
}

/// An earlier xenhost, as long as it holds no guest disks that anyone could miss.
fn replace_own(disk: &DiskFacts) -> Result<(), Refusal> {
    if disk.deployment_id.is_none() {
        return Err(refusal(
            disk,
            "holds no xenhost installation, and `on_existing` is `replace-own`",
        )
        .hint("`on_existing: wipe` permits to destroy what is listed"));
    }
    if may_hold_guests(disk) {
        return Err(refusal(disk, "may hold guest disks, which `replace-own` does not destroy")
            .hint("`on_existing: wipe` permits to destroy what is listed"));
    }
    Ok(())
}

/// Guest storage goes only where the disk itself was named, not some property of it.
fn wipe(selector: &Selector, disk: &DiskFacts) -> Result<(), Refusal> {
    if may_hold_guests(disk) && !selector.spells_out_id() {
        return Err(refusal(
            disk,
            "may hold guest disks, and the answers do not name it by its id",
        )
        .hint("name the disk by `serial`, `wwn` or `by_id` to permit it"));
    }
    Ok(())
}

/// Guest storage is LVM, or a file system inside LVM.
fn may_hold_guests(disk: &DiskFacts) -> bool {
    disk.content.iter().any(|line| line.contains("LVM"))
}

fn refusal(disk: &DiskFacts, why: &str) -> Refusal {
    let mut message = format!("{} ({}) {why}; it holds", disk.path, disk.size);
    for line in &disk.content {
        message.push_str("\n    ");
        message.push_str(line);
    }
    Refusal::new(Exit::RefusedToDestroy, message)
}
