//! What lies on the boot partition of a fresh installation.

use installer_core::bootcfg::{Dispatch, dispatch_cfg};
use installer_core::bootstate::{BootState, TRIES, reason_block, tries_block};
use partitioner::layout::{Role, Scheme};

use super::{StepError, Work};
use crate::fat::{self, FatFile, FatKind, FatName};
use crate::payload;

/// FAT label of the boot partition.
const LABEL: &str = "XENHOSTBOOT";
pub(super) const STATE_FILES: [&str; 2] = ["xenhost/state.env", "xenhost/state2.env"];

impl Work<'_> {
    pub(super) fn make_boot(&mut self, progress: payload::Progress<'_>) -> Result<(), StepError> {
        let plan = self.job.plan.plan();
        let loader = &self.prepared.loader;
        let dispatch = dispatch_cfg(&Dispatch { slot_a: plan.ids.root_a, slot_b: plan.ids.root_b });
        let state = BootState::FRESH.encode();
        let (tries, reason) = (tries_block(TRIES), reason_block(""));
        let file = |path, bytes| FatFile { path, bytes };
        let [state_file, state_copy] = STATE_FILES;
        let mut files = vec![
            file("xenhost/dispatch.cfg", dispatch.as_bytes()),
            file(state_file, &state[..]),
            file(state_copy, &state),
            file("xenhost/tries.env", &tries),
            file("xenhost/reason.txt", &reason),
        ];
        let kind = match plan.table.scheme {
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
        let extent = self.partition(Role::Boot)?.extent;
        let name = FatName { label: LABEL, serial: plan.ids.boot };
        Ok(fat::make_boot(self.host.disk(), extent, kind, name, &files, progress)?)
    }
}
