//! The boot state on the boot partition, read and overwritten in place.
//!
//! In: the partition as a block device. Each file is one cluster that never moves; only the block
//! with its variables is written, then flushed and read back. The partition is never mounted: a
//! file system driver would cache over these writes.

use installer_core::bootstate::{
    BLOCK_BYTES, BootState, LIVE_BYTES, StateError, decode_reason, decode_tries, reason_block,
    tries_block,
};
use partitioner::block::{BlockIo, IoError};
use partitioner::units::Extent;

use crate::fat_locate::{self, LocateError, Located};

const STATE: &str = "xenhost/state.env";
const STATE_COPY: &str = "xenhost/state2.env";
const TRIES_FILE: &str = "xenhost/tries.env";
const REASON: &str = "xenhost/reason.txt";

/// Why the boot state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    Locate(#[from] LocateError),
    #[error("{volume}: {file} has {have} bytes, {want} needed")]
    Length { volume: String, file: &'static str, have: u32, want: usize },
    #[error("{volume}: neither copy of the boot state is readable: {first}; {second}")]
    Unreadable { volume: String, first: Box<NoState>, second: Box<NoState> },
    #[error("{volume}: {file} reads back other bytes than were written")]
    NotRead { volume: String, file: &'static str },
}

/// Why one copy holds no state.
#[derive(Debug, thiserror::Error)]
pub enum NoState {
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    State(#[from] StateError),
}

/// The files of the boot state, found and checked once.
#[derive(Debug)]
pub struct BootFiles<'v> {
    volume: Box<dyn BlockIo + 'v>,
    state: Located,
    copy: Located,
    reason: Located,
}

impl<'v> BootFiles<'v> {
    pub fn open(mut volume: Box<dyn BlockIo + 'v>) -> Result<Self, StateFileError> {
        let state = locate(volume.as_mut(), STATE)?;
        let copy = locate(volume.as_mut(), STATE_COPY)?;
        let reason = locate(volume.as_mut(), REASON)?;
        Ok(Self { volume, state, copy, reason })
    }

    /// The state as the boot loader takes it: the first file, and its copy where that is
    /// unreadable.
    pub fn state(&mut self) -> Result<BootState, StateFileError> {
        let first = match self.look(self.state) {
            Ok(state) => return Ok(state),
            Err(error) => Box::new(error),
        };
        self.look(self.copy).map_err(|second| StateFileError::Unreadable {
            volume: self.volume.name().to_owned(),
            first,
            second: Box::new(second),
        })
    }

    /// One copy. A block that the disk gives an error for is as good as one of garbage.
    fn look(&mut self, file: Located) -> Result<BootState, NoState> {
        Ok(BootState::decode(&self.read(file)?)?)
    }

    /// Do both files hold the same state?
    pub fn copies_agree(&mut self) -> Result<bool, StateFileError> {
        let (first, second) = (self.look(self.state).ok(), self.look(self.copy).ok());
        Ok(first == second)
    }

    /// Makes both files hold the state that counts, where a cut has left them different. The one
    /// that counts is not written.
    pub fn mend(&mut self) -> Result<(), StateFileError> {
        if self.copies_agree()? {
            return Ok(());
        }
        let state = self.state()?;
        if self.look(self.state).is_ok() {
            self.commit_copy(state)
        } else {
            self.commit_first(state)
        }
    }

    /// The blocks of the volume that this value ever writes, and the one of the counter.
    pub fn extents(&mut self) -> Result<Vec<Extent>, StateFileError> {
        let tries = locate(self.volume.as_mut(), TRIES_FILE)?;
        let bytes = u64::try_from(self.live_blocks().len()).unwrap_or(u64::MAX);
        let blocks = bytes / self.volume.block_size().bytes();
        let all = [self.state, self.copy, self.reason, tries];
        Ok(all.iter().filter_map(|file| Extent::with_len(file.first, blocks)).collect())
    }

    /// How many boots a trial has left; `None` for a counter that is damaged.
    pub fn tries(&mut self) -> Result<Option<u8>, StateFileError> {
        let tries = locate(self.volume.as_mut(), TRIES_FILE)?;
        Ok(decode_tries(&self.read(tries)?).ok())
    }

    /// Nothing reads the counter unless a trial is pending.
    pub fn write_tries(&mut self, tries: u8) -> Result<(), StateFileError> {
        let file = locate(self.volume.as_mut(), TRIES_FILE)?;
        self.overwrite(file, TRIES_FILE, &tries_block(tries))
    }

    /// The commit of an upgrade: the first file, by which the new system counts. A cut right after
    /// it leaves a copy that names the old system alone.
    pub fn commit_first(&mut self, state: BootState) -> Result<(), StateFileError> {
        self.overwrite(self.state, STATE, &state.encode())
    }

    /// After [`Self::commit_first`]: the copy follows.
    pub fn commit_copy(&mut self, state: BootState) -> Result<(), StateFileError> {
        self.overwrite(self.copy, STATE_COPY, &state.encode())
    }

    /// Why the last trial was given up.
    pub fn reason(&mut self) -> Result<Option<String>, StateFileError> {
        Ok(decode_reason(&self.read(self.reason)?))
    }

    /// The commit: the copy first, which nothing reads while the first file is whole, then the
    /// first file. A cut between them leaves the old state, and the new one in a copy that is
    /// rewritten. After a cut that has torn the first file the copy is all there is, and it has to
    /// stay until that is whole again.
    pub fn commit(&mut self, state: BootState) -> Result<(), StateFileError> {
        let (first, copy) = ((self.state, STATE), (self.copy, STATE_COPY));
        let order = if self.look(self.state).is_ok() { [copy, first] } else { [first, copy] };
        let block = state.encode();
        order.into_iter().try_for_each(|(file, name)| self.overwrite(file, name, &block))
    }

    /// An earlier try that failed is no news after a good boot; the journal still has it.
    pub fn clear_reason(&mut self) -> Result<(), StateFileError> {
        if self.reason()?.is_some() { self.write_reason("") } else { Ok(()) }
    }

    pub fn write_reason(&mut self, reason: &str) -> Result<(), StateFileError> {
        self.overwrite(self.reason, REASON, &reason_block(reason))
    }

    fn read(&mut self, file: Located) -> Result<Vec<u8>, IoError> {
        let mut bytes = self.live_blocks();
        self.volume.read(file.first, &mut bytes)?;
        Ok(bytes)
    }

    /// Room for the blocks that hold the first 512 bytes: one sector, or one larger block.
    fn live_blocks(&self) -> Vec<u8> {
        let block = usize::try_from(self.volume.block_size().bytes()).unwrap_or(LIVE_BYTES);
        vec![0; block.max(LIVE_BYTES)]
    }

    /// One block, between two flushes, read back.
    fn overwrite(
        &mut self,
        file: Located,
        name: &'static str,
        content: &[u8; BLOCK_BYTES],
    ) -> Result<(), StateFileError> {
        // With 4096-byte blocks the rest of the file and its slack lie in the same block and stay.
        // A block that cannot be read becomes readable by being written.
        let (mut block, len) = match self.read(file) {
            Ok(block) => (block, LIVE_BYTES),
            Err(_) => (self.live_blocks(), BLOCK_BYTES),
        };
        for (to, from) in block.iter_mut().zip(content.iter().take(len)) {
            *to = *from;
        }
        self.volume.flush()?;
        self.volume.write(file.first, &block)?;
        self.volume.flush()?;
        if self.read(file)? == block {
            Ok(())
        } else {
            let volume = self.volume.name().to_owned();
            Err(StateFileError::NotRead { volume, file: name })
        }
    }
}

fn locate(volume: &mut dyn BlockIo, file: &'static str) -> Result<Located, StateFileError> {
    let located = fat_locate::locate(volume, file)?;
    if usize::try_from(located.size) == Ok(BLOCK_BYTES) {
        return Ok(located);
    }
    let volume = volume.name().to_owned();
    Err(StateFileError::Length { volume, file, have: located.size, want: BLOCK_BYTES })
}
