//! Where the boot loader of an old host keeps its code, from the bytes of its boot sectors.
//!
//! A takeover saves LBA 0 and chains to it until the new system is there. That is enough for code
//! that starts the active partition. A GRUB 2 that was embedded between LBA 0 and the first
//! partition would lose its core image to the new table: it is moved out of the way first. Any
//! other loader that lies there cannot be kept.

use crate::block::{BlockIo, IoError};
use crate::head::{HeadMap, core_of, core_sectors};
use crate::inspect::{Inspection, le16, le32};
use crate::rescue::Saved;
use crate::units::{Extent, Lba};

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldLoader {
    /// No GRUB: LBA 0 and partitions are all that it needs, and a copy of LBA 0 starts it.
    Outside,
    /// A GRUB 2 with its core image in a partition, or behind all of them.
    Grub,
    /// A GRUB 2 with its core image here, before the first partition and in one piece.
    GrubInGap(Extent),
    /// One that a new table would destroy or that knows no GPT.
    Stuck { name: &'static str, at: Lba, why: &'static str },
}

/// The old core image is copied there, and LBA 0 then loads the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovedCore {
    pub from: Extent,
    pub to: Extent,
}

/// Code ends here, the disk signature follows.
const CODE_END: usize = 0x1B8;
/// Every boot sector of GRUB says its name before it says what went wrong.
const NAME: &[u8] = b"GRUB ";
/// GRUB 2's `boot.img`: where it loads the core image to.
const KERNEL_ADDRESS: usize = 0x5A;
/// The stage 1 of GRUB 0.97: address and block of stage 1.5 or stage 2.
const STAGE2_ADDRESS: usize = 0x42;
const STAGE2_SECTOR: usize = 0x44;
const ENTRIES: usize = 0x1BE;
const ENTRY: usize = 16;
const ACTIVE: u8 = 0x80;

impl OldLoader {
    /// Of the disk on which this was found. Where an interrupted takeover has put our boot code
    /// into LBA 0, what it saved is judged.
    pub fn read(disk: &mut dyn BlockIo, found: &Inspection) -> Result<Self, IoError> {
        let lba0 = old_lba0(disk)?;
        let first = found.partitions.iter().map(|one| one.extent.first()).min();
        let first = first.unwrap_or(Lba::new(u64::MAX));
        match Named::of(&lba0) {
            None => match active(&lba0).filter(|at| at.get() < disk.blocks()) {
                // Code that starts the active partition, which GRUB's own boot sector may begin.
                Some(at) => match Named::of(&read_block(disk, at)?) {
                    Some(Named::Grub2(_)) => Ok(Self::Grub),
                    Some(other) => Ok(other.stuck()),
                    None => Ok(Self::Outside),
                },
                None => Ok(Self::Outside),
            },
            Some(Named::Grub2(at)) if at < first => {
                let core = read_block(disk, at)?;
                Ok(Self::in_gap(at, first, &core))
            }
            Some(Named::Grub2(_)) => Ok(Self::Grub),
            Some(other) => Ok(other.stuck()),
        }
    }

    /// By the first sector of the core image.
    fn in_gap(at: Lba, first: Lba, core: &[u8]) -> Self {
        let stuck = |why| Self::Stuck { name: "GRUB 2", at, why };
        let Some(extent) = core_sectors(core, at).and_then(|all| Extent::with_len(at, all)) else {
            return stuck("its core image there is not in one piece");
        };
        if first <= extent.last() {
            return stuck("its core image reaches into the first partition");
        }
        if HeadMap::B512.core_b.is_none_or(|place| place.blocks() < extent.blocks()) {
            return stuck("its core image is larger than the place it would be moved to");
        }
        Self::GrubInGap(extent)
    }

    /// What has to be moved, and whereto.
    ///
    /// # Errors
    ///
    /// The loader, where it cannot be kept.
    pub(super) fn moved(self, head: &HeadMap) -> Result<Option<MovedCore>, Stuck> {
        match self {
            Self::Outside | Self::Grub => Ok(None),
            Self::Stuck { name, at, why } => Err(Stuck { name, at, why }),
            Self::GrubInGap(from) => {
                let (name, at) = ("GRUB 2", from.first());
                let stuck = |why| Stuck { name, at, why };
                let place = head.core_b.ok_or(stuck("the disk has no place for a core image"))?;
                let to = Extent::with_len(place.first(), from.blocks()).unwrap_or(place);
                match () {
                    // An earlier run has moved it.
                    () if from.first() == place.first() => Ok(None),
                    () if from.overlaps(place) => {
                        Err(stuck("its core image reaches into the place it would be moved to"))
                    }
                    () => Ok(Some(MovedCore { from, to })),
                }
            }
        }
    }
}

/// A loader that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stuck {
    pub(super) name: &'static str,
    pub(super) at: Lba,
    pub(super) why: &'static str,
}

/// A boot sector of GRUB, and the block of what it loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Grub2(Lba),
    Legacy(Lba),
    Unknown,
}

impl Named {
    fn of(sector: &[u8]) -> Option<Self> {
        let code = sector.get(..CODE_END).unwrap_or(sector);
        if !code.windows(NAME.len()).any(|window| window == NAME) {
            return None;
        }
        Some(match (le16(code, KERNEL_ADDRESS), le16(code, STAGE2_ADDRESS)) {
            (0x8000, _) => Self::Grub2(core_of(code)),
            (_, 0x2000 | 0x8000) => Self::Legacy(Lba::new(u64::from(le32(code, STAGE2_SECTOR)))),
            _ => Self::Unknown,
        })
    }

    const fn stuck(self) -> OldLoader {
        let (name, at, why) = match self {
            Self::Grub2(at) => ("GRUB 2", at, "its core image is not known"),
            Self::Legacy(at) => ("GRUB 0.97", at, "it reads no GPT"),
            Self::Unknown => ("a GRUB of an unknown version", Lba::new(1), "where is not known"),
        };
        OldLoader::Stuck { name, at, why }
    }
}

/// LBA 0, or what it was before the boot code was switched to ours.
fn old_lba0(disk: &mut dyn BlockIo) -> Result<Vec<u8>, IoError> {
    let lba0 = read_block(disk, Lba::new(0))?;
    let own = [HeadMap::B512.core_a, super::tight_core_a(disk.blocks())];
    let is_own = |at: Lba| own.into_iter().flatten().any(|core| core.first() == at);
    match Named::of(&lba0) {
        Some(Named::Grub2(at)) if is_own(at) => {
            Ok(Saved::find(disk)?.map_or(lba0, |saved| saved.old_lba0))
        }
        Some(Named::Grub2(_) | Named::Legacy(_) | Named::Unknown) | None => Ok(lba0),
    }
}

/// The first block of the active partition of an MBR.
fn active(lba0: &[u8]) -> Option<Lba> {
    let entries = lba0.get(ENTRIES..)?.chunks_exact(ENTRY).take(4);
    let active = entries.into_iter().find(|entry| entry.first() == Some(&ACTIVE))?;
    Some(Lba::new(u64::from(le32(active, 8)))).filter(|at| at.get() != 0)
}

fn read_block(disk: &mut dyn BlockIo, at: Lba) -> Result<Vec<u8>, IoError> {
    let mut block = vec![0; usize::try_from(disk.block_size().bytes()).unwrap_or(512)];
    disk.read(at, &mut block)?;
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::memory::MemDisk;
    use crate::inspect::{GptState, Table};
    use crate::units::BlockSize;

    type Fields<'a> = [(usize, &'a [u8])];

    fn fill(mut sector: Vec<u8>, fields: &Fields<'_>) -> Vec<u8> {
        for (at, bytes) in fields {
            sector[*at..][..bytes.len()].copy_from_slice(bytes);
        }
        sector
    }

    /// A boot sector with GRUB's texts and these fields.
    fn sector(fields: &Fields<'_>) -> Vec<u8> {
        let texts = b"GRUB \0Geom\0Hard Disk\0Read\0 Error\r\n\0";
        fill(fill(vec![0; 512], &[(0x180, texts), (510, &[0x55, 0xAA])]), fields)
    }

    /// The first sector of a core image that goes on at this block, with so many sectors.
    fn core(next: u64, count: u16) -> Vec<u8> {
        let segment = 0x820_u16.to_le_bytes();
        let (next, count) = (next.to_le_bytes(), count.to_le_bytes());
        fill(vec![7; 512], &[(0x1E8, &[0; 12]), (0x1F4, &next), (0x1FC, &count), (0x1FE, &segment)])
    }

    /// What is read of a disk whose first partition is at sector 63.
    fn read(blocks: &[(u64, Vec<u8>)]) -> OldLoader {
        let mut disk = MemDisk::new("old", BlockSize::B512, 100_000);
        for (at, block) in blocks {
            disk.write(Lba::new(*at), block).unwrap();
        }
        let guid = crate::ids::Guid::NIL;
        let partition = crate::inspect::Found {
            number: 1,
            extent: Extent::with_len(Lba::new(63), 1000).unwrap(),
            kind: "0x83".to_owned(),
            name: None,
            guid: None,
            content: None,
            attributes: 0,
            entry: Vec::new(),
        };
        let table = Table::Gpt { disk_guid: guid, state: GptState::Whole };
        let (partitions, content, problems) = (vec![partition], Vec::new(), Vec::new());
        let found = Inspection { table, partitions, problems, content };
        OldLoader::read(&mut disk, &found).unwrap()
    }

    #[test]
    fn a_loader_is_known_by_its_boot_sectors() {
        let grub2 = |at: u64| sector(&[(0x5A, &[0, 0x80]), (0x5C, &at.to_le_bytes())]);
        let legacy = |at: u32| sector(&[(0x42, &[0, 0x20]), (0x44, &at.to_le_bytes())]);
        let starts_63 = |code: Vec<u8>| fill(code, &[(0x1BE, &[0x80]), (0x1C6, &[63, 0, 0, 0])]);
        let gap =
            |at, blocks| OldLoader::GrubInGap(Extent::with_len(Lba::new(at), blocks).unwrap());
        let stuck = |name, at, why| OldLoader::Stuck { name, at: Lba::new(at), why };
        let pieces = "its core image there is not in one piece";
        for (blocks, want) in [
            (vec![(0, grub2(1)), (1, core(2, 61))], gap(1, 62)),
            (vec![(0, grub2(5)), (5, core(6, 40))], gap(5, 41)),
            (vec![(0, grub2(1)), (1, core(9, 40))], stuck("GRUB 2", 1, pieces)),
            (vec![(0, grub2(1)), (1, vec![7; 512])], stuck("GRUB 2", 1, pieces)),
            (
                vec![(0, grub2(1)), (1, fill(core(2, 40), &[(0x1F0, &[8])]))],
                stuck("GRUB 2", 1, pieces),
            ),
            (
                vec![(0, grub2(1)), (1, core(2, 62))],
                stuck("GRUB 2", 1, "its core image reaches into the first partition"),
            ),
            // By a list of blocks inside a partition.
            (vec![(0, grub2(63))], OldLoader::Grub),
            (vec![(0, grub2(5_000_000_000))], OldLoader::Grub),
            (vec![(0, legacy(1))], stuck("GRUB 0.97", 1, "it reads no GPT")),
            (vec![(0, legacy(70_000))], stuck("GRUB 0.97", 70_000, "it reads no GPT")),
            (
                vec![(0, sector(&[]))],
                stuck("a GRUB of an unknown version", 1, "where is not known"),
            ),
            // Code that starts the active partition, which is GRUB's or is not.
            (vec![(0, starts_63(vec![0xFA; 512]))], OldLoader::Outside),
            (vec![(0, starts_63(vec![0xFA; 512])), (63, grub2(64))], OldLoader::Grub),
            (
                vec![(0, starts_63(vec![0xFA; 512])), (63, legacy(64))],
                stuck("GRUB 0.97", 64, "it reads no GPT"),
            ),
            (vec![(0, vec![0xFA; 512])], OldLoader::Outside),
            (vec![], OldLoader::Outside),
        ] {
            assert_eq!(read(&blocks), want);
        }
    }
}
