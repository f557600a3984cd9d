//! House rules that clippy cannot express.

use house::Source;

/// Lines of code that a file may have before its tests.
const CODE_LINES_MAX: usize = 400;
const COLUMNS_MAX: usize = 100;

/// Words that no file may hold. In pieces, so that this file does not hold them.
fn banned() -> Vec<String> {
    let pairs = [
        // Folders of the machines that this was written on.
        ("/wo", "rk/"),
        ("/tmp", "/w/"),
        ("/home", "/"),
        // Hosts of package registries: sources are those of the build machine, or named by options.
        ("deb.deb", "ian.org"),
        ("security.deb", "ian.org"),
        ("crates", ".io"),
        ("static.rust", "-lang.org"),
        ("py", "pi.org"),
        ("proxy.go", "lang.org"),
    ];
    pairs.iter().map(|(one, two)| format!("{one}{two}")).collect()
}

/// What is wrong with one file.
fn untidy(source: &Source) -> Vec<String> {
    let Source { path, text } = source;
    let mut found = Vec::new();
    // Cargo writes these, and names the registry in them.
    if !path.ends_with("Cargo.lock") {
        let held = banned().into_iter().filter(|word| text.contains(word.as_str()));
        found.extend(held.map(|word| format!("{path}: holds {word}")));
    }
    if std::path::Path::new(path).extension().is_none_or(|e| e != "rs") {
        return found;
    }
    if path.ends_with("/mod.rs") {
        found.push(format!("{path}: should be named after its module"));
    }
    if !text.starts_with("//!") {
        found.push(format!("{path}: does not begin with `//!`"));
    }
    let code = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
    if code > CODE_LINES_MAX {
        found.push(format!("{path}: {code} lines of code, {CODE_LINES_MAX} allowed"));
    }
    let ignore = format!("#[{}", "ignore");
    let todo = format!("{}{}", "TO", "DO");
    for (number, line) in text.lines().enumerate().map(|(i, line)| (i.saturating_add(1), line)) {
        let at = format!("{path}:{number}");
        if line.chars().count() > COLUMNS_MAX {
            found.push(format!("{at}: longer than {COLUMNS_MAX} columns"));
        }
        if line.trim_start().starts_with(&ignore) {
            found.push(format!("{at}: a test that does not run"));
        }
        if line.contains(&todo) {
            found.push(format!("{at}: something is left to do"));
        }
        let is_glob = line.trim_start().starts_with("use ") && line.ends_with("::*;");
        // Tests stand inside the module that they test, and a prelude is made to be taken whole.
        let is_whole = line.trim().starts_with("use super::") || line.contains("::prelude::");
        if is_glob && !is_whole {
            found.push(format!("{at}: imports everything"));
        }
    }
    found
}

#[test]
fn every_file_is_tidy() {
    let sources = house::sources().unwrap();
    assert!(sources.len() > 50, "only {} files were found", sources.len());
    let found: Vec<String> = sources.iter().flat_map(untidy).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn each_rule_is_seen_to_be_broken() {
    let check = |path: &str, text: &str| {
        untidy(&Source { path: path.to_owned(), text: text.to_owned() }).len()
    };
    assert_eq!(check("a/b.rs", "//! x\n"), 0);
    assert_eq!(check("a/b.rs", "fn x() {}\n"), 1);
    assert_eq!(check("a/mod.rs", "//! x\n"), 1);
    assert_eq!(check("a/b.rs", &format!("//! x\n{}", "\n".repeat(CODE_LINES_MAX))), 1);
    assert_eq!(
        check("a/b.rs", &format!("//! x\n#[cfg(test)]\n{}", "\n".repeat(CODE_LINES_MAX))),
        0
    );
    assert_eq!(check("a/b.rs", &format!("//! {}\n", "x".repeat(COLUMNS_MAX))), 1);
    assert_eq!(check("a/b.rs", &format!("//! x\n    #[{}]\n", "ignore")), 1);
    assert_eq!(check("a/b.rs", "//! x\nuse std::io::*;\n    use super::*;\n"), 1);
    for word in banned() {
        assert_eq!(check("a/notes.md", &format!("see {word}x")), 1, "{word}");
    }
}

#[test]
fn the_ci_script_can_be_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let path = house::root().join(".ci/run");
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "{} is not executable", path.display());
}
