//! The fence: the writes that a plan contains, and no others, reach a disk.

use crate::block::{BlockIo, IoError, extent_of};
use crate::table::joined;
use crate::units::{BlockSize, Extent, Lba};

/// A disk that may be read anywhere and written only within given extents. A write that leaves
/// them by one block is refused as a whole, before any I/O.
#[derive(Debug)]
pub struct Fence {
    inner: Box<dyn BlockIo>,
    allowed: Vec<Extent>,
}

impl Fence {
    /// Extents that touch count as one.
    pub fn new(inner: Box<dyn BlockIo>, allowed: Vec<Extent>) -> Self {
        Self { inner, allowed: joined(allowed) }
    }

    pub fn allowed(&self) -> &[Extent] {
        &self.allowed
    }

    /// Takes the fence down.
    pub fn into_inner(self) -> Box<dyn BlockIo> {
        self.inner
    }

    fn check(&self, extent: Extent) -> Result<(), IoError> {
        if self.allowed.iter().any(|allowed| allowed.contains(extent)) {
            Ok(())
        } else {
            Err(IoError::Fenced { disk: self.inner.name().to_owned(), extent })
        }
    }
}

impl BlockIo for Fence {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn block_size(&self) -> BlockSize {
        self.inner.block_size()
    }

    fn blocks(&self) -> u64 {
        self.inner.blocks()
    }

    fn read(&mut self, first: Lba, into: &mut [u8]) -> Result<(), IoError> {
        self.inner.read(first, into)
    }

    fn write(&mut self, first: Lba, from: &[u8]) -> Result<(), IoError> {
        if let Some(extent) = extent_of(self, first, from.len())? {
            self.check(extent)?;
        }
        self.inner.write(first, from)
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.inner.flush()
    }

    fn zero(&mut self, extent: Extent) -> Result<(), IoError> {
        self.check(extent)?;
        self.inner.zero(extent)
    }
}
