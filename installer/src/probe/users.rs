//! Who uses a disk: mounts, swap, device mapper, md, loop devices.
//!
//! In: the disk's kernel name and device numbers. Out: lines for people, empty for a free disk.

use std::fs;
use std::path::{Path, PathBuf};

use super::disk::partition_nodes;
use super::sysfs::{attribute, names};
use super::{Machine, ProbeError};

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// `MAJOR:MINOR`
    pub(crate) device: String,
    pub(crate) at: String,
    pub(crate) kind: String,
    pub(crate) source: String,
}

/// Everything mounted in this process's view.
pub(crate) fn mount_points(machine: &Machine) -> Result<Vec<Mount>, ProbeError> {
    let path = machine.proc.join("self/mountinfo");
    let text = fs::read_to_string(&path).map_err(|source| ProbeError::Read { path, source })?;
    Ok(text.lines().filter_map(parse_mount).collect())
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ');
    let device = left.nth(2)?.to_owned();
    let at = unescape(left.nth(1)?);
    let mut right = right.split(' ');
    let kind = right.next()?.to_owned();
    let source = unescape(right.next()?);
    Some(Mount { device, at, kind, source })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// Who uses the disk or one of its partitions.
pub(super) fn holders(machine: &Machine, disk: &str) -> Result<Vec<String>, ProbeError> {
    let mut nodes = vec![(disk.to_owned(), machine.sys.join("block").join(disk))];
    for node in partition_nodes(machine, disk)? {
        nodes.push((node.name, node.folder));
    }
    let mounts = mount_points(machine)?;
    let swaps = fs::read_to_string(machine.proc.join("swaps")).unwrap_or_default();
    let loops = loop_backing(machine)?;
    let mut found = Vec::new();
    for (name, folder) in &nodes {
        let number = attribute(&folder.join("dev")).unwrap_or_default();
        let path = machine.dev.join(name.replace('!', "/"));
        // btrfs has device numbers of its own, so the source counts as well.
        for mount in &mounts {
            if mount.device == number || Path::new(&mount.source) == path {
                found.push(format!("{name}: mounted on {}", mount.at));
            }
        }
        let swap = swaps.lines().filter_map(|line| line.split_whitespace().next());
        if swap.into_iter().any(|used| Path::new(used) == path) {
            found.push(format!("{name}: swap in use"));
        }
        for holder in names(&folder.join("holders"))? {
            found.push(format!("{name}: used by {}", holder_name(machine, &holder)));
        }
        for (device, backing) in &loops {
            if *backing == path {
                found.push(format!("{name}: used by {device}"));
            }
        }
    }
    found.dedup();
    Ok(found)
}

/// `dm-0 (vg-root)`, `md127`.
fn holder_name(machine: &Machine, holder: &str) -> String {
    let name = machine.sys.join("block").join(holder).join("dm/name");
    attribute(&name).map_or_else(|| holder.to_owned(), |name| format!("{holder} ({name})"))
}

fn loop_backing(machine: &Machine) -> Result<Vec<(String, PathBuf)>, ProbeError> {
    let folder = machine.sys.join("block");
    let backing = |name: String| {
        let path = attribute(&folder.join(&name).join("loop/backing_file"))?;
        Some((name, PathBuf::from(path)))
    };
    Ok(names(&folder)?.into_iter().filter_map(backing).collect())
}

/// Is the installation medium mounted from this disk?
pub(super) fn holds_medium(machine: &Machine, disk: &str) -> Result<bool, ProbeError> {
    let mut numbers = vec![machine.sys.join("block").join(disk)];
    numbers.extend(partition_nodes(machine, disk)?.into_iter().map(|node| node.folder));
    let numbers: Vec<String> =
        numbers.iter().filter_map(|folder| attribute(&folder.join("dev"))).collect();
    let mounts = mount_points(machine)?;
    Ok(mounts.iter().any(|m| m.kind == "iso9660" && numbers.contains(&m.device)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo() {
        let line = "36 35 98:1 /sub /mnt/a\\040b rw,noatime master:1 - ext4 /dev/sda1 rw";
        let want = Mount {
            device: "98:1".into(),
            at: "/mnt/a b".into(),
            kind: "ext4".into(),
            source: "/dev/sda1".into(),
        };
        assert_eq!(parse_mount(line), Some(want));
        assert_eq!(parse_mount("nonsense"), None);
    }
}
