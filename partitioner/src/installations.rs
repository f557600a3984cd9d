//! The installations on a disk: hosts of xenhost, and hosts of `XenServer` and its kin.
//!
//! A root file system is one whose label begins with `root-`; what it is, its inventory says. Read
//! without mounting. Facts only: what may be done with an installation is for others to decide.

mod assignments;
mod database;
mod inventory;

use std::collections::BTreeMap;
use std::fmt;

use ext4_view::Ext4;
use serde::{Deserialize, Serialize};

pub use assignments::{AssignmentError, assignments};
pub use database::{Database, DatabaseError};
pub use inventory::InventoryError;

use crate::block::window::Window;
use crate::block::{BlockIo, IoError};
use crate::inspect::ext4::{Unreadable, ask, file};
use crate::inspect::{Found, Inspection, Table};
use crate::layout::Kind;
use crate::sr::lvm::group::shown;
use crate::takeover::{OLD_BOOT, OLD_ROOT};
use crate::units::Bytes;

const OWN_INVENTORY: &str = "/etc/xenhost/inventory.json";
const OLD_INVENTORY: &str = "/etc/xensource-inventory";
/// An old host's backup of its previous system carries this.
const BACKUP_MARK: &str = "/.xen-backup-partition";
/// `master`, or `slave:ADDRESS` on the other hosts of a pool.
const POOL: &str = "/etc/xensource/pool.conf";
const SMALL: Bytes = Bytes::mib(1);
/// The type of a BIOS boot partition, in which old GPT hosts keep GRUB.
const BIOS_BOOT: &str = "21686148-6449-6e6f-744e-656564454649";

/// Whose installation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Product {
    Xenhost,
    /// `XenServer`, Citrix Hypervisor, XCP-ng.
    Xenserver,
    /// The label is that of a root, and nothing in it says whose.
    Unknown,
}

/// How the disk is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// With a logs partition.
    Modern,
    /// Root and backup of 4 GiB in an MBR; old ones begin at sector 63.
    LegacyMbr,
    /// Root and backup of 4 GiB in a GPT, boot before root.
    LegacyGpt,
}

/// One installation, by its root file system. The two slots of a host of xenhost are one
/// installation with a backup; which of them is current, its boot state says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    pub product: Product,
    /// As the product calls itself: `XenServer`, `XCP-ng`, `xenhost`.
    pub name: Option<String>,
    pub version: Option<String>,
    pub deployment_id: Option<String>,
    pub shape: Shape,
    /// The label of the root file system.
    pub label: String,
    pub root: u32,
    pub backup: Option<Backup>,
    pub logs: Option<u32>,
    pub boot: Option<u32>,
    pub swap: Option<u32>,
    pub sr: Option<u32>,
    pub utility: Option<u32>,
    /// An old host is a member of a pool and not its master.
    pub pool_member: bool,
    pub database: DatabaseState,
    /// Why it is not whole: inventory line 5 …, or what could not be read.
    pub problem: Option<String>,
}

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("unknown system");
        let version = self.version.as_deref().unwrap_or("of unknown version");
        write!(f, "{name} {version} on partition {}", self.root)?;
        match &self.problem {
            Some(why) => write!(f, ", {why}"),
            None => Ok(()),
        }
    }
}

/// The previous system, or the other slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    pub partition: u32,
    /// `None` for an empty one.
    pub version: Option<String>,
}

/// What an old host's database says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseState {
    /// Hosts of xenhost keep none.
    None,
    Unreadable(String),
    Read(Database),
}

/// The part of our own inventory that counts here.
#[derive(Debug, Deserialize)]
struct Own {
    product: String,
    version: String,
    #[serde(default)]
    deployment_id: Option<String>,
}

/// What one file system says of itself.
#[derive(Clone, Debug)]
struct System {
    product: Product,
    name: Option<String>,
    version: Option<String>,
    deployment_id: Option<String>,
    is_backup: bool,
    pool_member: bool,
    database: DatabaseState,
    problem: Option<String>,
}

/// Every installation, in the order of partition numbers.
pub fn find(disk: &mut dyn BlockIo, inspection: &Inspection) -> Result<Vec<Installation>, IoError> {
    let mut systems = BTreeMap::new();
    let blocks = disk.blocks();
    for found in inspection.partitions.iter().filter(|found| found.extent.last().get() < blocks) {
        if ext_label(found).is_some() {
            let mut window = Window::new(disk, found.extent)?;
            let system = match ask(&mut window, read)? {
                Ok(system) => system,
                Err(why) => System::unreadable(&why),
            };
            systems.insert(found.number, system);
        }
    }
    let mut found = Vec::new();
    let mut backups = Vec::new();
    for (number, system) in &systems {
        let root = inspection.partitions.iter().find(|one| one.number == *number);
        let label = root.and_then(ext_label).filter(|label| label.starts_with("root-"));
        let (Some(root), Some(label)) = (root, label) else { continue };
        if system.is_backup || backups.contains(number) {
            continue;
        }
        let one = installation(inspection, root, label, system, &systems);
        backups.extend(one.backup.as_ref().map(|backup| backup.partition));
        found.push(one);
    }
    Ok(found)
}

fn installation(
    inspection: &Inspection,
    root: &Found,
    label: &str,
    system: &System,
    systems: &BTreeMap<u32, System>,
) -> Installation {
    let parts = &inspection.partitions;
    let number =
        |is: &dyn Fn(&Found) -> bool| parts.iter().find(|one| is(one)).map(|one| one.number);
    let logs = number(&|one| ext_label(one).is_some_and(|label| label.starts_with("logs-")));
    let is_gpt = matches!(inspection.table, Table::Gpt { .. });
    let shape = match (logs, is_gpt) {
        (Some(_), _) => Shape::Modern,
        (None, true) => Shape::LegacyGpt,
        (None, false) => Shape::LegacyMbr,
    };
    Installation {
        product: system.product,
        name: system.name.clone(),
        version: system.version.clone(),
        deployment_id: system.deployment_id.clone(),
        shape,
        label: label.to_owned(),
        root: root.number,
        backup: backup(parts, root, system, systems),
        logs,
        boot: match root.number {
            // Beside a new system on trial, whose boot partition is another.
            OLD_ROOT => number(&|one| one.number == OLD_BOOT),
            _ => number(&|one| is_boot(one) && !one.is_utility()),
        },
        swap: number(&|one| is_type(one, Kind::LinuxSwap)),
        sr: number(&|one| is_type(one, Kind::LinuxLvm)),
        utility: number(&Found::is_utility),
        pool_member: system.pool_member,
        database: system.database.clone(),
        problem: system.problem.clone(),
    }
}

/// The partition whose number follows that of root, unless it is of another installation. An old
/// root beside a new system has its boot partition there.
fn backup(
    parts: &[Found],
    root: &Found,
    system: &System,
    systems: &BTreeMap<u32, System>,
) -> Option<Backup> {
    let next = root.number.checked_add(1).filter(|next| *next != OLD_BOOT)?;
    let one = parts.iter().find(|one| one.number == next)?;
    if is_boot(one) || is_type(one, Kind::LinuxLvm) || is_type(one, Kind::LinuxSwap) {
        return None;
    }
    match systems.get(&next) {
        Some(other) if other.is_backup || other.product == system.product => {
            Some(Backup { partition: next, version: other.version.clone() })
        }
        Some(other) if other.product != Product::Unknown => None,
        Some(_) | None => Some(Backup { partition: next, version: None }),
    }
}

/// The label, where the partition holds an ext file system.
fn ext_label(found: &Found) -> Option<&str> {
    let content = found.content.as_deref()?;
    let (kind, label) = content.split_once(' ').unwrap_or((content, ""));
    matches!(kind, "ext2" | "ext3" | "ext4").then(|| label.trim_matches('"'))
}

fn is_type(found: &Found, kind: Kind) -> bool {
    found.kind == kind.gpt_type().to_string() || found.kind == format!("{:#04x}", kind.mbr_type())
}

fn is_boot(found: &Found) -> bool {
    is_type(found, Kind::EfiSystem) || found.kind == BIOS_BOOT || found.kind == "0x01"
}

/// What a file system says of itself.
fn read(fs: &Ext4) -> Result<System, Unreadable> {
    let is_backup = fs.exists(BACKUP_MARK)?;
    if let Some(bytes) = file(fs, OWN_INVENTORY, SMALL)? {
        return Ok(own(&bytes, is_backup));
    }
    let Some(bytes) = file(fs, OLD_INVENTORY, Bytes::new(inventory::LEN_MAX))? else {
        return Ok(System { is_backup, ..System::new(Product::Unknown) });
    };
    let pool = file(fs, POOL, SMALL)?.unwrap_or_default();
    let mut system = System {
        is_backup,
        pool_member: pool.trim_ascii().starts_with(b"slave"),
        database: old_database(fs)?,
        ..System::new(Product::Xenserver)
    };
    match inventory::parse(&bytes) {
        Ok(keys) => {
            let key = |name| keys.get(name).map(|text| shown(text));
            system.name = key("PRODUCT_BRAND").or_else(|| key("PRODUCT_NAME"));
            system.version = key("PRODUCT_VERSION");
        }
        Err(why) => system.problem = Some(why.to_string()),
    }
    Ok(system)
}

fn own(bytes: &[u8], is_backup: bool) -> System {
    let system = System { is_backup, ..System::new(Product::Xenhost) };
    match serde_json::from_slice::<Own>(bytes) {
        Ok(own) => System {
            name: Some(shown(&own.product)),
            version: Some(shown(&own.version)),
            deployment_id: own.deployment_id,
            ..system
        },
        Err(why) => System { problem: Some(format!("inventory.json: {why}")), ..system },
    }
}

fn old_database(fs: &Ext4) -> Result<DatabaseState, Unreadable> {
    for path in database::PATHS {
        match file(fs, path, Bytes::new(database::LEN_MAX)) {
            Ok(Some(bytes)) => {
                return Ok(match database::parse(&bytes) {
                    Ok(database) => DatabaseState::Read(database),
                    Err(why) => DatabaseState::Unreadable(format!("{path}: {why}")),
                });
            }
            Ok(None) => {}
            Err(why @ Unreadable::FileTooLarge { .. }) => {
                return Ok(DatabaseState::Unreadable(why.to_string()));
            }
            Err(other) => return Err(other),
        }
    }
    Ok(DatabaseState::Unreadable(format!("neither {} is there", database::PATHS.join(" nor "))))
}

impl System {
    fn new(product: Product) -> Self {
        Self {
            product,
            name: None,
            version: None,
            deployment_id: None,
            is_backup: false,
            pool_member: false,
            database: DatabaseState::None,
            problem: None,
        }
    }

    /// Whose it is cannot be known; an old host's database may be in it.
    fn unreadable(why: &Unreadable) -> Self {
        Self {
            database: DatabaseState::Unreadable(format!("the root file system: {why}")),
            problem: Some(format!("its file system cannot be read: {why}")),
            ..Self::new(Product::Unknown)
        }
    }
}
