//! A planned table alone, on a disk without a system: armed, with boot code that says so.
//!
//! In the order of a fresh install: until the first flush the disk is as it was, from there to the
//! last write it says "installation not finished".

use crate::block::BlockIo;
use crate::head::{self, disarmed_lba0};
use crate::layout::Scheme;
use crate::mbr::{self, CODE_BYTES, MbrError};
use crate::table::TablePlan;
use crate::write::{self, WriteError};

/// What the boot code prints.
pub const NO_SYSTEM: &str = "\r\nxenhost: no system installed.\r\n\
    This disk has a partition table only. Run the installer.\r\n";

/// Why the table was not written to the end.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Mbr(#[from] MbrError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("cancelled, before anything was written")]
    NotBegun,
    #[error("cancelled while the table was written")]
    Cancelled,
}

/// Writes the table. Everything that can be known to fail is found before the first write. Before
/// each of its steps it asks whether it shall go on; a step that has begun is finished.
pub fn apply(
    disk: &mut dyn BlockIo,
    table: &TablePlan,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<(), ApplyError> {
    let lba0 = lba0(table)?;
    if !go_on() {
        return Err(ApplyError::NotBegun);
    }
    write::disarm(disk, table)?;
    let mut wanted = || if go_on() { Ok(()) } else { Err(ApplyError::Cancelled) };
    wanted()?;
    write::wipe_signatures(disk, table)?;
    wanted()?;
    write::write_table(disk, table)?;
    wanted()?;
    write::arm(disk, &lba0)?;
    Ok(())
}

/// The last write: code that prints [`NO_SYSTEM`], and the MBR or the protective MBR.
pub fn lba0(table: &TablePlan) -> Result<Vec<u8>, MbrError> {
    let message = disarmed_lba0(NO_SYSTEM);
    match table.scheme {
        Scheme::Gpt => Ok(head::protective_lba0(&message, table.geometry)),
        Scheme::Mbr => {
            let code = message.first_chunk::<CODE_BYTES>().expect("a sector is longer");
            mbr::encode(table, code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::memory::MemDisk;
    use crate::head::MESSAGE_MAX;
    use crate::ids::Ids;
    use crate::layout::Firmware;
    use crate::table::{Geometry, TableRequest, plan_table};
    use crate::units::{BlockSize, Bytes, Lba};

    #[test]
    fn the_disk_says_that_it_has_no_system() {
        assert!(NO_SYSTEM.len() <= MESSAGE_MAX);
        for (firmware, gib, block_size) in [
            (Firmware::Bios, 12, BlockSize::B512),
            (Firmware::Uefi, 60, BlockSize::B512),
            (Firmware::Uefi, 60, BlockSize::B4096),
        ] {
            let geometry = Geometry::of_size(Bytes::gib(gib), block_size);
            let request = TableRequest::new(firmware);
            let plan = plan_table(geometry, &request, &mut Ids::from_seed([1; 32])).unwrap();
            let mut disk = MemDisk::new("m", block_size, geometry.blocks);
            apply(&mut disk, &plan, &mut || true).unwrap();
            let mut have = vec![0; usize::try_from(block_size.bytes()).unwrap()];
            disk.read(Lba::new(0), &mut have).unwrap();
            assert_eq!(have, lba0(&plan).unwrap());
            assert_eq!(have[..440], disarmed_lba0(NO_SYSTEM)[..440]);
            assert_eq!(have[510..512], [0x55, 0xAA]);
            let kinds = [0x1C2, 0x1D2, 0x1E2, 0x1F2].map(|at: usize| have[at]);
            let want = if gib == 12 { [0x83, 0x83, 0x8E, 1] } else { [0xEE, 0, 0, 0] };
            assert_eq!(kinds, want);
        }
    }
}
