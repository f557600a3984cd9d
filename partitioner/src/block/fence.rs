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

    fn is_zero(&mut self, extent: Extent) -> Result<bool, IoError> {
        self.inner.is_zero(extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::memory::MemDisk;
    use crate::block::recorder::{Entry, Recorder};

    fn extent(first: u64, last: u64) -> Extent {
        Extent::new(Lba::new(first), Lba::new(last)).unwrap()
    }

    #[test]
    fn what_leaves_the_plan_by_one_block_is_refused_before_any_io() {
        let recorder = Recorder::new(Box::new(MemDisk::new("sda", BlockSize::B512, 100)));
        let log = recorder.log();
        let mut fence = Fence::new(Box::new(recorder), vec![extent(10, 19), extent(20, 29)]);
        for (first, blocks) in [(9, 1), (9, 2), (29, 2), (30, 1), (0, 100)] {
            let error = fence.write(Lba::new(first), &vec![1; blocks * 512]).unwrap_err();
            assert!(matches!(error, IoError::Fenced { .. }), "{error}");
            fence.zero(extent(first, first + u64::try_from(blocks).unwrap() - 1)).unwrap_err();
        }
        assert_eq!(log.entries(), []);
        // Across the seam of two extents that touch.
        fence.write(Lba::new(19), &[1; 1024]).unwrap();
        fence.zero(extent(10, 29)).unwrap();
        assert_eq!(log.entries().len(), 2);
        assert!(matches!(log.entries()[1], Entry::Zero { .. }));
        let error = fence.write(Lba::new(30), &[1; 512]).unwrap_err().to_string();
        assert_eq!(error, "sda: a write to blocks 30-30 was refused, the plan does not contain it");
    }

    #[test]
    fn an_empty_fence_lets_nothing_through_but_reads() {
        let mut fence = Fence::new(Box::new(MemDisk::new("sda", BlockSize::B512, 9)), Vec::new());
        fence.write(Lba::new(0), &[0; 512]).unwrap_err();
        fence.read(Lba::new(0), &mut [0; 512]).unwrap();
    }
}
