//! The files of a slot that are its own: who it is, and how it is booted.
//!
//! A slot's PARTUUID and file system UUID stay with the slot, whatever release is in it.

use partitioner::ids::Guid;
use partitioner::partuuid::PartUuid;

use super::facts::Complete;
use crate::bootcfg::{BootConf, BootConfError, BootFiles, root_argument, slot_cfg};
use crate::bootstate::Slot;
use crate::release::Manifest;
use crate::target::{Body, Inventory, TargetFile};

/// The marker of a finished slot, written last before the final check of the file system.
pub const MARKER: &str = "etc/xenhost/complete.json";

/// What cannot be made from what the old system says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnError {
    #[error("the inventory names no {key}")]
    NoId { key: &'static str },
    #[error("the old system's {0}")]
    BootConf(#[from] BootConfError),
}

/// A slot and its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotPlace {
    pub slot: Slot,
    pub partuuid: PartUuid,
    pub fs_uuid: Guid,
}

impl SlotPlace {
    /// As the installation named it.
    pub fn of(inventory: &Inventory, slot: Slot) -> Result<Self, OwnError> {
        let key = match slot {
            Slot::A => "root_a",
            Slot::B => "root_b",
        };
        let no_id = OwnError::NoId { key };
        let partuuid = *inventory.partuuid.get(key).ok_or(no_id.clone())?;
        let fs_uuid = *inventory.fs_uuid.get(key).ok_or(no_id)?;
        Ok(Self { slot, partuuid, fs_uuid })
    }
}

/// What the old system has and the new one is made from.
#[derive(Clone, Debug)]
pub struct OldTexts<'t> {
    pub boot_conf: &'t str,
    pub fstab: &'t str,
}

/// Inventory, arguments of the boot, boot menu and fstab of the new system. What the administrator
/// changed in boot.conf and fstab stays; the root in them is the new one.
pub fn own_files(
    old: &Inventory,
    place: SlotPlace,
    manifest: &Manifest,
    boot_files: &BootFiles,
    texts: &OldTexts<'_>,
) -> Result<Vec<TargetFile>, OwnError> {
    let conf =
        BootConf { root: root_argument(place.partuuid), ..BootConf::parse(texts.boot_conf)? };
    let inventory = Inventory {
        version: manifest.version.clone(),
        build: manifest.build.clone(),
        suite: manifest.suite.clone(),
        slot: place.slot,
        installed_by: env!("CARGO_PKG_VERSION").to_owned(),
        ..old.clone()
    };
    let folder = |path| TargetFile::root(path, 0o755, Body::Directory);
    Ok(vec![
        folder("etc/xenhost"),
        TargetFile::file("etc/xenhost/inventory.json", 0o644, inventory.to_text()),
        TargetFile::file("etc/xenhost/boot.conf", 0o644, conf.render()),
        folder("boot/xenhost"),
        TargetFile::file(
            "boot/xenhost/slot.cfg",
            0o644,
            slot_cfg(&conf, std::slice::from_ref(boot_files)),
        ),
        TargetFile::file("etc/fstab", 0o644, fstab(texts.fstab, place.fs_uuid)),
    ])
}

/// The old table with another root. Root grows to its slot at the first boot.
fn fstab(old: &str, root: Guid) -> String {
    let mut text = String::new();
    let mut is_there = false;
    let line = format!("UUID={root} / ext4 errors=remount-ro,x-systemd.growfs 0 1");
    for old in old.lines() {
        let is_root = !old.starts_with('#') && old.split_whitespace().nth(1) == Some("/");
        if is_root && is_there {
            continue;
        }
        is_there |= is_root;
        text.push_str(if is_root { &line } else { old });
        text.push('\n');
    }
    if !is_there {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The marker of what a release left in a slot.
pub fn marker_file(manifest: &Manifest) -> TargetFile {
    let text = serde_json::to_string_pretty(&Complete::of(manifest)).expect("its keys are text");
    TargetFile::file(MARKER, 0o644, text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_root_of_fstab_changes() {
        let root = Guid::from_u128(7);
        let old = "# UUID=x / ext4\nUUID=a / ext4 defaults 0 1\nnas:/x /mnt nfs ro 0 0\n";
        let new = fstab(old, root);
        assert_eq!(
            new,
            format!(
                "# UUID=x / ext4\nUUID={root} / ext4 errors=remount-ro,x-systemd.growfs 0 1\n\
                 nas:/x /mnt nfs ro 0 0\n"
            )
        );
        assert_eq!(fstab(&new, root), new);
        assert_eq!(fstab("", root).lines().count(), 1);
    }
}
