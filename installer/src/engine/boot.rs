//! What lies on the boot partition of a fresh installation.

use installer_core::bootcfg::{Dispatch, dispatch_cfg};
use installer_core::bootstate::{BootState, TRIES, reason_block, tries_block};
use partitioner::layout::{Role, Scheme};

use super::{StepError, Work};
use crate::fat::{self, FatFile, FatKind, FatName};
use crate::payload;

/// FAT label of the boot partition.
const LABEL: &str = "XENHOSTBOOT";
/// Files of zeros that keep the files apart which the boot loader reads. GRUB reads 64 sectors at
/// once, and in a BIOS an error in one of them makes it take to cylinders and heads, by which it
/// reaches 8 GiB: one bad sector would take the script, both states and the count with it.
const GAPS: [&str; 4] = ["xenhost/gap1", "xenhost/gap2", "xenhost/gap3", "xenhost/gap4"];
static GAP: [u8; 64 * 512] = [0; 64 * 512];
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
