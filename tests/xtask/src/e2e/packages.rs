//! Packages of dom0 that bring new boot files: the hooks regenerate the boot menu, durably.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::call::Call;
use crate::digest;
use crate::disks::TARGET;
use crate::dom0;
use crate::failure::{At, Failure, Result, ensure};
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware};

/// Making an initramfs under emulation, which is mostly starting processes.
const APT_LIMIT: Duration = Duration::from_secs(20 * 60);
/// What is reinstalled, by the beginning of its name: what is real, not what depends on it.
const NAMES: [&str; 2] = ["linux-image-6", "xen-hypervisor-4"];
const ARCHIVE: &str = "SN44";

/// `apt-get install --reinstall` of kernel and Xen, then the power goes, then it boots.
///
/// The packages are installed in dom0's system without Xen under it: there, making an initramfs
/// under emulation takes more than a quarter of an hour.
pub(super) fn reinstall(lab: &mut Lab) -> Result<()> {
    let archive = archive_disk(lab)?;
    let target = lab.installed_copy(Firmware::Uefi, "reinstall")?;
    let target = Disk { path: target, serial: TARGET };
    let disks = [target.clone(), Disk { path: archive, serial: ARCHIVE }];
    let mut dom0 = dom0::boot_without_xen(lab, "reinstall", &disks)?;
    let before = dom0.must("stat -c %y /boot/xenhost/slot.cfg")?;
    lab.report.stage("reinstall: apt-get", |_| {
        dom0.must("mkdir -p /mnt && mount -o ro /dev/disk/by-id/virtio-SN44 /mnt")?;
        dom0.must("echo 'deb [trusted=yes] file:/mnt ./' >/run/local.list")?;
        let apt = "apt-get -o Dir::Etc::sourcelist=/run/local.list -o Dir::Etc::sourceparts=- \
                   -o APT::Sandbox::User=root";
        dom0.must(&format!("{apt} update"))?;
        let names = dom0.must(&format!(
            "dpkg-query -W -f '${{Package}}\\n' | grep -E '^({})'",
            NAMES.join("|")
        ))?;
        let names = names.split_whitespace().collect::<Vec<_>>().join(" ");
        let command =
            format!("DEBIAN_FRONTEND=noninteractive {apt} install --reinstall -y {names}");
        let said = dom0.shell.must(&command, APT_LIMIT)?;
        ensure(said.contains("Setting up linux-image"), || format!("no kernel was set up:\n{said}"))
    })?;
    let after = dom0.must("stat -c %y /boot/xenhost/slot.cfg")?;
    ensure(before != after, || "the boot menu was not made anew".to_owned())?;
    dom0.cut_power()?;
    let mut dom0 = dom0::boot(lab, "reinstall-again", Firmware::Uefi, &[target])?;
    dom0.wait_ready(lab, "reinstall-again")?;
    dom0.look(dom0::MODERN)?;
    dom0.power_off(lab, "reinstall-again")
}

/// A disk that holds an apt archive with the packages that the build fetched.
fn archive_disk(lab: &Lab) -> Result<PathBuf> {
    let folder = lab.run.join("archive-debs");
    std::fs::create_dir_all(&folder).at("making", &folder)?;
    let mut index = String::new();
    for deb in debs(&lab.products.packages.join("debs"))? {
        let name = deb.file_name().unwrap_or_default().to_string_lossy().into_owned();
        std::fs::copy(&deb, folder.join(&name)).at("copying", &deb)?;
        let control = Call::new("dpkg-deb").arg("-f").arg(&deb).stdout()?;
        let size = deb.metadata().at("looking at", &deb)?.len();
        let sha256 = digest::file(&deb)?;
        writeln!(index, "{}\nFilename: ./{name}\nSize: {size}\nSHA256: {sha256}\n", control.trim())
            .expect("writing to a string cannot go wrong");
    }
    let packages = folder.join("Packages");
    std::fs::write(&packages, index).at("writing", &packages)?;
    let disk = lab.run.join("archive.img");
    Call::new("mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-L", "archive", "-d"])
        .args([&folder, &disk])
        .arg("600M")
        .limit(Duration::from_secs(120))
        .stdout()?;
    Ok(disk)
}

/// The newest file of each package to reinstall.
fn debs(cache: &Path) -> Result<Vec<PathBuf>> {
    let found = Call::new("find").arg(cache).args(["-name", "*.deb"]).stdout()?;
    let mut paths: Vec<PathBuf> = found.lines().map(PathBuf::from).collect();
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        NAMES.iter().any(|begin| name.starts_with(begin))
    });
    ensure(paths.len() >= NAMES.len(), || {
        Failure::check(format!("{} holds no kernel or no Xen", cache.display())).to_string()
    })?;
    Ok(paths)
}
