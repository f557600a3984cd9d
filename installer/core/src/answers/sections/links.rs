//! `network.interfaces`, `bonds` and `vlans`: what the management bridge may stand on.

use std::collections::BTreeMap;

use super::super::network::{Bond, BondMode, Link, NicMatch, Vlan};
use super::super::node::Node;
use super::super::section::{Section, choice, list, number, value};
use super::or_default;
use crate::problem::{Place, Problem, Problems};
use crate::values::{Glob, LinkName, Mac, ValueError, VlanId};

/// What was read, before it is known to fit together.
#[derive(Debug, Default)]
pub(super) struct Links {
    found: BTreeMap<LinkName, (Place, &'static str, Link)>,
}

impl Links {
    pub(super) fn add_interface(&mut self, name: LinkName, at: Place, nic: NicMatch) {
        self.found.insert(name, (at, "management", Link::Interface(nic)));
    }
}

/// Every link that the three sections name; none if one of them is not whole.
pub(super) fn links(section: &mut Section<'_>, problems: &mut Problems) -> Option<Links> {
    let mut links = Links::default();
    let mut whole = true;
    let kinds: [(&'static str, Read); 3] =
        [("interfaces", interface), ("bonds", bond), ("vlans", vlan)];
    for (kind, read) in kinds {
        let Some(node) = section.optional(kind) else { continue };
        let Some(named) = Section::open(node, &section.path(kind), problems) else {
            whole = false;
            continue;
        };
        for (key, node) in named.entries() {
            let path = named.path(&key.name);
            let name = problems.take(LinkName::parse(&key.name).map_err(|error| {
                let mut problem = Problem::new(key.at, path.clone(), error.what);
                problem.hint = error.hint;
                problem
            }));
            let link = read(node, &path, problems);
            let (Some(name), Some(link)) = (name, link) else {
                whole = false;
                continue;
            };
            if let Some((_, other, _)) = links.found.get(&name) {
                let what = format!("the name is given twice, in {other} too");
                problems.push(Problem::new(key.at, path, what));
                whole = false;
                continue;
            }
            links.found.insert(name, (key.at, kind, link));
        }
    }
    whole.then_some(links)
}

type Read = fn(&Node, &str, &mut Problems) -> Option<Link>;

fn interface(node: &Node, path: &str, problems: &mut Problems) -> Option<Link> {
    let mut section = Section::open(node, path, problems)?;
    section.later("rename", "not available yet: dom0 keeps the name that udev gives");
    let nic = nic_rules(&mut section, problems);
    section.finish(problems);
    let nic = nic?;
    if nic.is_none() {
        let problem = Problem::new(node.at, path, "no rule says which interface is meant");
        problems.push(problem.hint("for example `{mac: \"00:16:3e:aa:bb:cc\"}`"));
    }
    nic.map(Link::Interface)
}

/// `mac` and `match`; nothing where neither is there.
#[expect(clippy::option_option, reason = "not whole, or not there")]
pub(super) fn nic_rules(
    section: &mut Section<'_>,
    problems: &mut Problems,
) -> Option<Option<NicMatch>> {
    let mac = or_default(section.optional("mac"), |node| {
        value(node, &section.path("mac"), problems, Mac::parse).map(Some)
    });
    let path = section.path("match");
    let rules = or_default(section.optional("match"), |node| {
        let mut section = Section::open(node, &path, problems)?;
        let mut rule = |section: &mut Section<'_>, name: &'static str| {
            or_default(section.optional(name), |node| {
                value(node, &section.path(name), problems, Glob::parse).map(Some)
            })
        };
        let driver = rule(&mut section, "driver");
        let by_path = rule(&mut section, "path");
        let name = rule(&mut section, "name");
        if section.entries().next().is_none() {
            problems.push(
                Problem::new(node.at, path.as_str(), "no rule says which interface is meant")
                    .hint("rules: driver, path, name, each a pattern with * and ?"),
            );
        }
        section.finish(problems);
        Some(NicMatch { mac: None, driver: driver?, path: by_path?, name: name? })
    });
    let nic = NicMatch { mac: mac?, ..rules? };
    Some((nic != NicMatch::default()).then_some(nic))
}

fn bond(node: &Node, path: &str, problems: &mut Problems) -> Option<Link> {
    let mut section = Section::open(node, path, problems)?;
    for name in ["lacp_rate", "miimon", "primary"] {
        section.later(name, "not available yet: slow LACP, a link check every 100 ms, no primary");
    }
    let at = section.path("members");
    let members = section.required("members", problems).and_then(|node| {
        let names = list(node, &at, problems, |n, path, p| value(n, path, p, LinkName::parse))?;
        if names.len() < 2 {
            let what = format!("a bond needs at least 2 members, {} given", names.len());
            problems.push(Problem::new(node.at, at.as_str(), what));
            return None;
        }
        Some(names)
    });
    let mode = section.required("mode", problems).and_then(|node| {
        let words = [("active-backup", BondMode::ActiveBackup), ("lacp", BondMode::Lacp)];
        choice(node, &section.path("mode"), problems, &words)
    });
    section.finish(problems);
    Some(Link::Bond(Bond { members: members?, mode: mode? }))
}

fn vlan(node: &Node, path: &str, problems: &mut Problems) -> Option<Link> {
    let mut section = Section::open(node, path, problems)?;
    let parent = section
        .required("parent", problems)
        .and_then(|node| value(node, &section.path("parent"), problems, LinkName::parse));
    let id = section
        .required("id", problems)
        .and_then(|node| number(node, &section.path("id"), problems, VlanId::new));
    section.finish(problems);
    Some(Link::Vlan(Vlan { parent: parent?, id: id? }))
}

/// Everything that is named is there, of the right kind, and used exactly once.
pub(super) fn check(
    links: Links,
    on: &LinkName,
    problems: &mut Problems,
) -> Option<BTreeMap<LinkName, Link>> {
    let mut used: Vec<&LinkName> = vec![on];
    let mut good = true;
    let mut complain = |at: Place, path: String, error: ValueError| {
        let mut problem = Problem::new(at, path, error.what);
        problem.hint = error.hint;
        problems.push(problem);
        good = false;
    };
    let missing = |name: &LinkName| {
        let names: Vec<&str> = links.found.keys().map(LinkName::as_str).collect();
        let error = ValueError::new(format!("`{name}` is not one of the links"));
        error.hint(format!("named are: {}", names.join(", ")))
    };
    if !links.found.contains_key(on) {
        complain(Place::START, "network.management.on".to_owned(), missing(on));
    }
    for (name, (at, kind, link)) in &links.found {
        let path = format!("network.{kind}.{name}");
        let (below, bonds): (&[LinkName], bool) = match link {
            Link::Interface(_) => continue,
            Link::Bond(bond) => (&bond.members, false),
            Link::Vlan(vlan) => (std::slice::from_ref(&vlan.parent), true),
        };
        for other in below {
            match links.found.get(other) {
                None => complain(*at, path.clone(), missing(other)),
                Some((_, _, Link::Interface(_))) => {}
                Some((_, _, Link::Bond(_))) if bonds => {}
                Some((_, kind, _)) => {
                    let what = format!("`{other}` is one of the {kind}, which cannot be below");
                    complain(*at, path.clone(), ValueError::new(what));
                }
            }
            if used.contains(&other) {
                let what = format!("`{other}` is used twice");
                complain(*at, path.clone(), ValueError::new(what));
            }
            used.push(other);
        }
    }
    for (name, (at, kind, _)) in &links.found {
        if !used.contains(&name) {
            let error = ValueError::new("this link is named and not used");
            let error = error.hint("management stands on it with `on`, a bond or a VLAN names it");
            complain(*at, format!("network.{kind}.{name}"), error);
        }
    }
    good.then(|| links.found.into_iter().map(|(name, (_, _, link))| (name, link)).collect())
}
