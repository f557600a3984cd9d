//! Opens whatever a disk argument names, for reading: a device or an image file.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::block::device::DeviceDisk;
use crate::block::file::FileDisk;
use crate::block::{BlockIo, IoError};
use crate::units::{BlockSize, Lba};

/// What a disk argument named.
#[derive(Debug)]
pub enum Opened {
    Device(DeviceDisk),
    Image(FileDisk),
}

impl Opened {
    pub fn disk(&mut self) -> &mut dyn BlockIo {
        match self {
            Self::Device(disk) => disk,
            Self::Image(disk) => disk,
        }
    }
}

/// Opens a device or an image without the right to write. A device tells its block size; an image
/// has the given one, or else the one at which a GPT header is found, or else 512.
pub fn open_read_only(path: &Path, block_size: Option<BlockSize>) -> Result<Opened, IoError> {
    let device = fs::metadata(path).is_ok_and(|meta| meta.file_type().is_block_device());
    if device {
        return DeviceDisk::open_read_only(path).map(Opened::Device);
    }
    let block_size = match block_size {
        Some(block_size) => block_size,
        None => guess(FileDisk::open_read_only(path, BlockSize::B512)?)?,
    };
    FileDisk::open_read_only(path, block_size).map(Opened::Image)
}

/// The header of a GPT is in block 1, whatever the size of a block.
fn guess(mut disk: FileDisk) -> Result<BlockSize, IoError> {
    let mut sector = [0; 512];
    if disk.blocks() <= 8 {
        return Ok(BlockSize::B512);
    }
    disk.read(Lba::new(8), &mut sector)?;
    let large = sector.starts_with(b"EFI PART");
    disk.read(Lba::new(1), &mut sector)?;
    let small = sector.starts_with(b"EFI PART");
    Ok(if large && !small { BlockSize::B4096 } else { BlockSize::B512 })
}
