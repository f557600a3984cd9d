//! A part of a disk as a disk of its own, and as a stream of bytes.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::block::{BlockIo, IoError, extent_of, within};
use crate::units::{BlockSize, Extent, Lba};

/// One extent of a disk, counted from 0. Nothing outside can be reached through it.
#[derive(Debug)]
pub struct Window<'a> {
    inner: &'a mut dyn BlockIo,
    extent: Extent,
}

impl<'a> Window<'a> {
    /// Refuses an extent that reaches past the disk.
    pub fn new(inner: &'a mut dyn BlockIo, extent: Extent) -> Result<Self, IoError> {
        within(inner, extent)?;
        Ok(Self { inner, extent })
    }

    /// The block of the disk behind block `at` of the window, which lies within.
    fn outer(&self, at: Lba) -> Lba {
        Lba::new(self.extent.first().get().saturating_add(at.get()))
    }

    fn outer_extent(&self, extent: Extent) -> Extent {
        let (first, last) = (self.outer(extent.first()), self.outer(extent.last()));
        Extent::new(first, last).unwrap_or(self.extent)
    }
}

impl BlockIo for Window<'_> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn block_size(&self) -> BlockSize {
        self.inner.block_size()
    }

    fn blocks(&self) -> u64 {
        self.extent.blocks()
    }

    fn read(&mut self, first: Lba, into: &mut [u8]) -> Result<(), IoError> {
        extent_of(self, first, into.len())?;
        self.inner.read(self.outer(first), into)
    }

    fn write(&mut self, first: Lba, from: &[u8]) -> Result<(), IoError> {
        extent_of(self, first, from.len())?;
        self.inner.write(self.outer(first), from)
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.inner.flush()
    }

    fn zero(&mut self, extent: Extent) -> Result<(), IoError> {
        within(self, extent)?;
        self.inner.zero(self.outer_extent(extent))
    }

    fn is_zero(&mut self, extent: Extent) -> Result<bool, IoError> {
        within(self, extent)?;
        self.inner.is_zero(self.outer_extent(extent))
    }
}

/// Bytes in a page of the cache; a multiple of every block size up to it.
const PAGE: u64 = 64 << 10;
/// Pages kept; 4 MiB.
const PAGES_MAX: usize = 64;

/// A window as a stream of bytes, for libraries that want `Read + Write + Seek`.
///
/// Changed pages stay in memory until the cache is full or [`Write::flush`] is called; what is
/// dropped without a flush is lost. [`Stream::finish`] flushes and tells.
#[derive(Debug)]
pub struct Stream<'a> {
    window: Window<'a>,
    len: u64,
    position: u64,
    pages: BTreeMap<u64, Page>,
    /// Counts page uses, to find the page that was used least lately.
    clock: u64,
}

#[derive(Debug)]
struct Page {
    bytes: Vec<u8>,
    changed: bool,
    used: u64,
}

impl<'a> Stream<'a> {
    pub fn new(window: Window<'a>) -> Self {
        let len = window.blocks().saturating_mul(window.block_size().bytes());
        Self { window, len, position: 0, pages: BTreeMap::new(), clock: 0 }
    }

    /// Writes everything out and flushes the disk.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()
    }

    /// The page that holds `position`, and the offset in it.
    fn page(&mut self) -> io::Result<(&mut Page, usize)> {
        let start = self.position & !PAGE.wrapping_sub(1);
        self.clock = self.clock.saturating_add(1);
        if !self.pages.contains_key(&start) {
            self.make_room()?;
            let len = usize::try_from(PAGE.min(self.len.saturating_sub(start))).map_err(other)?;
            let mut bytes = vec![0; len];
            self.window.read(self.lba(start), &mut bytes).map_err(other)?;
            self.pages.insert(start, Page { bytes, changed: false, used: 0 });
        }
        let offset = usize::try_from(self.position.saturating_sub(start)).map_err(other)?;
        let page = self.pages.get_mut(&start).ok_or(io::ErrorKind::NotFound)?;
        page.used = self.clock;
        Ok((page, offset))
    }

    /// Drops the page that was used least lately when the cache is full.
    fn make_room(&mut self) -> io::Result<()> {
        if self.pages.len() < PAGES_MAX {
            return Ok(());
        }
        let oldest = self.pages.iter().min_by_key(|(_, page)| page.used).map(|(at, _)| *at);
        let Some(at) = oldest else { return Ok(()) };
        self.write_out(at)?;
        self.pages.remove(&at);
        Ok(())
    }

    fn write_out(&mut self, at: u64) -> io::Result<()> {
        let lba = self.lba(at);
        let Some(page) = self.pages.get_mut(&at).filter(|page| page.changed) else {
            return Ok(());
        };
        self.window.write(lba, &page.bytes).map_err(other)?;
        page.changed = false;
        Ok(())
    }

    /// The block at a byte offset that is a multiple of the page size.
    fn lba(&self, offset: u64) -> Lba {
        Lba::new(offset.checked_div(self.window.block_size().bytes()).unwrap_or(0))
    }

    /// How many of `wanted` bytes lie between the position and the end of the window.
    fn room(&self, wanted: usize) -> usize {
        let left = self.len.saturating_sub(self.position);
        usize::try_from(left).unwrap_or(usize::MAX).min(wanted)
    }

    fn advance(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.position = self.position.saturating_add(bytes);
    }
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

impl Read for Stream<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let wanted = self.room(into.len());
        if wanted == 0 {
            return Ok(0);
        }
        let (page, offset) = self.page()?;
        let from = &page.bytes[offset..];
        let len = from.len().min(wanted);
        into[..len].copy_from_slice(&from[..len]);
        self.advance(len);
        Ok(len)
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let wanted = self.room(from.len());
        if wanted == 0 && !from.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if wanted == 0 {
            return Ok(0);
        }
        let (page, offset) = self.page()?;
        let into = &mut page.bytes[offset..];
        let len = into.len().min(wanted);
        into[..len].copy_from_slice(&from[..len]);
        page.changed = true;
        self.advance(len);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        let changed: Vec<u64> = self.pages.keys().copied().collect();
        for at in changed {
            self.write_out(at)?;
        }
        self.window.flush().map_err(other)
    }
}

impl Seek for Stream<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::memory::MemDisk;

    fn extent(first: u64, last: u64) -> Extent {
        Extent::new(Lba::new(first), Lba::new(last)).unwrap()
    }

    #[test]
    fn a_window_cannot_be_left() {
        let mut disk = MemDisk::new("m", BlockSize::B512, 100);
        {
            let mut window = Window::new(&mut disk, extent(10, 19)).unwrap();
            assert_eq!(window.blocks(), 10);
            window.write(Lba::new(9), &[7; 512]).unwrap();
            window.write(Lba::new(9), &[7; 1024]).unwrap_err();
            window.zero(extent(0, 10)).unwrap_err();
        }
        assert_eq!(disk.used().collect::<Vec<_>>(), [Lba::new(19)]);
        Window::new(&mut disk, extent(99, 100)).unwrap_err();
    }

    /// More pages than the cache keeps, at odd offsets, against a plain buffer.
    #[test]
    fn a_stream_holds_bytes_as_a_buffer_does() {
        let mut disk = MemDisk::new("m", BlockSize::B4096, 3000);
        let window = extent(100, 2599);
        let mut twin = vec![0_u8; 2500 * 4096];
        {
            let mut stream = Stream::new(Window::new(&mut disk, window).unwrap());
            // A generator with a full period: every run is the same.
            let mut state = 1_u64;
            for round in 0..2000_u64 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = usize::try_from((state >> 20) % 10_230_000).unwrap();
                let bytes = vec![u8::try_from(round % 255).unwrap() + 1; 7 + at % 9000];
                stream.seek(SeekFrom::Start(u64::try_from(at).unwrap())).unwrap();
                stream.write_all(&bytes).unwrap();
                twin[at..at + bytes.len()].copy_from_slice(&bytes);
                let back = at.saturating_sub(5);
                stream.seek(SeekFrom::Start(u64::try_from(back).unwrap())).unwrap();
                let mut seen = vec![0; 20];
                stream.read_exact(&mut seen).unwrap();
                assert_eq!(seen, twin[back..back + 20]);
            }
            stream.finish().unwrap();
        }
        let mut all = vec![0; twin.len()];
        disk.read(Lba::new(100), &mut all).unwrap();
        assert!(all == twin, "what was flushed is what was written");
        assert!(disk.used().all(|lba| window.contains(Extent::with_len(lba, 1).unwrap())));
    }

    #[test]
    fn the_end_of_a_stream_is_the_end_of_its_window() {
        let mut disk = MemDisk::new("m", BlockSize::B512, 100);
        let mut stream = Stream::new(Window::new(&mut disk, extent(0, 9)).unwrap());
        assert_eq!(stream.seek(SeekFrom::End(-3)).unwrap(), 5117);
        assert_eq!(stream.write(&[1; 9]).unwrap(), 3);
        assert_eq!(stream.write(&[1]).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(stream.read(&mut [0; 9]).unwrap(), 0);
        stream.seek(SeekFrom::Current(-5121)).unwrap_err();
    }
}
