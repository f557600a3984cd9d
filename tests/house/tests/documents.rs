//! What the documents say is so: dependencies have reasons, commands exist.

use std::collections::{BTreeMap, BTreeSet};

use house::Source;

fn read(path: &str) -> String {
    let path = house::root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The third-party crates that the workspace names.
fn dependencies(manifest: &str) -> Vec<&str> {
    let section = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let entries = lines.filter_map(|line| line.split_once(" = "));
    entries.filter(|(_, value)| !value.contains("path =")).map(|(name, _)| name.trim()).collect()
}

#[test]
fn every_dependency_has_its_reason_in_architecture() {
    let (manifest, document) = (read("Cargo.toml"), read("ARCHITECTURE.md"));
    let names = dependencies(&manifest);
    assert!(names.len() > 5, "{names:?}");
    let silent: Vec<_> =
        names.iter().filter(|name| !document.contains(&format!("`{name}`"))).collect();
    assert!(silent.is_empty(), "ARCHITECTURE.md says nothing of {silent:?}");
}

#[test]
fn every_dependency_is_used_by_a_package() {
    let manifest = read("Cargo.toml");
    let sources = house::sources().unwrap();
    let members: Vec<&Source> =
        sources.iter().filter(|s| s.path.ends_with("/Cargo.toml")).collect();
    let is_used = |name: &str| {
        let line = format!("{name}.workspace = true");
        let table = format!("{name} = {{ workspace = true");
        members.iter().any(|m| m.text.lines().any(|l| l == line || l.starts_with(&table)))
    };
    let idle: Vec<_> = dependencies(&manifest).into_iter().filter(|n| !is_used(n)).collect();
    assert!(idle.is_empty(), "nobody uses {idle:?}");
}

/// The sub-commands of a program, from the enum that clap reads.
fn subcommands(sources: &[Source], folder: &str) -> BTreeSet<String> {
    let in_folder = sources.iter().filter(|s| s.path.starts_with(folder));
    let enums = in_folder.flat_map(|s| s.text.split("Subcommand)]").skip(1));
    let mut found = BTreeSet::new();
    for text in enums {
        for line in text.lines().take_while(|line| *line != "}") {
            let name: String =
                line.trim_start().chars().take_while(char::is_ascii_alphanumeric).collect();
            let is_variant = line.starts_with("    ")
                && !line.starts_with("     ")
                && name.starts_with(|c: char| c.is_ascii_uppercase());
            if is_variant {
                found.insert(kebab(&name));
            }
        }
    }
    found
}

fn kebab(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

/// The commands in the code blocks of a document: program and sub-command.
fn commands(document: &str) -> Vec<(String, String)> {
    let blocks = document.split("```").skip(1).step_by(2);
    let lines = blocks.flat_map(str::lines);
    let parse = |line: &str| {
        let mut words = line.trim_start_matches(['#', '$', ' ']).split_whitespace();
        let program = words.next()?;
        let program = program.rsplit('/').next().unwrap_or(program);
        if program == "cargo" {
            let is_ours = words.next()? == "xtask";
            return is_ours.then_some(("xtask".to_owned(), words.next()?.to_owned()));
        }
        Some((program.to_owned(), words.next()?.to_owned()))
    };
    lines.filter_map(parse).collect()
}

#[test]
fn the_commands_of_the_readme_exist() {
    let sources = house::sources().unwrap();
    let rooms = [
        ("xtask", "tests/xtask/src/"),
        ("host-installer", "installer/src/"),
        ("image-builder", "image-builder/src/"),
        ("partitioner", "partitioner/src/"),
    ];
    let known: BTreeMap<&str, BTreeSet<String>> =
        rooms.iter().map(|(name, folder)| (*name, subcommands(&sources, folder))).collect();
    for (program, commands) in &known {
        assert!(!commands.is_empty(), "no sub-command of {program} was found");
    }
    let mut shown = 0_u32;
    for (program, command) in commands(&read("README.md")) {
        let Some(commands) = known.get(program.as_str()) else { continue };
        shown = shown.saturating_add(1);
        assert!(commands.contains(&command), "README.md: {program} has no {command}");
    }
    assert!(shown >= 2, "README.md shows {shown} commands");
}

/// The crash lane writes its figures itself; nobody types them.
#[test]
fn the_figures_of_the_readme_are_those_of_the_crash_lane() {
    let (figures, readme) = (read("tests/crash/FIGURES.md"), read("README.md"));
    let sum = figures.lines().find(|line| line.contains(" violations; "));
    let sum = sum.expect("FIGURES.md has a line with the sum");
    assert!(readme.contains(sum), "README.md does not have this line of FIGURES.md: {sum}");
}

#[test]
fn the_readers_of_documents_can_read() {
    let manifest = "[workspace.dependencies]\nours = { path = \"x\" }\na = \"1\"\n\n[lints]\nb = 1";
    assert_eq!(dependencies(manifest), ["a"]);
    let text =
        "x\n```\n$ cargo xtask demo --keep\n# image-builder iso --out x\n```\ncargo xtask no";
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(commands(text), [pair("xtask", "demo"), pair("image-builder", "iso")]);
    let text =
        "#[derive(Subcommand)]\nenum C {\n    /// X\n    BootMenu {\n        Not: u8,\n    },\n}";
    let source = Source { path: "a/b.rs".to_owned(), text: text.to_owned() };
    assert_eq!(subcommands(&[source], "a/"), BTreeSet::from(["boot-menu".to_owned()]));
}
