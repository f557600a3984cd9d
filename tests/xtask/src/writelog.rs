//! What a machine wrote to a disk, as QEMU's `blklogwrites` records it: every write and every
//! flush, in order. In goes the log; out come its entries, and any disk that a power cut would have
//! left, made by writing some of them over the disk as it was.
//!
//! The format is that of Linux's dm-log-writes (drivers/md/dm-log-writes.c): a sector with the
//! super block, then for each entry a sector with its header, and its data behind it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use crate::failure::At;

type Result<T, E = crate::failure::Failure> = std::result::Result<T, E>;

/// Of the log and of the disk: what `log-sector-size` says.
pub(crate) const SECTOR: u64 = 512;
const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const KNOWN_FLAGS: u64 = FLUSH | FUA | DISCARD;
/// What is zero is looked for in pieces of this size.
const PIECE: usize = 64 << 10;
static ZEROS: [u8; PIECE] = [0; PIECE];

/// Why a file is no log that can be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LogError {
    #[error("{what} is {have:#x}, {want:#x} is read")]
    SuperBlock { what: &'static str, have: u64, want: u64 },
    #[error("entry {entry} of {entries} ends at byte {end}, the log at {len}")]
    Truncated { entry: usize, entries: usize, end: u64, len: u64 },
    #[error("entry {entry} has the flags {flags:#x}, which are none of a write or a flush")]
    Flags { entry: usize, flags: u64 },
    /// What such a range holds afterwards is anybody's guess, so that there is nothing to replay.
    #[error("entry {entry} discards sectors; the machine's disk must not offer that")]
    Discard { entry: usize },
}

/// One order that the disk was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Everything before it is durable once it is done.
    Flush,
    Write(Write),
}

/// Sectors that were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) first: u64,
    pub(crate) sectors: u64,
    /// Where the data lies in the log.
    data_at: u64,
}

#[cfg(test)]
impl Write {
    /// One sector, without data.
    pub(crate) const fn test(first: u64) -> Self {
        Self { first, sectors: 1, data_at: 0 }
    }
}

impl Entry {
    pub(crate) const fn write(&self) -> Option<&Write> {
        match self {
            Self::Flush => None,
            Self::Write(write) => Some(write),
        }
    }
}

/// A log that was read as a whole.
#[derive(Debug)]
pub(crate) struct WriteLog {
    path: PathBuf,
    file: File,
    entries: Vec<Entry>,
}

impl WriteLog {
    /// Reads every header: a log that is cut short is known before anything is replayed.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).at("opening", path)?;
        let len = file.metadata().at("looking at", path)?.len();
        let read = |at: u64| -> io::Result<Words> {
            let mut words = [[0; 8]; 4];
            file.read_exact_at(words.as_flattened_mut(), at)?;
            Ok(words.map(u64::from_le_bytes))
        };
        let entries = entries(read, len).at("reading", path)?;
        Ok(Self { path: path.to_owned(), file, entries })
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Does the writes among these entries to a disk. They need not be neighbours: of what was not
    /// flushed yet a drive keeps some and loses others.
    pub(crate) fn replay(
        &self,
        numbers: impl IntoIterator<Item = usize>,
        disk: &Path,
    ) -> Result<()> {
        let to = File::options().write(true).open(disk).at("opening", disk)?;
        for number in numbers {
            if let Some(write) = self.entries.get(number).and_then(Entry::write) {
                self.perform(write, &to, disk)?;
            }
        }
        Ok(())
    }

    fn perform(&self, write: &Write, to: &File, disk: &Path) -> Result<()> {
        let mut piece = vec![0; PIECE];
        let (mut done, bytes) = (0, write.sectors * SECTOR);
        while done < bytes {
            let length = usize::try_from(bytes - done).map_or(PIECE, |left| left.min(PIECE));
            let part = piece.get_mut(..length).expect("no longer than a piece");
            self.file.read_exact_at(part, write.data_at + done).at("reading", &self.path)?;
            put(to, part, write.first * SECTOR + done).at("writing", disk)?;
            done += u64::try_from(length).expect("64 KiB");
        }
        Ok(())
    }
}

/// Zeros become a hole: a slot that was zeroed would take all of its room on the host.
fn put(to: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    if ZEROS.get(..bytes.len()) == Some(bytes) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(to, flags, at, u64::try_from(bytes.len()).expect("64 KiB")) {
            Err(Errno::OPNOTSUPP) => {}
            done => return Ok(done?),
        }
    }
    to.write_all_at(bytes, at)
}

type Words = [u64; 4];

/// How many entries the super block counts. QEMU brings the count there with each flush; what comes
/// after the last one is of no use, for no disk is promised to have it.
fn count([magic, version, count, sector_size]: Words) -> Result<usize, LogError> {
    // The last is a number of 32 bits.
    let sector_size = sector_size & u64::from(u32::MAX);
    let all = [
        ("magic", magic, MAGIC),
        ("version", version, VERSION),
        ("sector size", sector_size, SECTOR),
    ];
    match all.into_iter().find(|(_, have, want)| have != want) {
        Some((what, have, want)) => Err(LogError::SuperBlock { what, have, want }),
        None => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
    }
}

/// Every entry of a log of `len` bytes, of which `read` gives four numbers from a place on.
fn entries(read: impl Fn(u64) -> io::Result<Words>, len: u64) -> io::Result<Vec<Entry>> {
    let bad = |error: LogError| io::Error::new(io::ErrorKind::InvalidData, error);
    let count = count(read(0)?).map_err(bad)?;
    let mut found = Vec::new();
    let mut at = SECTOR;
    for entry in 0..count {
        let within = |end: u64| {
            let short = LogError::Truncated { entry, entries: count, end, len };
            if end <= len { Ok(end) } else { Err(bad(short)) }
        };
        let data_at = within(at.saturating_add(SECTOR))?;
        let [first, sectors, flags, _] = read(at)?;
        if flags & !KNOWN_FLAGS != 0 {
            return Err(bad(LogError::Flags { entry, flags }));
        }
        if flags & DISCARD != 0 {
            return Err(bad(LogError::Discard { entry }));
        }
        at = within(data_at.saturating_add(sectors.saturating_mul(SECTOR)))?;
        // That a write is durable by itself (FUA) says nothing of those before it.
        if 0 < sectors {
            found.push(Entry::Write(Write { first, sectors, data_at }));
        }
        if flags & FLUSH != 0 {
            found.push(Entry::Flush);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(words: [u64; 4]) -> Vec<u8> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(512, 0);
        bytes
    }

    /// Two sectors at 8, a flush, one sector at 3, one of zeros at 8.
    fn sample() -> Vec<u8> {
        let mut log = header([MAGIC, VERSION, 4, SECTOR]);
        log.extend(header([8, 2, 0, 0]));
        log.extend([[1; 512], [2; 512]].concat());
        log.extend(header([0, 0, FLUSH, 0]));
        log.extend(header([3, 1, FUA, 0]));
        log.extend([3; 512]);
        log.extend(header([8, 1, 0, 0]));
        log.extend([0; 512]);
        log
    }

    fn open(log: &[u8]) -> Result<WriteLog> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, log).unwrap();
        WriteLog::open(&path)
    }

    /// What the disk holds at sectors 3, 8 and 9 after these entries.
    fn replayed(numbers: &[usize]) -> [u8; 3] {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        std::fs::write(&disk, [9; 16 * 512]).unwrap();
        open(&sample()).unwrap().replay(numbers.iter().copied(), &disk).unwrap();
        let bytes = std::fs::read(&disk).unwrap();
        assert_eq!(bytes.len(), 16 * 512);
        [3, 8, 9].map(|sector| {
            let sector = &bytes[sector * 512..][..512];
            assert!(sector.iter().all(|byte| *byte == sector[0]), "{sector:?}");
            sector[0]
        })
    }

    #[test]
    fn entries_are_read_in_order_and_written_where_they_belong() {
        let log = open(&sample()).unwrap();
        let write = |first, sectors, data_at| Entry::Write(Write { first, sectors, data_at });
        assert_eq!(
            log.entries(),
            [write(8, 2, 1024), Entry::Flush, write(3, 1, 3072), write(8, 1, 4096)]
        );
        assert_eq!(replayed(&[]), [9, 9, 9]);
        assert_eq!(replayed(&[0]), [9, 1, 2]);
        assert_eq!(replayed(&[0, 1, 2]), [3, 1, 2]);
        assert_eq!(replayed(&[0, 1, 2, 3]), [3, 0, 2]);
        // The drive kept the last one only.
        assert_eq!(replayed(&[3]), [9, 0, 9]);
    }

    /// The log with 8 bytes changed, which must not be read, and the error.
    fn refused(at: usize, word: u64) -> String {
        let mut log = sample();
        log[at..at + 8].copy_from_slice(&word.to_le_bytes());
        open(&log).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_log_of_this_kind_is_refused_by_name() {
        assert!(refused(0, 7).contains("magic is 0x7, 0x6a736677736872 is read"));
        assert!(refused(8, 2).contains("version is 0x2"));
        assert!(refused(24, 4096).contains("sector size is 0x1000, 0x200"));
        assert!(refused(512 + 16, DISCARD).contains("entry 0 discards"));
        assert!(refused(512 + 16, 8).contains("entry 0 has the flags 0x8"));
    }

    #[test]
    fn a_log_that_is_cut_short_is_refused() {
        let log = sample();
        for len in [520, 1500, 2048, 3072 + 100, log.len() - 1] {
            let error = open(&log[..len]).unwrap_err().to_string();
            assert!(error.contains("of 4 ends at byte"), "{len}: {error}");
        }
        assert!(open(&log[..10]).is_err());
        // One entry more than there is.
        assert!(refused(16, 5).contains("entry 4 of 5 ends at byte 5120, the log at 4608"));
        assert!(refused(512 + 8, u64::MAX).contains("entry 0 of 4 ends at byte"));
    }
}
