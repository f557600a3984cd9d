//! The plan for people: what is there, what will be there, what is lost, what is kept.
//!
//! 80 columns of ASCII. Bars are to scale, except that no part is too narrow to be seen.

use std::fmt::Write as _;

use partitioner::units::Bytes;

use super::{Plan, lines};

/// Columns between the ends of a bar.
const BAR: usize = 76;
/// What a part needs to be seen: one letter.
const PART_MIN: usize = 3;

/// The page that is agreed to.
pub fn render(plan: &Plan) -> String {
    let mut page = String::new();
    let mut put = |line: &str| writeln!(page, "{}", line.trim_end()).expect("a String takes all");
    let release = &plan.release;
    put(&format!("Install {} {} ({})", release.product, release.version, release.build));
    put(&format!("  Xen {}, Linux {}", release.xen_version, release.kernel_version));
    put(&format!("  on {}", lines::disk(&plan.disk)));
    put("");
    put("Before:");
    put(&format!("  {}", before(plan)));
    put("After:");
    put(&format!("  {}", after(plan)));
    put("");
    put("  number  name     size        blocks");
    for planned in &plan.table.partitions {
        let size = plan.table.size_of(planned).to_string();
        put(&format!(
            "  {:<6}  {:<7}  {:<10}  {}",
            planned.number, planned.name, size, planned.extent
        ));
    }
    put("");
    put(&format!(
        "dom0 gets {} MiB of memory and {} virtual CPUs.",
        plan.dom0.memory_mib, plan.dom0.vcpus
    ));
    put("");
    section(&mut put, "Will be destroyed:", &plan.destroys, "Nothing: the disk is blank.");
    section(&mut put, "Is kept:", &plan.keeps, "There is no other disk.");
    put("Steps:");
    for (number, step) in (1..).zip(&plan.steps) {
        put(&format!("  {number:>2}. {}", step.title()));
    }
    put("");
    put(&format!("Digest: {}", plan.digest));
    page
}

fn section(put: &mut impl FnMut(&str), title: &str, list: &[String], empty: &str) {
    put(title);
    if list.is_empty() {
        put(&format!("  {empty}"));
    }
    for line in list {
        put(&format!("  {line}"));
    }
    put("");
}

/// One part: facts say what lies on a disk, not where.
fn before(plan: &Plan) -> String {
    let text = match plan.disk.content.len() {
        0 => "blank".to_owned(),
        1 => "1 thing, see below".to_owned(),
        n => format!("{n} things, see below"),
    };
    format!("|{text:^BAR$}|")
}

fn after(plan: &Plan) -> String {
    let table = &plan.table;
    let parts: Vec<(&str, Bytes)> = table
        .partitions
        .iter()
        .map(|planned| (planned.name.as_str(), table.size_of(planned)))
        .collect();
    bar(&parts)
}

/// The parts side by side, in columns that add up to the whole bar.
fn bar(parts: &[(&str, Bytes)]) -> String {
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
