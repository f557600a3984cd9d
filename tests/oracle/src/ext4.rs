//! ext4 as GRUB 2.06 reads it: superblock, group descriptors, inodes, extents, directories, line by
//! line. No journal is replayed and no checksum is checked, since GRUB does neither; nor does this
//! follow symbolic links, of which a slot's boot files are none.
//!
//! Every loop ends: an extent tree by its depth, a directory and a file by a bound on their length.

use crate::disk::{Disk, Span, blocks, le16, le32};
use crate::system::Superblock;

/// Longer files are not read.
const FILE_MAX: u64 = 256 << 20;
/// Longer directories are not searched.
const DIRECTORY_MAX: u64 = 4 << 20;
const ROOT_INODE: u32 = 2;
const IS_64BIT: u32 = 0x80;
const HAS_EXTENTS: u32 = 0x8_0000;
const EXTENT_MAGIC: u16 = 0xF30A;
/// Deeper trees do not exist (ext4.h).
const DEPTH_MAX: u16 = 5;

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
    Other,
}

/// A file system in a range of a disk.
#[derive(Clone, Copy)]
pub struct Ext4<'a> {
    disk: &'a dyn Disk,
    span: Span,
    block_bytes: u64,
    inodes_per_group: u32,
    inode_bytes: u64,
    descriptor_bytes: u64,
    descriptors_at: u64,
    is_64bit: bool,
}

impl std::fmt::Debug for Ext4<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ext4").field("span", &self.span).finish_non_exhaustive()
    }
}

/// An inode: its kind, its length, and the root of its extents.
#[derive(Clone, Debug)]
struct Inode {
    kind: Kind,
    bytes: u64,
    flags: u32,
    root: Vec<u8>,
}

impl<'a> Ext4<'a> {
    /// The file system, if GRUB reads one like it.
    pub fn open(disk: &'a dyn Disk, span: Span) -> Result<Self, String> {
        let superblock = Superblock::read(disk, span).ok_or("no ext4 file system")?;
        let unknown = superblock.unknown_features();
        if unknown != 0 {
            return Err(format!("it has the features {unknown:#x}, which GRUB does not read"));
        }
        let raw = bytes_at(disk, span, 1024, 1024)?;
        let shift = le32(&raw, 0x18);
        let block_bytes = 1024_u64.checked_shl(shift).filter(|_| shift <= 6);
        let block_bytes = block_bytes.ok_or_else(|| format!("a block of 2^{shift} KiB"))?;
        let is_64bit = superblock.incompat() & IS_64BIT != 0;
        let descriptor = if is_64bit { u64::from(le16(&raw, 0xFE)) } else { 32 };
        let revision = le32(&raw, 0x4C);
        let inode_bytes = if revision == 0 { 128 } else { u64::from(le16(&raw, 0x58)) };
        let inodes_per_group = le32(&raw, 0x28);
        if inodes_per_group == 0 || !(128..=block_bytes).contains(&inode_bytes) || descriptor < 32 {
            return Err("its superblock has sizes that cannot be".to_owned());
        }
        let first = u64::from(le32(&raw, 0x14)).saturating_add(1);
        Ok(Self {
            disk,
            span,
            block_bytes,
            inodes_per_group,
            inode_bytes,
            descriptor_bytes: descriptor,
            descriptors_at: first.saturating_mul(block_bytes),
            is_64bit,
        })
    }

    /// Is there a regular file of this name?
    pub fn has(&self, path: &str) -> bool {
        self.find(path).is_ok_and(|inode| inode.kind == Kind::File)
    }

    /// The bytes of a regular file.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let inode = self.find(path)?;
        if inode.kind != Kind::File {
            return Err(format!("{path} is no regular file"));
        }
        self.content(&inode, FILE_MAX).map_err(|why| format!("{path}: {why}"))
    }

    fn find(&self, path: &str) -> Result<Inode, String> {
        let mut inode = self.inode(ROOT_INODE)?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            if inode.kind != Kind::Directory {
                return Err(format!("{path}: what {name} is in is no directory"));
            }
            let listing = self.content(&inode, DIRECTORY_MAX)?;
            let number = lookup(&listing, name.as_bytes(), self.block_bytes);
            inode = self.inode(number.ok_or_else(|| format!("{path}: there is no {name}"))?)?;
        }
        Ok(inode)
    }

    fn inode(&self, number: u32) -> Result<Inode, String> {
        let none = || format!("inode {number} cannot be");
        let index = number.checked_sub(1).ok_or_else(none)?;
        let group = u64::from(index.checked_div(self.inodes_per_group).ok_or_else(none)?);
        let within = u64::from(index.checked_rem(self.inodes_per_group).ok_or_else(none)?);
        let at = group.saturating_mul(self.descriptor_bytes).saturating_add(self.descriptors_at);
        let descriptor = self.bytes(at, self.descriptor_bytes)?;
        let high = if self.is_64bit { u64::from(le32(&descriptor, 0x28)) << 32 } else { 0 };
        let table = (u64::from(le32(&descriptor, 8)) | high).saturating_mul(self.block_bytes);
        let at = within.saturating_mul(self.inode_bytes).saturating_add(table);
        let raw = self.bytes(at, 128)?;
        let kind = match le16(&raw, 0) & 0xF000 {
            0x8000 => Kind::File,
            0x4000 => Kind::Directory,
            _ => Kind::Other,
        };
        let bytes = u64::from(le32(&raw, 4)) | (u64::from(le32(&raw, 0x6C)) << 32);
        let root = raw.get(0x28..0x64).unwrap_or_default().to_vec();
        Ok(Inode { kind, bytes, flags: le32(&raw, 0x20), root })
    }

    fn content(&self, inode: &Inode, max: u64) -> Result<Vec<u8>, String> {
        if max < inode.bytes {
            return Err(format!("{} bytes, more than {max} are not read", inode.bytes));
        }
        if inode.flags & HAS_EXTENTS == 0 {
            return Err("it is not made of extents".to_owned());
        }
        let len = usize::try_from(inode.bytes).map_err(|error| error.to_string())?;
        let mut content = vec![0; len];
        self.fill(&inode.root, DEPTH_MAX, &mut content)?;
        Ok(content)
    }

    /// Puts what a node of the extent tree names to where it belongs. What no extent names is zero.
    fn fill(&self, node: &[u8], depth_max: u16, content: &mut [u8]) -> Result<(), String> {
        let (entries, depth) = (usize::from(le16(node, 2)), le16(node, 6));
        if le16(node, 0) != EXTENT_MAGIC || depth_max < depth {
            return Err("a node of its extents is damaged".to_owned());
        }
        for entry in node.chunks_exact(12).skip(1).take(entries) {
            if depth == 0 {
                self.extent(entry, content)?;
                continue;
            }
            let high = u64::from(le16(entry, 8)) << 32;
            let at = (u64::from(le32(entry, 4)) | high).saturating_mul(self.block_bytes);
            let child = self.bytes(at, self.block_bytes)?;
            if le16(&child, 6).checked_add(1) != Some(depth) {
                return Err("its extents are not a tree".to_owned());
            }
            self.fill(&child, depth.saturating_sub(1), content)?;
        }
        Ok(())
    }

    fn extent(&self, entry: &[u8], content: &mut [u8]) -> Result<(), String> {
        let length = le16(entry, 4);
        // A longer one is allocated and not written yet: it reads as zero.
        if 0x8000 < length {
            return Ok(());
        }
        let to = u64::from(le32(entry, 0)).saturating_mul(self.block_bytes);
        let rest = usize::try_from(to).ok().and_then(|to| content.get_mut(to..));
        let Some(rest) = rest.filter(|rest| !rest.is_empty()) else { return Ok(()) };
        let from = u64::from(le32(entry, 8)) | (u64::from(le16(entry, 6)) << 32);
        let left = u64::try_from(rest.len()).unwrap_or(u64::MAX);
        let bytes = u64::from(length).saturating_mul(self.block_bytes).min(left);
        let read = self.bytes(from.saturating_mul(self.block_bytes), bytes)?;
        for (to, byte) in rest.iter_mut().zip(read) {
            *to = byte;
        }
        Ok(())
    }

    fn bytes(&self, at: u64, len: u64) -> Result<Vec<u8>, String> {
        bytes_at(self.disk, self.span, at, len)
    }
}

/// Bytes of a range of a disk. The caller has bounded the length.
fn bytes_at(disk: &dyn Disk, span: Span, at: u64, len: u64) -> Result<Vec<u8>, String> {
    let unit = u64::try_from(disk.block_bytes()).unwrap_or(u64::MAX).max(1);
    let end = at.checked_add(len).filter(|end| end.div_ceil(unit) <= span.blocks);
    let end = end.ok_or_else(|| format!("byte {at} lies outside the partition"))?;
    let (first, last) = (at.checked_div(unit).unwrap_or(0), end.div_ceil(unit));
    let count = last.saturating_sub(first);
    let read = blocks(disk, span.first.saturating_add(first), count);
    let mut bytes = read.map_err(|error| error.to_string())?;
    let skip = at.checked_rem(unit).and_then(|skip| usize::try_from(skip).ok()).unwrap_or(0);
    let len = usize::try_from(len).map_err(|error| error.to_string())?;
    bytes.drain(..skip.min(bytes.len()));
    bytes.truncate(len);
    Ok(bytes)
}

/// The inode of a name. A directory with an index looks like one without to whoever reads it from
/// its beginning.
fn lookup(listing: &[u8], name: &[u8], block_bytes: u64) -> Option<u32> {
    for block in listing.chunks(usize::try_from(block_bytes).ok()?) {
        let mut rest = block;
        // An entry of no length ends a block, so that each round takes a part of it.
        while let Some(len) = Some(usize::from(le16(rest, 4))).filter(|len| 8 <= *len) {
            let (inode, name_len) = (le32(rest, 0), usize::from(*rest.get(6)?));
            if inode != 0 && rest.get(8..)?.get(..name_len) == Some(name) {
                return Some(inode);
            }
            rest = rest.get(len..).unwrap_or_default();
        }
    }
    None
}
