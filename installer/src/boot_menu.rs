//! Writes `/boot/xenhost/slot.cfg` of the running dom0 anew: `host-installer boot-menu`, called by
//! the hooks of kernel, initramfs and Xen packages.
//!
//! In: `/etc/xenhost/boot.conf` and the files in `/boot`. Out: a new file in the place of the old
//! one, on the disk in a form that a boot loader without a journal reads. Where that is not
//! possible the old file stays.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use installer_core::bootcfg::{BootConf, BootConfError, BootFiles, slot_cfg};
use rustix::io::Errno;

use crate::{sys, wait};

mod files;
mod keep;
mod version;

pub use keep::keep_xen;

const BOOT_CONF: &str = "etc/xenhost/boot.conf";
const BOOT: &str = "boot";
/// Our folder in `/boot`.
const FOLDER: &str = "boot/xenhost";
const SLOT_CFG: &str = "boot/xenhost/slot.cfg";

/// Why the boot menu stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum BootMenuError {
    #[error("{action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Conf { path: PathBuf, source: BootConfError },
    #[error("{} holds no {what}", path.display())]
    Nothing { path: PathBuf, what: &'static str },
}

/// What the new boot menu offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// Newest first; the first one boots.
    pub entries: Vec<BootFiles>,
    /// What the operator should know.
    pub warning: Option<String>,
}

/// Brings a folder's file system to rest, or says why that is not possible.
type Settle = dyn Fn(&Path) -> Result<Option<String>, BootMenuError>;

/// Makes the boot menu of the dom0 whose root is `root`.
pub fn refresh(root: &Path) -> Result<Menu, BootMenuError> {
    refresh_with(root, &settle)
}

fn refresh_with(root: &Path, settle: &Settle) -> Result<Menu, BootMenuError> {
    let path = root.join(BOOT_CONF);
    let text = fs::read_to_string(&path).map_err(failed("reading", &path))?;
    let conf = BootConf::parse(&text).map_err(|source| BootMenuError::Conf { path, source })?;
    let entries = files::entries(root)?;
    let cfg = slot_cfg(&conf, &entries);
    replace(&root.join(SLOT_CFG), cfg.as_bytes())?;
    // Also for a menu that did not change: the kernel that it names did.
    let warning = settle(&root.join(BOOT))?;
    Ok(Menu { entries, warning })
}

/// A reader finds the old content or the new one, also after a cut.
fn replace(path: &Path, content: &[u8]) -> Result<(), BootMenuError> {
    let new = path.with_extension("new");
    let folder = path.parent().unwrap_or(Path::new("/"));
    let write = || {
        fs::create_dir_all(folder)?;
        let mut file = File::create(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(failed("writing", path))
}

/// Empties the journal into its place: GRUB replays none, and would find a kernel whose directory
/// entry is still in the journal missing.
fn settle(boot: &Path) -> Result<Option<String>, BootMenuError> {
    let folder = File::open(boot).map_err(failed("opening", boot))?;
    let mut settled = sys::settle_filesystem(&folder);
    // Busy: somebody else freezes it, for a snapshot.
    wait::until(|| {
        let busy = settled.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::ResourceBusy);
        if busy {
            settled = sys::settle_filesystem(&folder);
        }
        !busy
    });
    match settled {
        Ok(()) => Ok(None),
        Err(error) if cannot_freeze(&error) => {
            rustix::fs::syncfs(&folder).map_err(|errno| failed("flushing", boot)(errno.into()))?;
            let boot = boot.display();
            Ok(Some(format!("{boot} was flushed and not brought to rest ({error})")))
        }
        Err(error) => Err(failed("bringing to rest", boot)(error)),
    }
}

/// A file system without freezing (overlay, tmpfs), or a process without the right to it.
fn cannot_freeze(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::OPNOTSUPP | Errno::NOTTY | Errno::PERM | Errno::NOSYS))
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> BootMenuError + use<> {
    let path = path.to_owned();
    move |source| BootMenuError::File { action, path: path.clone(), source }
}

#[cfg(test)]
mod tests;
