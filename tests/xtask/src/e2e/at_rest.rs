//! A host that never ran: made, taken for blessed and upgraded on an image file. What such a host
//! does on trial is seen some ten minutes earlier than that of one that was upgraded in a machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::upgrade;
use crate::call::{Call, Ended};
use crate::disks::{self, TARGET};
use crate::failure::{Result, ensure};
use crate::inside::tree::Tree;
use crate::lab::Lab;

/// On an image: seconds; far more than that on a busy machine.
const UPGRADE_LIMIT: Duration = Duration::from_secs(600);

/// A disk with a system in slot a that says it was blessed.
pub(super) fn blessed(lab: &mut Lab, name: &str) -> Result<PathBuf> {
    let disk = lab.run.join(format!("{name}.img"));
    disks::copy(&lab.offline_disk()?, &disk)?;
    let says = ("/var/lib/xenhost/blessed.json".to_owned(), Some("{}\n".to_owned()));
    Tree::open(&disk, 1)?.change(&lab.run, &[says])?;
    Ok(disk)
}

/// The same with the next release on trial in slot b.
pub(super) fn on_trial(lab: &mut Lab, name: &str) -> Result<PathBuf> {
    let disk = blessed(lab, name)?;
    let release = upgrade::next_folder(lab)?;
    lab.report.stage(&format!("{name}: upgrade the image"), |_| {
        let ended = upgrade_image(&lab.products.binaries.host_installer, &release, &disk)?;
        ensure(ended.code() == 0, || format!("exit {}:\n{}", ended.code(), ended.stderr))
    })?;
    crate::cache::remove(&release)?;
    Ok(disk)
}

/// `host-installer upgrade` on an image file: looks at the plan and performs it; where there is
/// none, the reason is the end.
pub(super) fn upgrade_image(installer: &Path, release: &Path, disk: &Path) -> Result<Ended> {
    upgrade_with(installer, release, disk, &[])
}

/// The same with more on the command line.
pub(super) fn upgrade_with(
    installer: &Path,
    release: &Path,
    disk: &Path,
    more: &[&str],
) -> Result<Ended> {
    let planned = upgrade_call(installer, release, disk).args(more).arg("--json").output()?;
    if planned.code() != 12 {
        return Ok(planned);
    }
    let digest = upgrade::digest_of(&planned.stdout)?;
    upgrade_call(installer, release, disk).args(more).args(["--confirm", &digest]).output()
}

/// The command, which a caller tells what is to become of the plan.
pub(super) fn upgrade_call(installer: &Path, release: &Path, disk: &Path) -> Call {
    Call::new(installer)
        .args(["upgrade", "--release"])
        .arg(release)
        .arg("--disk")
        .arg(format!("{TARGET}={}", disk.display()))
        .limit(UPGRADE_LIMIT)
}
