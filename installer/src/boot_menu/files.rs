//! Which hypervisors and kernels lie in `/boot`, newest first.

use std::cmp::Reverse;
use std::fs;
use std::path::Path;

use installer_core::bootcfg::BootFiles;

use super::keep::{COPIES, same_content};
use super::version::Version;
use super::{BOOT, BootMenuError, FOLDER, failed};

/// Kernels and hypervisors beyond these stay out of the menu.
const KERNELS_MAX: usize = 3;
const XENS_MAX: usize = 3;

/// Every hypervisor with every kernel: the newest of both first, then older kernels with the newest
/// hypervisor, then older hypervisors.
pub(super) fn entries(root: &Path) -> Result<Vec<BootFiles>, BootMenuError> {
    let folder = root.join(BOOT);
    let names = names(&folder)?;
    let kernels = kernels(&names);
    let xens = xens(root, &names);
    let nothing = |what| BootMenuError::Nothing { path: folder.clone(), what };
    if kernels.is_empty() {
        return Err(nothing("kernel with its initrd (vmlinuz-*, initrd.img-*)"));
    }
    if xens.is_empty() {
        return Err(nothing("hypervisor (xen-*.gz)"));
    }
    let mut entries = Vec::new();
    for xen in xens.iter().take(XENS_MAX) {
        for kernel in kernels.iter().take(KERNELS_MAX) {
            let (kernel, initrd) =
                (format!("/{BOOT}/vmlinuz-{kernel}"), format!("/{BOOT}/initrd.img-{kernel}"));
            // A name that the boot loader's script cannot hold is not Debian's.
            entries.extend(BootFiles::new(xen, &kernel, &initrd).ok());
        }
    }
    if entries.is_empty() {
        Err(nothing("kernel and hypervisor of usable name"))
    } else {
        Ok(entries)
    }
}

/// The newest hypervisor in `/boot`, as an absolute path within the root.
pub(super) fn newest_xen(root: &Path) -> Result<Option<String>, BootMenuError> {
    Ok(packaged_xens(&names(&root.join(BOOT))?).into_iter().next())
}

/// Plain files; links and what a package manager has under way do not count.
fn names(folder: &Path) -> Result<Vec<String>, BootMenuError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed("listing", folder))? {
        let entry = entry.map_err(failed("listing", folder))?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let name = entry.file_name().to_string_lossy().into_owned();
        let under_way = name.contains(".dpkg-")
            || [".new", ".old", ".bak", "~"].iter().any(|end| name.ends_with(end));
        if is_file && !under_way {
            names.push(name);
        }
    }
    Ok(names)
}

/// Versions of the kernels whose initrd is there too; while a kernel is being installed it is not.
fn kernels(names: &[String]) -> Vec<String> {
    let has_initrd = |version: &&str| names.contains(&format!("initrd.img-{version}"));
    let mut versions: Vec<&str> =
        names.iter().filter_map(|name| name.strip_prefix("vmlinuz-")).filter(has_initrd).collect();
    versions.sort_by_cached_key(|version| Reverse(Version::new(version)));
    versions.into_iter().map(str::to_owned).collect()
}

fn packaged_xens(names: &[String]) -> Vec<String> {
    let version = |name: &str| Some(name.strip_prefix("xen-")?.strip_suffix(".gz")?.to_owned());
    let mut versions: Vec<String> = names.iter().filter_map(|name| version(name)).collect();
    versions.sort_by_cached_key(|version| Reverse(Version::new(version)));
    versions.into_iter().map(|version| format!("/{BOOT}/xen-{version}.gz")).collect()
}

/// Those of packages, then our copies of former ones where they differ.
fn xens(root: &Path, names: &[String]) -> Vec<String> {
    let mut xens = packaged_xens(names);
    for copy in COPIES {
        let path = format!("/{FOLDER}/{copy}");
        let is_new = |other: &String| !same_content(&at(root, other), &at(root, &path));
        if at(root, &path).is_file() && xens.iter().all(is_new) {
            xens.push(path);
        }
    }
    xens
}

/// An absolute path of the dom0, where it lies for us.
pub(super) fn at(root: &Path, path: &str) -> std::path::PathBuf {
    root.join(path.trim_start_matches('/'))
}
