//! Block devices: the one trait through which everything reads and writes a disk.
//!
//! A write may be lost or reordered until `flush` returns. Buffers are whole blocks.

use std::io;

pub mod device;
pub mod fault;
pub mod fence;
pub mod file;
pub mod memory;
pub mod open;
pub mod recorder;
pub mod window;

use rustix::io::Errno;

use crate::units::{BlockSize, Bytes, Extent, Lba};

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
    /// The kernel gives EBADE for a command that ended in a reservation conflict (SPC-4, 5.13).
    #[error(
        "{disk}: {action} at {at}: reserved by another initiator: another machine holds a SCSI \
         persistent reservation on this disk; release it there (`sg_persist --out --release`) or \
         choose another disk"
    )]
    Reserved { disk: String, action: &'static str, at: Lba },
    #[error("{disk}: {action} at {at}: {source}")]
    Os { disk: String, action: &'static str, at: Lba, source: io::Error },
}

impl IoError {
    /// What the operating system said to this action.
    pub fn os(disk: String, action: &'static str, at: Lba, source: io::Error) -> Self {
        if source.raw_os_error() == Some(Errno::BADE.raw_os_error()) {
            Self::Reserved { disk, action, at }
        } else {
            Self::Os { disk, action, at, source }
        }
    }
}

/// All that may be done to a disk.
///
/// Implementations: a file, a block device, a fence, a recorder, a fault injector, a window.
pub trait BlockIo: std::fmt::Debug + Send {
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
    /// Whether the blocks read as zero. They are read up to the first that does not, but for what
    /// the device knows to be a hole.
    fn is_zero(&mut self, extent: Extent) -> Result<bool, IoError> {
        within(self, extent)?;
        let step = PIECE.blocks_floor(self.block_size()).max(1);
        let mut at = extent.first();
        while let Some(left) = Extent::new(at, extent.last()) {
            let blocks = left.blocks().min(step);
            let len = blocks.saturating_mul(self.block_size().bytes());
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
            self.read(at, &mut bytes)?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at = at.checked_add(blocks).unwrap_or(Lba::new(u64::MAX));
        }
        Ok(true)
    }
}

/// How much is read at once to see whether it is zero.
const PIECE: Bytes = Bytes::mib(1);

/// Forwards to what a box holds, so that wrappers can be stacked.
impl<D: BlockIo + ?Sized> BlockIo for Box<D> {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn block_size(&self) -> BlockSize {
        (**self).block_size()
    }
    fn blocks(&self) -> u64 {
        (**self).blocks()
    }
    fn read(&mut self, first: Lba, into: &mut [u8]) -> Result<(), IoError> {
        (**self).read(first, into)
    }
    fn write(&mut self, first: Lba, from: &[u8]) -> Result<(), IoError> {
        (**self).write(first, from)
    }
    fn flush(&mut self) -> Result<(), IoError> {
        (**self).flush()
    }
    fn zero(&mut self, extent: Extent) -> Result<(), IoError> {
        (**self).zero(extent)
    }
    fn is_zero(&mut self, extent: Extent) -> Result<bool, IoError> {
        (**self).is_zero(extent)
    }
}

/// The extent that a buffer of `bytes` covers from `first` on, checked against the disk. `None` for
/// an empty buffer, which is no I/O at all. Every implementation asks this first.
pub fn extent_of(
    disk: &(impl BlockIo + ?Sized),
    first: Lba,
    bytes: usize,
) -> Result<Option<Extent>, IoError> {
    let block_size = disk.block_size().bytes();
    let blocks = u64::try_from(bytes).ok().filter(|len| len.checked_rem(block_size) == Some(0));
    let Some(blocks) = blocks.and_then(|len| len.checked_div(block_size)) else {
        return Err(IoError::Unaligned { disk: disk.name().to_owned(), bytes, block_size });
    };
    if blocks == 0 {
        return Ok(None);
    }
    // Past 2^64 it is shown up to there.
    let extent = Extent::with_len(first, blocks).unwrap_or(Extent::from(first..));
    within(disk, extent).map(|()| Some(extent))
}

/// Refuses an extent that reaches past the end of the disk.
pub fn within(disk: &(impl BlockIo + ?Sized), extent: Extent) -> Result<(), IoError> {
    let blocks = disk.blocks();
    if extent.last().get() < blocks {
        Ok(())
    } else {
        Err(IoError::OutOfRange { disk: disk.name().to_owned(), extent, blocks })
    }
}
