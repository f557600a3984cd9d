//! A disk that can only be read: the file is opened without the right to write, and is claimed by
//! nobody, so that looking at a disk in use is possible.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use partitioner::block::{BlockIo, IoError};
use partitioner::units::{BlockSize, Extent, Lba};

/// An image file or a block device, open for reading.
#[derive(Debug)]
pub(crate) struct Reader {
    name: String,
    file: File,
    block_size: BlockSize,
    blocks: u64,
}

impl Reader {
    pub(crate) fn open(path: &Path, block_size: BlockSize) -> io::Result<Self> {
        let mut file = File::open(path)?;
        // The length of a device is not in its metadata.
        let bytes = file.seek(SeekFrom::End(0))?;
        let blocks = bytes / block_size.bytes();
        Ok(Self { name: path.to_string_lossy().into_owned(), file, block_size, blocks })
    }

    fn refused(&self, extent: Option<Extent>) -> IoError {
        let at = extent.map_or(Lba::new(0), Extent::first);
        let source = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        IoError::Os { disk: self.name.clone(), action: "writing a disk opened to read", at, source }
    }
}

impl BlockIo for Reader {
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
        let block = self.block_size.bytes();
        let unaligned =
            || IoError::Unaligned { disk: self.name.clone(), bytes: into.len(), block_size: block };
        let bytes = u64::try_from(into.len()).map_err(|_| unaligned())?;
        if bytes % block != 0 {
            return Err(unaligned());
        }
        let Some(extent) = Extent::with_len(first, bytes / block) else { return Ok(()) };
        let offset = first.byte_offset(self.block_size);
        match offset {
            Some(offset) if extent.last().get() < self.blocks => {
                self.file.read_exact_at(into, offset).map_err(|source| IoError::Os {
                    disk: self.name.clone(),
                    action: "reading",
                    at: first,
                    source,
                })
            }
            Some(_) | None => {
                Err(IoError::OutOfRange { disk: self.name.clone(), extent, blocks: self.blocks })
            }
        }
    }

    fn write(&mut self, first: Lba, _: &[u8]) -> Result<(), IoError> {
        Err(self.refused(Extent::new(first, first)))
    }

    fn flush(&mut self) -> Result<(), IoError> {
        Ok(())
    }

    fn zero(&mut self, extent: Extent) -> Result<(), IoError> {
        Err(self.refused(Some(extent)))
    }
}
