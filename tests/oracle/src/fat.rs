//! A FAT volume as a boot loader reads it: a path in, the file's bytes out. Every chain is followed
//! no further than the volume has clusters, and no file longer than a bound is read.

use crate::disk::{Disk, Span, block, le16, le32};

/// Longer files are not read.
const FILE_MAX: u64 = 64 << 20;
/// Clusters of one directory that are looked at.
const DIRECTORY_CLUSTERS_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fat12,
    Fat16,
    Fat32,
}

/// A volume in a range of a disk.
#[derive(Debug)]
pub struct Fat<'a> {
    disk: &'a dyn Disk,
    span: Span,
    kind: Kind,
    sectors_per_cluster: u64,
    table_first: u64,
    root_first: u64,
    root_sectors: u64,
    root_cluster: u32,
    data_first: u64,
    clusters: u32,
}

impl std::fmt::Debug for dyn Disk + '_ {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "disk of {} blocks", self.blocks())
    }
}

/// Where a directory lies.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// The root of FAT12 and FAT16.
    Fixed,
    Chain(u32),
}

/// A directory entry.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    short: String,
    is_folder: bool,
    cluster: u32,
    size: u32,
}

impl<'a> Fat<'a> {
    /// The volume, if the boot sector describes one whose sectors are the blocks of the disk.
    pub fn open(disk: &'a dyn Disk, span: Span) -> Option<Self> {
        let boot = block(disk, span.first).ok()?;
        let sector = usize::from(le16(&boot, 11));
        let sectors_per_cluster = u64::from(*boot.get(13)?);
        let (reserved, fats) = (u64::from(le16(&boot, 14)), u64::from(*boot.get(16)?));
        let sound = boot.get(510..512) == Some(&[0x55, 0xAA])
            && sector == disk.block_bytes()
            && sectors_per_cluster.is_power_of_two()
            && reserved != 0
            && (1..=2).contains(&fats);
        let either = |short: u16, long: u32| if short == 0 { long.into() } else { short.into() };
        let total: u64 = either(le16(&boot, 19), le32(&boot, 32));
        let fat_sectors: u64 = either(le16(&boot, 22), le32(&boot, 36));
        let unit = u64::try_from(sector).ok().filter(|_| sound)?;
        let root_sectors = u64::from(le16(&boot, 17)).checked_mul(32)?.div_ceil(unit);
        let root_first = reserved.checked_add(fats.checked_mul(fat_sectors)?)?;
        let data_first = root_first.checked_add(root_sectors)?;
        let clusters = total.checked_sub(data_first)?.checked_div(sectors_per_cluster)?;
        if span.blocks < total || fat_sectors == 0 {
            return None;
        }
        let kind = match clusters {
            0..4085 => Kind::Fat12,
            4085..65525 => Kind::Fat16,
            _ => Kind::Fat32,
        };
        Some(Self {
            disk,
            span,
            kind,
            sectors_per_cluster,
            table_first: reserved,
            root_first,
            root_sectors,
            root_cluster: le32(&boot, 44),
            data_first,
            clusters: u32::try_from(clusters).ok()?,
        })
    }

    /// The bytes of the file at `path` (`xenhost/state.env`, in any case).
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        let entry = self.find(path)?;
        let size = u64::from(entry.size);
        if FILE_MAX < size {
            return None;
        }
        let unit = u64::try_from(self.disk.block_bytes()).ok()?;
        let cluster_bytes = self.sectors_per_cluster.checked_mul(unit)?;
        let need = usize::try_from(size.div_ceil(cluster_bytes)).ok()?;
        let mut bytes = Vec::new();
        let mut left = size.div_ceil(unit);
        for cluster in self.chain(entry.cluster, need)? {
            let first = self.sector_of(cluster)?;
            for sector in (first..).take(usize::try_from(self.sectors_per_cluster.min(left)).ok()?)
            {
                bytes.extend(self.sector(sector)?);
            }
            left = left.saturating_sub(self.sectors_per_cluster);
        }
        bytes.truncate(usize::try_from(size).ok()?);
        (u64::try_from(bytes.len()) == Ok(size)).then_some(bytes)
    }

    /// Is there such a file, whatever it holds?
    pub fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// The block of the disk where the file begins.
    pub fn first_block(&self, path: &str) -> Option<u64> {
        let sector = self.sector_of(self.find(path)?.cluster)?;
        self.span.first.checked_add(sector)
    }

    fn find(&self, path: &str) -> Option<Entry> {
        let root = match self.kind {
            Kind::Fat32 => Place::Chain(self.root_cluster),
            Kind::Fat12 | Kind::Fat16 => Place::Fixed,
        };
        let mut place = root;
        let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
        while let Some(part) = parts.next() {
            let same = |name: &str| name.eq_ignore_ascii_case(part);
            let mut found = self.list(place)?.into_iter();
            let entry = found.find(|entry| same(&entry.name) || same(&entry.short))?;
            if parts.peek().is_none() {
                return (!entry.is_folder).then_some(entry);
            }
            place = entry.is_folder.then_some(Place::Chain(entry.cluster))?;
        }
        None
    }

    fn list(&self, place: Place) -> Option<Vec<Entry>> {
        let mut bytes = Vec::new();
        match place {
            Place::Fixed => {
                let count = usize::try_from(self.root_sectors).ok()?;
                for sector in (self.root_first..).take(count) {
                    bytes.extend(self.sector(sector)?);
                }
            }
            Place::Chain(first) => {
                for cluster in self.chain(first, DIRECTORY_CLUSTERS_MAX)? {
                    let count = usize::try_from(self.sectors_per_cluster).ok()?;
                    for sector in (self.sector_of(cluster)?..).take(count) {
                        bytes.extend(self.sector(sector)?);
                    }
                }
            }
        }
        Some(parse(&bytes))
    }

    /// At most `most` clusters of a chain; `None` where it leaves the volume.
    fn chain(&self, first: u32, most: usize) -> Option<Vec<u32>> {
        let mut chain = Vec::new();
        let mut at = first;
        while chain.len() < most {
            if at < 2 || self.clusters.saturating_add(1) < at {
                return None;
            }
            chain.push(at);
            at = self.next(at)?;
            let last = match self.kind {
                Kind::Fat12 => 0xFF8,
                Kind::Fat16 => 0xFFF8,
                Kind::Fat32 => 0x0FFF_FFF8,
            };
            if last <= at {
                break;
            }
        }
        Some(chain)
    }

    fn next(&self, cluster: u32) -> Option<u32> {
        let cluster = u64::from(cluster);
        let offset = match self.kind {
            Kind::Fat12 => cluster.checked_add(cluster >> 1)?,
            Kind::Fat16 => cluster.checked_mul(2)?,
            Kind::Fat32 => cluster.checked_mul(4)?,
        };
        let unit = u64::try_from(self.disk.block_bytes()).ok()?;
        let sector = self.table_first.checked_add(offset.checked_div(unit)?)?;
        let at = usize::try_from(offset.checked_rem(unit)?).ok()?;
        let mut bytes = self.sector(sector)?;
        if at.checked_add(4)? > bytes.len() {
            // A FAT12 entry may lie across two sectors.
            bytes.extend(self.sector(sector.checked_add(1)?)?);
        }
        Some(match self.kind {
            Kind::Fat12 if cluster & 1 == 1 => u32::from(le16(&bytes, at) >> 4),
            Kind::Fat12 => u32::from(le16(&bytes, at) & 0xFFF),
            Kind::Fat16 => le16(&bytes, at).into(),
            Kind::Fat32 => le32(&bytes, at) & 0x0FFF_FFFF,
        })
    }

    fn sector_of(&self, cluster: u32) -> Option<u64> {
        let index = u64::from(cluster.checked_sub(2)?);
        self.data_first.checked_add(index.checked_mul(self.sectors_per_cluster)?)
    }

    fn sector(&self, sector: u64) -> Option<Vec<u8>> {
        if self.span.blocks <= sector {
            return None;
        }
        block(self.disk, self.span.first.checked_add(sector)?).ok()
    }
}

/// The entries of a directory.
fn parse(bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut long: Vec<u16> = Vec::new();
    for raw in bytes.chunks_exact(32) {
        let attributes = raw.get(11).copied().unwrap_or(0);
        match raw.first() {
            Some(0) | None => break,
            Some(0xE5) => long.clear(),
            Some(_) if attributes == 0x0F => {
                let mut part = long_part(raw);
                part.append(&mut long);
                long = part;
            }
            Some(_) => {
                let end = long.iter().position(|unit| *unit == 0).unwrap_or(long.len());
                let name = String::from_utf16_lossy(long.get(..end).unwrap_or_default());
                long.clear();
                if attributes & 0x08 == 0 {
                    entries.push(Entry {
                        name,
                        short: short_name(raw),
                        is_folder: attributes & 0x10 != 0,
                        cluster: u32::from(le16(raw, 20)) << 16 | u32::from(le16(raw, 26)),
                        size: le32(raw, 28),
                    });
                }
            }
        }
    }
    entries
}

/// The 13 units of a piece of a long name.
fn long_part(raw: &[u8]) -> Vec<u16> {
    let places = [1_usize, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
    let units = places.iter().map(|at| le16(raw, *at));
    units.map(|unit| if unit == 0xFFFF { 0 } else { unit }).collect()
}

fn short_name(raw: &[u8]) -> String {
    let part = |from: usize, to: usize| {
        String::from_utf8_lossy(raw.get(from..to).unwrap_or_default()).trim_end().to_owned()
    };
    let (stem, extension) = (part(0, 8), part(8, 11));
    if extension.is_empty() { stem } else { format!("{stem}.{extension}") }
}
