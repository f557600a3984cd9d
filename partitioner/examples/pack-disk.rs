//! Packs a disk image for the tests: `pack-disk IMAGE PACKED`.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

#[path = "../tests/fixtures/packed.rs"]
#[expect(dead_code, reason = "tests unpack")]
mod packed;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [image, target] = arguments.as_slice() else {
        return Err(io::Error::other("usage: pack-disk IMAGE PACKED"));
    };
    let file = File::open(image)?;
    let len = file.metadata()?.len();
    fs::write(target, packed::pack(len, chunks(&file, len))?)
}

/// The chunks that are not zero. Only what the file system says is data is read.
fn chunks(file: &File, len: u64) -> impl Iterator<Item = io::Result<(u64, Vec<u8>)>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at = rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)).ok()? & !4095;
            if len <= at {
                return None;
            }
            let mut bytes = vec![0; packed::CHUNK];
            let offset = at;
            at = at.saturating_add(4096);
            match file.read_exact_at(&mut bytes, offset) {
                Err(error) => return Some(Err(error)),
                Ok(()) if bytes.iter().all(|byte| *byte == 0) => {}
                Ok(()) => return Some(Ok((offset, bytes))),
            }
        }
    })
}
