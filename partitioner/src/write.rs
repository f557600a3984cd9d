//! Ordered writing of a fresh table.
//!
//! Each function ends with a flush and leaves the disk in a state that has a name; the engine calls
//! them in the order in which they stand here. Until [`disarm`] the disk is as it was; from its
//! flush to [`arm`] it says "installation not finished"; [`arm`] is the commit.

pub mod commit;
pub mod takeover;

use crate::block::{BlockIo, IoError};
use crate::gpt::{self, GptError};
use crate::head::{self, HeadError};
use crate::layout::Scheme;
use crate::mbr::{self, CODE_BYTES, MbrError};
use crate::rescue::{Rescue, RescueError, Saved};
use crate::table::{TablePlan, wipe_set};
use crate::units::{Extent, Lba};
use commit::{CommitError, Committed};

/// LBA 0, the commit of a fresh install.
const COMMIT: Lba = Lba::new(0);

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error(transparent)]
    Gpt(#[from] GptError),
    #[error(transparent)]
    Mbr(#[from] MbrError),
    #[error(transparent)]
    Rescue(#[from] RescueError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The device said yes to a write and a flush and then gave other bytes.
    #[error("{disk}: {at} reads back other bytes than were written")]
    CommitNotRead { disk: String, at: Lba },
    #[error("{disk}: the header at {at} belongs to another table than the planned one")]
    OtherTable { disk: String, at: Lba },
}

/// Takes the disk out of service: LBA 0 becomes a message, without a partition table. Then what LBA
/// 0 and LBA 1 held goes into the rescue record, with the places of all that will be made.
///
/// The flush comes before anything else is written, so that no old system can start on a disk
/// whose content is half gone. That is why the record does not come first: an old boot loader may
/// lie where it goes.
pub fn disarm(disk: &mut dyn BlockIo, plan: &TablePlan) -> Result<(), WriteError> {
    let before = Before::read(disk)?;
    let sector = head::disarmed_lba0(head::NOT_FINISHED);
    let block = head::one_block(&sector, disk.block_size());
    disk.flush()?;
    disk.write(COMMIT, &block)?;
    disk.flush()?;
    read_back(disk, COMMIT, &block)?;
    match plan.scheme {
        Scheme::Gpt => write_record(disk, plan, &before, None),
        // The volume of that layout is made around the record's place.
        Scheme::Mbr => Ok(()),
    }
}

/// What LBA 0 and LBA 1 held.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Before {
    lba0: Vec<u8>,
    lba1: Vec<u8>,
}

impl Before {
    /// As they are, or where an installation was interrupted, as its record has them.
    fn read(disk: &mut dyn BlockIo) -> Result<Self, IoError> {
        let (lba0, lba1) = (read_block(disk, COMMIT)?, read_block(disk, Lba::new(1))?);
        let message = head::one_block(&head::disarmed_lba0(head::NOT_FINISHED), disk.block_size());
        if lba0 == message
            && let Some(saved) = Saved::find(disk)?
        {
            return Ok(Self { lba0: saved.old_lba0, lba1: saved.old_lba1 });
        }
        Ok(Self { lba0, lba1 })
    }
}

/// The rescue record. A boot loader that finds no table of ours chains to `chain`.
fn write_record(
    disk: &mut dyn BlockIo,
    plan: &TablePlan,
    before: &Before,
    chain: Option<Lba>,
) -> Result<(), WriteError> {
    let place = plan.head.rescue.first();
    let record = Rescue::encode(plan, &before.lba0, &before.lba1, chain)?;
    disk.write(place, &record)?;
    disk.flush()?;
    read_back(disk, place, &record)
}

/// Removes what could be taken for old content: all of the head behind LBA 0 but the rescue record,
/// the edges of each partition, the end of the disk. Order does not matter, the disk is disarmed.
pub fn wipe_signatures(disk: &mut dyn BlockIo, plan: &TablePlan) -> Result<(), WriteError> {
    for extent in wipe_set(plan) {
        disk.zero(extent)?;
    }
    Ok(disk.flush()?)
}

/// Writes both copies of a GPT. Nothing reads them yet: LBA 0 has no 0xEE entry. An MBR is a part
/// of LBA 0, which comes last: for it nothing is written here.
///
/// The flushes between the parts are not needed for the fresh install; they keep this function
/// right for a disk that is armed.
pub fn write_table(disk: &mut dyn BlockIo, plan: &TablePlan) -> Result<(), WriteError> {
    if plan.scheme == Scheme::Mbr {
        return Ok(());
    }
    let blocks = gpt::encode(plan)?;
    disk.write(blocks.backup_array_at.first(), &blocks.backup_array)?;
    disk.write(blocks.backup_header_at, &blocks.backup_header)?;
    disk.flush()?;
    disk.write(blocks.primary_array_at.first(), &blocks.primary_array)?;
    disk.flush()?;
    disk.write(blocks.primary_header_at, &blocks.primary_header)?;
    disk.flush()?;
    read_back(disk, blocks.backup_array_at.first(), &blocks.backup_array)?;
    read_back(disk, blocks.backup_header_at, &blocks.backup_header)?;
    read_back(disk, blocks.primary_array_at.first(), &blocks.primary_array)?;
    read_back(disk, blocks.primary_header_at, &blocks.primary_header)
}

/// Puts the boot loader's core image into place A, patched to lie there, and reads it back.
/// Nothing reads it yet.
pub fn write_core(disk: &mut dyn BlockIo, plan: &TablePlan, core: &[u8]) -> Result<(), WriteError> {
    let have = disk.block_size().bytes();
    let place = plan.head.core_a.ok_or(HeadError::NoPlaceForCore { have })?;
    let image = head::core_for(core, place)?;
    disk.write(place.first(), &image)?;
    disk.flush()?;
    read_back(disk, place.first(), &image)
}

/// LBA 0 of the finished host: boot code that loads core image A, and the protective MBR or, where
/// the table is an MBR, that table.
pub fn lba0(plan: &TablePlan, boot_img: &[u8]) -> Result<Vec<u8>, WriteError> {
    let core_at = plan.head.core_a.map_or(Lba::new(0), Extent::first);
    match plan.scheme {
        Scheme::Gpt => Ok(head::armed_lba0(boot_img, core_at, plan.geometry)?),
        Scheme::Mbr => {
            let sector = head::patch_boot(boot_img, core_at)?;
            let code = sector.first_chunk::<CODE_BYTES>().expect("a sector is longer");
            Ok(mbr::encode(plan, code)?)
        }
    }
}

/// The commit: LBA 0 becomes boot code and protective MBR, or boot code and MBR. One block between
/// two flushes, read back. Everything that the new system needs must have been written and read
/// back before.
pub fn arm(disk: &mut dyn BlockIo, lba0: &[u8]) -> Result<Committed, WriteError> {
    let old = read_block(disk, COMMIT)?;
    Ok(commit::commit(disk, COMMIT, &old, lba0)?)
}

fn read_block(disk: &mut dyn BlockIo, at: Lba) -> Result<Vec<u8>, IoError> {
    let mut block = vec![0; usize::try_from(disk.block_size().bytes()).unwrap_or(0)];
    disk.read(at, &mut block)?;
    Ok(block)
}

/// Asserts that the disk gives what was written.
fn read_back(disk: &mut dyn BlockIo, at: Lba, want: &[u8]) -> Result<(), WriteError> {
    let mut have = vec![0; want.len()];
    disk.read(at, &mut have)?;
    if have == want {
        Ok(())
    } else {
        Err(WriteError::CommitNotRead { disk: disk.name().to_owned(), at })
    }
}
