//! A planned table as the bytes of an MBR: LBA 0 of the `legacy` layout on BIOS.
//!
//! Pure: boot code in, one sector out. `mbrman` encodes the fields of the primary table; nothing
//! here knows extended partitions, which its writer puts into wrong blocks beyond 4 GiB, and what
//! it does not check is checked here: overlaps, sizes, CHS addresses.

use std::io::Cursor;

use mbrman::{CHS, MBRHeader, MBRPartitionEntry};

use crate::layout::Scheme;
use crate::table::{Planned, TablePlan};
use crate::units::Lba;

/// Boot code ends where the disk signature begins.
pub const CODE_BYTES: usize = 440;
/// Partitions that the table holds.
pub const ENTRIES: u32 = 4;
/// Heads and sectors of the geometry that every BIOS with LBA shows (INT 13h extensions).
const HEADS: u64 = 255;
const SECTORS: u64 = 63;
/// The last address that CHS can say; what lies behind it has this one.
const CHS_LAST: (u16, u8, u8) = (1023, 254, 63);

/// Why a plan has no MBR. A checked plan always has one.
#[derive(Debug, thiserror::Error)]
pub enum MbrError {
    #[error("the plan is for a GPT")]
    NotMbr,
    #[error("partition number {number} is not between 1 and {max}")]
    Number { number: u32, max: u32 },
    #[error("partition number {number} is used twice")]
    NumberTwice { number: u32 },
    #[error("partitions {a} and {b} overlap")]
    Overlap { a: u32, b: u32 },
    #[error("partition {number} has a status byte of {status}, 0 or 128 needed")]
    Status { number: u32, status: u64 },
    #[error("partition {number} reaches to block {last}, an MBR to {max}")]
    TooFar { number: u32, last: u64, max: u32 },
    #[error("encoding the partition table: {0}")]
    Encode(#[from] mbrman::Error),
}

/// LBA 0 with this boot code and the plan's table: 512 bytes.
pub fn encode(plan: &TablePlan, code: &[u8; CODE_BYTES]) -> Result<Vec<u8>, MbrError> {
    if plan.scheme != Scheme::Mbr {
        return Err(MbrError::NotMbr);
    }
    apart(&plan.partitions)?;
    let mut header = MBRHeader::new(plan.mbr_signature.to_le_bytes());
    header.bootstrap_code = *code;
    for planned in &plan.partitions {
        let number = planned.number;
        let place = usize::try_from(number).ok().and_then(|number| header.get_mut(number));
        let place = place.ok_or(MbrError::Number { number, max: ENTRIES })?;
        if place.is_used() {
            return Err(MbrError::NumberTwice { number });
        }
        *place = entry(planned)?;
    }
    let mut sector = Cursor::new(Vec::with_capacity(512));
    header.write_into(&mut sector)?;
    Ok(sector.into_inner())
}

fn apart(partitions: &[Planned]) -> Result<(), MbrError> {
    for (i, b) in partitions.iter().enumerate() {
        if let Some(a) = partitions.iter().take(i).find(|a| a.extent.overlaps(b.extent)) {
            return Err(MbrError::Overlap { a: a.number, b: b.number });
        }
    }
    Ok(())
}

fn entry(planned: &Planned) -> Result<MBRPartitionEntry, MbrError> {
    let (number, extent) = (planned.number, planned.extent);
    let last = extent.last().get();
    let too_far = || MbrError::TooFar { number, last, max: u32::MAX };
    let status = planned.attributes;
    let boot = match status {
        0 => 0,
        0x80 => 0x80,
        _ => return Err(MbrError::Status { number, status }),
    };
    u32::try_from(last).map_err(|_| too_far())?;
    Ok(MBRPartitionEntry {
        boot,
        first_chs: chs(extent.first()),
        sys: planned.mbr_type,
        last_chs: chs(extent.last()),
        starting_lba: u32::try_from(extent.first().get()).map_err(|_| too_far())?,
        sectors: u32::try_from(extent.blocks()).map_err(|_| too_far())?,
    })
}

/// The address as cylinder, head and sector, of which the sector counts from 1.
fn chs(at: Lba) -> CHS {
    let track = at.get().checked_div(SECTORS).unwrap_or(0);
    let sector = at.get().checked_rem(SECTORS).unwrap_or(0).saturating_add(1);
    let head = track.checked_rem(HEADS).unwrap_or(0);
    let cylinder = track.checked_div(HEADS).unwrap_or(0);
    let (cylinder_max, head_max, sector_max) = CHS_LAST;
    match u16::try_from(cylinder) {
        Ok(cylinder) if cylinder <= cylinder_max => CHS::new(
            cylinder,
            u8::try_from(head).unwrap_or(head_max),
            u8::try_from(sector).unwrap_or(sector_max),
        ),
        _ => CHS::new(cylinder_max, head_max, sector_max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Ids;
    use crate::layout::Firmware;
    use crate::table::{Geometry, TableRequest, plan_table};
    use crate::units::{BlockSize, Bytes, Extent};

    fn plan() -> TablePlan {
        let geometry = Geometry::of_size(Bytes::gib(12), BlockSize::B512);
        let request = TableRequest::new(Firmware::Bios);
        plan_table(geometry, &request, &mut Ids::from_seed([0; 32])).unwrap()
    }

    #[test]
    fn the_sector_is_as_it_was_worked_out_by_hand() {
        let plan = plan();
        let sector = encode(&plan, &[0xCC; CODE_BYTES]).unwrap();
        assert_eq!(sector.len(), 512);
        assert!(sector[..440].iter().all(|byte| *byte == 0xCC));
        assert_eq!(sector[440..444], plan.mbr_signature.to_le_bytes());
        assert_eq!(sector[444..446], [0, 0]);
        let entry = |number: usize| &sector[446 + 16 * (number - 1)..446 + 16 * number];
        // Root: LBA 2048 is 0/32/33, LBA 8390655 is 522/75/1, with two bits beside the sector.
        assert_eq!(entry(1)[..8], [0x80, 32, 33, 0, 0x83, 75, 0x81, 10]);
        assert_eq!(entry(1)[8..], [0, 8, 0, 0, 0, 0, 0x80, 0]);
        assert_eq!(entry(2)[8..], [0, 8, 0x80, 0, 0, 0, 0x80, 0]);
        // The SR ends with the disk: 12 GiB are 25,165,824 sectors, 16,779,264 come before it.
        assert_eq!(entry(3)[..8], [0, 254, 255, 255, 0x8E, 254, 255, 255]);
        assert_eq!(entry(3)[8..], [0, 8, 0, 1, 0, 0xF8, 0x7F, 0]);
        // The boot volume: LBA 256 is 0/4/5, LBA 2047 is 0/32/32.
        assert_eq!(entry(4), [0, 4, 5, 0, 1, 32, 32, 0, 0, 1, 0, 0, 0, 7, 0, 0]);
        assert_eq!(sector[510..], [0x55, 0xAA]);
    }

    #[test]
    fn what_cannot_be_in_an_mbr_is_refused() {
        let refused = |spoil: fn(&mut TablePlan)| {
            let mut plan = plan();
            spoil(&mut plan);
            encode(&plan, &[0; CODE_BYTES]).unwrap_err().to_string()
        };
        let two = Extent::with_len(Lba::new(u64::from(u32::MAX)), 2).unwrap();
        for (have, want) in [
            (refused(|plan| plan.scheme = Scheme::Gpt), "the plan is for a GPT"),
            (refused(|p| p.partitions[1].number = 5), "partition number 5 is not between 1 and 4"),
            (refused(|p| p.partitions[1].number = 2), "partition number 2 is used twice"),
            (refused(|p| p.partitions[1].attributes = 4), "partition 1 has a status byte of 4"),
            (
                refused(|p| p.partitions[2].extent = p.partitions[1].extent),
                "partitions 1 and 2 overlap",
            ),
        ] {
            assert!(have.starts_with(want), "{have}");
        }
        let mut plan = plan();
        plan.partitions[3].extent = two;
        let error = encode(&plan, &[0; CODE_BYTES]).unwrap_err().to_string();
        assert_eq!(error, "partition 3 reaches to block 4294967296, an MBR to 4294967295");
    }
}
