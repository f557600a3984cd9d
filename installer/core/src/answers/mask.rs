//! Which parts of an answer file are never quoted.

use std::collections::BTreeSet;

use super::node::{Kind, Node};
use crate::problem::{Place, Secrets};

/// Keys whose values are or may hold secrets, wherever they stand.
const KEYS: [&str; 10] = [
    "root_password",
    "ssh_keys",
    "hooks",
    "first_boot",
    "report",
    "source",
    "proxy",
    "password",
    "token",
    "secret",
];

/// In a file that is read as YAML: the values of some keys, everything in `access` but its keys,
/// and values of keys that nobody knows, since a secret may stand behind a typing mistake.
pub(super) fn of_tree(root: &Node, unknown: &[Place]) -> Secrets {
    let unknown = &unknown.iter().copied().collect();
    if !matches!(root.kind, Kind::Map(_)) {
        return Secrets::everything();
    }
    let mut walk = Walk { unknown, places: Vec::new(), hidden: Vec::new() };
    walk.node(root, Inside::Open);
    let mut secrets = Secrets::default();
    for (from, next) in walk.hidden {
        match walk.places.get(next) {
            Some(to) => secrets.hide(from, *to),
            None => secrets.hide_from(from),
        }
    }
    secrets
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Open,
    /// Directly in `access`.
    Access,
}

struct Walk<'p> {
    unknown: &'p BTreeSet<Place>,
    /// Every key and value, in the order of the file.
    places: Vec<Place>,
    /// From where, and the number of the first place behind.
    hidden: Vec<(Place, usize)>,
}

impl Walk<'_> {
    fn node(&mut self, node: &Node, inside: Inside) {
        self.places.push(node.at);
        match &node.kind {
            Kind::Map(map) => {
                for (key, value) in map {
                    self.places.push(key.at);
                    let secret = inside == Inside::Access
                        || KEYS.contains(&key.name.as_str())
                        || self.unknown.contains(&value.at);
                    let below = if key.name == "access" { Inside::Access } else { Inside::Open };
                    let at = value.at;
                    self.node(value, below);
                    let lost = below == Inside::Access && !matches!(value.kind, Kind::Map(_));
                    if secret || lost {
                        self.hidden.push((at, self.places.len()));
                    }
                }
            }
            Kind::List(list) => list.iter().for_each(|node| self.node(node, Inside::Open)),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => {}
        }
    }
}

/// Parts of words that announce secrets.
const WORDS: [&str; 13] = [
    "pas", "pw", "secret", "token", "hash", "plain", "acc", "root", "hook", "script", "report",
    "source", "proxy",
];

/// In a file that is not YAML, nothing is known of what belongs to what: everything from the first
/// line on that speaks of something secret.
pub(super) fn of_text(text: &str) -> Secrets {
    let mut secrets = Secrets::default();
    let speaks = |line: &str| {
        let line = line.to_ascii_lowercase();
        WORDS.iter().any(|word| line.contains(word))
    };
    if let Some(index) = text.lines().position(speaks) {
        let line = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
        secrets.hide_from(Place { line, column: 1 });
    }
    secrets
}
