//! The dom0 image on its way from the release to its slot.
//!
//! Workers read a frame, compare its SHA-256, and only then decompress it; the calling thread
//! writes. Between them is a bounded channel, so memory use does not depend on the image. When all
//! is written and flushed, it is read back and compared. Nothing here knows what a file system is.

use std::io;
use std::num::NonZeroUsize;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use installer_core::outcome::Exit;
use installer_core::release::{Chunk, Image};
use partitioner::block::{BlockIo, IoError};
use partitioner::units::{Extent, Lba};
use xxhash_rust::xxh3::xxh3_64;

mod feed;

use feed::Feed;

use crate::cancel::Cancel;
use crate::fetch::FetchError;
use crate::release_dir::{ReleaseError, Store};

/// Hashing and decompressing beyond this many cores does not outrun a disk.
const WORKERS_MAX: usize = 4;
/// Decompressed chunks that may wait for the disk.
const QUEUE_CHUNKS: usize = 2;
/// How much is read back at once.
const READ_BACK_BYTES: usize = 4 << 20;

/// What can go wrong between the release and the slot.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    #[error(transparent)]
    Open(#[from] ReleaseError),
    #[error("{place}: reading {length} bytes at {offset}: {source}")]
    Read { place: String, offset: u64, length: u64, source: io::Error },
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Found before the chunk was decompressed.
    #[error(
        "{place}: chunk {chunk} of {chunks}, bytes {offset} to {end}, has SHA-256 {have}, the \
         manifest says {want}; it was not decompressed"
    )]
    Hash {
        place: String,
        chunk: usize,
        chunks: usize,
        offset: u64,
        end: u64,
        have: String,
        want: String,
    },
    #[error("{place}: chunk {chunk} is not what the manifest says: {why}")]
    Frame { place: String, chunk: usize, why: String },
    #[error("the dom0 image has {image} bytes, its slot {slot}")]
    TooLarge { image: u64, slot: u64 },
    #[error("writing the dom0 image: {0}")]
    Write(#[source] IoError),
    #[error(
        "bytes {offset} to {end} of the dom0 image read back from the disk are not what was written"
    )]
    ReadBack { offset: u64, end: u64 },
    #[error("cancelled")]
    Cancelled,
    #[error("a worker thread ended before its work")]
    WorkerLost,
}

impl PayloadError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Hash { .. } => Exit::HashMismatch,
            Self::Open(error) => error.exit(),
            Self::Fetch(error) => error.exit(),
            Self::Read { .. } | Self::Frame { .. } => Exit::SourceFailed,
            Self::TooLarge { .. } => Exit::Unsuitable,
            Self::Write(_) | Self::ReadBack { .. } => Exit::IoBeforeCommit,
            Self::Cancelled => Exit::Cancelled,
            Self::WorkerLost => Exit::InternalError,
        }
    }
}

/// Reports bytes done of bytes to do.
pub type Progress<'p> = &'p mut dyn FnMut(u64, u64);

/// Writes the image of the release in `store` to the beginning of `slot`, flushes, and reads it
/// back.
///
/// Zero chunks are not read from the release; their blocks are told to be zero.
pub fn write_image(
    store: &Store,
    image: &Image,
    slot: &mut dyn BlockIo,
    cancel: &Cancel,
    progress: Progress<'_>,
) -> Result<(), PayloadError> {
    let block = slot.block_size().bytes();
    let room = slot.blocks().saturating_mul(block);
    if room < image.size {
        return Err(PayloadError::TooLarge { image: image.size, slot: room });
    }
    // Writing and reading back are one bar, half each.
    let total = image.size.saturating_mul(2);
    let mut sums: Vec<Option<u64>> = vec![None; image.chunks.len()];
    let mut done = 0;
    transfer(store, image, cancel, &mut |index, chunk, data| {
        let extent = blocks_of(chunk.offset, chunk.length, block);
        match data {
            Some(data) => {
                slot.write(extent.first(), &data.bytes).map_err(PayloadError::Write)?;
                sums[index] = Some(data.sum);
            }
            None => slot.zero(extent).map_err(PayloadError::Write)?,
        }
        done += chunk.length;
        progress(done, total);
        Ok(())
    })?;
    slot.flush().map_err(PayloadError::Write)?;
    for (chunk, sum) in image.chunks.iter().zip(&sums) {
        if cancel.is_set() {
            return Err(PayloadError::Cancelled);
        }
        read_back(slot, chunk, *sum)?;
        done += chunk.length;
        progress(done, total);
    }
    Ok(())
}

/// The blocks of a byte range whose ends are multiples of 4096.
fn blocks_of(offset: u64, length: u64, block: u64) -> Extent {
    Extent::with_len(Lba::new(offset / block), length.div_ceil(block).max(1))
        .expect("the range lies within the slot, which was compared before")
}

/// A decompressed chunk and its checksum.
struct Data {
    bytes: Vec<u8>,
    sum: u64,
}

/// Gets each chunk's index, and its data unless the chunk is zero.
type Take<'t> = &'t mut dyn FnMut(usize, &Chunk, Option<Data>) -> Result<(), PayloadError>;
type Ready = Result<(usize, Data), PayloadError>;

/// Hands every chunk to `take` once, in about the order of the image.
fn transfer(
    store: &Store,
    image: &Image,
    cancel: &Cancel,
    take: Take<'_>,
) -> Result<(), PayloadError> {
    for (index, chunk) in image.chunks.iter().enumerate().filter(|(_, c)| c.zero) {
        take(index, chunk, None)?;
    }
    let wanted: Vec<usize> =
        image.chunks.iter().enumerate().filter(|(_, c)| !c.zero).map(|(i, _)| i).collect();
    let feed = Feed::open(store, image, wanted)?;
    let workers = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(WORKERS_MAX);
    thread::scope(|scope| {
        let (send, receive) = mpsc::sync_channel::<Ready>(QUEUE_CHUNKS);
        for _ in 0..workers {
            let (send, feed) = (send.clone(), &feed);
            scope.spawn(move || work(feed, &send));
        }
        drop(send);
        let mut left = feed.len();
        // When this loop is left early the receiver is dropped, and each worker ends at its next
        // send.
        for ready in receive {
            if cancel.is_set() {
                return Err(PayloadError::Cancelled);
            }
            let (index, data) = ready?;
            take(index, &image.chunks[index], Some(data))?;
            left -= 1;
        }
        if left == 0 { Ok(()) } else { Err(PayloadError::WorkerLost) }
    })
}

/// Takes the next chunk until there is none, or nobody listens.
fn work(feed: &Feed<'_>, send: &SyncSender<Ready>) {
    while let Some(frame) = feed.next() {
        let ready = frame.and_then(|(index, frame)| {
            let frame = feed.verify(index, frame)?;
            Ok((index, feed.decompress(index, &frame)?))
        });
        let failed = ready.is_err();
        // Nobody listens when another worker's error came first.
        if send.send(ready).is_err() || failed {
            return;
        }
    }
}

/// Lengths of chunks and frames were bounded when the manifest was read.
fn len(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a chunk is at most 64 MiB")
}

/// Compares what the device returns with what it was given.
fn read_back(slot: &mut dyn BlockIo, chunk: &Chunk, sum: Option<u64>) -> Result<(), PayloadError> {
    let differs =
        || PayloadError::ReadBack { offset: chunk.offset, end: chunk.offset + chunk.length };
    let same = match sum {
        Some(sum) => {
            let mut bytes = vec![0; len(chunk.length)];
            let first = Lba::new(chunk.offset / slot.block_size().bytes());
            slot.read(first, &mut bytes).map_err(PayloadError::Write)?;
            xxh3_64(&bytes) == sum
        }
        None => reads_zero(slot, chunk.offset, chunk.length)?,
    };
    if same { Ok(()) } else { Err(differs()) }
}

/// A zero chunk may be as long as the image, so it is read in pieces.
fn reads_zero(slot: &mut dyn BlockIo, offset: u64, length: u64) -> Result<bool, PayloadError> {
    let block = slot.block_size().bytes();
    let mut bytes = vec![0; READ_BACK_BYTES];
    let mut at = offset;
    let end = offset + length;
    while at < end {
        let piece = usize::try_from(end - at).map_or(READ_BACK_BYTES, |n| n.min(READ_BACK_BYTES));
        let piece = &mut bytes[..piece];
        slot.read(Lba::new(at / block), piece).map_err(PayloadError::Write)?;
        if piece.iter().any(|b| *b != 0) {
            return Ok(false);
        }
        at += u64::try_from(piece.len()).expect("a piece is 4 MiB at most");
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use partitioner::block::memory::MemDisk;
    use partitioner::units::BlockSize;

    use super::*;
    use crate::release_dir::Release;
    use crate::testing::{TinyRelease, noise};

    /// 12 MiB and a bit: noise, zeros, noise, a short last chunk.
    fn image() -> Vec<u8> {
        let mut bytes = noise(5, 4 << 20);
        bytes.extend(vec![0; 4 << 20]);
        bytes.extend(noise(6, (4 << 20) + 8192));
        bytes
    }

    fn slot(blocks: u64) -> MemDisk {
        let mut disk = MemDisk::new("slot", BlockSize::B512, blocks);
        let old = vec![0xEE; 16 << 20];
        let fits = usize::try_from(blocks * 512).unwrap().min(old.len());
        disk.write(Lba::new(0), &old[..fits]).unwrap();
        disk
    }

    fn write(
        tiny: &TinyRelease,
        slot: &mut dyn BlockIo,
        cancel: &Cancel,
    ) -> Result<(), PayloadError> {
        let release = Release::open(tiny.dir()).unwrap();
        let image = &release.manifest().image;
        write_image(release.store(), image, slot, cancel, &mut |_, _| {})
    }

    #[test]
    fn the_image_arrives_and_zeros_replace_old_content() {
        let tiny = TinyRelease::of_bytes(&image());
        let mut slot = slot(1 << 16);
        write(&tiny, &mut slot, &Cancel::default()).unwrap();
        let mut have = vec![0; image().len()];
        slot.read(Lba::new(0), &mut have).unwrap();
        assert!(have == image());
    }

    #[test]
    fn one_flipped_byte_is_refused_before_decompression() {
        let tiny = TinyRelease::of_bytes(&image());
        let release = Release::open(tiny.dir()).unwrap();
        let bad = release.manifest().image.chunks[2].clone();
        tiny.flip_byte("dom0.img.zst", bad.frame_offset + bad.frame_length / 2);
        let mut slot = slot(1 << 16);
        let error = write(&tiny, &mut slot, &Cancel::default()).unwrap_err();
        assert_eq!(error.exit(), Exit::HashMismatch);
        assert!(error.to_string().contains("chunk 2 of 4, bytes"), "{error}");
        let mut have = vec![0; 4096];
        slot.read(Lba::new(bad.offset / 512), &mut have).unwrap();
        assert!(have.iter().all(|b| *b == 0xEE), "nothing of the chunk was written");
    }

    #[test]
    fn a_short_file_is_a_source_failure() {
        let tiny = TinyRelease::of_bytes(&image());
        let path = tiny.dir().join("dom0.img.zst");
        File::options().write(true).open(path).unwrap().set_len(1000).unwrap();
        let error = write(&tiny, &mut slot(1 << 16), &Cancel::default()).unwrap_err();
        assert_eq!(error.exit(), Exit::SourceFailed);
    }

    #[test]
    fn an_image_larger_than_its_slot_is_refused() {
        let tiny = TinyRelease::of_bytes(&image());
        let error = write(&tiny, &mut slot(1 << 10), &Cancel::default()).unwrap_err();
        assert_eq!(error.to_string(), "the dom0 image has 12591104 bytes, its slot 524288");
    }

    #[test]
    fn cancelling_ends_it() {
        let tiny = TinyRelease::of_bytes(&image());
        let cancel = Cancel::default();
        cancel.set();
        let error = write(&tiny, &mut slot(1 << 16), &cancel).unwrap_err();
        assert_eq!(error.exit(), Exit::Cancelled);
    }

    /// A disk that stores something else than it was given.
    #[derive(Debug)]
    struct Liar(MemDisk);

    impl BlockIo for Liar {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn block_size(&self) -> BlockSize {
            self.0.block_size()
        }
        fn blocks(&self) -> u64 {
            self.0.blocks()
        }
        fn read(&mut self, first: Lba, into: &mut [u8]) -> Result<(), IoError> {
            self.0.read(first, into)
        }
        fn write(&mut self, first: Lba, from: &[u8]) -> Result<(), IoError> {
            let mut from = from.to_vec();
            if first == Lba::new((8 << 20) / 512) {
                from[77] ^= 1;
            }
            self.0.write(first, &from)
        }
        fn flush(&mut self) -> Result<(), IoError> {
            self.0.flush()
        }
        fn zero(&mut self, extent: Extent) -> Result<(), IoError> {
            self.0.zero(extent)
        }
    }

    #[test]
    fn a_disk_that_lies_is_found_by_reading_back() {
        let tiny = TinyRelease::of_bytes(&image());
        let mut liar = Liar(slot(1 << 16));
        let error = write(&tiny, &mut liar, &Cancel::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "bytes 8388608 to 12582912 of the dom0 image read back from the disk are not what \
             was written"
        );
    }
}
