//! What is shown of a text that somebody else wrote: the output of a script.

use std::fmt;

use super::{Secret, redact_url};

/// What stands in place of a secret.
const HIDDEN: &str = "***";
/// A shorter secret would be found in every second word.
const CHARS_MIN: usize = 4;

/// Knows the secrets of the answers.
#[derive(Clone, Default)]
pub struct Redactor(Vec<Secret>);

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets, not shown)", self.0.len())
    }
}

impl Redactor {
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let long = |secret: &Secret| CHARS_MIN <= secret.expose().chars().count();
        let mut secrets: Vec<Secret> = secrets.into_iter().filter(long).collect();
        // The longest first: one may be a part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self(secrets)
    }

    /// The text without its secrets, without the passwords of addresses, and without what would
    /// make a terminal do something.
    pub fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret.expose(), HIDDEN);
        }
        let words = text.split_inclusive(|c: char| c.is_whitespace() || QUOTES.contains(&c));
        let shown: String = words.map(word).collect();
        shown.chars().map(|c| if is_command(c) { '?' } else { c }).collect()
    }
}

/// An address may stand in them, and they cannot stand in an address (RFC 3986, 2).
const QUOTES: [char; 4] = ['"', '`', '<', '>'];

fn word(word: &str) -> String {
    let end = word.trim_end_matches(|c: char| c.is_whitespace() || QUOTES.contains(&c)).len();
    match word.split_at_checked(end) {
        Some((address, rest)) if address.contains("://") => redact_url(address) + rest,
        Some(_) | None => word.to_owned(),
    }
}

fn is_command(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_addresses_and_commands_are_not_shown() {
        let redactor = Redactor::new(["hunter2", "hunter2hunter2", "abc"].map(Secret::new));
        for (text, shown) in [
            ("+ echo hunter2hunter2 hunter2!\n", "+ echo *** ***!\n"),
            ("abcdef", "abcdef"),
            ("get 'https://u:p'w@h/x?t=1', ok", "get 'https://***@h/x?*** ok"),
            ("<ftp://u:pw@h>\n", "<ftp://***@h>\n"),
            ("\u{1b}[2Jred\r\n\tx", "?[2Jred?\n\tx"),
        ] {
            assert_eq!(redactor.clean(text), shown);
        }
    }
}
