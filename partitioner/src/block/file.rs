//! A disk image in a file. Holes stay holes: zeroing punches them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::Errno;

use crate::block::{BlockIo, IoError, PIECE, extent_of, within};
use crate::units::{BlockSize, Bytes, Extent, Lba};

/// An image file. A rest at the end that is smaller than a block is not part of the disk.
#[derive(Debug)]
pub struct FileDisk {
    name: String,
    file: File,
    block_size: BlockSize,
    blocks: u64,
}

impl FileDisk {
    /// Makes a sparse image that reads as zero. A file that is there already is not touched.
    pub fn create(path: &Path, size: Bytes, block_size: BlockSize) -> Result<Self, IoError> {
        let os = at_start(path, "create");
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).open(path).map_err(&os)?;
        file.set_len(size.get()).map_err(&os)?;
        Self::of(path, file, block_size)
    }

    /// Opens an image for reading and writing.
    pub fn open(path: &Path, block_size: BlockSize) -> Result<Self, IoError> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        Self::of(path, file.map_err(at_start(path, "open"))?, block_size)
    }

    /// Opens an image; every write is refused by the operating system.
    pub fn open_read_only(path: &Path, block_size: BlockSize) -> Result<Self, IoError> {
        let file = File::open(path).map_err(at_start(path, "open"))?;
        Self::of(path, file, block_size)
    }

    fn of(path: &Path, file: File, block_size: BlockSize) -> Result<Self, IoError> {
        let os = at_start(path, "open");
        let meta = file.metadata().map_err(&os)?;
        if !meta.is_file() {
            return Err(os(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
        }
        let blocks = Bytes::new(meta.len()).blocks_floor(block_size);
        Ok(Self { name: path.display().to_string(), file, block_size, blocks })
    }

    fn offset(&self, at: Lba) -> Result<u64, IoError> {
        // An extent within the file has an offset; this cannot fail after `extent_of`.
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

fn at_start(path: &Path, action: &'static str) -> impl Fn(io::Error) -> IoError + use<> {
    let disk = path.display().to_string();
    move |source| IoError::os(disk.clone(), action, Lba::new(0), source)
}

impl BlockIo for FileDisk {
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
        self.file.read_exact_at(into, self.offset(first)?).map_err(self.os("read", first))
    }

    fn write(&mut self, first: Lba, from: &[u8]) -> Result<(), IoError> {
        extent_of(self, first, from.len())?;
        self.file.write_all_at(from, self.offset(first)?).map_err(self.os("write", first))
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.file.sync_data().map_err(self.os("flush", Lba::new(0)))
    }

    fn zero(&mut self, extent: Extent) -> Result<(), IoError> {
        within(self, extent)?;
        let start = self.offset(extent.first())?;
        let len = self.offset(Lba::new(extent.blocks()))?;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.file, flags, start, len) {
            Ok(()) => Ok(()),
            // A file system without holes: zeros are written out.
            Err(Errno::OPNOTSUPP) => write_zeros(self, extent),
            Err(errno) => Err(self.os("zero", extent.first())(errno.into())),
        }
    }

    fn is_zero(&mut self, extent: Extent) -> Result<bool, IoError> {
        within(self, extent)?;
        let block = self.block_size.bytes();
        let mut at = extent.first();
        while at <= extent.last() {
            let data = match seek(&self.file, SeekFrom::Data(self.offset(at)?)) {
                Ok(data) => Lba::new(data.checked_div(block).unwrap_or(0)),
                // A hole up to the end.
                Err(Errno::NXIO) => break,
                // A file system that does not tell holes.
                Err(_) => at,
            };
            let step = PIECE.blocks_floor(self.block_size).max(1);
            let Some(left) = Extent::new(data, extent.last()) else { break };
            let blocks = left.blocks().min(step);
            let len = blocks.saturating_mul(block);
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
            self.read(data, &mut bytes)?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at = data.checked_add(blocks).unwrap_or(Lba::new(u64::MAX));
        }
        Ok(true)
    }
}

/// Zeros an extent by writing, for devices and file systems that have no cheaper way.
pub(crate) fn write_zeros(disk: &mut dyn BlockIo, extent: Extent) -> Result<(), IoError> {
    const CHUNK: Bytes = Bytes::mib(1);
    let step = CHUNK.blocks_floor(disk.block_size()).max(1);
    let mut at = extent.first();
    while at <= extent.last() {
        let left = Extent::new(at, extent.last()).map_or(0, Extent::blocks).min(step);
        let len = left.saturating_mul(disk.block_size().bytes());
        disk.write(at, &vec![0; usize::try_from(len).unwrap_or(0)])?;
        at = at.checked_add(left).unwrap_or(Lba::new(u64::MAX));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn an_image_is_sparse_and_zeroing_frees_it_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        let mut disk = FileDisk::create(&path, Bytes::gib(60), BlockSize::B512).unwrap();
        assert_eq!(disk.blocks(), 125_829_120);
        disk.write(Lba::new(2048), &vec![7; 1 << 20]).unwrap();
        disk.flush().unwrap();
        let used = || std::fs::metadata(&path).unwrap().blocks();
        assert!(used() >= 2048);
        disk.zero(Extent::with_len(Lba::new(2048), 2048).unwrap()).unwrap();
        disk.flush().unwrap();
        assert!(used() < 2048, "{}", used());
        let mut back = [1; 512];
        disk.read(Lba::new(2048), &mut back).unwrap();
        assert_eq!(back, [0; 512]);
        FileDisk::create(&path, Bytes::gib(1), BlockSize::B512).unwrap_err();
    }

    #[test]
    fn zeros_are_written_where_holes_cannot_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        let mut disk = FileDisk::create(&path, Bytes::mib(4), BlockSize::B4096).unwrap();
        disk.write(Lba::new(0), &vec![7; 4 << 20]).unwrap();
        write_zeros(&mut disk, Extent::new(Lba::new(1), Lba::new(1022)).unwrap()).unwrap();
        let all = std::fs::read(&path).unwrap();
        let (end, len) = (all.len() - 4096, all.len());
        assert!(all[..4096].iter().chain(&all[end..len]).all(|byte| *byte == 7));
        assert!(all[4096..end].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn zeros_are_told_whether_they_are_holes_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        for size in [BlockSize::B512, BlockSize::B4096] {
            let mut disk = FileDisk::create(&path, Bytes::mib(64), size).unwrap();
            let extent = |first, last| Extent::new(Lba::new(first), Lba::new(last)).unwrap();
            let last = disk.blocks() - 1;
            let block = vec![1; usize::try_from(size.bytes()).unwrap()];
            assert!(disk.is_zero(extent(0, last)).unwrap());
            // Zeros that are written are no hole.
            write_zeros(&mut disk, extent(0, 9)).unwrap();
            disk.write(Lba::new(last - 2), &block).unwrap();
            for (first, end, want) in [
                (0, last, false),
                (0, last - 3, true),
                (last - 2, last - 2, false),
                (last - 1, last, true),
                (5, 5, true),
            ] {
                assert_eq!(disk.is_zero(extent(first, end)).unwrap(), want, "{first}-{end}");
                // As a device without holes would say.
                let mut plain = Plain(&mut disk);
                assert_eq!(plain.is_zero(extent(first, end)).unwrap(), want, "{first}-{end}");
            }
            disk.is_zero(extent(0, last + 1)).unwrap_err();
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[derive(Debug)]
    struct Plain<'d>(&'d mut dyn BlockIo);

    impl BlockIo for Plain<'_> {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn block_size(&self) -> BlockSize {
            self.0.block_size()
        }
        fn blocks(&self) -> u64 {
            self.0.blocks()
        }
        fn read(&mut self, first: Lba, into: &mut [u8]) -> Result<(), IoError> {
            self.0.read(first, into)
        }
        fn write(&mut self, first: Lba, from: &[u8]) -> Result<(), IoError> {
            self.0.write(first, from)
        }
        fn flush(&mut self) -> Result<(), IoError> {
            self.0.flush()
        }
        fn zero(&mut self, extent: Extent) -> Result<(), IoError> {
            self.0.zero(extent)
        }
    }

    #[test]
    fn a_missing_image_is_named() {
        let error = FileDisk::open(Path::new("/nowhere/disk.img"), BlockSize::B512).unwrap_err();
        let want = "/nowhere/disk.img: open at LBA 0: No such file or directory (os error 2)";
        assert_eq!(error.to_string(), want);
        FileDisk::open(Path::new("/dev/null"), BlockSize::B512).unwrap_err();
    }

    #[test]
    fn a_rest_smaller_than_a_block_is_not_part_of_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        std::fs::write(&path, [0; 1025]).unwrap();
        let mut disk = FileDisk::open(&path, BlockSize::B512).unwrap();
        assert_eq!(disk.blocks(), 2);
        disk.write(Lba::new(2), &[0; 512]).unwrap_err();
        let mut disk = FileDisk::open_read_only(&path, BlockSize::B512).unwrap();
        disk.write(Lba::new(0), &[0; 512]).unwrap_err();
    }
}
