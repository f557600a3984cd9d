//! A commit: one block after which the new state counts.

use crate::block::{BlockIo, IoError};
use crate::units::Lba;

/// How often a block that reads back as neither old nor new is written again.
const RETRIES: u32 = 3;

/// When the block got its new content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    Now,
    /// It was there already: an earlier run came this far.
    Before,
}

/// Why there was no commit, and what the disk holds then.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing was written. Exit 11 where another machine has reserved the disk, 20 where it cannot
    /// be read.
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("{disk}: {at} holds neither what was there at planning time nor what is planned")]
    Changed { disk: String, at: Lba },
    #[error("{disk}: {at} takes a block of {need} bytes, {have} given")]
    NotOneBlock { disk: String, at: Lba, need: u64, have: usize },
    /// The old state counts. Exit 20.
    #[error(
        "{disk}: {at} still holds its old content after it was written{}",
        told(.source.as_ref())
    )]
    NotCommitted { disk: String, at: Lba, source: Option<IoError> },
    /// It is not known which state counts. Exit 21.
    #[error(
        "{disk}: it is not certain that {at} has its new content after {tries} writes{}",
        told(.source.as_ref())
    )]
    Unknown { disk: String, at: Lba, tries: u32, source: Option<IoError> },
}

fn told(source: Option<&IoError>) -> String {
    source.map(|error| format!(" ({error})")).unwrap_or_default()
}

/// Replaces the block at `at`, which holds `old`, by `new`: flush, one write, flush, and only what
/// is read back counts. Whatever `new` refers to must have been written before; the first flush
/// makes it durable.
pub fn commit(
    disk: &mut dyn BlockIo,
    at: Lba,
    old: &[u8],
    new: &[u8],
) -> Result<Committed, CommitError> {
    let need = disk.block_size().bytes();
    let whole = |bytes: &[u8]| u64::try_from(bytes.len()) == Ok(need);
    if !whole(old) || !whole(new) {
        let (disk, have) = (disk.name().to_owned(), new.len());
        return Err(CommitError::NotOneBlock { disk, at, need, have });
    }
    let mut have = vec![0; new.len()];
    disk.read(at, &mut have)?;
    if have == new {
        disk.flush()?;
        return Ok(Committed::Before);
    }
    if have != old {
        return Err(CommitError::Changed { disk: disk.name().to_owned(), at });
    }
    disk.flush()?;
    let mut source = None;
    for _ in 0..=RETRIES {
        let written = disk.write(at, new).and_then(|()| disk.flush());
        let read = disk.read(at, &mut have);
        let flushed = written.is_ok();
        source = written.err().or(source);
        match read {
            // A failed flush may have lost the write although the cache still shows it.
            Ok(()) if have == new && flushed => return Ok(Committed::Now),
            Ok(()) if have == old => {
                return Err(match source {
                    Some(refused @ IoError::Reserved { .. }) => CommitError::Io(refused),
                    source => {
                        CommitError::NotCommitted { disk: disk.name().to_owned(), at, source }
                    }
                });
            }
            Ok(()) => {}
            Err(error) => source = Some(error),
        }
    }
    let tries = RETRIES.saturating_add(1);
    Err(CommitError::Unknown { disk: disk.name().to_owned(), at, tries, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::fault::{Fault, Faulty};
    use crate::block::memory::MemDisk;
    use crate::block::recorder::{Entry, Recorder};
    use crate::units::BlockSize;

    const AT: Lba = Lba::new(1);

    fn disk() -> MemDisk {
        let mut disk = MemDisk::new("sda", BlockSize::B512, 8);
        disk.write(AT, &[1; 512]).unwrap();
        disk
    }

    #[test]
    fn one_write_between_two_flushes() {
        let mut disk = Recorder::new(Box::new(disk()));
        assert_eq!(commit(&mut disk, AT, &[1; 512], &[2; 512]).unwrap(), Committed::Now);
        let write = Entry::Write { first: AT, bytes: vec![2; 512] };
        assert_eq!(disk.log().entries(), [Entry::Flush, write, Entry::Flush]);
        assert_eq!(commit(&mut disk, AT, &[1; 512], &[2; 512]).unwrap(), Committed::Before);
        assert_eq!(disk.log().entries().len(), 4, "nothing was written again");
    }

    #[test]
    fn a_block_that_changed_since_is_left_alone() {
        let mut disk = Recorder::new(Box::new(disk()));
        let error = commit(&mut disk, AT, &[9; 512], &[2; 512]).unwrap_err();
        assert!(matches!(error, CommitError::Changed { .. }), "{error}");
        assert!(matches!(
            commit(&mut disk, AT, &[1; 512], &[2; 511]).unwrap_err(),
            CommitError::NotOneBlock { have: 511, .. }
        ));
        assert_eq!(disk.log().entries(), []);
    }

    /// Operations of a commit: 0 read, 1 flush, 2 write, 3 flush, 4 read.
    #[track_caller]
    fn under(fault: Fault, at: u64, want: &str) {
        let mut disk = Faulty::new(Box::new(disk()), fault, at);
        let told = match commit(&mut disk, AT, &[1; 512], &[2; 512]) {
            Ok(committed) => format!("{committed:?}"),
            Err(CommitError::Io(_)) => "Io".to_owned(),
            Err(CommitError::Changed { .. }) => "Changed".to_owned(),
            Err(CommitError::NotOneBlock { .. }) => "NotOneBlock".to_owned(),
            Err(CommitError::NotCommitted { .. }) => "NotCommitted".to_owned(),
            Err(CommitError::Unknown { .. }) => "Unknown".to_owned(),
        };
        assert_eq!(told, want, "{fault:?} at {at}");
        let mut have = [0; 512];
        let mut inner = disk.into_inner();
        inner.read(AT, &mut have).unwrap();
        let is_new = have == [2; 512];
        assert_eq!(is_new, told == "Now", "{fault:?} at {at}: the answer is what the disk holds");
    }

    #[test]
    fn what_is_read_back_decides() {
        under(Fault::Eio, 0, "Io");
        under(Fault::Corrupt, 0, "Changed");
        under(Fault::Eio, 1, "Io");
        under(Fault::Eio, 2, "NotCommitted");
        under(Fault::NoSpace, 2, "NotCommitted");
        under(Fault::Reserved, 2, "Io");
        under(Fault::Short, 2, "NotCommitted");
        // Half of the block is new: written again, and well then.
        under(Fault::Torn, 2, "Now");
        under(Fault::Corrupt, 2, "Now");
        under(Fault::Eio, 3, "Now");
        under(Fault::Corrupt, 4, "Now");
        under(Fault::Vanish, 1, "Io");
        under(Fault::Vanish, 2, "Unknown");
    }
}
