//! The last look before the commit: what the boot path will read is on the disk.
//!
//! Each step has read back what it wrote when it wrote it. Here the tables are compared once more,
//! since tools worked on partitions in between, and the boot state is read by the code by which the
//! installed host will find it.

use installer_core::bootstate::BootState;
use partitioner::block::BlockIo;
use partitioner::block::window::Window;
use partitioner::gpt::GptBlocks;
use partitioner::layout::{Role, Scheme};
use partitioner::table::TablePlan;
use partitioner::units::{Extent, Lba};
use partitioner::{gpt, head};

use super::boot::STATE_FILES;
use super::{StepError, Work};
use crate::fat_locate;

impl Work<'_> {
    pub(super) fn verify(&mut self) -> Result<(), StepError> {
        let table = self.job.plan.plan().table.clone();
        core(self.host.disk(), &table, &self.prepared.loader.core_img)?;
        // An MBR is a part of LBA 0, which comes last.
        if table.scheme == Scheme::Gpt {
            let disk = self.host.disk();
            let blocks = gpt::encode(&table)?;
            primary(disk, &blocks)?;
            backup(disk, &blocks)?;
        }
        let boot = self.partition(Role::Boot)?.extent;
        boot_state(self.host.disk(), boot, BootState::FRESH)
    }
}

/// The boot loader's core image, where the table has a place for it.
pub(crate) fn core(
    disk: &mut dyn BlockIo,
    table: &TablePlan,
    core: &[u8],
) -> Result<(), StepError> {
    let Some(place) = table.head.core_a else { return Ok(()) };
    let image = head::core_for(core, place)?;
    same(disk, "BIOS boot loader", place.first(), &image)
}

pub(crate) fn primary(disk: &mut dyn BlockIo, blocks: &GptBlocks) -> Result<(), StepError> {
    same(disk, "GPT header", blocks.primary_header_at, &blocks.primary_header)?;
    same(disk, "GPT entries", blocks.primary_array_at.first(), &blocks.primary_array)
}

pub(crate) fn backup(disk: &mut dyn BlockIo, blocks: &GptBlocks) -> Result<(), StepError> {
    same(disk, "backup GPT entries", blocks.backup_array_at.first(), &blocks.backup_array)?;
    same(disk, "backup GPT header", blocks.backup_header_at, &blocks.backup_header)
}

fn same(disk: &mut dyn BlockIo, what: &'static str, at: Lba, want: &[u8]) -> Result<(), StepError> {
    let mut have = vec![0; want.len()];
    disk.read(at, &mut have)?;
    if have == want {
        return Ok(());
    }
    let blocks = u64::try_from(want.len()).unwrap_or(0) / disk.block_size().bytes();
    let extent = Extent::with_len(at, blocks.max(1)).expect("what was read lies on the disk");
    Err(StepError::ReadBack { what, extent })
}

/// Both copies of the boot state in the boot partition say this.
pub(crate) fn boot_state(
    disk: &mut dyn BlockIo,
    extent: Extent,
    want: BootState,
) -> Result<(), StepError> {
    let mut boot = Window::new(disk, extent)?;
    for path in STATE_FILES {
        let located = fat_locate::locate(&mut boot, path)?;
        let mut block = vec![0; usize::from(BLOCK_BYTES_MAX)];
        boot.read(located.first, &mut block)?;
        let state =
            BootState::decode(&block).map_err(|source| StepError::State { path, source })?;
        if state != want {
            return Err(StepError::ReadBack { what: "boot state", extent });
        }
    }
    Ok(())
}

/// A whole block on every disk.
const BLOCK_BYTES_MAX: u16 = 4096;
