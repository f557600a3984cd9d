//! The old root's files as text, with errors that say where.

use std::collections::BTreeMap;
use std::fmt::Display;

use partitioner::installations::assignments;

use super::{CarryError, OldFile, OldFiles};
use crate::values::ValueError;

/// The files, read as text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Texts<'f>(&'f OldFiles);

/// Keys of a file of assignments.
#[derive(Debug)]
pub(super) struct Keys {
    path: String,
    keys: BTreeMap<String, String>,
}

/// Something is wrong in a file.
pub(super) fn in_file(path: &str, what: impl Display) -> CarryError {
    CarryError::File { path: path.to_owned(), what: plain(&what.to_string()) }
}

/// Something is wrong in a line of a file.
pub(super) fn in_line(path: &str, line: usize, what: impl Display) -> CarryError {
    CarryError::Line { path: path.to_owned(), line, what: plain(&what.to_string()) }
}

/// The old host's bytes reach a terminal by these messages.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

impl<'f> Texts<'f> {
    pub(super) const fn new(files: &'f OldFiles) -> Self {
        Self(files)
    }

    /// A file's text; `None` where no file is.
    pub(super) fn text(self, path: &str) -> Result<Option<&'f str>, CarryError> {
        match self.0.get(path) {
            Some(OldFile::Content(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(in_file(path, "not UTF-8")),
            },
            Some(OldFile::Link(_) | OldFile::There) | None => Ok(None),
        }
    }

    /// Each line that says something, with its number: no comments, no empty ones.
    pub(super) fn lines(self, path: &str) -> Result<Vec<(usize, &'f str)>, CarryError> {
        let lines = (1..).zip(self.text(path)?.unwrap_or_default().lines());
        let lines = lines.map(|(number, line)| (number, line.trim()));
        Ok(lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect())
    }

    pub(super) fn link(self, path: &str) -> Option<&'f str> {
        match self.0.get(path) {
            Some(OldFile::Link(to)) => Some(to),
            Some(OldFile::Content(_) | OldFile::There) | None => None,
        }
    }

    pub(super) fn is_there(self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// What lies in a folder, by name.
    pub(super) fn within(self, folder: &str) -> Vec<(&'f str, &'f OldFile)> {
        let below = self.0.iter().filter_map(|(path, file)| {
            let name = path.strip_prefix(folder)?.strip_prefix('/')?;
            (!name.contains('/')).then_some((name, file))
        });
        below.collect()
    }

    /// A file of lines `KEY='value'`; `None` where no file is.
    pub(super) fn keys(self, path: &str) -> Result<Option<Keys>, CarryError> {
        let Some(text) = self.text(path)? else { return Ok(None) };
        let keys = assignments(text.as_bytes()).map_err(|e| in_file(path, e))?;
        Ok(Some(Keys { path: path.to_owned(), keys }))
    }
}

impl Keys {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// A value that is not empty.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn needed(&self, key: &str) -> Result<&str, CarryError> {
        self.get(key).ok_or_else(|| in_file(&self.path, format!("`{key}` is missing")))
    }

    /// A value with a grammar of its own.
    pub(super) fn value<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, ValueError>,
    ) -> Result<Option<T>, CarryError> {
        let parsed = self.get(key).map(parse).transpose();
        parsed.map_err(|e| in_file(&self.path, format!("{key}: {e}")))
    }
}

/// JSON that does not parse, with its line.
pub(super) fn json(path: &str, error: &serde_json::Error) -> CarryError {
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends in the middle",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "not JSON",
        serde_json::error::Category::Data => "something is of another kind than is expected",
    };
    in_line(path, error.line(), what)
}
