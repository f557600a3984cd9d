//! `machine` and `safety`: which machine the file is for, and what must not happen to others.

use partitioner::units::Bytes;

use super::super::node::Node;
use super::super::section::{Section, choice, list, number, text, value};
use super::super::{MachineRules, Safety};
use super::disks::{Disks, size};
use super::or_default;
use crate::facts::Firmware;
use crate::problem::{Problem, Problems};
use crate::values::{Glob, Mac, ValueError, parse_size};

/// Rules that all have to hold, also those of an override.
pub(in super::super) fn machine(
    node: &Node,
    path: &str,
    problems: &mut Problems,
) -> Option<MachineRules> {
    let mut section = Section::open(node, path, problems)?;
    section.later("require_vt", "not available yet");
    let word = |section: &mut Section<'_>, name: &'static str, problems: &mut Problems| {
        or_default(section.optional(name), |node| {
            text(node, &section.path(name), problems).map(|text| Some(text.trim().to_owned()))
        })
    };
    let system_uuid = word(&mut section, "system_uuid", problems);
    let serial = word(&mut section, "serial", problems);
    let asset_tag = word(&mut section, "asset_tag", problems);
    let pattern = |section: &mut Section<'_>, name: &'static str, problems: &mut Problems| {
        or_default(section.optional(name), |node| {
            value(node, &section.path(name), problems, Glob::loose).map(Some)
        })
    };
    let vendor = pattern(&mut section, "vendor", problems);
    let product = pattern(&mut section, "product", problems);
    let mac = or_default(section.optional("mac"), |node| {
        value(node, &section.path("mac"), problems, Mac::parse).map(Some)
    });
    let firmware = or_default(section.optional("firmware"), |node| {
        let words = [("uefi", Some(Firmware::Uefi)), ("bios", Some(Firmware::Bios)), ("any", None)];
        choice(node, &section.path("firmware"), problems, &words)
    });
    let min_memory = or_default(section.optional("min_memory"), |node| {
        size(node, &section.path("min_memory"), problems, parse_size).map(Some::<Bytes>)
    });
    let min_cpus = or_default(section.optional("min_cpus"), |node| {
        number(node, &section.path("min_cpus"), problems, count).map(Some)
    });
    section.finish(problems);
    Some(MachineRules {
        system_uuid: system_uuid?,
        serial: serial?,
        asset_tag: asset_tag?,
        vendor: vendor?,
        product: product?,
        mac: mac?,
        firmware: firmware?,
        min_memory: min_memory?,
        min_cpus: min_cpus?,
    })
}

/// From 1 to what Xen counts.
pub(super) fn count(n: u64) -> Result<u32, ValueError> {
    match u32::try_from(n) {
        Ok(n @ 1..=4096) => Ok(n),
        _ => Err(ValueError::new(format!("{n} is not from 1 to 4096"))),
    }
}

pub(super) fn safety(
    node: &Node,
    disks: Option<&Disks>,
    problems: &mut Problems,
) -> Option<Safety> {
    let mut section = Section::open(node, "safety", problems)?;
    for name in ["confirm", "countdown", "expect", "require_live_media"] {
        section.later(name, "not available yet");
    }
    section.later("on_existing", "`on_existing` stands at the top of the file, not in `safety`");
    let plan = or_default(section.optional("plan"), |node| {
        value(node, "safety.plan", problems, digest).map(Some)
    });
    let protect = or_default(section.optional("protect"), |node| {
        list(node, "safety.protect", problems, |node, path, problems| {
            let name = text(node, path, problems)?;
            // Without disks their own problem is told.
            let Some(selector) = disks?.get(name) else {
                let names: Vec<&str> = disks?.keys().map(String::as_str).collect();
                let what = format!("`{name}` is not one of the disks: {}", names.join(", "));
                problems.push(Problem::new(node.at, path, what).value(name).allowed(names));
                return None;
            };
            Some((name.to_owned(), selector.clone()))
        })
    });
    section.finish(problems);
    Some(Safety { plan: plan?, protect: protect? })
}

/// The names of the disks that are protected.
pub(super) fn protected(safety: &Safety) -> Vec<&str> {
    safety.protect.iter().map(|(name, _)| name.as_str()).collect()
}

fn digest(text: &str) -> Result<String, ValueError> {
    let lower = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if text.len() != 64 || !text.chars().all(lower) {
        return Err(ValueError::new(format!("`{text}` is not the digest of a plan"))
            .hint("`host-installer plan` shows it: 64 hexadecimal digits in lower case"));
    }
    Ok(text.to_owned())
}
