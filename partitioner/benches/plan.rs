//! How long it takes to plan the tables of a large host: 64 disks of 128 partitions each.
#![allow(clippy::unwrap_used, reason = "a benchmark may panic: that is how it fails")]

use std::sync::Arc;

use partitioner::ids::{Guid, Ids};
use partitioner::inspect::report::Report;
use partitioner::inspect::{Found, GptState, Inspection, Table};
use partitioner::layout::{BASIC_DATA, Firmware};
use partitioner::plan::{Facts, Plan, Policy, plan};
use partitioner::table::{Geometry, TableRequest};
use partitioner::units::{BlockSize, Bytes, Extent, Lba};

const DISKS: u32 = 64;
const PARTITIONS: u32 = 128;

fn main() {
    divan::main();
}

/// A disk full of partitions with names and content.
fn disk() -> Report {
    let partition = |number: u32| {
        let first = Lba::new(u64::from(number) << 21);
        Found {
            number,
            extent: Extent::with_len(first, 1 << 21).unwrap(),
            kind: BASIC_DATA.to_string(),
            name: Some(format!("guest {number}")),
            guid: Some(Guid::from_u128(u128::from(number))),
            attributes: 0,
            entry: vec![0; 128],
            content: Some("ext4 \"data\"".to_owned()),
        }
    };
    let partitions: Vec<Found> = (1..=PARTITIONS).map(partition).collect();
    let content = partitions.iter().map(|one| format!("partition {}: ext4", one.number)).collect();
    let table = Table::Gpt { disk_guid: Guid::from_u128(1), state: GptState::Whole };
    let inspection = Inspection { table, partitions, problems: Vec::new(), content };
    Report { inspection, installations: Vec::new(), sr: None, rescue: None }
}

#[divan::bench]
fn host_of_64_disks_with_128_partitions(bencher: divan::Bencher<'_, '_>) {
    let reports: Vec<Arc<Report>> = (0..DISKS).map(|_| Arc::new(disk())).collect();
    let geometry = Geometry::of_size(Bytes::gib(200), BlockSize::B512);
    let request = TableRequest::new(Firmware::Uefi);
    bencher.bench(|| -> Vec<Plan> {
        let mut ids = Ids::from_seed([1; 32]);
        let mut one = |report| {
            let facts = Facts { path: "/dev/sda", geometry, report };
            plan(&facts, &request, Policy::Replace, &mut ids).unwrap()
        };
        reports.iter().map(&mut one).collect()
    });
}
