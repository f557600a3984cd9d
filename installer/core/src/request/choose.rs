//! The one disk that the selector means, or a table that shows why there is none.

use super::{Refusal, Selector};
use crate::facts::DiskFacts;
use crate::outcome::Exit;

/// Exactly one disk, or a refusal that names every disk and the first rule that excluded it.
pub(super) fn disk<'d>(
    name: &str,
    selector: &Selector,
    protect: &[(String, Selector)],
    disks: &'d [DiskFacts],
) -> Result<&'d DiskFacts, Refusal> {
    let judged = judged(selector, protect, disks);
    let matching: Vec<&DiskFacts> =
        judged.iter().filter(|(_, why)| why.is_none()).map(|(disk, _)| *disk).collect();
    if let [disk] = matching[..] {
        return stable(name, selector, protect, disks).map(|()| disk);
    }
    let asked = format!("disks.{name} ({selector})");
    if disks.is_empty() {
        return Err(Refusal::new(
            Exit::DiskNotFound,
            format!("no disk matches {asked}: this machine shows no disk at all"),
        )
        .hint("a disk controller may need a driver that the installer does not have"));
    }
    let count = match matching.len() {
        0 => "no disk matches".to_owned(),
        n => format!("{n} disks match"),
    };
    let hint = match matching.len() {
        0 => "change the rules of the answer file to match one of these disks",
        _ => "add a rule that only one disk matches: `serial`, `wwn`, `by_id` or `by_path`",
    };
    let message = format!("{count} {asked}, exactly one is needed{}", table(&judged));
    Err(Refusal::new(Exit::DiskNotFound, message).hint(hint))
}

/// A name such as `/dev/sda` is enough only where no other disk could be the one: which disk gets
/// it is decided anew at every start.
fn stable(
    name: &str,
    selector: &Selector,
    protect: &[(String, Selector)],
    disks: &[DiskFacts],
) -> Result<(), Refusal> {
    let Some(path) = selector.unstable_path() else { return Ok(()) };
    let others = Selector { path: None, ..selector.clone() };
    let judged = judged(&others, protect, disks);
    let count = judged.iter().filter(|(_, why)| why.is_none()).count();
    if count < 2 {
        return Ok(());
    }
    let table = table(&judged);
    let message = format!(
        "disks.{name}: `{path}` is an unstable name, which any of {count} disks may get at the \
         next start{table}"
    );
    let hint = "name the disk by `serial`, `wwn`, `by_id` or `by_path`";
    Err(Refusal::new(Exit::DiskNotFound, message).hint(hint))
}

/// Each disk, and why it is not the one.
fn judged<'d>(
    selector: &Selector,
    protect: &[(String, Selector)],
    disks: &'d [DiskFacts],
) -> Vec<(&'d DiskFacts, Option<String>)> {
    disks.iter().map(|disk| (disk, excluded(selector, protect, disk))).collect()
}

/// Why the disk is not the one, if it is not.
fn excluded(
    selector: &Selector,
    protect: &[(String, Selector)],
    disk: &DiskFacts,
) -> Option<String> {
    if let Some(why) = selector.mismatch(disk) {
        return Some(why);
    }
    if let Some((name, _)) = protect.iter().find(|(_, rules)| rules.mismatch(disk).is_none()) {
        return Some(format!("it is protected, as `{name}`"));
    }
    if disk.medium {
        return Some("it holds the installation medium".to_owned());
    }
    if disk.read_only {
        return Some("it is read-only".to_owned());
    }
    if !disk.holders.is_empty() {
        return Some(format!("it is in use: {}", disk.holders.join(", ")));
    }
    let removable = disk.removable || disk.transport == "usb";
    if removable && !selector.asks_for(&disk.transport) {
        return Some(format!("it is removable: `transport: {}` asks for it", disk.transport));
    }
    None
}

fn table(judged: &[(&DiskFacts, Option<String>)]) -> String {
    const NONE: &str = "-";
    let head = ["disk", "size", "serial", "model", "bus", "why not"].map(str::to_owned);
    let mut rows = vec![head];
    for (disk, why) in judged {
        rows.push([
            disk.path.clone(),
            disk.size.to_string(),
            disk.serial.clone().unwrap_or_else(|| NONE.to_owned()),
            disk.model.clone().unwrap_or_else(|| NONE.to_owned()),
            disk.transport.clone(),
            why.clone().unwrap_or_else(|| "matches".to_owned()),
        ]);
    }
    columns(&rows)
}

/// Aligned columns, each row on a line of its own, indented.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0_usize; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str("\n    ");
        text.push_str(cells.join("  ").trim_end());
    }
    text
}
