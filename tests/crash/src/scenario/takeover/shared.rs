//! A disk in several hands: the writers take it by reference, the boot state by value.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use partitioner::block::{BlockIo, IoError};
use partitioner::units::{BlockSize, Extent, Lba};

#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<dyn BlockIo>>);

impl Shared {
    pub(crate) fn new(disk: impl BlockIo + 'static) -> Self {
        Self(Arc::new(Mutex::new(disk)))
    }

    fn get(&self) -> MutexGuard<'_, dyn BlockIo + 'static> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlockIo for Shared {
    fn name(&self) -> &'static str {
        "disk"
    }
    fn block_size(&self) -> BlockSize {
        self.get().block_size()
    }
    fn blocks(&self) -> u64 {
        self.get().blocks()
    }
    fn read(&mut self, first: Lba, into: &mut [u8]) -> Result<(), IoError> {
        self.get().read(first, into)
    }
    fn write(&mut self, first: Lba, from: &[u8]) -> Result<(), IoError> {
        self.get().write(first, from)
    }
    fn flush(&mut self) -> Result<(), IoError> {
        self.get().flush()
    }
    fn zero(&mut self, extent: Extent) -> Result<(), IoError> {
        self.get().zero(extent)
    }
}

/// A partition of it.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) disk: Shared,
    pub(crate) extent: Extent,
}

impl Part {
    fn outer(&self, at: Lba) -> Lba {
        Lba::new(self.extent.first().get() + at.get())
    }
}

impl BlockIo for Part {
    fn name(&self) -> &'static str {
        "boot partition"
    }
    fn block_size(&self) -> BlockSize {
        self.disk.block_size()
    }
    fn blocks(&self) -> u64 {
        self.extent.blocks()
    }
    fn read(&mut self, first: Lba, into: &mut [u8]) -> Result<(), IoError> {
        let at = self.outer(first);
        self.disk.read(at, into)
    }
    fn write(&mut self, first: Lba, from: &[u8]) -> Result<(), IoError> {
        let at = self.outer(first);
        self.disk.write(at, from)
    }
    fn flush(&mut self) -> Result<(), IoError> {
        self.disk.flush()
    }
    fn zero(&mut self, _extent: Extent) -> Result<(), IoError> {
        unreachable!("nothing zeroes a boot partition through a window")
    }
}
