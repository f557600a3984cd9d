//! The files that make an image into this host's dom0. Pure: what to write, not how.

use partitioner::partuuid::DiskId;

mod files;
mod inventory;
mod login;
mod network;
mod path;
mod shadow;

pub use files::target_files;
pub(crate) use files::{Mounts, added_to_fstab};
pub use inventory::Inventory;
pub use path::{RelPath, RelPathError};
pub use shadow::{ShadowError, set_root_hash, shadow_file};

/// One change of the target's root file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetFile {
    pub path: RelPath,
    /// Permission bits, below 0o10000.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub body: Body,
}

/// What stands at the path afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A regular file. Replaces whatever was there, also a symbolic link.
    Content(Vec<u8>),
    /// The text of a symbolic link.
    Symlink(String),
    Directory,
    /// Nothing.
    Remove,
}

impl TargetFile {
    /// A file of root's.
    pub fn file(path: &'static str, mode: u16, content: impl Into<Vec<u8>>) -> Self {
        Self::root(path, mode, Body::Content(content.into()))
    }

    /// The same for a path that is put together of checked parts.
    fn named(path: &str, mode: u16, content: impl Into<Vec<u8>>) -> Self {
        let path = RelPath::new(path).expect("names of links and numbers are no parts like `..`");
        Self { path, mode, uid: 0, gid: 0, body: Body::Content(content.into()) }
    }

    pub(crate) fn root(path: &'static str, mode: u16, body: Body) -> Self {
        let path = RelPath::new(path).expect("a path that stands in our code is relative");
        Self { path, mode, uid: 0, gid: 0, body }
    }
}

/// `root-XXXXXXXX` and its like: the labels that the file systems of one disk share.
pub fn label(kind: &str, disk: DiskId) -> String {
    format!("{kind}-{}", disk.short())
}
