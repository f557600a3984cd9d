//! Writes cpio archives, the form of an initramfs. No time and no inode number of the build
//! machine gets into them.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use cpio::newc::{self, ModeFileType};

use crate::error::{Error, Result};

/// An archive being written. Parent folders are added by themselves.
#[derive(Debug)]
pub struct Archive<W: Write> {
    out: Option<W>,
    inode: u32,
    folders: BTreeSet<String>,
    names: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    pub fn new(out: W) -> Self {
        Self { out: Some(out), inode: 0, folders: BTreeSet::new(), names: BTreeSet::new() }
    }

    /// Paths are relative, without a leading slash. A path that is there already stays as it is.
    pub fn file(&mut self, path: &str, mode: u32, body: &[u8]) -> Result<()> {
        self.parents(path)?;
        self.entry(path, ModeFileType::Regular, mode, (0, 0), body)
    }

    pub fn symlink(&mut self, path: &str, target: &str) -> Result<()> {
        self.parents(path)?;
        self.entry(path, ModeFileType::Symlink, 0o777, (0, 0), target.as_bytes())
    }

    pub fn folder(&mut self, path: &str) -> Result<()> {
        self.parents(path)?;
        if self.folders.insert(path.to_owned()) {
            return self.entry(path, ModeFileType::Directory, 0o755, (0, 0), &[]);
        }
        Ok(())
    }

    pub fn char_device(&mut self, path: &str, mode: u32, number: (u32, u32)) -> Result<()> {
        self.parents(path)?;
        self.entry(path, ModeFileType::Char, mode, number, &[])
    }

    /// Whether the path is in the archive.
    pub fn has(&self, path: &str) -> bool {
        self.names.contains(path)
    }

    pub fn finish(mut self) -> Result<W> {
        let out = self.out.take().expect("only finish takes it");
        newc::trailer(out).map_err(Error::io(Path::new("a cpio archive")))
    }

    fn parents(&mut self, path: &str) -> Result<()> {
        match path.rsplit_once('/') {
            Some((parent, _)) => self.folder(parent),
            None => Ok(()),
        }
    }

    fn entry(
        &mut self,
        path: &str,
        kind: ModeFileType,
        mode: u32,
        (major, minor): (u32, u32),
        body: &[u8],
    ) -> Result<()> {
        if !self.names.insert(path.to_owned()) {
            return Ok(());
        }
        let shown = Path::new(path);
        let too_large = std::io::Error::other("a file of 4 GiB or more does not fit in cpio");
        let length = u32::try_from(body.len()).map_err(|_| Error::io(shown)(too_large))?;
        self.inode += 1;
        let builder = newc::Builder::new(path)
            .ino(self.inode)
            .mode(mode)
            .set_mode_file_type(kind)
            .rdev_major(major)
            .rdev_minor(minor);
        let out = self.out.take().expect("it is put back below");
        let mut writer = builder.write(out, length);
        writer.write_all(body).map_err(Error::io(shown))?;
        self.out = Some(writer.finish().map_err(Error::io(shown))?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_once_and_parents_first() {
        let mut archive = Archive::new(Vec::new());
        archive.file("a/b/c", 0o644, b"1").unwrap();
        archive.file("a/b/c", 0o644, b"2").unwrap();
        archive.symlink("a/l", "b/c").unwrap();
        archive.char_device("dev/console", 0o600, (5, 1)).unwrap();
        let bytes = archive.finish().unwrap();
        let mut names = Vec::new();
        let mut rest = bytes.as_slice();
        loop {
            let reader = newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            names.push((reader.entry().name().to_owned(), reader.entry().mode()));
            rest = reader.finish().unwrap();
        }
        assert_eq!(
            names,
            [
                ("a".to_owned(), 0o040_755),
                ("a/b".to_owned(), 0o040_755),
                ("a/b/c".to_owned(), 0o100_644),
                ("a/l".to_owned(), 0o120_777),
                ("dev".to_owned(), 0o040_755),
                ("dev/console".to_owned(), 0o020_600),
            ]
        );
    }
}
