//! Whether a disk has the planned table already, so that planning on the result of a plan finds
//! nothing to do.

use crate::inspect::{Found, GptState, Inspection, Table};
use crate::layout::Scheme;
use crate::table::{Planned, TablePlan};

/// Every partition is there, with its number, place, type, name and attributes, and no other; the
/// table is whole, with nothing wrong in it. Identifiers are drawn, so that any will do.
pub(super) fn is_settled(found: &Inspection, table: &TablePlan) -> bool {
    let whole = match (&found.table, table.scheme) {
        (Table::Gpt { state: GptState::Whole, .. }, Scheme::Gpt)
        | (Table::Mbr { .. }, Scheme::Mbr) => true,
        (
            Table::Gpt { .. }
            | Table::Mbr { .. }
            | Table::None
            | Table::GptDamaged { .. }
            | Table::Unfinished,
            _,
        ) => false,
    };
    let there = |planned: &Planned| found.partitions.iter().any(|one| same(one, planned));
    whole
        && found.problems.is_empty()
        && found.partitions.len() == table.partitions.len()
        && table.partitions.iter().all(there)
}

fn same(found: &Found, planned: &Planned) -> bool {
    let kind = if planned.type_guid.is_nil() {
        format!("{:#04x}", planned.mbr_type)
    } else {
        planned.type_guid.to_string()
    };
    found.number == planned.number
        && found.extent == planned.extent
        && found.attributes == planned.attributes
        && found.kind == kind
        && found.name.as_deref().unwrap_or_default() == planned.name
}
