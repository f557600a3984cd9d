//! The interfaces of the answers, found on the machine.

use super::Refusal;
use crate::answers::{Link, Network, NicMatch};
use crate::facts::{HostFacts, NicFacts};
use crate::outcome::Exit;
use crate::values::{LinkName, Mac};

/// The same network with each interface by its address, since names and places change when cards
/// are added. Facts without interfaces, as of an offline installation, say nothing: there the rules
/// stay as they are.
pub(super) fn pinned(network: &Network, facts: &HostFacts) -> Result<Network, Refusal> {
    let mut pinned = network.clone();
    if facts.nics.is_empty() {
        return Ok(pinned);
    }
    let mut taken: Vec<(Mac, LinkName)> = Vec::new();
    for (name, link) in &mut pinned.links {
        let Link::Interface(rules) = link else { continue };
        let mac = the_one(name, rules, facts)?;
        if let Some((_, other)) = taken.iter().find(|(one, _)| *one == mac) {
            return Err(Refusal::new(
                Exit::Unsuitable,
                format!("the interfaces {other} and {name} of the answers are both {mac}"),
            ));
        }
        taken.push((mac, name.clone()));
        *rules = NicMatch { mac: Some(mac), ..NicMatch::default() };
    }
    Ok(pinned)
}

fn the_one(name: &LinkName, rules: &NicMatch, facts: &HostFacts) -> Result<Mac, Refusal> {
    let matching: Vec<&NicFacts> = facts.nics.iter().filter(|nic| fits(rules, nic)).collect();
    if let [nic] = matching[..]
        && let Ok(mac) = Mac::parse(&nic.mac)
    {
        return Ok(mac);
    }
    let count = match matching.len() {
        0 => "no interface matches".to_owned(),
        n => format!("{n} interfaces match"),
    };
    let mut message = format!("{count} `{name}` of the network ({}), one is needed", words(rules));
    for nic in &facts.nics {
        let path = nic.path.as_deref().map(|p| format!(", {p}")).unwrap_or_default();
        let row = format!("\n    {:<10} {}  {}{path}", nic.name, nic.mac, nic.state());
        message.push_str(&row);
    }
    Err(Refusal::new(Exit::BadAnswers, message))
}

/// A rule on something that the interface does not tell does not match.
fn fits(rules: &NicMatch, nic: &NicFacts) -> bool {
    let NicMatch { mac, driver, path, name } = rules;
    mac.is_none_or(|mac| mac.to_string() == nic.mac)
        && driver.as_ref().is_none_or(|g| nic.driver.as_deref().is_some_and(|d| g.matches(d)))
        && path.as_ref().is_none_or(|g| nic.path.as_deref().is_some_and(|p| g.matches(p)))
        && name.as_ref().is_none_or(|g| g.matches(&nic.name))
}

fn words(rules: &NicMatch) -> String {
    let NicMatch { mac, driver, path, name } = rules;
    let glob = |name: &str, glob: &Option<crate::values::Glob>| {
        glob.as_ref().map(|g| format!("{name} {}", g.as_str()))
    };
    let all = [
        mac.map(|mac| format!("mac {mac}")),
        glob("driver", driver),
        glob("path", path),
        glob("name", name),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
