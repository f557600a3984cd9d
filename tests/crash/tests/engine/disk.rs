//! The disk of a test: blocks in memory, and the file that programs work on, made from them each
//! time.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crash_explorer::image::{Block, Image};
use partitioner::block::BlockIo;
use partitioner::block::file::FileDisk;
use partitioner::units::{BlockSize, Bytes};
use rustix::fs::{SeekFrom, seek};
use tempfile::TempDir;

pub(crate) const BLOCK: BlockSize = BlockSize::B512;

/// The disk.
pub(crate) struct Scratch {
    folder: TempDir,
    /// What is on it.
    pub(crate) image: Image,
}

impl Scratch {
    /// A disk of zeros, and its file.
    pub(crate) fn blank(size: Bytes) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = Image::empty(512, size.get() / 512);
        let disk = Self { folder, image };
        FileDisk::create(&disk.path(), size, BLOCK).unwrap();
        disk
    }

    /// The file. It holds what is on the disk after [`Self::put`].
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("disk.img")
    }

    /// Puts the disk into the file, a new one each time: a program that another test is just
    /// starting may hold the lock of the old one.
    pub(crate) fn put(&self) {
        if self.path().exists() {
            std::fs::remove_file(self.path()).unwrap();
        }
        self.image.dump(&self.path()).unwrap();
    }

    /// The file as a device.
    pub(crate) fn device(&self) -> Box<dyn BlockIo> {
        Box::new(FileDisk::open(&self.path(), BLOCK).unwrap())
    }

    /// Takes over what the file holds.
    pub(crate) fn take(&mut self) {
        self.image = load(&self.path());
    }
}

/// All that a file of 512-byte blocks holds.
pub(crate) fn load(path: &Path) -> Image {
    let file = fs::File::open(path).unwrap();
    let mut image = Image::empty(512, file.metadata().unwrap().len() / 512);
    let mut at = 0;
    while let Ok(data) = seek(&file, SeekFrom::Data(at)) {
        let end = seek(&file, SeekFrom::Hole(data)).unwrap();
        let mut bytes = vec![0; usize::try_from(end - data).unwrap()];
        file.read_exact_at(&mut bytes, data).unwrap();
        for (lba, block) in (data / 512..).zip(bytes.chunks(512)) {
            image.put(lba, Block::Bytes(Arc::from(block)));
        }
        at = end;
    }
    image
}
