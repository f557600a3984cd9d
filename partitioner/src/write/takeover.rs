//! Bringing the two tables of a takeover to the disk.
//!
//! Each function is a step; the steps stand in the order in which they are called. Each ends with a
//! flush, finds out by reading whether an earlier run has done it, and may simply be repeated. What
//! the current boot path reads changes in [`commit_trial`] and [`commit_last`] only; and, on a
//! machine with BIOS, in [`move_old_core`] and [`switch_boot_code`], after which the old system
//! still boots.

use crate::block::BlockIo;
use crate::gpt::{self, GptBlocks, GptError};
use crate::head::{self, HeadError};
use crate::inspect::copy_at;
use crate::layout::{Firmware, Role, Scheme};
use crate::rescue::Rescue;
use crate::table::TablePlan;
use crate::takeover::{MovedCore, Takeover};
use crate::units::{Extent, Lba};

use super::commit::{CommitError, Committed, commit};
use super::{Before, WriteError, read_back, read_block, write_record};

const LBA0: Lba = Lba::new(0);

/// Moves the core image of an old GRUB from before the first partition to where it may stay: a copy
/// of it, whose list of blocks is its own, and then LBA 0, which loads the copy. The old system
/// boots before and after. [`write_rescue`] begins with it, because all that follows may lie over
/// the core image.
pub fn move_old_core(disk: &mut dyn BlockIo, takeover: &Takeover) -> Result<Committed, WriteError> {
    let Some(MovedCore { from, to }) = takeover.moved else { return Ok(Committed::Before) };
    let old = read_block(disk, LBA0)?;
    let loads = head::core_of(&old);
    // A later step of an earlier run: our own boot code.
    if takeover.trial.head.core_a.is_some_and(|core| core.first() == loads) {
        return Ok(Committed::Before);
    }
    if loads != from.first() && loads != to.first() {
        return Err(CommitError::Changed { disk: disk.name().to_owned(), at: LBA0 }.into());
    }
    let new = head::with_core_at(&old, to.first());
    if old != new {
        let core = head::core_for(&read_extent(disk, from)?, to)?;
        disk.write(to.first(), &core)?;
        disk.flush()?;
        read_back(disk, to.first(), &core)?;
    }
    Ok(commit(disk, LBA0, &old, &new)?)
}

/// Saves what the disk had in LBA 0 and LBA 1, and where everything will lie, when the old boot
/// loader is out of the way. Done once: a second run finds the record and keeps it, for by then LBA
/// 0 may be another.
pub fn write_rescue(disk: &mut dyn BlockIo, takeover: &Takeover) -> Result<(), WriteError> {
    move_old_core(disk, takeover)?;
    let plan = &takeover.trial;
    let place = plan.head.rescue;
    let have = read_extent(disk, place)?;
    if let Ok(saved) = Rescue::decode(&have, disk.block_size())
        && saved.rescue == Rescue::of(plan)
    {
        return Ok(disk.flush()?);
    }
    let before = Before { lba0: read_block(disk, LBA0)?, lba1: read_block(disk, Lba::new(1))? };
    if let Some(copy) = plan.head.old_lba0 {
        disk.write(copy, &before.lba0)?;
        // The record is the proof that the copy is there.
        disk.flush()?;
        read_back(disk, copy, &before.lba0)?;
    }
    write_record(disk, plan, &before, plan.head.old_lba0)
}

/// Removes signatures of old content where new file systems will be: at the edges of the new
/// partitions, as far as none of them lies in what is kept. Slot b stays: it is not used before
/// the bless, and old content that the old system may want lies in it.
pub fn wipe_trial(disk: &mut dyn BlockIo, takeover: &Takeover) -> Result<(), WriteError> {
    for planned in &takeover.trial.partitions {
        if matches!(planned.role, Role::Root | Role::Boot | Role::Swap | Role::Sr) {
            for extent in crate::takeover::edges(&takeover.trial, planned.extent) {
                disk.zero(extent)?;
            }
        }
    }
    Ok(disk.flush()?)
}

/// LBA 0 gets our boot code, with the table in it as it was. Our core image finds no table of ours
/// and starts the old system, or, on a disk with a GPT, what the boot state names.
pub fn switch_boot_code(
    disk: &mut dyn BlockIo,
    takeover: &Takeover,
    boot_img: &[u8],
) -> Result<Committed, WriteError> {
    let have = disk.block_size().bytes();
    let place = takeover.trial.head.core_a.ok_or(HeadError::NoPlaceForCore { have })?;
    let old = read_block(disk, LBA0)?;
    let new = head::switched_lba0(boot_img, place.first(), &old)?;
    Ok(commit(disk, LBA0, &old, &new)?)
}

/// Undoes [`switch_boot_code`]: LBA 0 becomes what the rescue record saved. A run that was cut off
/// is begun anew by this, since our boot code may depend on what will be written again.
pub fn switch_back(disk: &mut dyn BlockIo, old_lba0: &[u8]) -> Result<Committed, WriteError> {
    let have = read_block(disk, LBA0)?;
    Ok(commit(disk, LBA0, &have, old_lba0)?)
}

/// Writes all of the trial table but the block that makes it count.
///
/// From a GPT: the new array goes where none is in use, then the backup copy is replaced; the old
/// primary copy rules on. From an MBR: both copies of the GPT, which nothing looks at before LBA 0
/// has an entry of type 0xEE.
pub fn prepare_trial(disk: &mut dyn BlockIo, takeover: &Takeover) -> Result<(), WriteError> {
    match takeover.source {
        Scheme::Gpt => prepare_table(disk, &takeover.trial),
        Scheme::Mbr => {
            let blocks = gpt::encode(&takeover.trial)?;
            write_backup(disk, &blocks)?;
            disk.write(blocks.primary_array_at.first(), &blocks.primary_array)?;
            disk.flush()?;
            disk.write(blocks.primary_header_at, &blocks.primary_header)?;
            disk.flush()?;
            read_back(disk, blocks.primary_array_at.first(), &blocks.primary_array)?;
            read_back(disk, blocks.primary_header_at, &blocks.primary_header)
        }
    }
}

/// The first commit. From a GPT: LBA 1. From an MBR: LBA 0 becomes a protective MBR, its boot code
/// stays.
pub fn commit_trial(
    disk: &mut dyn BlockIo,
    takeover: &Takeover,
    boot_img: &[u8],
) -> Result<Committed, WriteError> {
    match takeover.source {
        Scheme::Gpt => commit_table(disk, &takeover.trial),
        Scheme::Mbr => {
            let have = disk.block_size().bytes();
            let core = takeover.trial.head.core_a.ok_or(HeadError::NoPlaceForCore { have })?;
            let old = read_block(disk, LBA0)?;
            let new = head::armed_lba0(boot_img, core.first(), takeover.trial.geometry)?;
            Ok(commit(disk, LBA0, &old, &new)?)
        }
    }
}

/// Brings the array that counts back to its usual place. Two writes of which each leaves a whole
/// table: the array, where none is in use, and LBA 1. The same where a cut has torn LBA 1 and the
/// plan's table counts by its backup copy, which is not touched. Refused where another table than
/// the plan's counts: it may be the next one already.
pub fn settle(disk: &mut dyn BlockIo, plan: &TablePlan) -> Result<(), WriteError> {
    let map = plan.head.gpt.ok_or(GptError::NotGpt)?;
    let old = read_block(disk, map.header)?;
    let blocks = gpt::encode(plan)?;
    if old == blocks.primary_header {
        return Ok(disk.flush()?);
    }
    let is_spare = old == gpt::encode_at(plan, map.spare)?.primary_header;
    if !is_spare && !counts_by_backup(disk, &blocks)? {
        let (disk, at) = (disk.name().to_owned(), map.header);
        return Err(WriteError::OtherTable { disk, at });
    }
    disk.write(blocks.primary_array_at.first(), &blocks.primary_array)?;
    disk.flush()?;
    read_back(disk, blocks.primary_array_at.first(), &blocks.primary_array)?;
    commit(disk, map.header, &old, &blocks.primary_header)?;
    Ok(())
}

/// The primary copy is damaged, and the backup copy is the one of these blocks.
fn counts_by_backup(disk: &mut dyn BlockIo, blocks: &GptBlocks) -> Result<bool, WriteError> {
    let (primary, backup) = (blocks.primary_header_at.get(), blocks.backup_header_at.get());
    if copy_at(disk, primary)?.is_ok() || copy_at(disk, backup)?.is_err() {
        return Ok(false);
    }
    Ok(read_block(disk, blocks.backup_header_at)? == blocks.backup_header)
}

/// Writes all of the final table but the block that makes it count.
pub fn prepare_last(disk: &mut dyn BlockIo, takeover: &Takeover) -> Result<(), WriteError> {
    prepare_table(disk, &takeover.last)
}

/// The second commit: old root and old boot are gone, and the log partition is there.
pub fn commit_last(disk: &mut dyn BlockIo, takeover: &Takeover) -> Result<Committed, WriteError> {
    commit_table(disk, &takeover.last)
}

/// What was firmware's business during the steps: whether LBA 0 has to be touched at all.
pub fn needs_boot_code(takeover: &Takeover) -> bool {
    takeover.source == Scheme::Mbr || takeover.firmware == Firmware::Bios
}

/// A new table beside the one that counts: its array in the place that is not in use, then the
/// backup copy. Should the firmware find one copy damaged, the other is whole at every moment.
fn prepare_table(disk: &mut dyn BlockIo, plan: &TablePlan) -> Result<(), WriteError> {
    let blocks = gpt::encode_at(plan, free_array(disk, plan)?)?;
    if read_block(disk, blocks.primary_header_at)? == blocks.primary_header {
        return Ok(disk.flush()?);
    }
    disk.write(blocks.primary_array_at.first(), &blocks.primary_array)?;
    disk.flush()?;
    read_back(disk, blocks.primary_array_at.first(), &blocks.primary_array)?;
    write_backup(disk, &blocks)
}

fn write_backup(disk: &mut dyn BlockIo, blocks: &GptBlocks) -> Result<(), WriteError> {
    disk.write(blocks.backup_array_at.first(), &blocks.backup_array)?;
    disk.flush()?;
    disk.write(blocks.backup_header_at, &blocks.backup_header)?;
    disk.flush()?;
    read_back(disk, blocks.backup_array_at.first(), &blocks.backup_array)?;
    read_back(disk, blocks.backup_header_at, &blocks.backup_header)
}

fn commit_table(disk: &mut dyn BlockIo, plan: &TablePlan) -> Result<Committed, WriteError> {
    let blocks = gpt::encode_at(plan, free_array(disk, plan)?)?;
    let old = read_block(disk, blocks.primary_header_at)?;
    Ok(commit(disk, blocks.primary_header_at, &old, &blocks.primary_header)?)
}

/// The place of a primary array that the header on the disk does not point to.
fn free_array(disk: &mut dyn BlockIo, plan: &TablePlan) -> Result<Extent, WriteError> {
    let map = plan.head.gpt.ok_or(GptError::NotGpt)?;
    let current = current_array(disk, plan)?;
    // A header that is the plan's own already: it points to where the array of the plan is.
    for place in [map.spare, map.array] {
        let own = gpt::encode_at(plan, place)?.primary_header;
        if read_block(disk, map.header)? == own {
            return Ok(place);
        }
    }
    if map.spare.first() == current { Ok(map.array) } else { Ok(map.spare) }
}

/// Where the array of the header on the disk begins.
fn current_array(disk: &mut dyn BlockIo, plan: &TablePlan) -> Result<Lba, WriteError> {
    let map = plan.head.gpt.ok_or(GptError::NotGpt)?;
    let header = read_block(disk, map.header)?;
    let mut field = [0; 8];
    for (to, byte) in field.iter_mut().zip(header.iter().skip(72)) {
        *to = *byte;
    }
    Ok(Lba::new(u64::from_le_bytes(field)))
}

fn read_extent(disk: &mut dyn BlockIo, extent: Extent) -> Result<Vec<u8>, WriteError> {
    let len = extent.blocks().saturating_mul(disk.block_size().bytes());
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    disk.read(extent.first(), &mut bytes)?;
    Ok(bytes)
}
