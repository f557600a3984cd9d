//! The parts of a plan as JSON and as lines.

use partitioner::table::TablePlan;
use serde_json::{Value, json};

use super::Plan;
use crate::answers::{Hook, Script};
use crate::facts::DiskFacts;
use crate::request::{InstallRequest, Wanted};
use crate::storage::Repository;

/// The plan as `--json` shows it.
pub fn to_json(plan: &Plan) -> Value {
    let disk_facts = &plan.disk;
    json!({
        "digest": plan.digest,
        "layout": plan.table.layout,
        "firmware": plan.firmware,
        "disks": [{
            "path": disk_facts.path,
            "serial": disk_facts.serial,
            "wwn": disk_facts.wwn,
            "model": disk_facts.model,
            "transport": disk_facts.transport,
            "size": disk_facts.size,
            "block_size": disk_facts.block_size,
            "partitions": partitions(&plan.table),
        }],
        "destroys": plan.destroys,
        "repositories": repositories(plan),
        "keeps": plan.keeps,
        "steps": steps(plan),
        "scripts": plan.scripts,
        "release": plan.release,
        "dom0": plan.dom0,
    })
}

/// Partitions without the identifiers that are drawn later.
pub(crate) fn partitions(table: &TablePlan) -> Value {
    let list = table.partitions.iter().map(|planned| {
        json!({
            "number": planned.number,
            "role": planned.role,
            "name": planned.name,
            "type": planned.type_guid,
            "first": planned.extent.first(),
            "last": planned.extent.last(),
            "size": table.size_of(planned),
        })
    });
    Value::Array(list.collect())
}

/// Storage repositories, without the identifiers that are drawn later.
pub(super) fn repositories(plan: &Plan) -> Value {
    let list = plan.repositories.iter().map(|Wanted { repository, disk }| {
        json!({
            "name": repository.name,
            "kind": repository.kind,
            "disk": disk.as_ref().map_or(&plan.disk.path, |disk| &disk.path),
            "place": repository.place,
        })
    });
    Value::Array(list.collect())
}

/// A repository in one line.
pub(super) fn repository(wanted: &Wanted) -> String {
    let Repository { name, kind, .. } = &wanted.repository;
    let place = wanted.disk.as_ref().map_or_else(|| "partition sr".to_owned(), self::disk);
    format!("{name} ({}): {place}", kind.word())
}

/// Scripts of the answers, each in one line, without their text.
pub(super) fn scripts(request: &InstallRequest) -> Vec<String> {
    let mut lines = Vec::new();
    for (stage, hooks) in request.hooks.iter() {
        for (index, Hook { source, timeout, on_fail }) in hooks.iter().enumerate() {
            let means = on_fail.word();
            lines.push(format!("hooks.{stage}[{index}]: {source} ({timeout}, {means})"));
        }
    }
    for (index, Script { source, when, timeout }) in request.first_boot.iter().enumerate() {
        let when = when.map_or_else(String::new, |when| format!("{}, ", when.word()));
        let line = format!("first_boot[{index}]: {source} ({timeout}, {when}once in dom0)");
        lines.push(line);
    }
    lines
}

/// Titles, in the order in which the steps are performed.
pub(super) fn steps(plan: &Plan) -> Value {
    Value::Array(plan.steps.iter().map(|step| Value::String(step.title())).collect())
}

/// A disk in one line.
pub(crate) fn disk(disk: &DiskFacts) -> String {
    let model = disk.model.as_ref().map(|model| format!(" {model}")).unwrap_or_default();
    let serial = disk.serial.as_ref().map(|id| format!(" serial {id}")).unwrap_or_default();
    format!("{} {} {}{model}{serial}", disk.path, disk.size, disk.transport)
}
