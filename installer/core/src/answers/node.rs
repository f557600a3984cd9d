//! The YAML document as a tree in which every node knows its place.
//!
//! The typed reader of the YAML library stops at the first mistake; a tree lets all mistakes be
//! found in one pass. Aliases are refused, so that a small file stays small; merge keys are keys
//! like any other, and therefore unknown.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, MergeKeyPolicy, Spanned};

use crate::problem::{Place, Problem, Problems};

/// A node and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub at: Place,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Null,
    /// `true` and `false`; none for `yes`, `no`, `on` and `off`, which YAML 1.1 took too.
    Bool(Option<bool>),
    /// The number, where it is a whole one that is not negative.
    Number(Option<u64>),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; a key may be there twice.
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub(super) struct Key {
    pub at: Place,
    pub name: String,
}

impl Kind {
    pub(super) const fn noun(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "an unquoted yes, no, true or false",
            Self::Number(_) => "an unquoted number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// How deep a document may be nested; ours needs five.
const DEPTH_MAX: usize = 32;

/// More keys, values and lists are no answer file; one for hundreds of machines has some thousand.
const NODES_MAX: usize = 12_000;

pub(super) fn parse(file: &str, text: &str) -> Result<Node, Problems> {
    let options = serde_saphyr::options! {
        with_snippet: false, // A snippet would print secrets.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        reject_unsupported_tags: true,
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_aliases: 0,
            max_documents: 1,
        },
    };
    match serde_saphyr::from_str_with_options::<Spanned<Kind>>(text, options) {
        Ok(root) => {
            let mut root = root.into();
            let lines: Vec<&str> = text.lines().collect();
            only_true_and_false(&mut root, &lines);
            Ok(root)
        }
        Err(error) => {
            let mut problems = Problems::new(file);
            problems.push(problem(&error));
            Err(problems)
        }
    }
}

/// The library takes `yes` for true; the text tells which it was, in quotes or not.
fn only_true_and_false(node: &mut Node, lines: &[&str]) {
    match &mut node.kind {
        Kind::Bool(value) => {
            let line =
                usize::try_from(node.at.line).ok().and_then(|n| lines.get(n.checked_sub(1)?));
            let skip = usize::try_from(node.at.column).unwrap_or(1).saturating_sub(1);
            let written: String =
                line.into_iter().flat_map(|l| l.chars().skip(skip).take(5)).collect();
            if !written.starts_with("true") && !written.starts_with("false") {
                *value = None;
            }
        }
        Kind::List(list) => list.iter_mut().for_each(|node| only_true_and_false(node, lines)),
        Kind::Map(map) => {
            for (_, node) in map {
                only_true_and_false(node, lines);
            }
        }
        Kind::Null | Kind::Number(_) | Kind::Text(_) => {}
    }
}

fn problem(error: &Error) -> Problem {
    let at = error.location().map_or(Place { line: 1, column: 1 }, |at| place(&at));
    let text = error.to_string();
    if text.contains("alias") || text.contains("anchor") {
        return Problem::new(at, "", "aliases (`*name`) are not used in answer files")
            .hint("text that begins with * must be in quotes");
    }
    let documents = matches!(
        error,
        Error::MultipleDocuments { .. }
            | Error::Budget { breach: BudgetBreach::Documents { .. }, .. }
    );
    if documents {
        return Problem::new(at, "", "an answer file is one YAML document");
    }
    if let Error::Budget { breach: BudgetBreach::Nodes { .. }, .. } = error {
        let what = format!("more than {NODES_MAX} keys and values are no answer file");
        return Problem::new(at, "", what);
    }
    if text.contains(" tag") {
        return Problem::new(at, "", "tags (`!name`) are not used in answer files")
            .hint("text that begins with ! must be in quotes");
    }
    if text.contains("recursion limit") || text.contains("Depth") {
        return Problem::new(at, "", format!("nested deeper than {DEPTH_MAX} levels"));
    }
    // The library ends its text with the place, which we show in front.
    let what = text.split(" at line ").next().unwrap_or_default();
    let what = what.split_once(": ").map_or(what, |(_, what)| what);
    // What it quotes may be a secret.
    if what.contains('`') {
        return Problem::new(at, "", "not YAML: a value cannot begin with this character")
            .hint("put text in quotes");
    }
    Problem::new(at, "", format!("not YAML: {what}"))
}

fn place(at: &Location) -> Place {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
    Place { line: number(at.line()), column: number(at.column()) }
}

impl From<Spanned<Kind>> for Node {
    fn from(spanned: Spanned<Kind>) -> Self {
        Self { at: place(&spanned.referenced), kind: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML node")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(Some(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Number(u64::try_from(value).ok()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Number(Some(value)))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Kind, E> {
        Ok(Kind::Number(None))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Kind, E> {
        Ok(Kind::Number(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Kind, E> {
        Ok(Kind::Number(None))
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Kind>>()? {
            list.push(item.into());
        }
        Ok(Kind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let key = Key { at: place(&key.referenced), name: key.value };
            map.push((key, access.next_value::<Spanned<Kind>>()?.into()));
        }
        Ok(Kind::Map(map))
    }
}
