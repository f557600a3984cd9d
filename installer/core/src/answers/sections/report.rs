//! `report`: whom to tell how it went, and `finish`: what the machine does then.

use super::super::node::Node;
use super::super::section::{Section, choice, list, secret};
use super::super::{Finish, OnError, ReportEvent, Webhook};
use super::or_default;
use super::source::trust;
use crate::problem::{Problem, Problems};
use crate::values::{Scheme, Secret, ValueError, WebUrl};

/// More are a mistake.
const WEBHOOKS_MAX: usize = 8;

pub(super) fn report(node: &Node, problems: &mut Problems) -> Option<Vec<Webhook>> {
    let mut section = Section::open(node, "report", problems)?;
    section.later("syslog", "not available yet: `webhook` tells a web server");
    section.later("save_to", "not available yet: the log is /run/xenhost/install.log");
    let webhooks = or_default(section.optional("webhook"), |node| {
        let webhooks = list(node, "report.webhook", problems, webhook)?;
        if WEBHOOKS_MAX < webhooks.len() {
            let what = format!("{} servers, at most {WEBHOOKS_MAX} are told", webhooks.len());
            problems.push(Problem::new(node.at, "report.webhook", what));
            return None;
        }
        Some(webhooks)
    });
    section.finish(problems);
    webhooks
}

fn webhook(node: &Node, path: &str, problems: &mut Problems) -> Option<Webhook> {
    let mut section = Section::open(node, path, problems)?;
    section.secret();
    section.later("retries", "not available yet: a report is tried three times");
    section.later("required", "not available yet: a report that is lost stops nothing");
    let url = section
        .required("url", problems)
        .and_then(|node| secret(node, &section.path("url"), problems, WebUrl::parse));
    let at = section.path("events");
    let events = match section.optional("events") {
        None => Some(vec![ReportEvent::Done, ReportEvent::Failed]),
        Some(node) => events(node, &at, problems),
    };
    let at = section.path("token");
    let token =
        or_default(section.optional("token"), |node| secret(node, &at, problems, token).map(Some));
    let trust = trust(&mut section, problems);
    section.finish(problems);
    let (url, token, trust) = (url?, token?, trust?);
    let http = url.scheme() == Scheme::Http;
    if http && (token.is_some() || trust != super::super::ServerTrust::System) {
        let what = "`token`, `ca` and `key` belong to https: over http everybody reads along";
        problems.push(Problem::new(node.at, path, what));
        return None;
    }
    Some(Webhook { url, events: events?, token, trust })
}

fn events(node: &Node, path: &str, problems: &mut Problems) -> Option<Vec<ReportEvent>> {
    let words = ReportEvent::ALL.map(|event| (event.word(), event));
    let mut events =
        list(node, path, problems, |node, path, problems| choice(node, path, problems, &words))?;
    if events.is_empty() {
        let what = "no event: the server would never be told anything";
        problems.push(Problem::new(node.at, path, what).allowed(words.map(|(word, _)| word)));
        return None;
    }
    events.sort_unstable();
    events.dedup();
    Some(events)
}

/// What may stand in a header (RFC 6750, 2.1).
fn token(text: &str) -> Result<Secret, ValueError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    if 1024 < text.len() || !text.chars().all(allowed) {
        return Err(ValueError::new(
            "a token is made of at most 1024 of the characters A-Z a-z 0-9 - . _ ~ + / =",
        ));
    }
    Ok(Secret::new(text))
}

/// After an installation, and after one that failed.
pub(super) fn finish(node: &Node, problems: &mut Problems) -> Option<(Finish, OnError)> {
    let mut section = Section::open(node, "finish", problems)?;
    section.later("error_hold", "not available yet: the machine holds on for a minute");
    section.later("eject", "not available yet");
    let words = [Finish::Reboot, Finish::Poweroff, Finish::Halt, Finish::None];
    let action = section
        .required("action", problems)
        .and_then(|node| choice(node, "finish.action", problems, &words.map(|w| (w.word(), w))));
    let on_error = or_default(section.optional("on_error"), |node| {
        let words = OnError::ALL.map(|word| (word.word(), word));
        choice(node, "finish.on_error", problems, &words)
    });
    section.finish(problems);
    Some((action?, on_error?))
}
