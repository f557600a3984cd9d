//! What kind of block device a path names, from sysfs: only whole disks get a table.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

use super::failure::Failure;

/// Refuses a device that is not a whole disk. An image file is one.
pub(super) fn whole_disk(path: &Path) -> Result<(), Failure> {
    let Some(folder) = sysfs(path) else { return Ok(()) };
    match kind(&folder) {
        None => Ok(()),
        Some(what) => Err(Failure::NotADisk { disk: path.display().to_string(), what }),
    }
}

/// Whether the device or the file refuses writes.
pub(super) fn write_protected(path: &Path) -> bool {
    match sysfs(path) {
        Some(folder) => read(&folder, "ro") == "1",
        None => path.metadata().is_ok_and(|meta| meta.permissions().readonly()),
    }
}

/// The kernel's folder for a block device; `None` for anything else.
fn sysfs(path: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::FileTypeExt;
    let meta = path.metadata().ok().filter(|meta| meta.file_type().is_block_device())?;
    let (major, minor) = (major(meta.rdev()), minor(meta.rdev()));
    PathBuf::from(format!("/sys/dev/block/{major}:{minor}")).canonicalize().ok()
}

fn read(folder: &Path, name: &str) -> String {
    // A file that is not there is a property that the device does not have.
    std::fs::read_to_string(folder.join(name)).unwrap_or_default().trim().to_owned()
}

/// What it is instead of a disk.
fn kind(folder: &Path) -> Option<&'static str> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    // Several paths to one disk are that disk; other mappings are parts of one.
    let multipath = read(folder, "dm/uuid").starts_with("mpath-");
    match name {
        _ if folder.join("partition").exists() => Some("a partition"),
        _ if name.starts_with("loop") => Some("a loop device"),
        _ if name.starts_with("ram") || name.starts_with("zram") => Some("memory"),
        _ if name.starts_with("sr") => Some("an optical drive"),
        _ if folder.join("dm").exists() && !multipath => Some("a device-mapper volume"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_disks_are_disks() {
        let root = tempfile::tempdir().unwrap();
        let device = |name: &str, file: Option<(&str, &str)>| {
            let folder = root.path().join(name);
            std::fs::create_dir_all(folder.join("dm")).unwrap();
            std::fs::remove_dir(folder.join("dm")).unwrap();
            if let Some((file, text)) = file {
                std::fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
                std::fs::write(folder.join(file), text).unwrap();
            }
            kind(&folder)
        };
        assert_eq!(device("sda", None), None);
        assert_eq!(device("nvme0n1", None), None);
        assert_eq!(device("sda1", Some(("partition", "1\n"))), Some("a partition"));
        assert_eq!(device("loop0", None), Some("a loop device"));
        assert_eq!(device("zram0", None), Some("memory"));
        assert_eq!(device("sr0", None), Some("an optical drive"));
        let lvm = Some(("dm/uuid", "LVM-abc\n"));
        assert_eq!(device("dm-0", lvm), Some("a device-mapper volume"));
        assert_eq!(device("dm-1", Some(("dm/uuid", "mpath-3600\n"))), None);
    }
}
