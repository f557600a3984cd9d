//! Block devices: the one trait through which everything reads and writes a disk.
//!
//! A write may be lost or reordered until `flush` returns. Buffers are whole blocks.

use std::io;

use crate::units::{BlockSize, Extent, Lba};

/// What can go wrong with one read, write or flush.
#[derive(Debug, thiserror::Error)]
pub enum IoError {
    #[error("{disk}: blocks {extent} lie outside the disk of {blocks} blocks")]
    OutOfRange { disk: String, extent: Extent, blocks: u64 },
    #[error("{disk}: a buffer of {bytes} bytes is not a whole number of {block_size}-byte blocks")]
    Unaligned { disk: String, bytes: usize, block_size: u64 },
    /// Refused before any I/O.
    #[error("{disk}: a write to blocks {extent} was refused, the plan does not contain it")]
    Fenced { disk: String, extent: Extent },
    #[error("{disk}: {action} at {at}: {source}")]
    Os { disk: String, action: &'static str, at: Lba, source: io::Error },
}

/// All that may be done to a disk.
///
/// Implementations: a file, a block device, a fence, a recorder, a fault injector, a window.
pub trait BlockIo: std::fmt::Debug {
    /// How messages name the disk.
    fn name(&self) -> &str;
    fn block_size(&self) -> BlockSize;
    /// The length of the disk in blocks.
    fn blocks(&self) -> u64;
    /// Fills `into`, a whole number of blocks, from `first` on.
    fn read(&mut self, first: Lba, into: &mut [u8]) -> Result<(), IoError>;
    /// Writes `from`, a whole number of blocks, from `first` on. Not durable before `flush`.
    fn write(&mut self, first: Lba, from: &[u8]) -> Result<(), IoError>;
    /// Makes every completed write durable.
    fn flush(&mut self) -> Result<(), IoError>;
    /// Makes the blocks read as zero, by the cheapest way the device has.
    fn zero(&mut self, extent: Extent) -> Result<(), IoError>;
}
