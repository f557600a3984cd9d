//! Ends the trial of a booted system: `host-installer bless`, run by a unit in dom0.
//!
//! In: the running system, through `World`. Out: one sector on the boot partition, or the reason
//! why not. A host that does not become well within `Limits::timeout` says why in `reason.txt` and,
//! if a system to fall back to waits behind a trial, reboots, which uses one try. Nothing outside
//! the host is asked, so nothing outside can roll a site back.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use installer_core::bootstate::{BootState, Other, Slot, Trial, aside};
use partitioner::block::BlockIo;
use serde::{Deserialize, Serialize};

use crate::boot_menu::BootMenuError;
use crate::call::{Call, CallError, Run};

mod checks;
mod find;
mod state;
mod world;

pub use find::{FindError, boot_partition};
pub(crate) use find::{disk_of_root, node_of, runs_old};
pub use state::{BootFiles, NoState, StateFileError};
pub use world::ThisHost;

const INVENTORY: &str = "etc/xenhost/inventory.json";
/// What bless remembers of its last success; each slot has its own.
const BLESSED: &str = "var/lib/xenhost/blessed.json";

/// The dom0 that bless judges.
pub trait World: Run {
    /// `/`, or a folder in tests.
    fn root(&self) -> &Path;
    /// Time that has passed since some fixed moment.
    fn elapsed(&self) -> Duration;
    fn wait(&mut self, duration: Duration);
    /// Storage repositories that exist and are not attached, in words.
    fn unattached(&mut self) -> Vec<String>;
    /// Keeps what booted well as something to fall back to; an error is a warning.
    fn keep_xen(&mut self) -> Result<(), BootMenuError>;
    /// It is the system of a host that was taken over, in its old place beside the new one. It has
    /// no slot, whatever its inventory says.
    fn is_old(&self) -> Result<bool, BlessError>;
    /// The boot partition, held by nobody else. Found anew each time.
    fn open_boot(&mut self, partuuid: &str) -> Result<Box<dyn BlockIo>, BlessError>;
}

/// How long a host may take to become well.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub timeout: Duration,
    /// Between two looks.
    pub interval: Duration,
}

impl Limits {
    pub const DEFAULT: Self =
        Self { timeout: Duration::from_secs(600), interval: Duration::from_secs(2) };
}

/// How bless ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The trial is over. The warning is about something that stops nothing.
    Blessed { slot: Slot, generation: u32, warning: Option<String> },
    /// The running slot is not the chosen one: the chosen one failed, or someone picked this one in
    /// the boot menu. Nothing of the boot state was changed.
    Aside { told: String },
    /// Not well in time, nothing to fall back to. The host stays up.
    Unwell { reason: String },
    /// Not well in time; the host reboots.
    Rebooting { reason: String },
}

impl Outcome {
    /// Guests may start.
    pub fn is_good(&self) -> bool {
        match self {
            Self::Blessed { .. } | Self::Aside { .. } => true,
            Self::Unwell { .. } | Self::Rebooting { .. } => false,
        }
    }
}

impl fmt::Display for Outcome {
    /// For the console and the journal: one line, and one more for a warning.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blessed { slot, generation, warning } => {
                write!(f, "xenhost: host blessed: slot {slot}, generation {generation}")?;
                warning.iter().try_for_each(|text| write!(f, "\nxenhost: warning: {text}"))
            }
            Self::Aside { told } => write!(f, "xenhost: NOT the chosen system: {told}"),
            Self::Unwell { reason } => {
                write!(f, "xenhost: host NOT blessed, guests were not started: {reason}")
            }
            Self::Rebooting { reason } => {
                write!(f, "xenhost: host NOT blessed, rebooting into its next try: {reason}")
            }
        }
    }
}

/// What stops bless, beside a host that is not well.
#[derive(Debug, thiserror::Error)]
pub enum BlessError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Inventory { path: PathBuf, source: serde_json::Error },
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(transparent)]
    State(#[from] StateFileError),
    #[error("opening the boot partition: {0}")]
    Open(#[from] partitioner::block::IoError),
    #[error(transparent)]
    Call(#[from] CallError),
}

/// What the installer recorded and bless needs.
#[derive(Clone, Debug, Deserialize)]
struct Inventory {
    slot: Slot,
    partuuid: PartUuids,
}

#[derive(Clone, Debug, Deserialize)]
struct PartUuids {
    boot: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    slot: Slot,
    generation: u32,
}

/// Waits until the host is well, then ends its trial. Harmless to repeat.
pub fn bless(world: &mut dyn World, limits: Limits) -> Result<Outcome, BlessError> {
    let inventory = inventory(world.root())?;
    let start = world.elapsed();
    let mut boot = BootFiles::open(world.open_boot(&inventory.partuuid.boot)?)?;
    let state = boot.state()?;
    let (tries, reason) = (boot.tries()?, boot.reason()?);
    let running = running(world, &inventory)?;
    if let Some(told) = aside(state, tries, running, reason.as_deref()) {
        let no_way_back = [Other::Old, state.slot.into()].contains(&running);
        announce(world.root(), &told, if no_way_back { NO_WAY_BACK } else { ROLLBACK })?;
        return Ok(Outcome::Aside { told });
    }
    no_announcement(world.root())?;
    let reason = loop {
        let unwell = checks::unwell(world);
        if unwell.is_empty() {
            return end_trial(world, &mut boot, state);
        }
        let waited = world.elapsed().saturating_sub(start);
        if limits.timeout <= waited {
            break format!("not well after {} s: {}", waited.as_secs(), unwell.join("; "));
        }
        world.wait(limits.interval);
    };
    give_up(world, &mut boot, state, reason)
}

/// What the boot partition says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Boot {
    pub state: BootState,
    /// Boots that a trial has left; `None` for a counter that is damaged.
    pub tries: Option<u8>,
    /// Why the last trial failed, if one did and said so.
    pub reason: Option<String>,
    /// Why the chosen system is not the one that runs.
    pub aside: Option<String>,
    /// What runs is the system that was taken over, in its old place.
    pub taken_over: bool,
}

/// What the boot partition says, for `status`. Reads only.
pub fn boot_state(world: &mut dyn World) -> Result<Boot, BlessError> {
    let inventory = inventory(world.root())?;
    let mut boot = BootFiles::open(world.open_boot(&inventory.partuuid.boot)?)?;
    let (state, tries, reason) = (boot.state()?, boot.tries()?, boot.reason()?);
    let running = running(world, &inventory)?;
    let aside = aside(state, tries, running, reason.as_deref());
    Ok(Boot { state, tries, reason, aside, taken_over: running == Other::Old })
}

/// A slot, or what was taken over.
fn running(world: &dyn World, inventory: &Inventory) -> Result<Other, BlessError> {
    Ok(if world.is_old()? { Other::Old } else { inventory.slot.into() })
}

/// Part of the message of the day, until the next boot.
const ANNOUNCEMENT: &str = "run/motd.d/xenhost";

const ROLLBACK: &str = "`host-installer status` says more; `host-installer rollback` makes the \
                        running system the chosen one.";
const NO_WAY_BACK: &str = "`host-installer status` says more; `host-installer upgrade` from the \
                           medium begins the takeover over.";

fn announce(root: &Path, told: &str, more: &str) -> Result<(), BlessError> {
    let path = root.join(ANNOUNCEMENT);
    let error = |source| BlessError::File { path: path.clone(), source };
    let folder = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(error)?;
    std::fs::write(&path, format!("xenhost: NOT the chosen system: {told}.\n{more}\n"))
        .map_err(error)
}

/// Bless may run again within one boot.
fn no_announcement(root: &Path) -> Result<(), BlessError> {
    let path = root.join(ANNOUNCEMENT);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(BlessError::File { path, source })
        }
        _ => Ok(()),
    }
}

fn end_trial(
    world: &mut dyn World,
    boot: &mut BootFiles<'_>,
    state: BootState,
) -> Result<Outcome, BlessError> {
    let path = world.root().join(BLESSED);
    let blessed = Record { slot: state.slot, generation: state.generation };
    // A fresh installation is not on trial and yet is blessed once, by the same writes as a trial.
    let done = state.trial == Trial::Over && record(&path) == Some(blessed);
    let (slot, generation) = if done && boot.copies_agree()? {
        (state.slot, state.generation)
    } else {
        let next = state.blessed();
        boot.commit(next)?;
        boot.clear_reason()?;
        remember(&path, Record { slot: next.slot, generation: next.generation })?;
        (next.slot, next.generation)
    };
    // After the commit, so that it cannot stand in its way.
    let kept = world.keep_xen();
    let warning = kept.err().map(|error| format!("the hypervisor was not kept as a copy: {error}"));
    Ok(Outcome::Blessed { slot, generation, warning })
}

/// Only a trial with something behind it is worth a reboot: without one the same system would come
/// back, for ever.
fn give_up(
    world: &mut dyn World,
    boot: &mut BootFiles<'_>,
    state: BootState,
    reason: String,
) -> Result<Outcome, BlessError> {
    boot.write_reason(&reason)?;
    match (state.trial, state.other) {
        (Trial::Over, _) | (Trial::Pending, Other::None) => Ok(Outcome::Unwell { reason }),
        (Trial::Pending, Other::A | Other::B | Other::Old) => {
            world.run(&Call::new("systemctl").arg("reboot"))?;
            Ok(Outcome::Rebooting { reason })
        }
    }
}

fn inventory(root: &Path) -> Result<Inventory, BlessError> {
    let path = root.join(INVENTORY);
    let bytes =
        std::fs::read(&path).map_err(|source| BlessError::File { path: path.clone(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| BlessError::Inventory { path, source })
}

/// What was remembered; a file that is gone or damaged means one bless too many, which is harmless.
fn record(path: &Path) -> Option<Record> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn remember(path: &Path, record: Record) -> Result<(), BlessError> {
    let file_error = |source| BlessError::File { path: path.to_owned(), source };
    let text = serde_json::to_string(&record).map_err(|error| file_error(error.into()))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(file_error)?;
    let new = path.with_extension("new");
    let write = || {
        let mut file = File::create(&new)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(file_error)
}

#[cfg(test)]
mod tests;
