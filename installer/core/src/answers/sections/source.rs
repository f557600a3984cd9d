//! `source`: where the release comes from.

use super::super::node::{Kind, Node};
use super::super::section::{Section, secret, text, value};
use super::super::{ServerTrust, Source, WebSource};
use super::or_default;
use crate::problem::{Problem, Problems};
use crate::values::{Scheme, ValueError, WebUrl, key_digest, sha256_digits};

const PATH: &str = "source.image";
const MEDIUM: &str = "medium";

pub(super) fn source(node: &Node, problems: &mut Problems) -> Option<Source> {
    let mut section = Section::open(node, "source", problems)?;
    section.later("keys", "not available yet: `sha256` says which release is meant");
    section.later("manifest_sig", "not available yet: `sha256` says which release is meant");
    section.later("allow_unsigned", "not available yet: signatures are not looked at");
    for name in ["retries", "timeout"] {
        section.later(name, "not available yet: a broken connection is made again by itself");
    }
    section.later("packs", "not available yet");
    let url = or_default(section.optional("image"), |node| image(node, problems));
    let sha256 = or_default(section.optional("sha256"), |node| {
        value(node, "source.sha256", problems, sha256_digits).map(Some)
    });
    let trust = trust(&mut section, problems);
    section.finish(problems);
    let (url, sha256, trust) = (url?, sha256?, trust?);
    let Some(url) = url else {
        if sha256.is_some() || trust != ServerTrust::System {
            let what = "`sha256`, `ca` and `key` belong to an `image` on a web server";
            problems.push(Problem::new(node.at, "source", what));
            return None;
        }
        return Some(Source::Medium);
    };
    let what = match url.scheme() {
        Scheme::Http if sha256.is_none() => "a release over http needs `sha256`, or https",
        Scheme::Http if trust != ServerTrust::System => "`ca` and `key` belong to https",
        Scheme::Http | Scheme::Https => {
            return Some(Source::Web(Box::new(WebSource { url, sha256, trust })));
        }
    };
    let problem = Problem::new(node.at, "source", what);
    problems.push(problem.hint("`sha256` is that of release.json; sha256sum prints it"));
    None
}

#[expect(clippy::option_option, reason = "a bad one, the medium, or an address")]
fn image(node: &Node, problems: &mut Problems) -> Option<Option<WebUrl>> {
    if let Kind::Text(text) = &node.kind
        && text == MEDIUM
    {
        return Some(None);
    }
    if text(node, PATH, problems)?.contains("://") {
        return secret(node, PATH, problems, WebUrl::parse).map(Some);
    }
    secret(node, PATH, problems, |text| {
        let what = if text.split('/').any(|part| part == "..") {
            "a path must stay inside the source: `..` is not taken"
        } else {
            "`medium` or a web address is needed; `--release` on the command line takes a folder"
        };
        Err::<Option<WebUrl>, _>(ValueError::new(what))
    })
}

/// `ca` and `key` of a section that names a server.
pub(super) fn trust(section: &mut Section<'_>, problems: &mut Problems) -> Option<ServerTrust> {
    let (ca, key) = (section.optional("ca"), section.optional("key"));
    match (ca, key) {
        (None, None) => Some(ServerTrust::System),
        (Some(node), None) => {
            value(node, &section.path("ca"), problems, whole_path).map(ServerTrust::Authorities)
        }
        (None, Some(node)) => {
            value(node, &section.path("key"), problems, key_digest).map(ServerTrust::Key)
        }
        (Some(_), Some(node)) => {
            let what = "conflict: `ca` and `key` are given, one says whom to trust";
            problems.push(Problem::new(node.at, section.path("key"), what));
            None
        }
    }
}

/// Of a file in the installer environment or on the medium.
pub(super) fn whole_path(text: &str) -> Result<String, ValueError> {
    let inside = text.split('/').all(|part| part != "..");
    if text.starts_with('/') && inside && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(ValueError::new(
        "a file is named by its whole path, from / on; the medium is looked at too",
    ))
}
