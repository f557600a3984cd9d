//! Directory trees: walking them in a fixed order, giving them fixed times, naming their content.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use installer::release_dir::hex;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};

/// A file of a tree. The root itself has an empty path.
#[derive(Debug)]
pub struct Node {
    /// Relative to the root of the tree.
    pub path: PathBuf,
    pub meta: Metadata,
}

/// Every file below `root`, itself included, parents before children, sorted by bytes.
pub fn walk(root: &Path) -> Result<Vec<Node>> {
    let meta = root.symlink_metadata().map_err(Error::io(root))?;
    let mut nodes = vec![Node { path: PathBuf::new(), meta }];
    if nodes[0].meta.is_dir() {
        add_children(root, Path::new(""), &mut nodes)?;
    }
    Ok(nodes)
}

/// The path of a node; joining an empty path would add a slash, which files do not bear.
fn full(root: &Path, below: &Path) -> PathBuf {
    if below.as_os_str().is_empty() { root.to_owned() } else { root.join(below) }
}

fn add_children(root: &Path, below: &Path, nodes: &mut Vec<Node>) -> Result<()> {
    let dir = full(root, below);
    let entries = std::fs::read_dir(&dir).map_err(Error::io(&dir))?;
    let names: std::io::Result<Vec<_>> = entries.map(|e| e.map(|e| e.file_name())).collect();
    let mut names = names.map_err(Error::io(&dir))?;
    names.sort();
    for name in names {
        let path = below.join(name);
        let child = root.join(&path);
        let meta = child.symlink_metadata().map_err(Error::io(&child))?;
        let is_dir = meta.is_dir();
        nodes.push(Node { path: path.clone(), meta });
        if is_dir {
            add_children(root, &path, nodes)?;
        }
    }
    Ok(())
}

/// Gives every folder, and every file that is younger than `epoch`, this time, so that the time of
/// the build leaves no trace. The time of a folder tells when something was put into it, which a
/// build from cached packages does at another time than one that fetched them.
pub fn clamp_times(root: &Path, epoch: i64) -> Result<()> {
    for node in walk(root)? {
        if node.meta.mtime() < epoch && !node.meta.is_dir() {
            continue;
        }
        let path = full(root, &node.path);
        set_time(&path, epoch).map_err(Error::io(&path))?;
    }
    Ok(())
}

/// Dates one node, a link itself and not what it points to. `time` in seconds since 1970.
pub fn set_time(path: &Path, time: i64) -> std::io::Result<()> {
    let stamp = Timespec { tv_sec: time, tv_nsec: 0 };
    let times = Timestamps { last_access: stamp, last_modification: stamp };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// A name for the content: paths, kinds, modes, owners, times, targets and bytes.
pub fn digest(root: &Path) -> Result<[u8; 32]> {
    let mut hash = Sha256::new();
    for node in walk(root)? {
        let meta = &node.meta;
        let path = full(root, &node.path);
        hash.update(node.path.as_os_str().as_bytes());
        hash.update([0]);
        for number in [u64::from(meta.mode()), u64::from(meta.uid()), u64::from(meta.gid())] {
            hash.update(number.to_le_bytes());
        }
        hash.update(meta.mtime().to_le_bytes());
        if meta.is_file() {
            hash.update(meta.len().to_le_bytes());
            let mut file = std::fs::File::open(&path).map_err(Error::io(&path))?;
            std::io::copy(&mut file, &mut HashWriter(&mut hash)).map_err(Error::io(&path))?;
        } else if meta.is_symlink() {
            let target = std::fs::read_link(&path).map_err(Error::io(&path))?;
            hash.update(target.as_os_str().as_bytes());
            hash.update([0]);
        } else if meta.file_type().is_char_device() || meta.file_type().is_block_device() {
            hash.update(meta.rdev().to_le_bytes());
        }
    }
    Ok(hash.finalize().into())
}

struct HashWriter<'h>(&'h mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Length and SHA-256 of a file.
pub fn file_digest(path: &Path) -> Result<(u64, String)> {
    let mut file = std::fs::File::open(path).map_err(Error::io(path))?;
    let mut hash = Sha256::new();
    let size = std::io::copy(&mut file, &mut HashWriter(&mut hash)).map_err(Error::io(path))?;
    Ok((size, hex(&hash.finalize())))
}

/// Makes `dir` an empty directory. What was there goes, unless something is mounted below it.
pub fn recreate(dir: &Path) -> Result<()> {
    let absolute = std::path::absolute(dir).map_err(Error::io(dir))?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounted = mounts.lines().filter_map(|l| l.split(' ').nth(4));
    if let Some(point) = mounted.map(Path::new).find(|p| p.starts_with(&absolute)) {
        return Err(Error::NotA {
            path: dir.to_owned(),
            expected: "a directory that can be emptied",
            reason: format!("{} is mounted", point.display()),
        });
    }
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(dir)(e)),
        _ => {}
    }
    std::fs::create_dir_all(dir).map_err(Error::io(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_trees_have_equal_digests_and_any_change_shows() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        for (root, names) in [(&a, ["x", "y"]), (&b, ["y", "x"])] {
            for name in names {
                std::fs::create_dir_all(root.join(name)).unwrap();
                std::fs::write(root.join(name).join("f"), name).unwrap();
            }
            clamp_times(root, 1_000_000_000).unwrap();
        }
        assert_eq!(digest(&a).unwrap(), digest(&b).unwrap());
        std::fs::write(b.join("x/f"), "z").unwrap();
        clamp_times(&b, 1_000_000_000).unwrap();
        assert_ne!(digest(&a).unwrap(), digest(&b).unwrap());
    }

    #[test]
    fn only_younger_files_are_clamped() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, "").unwrap();
        clamp_times(&file, 1_000).unwrap();
        clamp_times(dir.path(), 2_000).unwrap();
        assert_eq!(file.metadata().unwrap().mtime(), 1_000);
    }
}
