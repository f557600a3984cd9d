//! The host that performs a plan on the machine it runs on.
//!
//! The disk is reached past the page cache and behind the fence; tools get one partition each.
//! Until LBA 0 is armed the kernel sees no table, so partitions are announced to it one by one
//! (BLKPG). The page caches of a partition and of its disk are separate, which is why both
//! `tool_path` and `settle` empty the partition's.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use installer_core::facts::DiskFacts;
use partitioner::block::device::DeviceDisk;
use partitioner::block::fence::Fence;
use partitioner::block::window::Window;
use partitioner::block::{BlockIo, IoError};
use partitioner::layout::Role;
use partitioner::table::{Planned, TablePlan};
use partitioner::units::Extent;
use rustix::fs::OFlags;
use tempfile::TempDir;

use crate::call::{Call, CallError, Output, Processes, Run};
use crate::ports::{BootEntry, Host, HostError};
use crate::probe::{self, Machine};
use crate::{sys, wait};

mod boot_entry;
mod elsewhere;

pub use elsewhere::Elsewhere;
use elsewhere::LockedDisks;

/// Below the scratch folder, where scripts of the answers find dom0's root.
const MOUNT_POINT: &str = "target";

/// One disk of this machine as the target.
#[derive(Debug)]
pub struct LinuxHost {
    machine: Machine,
    /// `sda`, as sysfs spells it.
    name: String,
    disk: Fence,
    /// Open for requests to the kernel. Its lock keeps udev from reading the table again, which
    /// would take away the partitions that were announced.
    control: File,
    /// Nobody else can mount or claim the disk or a partition of it, until tools have to.
    claim: Option<File>,
    table: Option<TablePlan>,
    scratch: TempDir,
    elsewhere: Elsewhere,
    /// Writable again when the host goes.
    _others: LockedDisks,
    /// Given up after they are.
    _alone: Option<File>,
}

impl LinuxHost {
    /// Takes the disk for this process alone; `fence` is all that may be written. Refused where the
    /// disk is not the one of `facts`, or where anyone uses it.
    pub fn open(
        facts: &DiskFacts,
        fence: Vec<Extent>,
        elsewhere: Elsewhere,
    ) -> Result<Self, HostError> {
        let machine = Machine::running();
        let path = Path::new(&facts.path);
        let name = kernel_name(&machine, path)?;
        let alone = match elsewhere {
            Elsewhere::Lock => Some(super::lock::alone(&machine, Path::new("/run"))?),
            Elsewhere::LeaveAlone => None,
        };
        let others = LockedDisks::lock(&machine, &name, elsewhere)?;
        let control = File::open(path).map_err(file_error("opening", path))?;
        super::lock(&control, path)?;
        if elsewhere == Elsewhere::Lock {
            // A run that was cut off may have left it read-only.
            sys::set_access(&control, sys::Access::ReadWrite)
                .map_err(file_error("allowing writes to", path))?;
        }
        let mut disk = DeviceDisk::open(path).map_err(|error| busy(error, facts))?;
        unchanged(&machine, &name, facts, &disk)?;
        // The kernel grants one exclusive opener; the claim passes from the disk to a handle of its
        // own, which can be given up alone. Whoever came in between makes the claim fail.
        disk.release_exclusive()?;
        let claim = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::EXCL.bits().cast_signed())
            .open(path)
            .map_err(file_error("claiming", path))?;
        let scratch = tempfile::Builder::new()
            .prefix("host-installer-")
            .tempdir_in("/run")
            .map_err(file_error("making a folder in", Path::new("/run")))?;
        let disk = Fence::new(Box::new(disk), fence);
        Ok(Self {
            machine,
            name,
            disk,
            control,
            claim: Some(claim),
            table: None,
            scratch,
            elsewhere,
            _others: others,
            _alone: alone,
        })
    }

    fn device(&self) -> PathBuf {
        self.machine.dev.join(self.name.replace('!', "/"))
    }

    fn planned(&self, role: Role) -> Result<&Planned, HostError> {
        let planned = self.table.as_ref().and_then(|table| table.partition(role));
        planned.ok_or(HostError::NoPartition { role })
    }

    /// The kernel's view of what the disk held before goes. Nobody uses it: the disk was claimed.
    fn forget_old_partitions(&self) -> Result<(), HostError> {
        for node in probe::partition_nodes(&self.machine, &self.name).map_err(probe_error)? {
            let deleted = sys::delete_partition(&self.control, node.number);
            deleted.map_err(file_error(
                "forgetting old partition",
                &self.machine.dev.join(node.name),
            ))?;
        }
        Ok(())
    }

    fn add(&self, planned: &Planned) -> Result<(), HostError> {
        let block = self.disk.block_size().bytes();
        let (start, length) =
            (planned.extent.first().get() * block, planned.extent.blocks() * block);
        sys::add_partition(&self.control, planned.number, start, length)
            .map_err(file_error("announcing a partition of", &self.device()))?;
        let path = self.node(planned.number)?;
        wait::until(|| path.metadata().is_ok_and(|meta| meta.file_type().is_block_device()))
            .ok_or_else(|| HostError::NoNode { path: path.clone(), seconds: wait::LIMIT.as_secs() })
    }

    /// `/dev/sda1`, `/dev/nvme0n1p1`: the kernel tells, whatever its rule for names is.
    fn node(&self, number: u32) -> Result<PathBuf, HostError> {
        let nodes = probe::partition_nodes(&self.machine, &self.name).map_err(probe_error)?;
        let node = nodes.into_iter().find(|node| node.number == number);
        let no_node =
            || HostError::NoNode { path: self.device().join(number.to_string()), seconds: 0 };
        Ok(self.machine.dev.join(node.ok_or_else(no_node)?.name.replace('!', "/")))
    }
}

impl Run for LinuxHost {
    fn run(&mut self, call: &Call) -> Result<Output, CallError> {
        Processes.run(call)
    }
}

impl Host for LinuxHost {
    fn disk(&mut self) -> &mut dyn BlockIo {
        &mut self.disk
    }

    /// Everything goes to the disk itself.
    fn check_room(&self, _bytes: u64) -> Result<(), HostError> {
        Ok(())
    }

    fn announce(&mut self, table: &TablePlan) -> Result<(), HostError> {
        self.disk.flush()?;
        // A tool claims its partition, which the kernel refuses while the whole disk is claimed.
        self.claim = None;
        self.forget_old_partitions()?;
        for planned in &table.partitions {
            self.add(planned)?;
        }
        self.table = Some(table.clone());
        Ok(())
    }

    fn open_slot(&mut self, role: Role) -> Result<Box<dyn BlockIo + '_>, HostError> {
        let extent = self.planned(role)?.extent;
        Ok(Box::new(Window::new(&mut self.disk, extent)?))
    }

    fn tool_path(&mut self, role: Role) -> Result<PathBuf, HostError> {
        let path = self.node(self.planned(role)?.number)?;
        self.disk.flush()?;
        let node = File::open(&path).map_err(file_error("opening", &path))?;
        sys::drop_cache(&node).map_err(file_error("emptying the cache of", &path))?;
        Ok(path)
    }

    fn settle(&mut self, role: Role) -> Result<(), HostError> {
        let path = self.node(self.planned(role)?.number)?;
        let node = OpenOptions::new().read(true).write(true).open(&path);
        let node = node.map_err(file_error("opening", &path))?;
        node.sync_all().map_err(file_error("flushing", &path))?;
        sys::drop_cache(&node).map_err(file_error("emptying the cache of", &path))?;
        Ok(self.disk.flush()?)
    }

    fn check_hooks(&self) -> Result<(), HostError> {
        match self.elsewhere {
            Elsewhere::Lock => Ok(()),
            Elsewhere::LeaveAlone => Err(HostError::NoHooks { here: "this is another system" }),
        }
    }

    /// The kernel reads the partition anew, and writes it through its own cache, which `settle`
    /// empties. What it writes cannot leave the partition.
    fn mount(&mut self, role: Role) -> Result<PathBuf, HostError> {
        let node = self.tool_path(role)?;
        let folder = self.scratch.path().join(MOUNT_POINT);
        fs::create_dir_all(&folder).map_err(file_error("making folder", &folder))?;
        self.run(&Call::new("mount").args(["-t", "ext4", "-o", "noatime"]).arg(node).arg(&folder))?;
        Ok(folder)
    }

    fn unmount(&mut self) -> Result<(), HostError> {
        self.run(&Call::new("umount").arg(self.scratch.path().join(MOUNT_POINT)))?;
        Ok(())
    }

    fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    fn boot_entry(&mut self, entry: &BootEntry<'_>) -> Result<String, HostError> {
        boot_entry::add(&self.machine.sys.join("firmware/efi"), entry)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the port that tells the time")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// `sda` for `/dev/disk/by-id/ata-x`; refused for a partition.
fn kernel_name(machine: &Machine, path: &Path) -> Result<String, HostError> {
    let real = fs::canonicalize(path).map_err(file_error("finding", path))?;
    let name = real.strip_prefix(&machine.dev).unwrap_or(&real).to_string_lossy().replace('/', "!");
    if machine.sys.join("block").join(&name).is_dir() {
        return Ok(name);
    }
    let source = io::Error::new(io::ErrorKind::InvalidInput, "it is not a whole disk");
    Err(file_error("opening", path)(source))
}

/// Names may have moved since the facts were gathered: the disk itself tells who it is.
fn unchanged(
    machine: &Machine,
    name: &str,
    facts: &DiskFacts,
    disk: &DeviceDisk,
) -> Result<(), HostError> {
    let changed = |what, have: String, want: String| HostError::Changed {
        disk: facts.path.clone(),
        what,
        have,
        want,
    };
    let block = disk.block_size();
    if block != facts.block_size {
        let (have, want) = (block.bytes(), facts.block_size.bytes());
        return Err(changed("block size", have.to_string(), want.to_string()));
    }
    let bytes = disk.blocks() * block.bytes();
    if bytes != facts.size.get() {
        return Err(changed("size in bytes", bytes.to_string(), facts.size.get().to_string()));
    }
    let now = probe::names(machine, name);
    let known = |name: &String| facts.by_id.contains(name);
    let same = if facts.by_id.is_empty() { now.is_empty() } else { now.iter().any(known) };
    if !same {
        let list = |names: &[String]| {
            if names.is_empty() { "none".to_owned() } else { names.join(" ") }
        };
        return Err(changed("name", list(&now), list(&facts.by_id)));
    }
    Ok(())
}

fn busy(error: IoError, facts: &DiskFacts) -> HostError {
    let in_use = matches!(
        &error,
        IoError::Os { source, .. } if source.kind() == io::ErrorKind::ResourceBusy
    );
    if !in_use {
        return HostError::Io(error);
    }
    let by = match facts.holders.as_slice() {
        [] => "somebody".to_owned(),
        holders => holders.join(", "),
    };
    HostError::Busy { disk: facts.path.clone(), by }
}

fn probe_error(error: probe::ProbeError) -> HostError {
    let path = PathBuf::from("/sys/block");
    HostError::File { action: "reading", path, source: io::Error::other(error) }
}

fn file_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> HostError {
    let path = path.to_owned();
    move |source| HostError::File { action, path: path.clone(), source }
}
