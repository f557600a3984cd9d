//! A tree in the order of the file, and how it is printed.

use super::put;

/// A value. Text is always in quotes: nothing in it is taken for a number or a truth value.
pub(super) enum Out {
    Text(String),
    Number(u64),
    Flag(bool),
    List(Vec<Self>),
    Map(Map),
}

pub(super) fn text(text: impl Into<String>) -> Out {
    Out::Text(text.into())
}

#[derive(Default)]
pub(super) struct Map(Vec<(String, Out)>);

impl Map {
    pub(super) fn of<const N: usize>(entries: [(&str, Out); N]) -> Self {
        Self(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    pub(super) fn put(&mut self, key: &str, value: Out) {
        self.0.push((key.to_owned(), value));
    }

    pub(super) fn some(&mut self, key: &str, value: Option<Out>) {
        self.0.extend(value.map(|value| (key.to_owned(), value)));
    }

    /// Left out where it is empty, like the two below.
    pub(super) fn map(&mut self, key: &str, map: Self) {
        if !map.0.is_empty() {
            self.put(key, Out::Map(map));
        }
    }

    pub(super) fn list<'t>(&mut self, key: &str, words: impl Iterator<Item = &'t str>) {
        self.items(key, words.map(text).collect());
    }

    pub(super) fn items(&mut self, key: &str, items: Vec<Out>) {
        if !items.is_empty() {
            self.put(key, Out::List(items));
        }
    }

    pub(super) fn print(&self, file: &mut String, indent: usize) {
        for (key, value) in &self.0 {
            put(file, format_args!("{:indent$}{}:", "", plain_or_quoted(key)));
            value.print(file, indent);
        }
    }
}

impl Out {
    /// What stands behind a key or the dash of a list, with the end of the line.
    fn print(&self, file: &mut String, indent: usize) {
        match self {
            Self::Text(text) => put(file, format_args!(" {}\n", quoted(text))),
            Self::Number(n) => put(file, format_args!(" {n}\n")),
            Self::Flag(flag) => put(file, format_args!(" {flag}\n")),
            Self::List(items) => {
                file.push('\n');
                for item in items {
                    put(file, format_args!("{:indent$}  -", ""));
                    item.print(file, indent.saturating_add(4));
                }
            }
            Self::Map(map) => {
                file.push('\n');
                map.print(file, indent.saturating_add(2));
            }
        }
    }
}

/// Our own keys need no quotes; names of the operator's may.
fn plain_or_quoted(key: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let begins = key.starts_with(|c: char| c.is_ascii_lowercase());
    // YAML 1.1 has words that are no text.
    let word = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&key);
    // `on` is a key of ours, which the reader takes for text where a key stands.
    if begins && key.chars().all(plain) && (!word || key == "on") {
        return key.to_owned();
    }
    quoted(key)
}

/// YAML 1.2, section 5.7: in double quotes every character has an escape.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || c == '\u{feff}' => {
                put(&mut out, format_args!("\\U{:08x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
