//! Finds where a small file of a FAT32 or FAT12 volume lies, so that it can be overwritten in
//! place.
//!
//! In: the boot partition as a block device and a path. Out: the block where the file's only
//! cluster begins. Read only, and deliberately not a file system: a boot state file is one cluster,
//! made once by the installer and never moved, and anything else is refused. A file system driver
//! would be free to write elsewhere.

use std::fmt;

use partitioner::block::{BlockIo, IoError};
use partitioner::units::Lba;

mod directory;
mod volume;

use directory::Entry;
use volume::{Cluster, Folder, Volume};

/// A directory larger than this is not one of ours.
const DIRECTORY_CLUSTERS_MAX: u32 = 1024;
/// Folders between the root and the file.
const DEPTH_MAX: usize = 8;

/// Where a file lies on the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// The block that holds the first byte of the file.
    pub first: Lba,
    /// Length of the file in bytes, from its directory entry.
    pub size: u32,
}

/// What a name of a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Folder => "folder",
        })
    }
}

/// Why a file's place is not known.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("{volume} is neither a FAT32 nor a FAT12 volume: {what}")]
    NotFat { volume: String, what: &'static str },
    #[error("{volume}: {path} does not exist, {missing:?} was not found")]
    Absent { volume: String, path: String, missing: String },
    #[error("{volume}: {path}: {part:?} is a {is}, a {wanted} is needed")]
    WrongKind { volume: String, path: String, part: String, is: Kind, wanted: Kind },
    #[error("{volume}: {path} has {size} bytes, which is not one cluster of {cluster} bytes")]
    NotOneCluster { volume: String, path: String, size: u32, cluster: u64 },
    #[error("{volume}: the chain of {path} is broken at cluster {cluster}")]
    BrokenChain { volume: String, path: String, cluster: u32 },
    #[error("{volume}: a folder of {path} has more than {max} clusters")]
    FolderTooLarge { volume: String, path: String, max: u32 },
    #[error("{path} has more than {max} folders")]
    TooDeep { path: String, max: usize },
}

/// Finds the file at `path` (`xenhost/state.env`, compared without regard to case) on `volume`.
///
/// Refused unless it is a plain file that fits exactly one cluster, whose chain ends right there in
/// every copy of the FAT.
pub fn locate(disk: &mut dyn BlockIo, path: &str) -> Result<Located, LocateError> {
    let mut volume = Volume::open(disk)?;
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if DEPTH_MAX < parts.len() {
        return Err(LocateError::TooDeep { path: path.to_owned(), max: DEPTH_MAX });
    }
    let Some((file_name, folders)) = parts.split_last() else {
        return Err(absent(&volume, path, ""));
    };
    let mut folder = volume.root();
    for name in folders {
        let entry = find(&mut volume, path, folder, name)?;
        if !entry.folder {
            return Err(wrong_kind(&volume, path, name, Kind::File, Kind::Folder));
        }
        folder = Folder::Chain(cluster_of(&volume, path, &entry)?);
    }
    let entry = find(&mut volume, path, folder, file_name)?;
    if entry.folder {
        return Err(wrong_kind(&volume, path, file_name, Kind::Folder, Kind::File));
    }
    single_cluster(&mut volume, path, &entry)
}

/// The place of a file of exactly one cluster.
fn single_cluster(
    volume: &mut Volume<'_>,
    path: &str,
    entry: &Entry,
) -> Result<Located, LocateError> {
    let not_one = |volume: &Volume<'_>| LocateError::NotOneCluster {
        volume: volume.name().to_owned(),
        path: path.to_owned(),
        size: entry.size,
        cluster: volume.cluster_bytes(),
    };
    if entry.size == 0 || volume.cluster_bytes() < u64::from(entry.size) {
        return Err(not_one(volume));
    }
    let cluster = cluster_of(volume, path, entry)?;
    if volume.next(cluster)?.is_some() {
        return Err(not_one(volume));
    }
    let first = volume.first_block(cluster).ok_or_else(|| broken(volume, path, entry.cluster))?;
    Ok(Located { first, size: entry.size })
}

/// The entry called `name` in the folder that begins at `folder`.
fn find(
    volume: &mut Volume<'_>,
    path: &str,
    folder: Folder,
    name: &str,
) -> Result<Entry, LocateError> {
    let mut reader = directory::Reader::new(name);
    let mut cluster = match folder {
        Folder::Chain(first) => Some(first),
        Folder::Fixed => {
            return match reader.search(&volume.read_fixed_root()?) {
                directory::Search::Found(entry) => Ok(entry),
                directory::Search::EndOfFolder | directory::Search::MoreFollows => {
                    Err(absent(volume, path, name))
                }
            };
        }
    };
    for _ in 0..DIRECTORY_CLUSTERS_MAX {
        let Some(here) = cluster else { return Err(absent(volume, path, name)) };
        let bytes = volume.read_cluster(here)?;
        match reader.search(&bytes) {
            directory::Search::Found(entry) => return Ok(entry),
            directory::Search::EndOfFolder => return Err(absent(volume, path, name)),
            directory::Search::MoreFollows => {}
        }
        cluster = volume.next(here)?;
    }
    Err(LocateError::FolderTooLarge {
        volume: volume.name().to_owned(),
        path: path.to_owned(),
        max: DIRECTORY_CLUSTERS_MAX,
    })
}

fn cluster_of(volume: &Volume<'_>, path: &str, entry: &Entry) -> Result<Cluster, LocateError> {
    volume.cluster(entry.cluster).ok_or_else(|| broken(volume, path, entry.cluster))
}

fn broken(volume: &Volume<'_>, path: &str, cluster: u32) -> LocateError {
    LocateError::BrokenChain { volume: volume.name().to_owned(), path: path.to_owned(), cluster }
}

fn absent(volume: &Volume<'_>, path: &str, missing: &str) -> LocateError {
    LocateError::Absent {
        volume: volume.name().to_owned(),
        path: path.to_owned(),
        missing: missing.to_owned(),
    }
}

fn wrong_kind(volume: &Volume<'_>, path: &str, part: &str, is: Kind, wanted: Kind) -> LocateError {
    LocateError::WrongKind {
        volume: volume.name().to_owned(),
        path: path.to_owned(),
        part: part.to_owned(),
        is,
        wanted,
    }
}

#[cfg(test)]
mod tests;
