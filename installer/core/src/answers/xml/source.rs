//! `<source>`: where the release comes from.

use super::element::Element;
use crate::answers::{ServerTrust, Source, WebSource};
use crate::problem::{Problem, Problems};
use crate::values::{Scheme, WebUrl};

const MEDIUM: &str = "type=\"local\": the release is on the medium that starts the installer";

/// The medium, or a web server. The old installer took several sources and joined their packages.
pub(super) fn source(root: &mut Element<'_, '_>, problems: &mut Problems) -> Option<Source> {
    let mut found = Vec::new();
    let mut whole = true;
    for mut element in root.all("source") {
        match one(&mut element, problems) {
            Some(source) => found.push((element, source)),
            None => whole = false,
        }
    }
    let mut found = found.into_iter();
    let first = found.next().map_or(Source::Medium, |(_, source)| source);
    for (element, _) in found.filter(|(_, source)| *source != first) {
        let what = "a host is installed from one release, and this names a second one";
        element.refuse(problems, what, "leave one `source`");
        whole = false;
    }
    whole.then_some(first)
}

/// For a mode that takes what the command line names.
pub(super) fn medium_only(root: &mut Element<'_, '_>, problems: &mut Problems) {
    for mut element in root.all("source") {
        if let Some(Source::Web(_)) = one(&mut element, problems) {
            let what = "an upgrade by an answer file does not fetch its release yet";
            element.refuse(problems, what, "`host-installer upgrade --release URL` does");
        }
    }
}

fn one(element: &mut Element<'_, '_>, problems: &mut Problems) -> Option<Source> {
    let kind = element.attribute("type").map(|(_, text)| text);
    let text = element.text();
    let (why, instead) = match (kind.as_deref(), text.split_once(':').map(|(s, _)| s)) {
        (Some("local"), _) => return Some(Source::Medium),
        (Some("nfs"), _) | (_, Some("nfs")) => ("NFS sources are not available", MEDIUM),
        (_, Some("ftp")) => ("FTP sources are not available", MEDIUM),
        (Some("url"), _) => return web(element, problems),
        (None | Some(_), _) => ("the type of a source is local, url or nfs", "type=\"local\""),
    };
    element.refuse(problems, why, instead);
    None
}

fn web(element: &Element<'_, '_>, problems: &mut Problems) -> Option<Source> {
    let url = element.value(problems, WebUrl::parse)?;
    match url.scheme() {
        Scheme::Http => {
            let what = "a release over http needs its SHA-256, which has no place in this file";
            element.refuse(problems, what, "https, or `source: {image, sha256}` in YAML");
            None
        }
        Scheme::Https => {
            let what = "the old installer took a repository of packages; here this is the folder \
                        of a release, with release.json";
            problems.warn(Problem::new(element.at(), element.path(), what));
            let trust = ServerTrust::System;
            Some(Source::Web(Box::new(WebSource { url, sha256: None, trust })))
        }
    }
}
