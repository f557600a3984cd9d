//! The plan of an upgrade for people, as JSON, and its digest.

use std::fmt::Write as _;

use partitioner::plan::picture::section;
use serde_json::{Value, json};

use super::UpgradePlan;
use crate::plan::lines;
use crate::values::sha256;

/// The page that is agreed to.
pub fn render(plan: &UpgradePlan) -> String {
    let mut page = String::new();
    let mut put = |line: &str| writeln!(page, "{}", line.trim_end()).expect("a String takes all");
    let (old, release) = (&plan.inventory, &plan.release);
    let versions = format!("{} to {} ({})", old.version, release.version, release.build);
    put(&format!("Upgrade {} {versions}", old.product));
    put(&format!("  Xen {}, Linux {}", release.xen_version, release.kernel_version));
    put(&format!("  on {}", lines::disk(&plan.facts.disk)));
    put(&format!(
        "  The new system goes into slot {}; slot {} stays, and becomes the previous system.",
        plan.into, plan.from
    ));
    if let Some(reason) = &plan.facts.boot.reason {
        put(&format!("  The last trial failed: {reason}"));
    }
    if let Some(found) = plan.facts.unfinished() {
        put(&format!("  Found: {found}"));
    }
    put("");
    section(&mut put, "Will be destroyed:", &plan.destroys, "Nothing: the other slot is empty.");
    section(&mut put, "Is kept:", &plan.keeps, "Nothing.");
    let keep: Vec<String> = plan.wish.keep.iter().map(ToString::to_string).collect();
    section(&mut put, "Is carried over beside the usual:", &keep, "Nothing.");
    let left = &plan.wish.left_behind;
    section(&mut put, "Was changed on this host and is NOT carried over:", left, "Nothing.");
    put("Steps:");
    for (number, step) in (1..).zip(&plan.steps) {
        put(&format!("  {number:>2}. {}", step.title()));
    }
    put("");
    put("Nothing that boots now changes before the last step. The new system has three tries.");
    put(&format!("Digest: {}", plan.digest));
    page
}

/// The plan as `--json` shows it.
pub fn to_json(plan: &UpgradePlan) -> Value {
    let disk = &plan.facts.disk;
    json!({
        "digest": plan.digest,
        "layout": plan.facts.table.layout,
        "firmware": plan.inventory.firmware,
        "disks": [{
            "path": disk.path,
            "serial": disk.serial,
            "wwn": disk.wwn,
            "size": disk.size,
            "block_size": disk.block_size,
        }],
        "from": {"slot": plan.from, "version": plan.inventory.version},
        "into": {"slot": plan.into, "version": plan.release.version},
        "destroys": plan.destroys,
        "keeps": plan.keeps,
        "left_behind": plan.wish.left_behind,
        "found": plan.facts.unfinished(),
        "deployment_id": plan.next_inventory().deployment_id,
        "steps": steps(plan),
        "release": plan.release,
    })
}

fn steps(plan: &UpgradePlan) -> Vec<String> {
    plan.steps.iter().map(|step| step.title()).collect()
}

/// SHA-256 over what a person agreed to, in lower-case hexadecimal.
pub(super) fn digest(plan: &UpgradePlan) -> String {
    let disk = &plan.facts.disk;
    let named = disk.serial.is_some() || disk.wwn.is_some();
    let keep: Vec<&str> = plan.wish.keep.iter().map(crate::target::RelPath::as_str).collect();
    let canonical = json!({
        "disk": {
            "serial": disk.serial,
            "wwn": disk.wwn,
            "path": (!named).then_some(&disk.path),
            "size": disk.size,
            "block_size": disk.block_size,
            "id": plan.inventory.disk_id,
        },
        "from": plan.from,
        "version": plan.inventory.version,
        "build": plan.inventory.build,
        "boot": plan.facts.boot.state,
        "into": plan.into,
        "writes": plan.write_set(),
        "destroys": plan.destroys,
        "keep": keep,
        "left_behind": plan.wish.left_behind,
        "deployment_id": plan.wish.deployment_id,
        "health": plan.wish.health,
        "steps": steps(plan),
        "release": plan.release,
    });
    sha256(canonical.to_string())
}
