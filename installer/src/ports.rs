//! What the engine may do to the world.
//!
//! [`Host`] is implemented for a machine (`host::linux`) and for plain image files
//! (`host::image`). An implementation holds storage and ways to it, never rules: what is written,
//! and in which order, is the engine's.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use installer_core::outcome::Exit;
use partitioner::block::{BlockIo, IoError};
use partitioner::layout::Role;
use partitioner::table::{Planned, TablePlan};
use partitioner::units::Bytes;

use crate::call::{CallError, Run};

/// One target disk and the means to fill it. The order of calls is the order of the methods:
/// nothing is asked of a partition before `announce`.
pub trait Host: Run {
    /// The target disk, behind the fence of the plan.
    fn disk(&mut self) -> &mut dyn BlockIo;

    /// Whether what will be written finds room, beside the disk itself: `bytes` is about how much
    /// is not zero. Asked before the first write.
    fn check_room(&self, bytes: u64) -> Result<(), HostError>;

    /// The table is written; makes its partitions reachable. Called once.
    fn announce(&mut self, table: &TablePlan) -> Result<(), HostError>;

    /// Where a raw file system image for this partition goes, exactly as long as the partition.
    /// On a machine a window of the disk, on image files a sparse file that reads as zero.
    fn open_slot(&mut self, role: Role) -> Result<Box<dyn BlockIo + '_>, HostError>;

    /// What a tool gets as its device: the partition's node, or the sparse file of its own. It is
    /// as long as the partition and holds what `open_slot` wrote.
    fn tool_path(&mut self, role: Role) -> Result<PathBuf, HostError>;

    /// The tools are done with the partition: what they wrote is on the disk, durable and read
    /// back, when this returns.
    fn settle(&mut self, role: Role) -> Result<(), HostError>;

    /// Whether scripts of the answers may run on this machine. Asked before the first write.
    fn check_hooks(&self) -> Result<(), HostError>;

    /// The file system of a partition as a folder, until `unmount`. For scripts of the answers:
    /// nothing else asks for the partition in between.
    fn mount(&mut self, role: Role) -> Result<PathBuf, HostError>;

    fn unmount(&mut self) -> Result<(), HostError>;

    /// A private folder for small files that tools read, removed with the host.
    fn scratch(&self) -> &Path;

    /// Adds a UEFI boot entry before all others. Best effort: `Ok` tells what was done, or why
    /// nothing was to be done; an error is a warning to the operator.
    fn boot_entry(&mut self, entry: &BootEntry<'_>) -> Result<String, HostError>;

    fn now(&self) -> SystemTime;
}

/// A line of the firmware's boot menu.
#[derive(Clone, Debug)]
pub struct BootEntry<'p> {
    pub label: &'static str,
    /// With backslashes, from the root of the boot partition.
    pub loader: &'static str,
    /// The boot partition.
    pub partition: &'p Planned,
}

/// What can go wrong in a host. The exit codes are those of a failure before the commit.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("{action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the plan has no partition for {role}")]
    NoPartition { role: Role },
    /// The disk that was chosen is not the one that was opened.
    #[error("{disk} is not the disk that was chosen: {what} is {have}, {want} expected")]
    Changed { disk: String, what: &'static str, have: String, want: String },
    #[error("{disk} is in use by {by}")]
    Busy { disk: String, by: String },
    /// Neither the disk nor what is asked is wrong: it is one at a time.
    #[error("{disk}: another installation is running (pid {pid})")]
    Running { disk: String, pid: u32 },
    #[error("{} did not appear within {seconds} s", path.display())]
    NoNode { path: PathBuf, seconds: u64 },
    #[error("partition {role} reads back other bytes than were copied to it, {bytes} bytes in")]
    ReadBack { role: Role, bytes: u64 },
    #[error("{} has {have} free, {need} needed", path.display())]
    NoRoom { path: PathBuf, have: Bytes, need: Bytes },
    #[error(
        "the answers have `hooks`, which run in the installer environment, on the machine that is \
         installed; {here}"
    )]
    NoHooks { here: &'static str },
    #[error("UEFI boot entry: {why}")]
    BootEntry { why: String },
}

impl HostError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Io(_) | Self::File { .. } | Self::ReadBack { .. } | Self::BootEntry { .. } => {
                Exit::IoBeforeCommit
            }
            Self::Call(_) | Self::NoNode { .. } => Exit::ToolFailed,
            Self::NoPartition { .. } | Self::Running { .. } => Exit::InternalError,
            Self::NoHooks { .. } => Exit::BadAnswers,
            Self::NoRoom { .. } => Exit::Unsuitable,
            Self::Changed { .. } | Self::Busy { .. } => Exit::DiskNotFound,
        }
    }
}
