//! Plans for people: what is there, what will be there, what is lost, what is kept.
//!
//! 80 columns of ASCII. Bars are to scale, except that no part is too narrow to be seen.

use std::fmt::Write as _;

use super::{Outcome, Plan};
use crate::inspect::{Found, Inspection};
use crate::table::{Geometry, TablePlan};
use crate::units::Bytes;

/// Columns between the ends of a bar.
const BAR: usize = 76;
/// What a part needs to be seen: one letter.
const PART_MIN: usize = 3;
/// More parts than this do not fit into a bar.
const PARTS_MAX: usize = 18;
/// A gap is shown from this share of the disk on.
const GAP_SHARE: u64 = 200;

/// The page that is agreed to.
pub fn render(plan: &Plan) -> String {
    let mut page = String::new();
    let mut put = |line: &str| writeln!(page, "{}", line.trim_end()).expect("a String takes all");
    let (geometry, table) = (plan.table.geometry, &plan.table);
    let (size, bytes) = (geometry.size(), geometry.block_size.bytes());
    put(&format!("{}: {size}, blocks of {bytes} bytes", plan.path));
    put(&format!("Layout {} as {}, started by {}", table.layout, table.scheme, plan.firmware));
    put("");
    put("Before:");
    put(&format!("  {}", before(&plan.before.inspection, geometry)));
    put("After:");
    put(&format!("  {}", after(table)));
    put("");
    put("  number  role             first         last       size");
    for planned in &table.partitions {
        let (first, last) = (planned.extent.first().get(), planned.extent.last().get());
        let size = table.size_of(planned).to_string();
        let role = planned.role.as_str();
        put(&format!("  {:>6}  {role:<9}{first:>13}{last:>13}  {size:>9}", planned.number));
    }
    put("");
    if plan.outcome == Outcome::Nothing {
        put("Nothing to do: the disk has this table already.");
    } else {
        section(&mut put, "Will be destroyed:", &plan.destroys, "Nothing: the disk is blank.");
        section(&mut put, "Is kept:", &plan.keeps, "No partition of this disk.");
        let written: Vec<String> = plan
            .regions
            .iter()
            .map(|region| format!("{:<25}  {}", region.extent.to_string(), region.purpose.as_str()))
            .collect();
        section(&mut put, "Blocks that are written:", &written, "None.");
    }
    put(&format!("Digest: {}", plan.digest));
    page
}

/// A title and its lines, or what is said of none.
pub fn section(put: &mut impl FnMut(&str), title: &str, list: &[String], empty: &str) {
    put(title);
    if list.is_empty() {
        put(&format!("  {empty}"));
    }
    for line in list {
        put(&format!("  {line}"));
    }
    put("");
}

/// What was found, with the gaps.
fn before(found: &Inspection, geometry: Geometry) -> String {
    let mut all: Vec<&Found> = found.partitions.iter().collect();
    all.sort_by_key(|one| one.extent);
    let block = geometry.block_size.bytes();
    let gap_min = geometry.blocks.checked_div(GAP_SHARE).unwrap_or(0);
    let mut parts: Vec<(String, Bytes)> = Vec::new();
    let mut next = 0;
    let mut put = |name: String, blocks: u64| {
        parts.push((name, Bytes::new(blocks.saturating_mul(block))));
    };
    for one in all {
        let gap = one.extent.first().get().saturating_sub(next);
        if gap_min < gap {
            put("free".to_owned(), gap);
        }
        put(label(one), one.extent.blocks().min(geometry.blocks));
        next = next.max(one.extent.last().get().saturating_add(1));
    }
    let rest = geometry.blocks.saturating_sub(next);
    if found.partitions.is_empty() {
        let nothing = found.content.is_empty();
        return one_part(if nothing { "blank" } else { "no partitions" });
    }
    if gap_min < rest {
        put("free".to_owned(), rest);
    }
    if PARTS_MAX < parts.len() {
        return one_part(&format!("{} partitions", found.partitions.len()));
    }
    let parts: Vec<(&str, Bytes)> =
        parts.iter().map(|(name, size)| (name.as_str(), *size)).collect();
    bar(&parts)
}

/// Its number and its name or content, in characters that a terminal does not act on.
fn label(one: &Found) -> String {
    let name = one.name.as_deref().filter(|name| !name.is_empty());
    let what = name.or(one.content.as_deref()).unwrap_or_default();
    let text = format!("{} {what}", one.number);
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.trim_end().chars().map(plain).collect()
}

/// What is planned. A volume before the first partition of an MBR is shown too.
fn after(table: &TablePlan) -> String {
    let parts: Vec<(&str, Bytes)> =
        table.partitions.iter().map(|p| (p.role.as_str(), table.size_of(p))).collect();
    bar(&parts)
}

/// A bar of one part.
pub fn one_part(text: &str) -> String {
    format!("|{text:^BAR$}|")
}

/// The parts side by side, in columns that add up to the whole bar.
pub fn bar(parts: &[(&str, Bytes)]) -> String {
    let total: u64 = parts.iter().fold(0, |sum, (_, size)| sum.saturating_add(size.get()));
    let lines = parts.len().saturating_sub(1);
    let room = BAR.saturating_sub(lines);
    let mut widths: Vec<usize> =
        parts.iter().map(|(_, size)| share(room, size.get(), total).max(PART_MIN)).collect();
    // What the small parts got too much is taken from the largest, and rounding goes there too.
    for _ in 0..BAR {
        let used = widths.iter().fold(0_usize, |sum, width| sum.saturating_add(*width));
        let Some(largest) = widths.iter_mut().max() else { break };
        match used.cmp(&room) {
            std::cmp::Ordering::Less => *largest = largest.saturating_add(1),
            std::cmp::Ordering::Greater => *largest = largest.saturating_sub(1),
            std::cmp::Ordering::Equal => break,
        }
    }
    let cells: Vec<String> =
        parts.iter().zip(widths).map(|((name, size), width)| cell(name, *size, width)).collect();
    format!("|{}|", cells.join("|"))
}

fn share(room: usize, part: u64, total: u64) -> usize {
    let room = u128::try_from(room).unwrap_or_default();
    let columns = room.saturating_mul(u128::from(part)).checked_div(u128::from(total));
    columns.and_then(|n| usize::try_from(n).ok()).unwrap_or_default()
}

/// Name and size where they fit, the name, or as much of it as fits.
fn cell(name: &str, size: Bytes, width: usize) -> String {
    let both = format!("{name} {size}");
    let text = if both.len() <= width { both } else { name.chars().take(width).collect() };
    format!("{text:^width$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_always_as_wide_as_the_page_allows() {
        let gib = |n| Bytes::gib(n);
        let sixty = [("logs", gib(4)), ("b", gib(18)), ("root", gib(18)), ("boot", gib(5))];
        for parts in [&sixty[..], &sixty[..1], &[("a", gib(0)), ("b", gib(4000))]] {
            assert_eq!(bar(parts).len(), BAR + 2, "{}", bar(parts));
        }
    }

    #[test]
    fn small_parts_are_seen() {
        let parts = [("logs", Bytes::mib(1)), ("sr", Bytes::gib(8000)), ("swap", Bytes::mib(1))];
        let bar = bar(&parts);
        assert!(bar.starts_with("|log|") && bar.ends_with("|swa|"), "{bar}");
    }

    #[test]
    fn widths_are_to_scale() {
        let bar = bar(&[("a", Bytes::gib(1)), ("b", Bytes::gib(3))]);
        let widths: Vec<usize> = bar.trim_matches('|').split('|').map(str::len).collect();
        assert_eq!(widths, [18, 57]);
    }
}
