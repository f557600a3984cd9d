//! `<script>` and its older names, which become hooks.
//!
//! The old installer logged the exit status of a script and went on, whatever it was; so a script
//! that comes from there only warns. Its arguments are kept: the target's root, and `0` or `1` for
//! how it ended.

use super::element::Element;
use crate::answers::{Hook, Hooks, OnFail, ScriptSource, ServerTrust, Stage, WebScript};
use crate::problem::{Problem, Problems};
use crate::values::{Scheme, WebUrl};

/// What all of them have in common, said once.
const DIFFERENT: &str = "scripts have 5 minutes here, had no limit before, and find XENHOST_STAGE \
                         in place of XS_STAGE; one that fails is a warning, as before";

pub(super) fn hooks(root: &mut Element<'_, '_>, problems: &mut Problems) -> Hooks {
    let mut hooks = Hooks::default();
    let mut found = false;
    for mut element in root.all("script") {
        let stages = stages(&mut element, problems);
        found |= add(element, &stages, &mut hooks, problems);
    }
    for element in root.all("post-install-script") {
        populated(&element, problems);
        found |= add(element, &[Stage::FilesReady], &mut hooks, problems);
    }
    for element in root.all("install-failed-script") {
        let what = "the old installer ran this after a success too; here only after a failure";
        problems.warn(Problem::new(element.at(), element.path(), what));
        found |= add(element, &[Stage::Failed], &mut hooks, problems);
    }
    if found {
        problems.warn(Problem::new(root.at(), "script", DIFFERENT));
    }
    hooks
}

/// When it runs here; nothing where that cannot be said.
fn stages(element: &mut Element<'_, '_>, problems: &mut Problems) -> Vec<Stage> {
    const KNOWN: [&str; 4] = [
        "installation-start",
        "packages-installed",
        "filesystem-populated",
        "installation-complete",
    ];
    let Some((at, text)) = element.attribute("stage") else {
        element.refuse(problems, "the stage of a script is missing", &KNOWN.join(", "));
        return Vec::new();
    };
    match text.as_str() {
        "installation-start" => vec![Stage::Pre],
        "packages-installed" | "filesystem-populated" => {
            populated(element, problems);
            vec![Stage::FilesReady]
        }
        "installation-complete" => vec![Stage::Post, Stage::Failed],
        _ => {
            let problem = Problem::new(at, element.path(), "this is not a stage of a script");
            problems.push(problem.hint(KNOWN.join(", ")).allowed(KNOWN));
            Vec::new()
        }
    }
}

fn populated(element: &Element<'_, '_>, problems: &mut Problems) {
    let what = "the root that the script gets is that of a Debian dom0, with other files and \
                programs than before";
    problems.warn(Problem::new(element.at(), element.path(), what));
}

/// Whether it was taken.
fn add(
    mut element: Element<'_, '_>,
    stages: &[Stage],
    hooks: &mut Hooks,
    problems: &mut Problems,
) -> bool {
    let kind = element.attribute("type").map(|(_, text)| text);
    let source = source(kind.as_deref(), &element, problems);
    element.finish(problems);
    let Some(source) = source else { return false };
    for stage in stages {
        let timeout = Hook::TIMEOUT_DEFAULT;
        hooks.push(*stage, Hook { source: source.clone(), timeout, on_fail: OnFail::Warn });
    }
    true
}

fn source(
    kind: Option<&str>,
    element: &Element<'_, '_>,
    problems: &mut Problems,
) -> Option<ScriptSource> {
    let text = element.text();
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    let why = match (kind, scheme) {
        (Some("nfs"), _) | (_, Some("nfs")) => "scripts from NFS are not available",
        (Some("url"), Some("ftp")) => "scripts from FTP are not available",
        (Some("url"), _) => return web(element, problems),
        (None | Some(_), _) => "the type of a script is url or nfs",
    };
    element.refuse(problems, why, HOOKS);
    None
}

const HOOKS: &str = "`hooks` in a YAML answer file takes `url` with `sha256`, `path` and `inline`";

fn web(element: &Element<'_, '_>, problems: &mut Problems) -> Option<ScriptSource> {
    let url = element.value(problems, WebUrl::parse)?;
    match url.scheme() {
        Scheme::Http => {
            element.refuse(problems, "a script over http needs sha256 or https", HOOKS);
            None
        }
        Scheme::Https => {
            let what = "a script over https without sha256: the server decides what is run";
            let problem = Problem::new(element.at(), element.path(), what);
            problems.warn(problem.hint(HOOKS));
            let trust = ServerTrust::System;
            Some(ScriptSource::Web(Box::new(WebScript { url, sha256: None, trust })))
        }
    }
}
