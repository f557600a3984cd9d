//! `storage`: which disks hold guest disks.

use std::collections::BTreeMap;

use super::super::node::Node;
use super::super::section::{Section, choice};
use super::super::{SrKind, Storage, StorageKind};
use super::or_default;
use crate::problem::{Problem, Problems};
use crate::storage::LOCAL;

pub(super) fn storage(node: &Node, problems: &mut Problems) -> Option<Storage> {
    const PATH: &str = "storage.sr";
    let mut section = Section::open(node, "storage", problems)?;
    for name in ["name", "preserve_existing", "type"] {
        section.later(name, "not available yet; `sr` says what becomes of the host disk's rest");
    }
    let words = [
        ("partition", StorageKind::Partition),
        ("none", StorageKind::None),
        ("lvm", StorageKind::Made(SrKind::Lvm)),
        ("ext", StorageKind::Made(SrKind::Ext)),
    ];
    let sr = or_default(section.optional("sr"), |node| choice(node, PATH, problems, &words));
    let disks = or_default(section.optional("disks"), |node| disks(node, problems));
    section.finish(problems);
    Some(Storage { sr: sr?, disks: disks? })
}

fn disks(node: &Node, problems: &mut Problems) -> Option<BTreeMap<String, SrKind>> {
    let section = Section::open(node, "storage.disks", problems)?;
    let mut disks = BTreeMap::new();
    let mut whole = true;
    for (key, node) in section.entries() {
        let path = section.path(&key.name);
        if let Err(why) = name(&key.name) {
            problems.push(Problem::new(key.at, &path, why).value(&key.name));
            whole = false;
        }
        match choice(node, &path, problems, &SrKind::ALL.map(|kind| (kind.word(), kind))) {
            Some(kind) => drop(disks.insert(key.name.clone(), kind)),
            None => whole = false,
        }
    }
    whole.then_some(disks)
}

/// Part of the name of a volume group and of a folder.
fn name(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if text.is_empty() || 32 < text.len() || !text.chars().all(allowed) {
        return Err(format!(
            "a disk of guests has a name of 1 to 32 of the characters a-z 0-9, `{text}` is none"
        ));
    }
    if text == LOCAL {
        return Err(format!("the repository on the host disk is called `{LOCAL}`"));
    }
    Ok(())
}
