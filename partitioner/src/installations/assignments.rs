//! Files of lines `KEY='value'`, as old hosts keep their settings. A shell would run such a file;
//! this only reads it, and refuses what a shell would do more with than assign.

use std::collections::BTreeMap;

/// Why a file is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    #[error("line {line}: not KEY='value'")]
    Malformed { line: usize },
    #[error("line {line}: `{key}` stands twice")]
    Twice { line: usize, key: String },
    #[error("line {line}: the value of `{key}` is code for a shell")]
    Code { line: usize, key: String },
    #[error("not UTF-8")]
    NotText,
}

/// The keys and their values.
pub fn assignments(bytes: &[u8]) -> Result<BTreeMap<String, String>, AssignmentError> {
    let text = std::str::from_utf8(bytes).map_err(|_| AssignmentError::NotText)?;
    let mut keys = BTreeMap::new();
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let malformed = AssignmentError::Malformed { line };
        let (key, value) = content.split_once('=').ok_or_else(|| malformed.clone())?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if key.is_empty() || !key.chars().all(is_name) {
            return Err(malformed);
        }
        let value =
            unquoted(value).ok_or_else(|| AssignmentError::Code { line, key: key.to_owned() })?;
        if keys.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(AssignmentError::Twice { line, key: key.to_owned() });
        }
    }
    Ok(keys)
}

/// The value as it would be assigned; `None` where a shell would do anything else.
fn unquoted(value: &str) -> Option<&str> {
    let inside = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(text) = inside('\'') {
        return (!text.contains('\'')).then_some(text);
    }
    let active = |c: char| matches!(c, '$' | '`' | '\\' | '"' | '\'');
    if let Some(text) = inside('"') {
        return (!text.contains(active)).then_some(text);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._:/+-,@%".contains(c);
    value.chars().all(plain).then_some(value)
}
