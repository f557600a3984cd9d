//! Reading an element strictly: what nobody asks for is a problem.

use roxmltree::Node;

use super::lines::Lines;
use crate::nearest::nearest;
use crate::problem::{Place, Problem, Problems};
use crate::values::ValueError;

/// One element, of which attributes and children are taken one by one. [`Element::finish`] reports
/// the others, which the old installer ignored in silence.
pub(super) struct Element<'d, 'x> {
    lines: &'d Lines<'x>,
    node: Node<'d, 'x>,
    path: String,
    attributes: Vec<&'static str>,
    children: Vec<&'static str>,
}

impl<'d, 'x> Element<'d, 'x> {
    pub(super) const fn of(lines: &'d Lines<'x>, node: Node<'d, 'x>, path: String) -> Self {
        Self { lines, node, path, attributes: Vec::new(), children: Vec::new() }
    }

    pub(super) fn name(&self) -> &str {
        self.node.tag_name().name()
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn at(&self) -> Place {
        self.place(self.node.range().start)
    }

    fn place(&self, offset: usize) -> Place {
        self.lines.place(offset)
    }

    /// The text of the element, trimmed.
    pub(super) fn text(&self) -> String {
        self.node.text().unwrap_or_default().trim().to_owned()
    }

    /// An attribute's place and value, trimmed.
    pub(super) fn attribute(&mut self, name: &'static str) -> Option<(Place, String)> {
        self.attributes.push(name);
        let found = self.node.attributes().find(|a| a.name() == name)?;
        Some((self.place(found.range().start), found.value().trim().to_owned()))
    }

    /// Yes or no, where the old installer took every other word for no.
    pub(super) fn flag(
        &mut self,
        name: &'static str,
        default: bool,
        problems: &mut Problems,
    ) -> Option<bool> {
        let Some((at, text)) = self.attribute(name) else { return Some(default) };
        match text.to_ascii_lowercase().as_str() {
            "" => Some(default),
            "yes" | "true" => Some(true),
            "no" | "false" => Some(false),
            _ => {
                let what =
                    format!("`{text}` is neither yes nor no; the old installer took it for no");
                let problem = Problem::new(at, join(&self.path, name), what);
                problems.push(problem.value(text).allowed(["yes", "no", "true", "false"]));
                None
            }
        }
    }

    /// The elements of a name, which may be there more than once.
    pub(super) fn all(&mut self, name: &'static str) -> Vec<Element<'d, 'x>> {
        self.children.push(name);
        let (lines, path) = (self.lines, join(&self.path, name));
        let children = self.node.children().filter(Node::is_element);
        children
            .filter(|n| n.tag_name().name() == name)
            .map(|n| Element::of(lines, n, path.clone()))
            .collect()
    }

    /// The element of a name that may be there once, of which the old installer took the first.
    pub(super) fn one(
        &mut self,
        name: &'static str,
        problems: &mut Problems,
    ) -> Option<Element<'d, 'x>> {
        self.one_of(&[name], problems)
    }

    /// The same for an element that has an older name too.
    pub(super) fn one_of(
        &mut self,
        names: &[&'static str],
        problems: &mut Problems,
    ) -> Option<Element<'d, 'x>> {
        let mut found: Vec<Element<'d, 'x>> =
            names.iter().flat_map(|name| self.all(name)).collect();
        if let [first, second, ..] = &found[..] {
            let (one, two) = (first.at().line, second.at().line);
            let what = format!("given twice (lines {one} and {two})");
            problems.push(Problem::new(second.at(), second.path.clone(), what));
        }
        (!found.is_empty()).then(|| found.swap_remove(0))
    }

    /// The text, read by a grammar.
    pub(super) fn value<T>(
        &self,
        problems: &mut Problems,
        parse: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        let text = self.text();
        value((self.at(), text), &self.path, problems, parse)
    }

    /// Refuses what is there.
    pub(super) fn refuse(&self, problems: &mut Problems, why: &str, instead: &str) {
        let problem = Problem::new(self.at(), self.path.clone(), why);
        problems.push(if instead.is_empty() { problem } else { problem.hint(instead) });
    }

    /// Reports every attribute and child that nobody took. The values are not shown: a password may
    /// stand behind a typing mistake.
    pub(super) fn finish(self, problems: &mut Problems) {
        for attribute in self.node.attributes() {
            let name = attribute.name();
            if !self.attributes.contains(&name) {
                let at = self.place(attribute.range().start);
                problems.push(unknown(at, &self.path, name, &self.attributes));
            }
        }
        for child in self.node.children().filter(Node::is_element) {
            let name = child.tag_name().name();
            if !self.children.contains(&name) {
                let at = self.place(child.range().start);
                problems.push(unknown(at, &self.path, name, &self.children));
            }
        }
        let stray =
            |n: &Node<'_, '_>| n.is_text() && n.text().is_some_and(|t| !t.trim().is_empty());
        if !self.children.is_empty()
            && let Some(text) = self.node.children().find(stray)
        {
            let at = self.place(text.range().start);
            problems.push(Problem::new(at, self.path, "text stands here, elements are needed"));
        }
    }
}

fn unknown(at: Place, path: &str, name: &str, known: &[&'static str]) -> Problem {
    let what =
        format!("unknown setting `{name}` (line {}), which the old installer ignored", at.line);
    let problem = Problem::new(at, join(path, name), what).allowed(known.iter().copied());
    match nearest(name, known.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem,
    }
}

pub(super) fn value<T>(
    (at, text): (Place, String),
    path: &str,
    problems: &mut Problems,
    parse: impl FnOnce(&str) -> Result<T, ValueError>,
) -> Option<T> {
    let error = match parse(&text) {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    let mut problem = Problem::new(at, path, error.what);
    problem.hint = error.hint;
    problems.push(problem);
    None
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
