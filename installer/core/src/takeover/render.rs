//! The plan of a takeover for people, as JSON, and its digest.

use std::fmt::Write as _;

use partitioner::plan::picture::{bar, section};
use partitioner::table::TablePlan;
use partitioner::units::Bytes;
use serde_json::{Value, json};

use super::{Config, Failed, TakeoverPlan, refuse, scheme};
use crate::plan::digest::answers;
use crate::plan::lines;
use crate::target::RelPath;
use crate::values::sha256;

/// The page that is agreed to.
pub fn render(plan: &TakeoverPlan) -> String {
    let mut page = String::new();
    let mut put = |line: &str| writeln!(page, "{}", line.trim_end()).expect("a String takes all");
    let release = &plan.host.release;
    let (name, version) = (&release.product, &release.version);
    let old = refuse::named(&plan.old);
    put(&match plan.config {
        Config::Made { .. } => {
            format!("Take over {old} with {name} {version} ({})", release.build)
        }
        Config::CarriedOver { .. } => {
            let modern = plan.host.table.layout;
            format!("Upgrade {old} to {version} ({}), layout {modern}", release.build)
        }
    });
    put(&format!("  Xen {}, Linux {}", release.xen_version, release.kernel_version));
    put(&format!("  on {}", lines::disk(&plan.facts.disk)));
    match (&plan.failed, &plan.facts.trial) {
        (Some(failed), _) => begun_over(&mut put, failed),
        (None, Some(_)) => {
            put("  on which a takeover before this one was cut off at its commit: only the backup");
            put("  copy of the table is whole; all else was written and compared before");
        }
        (None, None) => put(&format!("  which has {} until now", scheme(plan.tables.source))),
    }
    if plan.resumed {
        put("  A takeover was cut off before; it is done again, and the old system is whole.");
    }
    match &plan.config {
        Config::Made { request, .. } => {
            let (name, zone) = (&request.system.hostname, &request.system.timezone);
            put(&format!("  The new system is {}, {}", name.as_str(), zone.as_str()));
        }
        Config::CarriedOver { .. } => {
            put("  The new system is configured as the old one, as far as an upgrade does it.");
        }
    }
    put("");
    put("On trial, beside the old system:");
    table(&mut put, &plan.tables.trial);
    put("Once it was blessed:");
    table(&mut put, &plan.tables.last);
    section(&mut put, "Will be destroyed:", &plan.destroys, "Nothing.");
    section(&mut put, "Is kept:", &plan.keeps, "Nothing.");
    section(&mut put, "Is NOT carried over:", &plan.left_behind, "Nothing.");
    put("Steps:");
    for (number, step) in (1..).zip(&plan.steps) {
        put(&format!("  {number:>2}. {}", step.title()));
    }
    put("");
    put("The old system boots until the commit, and is fallen back to after three failed boots.");
    put(&format!("Digest: {}", plan.digest));
    page
}

/// What became of the takeover before.
fn begun_over(put: &mut impl FnMut(&str), failed: &Failed) {
    put("  on which a takeover before this one has failed its trial; it is begun over:");
    put(&match &failed.system {
        Some(system) => format!("  slot a holds {system}, of which no try is left;"),
        None => "  no try is left, and what slot a holds cannot be read any more;".to_owned(),
    });
    put(&match &failed.reason {
        Some(reason) => format!("  the reason that it gave: {reason}"),
        None => "  it gave no reason: its user space was never reached, or not judged".to_owned(),
    });
}

fn table(put: &mut impl FnMut(&str), table: &TablePlan) {
    let parts: Vec<(&str, Bytes)> =
        table.partitions.iter().map(|p| (p.role.as_str(), table.size_of(p))).collect();
    put(&format!("  {}", bar(&parts)));
    put("  number  role      size        blocks");
    for planned in &table.partitions {
        let size = table.size_of(planned).to_string();
        put(&format!(
            "  {:<6}  {:<8}  {:<10}  {}",
            planned.number,
            planned.role.as_str(),
            size,
            planned.extent
        ));
    }
    put("");
}

/// The plan as `--json` shows it.
pub fn to_json(plan: &TakeoverPlan) -> Value {
    let disk = &plan.facts.disk;
    json!({
        "digest": plan.digest,
        "layout": plan.host.table.layout,
        "firmware": plan.host.firmware,
        "disks": [{
            "path": disk.path,
            "serial": disk.serial,
            "wwn": disk.wwn,
            "size": disk.size,
            "block_size": disk.block_size,
            "trial": lines::partitions(&plan.tables.trial),
            "partitions": lines::partitions(&plan.tables.last),
        }],
        "takes_over": {
            "name": plan.old.name,
            "version": plan.old.version,
            "table": plan.tables.source,
            "resumed": plan.resumed,
            "failed": plan.failed,
        },
        "into": {"slot": "a", "version": plan.host.release.version},
        "destroys": plan.destroys,
        "keeps": plan.keeps,
        "left_behind": plan.left_behind,
        "deployment_id": plan.deployment_id(),
        "steps": steps(plan),
        "release": plan.host.release,
        "dom0": plan.host.dom0,
    })
}

fn steps(plan: &TakeoverPlan) -> Vec<String> {
    plan.steps.iter().map(|step| step.title()).collect()
}

/// SHA-256 over what a person agreed to, in lower-case hexadecimal. Identifiers that are drawn are
/// left out; so is whether an earlier run was cut off, which changes nothing of what is done.
pub(super) fn digest(plan: &TakeoverPlan) -> String {
    let disk = &plan.facts.disk;
    let named = disk.serial.is_some() || disk.wwn.is_some();
    let canonical = json!({
        "disk": {
            "serial": disk.serial,
            "wwn": disk.wwn,
            "path": (!named).then_some(&disk.path),
            "size": disk.size,
            "block_size": disk.block_size,
        },
        "old": {
            "name": plan.old.name,
            "version": plan.old.version,
            "label": plan.old.label,
            "uuid": plan.old_uuid,
        },
        "firmware": plan.host.firmware,
        "source": plan.tables.source,
        "trial": lines::partitions(&plan.tables.trial),
        "last": lines::partitions(&plan.tables.last),
        "answers": match &plan.config {
            Config::Made { request, .. } => answers(request),
            Config::CarriedOver { wish, .. } => json!({
                "deployment_id": plan.deployment_id(),
                "health": wish.health,
                "keep": wish.keep.iter().map(RelPath::as_str).collect::<Vec<_>>(),
            }),
        },
        "dom0": plan.host.dom0,
        "destroys": plan.destroys,
        "left_behind": plan.left_behind,
        "steps": steps(plan),
        "release": plan.host.release,
    });
    sha256(canonical.to_string())
}
