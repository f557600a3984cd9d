//! What is of its own where the host is one of ours, on the layout `legacy`: facts of its root, and
//! the files of the new system.

use std::path::Path;

use installer_core::bootcfg::{BootConf, BootFiles};
use installer_core::event::Event;
use installer_core::takeover::old_boot::OldBoot;
use installer_core::takeover::own::{self, OwnRoot, OwnTexts};
use installer_core::takeover::xenserver::CarryError;
use installer_core::takeover::{Config, TakeoverPlan};
use installer_core::target::{Inventory, TargetFile};
use installer_core::upgrade::{BootRecord, OldTexts, OwnError};
use partitioner::ids::Guid;
use partitioner::layout::Role;

use crate::engine::StepError;
use crate::ports::HostError;
use crate::release_dir::Release;
use crate::upgrade::read::{can_be_loaded, is_blessed, menu_entries};
use crate::upgrade::root::{Root, RootError, SlotRoot, text};
use crate::upgrade::{collect, fresh_root};

const INVENTORY: &str = "etc/xenhost/inventory.json";
const BOOT_CONF: &str = "etc/xenhost/boot.conf";
const SLOT_CFG: &str = "boot/xenhost/slot.cfg";
const SMALL: u64 = 1 << 20;

/// `Ok(None)` for a root of another product.
pub(super) fn texts(root: &dyn Root) -> Result<Option<Result<OwnTexts, CarryError>>, RootError> {
    let inventory = text(root, INVENTORY, SMALL)?;
    if inventory.is_empty() {
        return Ok(None);
    }
    let (boot_conf, slot_cfg) = (text(root, BOOT_CONF, SMALL)?, text(root, SLOT_CFG, SMALL)?);
    let inventory = Inventory::parse(&inventory)
        .map_err(|e| CarryError::File { path: INVENTORY.to_owned(), what: e.to_string() });
    Ok(Some(inventory.map(|inventory| OwnTexts { inventory, boot_conf, slot_cfg })))
}

/// What a takeover has to know beside what it knows of every old root.
pub(super) fn facts(
    root: &dyn Root,
    texts: &OwnTexts,
    boot: Option<BootRecord>,
) -> Result<OwnRoot, RootError> {
    let left_behind = collect::left_behind(root, &[])?;
    Ok(OwnRoot { inventory: texts.inventory.clone(), boot, left_behind })
}

/// What of the first boot was not done: bless leaves a file.
pub(super) fn first_boot(root: &dyn Root) -> Result<Option<String>, RootError> {
    Ok((!is_blessed(root)?).then(|| "it was never blessed".to_owned()))
}

/// How the slot is started: by the first entry of its boot menu of which no file is missing.
pub(super) fn boot(root: &dyn Root, uuid: Guid, texts: &OwnTexts) -> Result<OldBoot, String> {
    let conf = BootConf::parse(&texts.boot_conf).map_err(|e| format!("/{BOOT_CONF}: {e}"))?;
    let whole = |files: &Vec<String>| files.iter().all(|path| can_be_loaded(root, path));
    for files in menu_entries(&texts.slot_cfg).filter(whole) {
        if let [xen, kernel, initrd] = files.as_slice()
            && let Ok(files) = BootFiles::new(xen, kernel, initrd)
        {
            return OldBoot::from_own(&conf, &files, uuid)
                .map_err(|e| format!("/{BOOT_CONF}: {e}"));
        }
    }
    Err(format!("/{SLOT_CFG} has no entry of which all files are there"))
}

/// Everything that moves from the old root, and the files that the new slot has of its own. `slot`
/// is the file system that tools work on.
pub(super) fn files(
    plan: &TakeoverPlan,
    release: &Release,
    slot: &Path,
    tell: &mut dyn FnMut(Event),
) -> Result<Vec<TargetFile>, StepError> {
    let role = Role::OldRoot;
    let old = plan.tables.trial.partition(role).ok_or(HostError::NoPartition { role })?;
    let disk = &plan.facts.disk;
    let old = SlotRoot::open(Path::new(&disk.path), disk.block_size, old.extent)?;
    let keep = match &plan.config {
        Config::Made { .. } => &[][..],
        Config::CarriedOver { wish, .. } => &wish.keep[..],
    };
    let carried = collect::carry_over(&old, &fresh_root(slot)?, keep)?;
    for note in carried.notes {
        tell(Event::Warning { text: format!("not carried over: {note}") });
    }
    let (boot_conf, fstab) = (text(&old, BOOT_CONF, SMALL)?, text(&old, "etc/fstab", SMALL)?);
    let texts = OldTexts { boot_conf: &boot_conf, fstab: &fstab };
    let inventory = own::inventory(plan).ok_or(OwnError::NoId { key: "root_a" })?;
    let mut files = carried.files;
    files.extend(own::files(plan, &inventory, release.manifest(), &texts)?);
    Ok(files)
}
