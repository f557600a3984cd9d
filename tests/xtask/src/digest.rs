//! Digests of files, folders and sparse disks.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::failure::{At, Result};

const BLOCK: usize = 65536;

/// Collects what a key or a digest depends on. Every part is written with its length, so that no
/// two lists of parts look alike.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inputs(Sha256);

impl Inputs {
    pub(crate) fn part(mut self, name: &str, value: &[u8]) -> Self {
        for bytes in [name.as_bytes(), value] {
            self.0.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            self.0.update(bytes);
        }
        self
    }

    /// A file's content, or a folder's names, modes and contents in order of names.
    pub(crate) fn path(mut self, path: &Path) -> Result<Self> {
        let kind = std::fs::symlink_metadata(path).at("looking at", path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if kind.is_symlink() {
            let to = std::fs::read_link(path).at("reading", path)?;
            return Ok(self.part(&name, to.to_string_lossy().as_bytes()));
        }
        if !kind.is_dir() {
            let content = std::fs::read(path).at("reading", path)?;
            let executable = kind.permissions().mode() & 0o111;
            return Ok(self.part(&format!("{name} {executable:o}"), &content));
        }
        let entries = std::fs::read_dir(path).at("listing", path)?;
        let mut children = entries.collect::<std::io::Result<Vec<_>>>().at("listing", path)?;
        children.sort_by_key(std::fs::DirEntry::file_name);
        self = self.part(&name, b"folder");
        for child in children {
            self = self.path(&child.path())?;
        }
        Ok(self.part(&name, b"end"))
    }

    /// The digest, in lower-case hexadecimal.
    pub(crate) fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}

/// SHA-256 of a text, as `sha256sum` says it.
pub(crate) fn text(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot go wrong");
        text
    })
}

/// SHA-256 of a whole file.
pub(crate) fn file(path: &Path) -> Result<String> {
    let mut file = File::open(path).at("opening", path)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; BLOCK]);
    loop {
        let got = file.read(&mut buffer).at("reading", path)?;
        if got == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(buffer.get(..got).unwrap_or_default());
    }
}

/// A digest of what a sparse disk holds: its length, and place and content of every block that is
/// not all zeros. Holes and written zeros count the same, so that only content makes a difference.
pub(crate) fn disk(path: &Path) -> Result<String> {
    use rustix::fs::{SeekFrom, seek};
    let file = File::open(path).at("opening", path)?;
    let size = file.metadata().at("looking at", path)?.len();
    let mut hash = Sha256::new();
    hash.update(size.to_le_bytes());
    let mut buffer = vec![0; BLOCK];
    let block = u64::try_from(BLOCK).expect("64 KiB");
    let mut at = 0;
    while at < size {
        match seek(&file, SeekFrom::Data(at)) {
            Ok(data) => at = data - data % block,
            Err(rustix::io::Errno::NXIO) => break,
            Err(e) => return Err(std::io::Error::from(e)).at("searching", path),
        }
        let hole = seek(&file, SeekFrom::Hole(at)).map_err(std::io::Error::from);
        let hole = hole.at("searching", path)?.max(at + 1);
        while at < hole {
            let length = usize::try_from(block.min(size - at)).expect("at most 64 KiB");
            let bytes = buffer.get_mut(..length).expect("the buffer has 64 KiB");
            file.read_exact_at(bytes, at).at("reading", path)?;
            if bytes.iter().any(|b| *b != 0) {
                hash.update(at.to_le_bytes());
                hash.update(bytes);
            }
            at += block;
        }
    }
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_s_digest_changes_with_names_contents_and_modes() {
        let dir = tempfile::tempdir().unwrap();
        let digest = || Inputs::default().path(dir.path()).unwrap().hex();
        let file = dir.path().join("a");
        let mut seen = vec![digest()];
        std::fs::write(&file, "x").unwrap();
        seen.push(digest());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        seen.push(digest());
        std::fs::rename(&file, dir.path().join("b")).unwrap();
        seen.push(digest());
        let different: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!(different.len(), seen.len());
    }

    #[test]
    fn a_disk_s_digest_sees_every_byte_and_no_hole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let disk_file = File::create(&path).unwrap();
        disk_file.set_len(1 << 30).unwrap();
        let empty = disk(&path).unwrap();
        disk_file.write_all_at(&[0; 4096], 5 << 20).unwrap();
        assert_eq!(disk(&path).unwrap(), empty);
        disk_file.write_all_at(&[1], (700 << 20) + 12345).unwrap();
        let one = disk(&path).unwrap();
        assert_ne!(one, empty);
        disk_file.write_all_at(&[1], (700 << 20) + 12346).unwrap();
        assert_ne!(disk(&path).unwrap(), one);
    }
}
