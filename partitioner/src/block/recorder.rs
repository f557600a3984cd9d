//! A disk that writes down what is done to it, for crash simulation.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::block::memory::MemDisk;
use crate::block::{BlockIo, IoError};
use crate::units::{BlockSize, Extent, Lba};

/// One thing that was done to a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Write {
        first: Lba,
        bytes: Vec<u8>,
    },
    Zero {
        extent: Extent,
    },
    Flush,
    /// Put in by the caller: what begins here.
    Mark(String),
}

/// The record, shared with whoever holds the recorder by then.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<Entry>>>);

impl Log {
    /// What has happened so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    /// Names what begins now.
    pub fn mark(&self, what: &str) {
        self.push(Entry::Mark(what.to_owned()));
    }

    fn push(&self, entry: Entry) {
        self.lock().push(entry);
    }

    /// A thread that panicked while it held the lock has pushed whole entries or none.
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Performs everything on the disk within, and records it.
#[derive(Debug)]
pub struct Recorder {
    inner: Box<dyn BlockIo>,
    log: Log,
}

impl Recorder {
    pub fn new(inner: Box<dyn BlockIo>) -> Self {
        Self { inner, log: Log::default() }
    }

    /// The record. It stays valid after the recorder went into a fence or a host.
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    pub fn into_inner(self) -> Box<dyn BlockIo> {
        self.inner
    }
}

impl BlockIo for Recorder {
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
        self.inner.write(first, from)?;
        self.log.push(Entry::Write { first, bytes: from.to_vec() });
        Ok(())
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.inner.flush()?;
        self.log.push(Entry::Flush);
        Ok(())
    }

    fn zero(&mut self, extent: Extent) -> Result<(), IoError> {
        self.inner.zero(extent)?;
        self.log.push(Entry::Zero { extent });
        Ok(())
    }

    fn is_zero(&mut self, extent: Extent) -> Result<bool, IoError> {
        self.inner.is_zero(extent)
    }
}

/// Does to `disk` what the entry says.
pub fn apply(disk: &mut MemDisk, entry: &Entry) -> Result<(), IoError> {
    match entry {
        Entry::Write { first, bytes } => disk.write(*first, bytes),
        Entry::Zero { extent } => disk.zero(*extent),
        Entry::Flush | Entry::Mark(_) => Ok(()),
    }
}
