//! Whether this is the machine that the answers are for.

use super::Refusal;
use crate::answers::MachineRules;
use crate::facts::{Firmware, HostFacts};
use crate::outcome::Exit;

/// The first rule that does not hold is told. A rule on something that the machine does not tell
/// does not hold.
pub(super) fn fits(rules: &MachineRules, facts: &HostFacts) -> Result<(), Refusal> {
    let MachineRules {
        system_uuid,
        serial,
        asset_tag,
        vendor,
        product,
        mac,
        firmware,
        min_memory,
        min_cpus,
    } = rules;
    let machine = &facts.machine;
    same("system_uuid", system_uuid.as_deref(), machine.system_uuid.as_deref())?;
    same("serial", serial.as_deref(), machine.serial.as_deref())?;
    same("asset_tag", asset_tag.as_deref(), machine.asset_tag.as_deref())?;
    for (name, want, have) in
        [("vendor", vendor, &machine.vendor), ("product", product, &machine.product)]
    {
        let Some(want) = want else { continue };
        if !have.as_deref().is_some_and(|have| want.matches(have)) {
            return Err(another(name, want.as_str(), have.as_deref()));
        }
    }
    if let Some(mac) = mac {
        let mac = mac.to_string();
        if !facts.nics.iter().any(|nic| nic.mac == mac) {
            let all: Vec<&str> = facts.nics.iter().map(|nic| nic.mac.as_str()).collect();
            return Err(another(
                "mac",
                &mac,
                Some(&all.join(", ")).filter(|all| !all.is_empty()).map(String::as_str),
            ));
        }
    }
    if let Some(want) = firmware
        && *want != facts.firmware
    {
        return Err(another("firmware", word(*want), Some(word(facts.firmware)))
            .hint("change the mode in the firmware's settings, and start the medium again"));
    }
    if let Some(want) = min_memory
        && facts.memory < *want
    {
        let want = format!("at least {want}");
        return Err(another("min_memory", &want, Some(&facts.memory.to_string())));
    }
    if let Some(want) = min_cpus
        && facts.cpus < *want
    {
        let want = format!("at least {want}");
        return Err(another("min_cpus", &want, Some(&facts.cpus.to_string())));
    }
    Ok(())
}

/// Whether the rules mean this machine.
pub(crate) fn is_for(rules: &MachineRules, facts: &HostFacts) -> bool {
    fits(rules, facts).is_ok()
}

fn same(name: &str, want: Option<&str>, have: Option<&str>) -> Result<(), Refusal> {
    match want {
        Some(want) if !have.is_some_and(|have| have.trim().eq_ignore_ascii_case(want)) => {
            Err(another(name, want, have))
        }
        Some(_) | None => Ok(()),
    }
}

fn another(name: &str, want: &str, have: Option<&str>) -> Refusal {
    let have = have.map_or_else(
        || "the machine does not tell it".to_owned(),
        |have| format!("the machine has {have}"),
    );
    let message =
        format!("this is not the machine of the answers: machine.{name} is {want}, {have}");
    Refusal::new(Exit::Unsuitable, message)
}

const fn word(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "bios",
        Firmware::Uefi => "uefi",
    }
}
