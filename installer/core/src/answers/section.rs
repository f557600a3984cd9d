//! Reading a tree of nodes strictly: what is not asked for is a problem.

use std::collections::BTreeMap;

use super::node::{Key, Kind, Node};
use crate::nearest::nearest;
use crate::problem::{Place, Problem, Problems};
use crate::values::ValueError;

/// One mapping, of which keys are taken one by one. [`Section::finish`] reports the others.
#[derive(Debug)]
pub(super) struct Section<'n> {
    path: String,
    at: Place,
    /// The first entry of each name.
    entries: Vec<(&'n Key, &'n Node)>,
    known: Vec<&'static str>,
    /// Names that are refused with a reason of their own.
    later: Vec<(&'static str, &'static str)>,
    keys: Keys,
}

/// Whether a problem may show a key that is not known. In `root_password: {hunter2}` it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    Open,
    Secret,
}

impl<'n> Section<'n> {
    /// The mapping at `path`; a problem for another kind of node, and for each repeated key.
    pub(super) fn open(node: &'n Node, path: &str, problems: &mut Problems) -> Option<Self> {
        let Kind::Map(map) = &node.kind else {
            let what = format!("a mapping is needed, this is {}", node.kind.noun());
            problems.push(Problem::new(node.at, path, what));
            return None;
        };
        let mut entries: Vec<(&Key, &Node)> = Vec::new();
        let mut lines: BTreeMap<&str, u32> = BTreeMap::new();
        for (key, value) in map {
            if let Some(line) = lines.get(key.name.as_str()) {
                let what = format!("the key is there twice, first in line {line}");
                problems.push(Problem::new(key.at, join(path, &key.name), what));
            } else {
                lines.insert(&key.name, key.at.line);
                entries.push((key, value));
            }
        }
        let path = path.to_owned();
        Some(Self {
            path,
            at: node.at,
            entries,
            known: Vec::new(),
            later: Vec::new(),
            keys: Keys::Open,
        })
    }

    /// The value of a key that may be absent.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<&'n Node> {
        self.known.push(name);
        self.entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| *node)
    }

    /// The value of a key that must be there.
    pub(super) fn required(
        &mut self,
        name: &'static str,
        problems: &mut Problems,
    ) -> Option<&'n Node> {
        let found = self.optional(name);
        if found.is_none() {
            let what = format!("`{name}` is missing");
            problems.push(Problem::new(self.at, self.path.clone(), what));
        }
        found
    }

    /// A name that will have a meaning one day.
    pub(super) fn later(&mut self, name: &'static str, why: &'static str) {
        self.later.push((name, why));
    }

    /// From here on a key that is not known is a secret in the wrong place.
    pub(super) const fn secret(&mut self) {
        self.keys = Keys::Secret;
    }

    pub(super) fn path(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// Every entry, for mappings whose keys are the operator's own names.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'n Key, &'n Node)> {
        self.entries.iter().copied()
    }

    pub(super) const fn at(&self) -> Place {
        self.at
    }

    /// Reports every key that nobody took.
    pub(super) fn finish(self, problems: &mut Problems) {
        for (key, value) in &self.entries {
            if self.known.contains(&key.name.as_str()) {
                continue;
            }
            // Perhaps `root_password` with a typing mistake.
            problems.hide(value.at);
            if problems.only_counted() {
                continue;
            }
            let path = self.path(&key.name);
            if let Some((_, why)) = self.later.iter().find(|(name, _)| *name == key.name) {
                problems.push(Problem::new(key.at, path, *why));
                continue;
            }
            if self.keys == Keys::Secret {
                let known = self.known.join(", ");
                let problem = Problem::new(key.at, self.path.clone(), "unknown key, not shown");
                problems.push(problem.hint(format!("known here: {known}")));
                continue;
            }
            let hint = match nearest(&key.name, self.known.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            let problem = Problem::new(key.at, path, "unknown key").hint(hint);
            problems.push(problem.allowed(self.known.iter().copied()));
        }
    }
}

/// Text with a grammar of its own.
pub(super) fn value<T>(
    node: &Node,
    path: &str,
    problems: &mut Problems,
    parse: impl FnOnce(&str) -> Result<T, ValueError>,
) -> Option<T> {
    let problem = match read(node, path, problems, parse)? {
        Ok(value) => return Some(value),
        Err(problem) => problem,
    };
    let Kind::Text(text) = &node.kind else { return None };
    problems.push(problem.value(text));
    None
}

/// The same for a text that no problem may show.
pub(super) fn secret<T>(
    node: &Node,
    path: &str,
    problems: &mut Problems,
    parse: impl FnOnce(&str) -> Result<T, ValueError>,
) -> Option<T> {
    let read = read(node, path, problems, parse)?;
    problems.take(read)
}

fn read<T>(
    node: &Node,
    path: &str,
    problems: &mut Problems,
    parse: impl FnOnce(&str) -> Result<T, ValueError>,
) -> Option<Result<T, Problem>> {
    let text = text(node, path, problems)?;
    Some(parse(text).map_err(|error| {
        let mut problem = Problem::new(node.at, path, error.what);
        problem.hint = error.hint;
        problem
    }))
}

/// `true` or `false`.
pub(super) fn flag(node: &Node, path: &str, problems: &mut Problems) -> Option<bool> {
    if let Kind::Bool(Some(value)) = node.kind {
        return Some(value);
    }
    let what = format!("true or false is needed, this is {}", node.kind.noun());
    problems.push(Problem::new(node.at, path, what).allowed(["true", "false"]));
    None
}

/// A whole number, within bounds that `parse` knows.
pub(super) fn number<T>(
    node: &Node,
    path: &str,
    problems: &mut Problems,
    parse: impl FnOnce(u64) -> Result<T, ValueError>,
) -> Option<T> {
    let error = match node.kind {
        Kind::Number(Some(n)) => match parse(n) {
            Ok(value) => return Some(value),
            Err(error) => error,
        },
        Kind::Number(None)
        | Kind::Null
        | Kind::Bool(_)
        | Kind::Text(_)
        | Kind::List(_)
        | Kind::Map(_) => {
            ValueError::new(format!("a whole number is needed, this is {}", node.kind.noun()))
        }
    };
    problems.push(Problem::new(node.at, path, error.what));
    None
}

/// Every item of a list; one problem for each bad item.
pub(super) fn list<T>(
    node: &Node,
    path: &str,
    problems: &mut Problems,
    mut item: impl FnMut(&Node, &str, &mut Problems) -> Option<T>,
) -> Option<Vec<T>> {
    let Kind::List(nodes) = &node.kind else {
        let what = format!("a list is needed, this is {}", node.kind.noun());
        problems.push(Problem::new(node.at, path, what));
        return None;
    };
    let mut items = Vec::new();
    for (i, node) in nodes.iter().enumerate() {
        items.extend(item(node, &format!("{path}[{i}]"), problems));
    }
    (items.len() == nodes.len()).then_some(items)
}

/// One of a few words.
pub(super) fn choice<T: Copy>(
    node: &Node,
    path: &str,
    problems: &mut Problems,
    choices: &[(&'static str, T)],
) -> Option<T> {
    let text = text(node, path, problems)?;
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    let problem = Problem::new(node.at, path, format!("`{text}` is not {}", words.join(" or ")))
        .value(text)
        .allowed(words.iter().copied());
    problems.push(match nearest(text, words.into_iter()) {
        Some(word) => problem.hint(format!("did you mean `{word}`?")),
        None => problem,
    });
    None
}

/// Text that is not empty, for a key whose value may be secret: no problem here shows it.
///
///  YAML's guesses at numbers and truth values are not taken for text.
pub(super) fn text<'n>(node: &'n Node, path: &str, problems: &mut Problems) -> Option<&'n str> {
    let problem = match &node.kind {
        Kind::Text(text) if !text.trim().is_empty() => return Some(text),
        Kind::Text(_) | Kind::Null => Problem::new(node.at, path, "the value is empty"),
        kind @ (Kind::Bool(_) | Kind::Number(_)) => {
            Problem::new(node.at, path, format!("text is needed, this is {}", kind.noun()))
                .hint("put it in quotes if it is meant as text")
        }
        kind @ (Kind::List(_) | Kind::Map(_)) => {
            Problem::new(node.at, path, format!("text is needed, this is {}", kind.noun()))
        }
    };
    problems.push(problem);
    None
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
