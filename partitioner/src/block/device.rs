//! A block device of the machine, past the page cache.
//!
//! Opened with `O_EXCL`, which the kernel grants only where nothing else holds the device or one
//! of its partitions (mounts, device mapper, md, swap), and `O_DIRECT`, so that what is read back
//! comes from the device. Buffers of callers need no alignment: they are copied through an aligned
//! one.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags, fallocate, ioctl_blksszget};

use crate::block::file::write_zeros;
use crate::block::{BlockIo, IoError, extent_of, within};
use crate::units::{BlockSize, Bytes, Extent, Lba};

/// Transfers go through a buffer of this size.
const BOUNCE: usize = 1 << 20;
/// Enough for every logical block size in use, and for memory that a controller maps by page.
const ALIGN: usize = 4096;

/// A whole disk of the machine.
#[derive(Debug)]
pub struct DeviceDisk {
    path: PathBuf,
    name: String,
    file: File,
    block_size: BlockSize,
    blocks: u64,
    bounce: Bounce,
}

impl DeviceDisk {
    /// Opens the device for this process alone.
    pub fn open(path: &Path) -> Result<Self, IoError> {
        Self::of(path, open_file(path, Access::Exclusive)?)
    }

    /// Opens the device to look at it, beside whoever uses it. Every write is refused by the
    /// operating system.
    pub fn open_read_only(path: &Path) -> Result<Self, IoError> {
        Self::of(path, open_file(path, Access::ReadOnly)?)
    }

    /// Opens the device beside whoever uses its partitions. The caller sees to it that no write
    /// meets theirs.
    pub fn open_shared(path: &Path) -> Result<Self, IoError> {
        Self::of(path, open_file(path, Access::Shared)?)
    }

    fn of(path: &Path, file: File) -> Result<Self, IoError> {
        let os = failed(path, "open");
        let block_size = ioctl_blksszget(&file).map_err(|errno| os(errno.into()))?;
        let block_size = BlockSize::new(block_size)
            .filter(|size| u64::try_from(ALIGN).is_ok_and(|align| size.bytes() <= align))
            .ok_or_else(|| os(io::Error::other(format!("block size {block_size}"))))?;
        let size = (&file).seek(SeekFrom::End(0)).map_err(&os)?;
        let blocks = Bytes::new(size).blocks_floor(block_size);
        let name = path.display().to_string();
        Ok(Self { path: path.to_owned(), name, file, block_size, blocks, bounce: Bounce::new() })
    }

    /// Opens the device again without `O_EXCL`: tools may now claim its partitions. Writes through
    /// this value stay possible, and the caller sees to it that they do not meet a tool's.
    pub fn release_exclusive(&mut self) -> Result<(), IoError> {
        // The kernel counts openers by file description: the old one is closed by the assignment.
        self.file = open_file(&self.path, Access::Shared)?;
        Ok(())
    }

    fn offset(&self, at: Lba) -> Result<u64, IoError> {
        at.byte_offset(self.block_size).ok_or_else(|| IoError::OutOfRange {
            disk: self.name.clone(),
            extent: Extent::from(at..),
            blocks: self.blocks,
        })
    }

    fn os(&self, action: &'static str, at: Lba) -> impl Fn(io::Error) -> IoError + use<> {
        let disk = self.name.clone();
        move |source| IoError::os(disk.clone(), action, at, source)
    }
}

#[derive(Clone, Copy)]
enum Access {
    Exclusive,
    Shared,
    ReadOnly,
}

fn open_file(path: &Path, access: Access) -> Result<File, IoError> {
    let exclusive = match access {
        Access::Exclusive => OFlags::EXCL,
        Access::Shared | Access::ReadOnly => OFlags::empty(),
    };
    let flags = OFlags::DIRECT | OFlags::CLOEXEC | exclusive;
    let os = failed(path, "open");
    let bits = i32::try_from(flags.bits()).map_err(|error| os(io::Error::other(error)))?;
    let write = !matches!(access, Access::ReadOnly);
    let file = OpenOptions::new().read(true).write(write).custom_flags(bits).open(path);
    let file = file.map_err(&os)?;
    if file.metadata().map_err(&os)?.file_type().is_block_device() {
        Ok(file)
    } else {
        Err(os(io::Error::new(io::ErrorKind::InvalidInput, "not a block device")))
    }
}

fn failed(path: &Path, action: &'static str) -> impl Fn(io::Error) -> IoError + use<> {
    let disk = path.display().to_string();
    move |source| IoError::os(disk.clone(), action, Lba::new(0), source)
}

impl BlockIo for DeviceDisk {
    fn name(&self) -> &str {
        &self.name
    }

    fn block_size(&self) -> BlockSize {
        self.block_size
    }

    fn blocks(&self) -> u64 {
        self.blocks
    }

    fn read(&mut self, first: Lba, into: &mut [u8]) -> Result<(), IoError> {
        extent_of(self, first, into.len())?;
        let os = self.os("read", first);
        let mut offset = self.offset(first)?;
        for part in into.chunks_mut(BOUNCE) {
            let aligned = self.bounce.aligned(part.len());
            self.file.read_exact_at(aligned, offset).map_err(&os)?;
            part.copy_from_slice(aligned);
            offset = past(offset, part.len());
        }
        Ok(())
    }

    fn write(&mut self, first: Lba, from: &[u8]) -> Result<(), IoError> {
        extent_of(self, first, from.len())?;
        let os = self.os("write", first);
        let mut offset = self.offset(first)?;
        for part in from.chunks(BOUNCE) {
            let aligned = self.bounce.aligned(part.len());
            aligned.copy_from_slice(part);
            self.file.write_all_at(aligned, offset).map_err(&os)?;
            offset = past(offset, part.len());
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), IoError> {
        // On a block device this sends a cache flush to the drive.
        self.file.sync_data().map_err(self.os("flush", Lba::new(0)))
    }

    fn zero(&mut self, extent: Extent) -> Result<(), IoError> {
        within(self, extent)?;
        let start = self.offset(extent.first())?;
        let len = self.offset(Lba::new(extent.blocks()))?;
        // For a block device the kernel performs this as BLKZEROOUT does (block/fops.c,
        // `blkdev_fallocate`), without the need for an ioctl of our own.
        let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.file, flags, start, len) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::INVAL) => {
                write_zeros(self, extent)
            }
            Err(errno) => Err(self.os("zero", extent.first())(errno.into())),
        }
    }
}

/// Within a device, whose size fits in 64 bits.
fn past(offset: u64, bytes: usize) -> u64 {
    offset.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX))
}

/// A buffer whose used part is aligned for direct I/O. It stays where it is for its lifetime.
#[derive(Debug)]
struct Bounce {
    bytes: Vec<u8>,
    start: usize,
}

impl Bounce {
    fn new() -> Self {
        let bytes = vec![0; BOUNCE + ALIGN];
        let start = bytes.as_ptr().align_offset(ALIGN);
        Self { bytes, start }
    }

    /// The first `len` bytes, at most [`BOUNCE`], of the aligned part.
    fn aligned(&mut self, len: usize) -> &mut [u8] {
        &mut self.bytes[self.start..][..len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounce_buffer_is_aligned_and_long_enough() {
        let mut bounce = Bounce::new();
        assert_eq!(bounce.aligned(BOUNCE).as_ptr().align_offset(ALIGN), 0);
        assert_eq!(bounce.aligned(BOUNCE).len(), BOUNCE);
    }

    #[test]
    fn a_regular_file_is_refused_by_name() {
        let file =
            tempfile::NamedTempFile::new_in("/dev/shm").or_else(|_| tempfile::NamedTempFile::new());
        let file = file.unwrap();
        let error = DeviceDisk::open(file.path()).unwrap_err();
        assert!(error.to_string().starts_with(&file.path().display().to_string()), "{error}");
    }
}
