//! Reads an ext2, ext3 or ext4 file system without mounting it, through `ext4-view`.
//!
//! That library wants to own what it reads from; a disk here is lent. So it gets a set of pages:
//! where one is missing the question fails, the page is read from the disk, and the question is
//! asked again, until nothing is missing. The number of pages is bounded, so that no file system
//! can ask for more memory or time than that.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::rc::Rc;

use ext4_view::{Ext4, Ext4Error, Ext4Read};

use super::{bytes_at, le16, le32};
use crate::block::{BlockIo, IoError};
use crate::units::Bytes;

const PAGE: u64 = 256 << 10;
const PAGES_MAX: usize = 240;
const READ_MAX: Bytes = Bytes::mib(60);
/// Pages read at once where one after the other is asked for: a journal, a large file.
const AHEAD_MAX: u64 = 32;
const SUPERBLOCK: u64 = 1024;
const SUPERBLOCK_LEN: usize = 1024;
const MAGIC: u16 = 0xEF53;

/// Why a file system could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("no ext file system")]
    NoSuperblock,
    #[error("the superblock has an impossible {field}: {value}")]
    Superblock { field: &'static str, value: u64 },
    #[error("the file system of {says} is larger than its volume of {volume}")]
    Truncated { says: Bytes, volume: Bytes },
    #[error("more than {READ_MAX} would have to be read")]
    TooMuch,
    #[error("{0}")]
    Ext4(#[from] Ext4Error),
    #[error("{path} has {len}, {max} are read at most")]
    FileTooLarge { path: String, len: Bytes, max: Bytes },
}

/// Asks a question of the file system in a volume. It is asked several times, so it must not count
/// on being asked once; only its last answer counts.
pub fn ask<T>(
    volume: &mut dyn BlockIo,
    mut question: impl FnMut(&Ext4) -> Result<T, Unreadable>,
) -> Result<Result<T, Unreadable>, IoError> {
    let len = volume.blocks().saturating_mul(volume.block_size().bytes());
    let Some(superblock) = bytes_at(volume, SUPERBLOCK, SUPERBLOCK_LEN)? else {
        return Ok(Err(Unreadable::NoSuperblock));
    };
    if let Err(error) = plausible(&superblock, len) {
        return Ok(Err(error));
    }
    let pages = Rc::new(RefCell::new(Pages { len, held: BTreeMap::new(), missing: None }));
    let (mut next, mut ahead) = (None, 1_u64);
    // Each round but the last adds a page.
    for _ in 0..=PAGES_MAX {
        let reader = Box::new(Reader(Rc::clone(&pages)));
        let answer = Ext4::load(reader).map_err(Unreadable::from).and_then(|fs| question(&fs));
        let Some(missing) = pages.borrow_mut().missing.take() else { return Ok(answer) };
        ahead = if next == Some(missing) { AHEAD_MAX.min(ahead.saturating_mul(2)) } else { 1 };
        let end = missing.saturating_add(ahead).min(len.div_ceil(PAGE));
        for page in missing..end {
            let start = page.saturating_mul(PAGE);
            let wanted = PAGE.min(len.saturating_sub(start));
            let bytes = bytes_at(volume, start, usize::try_from(wanted).unwrap_or(0))?;
            let mut pages = pages.borrow_mut();
            if PAGES_MAX <= pages.held.len() {
                return Ok(Err(Unreadable::TooMuch));
            }
            pages.held.insert(page, bytes.unwrap_or_default());
        }
        next = Some(end);
    }
    Ok(Err(Unreadable::TooMuch))
}

/// The content of a file; `None` where no file of that name is.
pub fn file(fs: &Ext4, path: &str, max: Bytes) -> Result<Option<Vec<u8>>, Unreadable> {
    let metadata = match fs.metadata(path) {
        Ok(metadata) => metadata,
        Err(Ext4Error::NotFound | Ext4Error::NotADirectory) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    let len = Bytes::new(metadata.len());
    if max < len {
        return Err(Unreadable::FileTooLarge { path: path.to_owned(), len, max });
    }
    if !metadata.file_type().is_regular_file() {
        return Ok(None);
    }
    fs.read(path).map(Some).map_err(Unreadable::from)
}

/// Refuses what the library would trust: sizes that it allocates by, or divides by.
fn plausible(superblock: &[u8], volume: u64) -> Result<(), Unreadable> {
    if le16(superblock, 0x38) != MAGIC {
        return Err(Unreadable::NoSuperblock);
    }
    let check = |field, value, sound: bool| {
        if sound { Ok(()) } else { Err(Unreadable::Superblock { field, value }) }
    };
    let shift = le32(superblock, 0x18);
    check("block size", u64::from(shift), shift <= 6)?;
    let block = 1024_u64 << shift;
    let is_64bit = le32(superblock, 0x60) & 0x80 != 0;
    let high = if is_64bit { u64::from(le32(superblock, 0x150)) << 32 } else { 0 };
    let blocks = u64::from(le32(superblock, 4)) | high;
    let says = blocks.saturating_mul(block);
    if volume < says {
        return Err(Unreadable::Truncated { says: Bytes::new(says), volume: Bytes::new(volume) });
    }
    // A bitmap of one block describes a group (ext4.h).
    let per_group = u64::from(le32(superblock, 0x20));
    let whole = block.saturating_mul(8);
    check("number of blocks in a group", per_group, per_group <= whole && 256 <= per_group)?;
    let groups = blocks.div_ceil(per_group);
    // 64 bytes each; a file system of 128 TiB has 2^20.
    check("number of groups", groups, groups <= 1 << 20)?;
    let inodes = u64::from(le32(superblock, 0x28));
    check("number of inodes in a group", inodes, inodes <= whole && 0 < inodes)?;
    let dynamic = le32(superblock, 0x4C) != 0;
    let inode = u64::from(le16(superblock, 0x58));
    let sound = inode.is_power_of_two() && 128 <= inode && inode <= block;
    check("inode size", inode, dynamic && sound)?;
    let descriptor = u64::from(le16(superblock, 0xFE));
    let sound = descriptor.is_power_of_two() && 64 <= descriptor && descriptor <= block;
    check("descriptor size", descriptor, !is_64bit || sound)
}

/// What has been read of a volume.
struct Pages {
    len: u64,
    held: BTreeMap<u64, Vec<u8>>,
    /// The first page that was asked for and not there.
    missing: Option<u64>,
}

struct Reader(Rc<RefCell<Pages>>);

/// The reader's own errors; nobody sees them but `ask`, unless the place is past the end.
#[derive(Debug)]
enum NoBytes {
    Missing,
    PastEnd,
}

impl fmt::Display for NoBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "not read yet",
            Self::PastEnd => "a place behind the end of the volume",
        })
    }
}

impl Error for NoBytes {}

impl Ext4Read for Reader {
    fn read(
        &mut self,
        start_byte: u64,
        into: &mut [u8],
    ) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        let mut pages = self.0.borrow_mut();
        let end = u64::try_from(into.len()).ok().and_then(|len| start_byte.checked_add(len));
        if end.is_none_or(|end| pages.len < end) {
            return Err(Box::new(NoBytes::PastEnd));
        }
        let mut at = start_byte;
        let mut into = into;
        while !into.is_empty() {
            let (number, skip) = (at >> PAGE.trailing_zeros(), at & PAGE.wrapping_sub(1));
            let Some(page) = pages.held.get(&number) else {
                pages.missing.get_or_insert(number);
                return Err(Box::new(NoBytes::Missing));
            };
            let page = page.get(usize::try_from(skip).unwrap_or(usize::MAX)..);
            let page = page.filter(|page| !page.is_empty()).ok_or(NoBytes::PastEnd)?;
            let len = page.len().min(into.len());
            let (now, later) = into.split_at_mut(len);
            now.copy_from_slice(page.get(..len).unwrap_or_default());
            into = later;
            at = at.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}
