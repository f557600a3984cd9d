//! Where an upgrade is performed: a disk at rest, or the disk of the running dom0.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use installer_core::upgrade::{UpgradeFacts, UpgradePlan, role};
use partitioner::block::BlockIo;
use partitioner::block::device::DeviceDisk;
use partitioner::block::fence::Fence;
use partitioner::block::window::Window;
use partitioner::layout::Role;
use partitioner::units::{Extent, Lba};
use tempfile::TempDir;

use super::read::{Live, root_of};
use super::root::{Root, RootError, SlotRoot};
use crate::bless::{disk_of_root, node_of};
use crate::call::{Call, CallError, Output, Processes, Run};
use crate::host::image::ImageHost;
use crate::host::linux::{Elsewhere, LinuxHost};
use crate::ports::{Host, HostError};
use crate::probe::Machine;
use crate::{sys, wait};

/// All that an upgrade does to the world. The slot is the one of the plan that is written.
pub trait Site: Run {
    fn check_room(&self, bytes: u64) -> Result<(), HostError>;
    /// As in [`Host::open_slot`].
    fn open_slot(&mut self) -> Result<Box<dyn BlockIo + '_>, HostError>;
    /// As in [`Host::tool_path`].
    fn tool_path(&mut self) -> Result<PathBuf, HostError>;
    /// As in [`Host::settle`].
    fn settle(&mut self) -> Result<(), HostError>;
    /// The boot partition; only the blocks of the boot state may be written.
    fn open_boot(&mut self) -> Result<Box<dyn BlockIo + '_>, HostError>;
    /// The running system, or the one that would run.
    fn old_root(&self) -> Result<Box<dyn Root>, RootError>;
    /// The finished slot, from the disk.
    fn new_root(&self) -> Result<SlotRoot, RootError>;
    fn scratch(&self) -> &Path;
}

fn extent_of(facts: &UpgradeFacts, role: Role) -> Result<Extent, HostError> {
    let planned = facts.table.partition(role);
    planned.map(|planned| planned.extent).ok_or(HostError::NoPartition { role })
}

/// A disk that nobody runs from: an image file, or, from the medium or the rescue entry, a disk of
/// the machine.
#[derive(Debug)]
pub struct AtRest {
    host: Box<dyn Host>,
    facts: UpgradeFacts,
    /// The slot that is written, and the one that stays.
    roles: [Role; 2],
}

/// What a disk at rest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    Image,
    Machine,
}

impl AtRest {
    /// Opens the disk for the upgrade, fenced to what it writes.
    pub fn open(rest: Rest, plan: &UpgradePlan) -> Result<Self, HostError> {
        Self::fenced(rest, &plan.facts, [plan.role(), role(plan.from)], plan.write_set())
    }

    /// Opens it for the boot state alone.
    pub fn for_state(rest: Rest, facts: &UpgradeFacts) -> Result<Self, HostError> {
        Self::fenced(rest, facts, [Role::Backup, Role::Root], facts.boot.extents.clone())
    }

    fn fenced(
        rest: Rest,
        facts: &UpgradeFacts,
        roles: [Role; 2],
        fence: Vec<Extent>,
    ) -> Result<Self, HostError> {
        let disk = &facts.disk;
        let host: Box<dyn Host> = match rest {
            Rest::Image => {
                Box::new(ImageHost::open(Path::new(&disk.path), disk.block_size, fence)?)
            }
            Rest::Machine => Box::new(LinuxHost::open(disk, fence, Elsewhere::detect())?),
        };
        Self::on(host, facts, roles)
    }

    /// With a host that holds the disk already. `roles` are the slot that is written, and the one
    /// that stays.
    pub fn on(
        mut host: Box<dyn Host>,
        facts: &UpgradeFacts,
        roles: [Role; 2],
    ) -> Result<Self, HostError> {
        host.announce(&facts.table)?;
        Ok(Self { host, facts: facts.clone(), roles })
    }
}

impl Run for AtRest {
    fn run(&mut self, call: &Call) -> Result<Output, CallError> {
        self.host.run(call)
    }
}

impl Site for AtRest {
    fn check_room(&self, bytes: u64) -> Result<(), HostError> {
        self.host.check_room(bytes)
    }

    fn open_slot(&mut self) -> Result<Box<dyn BlockIo + '_>, HostError> {
        self.host.open_slot(self.roles[0])
    }

    fn tool_path(&mut self) -> Result<PathBuf, HostError> {
        self.host.tool_path(self.roles[0])
    }

    fn settle(&mut self) -> Result<(), HostError> {
        self.host.settle(self.roles[0])
    }

    fn open_boot(&mut self) -> Result<Box<dyn BlockIo + '_>, HostError> {
        let extent = extent_of(&self.facts, Role::Boot)?;
        Ok(Box::new(Window::new(self.host.disk(), extent)?))
    }

    fn old_root(&self) -> Result<Box<dyn Root>, RootError> {
        let disk = &self.facts.disk;
        let extent = self.facts.table.partition(self.roles[1]).map(|planned| planned.extent);
        root_of(disk, extent.unwrap_or(self.facts.table.head.rescue), None)
    }

    fn new_root(&self) -> Result<SlotRoot, RootError> {
        new_root(&self.facts, self.roles[0])
    }

    fn scratch(&self) -> &Path {
        self.host.scratch()
    }
}

fn new_root(facts: &UpgradeFacts, role: Role) -> Result<SlotRoot, RootError> {
    let extent = facts.table.partition(role).map(|planned| planned.extent);
    let extent = extent.unwrap_or(facts.table.head.rescue);
    SlotRoot::open(Path::new(&facts.disk.path), facts.disk.block_size, extent)
}

/// The disk of the running dom0. Its own slot is mounted and only read; the other slot and the boot
/// partition are nobody's, and are claimed one by one.
#[derive(Debug)]
pub struct RunningSite {
    facts: UpgradeFacts,
    role: Role,
    slot: PathBuf,
    boot: PathBuf,
    scratch: TempDir,
    /// Keeps udev and a second upgrade away.
    _lock: File,
}

impl RunningSite {
    pub fn open(facts: &UpgradeFacts, written: Role) -> Result<Self, HostError> {
        let machine = Machine::running();
        let disk = PathBuf::from(&facts.disk.path);
        let lock = File::open(&disk).map_err(file_error("opening", &disk))?;
        crate::host::lock(&lock, &disk)?;
        let slot = node(&machine, facts, written)?;
        let boot = node(&machine, facts, Role::Boot)?;
        let scratch = tempfile::Builder::new()
            .prefix("host-installer-")
            .tempdir_in("/run")
            .map_err(file_error("making a folder in", Path::new("/run")))?;
        Ok(Self { facts: facts.clone(), role: written, slot, boot, scratch, _lock: lock })
    }

    fn claim(node: &Path, allowed: Vec<Extent>) -> Result<Fence, HostError> {
        // A scan of udev or LVM may hold it for a moment.
        let mut opened = DeviceDisk::open(node);
        if opened.is_err() {
            wait::until(|| {
                opened = DeviceDisk::open(node);
                opened.is_ok()
            });
        }
        Ok(Fence::new(Box::new(opened?), allowed))
    }
}

fn node(machine: &Machine, facts: &UpgradeFacts, role: Role) -> Result<PathBuf, HostError> {
    let disk = PathBuf::from(&facts.disk.path);
    let other = |error: crate::bless::FindError| {
        file_error("finding a partition of", &disk)(std::io::Error::other(error))
    };
    let planned = facts.table.partition(role).ok_or(HostError::NoPartition { role })?;
    let name = disk_of_root(machine).map_err(other)?;
    let name = name.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let place = (planned.number, planned.extent);
    let node = node_of(machine, &name, &disk, place, facts.disk.block_size).map_err(other)?;
    Ok(machine.dev.join(node.name.replace('!', "/")))
}

fn file_error(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> HostError + use<> {
    let path = path.to_owned();
    move |source| HostError::File { action, path: path.clone(), source }
}

impl Run for RunningSite {
    fn run(&mut self, call: &Call) -> Result<Output, CallError> {
        Processes.run(call)
    }
}

impl Site for RunningSite {
    /// Everything goes to the disk itself.
    fn check_room(&self, _bytes: u64) -> Result<(), HostError> {
        Ok(())
    }

    fn open_slot(&mut self) -> Result<Box<dyn BlockIo + '_>, HostError> {
        let blocks = extent_of(&self.facts, self.role)?.blocks();
        let all = Extent::with_len(Lba::new(0), blocks).into_iter().collect();
        Ok(Box::new(Self::claim(&self.slot, all)?))
    }

    fn tool_path(&mut self) -> Result<PathBuf, HostError> {
        let node = File::open(&self.slot).map_err(file_error("opening", &self.slot))?;
        sys::drop_cache(&node).map_err(file_error("emptying the cache of", &self.slot))?;
        Ok(self.slot.clone())
    }

    fn settle(&mut self) -> Result<(), HostError> {
        let node = OpenOptions::new().read(true).write(true).open(&self.slot);
        let node = node.map_err(file_error("opening", &self.slot))?;
        node.sync_all().map_err(file_error("flushing", &self.slot))?;
        sys::drop_cache(&node).map_err(file_error("emptying the cache of", &self.slot))
    }

    fn open_boot(&mut self) -> Result<Box<dyn BlockIo + '_>, HostError> {
        let first = extent_of(&self.facts, Role::Boot)?.first().get();
        let inside = |extent: &Extent| {
            let start = extent.first().get().checked_sub(first)?;
            Extent::with_len(Lba::new(start), extent.blocks())
        };
        let allowed = self.facts.boot.extents.iter().filter_map(inside).collect();
        Ok(Box::new(Self::claim(&self.boot, allowed)?))
    }

    fn old_root(&self) -> Result<Box<dyn Root>, RootError> {
        let slot = self.facts.running.unwrap_or(installer_core::bootstate::Slot::A);
        let live = Live { root: Path::new("/"), slot };
        root_of(&self.facts.disk, self.facts.table.head.rescue, Some(live))
    }

    fn new_root(&self) -> Result<SlotRoot, RootError> {
        // Past what the disk's own cache still holds of the slot.
        let path = PathBuf::from(&self.facts.disk.path);
        let dropped = File::open(&path).and_then(sys::drop_cache);
        dropped.map_err(|source| RootError::File { path, source })?;
        new_root(&self.facts, self.role)
    }

    fn scratch(&self) -> &Path {
        self.scratch.path()
    }
}
