//! What is on a disk, in lines for people: tables, file systems, volumes of other systems.
//!
//! In: the disk's blocks, and `blkid` for the signatures of systems that are not ours. Out: no line
//! for a blank disk, and only for that. What cannot be read is a line too: silence would look blank.

/// What a disk holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Empty for a blank disk.
    pub lines: Vec<String>,
    /// Of a finished xenhost installation.
    pub deployment_id: Option<String>,
    /// The disk carries xenhost's installation medium.
    pub medium: bool,
}
use crate::call::Run;
use partitioner::units::BlockSize;
use std::path::Path;
pub(super) fn of_image(_: &Path, _: BlockSize, _: &mut dyn Run) -> Content {
    Content::default()
}
pub(super) fn of_device(_: &Path, _: BlockSize, _: &mut dyn Run) -> Content {
    Content::default()
}
