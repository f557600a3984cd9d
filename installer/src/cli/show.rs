//! The commands that show something and write nothing.

use std::fmt::Write;
use std::path::Path;

use installer_core::facts::{HostFacts, MachineFacts};
use installer_core::outcome::Exit;
use installer_core::plan;
use serde::Serialize;

use super::answer_file::AnswerFile;
use super::inputs::{self, Facts};
use super::{Ended, MachineArgs, Outcome, SourceArgs, print};

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
    let facts = facts.map_or(Facts::Of(machine), Facts::Recorded);
    let answers = inputs::answers(&AnswerFile::get(source.answers.as_deref())?, facts)?;
    let inputs = inputs::collect(&answers, &source.release, facts)?;
    let plan = inputs.plan.plan();
    print(&if json { to_json(&plan::to_json(plan))? } else { plan::render(plan) });
    Ok(())
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
    let MachineFacts { system_uuid: _, serial, asset_tag: _, vendor, product } = &facts.machine;
    let names: Vec<&str> =
        [vendor, product, serial].into_iter().filter_map(Option::as_deref).collect();
    if !names.is_empty() {
        line(&mut text, &names.join(", "));
    }
    for disk in &facts.disks {
        let serial = disk.serial.as_deref().unwrap_or("no serial");
        let model = disk.model.as_deref().unwrap_or("no model");
        let mut marks = vec![disk.transport.clone()];
        let flags =
            [(disk.removable, "removable"), (disk.read_only, "read-only"), (disk.medium, "medium")];
        marks.extend(flags.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned()));
        marks.extend(disk.holders.iter().map(|holder| format!("used by {holder}")));
        line(
            &mut text,
            &format!(
                "disk {}  {}  {serial}  {model}  ({})",
                disk.path,
                disk.size,
                marks.join(", ")
            ),
        );
        for content in &disk.content {
            line(&mut text, &format!("    {content}"));
        }
    }
    for nic in &facts.nics {
        line(&mut text, &format!("interface {}  {}  {}", nic.name, nic.mac, nic.state()));
    }
    text
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    drop(writeln!(text, "{line}").map_err(|e| e.to_string()));
}
