//! Facts of a host that is taken over, read from its disk. Nothing is mounted, nothing is written.

use std::io::Read as _;
use std::path::Path;

use installer_core::bootcfg::Dispatch;
use installer_core::facts::DiskFacts;
use installer_core::outcome::Exit;
use installer_core::request::Refusal;
use installer_core::takeover::old_boot::{OldBoot, OldBootError};
use installer_core::takeover::xenserver::carried_over;
use installer_core::takeover::{Carried, MachineSize, OldRoot, TakeoverFacts, TrialFacts};
use installer_core::upgrade::BootRecord;
use partitioner::block::window::{Stream, Window};
use partitioner::block::{BlockIo, open};
use partitioner::ids::Guid;
use partitioner::inspect::report::{Report, report};
use partitioner::installations::{Installation, Product};
use partitioner::layout::{Firmware, Role};
use partitioner::rescue::Saved;
use partitioner::takeover::{OLD_ROOT, OldLoader, again};
use partitioner::units::{Extent, Lba};

use super::own;
use crate::call::Run;
use crate::find_answers::Bounded;
use crate::upgrade::old_host;
use crate::upgrade::read::{boot_record, check, saved_guests};
use crate::upgrade::root::{Kind, Root, RootError, SlotRoot, text};

/// A configuration file of an old host is smaller.
const SMALL: u64 = 1 << 20;
/// Where an old host's own boot loader finds its configuration, in the root file system.
const GRUB_CFG: [&str; 2] = ["boot/grub/grub.cfg", "boot/grub2/grub.cfg"];
const EXTLINUX_CONF: &str = "boot/extlinux.conf";
/// The same on its EFI system partition.
pub(super) const ESP_CFG: &str = "EFI/xenserver/grub.cfg";
/// What our own boot loader finds the slots by, on the boot partition.
const DISPATCH: &str = "xenhost/dispatch.cfg";
/// Offsets in an ext superblock (ext4.h): incompatible features, of which bit 2 says that the
/// journal waits to be replayed.
const INCOMPAT: usize = 0x60;
const NEEDS_RECOVERY: u8 = 4;
const SUPERBLOCK: usize = 1024;

/// Reads everything. `Ok(None)` for a disk that carries no host of another product, and none that
/// a takeover has left.
pub fn read(
    disk: &DiskFacts,
    machine: Option<MachineSize>,
    run: &mut dyn Run,
) -> Result<Option<TakeoverFacts>, Refusal> {
    read_as(disk, machine, |host| host.product != Product::Xenhost, run)
}

/// The same of a host of ours, whose disk is to be divided anew.
pub fn read_own(
    disk: &DiskFacts,
    machine: Option<MachineSize>,
    run: &mut dyn Run,
) -> Result<Option<TakeoverFacts>, Refusal> {
    read_as(disk, machine, |host| host.product == Product::Xenhost, run)
}

fn read_as(
    disk: &DiskFacts,
    machine: Option<MachineSize>,
    is_meant: fn(&Installation) -> bool,
    run: &mut dyn Run,
) -> Result<Option<TakeoverFacts>, Refusal> {
    let io = |e: &dyn std::fmt::Display| {
        Refusal::new(Exit::IoBeforeCommit, format!("{}: {e}", disk.path))
    };
    let path = Path::new(&disk.path);
    let mut opened = open::open_read_only(path, Some(disk.block_size)).map_err(|e| io(&e))?;
    let found = report(opened.disk()).map_err(|e| io(&e))?;
    let is_divided = found.inspection.partitions.iter().any(|one| one.number == OLD_ROOT);
    let is_old = |host: &&Installation| {
        if is_divided { host.root == OLD_ROOT } else { is_meant(host) }
    };
    let hosts: Vec<&Installation> = found.installations.iter().filter(is_old).collect();
    if hosts.is_empty() {
        return Ok(None);
    }
    let block = usize::try_from(disk.block_size.bytes()).unwrap_or(512);
    let mut lba0 = vec![0; block];
    opened.disk().read(Lba::new(0), &mut lba0).map_err(|e| io(&e))?;
    let trial = trial(disk, opened.disk(), &found, is_divided)?;
    let saved = Saved::find(opened.disk()).map_err(|e| io(&e))?;
    let loader = OldLoader::read(opened.disk(), &found.inspection).map_err(|e| io(&e))?;
    let mut roots = Vec::new();
    for host in hosts {
        let extent = |number: u32| {
            let parts = &found.inspection.partitions;
            parts.iter().find(|part| part.number == number).map(|part| part.extent)
        };
        let Some(at) = extent(host.root) else { continue };
        let boot = host.boot.and_then(extent);
        let superblock = superblock(opened.disk(), at).map_err(|e| io(&e))?;
        let esp = boot.and_then(|at| esp_file(opened.disk(), at, ESP_CFG));
        let state = boot.filter(|_| !is_divided && host.product == Product::Xenhost);
        let state = state.map(|at| boot_record(opened.disk(), at)).transpose();
        let state = state.map_err(|e| {
            Refusal::new(Exit::NotUpgradeable, format!("{}: boot state: {e}", disk.path))
        })?;
        let place = Place { number: host.root, at, superblock, esp, state };
        roots.extend(root(disk, place, run).map_err(|e| io(&e))?);
    }
    Ok(Some(TakeoverFacts {
        disk: disk.clone(),
        report: found,
        loader,
        lba0,
        saved_lba0: saved.map(|saved| saved.old_lba0),
        roots,
        machine,
        trial,
    }))
}

/// The new system beside the old one, where an earlier takeover has come that far. What lies in
/// slot a is not relied on: it may be written at this moment.
fn trial(
    disk: &DiskFacts,
    io: &mut dyn BlockIo,
    found: &Report,
    is_divided: bool,
) -> Result<Option<TrialFacts>, Refusal> {
    if !is_divided {
        return Ok(None);
    }
    let no = |what: &dyn std::fmt::Display| {
        let what = format!("{}: a takeover has come as far as its trial: {what}", disk.path);
        Refusal::new(Exit::NotUpgradeable, what)
    };
    // How the disk is started is told by its first block, and no log partition is there yet.
    let again = again(io, &found.inspection, Firmware::Bios, Guid::NIL).map_err(|e| no(&e))?;
    let again = again.map_err(|e| no(&e))?;
    let boot = again.takeover.trial.partition(Role::Boot).map(|planned| planned.extent);
    let boot = boot.ok_or_else(|| no(&"it has no boot partition"))?;
    let script = esp_file(io, boot, DISPATCH).unwrap_or_default();
    let dispatch = Dispatch::parse(&String::from_utf8_lossy(&script));
    let dispatch = dispatch.ok_or_else(|| no(&format!("{DISPATCH} cannot be read")))?;
    let is_new = |host: &&Installation| host.product == Product::Xenhost;
    let system = found.installations.iter().find(is_new).and_then(|host| {
        host.problem.is_none().then(|| {
            let name = host.name.as_deref().unwrap_or_default();
            format!("{name} {}", host.version.as_deref().unwrap_or_default())
        })
    });
    let boot = boot_record(io, boot).map_err(|e| no(&e))?;
    Ok(Some(TrialFacts { again, boot, dispatch, system }))
}

/// What was read of a root's surroundings.
struct Place {
    number: u32,
    at: Extent,
    superblock: Vec<u8>,
    /// The configuration of its boot loader on its EFI system partition.
    esp: Option<Vec<u8>>,
    /// Of a host of ours.
    state: Option<BootRecord>,
}

fn superblock(disk: &mut dyn BlockIo, at: Extent) -> Result<Vec<u8>, partitioner::block::IoError> {
    let mut bytes = vec![0; 4096];
    Window::new(disk, at)?.read(Lba::new(0), &mut bytes)?;
    Ok(bytes.split_off(SUPERBLOCK))
}

/// `None` for one that cannot be read at all: the installation says so itself.
fn root(disk: &DiskFacts, place: Place, run: &mut dyn Run) -> Result<Option<OldRoot>, RootError> {
    let root = match SlotRoot::open(Path::new(&disk.path), disk.block_size, place.at) {
        Ok(root) => root,
        Err(RootError::Unreadable { .. } | RootError::Ext4 { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let needs_recovery = place.superblock.get(INCOMPAT).is_some_and(|b| b & NEEDS_RECOVERY != 0);
    let own = own::texts(&root)?;
    let fs_uuid = root.uuid().parse().unwrap_or(partitioner::ids::Guid::NIL);
    let (first_boot, carried) = match &own {
        None => {
            let carried = carried_over(&old_host::read(&root)?);
            (first_boot(&root)?, carried.map(|told| Carried::Told(Box::new(told))))
        }
        Some(Err(why)) => (None, Err(why.clone())),
        Some(Ok(texts)) => {
            let own = own::facts(&root, texts, place.state)?;
            (own::first_boot(&root)?, Ok(Carried::Own(Box::new(own))))
        }
    };
    Ok(Some(OldRoot {
        number: place.number,
        fs_uuid,
        fs_errors: check(disk, place.at, run),
        needs_recovery,
        first_boot,
        saved_guests: saved_guests(&root)?,
        boot: match &own {
            Some(Ok(texts)) => own::boot(&root, fs_uuid, texts),
            Some(Err(why)) => Err(why.to_string()),
            None => boot(&root, place.esp.as_deref()),
        },
        carried,
    }))
}

/// What of the first boot was not done: each numbered script that may run has left its state, or,
/// on later hosts, network and storage have been set up.
fn first_boot(root: &dyn Root) -> Result<Option<String>, RootError> {
    const SCRIPTS: &str = "etc/firstboot.d";
    const STATE: &str = "etc/firstboot.d/state";
    const RAN: [&str; 2] = ["var/lib/misc/ran-network-init", "var/lib/misc/ran-storage-init"];
    let is =
        |path: &str, kind| Ok::<_, RootError>(root.stat(path)?.is_some_and(|s| s.kind == kind));
    if !is(STATE, Kind::Folder)? {
        for path in RAN {
            if root.stat(path)?.is_none() {
                return Ok(Some(format!("/{path} is missing")));
            }
        }
        return Ok(None);
    }
    for name in root.list(SCRIPTS)? {
        let stat = root.stat(&format!("{SCRIPTS}/{name}"))?;
        let runs = stat.is_some_and(|s| s.kind != Kind::Folder && s.mode & 0o100 != 0);
        let numbered = name.starts_with(|c: char| c.is_ascii_digit());
        if numbered && runs && root.stat(&format!("{STATE}/{name}"))?.is_none() {
            return Ok(Some(format!("/{STATE}/{name} is missing")));
        }
    }
    Ok(None)
}

/// The first configuration that is there decides.
pub(super) fn boot(root: &dyn Root, esp: Option<&[u8]>) -> Result<OldBoot, String> {
    let told = |path: &str, found: Result<OldBoot, OldBootError>| {
        found.map_err(|error| format!("{path}: {error}"))
    };
    if let Some(bytes) = esp {
        let text = String::from_utf8_lossy(bytes);
        return told(ESP_CFG, OldBoot::from_grub(&text));
    }
    let read = |path| text(root, path, SMALL).map_err(|error| error.to_string());
    for path in GRUB_CFG {
        let text = read(path)?;
        if !text.is_empty() {
            return told(path, OldBoot::from_grub(&text));
        }
    }
    let text = read(EXTLINUX_CONF)?;
    if text.is_empty() {
        let looked = GRUB_CFG.join(", /");
        return Err(format!("neither /{looked}, /{EXTLINUX_CONF} nor {ESP_CFG} is there"));
    }
    told(EXTLINUX_CONF, OldBoot::from_extlinux(&text))
}

/// A small file of a FAT volume; `None` also where it is none.
pub(super) fn esp_file(disk: &mut dyn BlockIo, at: Extent, path: &str) -> Option<Vec<u8>> {
    let stream = Bounded::new(Stream::new(Window::new(disk, at).ok()?));
    let options = fatfs::FsOptions::new().update_accessed_date(false);
    let volume = fatfs::FileSystem::new(stream, options).ok()?;
    let mut bytes = Vec::new();
    let file = volume.root_dir().open_file(path).ok()?;
    file.take(SMALL).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
