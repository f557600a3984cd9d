//! The last look before the commit: what the boot path will read is on the disk.
//!
//! Each step has read back what it wrote when it wrote it. Here the tables are compared once more,
//! since tools worked on partitions in between, and the boot state is read by the code by which the
//! installed host will find it.

use installer_core::bootstate::BootState;
use partitioner::block::window::Window;
use partitioner::layout::{Role, Scheme};
use partitioner::units::{Extent, Lba};
use partitioner::{gpt, head};

use super::boot::STATE_FILES;
use super::{StepError, Work};
use crate::fat_locate;

impl Work<'_> {
    pub(super) fn verify(&mut self) -> Result<(), StepError> {
        let (table, core) = (&self.plan().table, &self.prepared.loader.core_img);
        if let Some(place) = table.head.core_a {
            let image = head::core_for(core, place)?;
            self.same("BIOS boot loader", place.first(), &image)?;
        }
        // An MBR is a part of LBA 0, which comes last.
        if self.plan().table.scheme == Scheme::Gpt {
            self.gpt()?;
        }
        self.boot_state()
    }

    fn gpt(&mut self) -> Result<(), StepError> {
        let blocks = gpt::encode(&self.plan().table)?;
        self.same("GPT header", blocks.primary_header_at, &blocks.primary_header)?;
        self.same("GPT entries", blocks.primary_array_at.first(), &blocks.primary_array)?;
        self.same("backup GPT entries", blocks.backup_array_at.first(), &blocks.backup_array)?;
        self.same("backup GPT header", blocks.backup_header_at, &blocks.backup_header)
    }

    fn same(&mut self, what: &'static str, at: Lba, want: &[u8]) -> Result<(), StepError> {
        let disk = self.host.disk();
        let mut have = vec![0; want.len()];
        disk.read(at, &mut have)?;
        if have == want {
            return Ok(());
        }
        let blocks = u64::try_from(want.len()).unwrap_or(0) / disk.block_size().bytes();
        let extent = Extent::with_len(at, blocks.max(1)).expect("what was read lies on the disk");
        Err(StepError::ReadBack { what, extent })
    }

    fn boot_state(&mut self) -> Result<(), StepError> {
        let extent = self.partition(Role::Boot)?.extent;
        let mut boot = Window::new(self.host.disk(), extent)?;
        for path in STATE_FILES {
            let located = fat_locate::locate(&mut boot, path)?;
            let mut block = vec![0; usize::from(BLOCK_BYTES_MAX)];
            partitioner::block::BlockIo::read(&mut boot, located.first, &mut block)?;
            let state =
                BootState::decode(&block).map_err(|source| StepError::State { path, source })?;
            if state != BootState::FRESH {
                return Err(StepError::ReadBack { what: "boot state", extent });
            }
        }
        Ok(())
    }
}

/// A whole block on every disk.
const BLOCK_BYTES_MAX: u16 = 4096;
