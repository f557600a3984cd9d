//! Random disks with random tables on them.

use super::{
    BASIC_DATA, BlockIo, BlockSize, Bytes, Extent, Geometry, Guid, Kind, LayoutName, Lba, MemDisk,
    Role, Scheme, Strategy, select,
};
use partitioner::apply::apply;
use partitioner::head::HeadMap;
use partitioner::table::{Planned, TablePlan};
use proptest::collection::vec;

/// One old partition: how far after the one before and how long, in 1/1000 of the disk; number
/// and kind as an index.
#[derive(Clone, Debug)]
pub(super) struct Part {
    gap: u64,
    len: u64,
    odd: u64,
    kind: usize,
    attributes: u64,
}

/// A disk before the plan.
#[derive(Clone, Debug)]
pub(super) struct Old {
    pub(super) geometry: Geometry,
    scheme: Option<Scheme>,
    parts: Vec<Part>,
    /// The first number, so that numbers do not always begin with 1.
    first_number: u32,
    /// In descending order.
    reversed: bool,
}

fn sizes() -> impl Strategy<Value = u64> {
    let near = |gib: u64| ((gib << 30) - (3 << 20))..((gib << 30) + (3 << 20));
    // Evenly over the orders of magnitude, and more often where something changes.
    proptest::prop_oneof![
        3 => 1_000_000_000_u64..100_000_000_000,
        3 => 100_000_000_000_u64..20_000_000_000_000,
        1 => near(12),
        2 => near(46),
        1 => near(2048),
    ]
}

pub(super) fn old_disk() -> impl Strategy<Value = Old> {
    let part = (0_u64..60, 1_u64..300, 0_u64..5000, 0_usize..6, select(vec![0_u64, 1, 4, 1 << 62]))
        .prop_map(|(gap, len, odd, kind, attributes)| Part { gap, len, odd, kind, attributes });
    let scheme = select(vec![None, Some(Scheme::Gpt), Some(Scheme::Gpt), Some(Scheme::Mbr)]);
    let block_size = select(vec![BlockSize::B512, BlockSize::B512, BlockSize::B4096]);
    (sizes(), block_size, scheme, vec(part, 0..6), 1_u32..3, proptest::bool::weighted(0.2))
        .prop_map(|(size, block_size, scheme, parts, first_number, reversed)| Old {
            geometry: Geometry::of_size(Bytes::new(size), block_size),
            scheme,
            parts,
            first_number,
            reversed,
        })
}

/// The disk, with its table.
pub(super) fn on_disk(old: &Old) -> MemDisk {
    let geometry = old.geometry;
    let mut disk = MemDisk::new("m", geometry.block_size, geometry.blocks);
    match old.scheme {
        None => {}
        Some(Scheme::Gpt) => apply(&mut disk, &table(old), &mut || true).unwrap(),
        Some(Scheme::Mbr) => disk.write(Lba::new(0), &mbr(old)).unwrap(),
    }
    disk
}

/// Type and name, now and then those of a utility partition.
fn kind(index: usize) -> (Guid, &'static str, u8) {
    match index {
        0 => (Kind::EfiSystem.gpt_type(), "DELLUTILITY", 0xDE),
        1 => (Kind::EfiSystem.gpt_type(), "ESP", 0xEF),
        2 => (Kind::LinuxLvm.gpt_type(), "", 0x8E),
        3 => (BASIC_DATA, "Basic data \u{e9}\u{1f600}", 0x07),
        _ => (Kind::LinuxData.gpt_type(), "x", 0x83),
    }
}

fn extents(old: &Old) -> Vec<Extent> {
    let head = HeadMap::of(old.geometry.block_size).unwrap();
    let last = head.last_usable(old.geometry).get();
    let unit = old.geometry.blocks / 1000;
    let mut next = 40;
    let mut all = Vec::new();
    for part in &old.parts {
        let mut first = next + part.gap * unit + part.odd;
        if part.odd % 3 == 0 {
            // As most tools align.
            first = first.div_ceil(2048) * 2048;
        }
        let end = (first + part.len * unit).min(last);
        let Some(extent) = Extent::new(Lba::new(first), Lba::new(end)) else { break };
        all.push(extent);
        next = end + 1;
    }
    all
}

fn table(old: &Old) -> TablePlan {
    let extents = extents(old);
    let count = u32::try_from(extents.len()).unwrap();
    let partitions = (0..count).zip(extents.iter().zip(&old.parts)).map(|(i, (extent, part))| {
        let (type_guid, name, _) = kind(part.kind);
        let place = if old.reversed { count - 1 - i } else { i };
        Planned {
            number: place + old.first_number,
            role: Role::Sr,
            name: name.to_owned(),
            type_guid,
            mbr_type: 0,
            guid: Guid::from_u128(0xA000 + u128::from(i)),
            extent: *extent,
            attributes: part.attributes,
            kept: false,
        }
    });
    let mut head = HeadMap::of(old.geometry.block_size).unwrap();
    head.first_usable = Lba::new(34);
    TablePlan {
        layout: LayoutName::Modern,
        scheme: Scheme::Gpt,
        geometry: old.geometry,
        disk_guid: Guid::from_u128(0xD15C),
        mbr_signature: 0,
        head,
        partitions: partitions.collect(),
    }
}

/// LBA 0 with up to four of them.
fn mbr(old: &Old) -> Vec<u8> {
    let mut block = vec![0; usize::try_from(old.geometry.block_size.bytes()).unwrap()];
    for (i, (extent, part)) in extents(old).iter().zip(&old.parts).take(4).enumerate() {
        let (first, blocks) = (u32::try_from(extent.first().get()), u32::try_from(extent.blocks()));
        let (Ok(first), Ok(blocks)) = (first, blocks) else { break };
        let entry = &mut block[446 + 16 * i..462 + 16 * i];
        entry[4] = kind(part.kind).2;
        entry[8..12].copy_from_slice(&first.to_le_bytes());
        entry[12..].copy_from_slice(&blocks.to_le_bytes());
    }
    block[510..512].copy_from_slice(&[0x55, 0xAA]);
    block
}
