//! Frames of the image, handed to whoever asks next, and what makes data of them.
//!
//! From a file each asks for its own; from the web they come one after the other through one
//! connection, in the order of the image.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use installer_core::release::Image;
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

use super::{Data, PayloadError, len};
use crate::fetch::Download;
use crate::release_dir::{Open, Store, hex};

/// Bytes of a frame that nobody has vouched for.
pub(super) struct Unverified(Vec<u8>);
/// Bytes of a frame whose SHA-256 is the manifest's. Only `verify` makes one, and only it can be
/// decompressed.
pub(super) struct Verified(Vec<u8>);

pub(super) struct Feed<'a> {
    image: &'a Image,
    /// Indices of chunks, rising.
    wanted: Vec<usize>,
    next: AtomicUsize,
    from: From,
    /// The image's file as errors name it.
    place: String,
}

enum From {
    File(File),
    Web(Mutex<Download>),
}

impl<'a> Feed<'a> {
    pub(super) fn open(
        store: &Store,
        image: &'a Image,
        wanted: Vec<usize>,
    ) -> Result<Self, PayloadError> {
        let from = match store.open(&image.file, image.file_size)? {
            Open::File(file) => From::File(file),
            Open::Web(download) => From::Web(Mutex::new(download)),
        };
        let place = store.place(&image.file);
        Ok(Self { image, wanted, next: AtomicUsize::new(0), from, place })
    }

    pub(super) fn len(&self) -> usize {
        self.wanted.len()
    }

    /// The next frame; `None` when all were handed out.
    pub(super) fn next(&self) -> Option<Result<(usize, Unverified), PayloadError>> {
        match &self.from {
            From::File(file) => {
                let index = self.turn()?;
                Some(self.read(file, index).map(|frame| (index, frame)))
            }
            From::Web(download) => {
                let Ok(mut download) = download.lock() else {
                    return Some(Err(PayloadError::WorkerLost));
                };
                // Taken while nobody else can, so that frames are asked for in rising order.
                let index = self.turn()?;
                Some(self.fetch(&mut download, index).map(|frame| (index, frame)))
            }
        }
    }

    fn turn(&self) -> Option<usize> {
        self.wanted.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }

    fn read(&self, file: &File, index: usize) -> Result<Unverified, PayloadError> {
        let chunk = &self.image.chunks[index];
        let mut bytes = vec![0; len(chunk.frame_length)];
        file.read_exact_at(&mut bytes, chunk.frame_offset).map_err(|source| {
            PayloadError::Read {
                place: self.place.clone(),
                offset: chunk.frame_offset,
                length: chunk.frame_length,
                source,
            }
        })?;
        Ok(Unverified(bytes))
    }

    fn fetch(&self, download: &mut Download, index: usize) -> Result<Unverified, PayloadError> {
        let chunk = &self.image.chunks[index];
        let mut bytes = vec![0; len(chunk.frame_length)];
        download.go_to(chunk.frame_offset)?;
        download.fill(&mut bytes)?;
        Ok(Unverified(bytes))
    }

    pub(super) fn verify(&self, index: usize, frame: Unverified) -> Result<Verified, PayloadError> {
        let chunk = &self.image.chunks[index];
        let have = hex(&Sha256::digest(&frame.0));
        if have == chunk.sha256 {
            return Ok(Verified(frame.0));
        }
        Err(PayloadError::Hash {
            place: self.place.clone(),
            chunk: index,
            chunks: self.image.chunks.len(),
            offset: chunk.frame_offset,
            end: chunk.frame_offset + chunk.frame_length,
            have,
            want: chunk.sha256.clone(),
        })
    }

    pub(super) fn decompress(&self, index: usize, frame: &Verified) -> Result<Data, PayloadError> {
        let want = len(self.image.chunks[index].length);
        let wrong = |why| PayloadError::Frame { place: self.place.clone(), chunk: index, why };
        let bytes = zstd::bulk::decompress(&frame.0, want).map_err(|e| wrong(e.to_string()))?;
        if bytes.len() != want {
            return Err(wrong(format!("it holds {} bytes, not {want}", bytes.len())));
        }
        let sum = xxh3_64(&bytes);
        Ok(Data { bytes, sum })
    }
}
