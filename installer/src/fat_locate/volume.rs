//! The geometry of a FAT32 or FAT12 volume and its chains of clusters.
//!
//! In: the blocks of the volume. Out: clusters, the cluster that follows another, the place of one.
//! Every number from the disk is checked before it is used: a damaged volume gives an error, never
//! a place outside itself.

use partitioner::block::BlockIo;
use partitioner::units::Lba;

use super::LocateError;

/// Fewer clusters than this make a FAT12 or FAT16, whatever the boot sector says.
const FAT32_CLUSTERS_MIN: u64 = 65_525;
/// As many as this make a FAT16.
const FAT12_CLUSTERS_END: u64 = 4085;
/// Longer fixed roots are not ours, and not read into memory.
const ROOT_BYTES_MAX: u64 = 16 << 10;

/// How long an entry of the FAT is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    /// Twelve bits, two in three bytes.
    Twelve,
    /// 32 bits, of which the upper four are reserved.
    ThirtyTwo,
}

impl Width {
    /// Where the entry of a cluster begins, in bytes.
    fn offset(self, cluster: u32) -> u64 {
        let cluster = u64::from(cluster);
        match self {
            Self::Twelve => cluster.saturating_add(cluster >> 1),
            Self::ThirtyTwo => cluster.saturating_mul(4),
        }
    }

    /// The entry, from the four bytes at its place.
    const fn entry(self, cluster: u32, raw: u32) -> u32 {
        match self {
            Self::Twelve if cluster & 1 == 1 => raw >> 4 & 0xFFF,
            Self::Twelve => raw & 0xFFF,
            Self::ThirtyTwo => raw & 0x0FFF_FFFF,
        }
    }

    /// How many entries a FAT has, if a volume with so many clusters has such entries.
    const fn entries(self, fat_bytes: u64, clusters: u64) -> Result<u64, &'static str> {
        match self {
            Self::ThirtyTwo if clusters < FAT32_CLUSTERS_MIN => {
                Err("it has too few clusters for FAT32")
            }
            Self::Twelve if FAT12_CLUSTERS_END <= clusters => {
                Err("it has too many clusters for FAT12")
            }
            Self::ThirtyTwo => Ok(fat_bytes / 4),
            Self::Twelve => Ok(fat_bytes.saturating_mul(2) / 3),
        }
    }

    const fn end_of_chain(self) -> u32 {
        match self {
            Self::Twelve => 0xFF8,
            Self::ThirtyTwo => 0x0FFF_FFF8,
        }
    }
}

/// Where a folder lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folder {
    /// The root of a FAT12 volume, which is no chain.
    Fixed,
    Chain(Cluster),
}

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
    width: Width,
    root: Root,
}

impl<'d> Volume<'d> {
    pub(super) fn open(disk: &'d mut dyn BlockIo) -> Result<Self, LocateError> {
        let block = disk.block_size().bytes();
        let device_bytes = disk.blocks().saturating_mul(block);
        let name = disk.name().to_owned();
        let not = |what| LocateError::NotFat { volume: name.clone(), what };
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
            width: geometry.width,
            root: geometry.root,
        })
    }

    pub(super) fn name(&self) -> &str {
        self.disk.name()
    }

    pub(super) fn cluster_bytes(&self) -> u64 {
        self.cluster_bytes
    }

    pub(super) fn root(&self) -> Folder {
        match self.root {
            Root::Cluster(number) => Folder::Chain(Cluster(number)),
            Root::Fixed { .. } => Folder::Fixed,
        }
    }

    /// The whole root of a FAT12 volume.
    pub(super) fn read_fixed_root(&mut self) -> Result<Vec<u8>, LocateError> {
        let Root::Fixed { start, bytes } = self.root else {
            return Err(self.not("its root is a chain"));
        };
        self.bytes_at(start, bytes)
    }

    /// Bytes from anywhere in the volume.
    fn bytes_at(&mut self, start: u64, bytes: u64) -> Result<Vec<u8>, LocateError> {
        let past = "a place past 2^64";
        let first = start / self.block;
        let skip = usize::try_from(start % self.block).map_err(|_| self.not(past))?;
        let end = start.checked_add(bytes).ok_or_else(|| self.not(past))?.div_ceil(self.block);
        let whole = (end - first).checked_mul(self.block).ok_or_else(|| self.not(past))?;
        let mut buffer = vec![0; usize::try_from(whole).map_err(|_| self.not(past))?];
        self.disk.read(Lba::new(first), &mut buffer)?;
        buffer.drain(..skip);
        buffer.truncate(usize::try_from(bytes).map_err(|_| self.not(past))?);
        Ok(buffer)
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
        if self.width.end_of_chain() <= entry {
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
            .and_then(|start| start.checked_add(self.width.offset(cluster.0)));
        let byte = byte.ok_or_else(|| self.not("a FAT past 2^64"))?;
        // The last entry of twelve bits may end with the FAT; the root follows, so that four bytes
        // can be read all the same.
        let raw = self.bytes_at(byte, 4)?;
        let raw = u32_at(&raw, 0).ok_or_else(|| self.not("a FAT entry is cut"))?;
        Ok(self.width.entry(cluster.0, raw))
    }

    fn byte_of(&self, cluster: Cluster) -> Option<u64> {
        let index = u64::from(cluster.0).checked_sub(2)?;
        index.checked_mul(self.cluster_bytes)?.checked_add(self.data_start)
    }

    fn not(&self, what: &'static str) -> LocateError {
        LocateError::NotFat { volume: self.name().to_owned(), what }
    }
}

/// Where the root folder begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    Cluster(u32),
    /// In bytes from the start of the volume.
    Fixed {
        start: u64,
        bytes: u64,
    },
}

/// What the boot sector says, checked.
struct Geometry {
    cluster_bytes: u64,
    fat_start: u64,
    fat_bytes: u64,
    fats: u64,
    data_start: u64,
    clusters: u64,
    width: Width,
    root: Root,
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
        let width = match (half(22)?, half(17)?) {
            (0, 0) => Width::ThirtyTwo,
            (0, _) | (_, 0) => return Err("it has the fields of two kinds of FAT"),
            (_, _) => Width::Twelve,
        };
        let (reserved, fats) = (half(14)?, byte(16)?);
        let (fat_sectors, total) = match width {
            Width::ThirtyTwo => (word(36)?, word(32)?),
            Width::Twelve => (half(22)?, half(19)?),
        };
        if reserved == 0 || !(1..=2).contains(&fats) || fat_sectors == 0 {
            return Err("it has no FAT");
        }
        let past = "its numbers lead past its end";
        // Each factor has at most 32 bits, sector sizes 13: no product reaches 2^64.
        let fat_bytes = fat_sectors.checked_mul(sector).ok_or(past)?;
        let fat_start = reserved.checked_mul(sector).ok_or(past)?;
        let fats_end =
            fats.checked_mul(fat_bytes).and_then(|b| b.checked_add(fat_start)).ok_or(past)?;
        // 32 bytes for each entry, in whole sectors.
        let root_bytes = (half(17)? * 32).next_multiple_of(sector);
        if ROOT_BYTES_MAX < root_bytes {
            return Err("its root folder is larger than ours");
        }
        let data_start = fats_end.checked_add(root_bytes).ok_or(past)?;
        let end = total.checked_mul(sector).ok_or(past)?;
        if device_bytes < end {
            return Err("it is larger than its partition");
        }
        let cluster_bytes = per_cluster.checked_mul(sector).ok_or(past)?;
        let data = end.checked_sub(data_start).ok_or(past)?;
        let clusters = data.checked_div(cluster_bytes).ok_or(past)?;
        let entries = width.entries(fat_bytes, clusters)?;
        if entries.checked_sub(2).ok_or(past)? < clusters {
            return Err("its FAT is too short for its clusters");
        }
        let root = match width {
            Width::Twelve => Root::Fixed { start: fats_end, bytes: root_bytes },
            Width::ThirtyTwo => Root::Cluster(root_cluster(head, clusters)?),
        };
        Ok(Self { cluster_bytes, fat_start, fat_bytes, fats, data_start, clusters, width, root })
    }
}

fn root_cluster(head: &[u8], clusters: u64) -> Result<u32, &'static str> {
    let number = u32_at(head, 44).unwrap_or(0);
    match u64::from(number).checked_sub(2) {
        Some(index) if index < clusters => Ok(number),
        Some(_) | None => Err("its root folder lies outside the volume"),
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
