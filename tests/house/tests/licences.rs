//! Everything that goes into the programs may be given away under our own terms.
#![allow(clippy::disallowed_methods, reason = "only cargo knows the tree of dependencies")]

use std::process::Command;

/// Licences that ask for no more than to be named.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether an SPDX expression can be met with the list: some alternative of which every part can.
fn is_allowed(expression: &str) -> bool {
    let text = expression.replace('/', " OR ");
    // Brackets only ever hold alternatives within a conjunction: `(MIT OR Apache-2.0) AND X`.
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('(')
        && let Some((alternatives, rest)) = inner.split_once(')')
    {
        let rest = rest.trim();
        return is_allowed(alternatives)
            && (rest.is_empty() || rest.strip_prefix("AND ").is_some_and(is_allowed));
    }
    if let Some((first, rest)) = text.split_once(" AND (") {
        return is_allowed(first) && is_allowed(&format!("({rest}"));
    }
    text.split(" OR ").any(|part| part.split(" AND ").all(|name| ALLOWED.contains(&name.trim())))
}

#[test]
fn every_dependency_may_be_given_away() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Only what is built for the machines that xenhost runs on; the rest was never fetched.
    let platform = "x86_64-unknown-linux-gnu";
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--locked", "--offline"]);
    let output =
        command.args(["--filter-platform", platform]).current_dir(house::root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = tree["packages"].as_array().unwrap();
    assert!(packages.len() > 20, "{} packages", packages.len());
    let licence = |package: &serde_json::Value| {
        package["license"].as_str().unwrap_or("none is named").to_owned()
    };
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !is_allowed(&licence(package)))
        .map(|package| format!("{}: {}", package["name"], licence(package)))
        .collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn expressions_are_understood() {
    for good in [
        "MIT",
        "MIT OR Apache-2.0",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Unicode-3.0 AND (MIT OR GPL-2.0)",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
    ] {
        assert!(is_allowed(good), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND GPL-2.0"] {
        assert!(!is_allowed(bad), "{bad}");
    }
}
