//! What a root file system is to a boot: what GRUB reads, and the rest that has to be whole.

use crate::disk::{Disk, Span, blocks, le16, le32};

/// How a kernel is told to find its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootArgument {
    /// PARTUUID in GPT byte order.
    PartUuid([u8; 16]),
    /// UUID of the file system.
    FsUuid([u8; 16]),
    /// Label of the file system.
    Label(String),
}

/// What is known of a system from its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// As the caller names versions.
    pub version: String,
    pub root: RootArgument,
    /// Is every block that was compared of this version? GRUB starts a kernel from a file system
    /// that is half written.
    pub whole: bool,
}

/// Looks into root file systems. A real one reads slot.cfg and the files it names; a test may
/// represent a system by stamps.
pub trait Systems: Sync + std::fmt::Debug {
    /// The system whose Xen, kernel and initrd GRUB can load from this ext4 file system, or why it
    /// can load none.
    fn look(&self, disk: &dyn Disk, span: Span) -> Result<System, String>;
}

/// An ext2, ext3 or ext4 superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    pub uuid: [u8; 16],
    pub label: String,
    incompat: u32,
}

/// `needs_recovery` (4), filetype (2), extent (0x40), 64bit (0x80), `flex_bg` (0x200): what GRUB
/// 2.06 and our own mke2fs arguments agree on.
const INCOMPAT_KNOWN: u32 = 0x2 | 0x4 | 0x40 | 0x80 | 0x200;

impl Superblock {
    pub fn read(disk: &dyn Disk, span: Span) -> Option<Self> {
        let unit = u64::try_from(disk.block_bytes()).ok()?;
        // 1024 bytes at byte 1024, which with large blocks are a part of the first.
        let first = 1024_u64.checked_div(unit)?;
        let bytes = blocks(disk, span.first.checked_add(first)?, 1024_u64.div_ceil(unit)).ok()?;
        let skip = if first == 0 { 1024 } else { 0 };
        let raw = bytes.get(skip..)?;
        if le16(raw, 0x38) != 0xEF53 {
            return None;
        }
        let label = raw.get(0x78..0x88)?.split(|byte| *byte == 0).next()?;
        Some(Self {
            uuid: crate::disk::array(raw, 0x68),
            label: String::from_utf8_lossy(label).into_owned(),
            incompat: le32(raw, 0x60),
        })
    }

    pub(crate) const fn incompat(&self) -> u32 {
        self.incompat
    }

    /// Features that GRUB does not read.
    pub fn unknown_features(&self) -> u32 {
        self.incompat & !INCOMPAT_KNOWN
    }
}
