//! A root file system to look at: of a slot at rest, by its blocks, or of the running dom0, through
//! its own kernel.
//!
//! The blocks of a mounted file system lag behind it, which is why the running one is asked by its
//! paths. Links are never followed, so that no path leads out of the root.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use ext4_view::{Ext4, Ext4Error, Ext4Read, FileType};
use installer_core::outcome::Exit;
use partitioner::block::window::Window;
use partitioner::block::{IoError, open};
use partitioner::inspect::ext4::{Unreadable, ask};
use partitioner::units::{BlockSize, Extent};

/// What a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    Link,
    /// Devices, sockets, pipes.
    Other,
}

/// What is known of a path without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub kind: Kind,
    /// Permission bits, below 0o10000.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub len: u64,
    /// Seconds since 1970.
    pub modified: i64,
}

/// Why a root file system cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("{root}: /{path}: {source}")]
    Ext4 { root: String, path: String, source: Ext4Error },
    #[error("{root}: {source}")]
    Unreadable { root: String, source: Unreadable },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("{root}: /{path} has {have} bytes, {max} are read at most")]
    TooLarge { root: String, path: String, have: u64, max: u64 },
    #[error("{root}: /{path} holds {have} files, {max} are looked at")]
    TooMany { root: String, path: String, have: u64, max: u64 },
    #[error("{root}: /{path} is not text")]
    NotText { root: String, path: String },
}

impl RootError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Ext4 { .. } | Self::Unreadable { .. } | Self::TooLarge { .. } => {
                Exit::NotUpgradeable
            }
            Self::NotText { .. } | Self::TooMany { .. } => Exit::NotUpgradeable,
            Self::File { .. } | Self::Io(_) => Exit::IoBeforeCommit,
        }
    }
}

/// Paths are relative to the root, as in `etc/hostname`.
pub trait Root: std::fmt::Debug {
    fn name(&self) -> String;
    /// `None` where nothing is, or where something above it is no folder.
    fn stat(&self, path: &str) -> Result<Option<Stat>, RootError>;
    fn read_all(&self, path: &str) -> Result<Vec<u8>, RootError>;
    fn link(&self, path: &str) -> Result<String, RootError>;
    /// Names in a folder, sorted. Names that are no text are left out.
    fn list(&self, path: &str) -> Result<Vec<String>, RootError>;
}

/// A file of at most `max` bytes; `None` where no file is.
pub fn file(root: &dyn Root, path: &str, max: u64) -> Result<Option<Vec<u8>>, RootError> {
    match root.stat(path)? {
        Some(stat) if stat.kind == Kind::File && max < stat.len => Err(RootError::TooLarge {
            root: root.name(),
            path: path.to_owned(),
            have: stat.len,
            max,
        }),
        Some(stat) if stat.kind == Kind::File => root.read_all(path).map(Some),
        Some(_) | None => Ok(None),
    }
}

/// The same as text; empty where no file is.
pub fn text(root: &dyn Root, path: &str, max: u64) -> Result<String, RootError> {
    let bytes = file(root, path, max)?.unwrap_or_default();
    String::from_utf8(bytes)
        .map_err(|_| RootError::NotText { root: root.name(), path: path.to_owned() })
}

/// A slot that nobody has mounted, read from its disk.
#[derive(Debug)]
pub struct SlotRoot {
    name: String,
    fs: Ext4,
}

impl SlotRoot {
    /// `disk` is an image or a device; the slot lies at `extent`.
    pub fn open(disk: &Path, block_size: BlockSize, extent: Extent) -> Result<Self, RootError> {
        let name = format!("{} blocks {extent}", disk.display());
        let mut opened = open::open_read_only(disk, Some(block_size))?;
        // Refuses sizes that the library would allocate by.
        ask(&mut Window::new(opened.disk(), extent)?, |_| Ok(()))?
            .map_err(|source| RootError::Unreadable { root: name.clone(), source })?;
        let file =
            File::open(disk).map_err(|source| RootError::File { path: disk.to_owned(), source })?;
        let bytes = |blocks: u64| blocks.saturating_mul(block_size.bytes());
        let reader = Part { file, first: bytes(extent.first().get()), len: bytes(extent.blocks()) };
        let fs = Ext4::load(Box::new(reader)).map_err(|source| RootError::Ext4 {
            root: name.clone(),
            path: String::new(),
            source,
        })?;
        Ok(Self { name, fs })
    }

    fn error(&self, path: &str) -> impl Fn(Ext4Error) -> RootError + use<> {
        let (root, path) = (self.name.clone(), path.to_owned());
        move |source| RootError::Ext4 { root: root.clone(), path: path.clone(), source }
    }

    pub fn uuid(&self) -> String {
        self.fs.uuid().to_string()
    }
}

/// A part of a file.
struct Part {
    file: File,
    first: u64,
    len: u64,
}

impl Ext4Read for Part {
    fn read(
        &mut self,
        start_byte: u64,
        into: &mut [u8],
    ) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        let end = u64::try_from(into.len()).ok().and_then(|len| start_byte.checked_add(len));
        if end.is_none_or(|end| self.len < end) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(self.file.read_exact_at(into, self.first.saturating_add(start_byte))?)
    }
}

impl Root for SlotRoot {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn stat(&self, path: &str) -> Result<Option<Stat>, RootError> {
        for (end, _) in path.match_indices('/') {
            let above = self.fs.symlink_metadata(format!("/{}", &path[..end]).as_str());
            match above {
                Ok(meta) if meta.file_type() == FileType::Directory => {}
                Ok(_) | Err(Ext4Error::NotFound) => return Ok(None),
                Err(source) => return Err(self.error(path)(source)),
            }
        }
        let meta = match self.fs.symlink_metadata(format!("/{path}").as_str()) {
            Ok(meta) => meta,
            Err(Ext4Error::NotFound) => return Ok(None),
            Err(source) => return Err(self.error(path)(source)),
        };
        let kind = match meta.file_type() {
            FileType::Regular => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link,
            FileType::BlockDevice
            | FileType::CharacterDevice
            | FileType::Fifo
            | FileType::Socket => Kind::Other,
        };
        let modified = meta.modified().seconds();
        let (mode, uid, gid, len) = (meta.mode() & 0o7777, meta.uid(), meta.gid(), meta.len());
        Ok(Some(Stat { kind, mode, uid, gid, len, modified }))
    }

    fn read_all(&self, path: &str) -> Result<Vec<u8>, RootError> {
        self.fs.read(format!("/{path}").as_str()).map_err(self.error(path))
    }

    fn link(&self, path: &str) -> Result<String, RootError> {
        let to = self.fs.read_link(format!("/{path}").as_str()).map_err(self.error(path))?;
        to.to_str()
            .map(str::to_owned)
            .map_err(|_| RootError::NotText { root: self.name(), path: path.to_owned() })
    }

    fn list(&self, path: &str) -> Result<Vec<String>, RootError> {
        let mut names = Vec::new();
        for entry in self.fs.read_dir(format!("/{path}").as_str()).map_err(self.error(path))? {
            let entry = entry.map_err(self.error(path))?;
            let name = entry.file_name();
            names.extend(
                name.as_str().ok().filter(|n| !matches!(*n, "." | "..")).map(str::to_owned),
            );
        }
        names.sort();
        Ok(names)
    }
}

/// The root of the running dom0, or a folder in tests.
#[derive(Debug)]
pub struct LiveRoot(PathBuf);

impl LiveRoot {
    pub fn new(root: &Path) -> Self {
        Self(root.to_owned())
    }
}

fn at(path: PathBuf) -> impl Fn(io::Error) -> RootError {
    move |source| RootError::File { path: path.clone(), source }
}

impl Root for LiveRoot {
    fn name(&self) -> String {
        self.0.display().to_string()
    }

    fn stat(&self, path: &str) -> Result<Option<Stat>, RootError> {
        let mut above = self.0.clone();
        let parts: Vec<&str> = path.split('/').collect();
        for part in parts.iter().take(parts.len().saturating_sub(1)) {
            above.push(part);
            if !fs::symlink_metadata(&above).is_ok_and(|meta| meta.is_dir()) {
                return Ok(None);
            }
        }
        let whole = self.0.join(path);
        let meta = match fs::symlink_metadata(&whole) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at(whole)(error)),
        };
        let kind = match meta.file_type() {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_symlink() => Kind::Link,
            _ => Kind::Other,
        };
        let mode = u16::try_from(meta.mode() & 0o7777).unwrap_or(0);
        let (uid, gid, len) = (meta.uid(), meta.gid(), meta.len());
        Ok(Some(Stat { kind, mode, uid, gid, len, modified: meta.mtime() }))
    }

    fn read_all(&self, path: &str) -> Result<Vec<u8>, RootError> {
        let whole = self.0.join(path);
        fs::read(&whole).map_err(at(whole))
    }

    fn link(&self, path: &str) -> Result<String, RootError> {
        let whole = self.0.join(path);
        let to = fs::read_link(&whole).map_err(at(whole))?;
        to.into_os_string()
            .into_string()
            .map_err(|_| RootError::NotText { root: self.name(), path: path.to_owned() })
    }

    fn list(&self, path: &str) -> Result<Vec<String>, RootError> {
        let whole = self.0.join(path);
        let mut names = Vec::new();
        for entry in fs::read_dir(&whole).map_err(at(whole.clone()))? {
            let name = entry.map_err(at(whole.clone()))?.file_name();
            names.extend(name.into_string().ok());
        }
        names.sort();
        Ok(names)
    }
}
