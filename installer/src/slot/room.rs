//! How much room a slot's file system has, for a message that says what did not fit. Whether all
//! fits is found by doing it: what folders and the tables of long files take is known to the tool.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use installer_core::target::{Body, TargetFile};
use partitioner::units::Bytes;

use super::{SlotError, file_error};

/// Where an ext4 file system has its superblock, and offsets in it (ext4.h).
const SUPERBLOCK: u64 = 1024;
const FREE_BLOCKS: usize = 0x0C;
const FREE_INODES: usize = 0x10;
const LOG_BLOCK_SIZE: usize = 0x18;
/// A block is 1024 bytes, doubled this many times at most.
const LOG_BLOCK_SIZE_MAX: u32 = 6;

/// What was free before anything was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    free: Bytes,
    inodes: u32,
}

impl Room {
    pub(super) fn of(slot: &Path) -> Result<Self, SlotError> {
        let mut block = [0; 64];
        File::open(slot)
            .and_then(|file| file.read_exact_at(&mut block, SUPERBLOCK))
            .map_err(file_error("reading", slot))?;
        let field = |at: usize| {
            let bytes = block.get(at..).and_then(|rest| rest.first_chunk::<4>());
            u32::from_le_bytes(*bytes.expect("each field lies within the 64 bytes"))
        };
        let log = field(LOG_BLOCK_SIZE).min(LOG_BLOCK_SIZE_MAX);
        // The upper half of the count is for file systems of 16 TiB.
        let free = u64::from(field(FREE_BLOCKS)).saturating_mul(1024 << log);
        Ok(Self { free: Bytes::new(free), inodes: field(FREE_INODES) })
    }

    /// What `debugfs` said when these files were put in.
    pub(super) fn too_small_for(self, files: &[TargetFile], said: &str) -> SlotError {
        let content = files.iter().filter_map(|file| match &file.body {
            Body::Content(bytes) => u64::try_from(bytes.len()).ok(),
            Body::Symlink(_) | Body::Directory | Body::Remove => None,
        });
        let wanted = Bytes::new(content.fold(0, u64::saturating_add));
        let Self { free, inodes } = self;
        SlotError::Full { wanted, free, inodes, said: said.to_owned() }
    }
}
