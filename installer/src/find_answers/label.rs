//! Volumes labelled `ANSWERFILE`, read without mounting and without the right to write.
//!
//! A stick made on any desktop is FAT; ext4 and a small ISO are taken too. What cannot be read is
//! skipped unless it carries the label.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use partitioner::inspect::ext4;
use partitioner::units::{BlockSize, Bytes};

use super::read_max;
use crate::probe::Reader;

/// Compared without regard to case: FAT has capitals only.
const LABEL: &str = "ANSWERFILE";
const NAMES: [&str; 2] = ["answers.yaml", "answers.xml"];
/// How much of a FAT volume may be read, so that a folder that leads into itself ends.
const FAT_BYTES_MAX: u64 = 64 << 20;
/// A FAT boot sector's label: of FAT32, of FAT12 and FAT16 (Microsoft's specification, 3.1 to 3.3).
const FAT_LABELS: [usize; 2] = [71, 43];
/// ext4's superblock, and the label in it.
const EXT4_LABEL: usize = 1024 + 0x78;
/// ECMA-119: the first descriptor and the name of the volume in it.
const ISO: usize = 32_768;

/// One volume with the label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    pub device: String,
    /// The file's name and content, if there is one.
    pub file: Option<(String, Vec<u8>)>,
}

/// What a device holds, if it carries the label.
pub(super) fn read(device: &Path) -> io::Result<Option<Labelled>> {
    let mut head = Vec::new();
    let head_bytes = u64::try_from(ISO).unwrap_or(0) + 2048;
    File::open(device)?.take(head_bytes).read_to_end(&mut head)?;
    let file = if is_label(head.get(EXT4_LABEL..EXT4_LABEL + 16)) {
        from_ext4(device)?
    } else if FAT_LABELS.iter().any(|at| is_label(head.get(*at..*at + 11))) {
        from_fat(device)?
    } else if head.get(ISO..ISO + 6) == Some(b"\x01CD001") && is_label(head.get(ISO + 40..ISO + 72))
    {
        super::iso::file(&File::open(device)?, &NAMES)?
    } else {
        return Ok(None);
    };
    Ok(Some(Labelled { device: device.to_string_lossy().into_owned(), file }))
}

fn is_label(bytes: Option<&[u8]>) -> bool {
    let text = String::from_utf8_lossy(bytes.unwrap_or_default());
    text.trim_matches(|c: char| c == ' ' || c == '\0').eq_ignore_ascii_case(LABEL)
}

type Answers = Option<(String, Vec<u8>)>;

fn from_ext4(device: &Path) -> io::Result<Answers> {
    let mut volume = Reader::open(device, BlockSize::B512)?;
    let max = Bytes::new(read_max());
    let answer = ext4::ask(&mut volume, |fs| {
        for name in NAMES {
            if let Some(bytes) = ext4::file(fs, &format!("/{name}"), max)? {
                return Ok(Some((name.to_owned(), bytes)));
            }
        }
        Ok(None)
    });
    answer.map_err(io::Error::other)?.map_err(io::Error::other)
}

fn from_fat(device: &Path) -> io::Result<Answers> {
    let bounded = Bounded::new(File::open(device)?);
    let options = fatfs::FsOptions::new().update_accessed_date(false);
    let volume = fatfs::FileSystem::new(bounded, options)?;
    for name in NAMES {
        match volume.root_dir().open_file(name) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(read_max()).read_to_end(&mut bytes)?;
                return Ok(Some((name.to_owned(), bytes)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// A device of which only so much is read, and nothing written.
pub(crate) struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R> Bounded<R> {
    /// As much as a stick with answers holds.
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, left: FAT_BYTES_MAX }
    }
}

impl<R> fmt::Debug for Bounded<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded").field("left", &self.left).finish_non_exhaustive()
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        let length = u64::try_from(read).unwrap_or(u64::MAX).max(1);
        let left = self.left.checked_sub(length);
        self.left = left.ok_or_else(|| io::Error::other("more than a small volume holds"))?;
        Ok(read)
    }
}

impl<R: Seek> Seek for Bounded<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

impl<R> Write for Bounded<R> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
