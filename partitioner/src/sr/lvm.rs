//! An LVM2 physical volume, from its bytes: label, header, and every copy of the metadata that its
//! areas hold (LVM2 `lib/format_text/layout.h` and `lib/label/label.h`).
//!
//! In: the blocks of one partition. Out: all copies, whole or with the reason why not. It does not
//! choose among copies: who must be sure reads them all.

pub mod group;
pub mod text;

use crate::block::{BlockIo, IoError};
use crate::inspect::{bytes_at, le32, le64};

/// LVM counts in sectors of 512 bytes, whatever the disk does.
pub const SECTOR: u64 = 512;
const SECTOR_LEN: usize = 512;
/// The label is in one of the first four sectors.
const LABEL_SECTORS: usize = 4;
/// `" LVM2 x[5A%r0N*>"`, the head of a metadata area.
const AREA_MAGIC: &[u8] = b" LVM2 x[5A%r0N*>";
/// Two are the most that LVM makes.
const AREAS_MAX: usize = 2;
/// `XenServer`'s areas have 10 MiB, of which a text can fill half.
const TEXT_MAX: u64 = 8 << 20;
const RAW_LOCATIONS: usize = 40;
const RAW_LOCATION_LEN: usize = 24;
/// The area's copy is not kept up to date (`RAW_LOCN_IGNORED`).
const IGNORED: u32 = 1;

/// What a label in the first sectors leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalVolume {
    /// 32 characters, as on disk; the text of a group has them with dashes.
    pub uuid: String,
    /// Where guest data begins, in bytes from the start of the volume.
    pub data_start: Option<u64>,
    pub copies: Vec<Copy>,
}

/// One copy of the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Copy {
    /// What the area says is in force, checksum right.
    Committed(Vec<u8>),
    /// Written for a change that was not completed, checksum right.
    Precommitted(Vec<u8>),
    /// The area belongs to no group yet.
    Vacant,
    /// LVM was told not to use the area.
    Ignored,
    Damaged(CopyError),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    #[error("the metadata area at byte {offset} lies outside the partition")]
    Outside { offset: u64 },
    #[error("the metadata area at byte {offset} has no header")]
    NoHeader { offset: u64 },
    #[error("the header of the metadata area at byte {offset} has a wrong checksum")]
    HeaderChecksum { offset: u64 },
    #[error("the metadata area at byte {offset} says it is elsewhere or of another size")]
    HeaderPlace { offset: u64 },
    #[error("the metadata area at byte {offset} has a text of {size} bytes at {at}")]
    TextPlace { offset: u64, at: u64, size: u64 },
    #[error("the text in the metadata area at byte {offset} has a wrong checksum")]
    TextChecksum { offset: u64 },
}

/// Why a label does not lead to a physical volume.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    #[error("the LVM label in sector {sector} has a wrong checksum")]
    Checksum { sector: usize },
    #[error("the LVM label in sector {sector} says it is in sector {says}")]
    Place { sector: usize, says: u64 },
    #[error("the LVM label in sector {sector} does not describe a physical volume")]
    Header { sector: usize },
    #[error("there are two LVM labels")]
    Two,
}

/// The physical volume; `None` where no label is.
pub fn read(
    volume: &mut dyn BlockIo,
) -> Result<Result<Option<PhysicalVolume>, LabelError>, IoError> {
    let len = LABEL_SECTORS.saturating_mul(SECTOR_LEN);
    let Some(head) = bytes_at(volume, 0, len)? else { return Ok(Ok(None)) };
    let mut labels = head
        .chunks(SECTOR_LEN)
        .enumerate()
        .filter(|(_, sector)| sector.starts_with(b"LABELONE") && has(sector, 24, b"LVM2 001"));
    let Some((number, sector)) = labels.next() else { return Ok(Ok(None)) };
    if labels.next().is_some() {
        return Ok(Err(LabelError::Two));
    }
    let header = match header(number, sector) {
        Ok(header) => header,
        Err(error) => return Ok(Err(error)),
    };
    let mut copies = Vec::new();
    for (offset, size) in header.metadata {
        copies.extend(copies_in(volume, offset, size)?);
    }
    Ok(Ok(Some(PhysicalVolume { uuid: header.uuid, data_start: header.data_start, copies })))
}

struct Header {
    uuid: String,
    data_start: Option<u64>,
    /// Offset and size in bytes.
    metadata: Vec<(u64, u64)>,
}

fn header(number: usize, sector: &[u8]) -> Result<Header, LabelError> {
    let says = le64(sector, 8);
    if u64::try_from(number) != Ok(says) {
        return Err(LabelError::Place { sector: number, says });
    }
    if checksum(sector.get(20..).unwrap_or_default()) != le32(sector, 16) {
        return Err(LabelError::Checksum { sector: number });
    }
    let wrong = || LabelError::Header { sector: number };
    let at = usize::try_from(le32(sector, 20)).map_err(|_| wrong())?;
    let body = sector.get(at..).ok_or_else(wrong)?;
    let uuid = body.get(..32).filter(|uuid| uuid.iter().all(u8::is_ascii_graphic));
    let uuid = String::from_utf8_lossy(uuid.ok_or_else(wrong)?).into_owned();
    // Behind the size of the device: data areas, a zero, metadata areas, a zero.
    let mut rest = body.get(40..).unwrap_or_default().chunks_exact(16);
    let place = |entry: &[u8]| (le64(entry, 0), le64(entry, 8));
    let used = |place: &(u64, u64)| place.0 != 0;
    let data: Vec<_> = rest.by_ref().map(place).take_while(used).collect();
    let metadata: Vec<_> = rest.map(place).take_while(used).collect();
    if AREAS_MAX < data.len().max(metadata.len()) {
        return Err(wrong());
    }
    Ok(Header { uuid, data_start: data.first().map(|(offset, _)| *offset), metadata })
}

/// What the area holds: the copy in force, and one that was prepared, if there is.
fn copies_in(volume: &mut dyn BlockIo, offset: u64, size: u64) -> Result<Vec<Copy>, IoError> {
    let damaged = |error| Ok(vec![Copy::Damaged(error)]);
    let Some(head) = bytes_at(volume, offset, SECTOR_LEN)? else {
        return damaged(CopyError::Outside { offset });
    };
    if !has(&head, 4, AREA_MAGIC) || le32(&head, 20) != 1 {
        return damaged(CopyError::NoHeader { offset });
    }
    if checksum(head.get(4..).unwrap_or_default()) != le32(&head, 0) {
        return damaged(CopyError::HeaderChecksum { offset });
    }
    if le64(&head, 24) != offset || le64(&head, 32) != size || size <= SECTOR {
        return damaged(CopyError::HeaderPlace { offset });
    }
    let location = |slot: usize| {
        let at = slot.saturating_mul(RAW_LOCATION_LEN).saturating_add(RAW_LOCATIONS);
        Location {
            at: le64(&head, at),
            size: le64(&head, at.saturating_add(8)),
            checksum: le32(&head, at.saturating_add(16)),
            flags: le32(&head, at.saturating_add(20)),
        }
    };
    let (committed, prepared) = (location(0), location(1));
    if committed.flags & IGNORED != 0 {
        return Ok(vec![Copy::Ignored]);
    }
    let ring = Ring { offset, size };
    let mut copies = Vec::new();
    if committed.at != 0 {
        copies.push(ring.text(volume, committed)?.map_or_else(Copy::Damaged, Copy::Committed));
    }
    if prepared.at != 0 && prepared != committed {
        copies.push(ring.text(volume, prepared)?.map_or_else(Copy::Damaged, Copy::Precommitted));
    }
    if copies.is_empty() {
        copies.push(Copy::Vacant);
    }
    Ok(copies)
}

/// Where a text lies, in bytes from the start of its area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Location {
    at: u64,
    size: u64,
    checksum: u32,
    flags: u32,
}

/// A metadata area. Behind its header it is a ring: a text that reaches the end goes on behind the
/// header.
struct Ring {
    offset: u64,
    size: u64,
}

impl Ring {
    fn text(
        &self,
        volume: &mut dyn BlockIo,
        location: Location,
    ) -> Result<Result<Vec<u8>, CopyError>, IoError> {
        let Location { at, size, .. } = location;
        let offset = self.offset;
        let wrong = Err(CopyError::TextPlace { offset, at, size });
        let inside = SECTOR <= at && at < self.size;
        if !inside || size == 0 || TEXT_MAX < size || self.size.saturating_sub(SECTOR) < size {
            return Ok(wrong);
        }
        let first = size.min(self.size.saturating_sub(at));
        let parts = [(at, first), (SECTOR, size.saturating_sub(first))];
        let mut text = Vec::new();
        for (at, len) in parts.into_iter().filter(|(_, len)| *len != 0) {
            let len = usize::try_from(len).unwrap_or(0);
            match bytes_at(volume, offset.saturating_add(at), len)? {
                Some(bytes) => text.extend(bytes),
                None => return Ok(wrong),
            }
        }
        if checksum(&text) != location.checksum {
            return Ok(Err(CopyError::TextChecksum { offset }));
        }
        Ok(Ok(text))
    }
}

fn has(bytes: &[u8], at: usize, magic: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(magic))
}

/// LVM's checksum: CRC-32 with a start value of its own and no inversion at the end.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0xF597_A6CF, |crc: u32, byte| {
        let [low, ..] = crc.to_le_bytes();
        let step = CRC_TABLE.get(usize::from(low ^ *byte)).copied().unwrap_or(0);
        (crc >> 8) ^ step
    })
}

/// The table of the reversed polynomial 0xEDB88320 (IEEE 802.3).
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index: u32 = 0;
    let mut place = 0_usize;
    while place < 256 {
        let mut crc = index;
        let mut bit = 0_u8;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            bit = bit.saturating_add(1);
        }
        table[place] = crc;
        index = index.saturating_add(1);
        place = place.saturating_add(1);
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Without LVM's start value and with the final inversion this is the CRC-32 of everyone.
    #[test]
    fn the_table_is_that_of_crc_32() {
        let plain = b"123456789".iter().fold(u32::MAX, |crc, byte| {
            (crc >> 8) ^ CRC_TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)]
        });
        assert_eq!(!plain, 0xCBF4_3926);
    }
}
