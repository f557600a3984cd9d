//! Whether what will be written fits where it goes, and whether the machine can run it.

use partitioner::layout::{Role, Scheme};
use partitioner::table::TablePlan;
use partitioner::units::Bytes;

use super::size_of;
use crate::dom0_size::Dom0Size;
use crate::facts::DiskFacts;
use crate::outcome::Exit;
use crate::release::{GRUB_EFI, INSTALLER_INITRD, INSTALLER_KERNEL, Manifest};
use crate::request::{Refusal, Wanted};
use crate::storage::Place;

/// What Xen itself and the smallest guest need beside dom0.
const BESIDE_DOM0_MIB: u64 = 384;
/// FATs, directories, state files and a little to spare on the boot partition.
const BOOT_SPARE: Bytes = Bytes::mib(32);

pub(crate) fn memory(dom0: Dom0Size, memory: Bytes) -> Result<(), Refusal> {
    let dom0_mib = u64::from(dom0.memory_mib);
    let need_mib = dom0_mib.saturating_add(BESIDE_DOM0_MIB);
    let have_mib = memory.get() >> 20;
    if have_mib < need_mib {
        return Err(Refusal::new(
            Exit::Unsuitable,
            format!(
                "the machine has {have_mib} MiB of memory, {need_mib} MiB needed: {dom0_mib} MiB \
                 for dom0 and the rest for Xen"
            ),
        ));
    }
    Ok(())
}

pub(crate) fn partitions(table: &TablePlan, manifest: &Manifest) -> Result<(), Refusal> {
    holds(table, Role::Root, Bytes::new(manifest.image.size), "the dom0 image")?;
    if table.scheme == Scheme::Mbr {
        // The boot loader's places have fixed sizes; the engine measures it before it writes.
        return Ok(());
    }
    let size = |path: &str| manifest.file(path).map_or(0, |file| file.size);
    // The boot loader lies there twice: for the firmware's default path, and under our own name.
    let files = [GRUB_EFI, GRUB_EFI, INSTALLER_KERNEL, INSTALLER_INITRD].map(size);
    let bytes = files.into_iter().try_fold(BOOT_SPARE.get(), u64::checked_add);
    let need = Bytes::new(bytes.unwrap_or(u64::MAX));
    holds(table, Role::Boot, need, "what goes onto the boot partition")
}

/// A repository on the host disk needs its partition, which a small disk has no room for.
pub(super) fn repositories(
    disk: &DiskFacts,
    table: &TablePlan,
    repositories: &[Wanted],
) -> Result<(), Refusal> {
    let asked = repositories.iter().any(|wanted| wanted.repository.place == Place::HostDisk);
    if asked && table.partition(Role::Sr).is_none() {
        let what = format!(
            "{} has {}, which leaves no room for a storage repository",
            disk.path, disk.size
        );
        return Err(
            Refusal::new(Exit::Unsuitable, what).hint("`storage: {sr: none}` asks for none")
        );
    }
    Ok(())
}

fn holds(table: &TablePlan, role: Role, need: Bytes, what: &str) -> Result<(), Refusal> {
    let have = size_of(table, role);
    if have < need {
        return Err(Refusal::new(
            Exit::Unsuitable,
            format!(
                "partition {role} will have {have}, {what} needs {need} ({} bytes)",
                need.get()
            ),
        ));
    }
    Ok(())
}
