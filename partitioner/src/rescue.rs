//! The rescue record in the head of the disk: what is needed when no table can be read.
//!
//! Its first 1024 bytes are a GRUB environment block, all variables in the first 512, so that the
//! boot loader finds boot partition and slots by block address. Then follow byte copies of LBA 0
//! and LBA 1 as they were before, and a description of the table with its checksum.
//! Bytes in and out; [`Saved::find`] alone reads a disk.

use serde::{Deserialize, Serialize};

use crate::block::{BlockIo, IoError};
use crate::head::HeadMap;
use crate::ids::Guid;
use crate::layout::Role;
use crate::table::TablePlan;
use crate::takeover::tight_rescue;
use crate::units::{BlockSize, Extent, Lba};

const MAGIC: &str = "# GRUB Environment Block\n";
const ENV_BYTES: usize = 1024;
const ENV_LIVE: usize = 512;
/// Begins the description; then its length and CRC-32, 8 hexadecimal digits each, and a newline.
const TITLE: &str = "xenhost-rescue-1 ";
const TITLE_BYTES: usize = TITLE.len() + 8 + 1 + 8 + 1;

/// The description of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rescue {
    pub disk_guid: Guid,
    pub regions: Vec<Region>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    pub number: u32,
    pub role: Role,
    pub guid: Guid,
    pub extent: Extent,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    pub rescue: Rescue,
    pub old_lba0: Vec<u8>,
    pub old_lba1: Vec<u8>,
}

/// Why there is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RescueError {
    #[error("the rescue record needs {need} bytes, its place has {have}")]
    TooLarge { need: usize, have: usize },
    #[error("there is no rescue record")]
    Absent,
    #[error("the rescue record has the checksum {have:08x}, {want:08x} needed")]
    Checksum { have: u32, want: u32 },
    #[error("the rescue record cannot be read: {why}")]
    Malformed { why: String },
}

impl Rescue {
    pub fn of(plan: &TablePlan) -> Self {
        let region = |planned: &crate::table::Planned| Region {
            number: planned.number,
            role: planned.role,
            guid: planned.guid,
            extent: planned.extent,
        };
        let regions = plan.partitions.iter().map(region).collect();
        Self { disk_guid: plan.disk_guid, regions }
    }

    /// The whole record, as long as its place in the plan. `chain` is where a byte copy of the old
    /// LBA 0 lies for a boot loader to go on with, where it may.
    pub fn encode(
        plan: &TablePlan,
        lba0: &[u8],
        lba1: &[u8],
        chain: Option<Lba>,
    ) -> Result<Vec<u8>, RescueError> {
        let (place, size) = (plan.head.rescue, plan.geometry.block_size);
        let block = usize::try_from(size.bytes()).unwrap_or(usize::MAX);
        let have = usize::try_from(place.blocks()).unwrap_or(0).saturating_mul(block);
        let rescue = Self::of(plan);
        let json = serde_json::to_vec(&rescue)
            .map_err(|error| RescueError::Malformed { why: error.to_string() })?;
        let at = ENV_BYTES.div_ceil(block).saturating_add(2).saturating_mul(block);
        let need = at.saturating_add(TITLE_BYTES).saturating_add(json.len());
        if have < need {
            return Err(RescueError::TooLarge { need, have });
        }
        let mut bytes = environment(&rescue, chain);
        bytes.resize(ENV_BYTES.div_ceil(block).saturating_mul(block), 0);
        for copy in [lba0, lba1] {
            let end = bytes.len().saturating_add(block);
            bytes.extend(copy.iter().take(block));
            bytes.resize(end, 0);
        }
        let crc = crc32fast::hash(&json);
        bytes.extend(format!("{TITLE}{:08x} {crc:08x}\n", json.len()).into_bytes());
        bytes.extend(json);
        bytes.resize(have, 0);
        Ok(bytes)
    }

    /// Reads a record. `bytes` is the content of its place.
    pub fn decode(bytes: &[u8], block_size: BlockSize) -> Result<Saved, RescueError> {
        let block = usize::try_from(block_size.bytes()).unwrap_or(usize::MAX);
        let env = ENV_BYTES.div_ceil(block).saturating_mul(block);
        let part = |from: usize, len: usize| {
            from.checked_add(len).and_then(|to| bytes.get(from..to)).ok_or(RescueError::Absent)
        };
        let old_lba0 = part(env, block)?.to_vec();
        let second = env.saturating_add(block);
        let old_lba1 = part(second, block)?.to_vec();
        let at = second.saturating_add(block);
        let title = std::str::from_utf8(part(at, TITLE_BYTES)?).ok();
        let numbers =
            title.and_then(|title| title.strip_prefix(TITLE)).ok_or(RescueError::Absent)?;
        let (len, crc) = numbers.trim_end().split_once(' ').ok_or(RescueError::Absent)?;
        let number = |text| u32::from_str_radix(text, 16).map_err(|_| RescueError::Absent);
        let len = usize::try_from(number(len)?).map_err(|_| RescueError::Absent)?;
        let json = part(at.saturating_add(TITLE_BYTES), len)?;
        let (have, want) = (crc32fast::hash(json), number(crc)?);
        if have != want {
            return Err(RescueError::Checksum { have, want });
        }
        let rescue = serde_json::from_slice(json)
            .map_err(|error| RescueError::Malformed { why: error.to_string() })?;
        Ok(Saved { rescue, old_lba0, old_lba1 })
    }
}

impl Saved {
    /// The record of a disk, in any place where a layout or a takeover puts it. A damaged one is
    /// none.
    pub fn find(disk: &mut dyn BlockIo) -> Result<Option<Self>, IoError> {
        let size = disk.block_size();
        let usual = HeadMap::of(size).map(|head| head.rescue);
        // A takeover of an MBR of ours leaves the record of that layout where it is.
        let of_512 = [tight_rescue(), Some(HeadMap::MBR.rescue)];
        let others = of_512.into_iter().filter(|_| size == BlockSize::B512).flatten();
        for place in usual.into_iter().chain(others) {
            if disk.blocks() <= place.last().get() {
                continue;
            }
            let bytes = place.blocks().saturating_mul(size.bytes());
            let mut record = vec![0; usize::try_from(bytes).unwrap_or(0)];
            disk.read(place.first(), &mut record)?;
            if let Ok(saved) = Rescue::decode(&record, size) {
                return Ok(Some(saved));
            }
        }
        Ok(None)
    }
}

/// The block that GRUB reads: first block and length of boot partition, slots and old root.
fn environment(rescue: &Rescue, old_lba0: Option<Lba>) -> Vec<u8> {
    let mut lines = vec![MAGIC.to_owned()];
    for region in &rescue.regions {
        let name = match region.role {
            Role::Boot => "boot",
            Role::Root => "a",
            Role::Backup => "b",
            Role::OldRoot => "old",
            Role::Sr | Role::Logs | Role::Swap | Role::OldBoot | Role::Preserved => continue,
        };
        let (first, blocks) = (region.extent.first().get(), region.extent.blocks());
        lines.push(format!("{name}_first={first}\n{name}_blocks={blocks}\n"));
    }
    lines.extend(old_lba0.map(|at| format!("old_lba0={}\n", at.get())));
    let text = lines.concat();
    // Eight numbers of 20 digits at most, and their names.
    assert!(text.len() <= ENV_LIVE, "the variables fit into one sector");
    let mut bytes = text.into_bytes();
    bytes.resize(ENV_BYTES, b'#');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::memory::MemDisk;
    use crate::ids::Ids;
    use crate::layout::Firmware;
    use crate::table::{Geometry, TableRequest, plan_table};
    use crate::units::Bytes;
    use crate::write;

    fn plan(size: BlockSize) -> TablePlan {
        let geometry = Geometry::of_size(Bytes::gib(60), size);
        let request = TableRequest::new(Firmware::Uefi);
        plan_table(geometry, &request, &mut Ids::from_seed([5; 32])).unwrap()
    }

    #[test]
    fn a_record_is_read_back_with_blocks_of_both_sizes() {
        for size in [BlockSize::B512, BlockSize::B4096] {
            let plan = plan(size);
            let block = usize::try_from(size.bytes()).unwrap();
            let bytes = Rescue::encode(&plan, &vec![1; block], &vec![2; block], None).unwrap();
            assert_eq!(
                u64::try_from(bytes.len()).unwrap(),
                plan.head.rescue.blocks() * size.bytes()
            );
            let saved = Rescue::decode(&bytes, size).unwrap();
            assert_eq!(saved.rescue, Rescue::of(&plan));
            assert_eq!((saved.old_lba0, saved.old_lba1), (vec![1; block], vec![2; block]));
        }
    }

    #[test]
    fn the_boot_loader_finds_its_variables_in_the_first_sector() {
        let plan = plan(BlockSize::B512);
        let chain = Some(Lba::new(127));
        let bytes = Rescue::encode(&plan, &[0; 512], &[0; 512], chain).unwrap();
        let text = std::str::from_utf8(&bytes[..512]).unwrap();
        assert!(text.starts_with("# GRUB Environment Block\n"), "{text}");
        for line in ["\nboot_first=83888128\n", "\na_blocks=37748736\n", "\nold_lba0=127\n"] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    /// The record outlives the wiping, and a run after a cut keeps what the first one saved.
    #[test]
    fn a_fresh_installation_saves_what_was_there() {
        for size in [BlockSize::B512, BlockSize::B4096] {
            let first = plan(size);
            let second = first.draw(&mut Ids::from_seed([6; 32]));
            let block = usize::try_from(size.bytes()).unwrap();
            let old = [vec![1; block], vec![2; block]];
            let mut disk = MemDisk::new("m", size, first.geometry.blocks);
            disk.write(Lba::new(0), &old.concat()).unwrap();
            assert_eq!(Saved::find(&mut disk).unwrap(), None);
            for plan in [&first, &second] {
                write::disarm(&mut disk, plan).unwrap();
                write::wipe_signatures(&mut disk, plan).unwrap();
                write::write_table(&mut disk, plan).unwrap();
                let saved = Saved::find(&mut disk).unwrap().unwrap();
                assert_eq!([saved.old_lba0, saved.old_lba1], old);
                assert_eq!(saved.rescue, Rescue::of(plan));
            }
            let told = crate::inspect::report::report(&mut disk).unwrap();
            assert_eq!(told.rescue, Some(Rescue::of(&second)));
            assert!(told.lines().iter().any(|line| line.starts_with("rescue record: 6 ")));
        }
    }

    #[test]
    fn a_damaged_record_is_refused() {
        let plan = plan(BlockSize::B512);
        let bytes = Rescue::encode(&plan, &[0; 512], &[0; 512], None).unwrap();
        let mut turned = bytes.clone();
        turned[2100] ^= 1;
        assert!(matches!(
            Rescue::decode(&turned, BlockSize::B512),
            Err(RescueError::Checksum { .. })
        ));
        assert_eq!(Rescue::decode(&[0; 4096], BlockSize::B512), Err(RescueError::Absent));
        assert_eq!(Rescue::decode(&[], BlockSize::B512), Err(RescueError::Absent));
    }
}
