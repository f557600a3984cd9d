//! The text in which LVM2 keeps a volume group: `key = value` and `name { … }`, nested (lvm.conf(5)
//! and LVM2 `lib/config`). A small reader of the whole grammar that metadata uses, with bounds on
//! depth and number of values: the text comes from a disk.

use std::collections::BTreeMap;

/// A group, in it volumes, in them segments: four levels are in use.
const DEPTH_MAX: u32 = 8;
/// Ten thousand volumes have some 150,000.
const VALUES_MAX: u32 = 250_000;

/// What stands behind a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Number(i64),
    List(Vec<Value>),
    Section(Section),
}

/// `name { … }`, and the whole text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section(BTreeMap<String, Value>);

impl Section {
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.0.get(key)? {
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::List(_) | Value::Section(_) => None,
        }
    }

    /// A number that is not negative.
    pub fn number(&self, key: &str) -> Option<u64> {
        match self.0.get(key)? {
            Value::Number(number) => u64::try_from(*number).ok(),
            Value::Text(_) | Value::List(_) | Value::Section(_) => None,
        }
    }

    pub fn list(&self, key: &str) -> Option<&[Value]> {
        match self.0.get(key)? {
            Value::List(list) => Some(list),
            Value::Text(_) | Value::Number(_) | Value::Section(_) => None,
        }
    }

    pub fn section(&self, key: &str) -> Option<&Section> {
        match self.0.get(key)? {
            Value::Section(section) => Some(section),
            Value::Text(_) | Value::Number(_) | Value::List(_) => None,
        }
    }

    /// The sections in it, by name.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &Section)> {
        self.0.iter().filter_map(|(name, value)| match value {
            Value::Section(section) => Some((name.as_str(), section)),
            Value::Text(_) | Value::Number(_) | Value::List(_) => None,
        })
    }

    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}

/// Why a text is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("byte {at}: {wanted} expected")]
    Unexpected { at: usize, wanted: &'static str },
    #[error("byte {at}: `{key}` stands twice")]
    Twice { at: usize, key: String },
    #[error("byte {at}: nested deeper than {DEPTH_MAX} levels")]
    TooDeep { at: usize },
    #[error("more than {VALUES_MAX} values")]
    TooMany,
}

/// Reads a whole text. A NUL ends it, as LVM writes one behind it.
pub fn parse(bytes: &[u8]) -> Result<Section, TextError> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let mut reader = Reader { bytes: bytes.get(..end).unwrap_or_default(), at: 0, values: 0 };
    reader.body(0)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    values: u32,
}

impl Reader<'_> {
    /// Entries up to the closing brace, or to the end of the text at the outermost level.
    fn body(&mut self, depth: u32) -> Result<Section, TextError> {
        let mut section = Section::default();
        loop {
            self.blank();
            match self.peek() {
                None if depth == 0 => return Ok(section),
                Some(b'}') if depth != 0 => {
                    self.step();
                    return Ok(section);
                }
                None | Some(_) => {}
            }
            let (key, value) = self.entry(depth)?;
            if section.0.contains_key(&key) {
                return Err(TextError::Twice { at: self.at, key });
            }
            section.0.insert(key, value);
        }
    }

    fn entry(&mut self, depth: u32) -> Result<(String, Value), TextError> {
        let key = self.key()?;
        self.blank();
        match self.peek() {
            Some(b'{') if DEPTH_MAX <= depth => Err(TextError::TooDeep { at: self.at }),
            Some(b'{') => {
                self.step();
                self.count()?;
                let section = self.body(depth.saturating_add(1))?;
                Ok((key, Value::Section(section)))
            }
            Some(b'=') => {
                self.step();
                self.blank();
                let value = if self.peek() == Some(b'[') { self.list()? } else { self.scalar()? };
                Ok((key, value))
            }
            None | Some(_) => self.unexpected("`=` or `{`"),
        }
    }

    fn key(&mut self) -> Result<String, TextError> {
        if self.peek() == Some(b'"') {
            return self.quoted();
        }
        let plain = |byte: u8| !byte.is_ascii_whitespace() && !b"={}[]\"#,".contains(&byte);
        let word = self.take_while(plain);
        if word.is_empty() { self.unexpected("a name") } else { Ok(word) }
    }

    fn list(&mut self) -> Result<Value, TextError> {
        self.step();
        let mut list = Vec::new();
        loop {
            self.blank();
            if self.peek() == Some(b']') {
                self.step();
                return Ok(Value::List(list));
            }
            if !list.is_empty() {
                if self.peek() != Some(b',') {
                    return self.unexpected("`,` or `]`");
                }
                self.step();
                self.blank();
            }
            list.push(self.scalar()?);
        }
    }

    fn scalar(&mut self) -> Result<Value, TextError> {
        self.count()?;
        if self.peek() == Some(b'"') {
            return self.quoted().map(Value::Text);
        }
        let digits = self.take_while(|byte| byte.is_ascii_digit() || byte == b'-');
        match digits.parse() {
            Ok(number) => Ok(Value::Number(number)),
            Err(_) => self.unexpected("a text or a whole number"),
        }
    }

    fn quoted(&mut self) -> Result<String, TextError> {
        self.step();
        let mut text = Vec::new();
        loop {
            let Some(byte) = self.peek() else { return self.unexpected("`\"`") };
            self.step();
            match byte {
                b'"' => break,
                b'\\' => {
                    let Some(escaped) = self.peek() else { return self.unexpected("`\"`") };
                    self.step();
                    text.push(escaped);
                }
                plain => text.push(plain),
            }
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// White space, and comments up to the end of their line.
    fn blank(&mut self) {
        let mut comment = false;
        while let Some(byte) = self.peek() {
            comment = (comment || byte == b'#') && byte != b'\n';
            if !comment && !byte.is_ascii_whitespace() {
                return;
            }
            self.step();
        }
    }

    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> String {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|byte| !belongs(*byte)).unwrap_or(rest.len());
        self.at = self.at.saturating_add(len);
        String::from_utf8_lossy(rest.get(..len).unwrap_or_default()).into_owned()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn count(&mut self) -> Result<(), TextError> {
        self.values = self.values.saturating_add(1);
        if VALUES_MAX < self.values { Err(TextError::TooMany) } else { Ok(()) }
    }

    fn unexpected<T>(&self, wanted: &'static str) -> Result<T, TextError> {
        Err(TextError::Unexpected { at: self.at, wanted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, want: &str) {
        assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), want);
    }

    #[test]
    fn the_grammar_of_metadata() {
        let text = "vg { # a group\nid = \"a\\\"b\"\nseqno = 7\nstatus = [\"READ\", \"WRITE\"]\n\
                    flags = []\nlogical_volumes {\nMGT {\nsegment1 {\nstripes = [\"pv0\", 12]\n}\n\
                    }\n}\n}\ncontents = \"Text\"\nversion = 1\n\0 rest of the ring {{{";
        let all = parse(text.as_bytes()).unwrap();
        let group = all.section("vg").unwrap();
        assert_eq!((group.text("id"), group.number("seqno")), (Some("a\"b"), Some(7)));
        assert_eq!(group.list("status").map(<[Value]>::len), Some(2));
        assert_eq!(group.list("flags"), Some(&[][..]));
        let volumes = group.section("logical_volumes").unwrap();
        assert_eq!(volumes.sections().map(|(name, _)| name).collect::<Vec<_>>(), ["MGT"]);
        assert_eq!(all.number("version"), Some(1));
        assert_eq!((all.number("contents"), all.text("nothing")), (None, None));
    }

    #[test]
    fn what_is_not_metadata_is_named_with_its_place() {
        refused("a", "byte 1: `=` or `{` expected");
        refused("a = ", "byte 4: a text or a whole number expected");
        refused("a = 1.5", "byte 7: `=` or `{` expected");
        refused("a = [1 2]", "byte 7: `,` or `]` expected");
        refused("a = \"x", "byte 6: `\"` expected");
        refused("a { b = 1", "byte 9: a name expected");
        refused("}", "byte 0: a name expected");
        refused("a = 1 a = 2", "byte 11: `a` stands twice");
        refused(&"a {".repeat(9), "byte 26: nested deeper than 8 levels");
        refused(&format!("a = [{}]", "1,".repeat(260_000)), "more than 250000 values");
    }
}
