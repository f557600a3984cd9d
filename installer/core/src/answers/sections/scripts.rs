//! `first_boot`: scripts that run once in the installed host.

use super::super::Script;
use super::super::node::{Kind, Node};
use super::super::section::{Section, list, secret, text};
use crate::problem::{Problem, Problems};
use crate::values::{Secret, ValueError};

/// More are a mistake.
const SCRIPTS_MAX: usize = 32;

pub(super) fn first_boot(node: &Node, problems: &mut Problems) -> Option<Vec<Script>> {
    let scripts = list(node, "first_boot", problems, script)?;
    if SCRIPTS_MAX < scripts.len() {
        let what = format!("{} scripts, at most {SCRIPTS_MAX} are run", scripts.len());
        problems.push(Problem::new(node.at, "first_boot", what));
        return None;
    }
    Some(scripts)
}

fn script(node: &Node, path: &str, problems: &mut Problems) -> Option<Script> {
    let mut section = Section::open(node, path, problems)?;
    for name in ["path", "when", "timeout", "on_fail"] {
        section.later(name, "not available yet: `inline` holds the text of the script");
    }
    let digest = section.optional("sha256");
    if let Some(node) = section.optional("url") {
        let at = section.path("url");
        let what = match text(node, &at, problems) {
            None => return None,
            Some(url) if url.starts_with("http://") && digest.is_none() => {
                "a script over http needs sha256 or https"
            }
            Some(_) => "fetching scripts is not available yet: `inline` holds the text",
        };
        problems.push(Problem::new(node.at, at, what));
        return None;
    }
    if let Some(node) = digest {
        let what = "`sha256` belongs to a script with a `url`";
        problems.push(Problem::new(node.at, section.path("sha256"), what));
    }
    let inline = section.required("inline", problems).and_then(|node| {
        let at = section.path("inline");
        if let Kind::Text(_) = node.kind {
            return secret(node, &at, problems, body);
        }
        text(node, &at, problems).map(Secret::new)
    });
    section.finish(problems);
    Some(Script { inline: inline? })
}

fn body(text: &str) -> Result<Secret, ValueError> {
    if !text.starts_with("#!/") {
        return Err(ValueError::new("a script begins with #! and its interpreter")
            .hint("for example `inline: |` and a first line `#!/bin/sh`"));
    }
    if text.contains('\0') {
        return Err(ValueError::new("a NUL byte: this is not a script"));
    }
    Ok(Secret::new(if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }))
}
