//! Storage repositories in dom0: made once, after the first good boot, and attached at each boot.
//!
//! In: `/etc/xenhost/storage.json` and the disks. A repository is made only where no signature of
//! anything lies; what was cut off is known as our own by its identifier and made again. Each ends
//! with one commit on its own disk, so that both slots see the same: the label of the file system,
//! or the metadata of the volume group.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use installer_core::answers::SrKind;
use installer_core::storage::{Place, Repository, StorageFile};

use crate::bless::FindError;
use crate::call::{Call, CallError, Run};
use crate::fresh::{self, FreshError};
use crate::probe::ProbeError;

mod dom0;
mod state;

pub use dom0::ThisDom0;
use state::State;

/// The dom0 whose storage this is.
pub trait Dom0: Run {
    /// `/`, or a folder in tests.
    fn root(&self) -> &Path;
    /// The device; `None` where it is not there now.
    fn find(&mut self, place: &Place) -> Result<Option<PathBuf>, StorageError>;
    /// Whether a file system is mounted there.
    fn is_mounted(&mut self, at: &Path) -> Result<bool, StorageError>;
    /// What was written to the device is durable when this returns.
    fn flush(&mut self, device: &Path) -> Result<(), StorageError>;
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Attach what exists.
    Attach,
    /// Also make what does not exist yet.
    Make,
}

/// What became of one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    Made {
        device: PathBuf,
    },
    Attached {
        device: PathBuf,
    },
    /// It does not exist yet and was not to be made, or its disk is not there.
    NotYet,
}

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    NotOurs { path: PathBuf, source: serde_json::Error },
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Fresh(#[from] FreshError),
    #[error(transparent)]
    Probe(#[from] ProbeError),
    #[error(transparent)]
    Find(#[from] FindError),
    #[error("the inventory names no partition for a repository")]
    NoPartition,
    #[error("its disk ({what}) is not there")]
    Absent { what: String },
    #[error("{count} disks are {what}, one is needed")]
    Several { count: usize, what: String },
    #[error(
        "{} holds {what}; nothing was changed. A repository is made where nothing is: `wipefs -a` \
         permits it",
        device.display()
    )]
    Taken { device: PathBuf, what: String },
    #[error(
        "{} carries a physical volume of this host whose volume group is gone; nothing was \
         changed. `vgcfgrestore` may bring it back",
        device.display()
    )]
    Orphan { device: PathBuf },
}

/// The repositories that this host is to have; none where the file is not there.
pub fn wanted(root: &Path) -> Result<Vec<Repository>, StorageError> {
    let path = root.join(StorageFile::PATH);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(StorageError::File { path, source }),
    };
    let file = StorageFile::parse(&text);
    Ok(file.map_err(|source| StorageError::NotOurs { path, source })?.repositories)
}

/// Brings one repository to where it should be. Harmless to repeat.
pub fn tend(
    dom0: &mut dyn Dom0,
    repository: &Repository,
    task: Task,
) -> Result<Done, StorageError> {
    let device = match (dom0.find(&repository.place)?, task) {
        (Some(device), _) => device,
        // It may come late; making waits for bless, and asks again.
        (None, Task::Attach) => return Ok(Done::NotYet),
        (None, Task::Make) => {
            return Err(StorageError::Absent { what: words(&repository.place) });
        }
    };
    match (state::of(dom0, repository, &device)?, task) {
        (State::Finished, _) => {
            begun(dom0, repository).forget()?;
            attach(dom0, repository, &device)?;
            Ok(Done::Attached { device })
        }
        (State::Taken(what), _) => Err(StorageError::Taken { device, what }),
        (State::Orphan, Task::Attach) if !begun(dom0, repository).is_there() => {
            Err(StorageError::Orphan { device })
        }
        (State::Blank | State::Unfinished | State::Orphan, Task::Attach) => Ok(Done::NotYet),
        (State::Blank | State::Unfinished | State::Orphan, Task::Make) => {
            make(dom0, repository, &device)?;
            attach(dom0, repository, &device)?;
            Ok(Done::Made { device })
        }
    }
}

/// What should be attached and is not, in words: for bless. A repository that does not exist yet,
/// and one whose disk is not there, hold up nothing.
pub fn unattached(dom0: &mut dyn Dom0) -> Vec<String> {
    let repositories = match wanted(dom0.root()) {
        Ok(repositories) => repositories,
        Err(error) => return vec![error.to_string()],
    };
    let mut wrong = Vec::new();
    for repository in &repositories {
        let why = missing(dom0, repository).unwrap_or_else(|error| Some(error.to_string()));
        wrong.extend(why.map(|why| format!("repository {}: {why}", repository.name)));
    }
    wrong
}

fn missing(dom0: &mut dyn Dom0, repository: &Repository) -> Result<Option<String>, StorageError> {
    let Some(device) = dom0.find(&repository.place)? else { return Ok(None) };
    match state::of(dom0, repository, &device)? {
        State::Blank | State::Unfinished | State::Taken(_) => Ok(None),
        State::Orphan if begun(dom0, repository).is_there() => Ok(None),
        State::Orphan => Ok(Some(StorageError::Orphan { device }.to_string())),
        State::Finished => match repository.kind {
            SrKind::Lvm => Ok(None),
            SrKind::Ext => {
                let at = folder(repository);
                let mounted = dom0.is_mounted(&at)?;
                Ok((!mounted).then(|| format!("it is not mounted on {}", at.display())))
            }
        },
    }
}

fn make(dom0: &mut dyn Dom0, repository: &Repository, device: &Path) -> Result<(), StorageError> {
    match repository.kind {
        SrKind::Ext => {
            // Whatever is lost of this is made again, as long as the label says so.
            let label = repository.label_unfinished();
            fresh::make_ext4(dom0, device, repository.id, &label)?;
            dom0.flush(device)?;
            let name = Call::new("tune2fs").args(["-L", &repository.label()]).arg(device);
            dom0.run(&name)?;
            dom0.flush(device)
        }
        SrKind::Lvm => {
            let mark = begun(dom0, repository);
            let again = mark.is_there();
            // A physical volume without its group is empty, or has lost it. Only the mark, which
            // was durable before the volume was made, tells the first from the second.
            if state::of(dom0, repository, device)? == State::Orphan && !again {
                return Err(StorageError::Orphan { device: device.to_owned() });
            }
            mark.set()?;
            let volume = Call::new("pvcreate")
                .args(["-q", "-y", "-ff", "--norestorefile", "--uuid"])
                .arg(repository.volume_uuid())
                .arg(device);
            dom0.run(&volume)?;
            dom0.run(&Call::new("vgcreate").args(["-q", &repository.title()]).arg(device))?;
            dom0.flush(device)?;
            mark.forget()
        }
    }
}

fn attach(dom0: &mut dyn Dom0, repository: &Repository, device: &Path) -> Result<(), StorageError> {
    match repository.kind {
        SrKind::Lvm => {
            let group = state::group_of(dom0, device)?;
            dom0.run(&Call::new("vgchange").args(["-q", "-a", "y", &group]))?;
        }
        SrKind::Ext => {
            let at = folder(repository);
            if dom0.is_mounted(&at)? {
                return Ok(());
            }
            let path = dom0.root().join(at.strip_prefix("/").unwrap_or(&at));
            fs::create_dir_all(&path).map_err(|source| StorageError::File { path, source })?;
            let mount = Call::new("mount").args(["-t", "ext4", "-o", "nodev,nosuid"]);
            dom0.run(&mount.arg(device).arg(&at))?;
        }
    }
    Ok(())
}

/// Where a file system is mounted.
fn folder(repository: &Repository) -> PathBuf {
    Path::new("/srv").join(repository.title())
}

fn begun(dom0: &dyn Dom0, repository: &Repository) -> Mark {
    let name = format!("{}.begun", repository.title());
    Mark(dom0.root().join("var/lib/xenhost").join(name))
}

/// A file that says: what is found unfinished there is ours, from a work that was cut off.
struct Mark(PathBuf);

impl Mark {
    fn is_there(&self) -> bool {
        self.0.exists()
    }

    fn set(&self) -> Result<(), StorageError> {
        self.durably(|path| fs::File::create(path)?.sync_all())
    }

    fn forget(&self) -> Result<(), StorageError> {
        if self.is_there() { self.durably(|path| fs::remove_file(path)) } else { Ok(()) }
    }

    fn durably(&self, change: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), StorageError> {
        let folder = self.0.parent().unwrap_or(Path::new("/"));
        let act = || {
            fs::create_dir_all(folder)?;
            change(&self.0)?;
            fs::File::open(folder)?.sync_all()
        };
        act().map_err(|source| StorageError::File { path: self.0.clone(), source })
    }
}

/// A place, for people.
fn words(place: &Place) -> String {
    match place {
        Place::HostDisk => "the partition sr".to_owned(),
        Place::Disk(id) => {
            let serial = id.serial.iter().map(|serial| format!("serial {serial}"));
            let wwn = id.wwn.iter().map(|wwn| format!("WWN {wwn}"));
            let all: Vec<String> = serial.chain(wwn).chain([id.size.to_string()]).collect();
            all.join(", ")
        }
    }
}

#[cfg(test)]
mod tests;
