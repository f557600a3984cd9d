//! A sparse disk in memory, the twin of a real one for tests and for planning on paper.

use std::collections::BTreeMap;

use crate::block::{BlockIo, IoError, extent_of, within};
use crate::units::{BlockSize, Extent, Lba};

/// Blocks that were never written read as zero and take no memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemDisk {
    name: String,
    block_size: BlockSize,
    blocks: u64,
    written: BTreeMap<u64, Vec<u8>>,
}

impl MemDisk {
    pub fn new(name: &str, block_size: BlockSize, blocks: u64) -> Self {
        Self { name: name.to_owned(), block_size, blocks, written: BTreeMap::new() }
    }

    /// The extents that hold anything but zeros, as single blocks in ascending order.
    pub fn used(&self) -> impl Iterator<Item = Lba> {
        self.written.keys().copied().map(Lba::new)
    }

    fn block_len(&self) -> usize {
        usize::try_from(self.block_size.bytes()).unwrap_or(usize::MAX)
    }
}

impl BlockIo for MemDisk {
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
        let Some(extent) = extent_of(self, first, into.len())? else { return Ok(()) };
        into.fill(0);
        let len = self.block_len();
        for (lba, block) in self.written.range(first.get()..=extent.last().get()) {
            let index = usize::try_from(lba.saturating_sub(first.get())).unwrap_or(usize::MAX);
            let place = into.get_mut(index.saturating_mul(len)..).and_then(|p| p.get_mut(..len));
            if let Some(place) = place {
                place.copy_from_slice(block);
            }
        }
        Ok(())
    }

    fn write(&mut self, first: Lba, from: &[u8]) -> Result<(), IoError> {
        extent_of(self, first, from.len())?;
        for (lba, block) in (first.get()..).zip(from.chunks(self.block_len())) {
            if block.iter().all(|byte| *byte == 0) {
                self.written.remove(&lba);
            } else {
                self.written.insert(lba, block.to_vec());
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }

    fn zero(&mut self, extent: Extent) -> Result<(), IoError> {
        within(self, extent)?;
        let (first, last) = (extent.first().get(), extent.last().get());
        let gone: Vec<u64> = self.written.range(first..=last).map(|(lba, _)| *lba).collect();
        for lba in gone {
            self.written.remove(&lba);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwritten_blocks_are_zero_and_zeros_take_no_memory() {
        let mut disk = MemDisk::new("m", BlockSize::B512, 1 << 40);
        disk.write(Lba::new(9), &[7; 1024]).unwrap();
        disk.write(Lba::new(10), &[0; 512]).unwrap();
        let mut all = [1; 1536];
        disk.read(Lba::new(8), &mut all).unwrap();
        assert_eq!((all[0], all[512], all[1024]), (0, 7, 0));
        assert_eq!(disk.used().collect::<Vec<_>>(), [Lba::new(9)]);
        disk.zero(Extent::from(Lba::new(0)..)).unwrap_err();
        disk.zero(Extent::with_len(Lba::new(0), 1 << 40).unwrap()).unwrap();
        assert_eq!(disk.used().count(), 0);
    }

    #[test]
    fn the_end_of_the_disk_and_odd_buffers_are_refused_by_name() {
        let mut disk = MemDisk::new("sda", BlockSize::B512, 100);
        let past = disk.write(Lba::new(99), &[0; 1024]).unwrap_err();
        assert_eq!(past.to_string(), "sda: blocks 99-100 lie outside the disk of 100 blocks");
        let odd = disk.read(Lba::new(0), &mut [0; 100]).unwrap_err();
        assert_eq!(
            odd.to_string(),
            "sda: a buffer of 100 bytes is not a whole number of 512-byte blocks"
        );
        disk.write(Lba::new(u64::MAX), &[0; 1024]).unwrap_err();
    }
}
