//! `hooks`: scripts that run during the installation, and `first_boot`: scripts that run once in
//! the installed host.

use super::super::node::Node;
use super::super::script::script_text;
use super::super::section::{Section, choice, list, secret, value};
use super::super::{
    Hook, Hooks, OnFail, Script, ScriptSource, ServerTrust, Stage, WebScript, When,
};
use super::disks::size;
use super::or_default;
use super::source::{trust, whole_path};
use crate::problem::{Problem, Problems};
use crate::values::{Scheme, Secret, TimeLimit, ValueError, WebUrl, sha256_digits};

/// More are a mistake, at the first boot or in one stage.
const SCRIPTS_MAX: usize = 32;

pub(super) fn first_boot(node: &Node, problems: &mut Problems) -> Option<Vec<Script>> {
    scripts(node, "first_boot", problems, script)
}

pub(super) fn hooks(node: &Node, problems: &mut Problems) -> Option<Hooks> {
    let mut section = Section::open(node, "hooks", problems)?;
    let (mut hooks, mut whole) = (Hooks::default(), true);
    for stage in Stage::ALL {
        let Some(node) = section.optional(stage.word()) else { continue };
        let read = |node: &_, path: &_, problems: &mut _| hook(stage, node, path, problems);
        match scripts(node, &section.path(stage.word()), problems, read) {
            Some(all) => all.into_iter().for_each(|hook| hooks.push(stage, hook)),
            None => whole = false,
        }
    }
    section.finish(problems);
    whole.then_some(hooks)
}

fn scripts<T>(
    node: &Node,
    path: &str,
    problems: &mut Problems,
    read: impl FnMut(&Node, &str, &mut Problems) -> Option<T>,
) -> Option<Vec<T>> {
    let scripts = list(node, path, problems, read)?;
    if SCRIPTS_MAX < scripts.len() {
        let what = format!("{} scripts, at most {SCRIPTS_MAX} are run", scripts.len());
        problems.push(Problem::new(node.at, path, what));
        return None;
    }
    Some(scripts)
}

fn script(node: &Node, path: &str, problems: &mut Problems) -> Option<Script> {
    let mut section = Section::open(node, path, problems)?;
    section.later("on_fail", "a script that fails here stops nothing; its exit status is kept");
    let source = source(&mut section, path, problems);
    let when = or_default(section.optional("when"), |node| {
        let words = When::ALL.map(|when| (when.word(), when));
        choice(node, &section.path("when"), problems, &words).map(Some)
    });
    let timeout = timeout(&mut section, problems);
    section.finish(problems);
    let timeout = timeout?.unwrap_or(Script::TIMEOUT_DEFAULT);
    Some(Script { source: source?, when: when?, timeout })
}

fn hook(stage: Stage, node: &Node, path: &str, problems: &mut Problems) -> Option<Hook> {
    let mut section = Section::open(node, path, problems)?;
    section.later("when", "the stage says when a hook runs");
    let source = source(&mut section, path, problems);
    let timeout = timeout(&mut section, problems);
    let on_fail = match stage {
        Stage::Failed => {
            section.later("on_fail", "a script of `failed` ends nothing: its failure is a warning");
            Some(None)
        }
        Stage::Pre | Stage::StorageReady | Stage::FilesReady | Stage::Post => {
            or_default(section.optional("on_fail"), |node| {
                let words = OnFail::ALL.map(|word| (word.word(), word));
                choice(node, &section.path("on_fail"), problems, &words).map(Some)
            })
        }
    };
    section.finish(problems);
    let timeout = timeout?.unwrap_or(Hook::TIMEOUT_DEFAULT);
    let on_fail = on_fail?.unwrap_or(OnFail::default_of(stage));
    Some(Hook { source: source?, timeout, on_fail })
}

#[expect(clippy::option_option, reason = "not good, or not there")]
fn timeout(section: &mut Section<'_>, problems: &mut Problems) -> Option<Option<TimeLimit>> {
    let path = section.path("timeout");
    or_default(section.optional("timeout"), |node| {
        size(node, &path, problems, TimeLimit::parse).map(Some)
    })
}

/// Where the text comes from: one of three ways.
fn source(section: &mut Section<'_>, path: &str, problems: &mut Problems) -> Option<ScriptSource> {
    let ways = ["inline", "url", "path"].map(|name| (name, section.optional(name)));
    let given: Vec<(&str, &Node)> =
        ways.iter().filter_map(|(name, node)| Some((*name, (*node)?))).collect();
    let sha256 = or_default(section.optional("sha256"), |node| {
        value(node, &section.path("sha256"), problems, sha256_digits).map(Some)
    });
    let trust = trust(section, problems);
    let [(name, node)] = given[..] else {
        let what = match given.len() {
            0 => "the text is missing: `inline`, `url` or `path` says where it is",
            _ => "conflict: one of `inline`, `url` and `path` says where the text is",
        };
        problems.push(Problem::new(section.at(), path, what));
        return None;
    };
    let at = section.path(name);
    let vouched = (sha256?, trust?);
    if name == "url" {
        return web(node, &at, vouched, problems);
    }
    let (sha256, trust) = vouched;
    if trust != ServerTrust::System || (name == "inline" && sha256.is_some()) {
        let what = "`sha256`, `ca` and `key` belong to a script with a `url`";
        problems.push(Problem::new(section.at(), path, what));
        return None;
    }
    if name == "path" {
        let path = value(node, &at, problems, whole_path)?;
        return Some(ScriptSource::File { path, sha256 });
    }
    secret(node, &at, problems, body).map(ScriptSource::Inline)
}

fn web(
    node: &Node,
    at: &str,
    (sha256, trust): (Option<String>, ServerTrust),
    problems: &mut Problems,
) -> Option<ScriptSource> {
    let url = secret(node, at, problems, WebUrl::parse)?;
    match (url.scheme(), &sha256) {
        (Scheme::Http, None) => {
            let problem = Problem::new(node.at, at, "a script over http needs sha256 or https");
            problems.push(problem.hint("sha256sum prints it"));
            return None;
        }
        (Scheme::Http, Some(_)) if trust != ServerTrust::System => {
            problems.push(Problem::new(node.at, at, "`ca` and `key` belong to https"));
            return None;
        }
        (Scheme::Https, None) => {
            let what = "a script over https without sha256: the server decides what is run";
            problems.warn(Problem::new(node.at, at, what).hint("sha256sum prints it"));
        }
        (Scheme::Http | Scheme::Https, Some(_)) => {}
    }
    Some(ScriptSource::Web(Box::new(WebScript { url, sha256, trust })))
}

fn body(text: &str) -> Result<Secret, ValueError> {
    script_text(text).map_err(|why| {
        ValueError::new(why).hint("for example `inline: |` and a first line `#!/bin/sh`")
    })
}
