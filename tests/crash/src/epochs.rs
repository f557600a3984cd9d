//! A record taken apart: what was written between two flushes, block by block.

use std::sync::Arc;

use partitioner::block::recorder::Entry;

use crate::image::{Block, Image};

/// A named part of a record: from one mark to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub name: String,
    pub entries: Vec<Entry>,
}

/// Cuts a record at its marks. What comes before the first has no name.
pub fn steps(log: &[Entry]) -> Vec<Step> {
    let mut steps = vec![Step { name: String::new(), entries: Vec::new() }];
    for entry in log {
        match entry {
            Entry::Mark(name) => {
                steps.push(Step { name: name.clone(), entries: Vec::new() });
            }
            Entry::Write { .. } | Entry::Zero { .. } | Entry::Flush => {
                if let Some(step) = steps.last_mut() {
                    step.entries.push(entry.clone());
                }
            }
        }
    }
    steps.retain(|step| !step.entries.is_empty());
    steps
}

/// One block that changed.
#[derive(Clone, Debug)]
pub struct Atom {
    pub lba: u64,
    pub block: Block,
    /// The step that wrote it.
    pub step: usize,
}

/// What was written between two flushes, in order. Blocks that were written with what they held
/// already are left out: they cannot be told from blocks that were not.
#[derive(Clone, Debug)]
pub struct Epoch {
    pub atoms: Vec<Atom>,
    /// The step in which the flush at its end was.
    pub step: usize,
}

/// The epochs of a run that began on `old`. What was never flushed is an epoch too.
pub fn epochs(old: &Image, steps: &[Step]) -> Vec<Epoch> {
    let mut now = old.clone();
    let (block, zero) = (old.block_bytes(), vec![0; old.block_bytes()]);
    let mut epochs = Vec::new();
    let mut atoms: Vec<Atom> = Vec::new();
    for (step, entries) in steps.iter().map(|step| &step.entries).enumerate() {
        for entry in entries {
            match entry {
                Entry::Write { first, bytes } => {
                    for (lba, bytes) in (first.get()..).zip(bytes.chunks(block)) {
                        put(&mut now, &mut atoms, lba, bytes, step);
                    }
                }
                Entry::Zero { extent } => {
                    let range = extent.first().get()..=extent.last().get();
                    let used: Vec<u64> =
                        now.used().map(|(lba, _)| lba).filter(|lba| range.contains(lba)).collect();
                    for lba in used {
                        put(&mut now, &mut atoms, lba, &zero, step);
                    }
                }
                Entry::Flush => epochs.push(Epoch { atoms: std::mem::take(&mut atoms), step }),
                Entry::Mark(_) => {}
            }
        }
    }
    let step = steps.len().saturating_sub(1);
    epochs.push(Epoch { atoms, step });
    epochs.retain(|epoch| !epoch.atoms.is_empty());
    epochs
}

/// What is on the disk after a whole run that began on `old`.
pub fn performed(old: &Image, steps: &[Step]) -> Image {
    let mut image = old.clone();
    for atom in epochs(old, steps).into_iter().flat_map(|epoch| epoch.atoms) {
        image.put(atom.lba, atom.block);
    }
    image
}

fn put(now: &mut Image, atoms: &mut Vec<Atom>, lba: u64, bytes: &[u8], step: usize) {
    if now.holds(lba, bytes) {
        return;
    }
    let block = Block::Bytes(Arc::from(bytes));
    now.put(lba, block.clone());
    atoms.push(Atom { lba, block, step });
}
