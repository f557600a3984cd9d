//! Packs the dom0 image chunk by chunk: independent zstd frames, each with the hash of its
//! compressed bytes, so that the installer checks before it decompresses.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::thread;

use installer_core::release::Chunk;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::progress::Progress;
use installer::release_dir::hex;

/// Bytes of the image in one chunk.
pub const CHUNK_BYTES: usize = 4 << 20;
const ZSTD_LEVEL: i32 = 9;
/// Chunks in flight for each processor.
const CHUNKS_PER_THREAD: usize = 4;

/// The packed image.
#[derive(Debug)]
pub struct Packed {
    pub file_size: u64,
    pub file_sha256: String,
    pub chunks: Vec<Chunk>,
}

/// Packs `image`, of `size` bytes, into `out`.
pub fn pack(image: &Path, size: u64, out: &Path, progress: &dyn Progress) -> Result<Packed> {
    let mut from = File::open(image).map_err(Error::io(image))?;
    let mut to = File::create(out).map_err(Error::io(out))?;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut hash = Sha256::new();
    let (mut offset, mut frame_offset) = (0, 0);
    let mut chunks = Vec::new();
    while offset < size {
        let mut batch = Vec::new();
        while batch.len() < threads * CHUNKS_PER_THREAD && offset < size {
            let length = u64::try_from(CHUNK_BYTES).unwrap_or(u64::MAX).min(size - offset);
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(CHUNK_BYTES)];
            from.read_exact(&mut bytes).map_err(Error::io(image))?;
            batch.push(bytes);
            offset += length;
        }
        let frames = compress(&batch, threads).map_err(Error::io(out))?;
        for (bytes, frame) in batch.iter().zip(frames) {
            to.write_all(&frame).map_err(Error::io(out))?;
            hash.update(&frame);
            let (length, frame_length) = (length_of(bytes), length_of(&frame));
            chunks.push(Chunk {
                offset: chunks.last().map_or(0, |c: &Chunk| c.offset + c.length),
                length,
                frame_offset,
                frame_length,
                sha256: hex(&Sha256::digest(&frame)),
                zero: bytes.iter().all(|b| *b == 0),
            });
            frame_offset += frame_length;
        }
        progress.bytes(offset, size);
    }
    to.sync_all().map_err(Error::io(out))?;
    Ok(Packed { file_size: frame_offset, file_sha256: hex(&hash.finalize()), chunks })
}

fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// One frame per chunk, in order; each thread takes every n-th chunk.
fn compress(batch: &[Vec<u8>], threads: usize) -> std::io::Result<Vec<Vec<u8>>> {
    let mut frames = vec![Vec::new(); batch.len()];
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn(move || -> std::io::Result<Vec<(usize, Vec<u8>)>> {
                    let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
                    let mine = batch.iter().enumerate().skip(first).step_by(threads);
                    mine.map(|(i, bytes)| Ok((i, compressor.compress(bytes)?))).collect()
                })
            })
            .collect();
        for worker in workers {
            let done =
                worker.join().unwrap_or_else(|_| Err(std::io::Error::other("a packer died")));
            for (i, frame) in done? {
                frames[i] = frame;
            }
        }
        Ok(frames)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    #[test]
    fn frames_in_a_row_give_the_image_and_zeros_are_marked() {
        let dir = tempfile::tempdir().unwrap();
        let (image, out) = (dir.path().join("i"), dir.path().join("o"));
        let mut bytes = vec![0_u8; 3 * CHUNK_BYTES + 4096];
        bytes[CHUNK_BYTES + 5] = 7;
        std::fs::write(&image, &bytes).unwrap();
        let packed = pack(&image, length_of(&bytes), &out, &Silent).unwrap();
        let file = std::fs::read(&out).unwrap();
        assert_eq!(length_of(&file), packed.file_size);
        assert_eq!(hex(&Sha256::digest(&file)), packed.file_sha256);
        assert_eq!(zstd::decode_all(file.as_slice()).unwrap(), bytes);
        let zero: Vec<bool> = packed.chunks.iter().map(|c| c.zero).collect();
        assert_eq!(zero, [true, false, true, true]);
        for chunk in &packed.chunks {
            let at = usize::try_from(chunk.frame_offset).unwrap();
            let frame = &file[at..at + usize::try_from(chunk.frame_length).unwrap()];
            assert_eq!(hex(&Sha256::digest(frame)), chunk.sha256);
            assert_eq!(length_of(&zstd::decode_all(frame).unwrap()), chunk.length);
        }
        let again = dir.path().join("again");
        pack(&image, length_of(&bytes), &again, &Silent).unwrap();
        assert_eq!(std::fs::read(again).unwrap(), file);
    }
}
