//! Every block that writing a table touches, and why.

use super::{Purpose, Region};
use crate::table::{TablePlan, cut, wipe_set};
use crate::units::{Extent, Lba};

/// In ascending order, none overlapping another.
pub(super) fn regions(table: &TablePlan) -> Vec<Region> {
    let mut named: Vec<(Option<Extent>, Purpose)> =
        vec![(Extent::with_len(Lba::new(0), 1), Purpose::BootSector)];
    if let Some(gpt) = table.head.gpt {
        let backup = gpt.backup_header(table.geometry);
        named.push((Extent::with_len(gpt.header, 1), Purpose::Header));
        named.push((Some(gpt.array), Purpose::Entries));
        named.push((Some(table.head.rescue), Purpose::RescueRecord));
        named.push((Some(gpt.backup_array(table.geometry)), Purpose::BackupEntries));
        named.push((Extent::with_len(backup, 1), Purpose::BackupHeader));
    }
    let mut regions: Vec<Region> = named
        .into_iter()
        .filter_map(|(extent, purpose)| Some(Region { extent: extent?, purpose }))
        .collect();
    let mut wiped = wipe_set(table);
    for region in &regions {
        wiped = wiped.into_iter().flat_map(|extent| cut(extent, region.extent)).collect();
    }
    let purpose = Purpose::Signatures;
    regions.extend(wiped.into_iter().map(|extent| Region { extent, purpose }));
    regions.sort_by_key(|region| region.extent);
    regions
}
