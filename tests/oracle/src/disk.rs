//! The disk as the oracle sees it: blocks that can be read, or not.

/// A block that gives an error instead of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block {0} cannot be read")]
pub struct Unreadable(pub u64);

/// A disk, read block by block. Takes `&self`: the oracle only looks.
pub trait Disk {
    /// Bytes in a block: 512 or 4096.
    fn block_bytes(&self) -> usize;
    /// The length of the disk in blocks.
    fn blocks(&self) -> u64;
    /// Fills `block`, one block long. A block past the end of the disk is unreadable.
    fn read(&self, lba: u64, block: &mut [u8]) -> Result<(), Unreadable>;
}

/// One block.
pub fn block(disk: &dyn Disk, lba: u64) -> Result<Vec<u8>, Unreadable> {
    let mut block = vec![0; disk.block_bytes()];
    disk.read(lba, &mut block)?;
    Ok(block)
}

/// `count` blocks from `first` on. The caller has bounded the count.
pub fn blocks(disk: &dyn Disk, first: u64, count: u64) -> Result<Vec<u8>, Unreadable> {
    let len = disk.block_bytes();
    let count = usize::try_from(count).map_err(|_| Unreadable(first))?;
    let mut bytes = vec![0; len.checked_mul(count).ok_or(Unreadable(first))?];
    for (lba, block) in (first..).zip(bytes.chunks_mut(len)) {
        disk.read(lba, block)?;
    }
    Ok(bytes)
}

/// A little-endian number of 16 bits; past the end it is 0.
pub(crate) fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

pub(crate) fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub(crate) fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

/// `N` bytes from `at` on; past the end they are 0.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    let from = bytes.get(at..).unwrap_or_default();
    for (to, byte) in out.iter_mut().zip(from) {
        *to = *byte;
    }
    out
}

/// A range of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub first: u64,
    pub blocks: u64,
}

impl Span {
    pub const fn new(first: u64, blocks: u64) -> Self {
        Self { first, blocks }
    }
}
