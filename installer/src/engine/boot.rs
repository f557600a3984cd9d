//! What lies on the boot partition of a host.

use installer_core::bootcfg::{Dispatch, dispatch_cfg};
use installer_core::bootstate::{BootState, TRIES, reason_block, tries_block};
use installer_core::plan::FsIds;
use partitioner::block::BlockIo;
use partitioner::layout::{Role, Scheme};
use partitioner::units::Extent;

use super::{StepError, Work};
use crate::fat::{self, FatFile, FatKind, FatName};
use crate::payload;
use crate::release_dir::LoaderFiles;

/// FAT label of the boot partition.
const LABEL: &str = "XENHOSTBOOT";
/// Files of zeros that keep the files apart which the boot loader reads. GRUB reads 64 sectors at
/// once, and in a BIOS an error in one of them makes it take to cylinders and heads, by which it
/// reaches 8 GiB: one bad sector would take the script, both states and the count with it.
const GAPS: [&str; 4] = ["xenhost/gap1", "xenhost/gap2", "xenhost/gap3", "xenhost/gap4"];
static GAP: [u8; 64 * 512] = [0; 64 * 512];
pub(super) const STATE_FILES: [&str; 2] = ["xenhost/state.env", "xenhost/state2.env"];

/// A boot partition to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BootVolume<'v> {
    pub(crate) extent: Extent,
    pub(crate) scheme: Scheme,
    pub(crate) ids: &'v FsIds,
    pub(crate) loader: &'v LoaderFiles,
    /// What the boot state says at first.
    pub(crate) state: BootState,
    /// Beside what every host has.
    pub(crate) more: &'v [FatFile<'v>],
}

impl BootVolume<'_> {
    /// Makes it, and reads it back.
    pub(crate) fn make(
        &self,
        disk: &mut dyn BlockIo,
        progress: payload::Progress<'_>,
    ) -> Result<(), StepError> {
        let loader = self.loader;
        let dispatch = dispatch_cfg(&Dispatch { slot_a: self.ids.root_a, slot_b: self.ids.root_b });
        let state = self.state.encode();
        let (tries, reason) = (tries_block(TRIES), reason_block(""));
        let file = |path, bytes| FatFile { path, bytes };
        let [state_file, state_copy] = STATE_FILES;
        let [gap1, gap2, gap3, gap4] = GAPS.map(|path| file(path, &GAP));
        let mut files = vec![
            file("xenhost/dispatch.cfg", dispatch.as_bytes()),
            gap1,
            file(state_file, &state[..]),
            gap2,
            file(state_copy, &state),
            gap3,
            file("xenhost/tries.env", &tries),
            gap4,
            file("xenhost/reason.txt", &reason),
        ];
        files.extend(self.more);
        let kind = match self.scheme {
            Scheme::Gpt => FatKind::Fat32,
            // It holds the boot state alone: no UEFI starts from it, and no rescue system fits.
            Scheme::Mbr => FatKind::Small,
        };
        if kind == FatKind::Fat32 {
            let loaders = [
                file("EFI/BOOT/BOOTX64.EFI", &loader.grub_efi[..]),
                file("EFI/xenhost/grubx64.efi", &loader.grub_efi),
            ];
            files.splice(0..0, loaders);
            files.push(file("xenhost/rescue/vmlinuz", &loader.kernel));
            files.push(file("xenhost/rescue/initrd.img", &loader.initrd));
        }
        let name = FatName { label: LABEL, serial: self.ids.boot };
        Ok(fat::make_boot(disk, self.extent, kind, name, &files, progress)?)
    }
}

impl Work<'_> {
    pub(super) fn make_boot(&mut self, progress: payload::Progress<'_>) -> Result<(), StepError> {
        let plan = self.job.plan.plan();
        let volume = BootVolume {
            extent: self.partition(Role::Boot)?.extent,
            scheme: plan.table.scheme,
            ids: &plan.ids,
            loader: &self.prepared.loader,
            state: BootState::FRESH,
            more: &[],
        };
        volume.make(self.host.disk(), progress)
    }
}
