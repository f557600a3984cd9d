//! The commands that show something and write nothing.

use std::fmt::Write;
use std::path::Path;

use installer_core::answers::Answers;
use installer_core::facts::{DiskFacts, HostFacts, MachineFacts};
use installer_core::outcome::Exit;
use installer_core::plan;
use serde::Serialize;

use super::answer_file::AnswerFile;
use super::inputs::{self, Facts};
use super::{Ended, MachineArgs, Outcome, SourceArgs, by_answers, print};

pub(super) fn facts(machine: &MachineArgs, json: bool) -> Outcome {
    let facts = inputs::machine(machine)?;
    print(&if json { to_json(&facts)? } else { table(&facts) });
    Ok(())
}

pub(super) fn plan(
    source: &SourceArgs,
    machine: &MachineArgs,
    facts: Option<&Path>,
    json: bool,
) -> Outcome {
    let recorded = facts;
    let facts = recorded.map_or(Facts::Of(machine), Facts::Recorded);
    let file = AnswerFile::get(source.answers.as_deref())?;
    let answers = match inputs::answers(&file, facts)? {
        Answers::Install(answers) => answers,
        other @ (Answers::Upgrade(_) | Answers::Rollback(_)) => {
            recorded_shows_none(other.mode(), recorded)?;
            return by_answers::show(&other, &source.release, &machine.disk, json);
        }
    };
    let inputs = inputs::collect(&answers, &source.release, facts)?;
    let plan = inputs.plan.plan();
    print(&if json { to_json(&plan::to_json(plan))? } else { plan::render(plan) });
    Ok(())
}

/// What lies in the slots is no part of the facts of a machine.
fn recorded_shows_none(mode: &str, facts: Option<&Path>) -> Outcome {
    let Some(facts) = facts else { return Ok(()) };
    let what = format!(
        "mode {mode} cannot be shown on {}: what is in the slots is not recorded",
        facts.display()
    );
    Err(Ended::early(Exit::BadAnswers, &what).hint("`--disk NAME=IMAGE` shows it on an image"))
}

pub(super) fn to_json(value: &impl Serialize) -> Result<String, Ended> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Ended::early(Exit::InternalError, &format!("JSON: {e}")))?;
    Ok(text + "\n")
}

/// A machine for people.
fn table(facts: &HostFacts) -> String {
    let mut text = String::new();
    let firmware = match facts.firmware {
        installer_core::facts::Firmware::Bios => "BIOS",
        installer_core::facts::Firmware::Uefi => "UEFI",
    };
    line(&mut text, &format!("{firmware}, {} memory, {} CPUs", facts.memory, facts.cpus));
    let MachineFacts { system_uuid, serial, asset_tag, vendor, product } = &facts.machine;
    let plain = [vendor, product, serial].map(Clone::clone);
    let marked = [("UUID", system_uuid), ("asset tag", asset_tag)]
        .map(|(what, name)| name.as_ref().map(|name| format!("{what} {name}")));
    let names: Vec<String> = plain.into_iter().chain(marked).flatten().collect();
    if !names.is_empty() {
        line(&mut text, &names.join(", "));
    }
    for disk in &facts.disks {
        for one in disk_lines(disk) {
            line(&mut text, &one);
        }
    }
    for nic in &facts.nics {
        line(&mut text, &format!("interface {}  {}  {}", nic.name, nic.mac, nic.state()));
    }
    text
}

/// One disk: what it is, what it is called, what is on it.
fn disk_lines(disk: &DiskFacts) -> Vec<String> {
    let serial = disk.serial.as_deref().unwrap_or("no serial");
    let model = disk.model.as_deref().unwrap_or("no model");
    let mut marks =
        vec![disk.transport.clone(), format!("{}-byte blocks", disk.block_size.bytes())];
    marks.extend(disk.sector_size.map(|size| format!("{}-byte sectors", size.bytes())));
    let flags =
        [(disk.removable, "removable"), (disk.read_only, "read-only"), (disk.medium, "medium")];
    marks.extend(flags.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned()));
    marks.extend(disk.holders.iter().map(|holder| format!("used by {holder}")));
    let marks = marks.join(", ");
    let mut lines =
        vec![format!("disk {}  {}  {serial}  {model}  ({marks})", disk.path, disk.size)];
    let wwn = disk.wwn.iter().map(|wwn| format!("    wwn {wwn}"));
    lines.extend(wwn.chain(disk.by_id.iter().map(|name| format!("    by-id {name}"))));
    lines.extend(disk.content.iter().map(|content| format!("    {content}")));
    lines.extend(disk.installations.iter().map(|host| format!("    installation: {host}")));
    lines
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    drop(writeln!(text, "{line}").map_err(|e| e.to_string()));
}
