//! Facts of an installed host, read from its disk. Nothing is mounted, nothing is written.

use std::collections::BTreeMap;
use std::path::Path;

use installer_core::bootstate::Slot;
use installer_core::facts::DiskFacts;
use installer_core::outcome::Exit;
use installer_core::request::Refusal;
use installer_core::takeover::TakenOver;
use installer_core::target::Inventory;
use installer_core::upgrade::{BootRecord, MARKER, SlotFacts, UpgradeFacts, role};
use partitioner::block::window::Window;
use partitioner::block::{BlockIo, open};
use partitioner::head::HeadMap;
use partitioner::ids::Guid;
use partitioner::inspect::{Found, GptState, Inspection, Table, inspect};
use partitioner::layout::{Role, Scheme};
use partitioner::partuuid::DiskId;
use partitioner::table::{Geometry, Planned, TablePlan};
use partitioner::takeover::{OLD_BOOT, OLD_ROOT};
use partitioner::units::Extent;

mod begun;
mod filesystem;

pub use begun::begun;
pub(crate) use filesystem::check;
use filesystem::{needs_recovery, recorded_errors};

use super::root::{Kind, LiveRoot, Root, SlotRoot, file, text};
use crate::bless::{BootFiles, StateFileError};
use crate::call::Run;
use crate::engine::StepError;

const INVENTORY: &str = "etc/xenhost/inventory.json";
const BLESSED: &str = "var/lib/xenhost/blessed.json";
const SLOT_CFG: &str = "boot/xenhost/slot.cfg";
/// Where xendomains and people save guests.
const SAVED: &str = "var/lib/xen/save";
const XENDOMAINS: &str = "etc/default/xendomains";
const SMALL: u64 = 1 << 20;

/// Where the running dom0 is, when it is the host that is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Live<'r> {
    pub root: &'r Path,
    pub slot: Slot,
}

fn no(disk: &DiskFacts, what: impl std::fmt::Display) -> Refusal {
    Refusal::new(Exit::NotUpgradeable, format!("{}: {what}", disk.path))
}

/// Reads everything. `Ok(None)` for a disk that carries no installation of ours.
pub fn read(
    disk: &DiskFacts,
    live: Option<Live<'_>>,
    run: &mut dyn Run,
) -> Result<Option<UpgradeFacts>, Refusal> {
    let io = |e: &dyn std::fmt::Display| {
        Refusal::new(Exit::IoBeforeCommit, format!("{}: {e}", disk.path))
    };
    let path = Path::new(&disk.path);
    let mut opened = open::open_read_only(path, Some(disk.block_size)).map_err(|e| io(&e))?;
    let inspection = inspect(opened.disk()).map_err(|e| io(&e))?;
    let Some(inventory) = inventory(disk, &inspection, live) else {
        return broken(disk, &inspection).map_or(Ok(None), |what| Err(no(disk, what)));
    };
    let table = table(disk, &inspection, &inventory)?;
    let boot = table.partition(Role::Boot).ok_or_else(|| no(disk, "it has no boot partition"))?;
    let boot = boot_record(opened.disk(), boot.extent).map_err(|e| no(disk, e))?;
    let mut slots = BTreeMap::new();
    for slot in [Slot::A, Slot::B] {
        if let Some(planned) = table.partition(role(slot)) {
            let live = live.filter(|live| live.slot == slot);
            slots.insert(slot, slot_facts(disk, planned.extent, live, run));
        }
    }
    let running = live.map(|live| live.slot);
    let table_problems = table_problems(&inspection);
    let disk = disk.clone();
    Ok(Some(UpgradeFacts { disk, table_problems, table, boot, slots, running }))
}

fn table_problems(inspection: &Inspection) -> Vec<String> {
    let mut problems: Vec<String> = inspection.problems.iter().map(ToString::to_string).collect();
    if let Table::Gpt { state, .. } = inspection.table
        && problems.is_empty()
        && state != GptState::Whole
    {
        problems.push(format!("partition table: {state}"));
    }
    problems
}

/// The root of a slot: the running one through its kernel, the other from its blocks.
pub fn root_of(
    disk: &DiskFacts,
    extent: Extent,
    live: Option<Live<'_>>,
) -> Result<Box<dyn Root>, super::root::RootError> {
    Ok(match live {
        Some(live) => Box::new(LiveRoot::new(live.root)),
        None => Box::new(SlotRoot::open(Path::new(&disk.path), disk.block_size, extent)?),
    })
}

/// The first inventory that names this disk and the partition it lies in.
fn inventory(
    disk: &DiskFacts,
    inspection: &Inspection,
    live: Option<Live<'_>>,
) -> Option<Inventory> {
    let disk_id = inspection.disk_id()?;
    let ours = |inventory: &Inventory| inventory.disk_id == disk_id;
    if let Some(live) = live {
        let root = LiveRoot::new(live.root);
        return parse(&root).ok().flatten().filter(ours);
    }
    let is_ext = |found: &&Found| found.content.as_deref().is_some_and(|c| c.starts_with("ext"));
    inspection.partitions.iter().filter(is_ext).find_map(|found| {
        let root = root_of(disk, found.extent, None).ok()?;
        let inventory = parse(root.as_ref()).ok().flatten().filter(ours)?;
        let key = match inventory.slot {
            Slot::A => "root_a",
            Slot::B => "root_b",
        };
        (inventory.partuuid.get(key).copied() == inspection.partuuid(found)).then_some(inventory)
    })
}

/// Why a root of ours is not believed, where no other one of the disk is.
fn broken(disk: &DiskFacts, inspection: &Inspection) -> Option<String> {
    let is_root = |found: &&Found| {
        let content = found.content.as_deref().unwrap_or_default();
        content.starts_with("ext") && content.contains("\"root-")
    };
    inspection.partitions.iter().filter(is_root).find_map(|found| {
        let why = match root_of(disk, found.extent, None) {
            Ok(root) => parse(root.as_ref()).err()?,
            Err(error) => error.to_string(),
        };
        Some(format!("partition {}: {why}", found.number))
    })
}

fn parse(root: &dyn Root) -> Result<Option<Inventory>, String> {
    let text = text(root, INVENTORY, SMALL).map_err(|e| e.to_string())?;
    if text.is_empty() {
        return Ok(None);
    }
    Inventory::parse(&text).map(Some).map_err(|e| format!("/{INVENTORY}: {e}"))
}

/// The table as it lies on the disk; the roles are those of the inventory.
fn table(
    disk: &DiskFacts,
    inspection: &Inspection,
    inventory: &Inventory,
) -> Result<TablePlan, Refusal> {
    let roles = [
        ("root_a", Role::Root),
        ("root_b", Role::Backup),
        ("sr", Role::Sr),
        ("boot", Role::Boot),
        ("logs", Role::Logs),
        ("swap", Role::Swap),
    ];
    let mut partitions = Vec::new();
    for (key, role) in roles {
        let Some(id) = inventory.partuuid.get(key) else { continue };
        let is_named = |found: &&Found| inspection.partuuid(found) == Some(*id);
        let named: Vec<&Found> = inspection.partitions.iter().filter(is_named).collect();
        let [found] = named[..] else {
            // The log partition comes last in a takeover, in place of the old system.
            if role == Role::Logs && named.is_empty() && old_parts(inspection).next().is_some() {
                continue;
            }
            let have = named.len();
            return Err(no(disk, format!("{have} partitions are {key} ({id}), one is needed")));
        };
        partitions.push(planned(found, role));
    }
    partitions.extend(old_parts(inspection).map(|(found, role)| planned(found, role)));
    partitions.sort_by_key(|planned| planned.extent.first());
    let (scheme, disk_guid, mbr_signature) = match inventory.disk_id {
        DiskId::Gpt(guid) => (Scheme::Gpt, guid, 0),
        DiskId::Mbr(signature) => (Scheme::Mbr, Guid::NIL, signature),
    };
    let head = match scheme {
        Scheme::Gpt => HeadMap::of(disk.block_size),
        Scheme::Mbr => Some(HeadMap::MBR),
    };
    let head =
        head.ok_or_else(|| no(disk, format!("blocks of {} bytes", disk.block_size.bytes())))?;
    Ok(TablePlan {
        layout: inventory.layout,
        scheme,
        geometry: Geometry::of_size(disk.size, disk.block_size),
        disk_guid,
        mbr_signature,
        head,
        partitions,
    })
}

/// The slots are where the plan has them: others may have been at the table since.
pub(super) fn same_table(facts: &UpgradeFacts) -> Result<(), StepError> {
    let disk = &facts.disk;
    let mut opened = open::open_read_only(Path::new(&disk.path), Some(disk.block_size))?;
    let now = inspect(opened.disk())?;
    let is_there = |planned: &Planned| {
        let same = |found: &Found| (found.number, found.extent) == (planned.number, planned.extent);
        now.partitions.iter().any(same)
    };
    if now.disk_id() == Some(facts.table.disk_id()) && facts.table.partitions.iter().all(is_there) {
        return Ok(());
    }
    Err(StepError::DiskChanged { disk: disk.path.clone(), what: "its partition table" })
}

/// What a takeover leaves of the old host until it is finished.
fn old_parts(inspection: &Inspection) -> impl Iterator<Item = (&Found, Role)> {
    inspection.partitions.iter().filter_map(|found| match found.number {
        OLD_ROOT => Some((found, Role::OldRoot)),
        OLD_BOOT => Some((found, Role::OldBoot)),
        _ => None,
    })
}

fn planned(found: &Found, role: Role) -> Planned {
    Planned {
        number: found.number,
        role,
        name: found.name.clone().unwrap_or_default(),
        type_guid: Guid::NIL,
        mbr_type: 0,
        guid: found.guid.unwrap_or(Guid::NIL),
        extent: found.extent,
        attributes: found.attributes,
        kept: true,
    }
}

/// The boot state, which lies in this partition.
pub(crate) fn boot_record(
    disk: &mut dyn BlockIo,
    partition: Extent,
) -> Result<BootRecord, StateFileError> {
    let mut files = BootFiles::open(Box::new(Window::new(disk, partition)?))?;
    let on_disk = |extent: &Extent| {
        let start = partition.first().checked_add(extent.first().get())?;
        Extent::with_len(start, extent.blocks())
    };
    Ok(BootRecord {
        state: files.state()?,
        copies_agree: files.copies_agree()?,
        tries: files.tries()?,
        reason: files.reason()?,
        extents: files.extents()?.iter().filter_map(on_disk).collect(),
    })
}

fn slot_facts(
    disk: &DiskFacts,
    extent: Extent,
    live: Option<Live<'_>>,
    run: &mut dyn Run,
) -> SlotFacts {
    let root = match root_of(disk, extent, live) {
        Ok(root) => root,
        // A slot that nothing was written to is empty, and no problem.
        Err(super::root::RootError::Unreadable {
            source: partitioner::inspect::ext4::Unreadable::NoSuperblock,
            ..
        }) => return SlotFacts::default(),
        Err(error) => return SlotFacts { problem: Some(error.to_string()), ..Default::default() },
    };
    let mut facts = look(root.as_ref());
    if live.is_some() {
        facts.fs_errors = recorded_errors(disk, extent);
    } else {
        facts.needs_recovery = needs_recovery(disk, extent);
        facts.fs_errors = check(disk, extent, run);
    }
    facts
}

fn look(root: &dyn Root) -> SlotFacts {
    let mut facts = SlotFacts::default();
    match parse(root) {
        Ok(inventory) => facts.inventory = inventory,
        Err(problem) => facts.problem = Some(problem),
    }
    let taken = file(root, TakenOver::PATH, SMALL).ok().flatten();
    let taken = taken.and_then(|bytes| serde_json::from_slice::<TakenOver>(&bytes).ok());
    facts.taken = taken.filter(|_| facts.inventory.is_none()).map(|taken| taken.named());
    if facts.inventory.is_none() && facts.taken.is_none() && facts.problem.is_none() {
        facts.problem = Some("its file system holds no system".to_owned());
    }
    let marker = file(root, MARKER, SMALL).ok().flatten();
    facts.complete = marker.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    facts.blessed = is_blessed(root).unwrap_or(false);
    match saved_guests(root) {
        Ok(saved) => facts.saved_guests = saved,
        Err(error) => facts.problem = facts.problem.or(Some(error.to_string())),
    }
    facts.missing = missing(root);
    facts
}

/// Images in the folder of saved guests, and in the one that xendomains is told to use.
pub(crate) fn saved_guests(root: &dyn Root) -> Result<Vec<String>, super::root::RootError> {
    let settings = text(root, XENDOMAINS, SMALL)?;
    let told = settings.lines().filter_map(|line| line.trim().strip_prefix("XENDOMAINS_SAVE="));
    let told = told.map(|value| value.trim_matches(['"', '\'', '/', ' ']).to_owned());
    let mut saved = Vec::new();
    let mut folders: Vec<String> = vec![SAVED.to_owned()];
    folders.extend(told.filter(|folder| !folder.is_empty() && folder != SAVED));
    for folder in folders {
        if root.stat(&folder)?.is_some_and(|stat| stat.kind == Kind::Folder) {
            saved.extend(root.list(&folder)?.iter().map(|name| format!("/{folder}/{name}")));
        }
    }
    Ok(saved)
}

/// A good boot has left its mark.
pub(crate) fn is_blessed(root: &dyn Root) -> Result<bool, super::root::RootError> {
    Ok(file(root, BLESSED, SMALL)?.is_some_and(|bytes| !bytes.is_empty()))
}

/// What each entry of a boot menu of ours loads: paths of Xen, kernel and initrd.
pub(crate) fn menu_entries(menu: &str) -> impl Iterator<Item = Vec<String>> + '_ {
    menu.lines().filter_map(|line| {
        let files = line.trim().strip_prefix("for file in ")?.strip_suffix("; do")?;
        Some(files.split_whitespace().map(str::to_owned).collect())
    })
}

/// A boot loader finds something at this absolute path.
pub(crate) fn can_be_loaded(root: &dyn Root, path: &str) -> bool {
    let stat = root.stat(path.trim_start_matches('/'));
    matches!(stat, Ok(Some(stat)) if stat.kind == Kind::File && 0 < stat.len)
}

/// What the boot menu names and is not there. Empty where one entry is whole.
fn missing(root: &dyn Root) -> Vec<String> {
    let Ok(menu) = text(root, SLOT_CFG, SMALL) else { return vec![format!("/{SLOT_CFG}")] };
    let is_missing = |path: &&String| !can_be_loaded(root, path);
    let mut all = vec![format!("/{SLOT_CFG}, or a Xen and a kernel in it,")];
    for (number, files) in menu_entries(&menu).enumerate() {
        let lacks: Vec<String> = files.iter().filter(is_missing).cloned().collect();
        if lacks.is_empty() {
            return Vec::new();
        }
        if number == 0 {
            all = lacks;
        }
    }
    all
}
