//! A disk as blocks, and cheap variants of it: an image and a handful of blocks laid over it.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use boot_oracle::disk::{Disk, Unreadable};
use partitioner::block::BlockIo;
use partitioner::block::memory::MemDisk;
use partitioner::units::{BlockSize, Lba};

/// What one block holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    Bytes(Arc<[u8]>),
    /// The cut came while it was written, and the disk gives an error now.
    Unreadable,
}

/// A whole disk; blocks that are not in it are zero.
#[derive(Clone, Debug)]
pub struct Image {
    block_bytes: usize,
    blocks: u64,
    data: BTreeMap<u64, Block>,
}

/// Blocks that differ from an image.
pub type Overlay = BTreeMap<u64, Block>;

impl Image {
    /// A disk of zeros.
    pub const fn empty(block_bytes: usize, blocks: u64) -> Self {
        Self { block_bytes, blocks, data: BTreeMap::new() }
    }

    pub fn of(disk: &MemDisk) -> Self {
        let mut disk = disk.clone();
        let block_bytes = usize::try_from(disk.block_size().bytes()).expect("a block fits memory");
        let used: Vec<Lba> = disk.used().collect();
        let mut data = BTreeMap::new();
        for lba in used {
            let mut block = vec![0; block_bytes];
            disk.read(lba, &mut block).expect("a block in use is on the disk");
            data.insert(lba.get(), Block::Bytes(block.into()));
        }
        Self { block_bytes, blocks: disk.blocks(), data }
    }

    pub const fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    pub const fn blocks(&self) -> u64 {
        self.blocks
    }

    /// The same content on a disk with so many blocks.
    #[must_use]
    pub fn grown(mut self, blocks: u64) -> Self {
        self.blocks = blocks;
        self
    }

    pub fn get(&self, lba: u64) -> Option<&Block> {
        self.data.get(&lba)
    }

    /// Does the block hold these bytes?
    pub fn holds(&self, lba: u64, bytes: &[u8]) -> bool {
        match self.data.get(&lba) {
            Some(Block::Bytes(have)) => **have == *bytes,
            Some(Block::Unreadable) => false,
            None => bytes.iter().all(|byte| *byte == 0),
        }
    }

    pub fn put(&mut self, lba: u64, block: Block) {
        let is_zero = matches!(&block, Block::Bytes(bytes) if bytes.iter().all(|b| *b == 0));
        if is_zero {
            self.data.remove(&lba);
        } else {
            self.data.insert(lba, block);
        }
    }

    /// The image with the overlay laid over it for good.
    #[must_use]
    pub fn with(&self, overlay: &Overlay) -> Self {
        let mut image = self.clone();
        for (lba, block) in overlay {
            image.put(*lba, block.clone());
        }
        image
    }

    /// The same where an unreadable block is one of garbage, as in a file.
    #[must_use]
    pub fn readable(mut self) -> Self {
        let garbage: Arc<[u8]> = self.bytes_of(&Block::Unreadable).into();
        for block in self.data.values_mut() {
            if *block == Block::Unreadable {
                *block = Block::Bytes(Arc::clone(&garbage));
            }
        }
        self
    }

    /// The blocks in use, in order.
    pub fn used(&self) -> impl Iterator<Item = (u64, &Block)> {
        self.data.iter().map(|(lba, block)| (*lba, block))
    }

    /// The same as a disk that can be written; see [`Self::readable`].
    pub fn to_mem(&self, name: &str) -> MemDisk {
        let bytes = u32::try_from(self.block_bytes).expect("a block is small");
        let size = BlockSize::new(bytes).expect("it was the size of a disk's blocks");
        let mut disk = MemDisk::new(name, size, self.blocks);
        for (lba, block) in &self.data {
            let bytes = self.bytes_of(block);
            disk.write(Lba::new(*lba), &bytes).expect("the block is on the disk");
        }
        disk
    }

    fn bytes_of(&self, block: &Block) -> Vec<u8> {
        match block {
            Block::Bytes(bytes) => bytes.to_vec(),
            Block::Unreadable => vec![0xA5; self.block_bytes],
        }
    }

    /// Writes a sparse file.
    pub fn dump(&self, path: &Path) -> io::Result<()> {
        let file = std::fs::File::create(path)?;
        let unit = u64::try_from(self.block_bytes).expect("a block is small");
        file.set_len(self.blocks * unit)?;
        // Neighbours in one call: a system has thousands of blocks.
        let (mut start, mut run) = (0, Vec::new());
        for (lba, block) in &self.data {
            let end = start + u64::try_from(run.len()).expect("a length fits");
            if end != lba * unit {
                file.write_all_at(&run, start)?;
                run.clear();
                start = lba * unit;
            }
            run.extend(self.bytes_of(block));
        }
        file.write_all_at(&run, start)
    }
}

/// An image with an overlay, to look at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub image: &'a Image,
    pub overlay: &'a Overlay,
}

impl Disk for View<'_> {
    fn block_bytes(&self) -> usize {
        self.image.block_bytes
    }

    fn blocks(&self) -> u64 {
        self.image.blocks
    }

    fn read(&self, lba: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        if self.image.blocks <= lba {
            return Err(Unreadable(lba));
        }
        match self.overlay.get(&lba).or_else(|| self.image.get(lba)) {
            Some(Block::Bytes(bytes)) => into.copy_from_slice(bytes),
            Some(Block::Unreadable) => return Err(Unreadable(lba)),
            None => into.fill(0),
        }
        Ok(())
    }
}
