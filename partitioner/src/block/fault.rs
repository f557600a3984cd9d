//! A disk that goes wrong at one chosen operation, for tests of what follows.
//!
//! Reads, writes, zeroing and flushes are counted together, from 0; the operation with the chosen
//! number meets its fault, all others reach the disk within unharmed, unless it has vanished.

use std::io;

use rustix::io::Errno;

use crate::block::{BlockIo, IoError, extent_of, within};
use crate::units::{BlockSize, Extent, Lba};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The operation fails and changes nothing.
    Eio,
    /// The first half of the blocks is read or written, then the operation fails.
    Short,
    /// The first half of the first block is written, then the operation fails. A read or a flush
    /// only fails.
    Torn,
    /// The device has no room: a write changes nothing. Reads are not harmed.
    NoSpace,
    /// The device is gone from this operation on.
    Vanish,
    /// Another machine has reserved the disk from this operation on. Reads are not harmed, as with
    /// a reservation for writing (SPC-4, table 45).
    Reserved,
    /// One bit of the first block is turned over, and the operation says that it went well. A
    /// flush is forgotten.
    Corrupt,
}

impl Fault {
    pub const ALL: [Self; 7] = [
        Self::Eio,
        Self::Short,
        Self::Torn,
        Self::NoSpace,
        Self::Vanish,
        Self::Reserved,
        Self::Corrupt,
    ];

    fn error(self) -> io::Error {
        match self {
            Self::Eio | Self::Torn | Self::Corrupt => Errno::IO.into(),
            Self::Short => io::ErrorKind::UnexpectedEof.into(),
            Self::NoSpace => Errno::NOSPC.into(),
            Self::Vanish => Errno::NODEV.into(),
            Self::Reserved => Errno::BADE.into(),
        }
    }
}

/// A disk with one fault to come.
#[derive(Debug)]
pub struct Faulty {
    inner: Box<dyn BlockIo>,
    fault: Fault,
    /// The number of the operation that meets it.
    at: u64,
    /// How many operations there have been.
    done: u64,
}

impl Faulty {
    pub fn new(inner: Box<dyn BlockIo>, fault: Fault, at: u64) -> Self {
        Self { inner, fault, at, done: 0 }
    }

    /// How many operations there have been; with a fault out of reach, how many a task has.
    pub const fn operations(&self) -> u64 {
        self.done
    }

    pub fn into_inner(self) -> Box<dyn BlockIo> {
        self.inner
    }

    /// Counts an operation. The fault, if this one meets it.
    fn next(&mut self) -> Option<Fault> {
        let number = self.done;
        self.done = self.done.saturating_add(1);
        let stays = matches!(self.fault, Fault::Vanish | Fault::Reserved) && self.at <= number;
        (number == self.at || stays).then_some(self.fault)
    }

    fn fails(&self, action: &'static str, at: Lba) -> IoError {
        let disk = self.inner.name().to_owned();
        IoError::os(disk, action, at, self.fault.error())
    }

    fn block_len(&self) -> usize {
        usize::try_from(self.inner.block_size().bytes()).unwrap_or(usize::MAX)
    }

    /// Bytes in the first half of so many blocks, rounded down to whole blocks.
    fn half(&self, len: usize) -> usize {
        let block = self.block_len();
        let blocks = len.checked_div(block).unwrap_or(0);
        blocks.checked_div(2).unwrap_or(0).saturating_mul(block).min(len)
    }

    /// The write with half of its first block new and half of it old.
    fn write_torn(&mut self, first: Lba, from: &[u8]) -> Result<(), IoError> {
        let len = self.block_len();
        let mut block = vec![0; len];
        self.inner.read(first, &mut block)?;
        let half = len.checked_div(2).unwrap_or(0);
        for (to, new) in block.iter_mut().zip(from).take(half) {
            *to = *new;
        }
        self.inner.write(first, &block)
    }
}

impl BlockIo for Faulty {
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
        if extent_of(self, first, into.len())?.is_none() {
            return Ok(());
        }
        match self.next() {
            None | Some(Fault::NoSpace | Fault::Reserved) => self.inner.read(first, into),
            Some(Fault::Corrupt) => {
                self.inner.read(first, into)?;
                flip(into);
                Ok(())
            }
            Some(Fault::Short) => {
                let half = self.half(into.len());
                self.inner.read(first, into.get_mut(..half).unwrap_or_default())?;
                Err(self.fails("read", first))
            }
            Some(Fault::Eio | Fault::Torn | Fault::Vanish) => Err(self.fails("read", first)),
        }
    }

    fn write(&mut self, first: Lba, from: &[u8]) -> Result<(), IoError> {
        if extent_of(self, first, from.len())?.is_none() {
            return Ok(());
        }
        match self.next() {
            None => return self.inner.write(first, from),
            Some(Fault::Corrupt) => {
                let mut bytes = from.to_vec();
                flip(&mut bytes);
                return self.inner.write(first, &bytes);
            }
            Some(Fault::Short) => {
                let half = self.half(from.len());
                self.inner.write(first, from.get(..half).unwrap_or_default())?;
            }
            Some(Fault::Torn) => self.write_torn(first, from)?,
            Some(Fault::Eio | Fault::NoSpace | Fault::Vanish | Fault::Reserved) => {}
        }
        Err(self.fails("write", first))
    }

    fn flush(&mut self) -> Result<(), IoError> {
        match self.next() {
            None | Some(Fault::NoSpace) => self.inner.flush(),
            Some(Fault::Corrupt) => Ok(()),
            Some(Fault::Eio | Fault::Short | Fault::Torn | Fault::Vanish | Fault::Reserved) => {
                Err(self.fails("flush", Lba::new(0)))
            }
        }
    }

    fn zero(&mut self, extent: Extent) -> Result<(), IoError> {
        within(self, extent)?;
        let first = extent.first();
        match self.next() {
            None => return self.inner.zero(extent),
            Some(Fault::Corrupt) => {
                self.inner.zero(extent)?;
                let mut block = vec![0; self.block_len()];
                flip(&mut block);
                return self.inner.write(first, &block);
            }
            Some(Fault::Short | Fault::Torn) => {
                let half = extent.blocks().checked_div(2).unwrap_or(0);
                if let Some(half) = Extent::with_len(first, half) {
                    self.inner.zero(half)?;
                }
            }
            Some(Fault::Eio | Fault::NoSpace | Fault::Vanish | Fault::Reserved) => {}
        }
        Err(self.fails("zero", first))
    }

    fn is_zero(&mut self, extent: Extent) -> Result<bool, IoError> {
        match self.next() {
            None | Some(Fault::NoSpace | Fault::Reserved) => self.inner.is_zero(extent),
            Some(Fault::Corrupt) => Ok(false),
            Some(Fault::Eio | Fault::Short | Fault::Torn | Fault::Vanish) => {
                Err(self.fails("read", extent.first()))
            }
        }
    }
}

/// Turns over one bit.
fn flip(bytes: &mut [u8]) {
    if let Some(byte) = bytes.first_mut() {
        *byte ^= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::memory::MemDisk;

    /// Two blocks of 7 are written over two of 1 at operation 1; what then is there, and the error.
    fn after(fault: Fault) -> (Vec<u8>, Option<String>, Faulty) {
        let mut inner = MemDisk::new("sda", BlockSize::B512, 8);
        inner.write(Lba::new(2), &[1; 1024]).unwrap();
        let mut disk = Faulty::new(Box::new(inner), fault, 1);
        disk.flush().unwrap();
        let error = disk.write(Lba::new(2), &[7; 1024]).err().map(|error| error.to_string());
        let mut have = vec![0; 1024];
        disk.inner.read(Lba::new(2), &mut have).unwrap();
        (have, error, disk)
    }

    #[test]
    fn each_fault_leaves_what_its_name_says() {
        let (have, error, _) = after(Fault::Eio);
        assert_eq!(have, [1; 1024]);
        assert_eq!(error.unwrap(), "sda: write at LBA 2: Input/output error (os error 5)");
        let (have, error, _) = after(Fault::Short);
        assert_eq!((&have[..512], &have[512..]), (&[7; 512][..], &[1; 512][..]));
        assert!(error.unwrap().contains("unexpected end of file"));
        let (have, error, _) = after(Fault::Torn);
        assert_eq!((&have[..256], &have[256..]), (&[7; 256][..], &[1; 768][..]));
        assert!(error.is_some());
        let (have, error, _) = after(Fault::NoSpace);
        assert_eq!(have, [1; 1024]);
        assert!(error.unwrap().contains("os error 28"));
        let (have, error, mut disk) = after(Fault::Vanish);
        assert_eq!(have, [1; 1024]);
        assert!(error.unwrap().contains("os error 19"));
        disk.flush().unwrap_err();
        disk.read(Lba::new(0), &mut [0; 512]).unwrap_err();
        let (have, error, mut disk) = after(Fault::Reserved);
        assert_eq!(have, [1; 1024]);
        let told = error.unwrap();
        assert!(told.starts_with("sda: write at LBA 2: reserved by another initiator"), "{told}");
        disk.flush().unwrap_err();
        disk.read(Lba::new(0), &mut [0; 512]).unwrap();
        let (have, error, _) = after(Fault::Corrupt);
        assert_eq!((have[0], &have[1..], error), (6, &[7; 1023][..], None));
    }

    #[test]
    fn only_the_chosen_operation_meets_the_fault() {
        let mut disk = Faulty::new(Box::new(MemDisk::new("m", BlockSize::B512, 8)), Fault::Eio, 2);
        disk.zero(Extent::with_len(Lba::new(0), 2).unwrap()).unwrap();
        disk.read(Lba::new(0), &mut [0; 512]).unwrap();
        disk.flush().unwrap_err();
        disk.flush().unwrap();
        assert_eq!(disk.operations(), 4);
        disk.write(Lba::new(8), &[0; 512]).unwrap_err();
        assert_eq!(disk.operations(), 4, "what is refused before any I/O does not count");
    }

    #[test]
    fn a_zeroed_range_can_fail_half_done_and_lie() {
        for (fault, want) in [(Fault::Short, [0, 1]), (Fault::Corrupt, [1, 0])] {
            let mut inner = MemDisk::new("m", BlockSize::B512, 8);
            inner.write(Lba::new(0), &[1; 4096]).unwrap();
            let mut disk = Faulty::new(Box::new(inner), fault, 0);
            let zeroed = disk.zero(Extent::with_len(Lba::new(0), 8).unwrap());
            assert_eq!(zeroed.is_err(), fault == Fault::Short);
            let mut have = vec![9; 4096];
            disk.inner.read(Lba::new(0), &mut have).unwrap();
            assert_eq!([have[0], have[4095]], want);
        }
    }
}
