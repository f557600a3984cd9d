//! Partition tables as three readers see them: GRUB, which checks next to nothing; UEFI firmware,
//! which checks all and repairs; Linux, which checks all and looks at the backup only when told.
//!
//! Facts: GRUB `partmap/gpt.c` and `msdos.c`, EDK2 `PartitionDxe/Gpt.c`, Linux
//! `block/partitions/efi.c`; each was also observed on damaged disks.

use crate::disk::{Disk, Span, array, block, blocks, le32, le64};

/// More entries than this are not looked at.
const ENTRIES_MAX: u64 = 1024;
const MBR_TABLE: usize = 0x1BE;

/// How partitions are named: `gpt4` or `msdos4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Gpt,
    Msdos,
}

/// A partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub scheme: Scheme,
    pub number: u32,
    /// The type GUID; of an MBR the type byte, and zeros.
    pub kind: [u8; 16],
    /// PARTUUID in GPT byte order; of an MBR the disk signature, the number, and zeros.
    pub id: [u8; 16],
    pub span: Span,
}

impl Part {
    /// An EFI system partition.
    pub fn is_esp(&self) -> bool {
        match self.scheme {
            Scheme::Gpt => self.kind == ESP,
            Scheme::Msdos => self.kind[0] == 0xEF,
        }
    }
}

/// `C12A7328-F81F-11D2-BA4B-00A0C93EC93B` as a GPT stores it.
const ESP: [u8; 16] = [
    0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
];

/// LBA 0 with a signature: boot code and four entries.
#[derive(Clone, Debug)]
pub struct Mbr {
    pub sector: Vec<u8>,
}

impl Mbr {
    /// `None` without the signature 55 AA.
    pub fn of(sector: Vec<u8>) -> Option<Self> {
        (sector.get(510..512) == Some(&[0x55, 0xAA])).then_some(Self { sector })
    }

    pub fn read(disk: &dyn Disk) -> Option<Self> {
        Self::of(block(disk, 0).ok()?)
    }

    pub fn is_protective(&self) -> bool {
        self.entries().any(|(_, entry)| entry.get(4) == Some(&0xEE))
    }

    /// Number and bytes of each entry.
    fn entries(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let table = self.sector.get(MBR_TABLE..510).unwrap_or_default();
        (1..).zip(table.chunks_exact(16))
    }

    /// The primary partitions. None of them are in an extended one: no layout has such.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        for (number, entry) in self.entries() {
            let kind = entry.get(4).copied().unwrap_or(0);
            let span = Span::new(le32(entry, 8).into(), le32(entry, 12).into());
            if kind == 0 || span.blocks == 0 {
                continue;
            }
            let mut kinds = [0; 16];
            kinds[0] = kind;
            parts.push(Part {
                scheme: Scheme::Msdos,
                number,
                kind: kinds,
                id: msdos_id(le32(&self.sector, 0x1B8), number),
                span,
            });
        }
        parts
    }

    /// The first partition with the active flag.
    pub fn active(&self) -> Option<Part> {
        let number = self.entries().find(|(_, entry)| entry.first() == Some(&0x80))?.0;
        self.parts().into_iter().find(|part| part.number == number)
    }
}

/// The identity of an MBR partition: `12345678-01`.
pub fn msdos_id(signature: u32, number: u32) -> [u8; 16] {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&signature.to_le_bytes());
    id[4..8].copy_from_slice(&number.to_le_bytes());
    id
}

/// One copy of a GPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpt {
    /// The header's block.
    pub header: Vec<u8>,
    pub array: Vec<u8>,
}

impl Gpt {
    pub fn at(&self) -> u64 {
        le64(&self.header, 24)
    }

    pub fn alternate(&self) -> u64 {
        le64(&self.header, 32)
    }

    fn last_usable(&self) -> u64 {
        le64(&self.header, 48)
    }

    /// The entries that are used.
    pub fn parts(&self) -> Vec<Part> {
        let size = usize::try_from(le32(&self.header, 84)).unwrap_or(128).max(1);
        let mut parts = Vec::new();
        for (number, entry) in (1..).zip(self.array.chunks_exact(size)) {
            let kind: [u8; 16] = array(entry, 0);
            let (first, last) = (le64(entry, 32), le64(entry, 40));
            let Some(less) = last.checked_sub(first) else { continue };
            if kind == [0; 16] {
                continue;
            }
            let span = Span::new(first, less.saturating_add(1));
            parts.push(Part { scheme: Scheme::Gpt, number, kind, id: array(entry, 16), span });
        }
        parts
    }

    /// The header and its array, with no check but the signature and the bounds of reading.
    fn read_raw(disk: &dyn Disk, at: u64) -> Option<Self> {
        let header = block(disk, at).ok().filter(|header| header.starts_with(b"EFI PART"))?;
        let (count, size) = (u64::from(le32(&header, 80)), u64::from(le32(&header, 84)));
        if ENTRIES_MAX < count || !(128..=512).contains(&size) {
            return None;
        }
        let len = count.checked_mul(size)?;
        let unit = u64::try_from(disk.block_bytes()).ok()?;
        let mut array = blocks(disk, le64(&header, 72), len.div_ceil(unit)).ok()?;
        array.truncate(usize::try_from(len).ok()?);
        Some(Self { header, array })
    }

    /// As UEFI and Linux read a copy: signature, both checksums, its own address, sane bounds.
    pub fn strict(disk: &dyn Disk, at: u64) -> Option<Self> {
        let gpt = Self::read_raw(disk, at)?;
        let last = disk.blocks().checked_sub(1)?;
        let size = usize::try_from(le32(&gpt.header, 12)).ok()?;
        let mut covered = gpt.header.get(..size).filter(|_| 92 <= size)?.to_vec();
        covered.get_mut(16..20)?.fill(0);
        let sound = crc32fast::hash(&covered) == le32(&gpt.header, 16)
            && crc32fast::hash(&gpt.array) == le32(&gpt.header, 88)
            && gpt.at() == at
            && le64(&gpt.header, 40) <= last
            && gpt.last_usable() <= last
            && le32(&gpt.header, 84) == 128;
        sound.then_some(gpt)
    }
}

/// GRUB's view: a GPT where any entry of LBA 0 is 0xEE, of which only the signature is checked and
/// the backup is never looked at; else the MBR.
pub fn grub(disk: &dyn Disk) -> Vec<Part> {
    let Some(mbr) = Mbr::read(disk) else { return Vec::new() };
    if mbr.is_protective() {
        return Gpt::read_raw(disk, 1).map_or_else(Vec::new, |gpt| gpt.parts());
    }
    mbr.parts()
}

/// Is the backup of a GPT looked at?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backup {
    /// By default Linux does not.
    Ignored,
    /// With `gpt` on the kernel's command line.
    Used,
}

/// Linux' view.
pub fn linux(disk: &dyn Disk, backup: Backup) -> Vec<Part> {
    let mbr = Mbr::read(disk);
    if backup == Backup::Used || mbr.as_ref().is_some_and(Mbr::is_protective) {
        let last = disk.blocks().saturating_sub(1);
        let spare = || Gpt::strict(disk, last).filter(|_| backup == Backup::Used);
        if let Some(gpt) = Gpt::strict(disk, 1).or_else(spare) {
            return gpt.parts();
        }
    }
    // A protective MBR is no table of its own.
    mbr.filter(|mbr| !mbr.is_protective()).map_or_else(Vec::new, |mbr| mbr.parts())
}

/// What UEFI firmware sees, and what it writes.
#[derive(Clone, Debug, Default)]
pub struct Uefi {
    pub parts: Vec<Part>,
    /// Blocks by which the firmware repairs a damaged copy.
    pub repairs: Vec<(u64, Vec<u8>)>,
}

/// UEFI's view: the primary copy, or else the backup; a damaged copy is written from the other.
pub fn uefi(disk: &dyn Disk) -> Uefi {
    let Some(mbr) = Mbr::read(disk) else { return Uefi::default() };
    if !mbr.is_protective() {
        return Uefi { parts: mbr.parts(), repairs: Vec::new() };
    }
    let last = disk.blocks().saturating_sub(1);
    let Some(primary) = Gpt::strict(disk, 1) else {
        let Some(backup) = Gpt::strict(disk, last) else { return Uefi::default() };
        return Uefi { parts: backup.parts(), repairs: repair(disk, &backup) };
    };
    let whole = Gpt::strict(disk, primary.alternate()).is_some();
    let repairs = if whole { Vec::new() } else { repair(disk, &primary) };
    Uefi { parts: primary.parts(), repairs }
}

/// The other copy, as EDK2 makes it: a primary array goes to block 2, a backup array behind the
/// last usable block.
fn repair(disk: &dyn Disk, good: &Gpt) -> Vec<(u64, Vec<u8>)> {
    let at = good.alternate();
    let array_at = if at == 1 { 2 } else { good.last_usable().saturating_add(1) };
    let mut header = good.header.clone();
    let mut put = |place: usize, bytes: &[u8]| {
        for (to, byte) in header.iter_mut().skip(place).zip(bytes) {
            *to = *byte;
        }
    };
    put(24, &at.to_le_bytes());
    put(32, &good.at().to_le_bytes());
    put(72, &array_at.to_le_bytes());
    put(16, &[0; 4]);
    let size = usize::try_from(le32(&header, 12)).unwrap_or(92);
    let crc = crc32fast::hash(header.get(..size).unwrap_or(&header));
    for (to, byte) in header.iter_mut().skip(16).zip(crc.to_le_bytes()) {
        *to = byte;
    }
    let unit = disk.block_bytes();
    let mut array = good.array.clone();
    array.resize(array.len().div_ceil(unit).saturating_mul(unit), 0);
    let mut writes: Vec<(u64, Vec<u8>)> =
        (array_at..).zip(array.chunks(unit).map(<[u8]>::to_vec)).collect();
    writes.push((at, header));
    writes
}
