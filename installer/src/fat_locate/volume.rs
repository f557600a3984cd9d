//! The geometry of a FAT32 volume and its chains of clusters.
//!
//! In: the blocks of the volume. Out: clusters, the cluster that follows another, the place of one.
//! Every number from the disk is checked before it is used: a damaged volume gives an error, never
//! a place outside itself.

use partitioner::block::BlockIo;
use partitioner::units::Lba;

use super::LocateError;

/// Fewer clusters than this make a FAT12 or FAT16, whatever the boot sector says.
const FAT32_CLUSTERS_MIN: u64 = 65_525;
/// The upper four bits of an entry are reserved.
const ENTRY_MASK: u32 = 0x0FFF_FFFF;
const END_OF_CHAIN: u32 = 0x0FFF_FFF8;

/// A cluster that exists on its volume. Invariant: only `Volume::cluster` makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cluster(u32);

/// A FAT32 volume whose numbers agree with each other and with its device.
#[derive(Debug)]
pub(super) struct Volume<'d> {
    disk: &'d mut dyn BlockIo,
    block: u64,
    cluster_bytes: u64,
    /// In bytes from the start of the volume.
    fat_start: u64,
    fat_bytes: u64,
    fats: u64,
    data_start: u64,
    clusters: u64,
    root: u32,
}

impl<'d> Volume<'d> {
    pub(super) fn open(disk: &'d mut dyn BlockIo) -> Result<Self, LocateError> {
        let block = disk.block_size().bytes();
        let device_bytes = disk.blocks().saturating_mul(block);
        let name = disk.name().to_owned();
        let not = |what| LocateError::NotFat32 { volume: name.clone(), what };
        let mut head = vec![0; usize::try_from(block).map_err(|_| not("no room for a block"))?];
        disk.read(Lba::new(0), &mut head)?;
        let geometry = Geometry::read(&head, device_bytes).map_err(not)?;
        // The state is written by blocks of the device, so a cluster has to begin with one.
        if geometry.data_start % block != 0 || geometry.cluster_bytes % block != 0 {
            return Err(not("its clusters are not whole blocks of the device"));
        }
        Ok(Self {
            disk,
            block,
            cluster_bytes: geometry.cluster_bytes,
            fat_start: geometry.fat_start,
            fat_bytes: geometry.fat_bytes,
            fats: geometry.fats,
            data_start: geometry.data_start,
            clusters: geometry.clusters,
            root: geometry.root,
        })
    }

    pub(super) fn name(&self) -> &str {
        self.disk.name()
    }

    pub(super) fn cluster_bytes(&self) -> u64 {
        self.cluster_bytes
    }

    pub(super) fn root(&self) -> Cluster {
        Cluster(self.root)
    }

    /// The cluster of that number; `None` where the volume has no such cluster.
    pub(super) fn cluster(&self, number: u32) -> Option<Cluster> {
        let index = u64::from(number).checked_sub(2)?;
        (index < self.clusters).then_some(Cluster(number))
    }

    /// The block where the cluster begins.
    pub(super) fn first_block(&self, cluster: Cluster) -> Option<Lba> {
        let byte = self.byte_of(cluster)?;
        Some(Lba::new(byte.checked_div(self.block)?))
    }

    pub(super) fn read_cluster(&mut self, cluster: Cluster) -> Result<Vec<u8>, LocateError> {
        let bytes = usize::try_from(self.cluster_bytes)
            .map_err(|_| self.not("a cluster does not fit into memory"))?;
        let first = self.first_block(cluster).ok_or_else(|| self.not("a cluster past 2^64"))?;
        let mut buffer = vec![0; bytes];
        self.disk.read(first, &mut buffer)?;
        Ok(buffer)
    }

    /// What follows this cluster in its chain; `None` at the end of it.
    ///
    /// Every copy of the FAT has to say the same: GRUB and Linux need not read the same copy.
    pub(super) fn next(&mut self, cluster: Cluster) -> Result<Option<Cluster>, LocateError> {
        let mut agreed: Option<u32> = None;
        for copy in 0..self.fats {
            let entry = self.entry(copy, cluster)?;
            match agreed {
                None => agreed = Some(entry),
                Some(first) if first == entry => {}
                Some(_) => return Err(self.not("its copies of the FAT differ")),
            }
        }
        let entry = agreed.ok_or_else(|| self.not("it has no FAT"))?;
        if END_OF_CHAIN <= entry {
            return Ok(None);
        }
        match self.cluster(entry) {
            Some(next) => Ok(Some(next)),
            None => Err(self.not("a chain leads outside the volume")),
        }
    }

    fn entry(&mut self, copy: u64, cluster: Cluster) -> Result<u32, LocateError> {
        let byte = copy
            .checked_mul(self.fat_bytes)
            .and_then(|start| start.checked_add(self.fat_start))
            .and_then(|start| start.checked_add(u64::from(cluster.0).checked_mul(4)?));
        let byte = byte.ok_or_else(|| self.not("a FAT past 2^64"))?;
        let size = usize::try_from(self.block).map_err(|_| self.not("no room for a block"))?;
        let mut buffer = vec![0; size];
        self.disk.read(Lba::new(byte / self.block), &mut buffer)?;
        let within = usize::try_from(byte % self.block).unwrap_or(usize::MAX);
        let entry = u32_at(&buffer, within).ok_or_else(|| self.not("a FAT entry is cut"))?;
        Ok(entry & ENTRY_MASK)
    }

    fn byte_of(&self, cluster: Cluster) -> Option<u64> {
        let index = u64::from(cluster.0).checked_sub(2)?;
        index.checked_mul(self.cluster_bytes)?.checked_add(self.data_start)
    }

    fn not(&self, what: &'static str) -> LocateError {
        LocateError::NotFat32 { volume: self.name().to_owned(), what }
    }
}

/// What the boot sector says, checked.
struct Geometry {
    cluster_bytes: u64,
    fat_start: u64,
    fat_bytes: u64,
    fats: u64,
    data_start: u64,
    clusters: u64,
    root: u32,
}

impl Geometry {
    fn read(head: &[u8], device_bytes: u64) -> Result<Self, &'static str> {
        const SHORT: &str = "its first block is too short";
        let byte = |at: usize| head.get(at).copied().map(u64::from).ok_or(SHORT);
        let half = |at| u16_at(head, at).map(u64::from).ok_or(SHORT);
        let word = |at| u32_at(head, at).map(u64::from).ok_or(SHORT);
        if half(510)? != 0xAA55 {
            return Err("its first block has no signature");
        }
        let sector = half(11)?;
        if !sector.is_power_of_two() || !(512..=4096).contains(&sector) {
            return Err("its sector size is not 512 to 4096");
        }
        let per_cluster = byte(13)?;
        if !per_cluster.is_power_of_two() {
            return Err("its cluster size is not a power of two");
        }
        if half(22)? != 0 || half(17)? != 0 {
            return Err("it is a FAT12 or FAT16 volume");
        }
        let (reserved, fats, fat_sectors, total) = (half(14)?, byte(16)?, word(36)?, word(32)?);
        if reserved == 0 || !(1..=2).contains(&fats) || fat_sectors == 0 {
            return Err("it has no FAT");
        }
        let past = "its numbers lead past its end";
        // Each factor has at most 32 bits, sector sizes 13: no product reaches 2^64.
        let fat_bytes = fat_sectors.checked_mul(sector).ok_or(past)?;
        let fat_start = reserved.checked_mul(sector).ok_or(past)?;
        let data_start =
            fats.checked_mul(fat_bytes).and_then(|b| b.checked_add(fat_start)).ok_or(past)?;
        let end = total.checked_mul(sector).ok_or(past)?;
        if device_bytes < end {
            return Err("it is larger than its partition");
        }
        let cluster_bytes = per_cluster.checked_mul(sector).ok_or(past)?;
        let data = end.checked_sub(data_start).ok_or(past)?;
        let clusters = data.checked_div(cluster_bytes).ok_or(past)?;
        if clusters < FAT32_CLUSTERS_MIN {
            return Err("it has too few clusters for FAT32");
        }
        let entries = fat_bytes / 4;
        if entries.checked_sub(2).ok_or(past)? < clusters {
            return Err("its FAT is too short for its clusters");
        }
        let root = u32_at(head, 44).ok_or(SHORT)?;
        match u64::from(root).checked_sub(2) {
            Some(index) if index < clusters => {}
            Some(_) | None => return Err("its root folder lies outside the volume"),
        }
        Ok(Self { cluster_bytes, fat_start, fat_bytes, fats, data_start, clusters, root })
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(two.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}
