//! The JSON Schema of the answer file: it is the one that is checked in, it takes every good file
//! and refuses every bad one, as far as a schema can know.
#![expect(clippy::disallowed_methods, reason = "this test reads the checked-in files")]
#![expect(
    clippy::unwrap_used,
    reason = "a test may stop wherever something is not as it should be"
)]

use std::fs;
use std::path::{Path, PathBuf};

use boon::{Compiler, Schemas};
use installer_core::answers::json_schema;
use serde_json::Value;

/// What only the reader can tell.
const NOT_FOR_A_SCHEMA: [(&str, &str); 11] = [
    ("alias", "readers of YAML resolve it"),
    ("gateway-outside", "which network an address is in"),
    ("links-do-not-fit", "which names are used, and how often"),
    ("merge-key", "readers of YAML resolve it"),
    ("nobody-can-log-in", "several answers together"),
    ("overrides-that-spoil", "what a part of an answer becomes with the rest"),
    ("password-control", "a schema that shows what it refuses would show the password"),
    ("schema-not-first", "the order of keys"),
    ("source-hash-of-the-medium", "several answers together"),
    ("source-over-http", "several answers together"),
    ("storage", "which disk is the host's, and which are named"),
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../answerfiles").join(name)
}

/// Name and content of each YAML file that is YAML at all.
fn files(name: &str) -> Vec<(String, Value)> {
    let paths = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    let mut files: Vec<(String, Value)> = yaml
        .filter_map(|path| {
            let text = String::from_utf8(fs::read(&path).unwrap()).ok()?;
            let value = serde_saphyr::from_str(&text).ok()?;
            Some((path.file_stem().unwrap().to_str().unwrap().to_owned(), value))
        })
        .collect();
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(!files.is_empty(), "answerfiles/{name} has no answer file");
    files
}

struct Judge {
    schemas: Schemas,
    index: boon::SchemaIndex,
}

impl Judge {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("answers.json", json_schema()).unwrap();
        let index = compiler.compile("answers.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn complaint(&self, value: &Value) -> Option<String> {
        self.schemas.validate(value, self.index).err().map(|error| format!("{error:#}"))
    }
}

#[test]
fn the_checked_in_schema_is_the_one_of_the_types() {
    let path = folder("schema.json");
    let got = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    if std::env::var_os("XENHOST_GOLDENS").is_some_and(|what| what == "write") {
        fs::write(&path, &got).unwrap();
    }
    assert_eq!(got, fs::read_to_string(&path).unwrap_or_default(), "host-installer schema");
}

#[test]
fn every_good_file_is_taken() {
    let judge = Judge::new();
    for name in ["examples", "good", "refused", "xenserver"] {
        for (file, value) in files(name) {
            assert_eq!(judge.complaint(&value), None, "{name}/{file}");
        }
    }
}

#[test]
fn every_bad_file_is_refused_where_a_schema_can_know() {
    let judge = Judge::new();
    let taken: Vec<String> = files("bad")
        .into_iter()
        .filter(|(_, value)| judge.complaint(value).is_none())
        .map(|(file, _)| file)
        .collect();
    let expected: Vec<&str> = NOT_FOR_A_SCHEMA.iter().map(|(name, _)| *name).collect();
    assert_eq!(taken, expected);
}

/// Every key of the schema is in some good file, so that the reader is known to take it.
#[test]
fn every_key_of_the_schema_is_read() {
    let mut known = Vec::new();
    properties(&json_schema(), &mut known);
    known.sort();
    known.dedup();
    let mut seen = Vec::new();
    for name in ["examples", "good", "refused", "xenserver"] {
        for (_, value) in &files(name) {
            keys(value, &mut seen);
        }
    }
    let missing: Vec<&String> = known.iter().filter(|name| !seen.contains(name)).collect();
    assert!(missing.is_empty(), "no good file has {missing:?}");
}

fn properties(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(named)) = map.get("properties") {
                found.extend(named.keys().cloned());
            }
            map.values().for_each(|value| properties(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| properties(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn keys(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.keys().cloned());
            map.values().for_each(|value| keys(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
