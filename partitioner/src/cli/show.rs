//! What the commands that only look show, as text and as JSON.

use std::io::{self, Write};

use partitioner::inspect::Table;
use partitioner::layout::{LAYOUTS, Layout, Size};
use partitioner::plan::{Plan, PlanView, Policy, picture};
use partitioner::table::Geometry;
use partitioner::units::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::args::{DiskArg, PlanArgs};
use super::failure::Failure;
use super::seen::Seen;

pub(super) fn layouts(as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if as_json {
        return print(out, &json!(LAYOUTS.map(|layout| layout_json(&layout))));
    }
    Ok(LAYOUTS.iter().try_for_each(|layout| layout_text(layout, out))?)
}

pub(super) fn inspect(disk: &DiskArg, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let seen = Seen::open(disk)?;
    if !as_json {
        return Ok(inspection_text(&seen, out)?);
    }
    let mut value = json!(seen.report.as_ref());
    value["disk"] = disk_json(&seen.name, seen.geometry);
    print(out, &value)
}

pub(super) fn plan(args: &PlanArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let plan = Seen::open(&args.disk)?.plan(args, Policy::Replace)?;
    if args.json {
        return plan_json(&plan, out);
    }
    Ok(writeln!(out, "{}Nothing was written.", picture::render(&plan))?)
}

pub(super) fn plan_json(plan: &Plan, out: &mut dyn Write) -> Result<(), Failure> {
    print(out, &PlanView::from(plan))
}

pub(super) fn print(out: &mut dyn Write, value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    Ok(writeln!(out, "{text}")?)
}

fn disk_json(path: &str, geometry: Geometry) -> Value {
    json!({
        "path": path,
        "size": geometry.size(),
        "block_size": geometry.block_size,
        "blocks": geometry.blocks,
    })
}

fn lines(out: &mut dyn Write, title: &str, list: &[String]) -> io::Result<()> {
    if list.is_empty() {
        return writeln!(out, "{title}: nothing");
    }
    writeln!(out, "{title}:")?;
    list.iter().try_for_each(|item| writeln!(out, "  {item}"))
}

fn inspection_text(seen: &Seen, out: &mut dyn Write) -> io::Result<()> {
    let (geometry, found) = (seen.geometry, &seen.report.inspection);
    let (size, bytes) = (geometry.size(), geometry.block_size.bytes());
    writeln!(out, "{}: {size}, blocks of {bytes} bytes", seen.name)?;
    match &found.table {
        Table::None => writeln!(out, "no partition table")?,
        Table::Mbr { disk_signature } => writeln!(out, "MBR, signature {disk_signature:#010x}")?,
        Table::Gpt { disk_guid, state } => writeln!(out, "GPT {disk_guid}, {state}")?,
        Table::GptDamaged { why } => writeln!(out, "damaged GPT: {why}")?,
        Table::Unfinished => writeln!(out, "an installation that has not finished")?,
    }
    for one in &found.partitions {
        let name = one.name.as_deref().unwrap_or_default();
        writeln!(
            out,
            "{:>4}  {:<24} {:<36}  {name}",
            one.number,
            one.extent.to_string(),
            one.kind
        )?;
    }
    lines(out, "content", &found.content)?;
    seen.report.lines().iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn layout_text(layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
    let scheme = layout.scheme;
    let firmware: Vec<String> = layout.firmware.iter().map(ToString::to_string).collect();
    let (name, min) = (layout.name, layout.disk_min);
    writeln!(out, "{name} ({scheme}, {}), disks from {min}", firmware.join(" and "))?;
    for want in layout.wants {
        writeln!(out, "{:>6}  {:<8} {}", want.number, want.role.as_str(), size_text(want.size))?;
    }
    Ok(())
}

fn layout_json(layout: &Layout) -> Value {
    let partitions: Vec<Value> = layout
        .wants
        .iter()
        .map(|want| json!({"number": want.number, "role": want.role, "size": size_text(want.size)}))
        .collect();
    json!({
        "name": layout.name,
        "scheme": layout.scheme,
        "firmware": layout.firmware,
        "disk_min": layout.disk_min,
        "partitions": partitions,
    })
}

fn size_text(size: Size) -> String {
    match size {
        Size::Mib(mib) => Bytes::mib(mib).to_string(),
        Size::Fixed { first, blocks } => format!("{blocks} blocks from {first}"),
        Size::Rest => "rest".to_owned(),
    }
}
