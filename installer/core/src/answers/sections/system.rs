//! `system` and `access`: what the host is called, and who may log in.

use super::super::node::{Kind, Node};
use super::super::section::{Section, flag, list, secret, value};
use super::super::{Access, System};
use super::or_default;
use crate::problem::{Problem, Problems};
use crate::values::{Hostname, Keymap, PasswordHash, RootPassword, SshKey, Timezone, ValueError};

pub(super) fn system(node: &Node, problems: &mut Problems) -> Option<System> {
    let mut section = Section::open(node, "system", problems)?;
    section.later("locale", "not available yet: dom0 speaks C.UTF-8");
    let hostname = section
        .required("hostname", problems)
        .and_then(|node| value(node, "system.hostname", problems, Hostname::parse));
    let timezone = or_default(section.optional("timezone"), |node| {
        value(node, "system.timezone", problems, Timezone::parse)
    });
    let keymap = or_default(section.optional("keymap"), |node| {
        value(node, "system.keymap", problems, Keymap::parse)
    });
    section.finish(problems);
    Some(System { hostname: hostname?, timezone: timezone?, keymap: keymap? })
}

pub(super) fn access(node: &Node, problems: &mut Problems) -> Option<Access> {
    let mut section = Section::open(node, "access", problems)?;
    let root_password = match section.optional("root_password") {
        None => Some(RootPassword::Ask),
        Some(node) => password(node, problems),
    };
    let ssh_keys = or_default(section.optional("ssh_keys"), |node| {
        list(node, "access.ssh_keys", problems, |node, path, problems| {
            secret(node, path, problems, SshKey::parse)
        })
    });
    let ssh_password_login = or_default(section.optional("ssh_password_login"), |node| {
        flag(node, "access.ssh_password_login", problems).map(Some)
    });
    section.finish(problems);
    let (root_password, ssh_keys) = (root_password?, ssh_keys?);
    if root_password == RootPassword::Locked && ssh_keys.is_empty() {
        let what = "nobody could log in: the password is locked and there is no SSH key";
        problems.push(Problem::new(node.at, "access", what));
        return None;
    }
    Some(Access { root_password, ssh_keys, ssh_password_login: ssh_password_login? })
}

const PATH: &str = "access.root_password";
/// The ways to give a password, of which one is taken.
const WAYS: [&str; 5] = ["hash", "plain", "file", "env", "locked"];

/// `!!`, or a mapping with one of the ways.
fn password(node: &Node, problems: &mut Problems) -> Option<RootPassword> {
    if let Kind::Text(text) = &node.kind {
        if text == ASK {
            return Some(RootPassword::Ask);
        }
        let problem = Problem::new(node.at, PATH, "a mapping is needed, this is text");
        problems.push(problem.hint("`{hash: \"$6$…\"}`, or \"!!\" to be asked at the first boot"));
        return None;
    }
    let mut section = Section::open(node, PATH, problems)?;
    section.secret();
    section.later("prompt", "leave root_password out, and the console asks at the first boot");
    let ways = WAYS.map(|name| (name, section.optional(name)));
    let given: Vec<_> = ways.iter().filter_map(|(name, n)| Some((*name, (*n)?))).collect();
    section.finish(problems);
    match given[..] {
        [(name, node)] => way(name, node, problems),
        [] => {
            let what = format!("one of {} is needed", WAYS.join(", "));
            problems.push(Problem::new(node.at, PATH, what).allowed(WAYS));
            None
        }
        [_, _, ..] => {
            let names: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
            let what = format!("conflict: {} are given, one is needed", names.join(" and "));
            problems.push(Problem::new(node.at, PATH, what).allowed(WAYS));
            None
        }
    }
}

/// `XenServer`'s word for a password that is not there yet.
const ASK: &str = "!!";

fn way(name: &str, node: &Node, problems: &mut Problems) -> Option<RootPassword> {
    let path = format!("{PATH}.{name}");
    match name {
        "hash" => secret(node, &path, problems, |text| {
            if text == ASK {
                return Ok(RootPassword::Ask);
            }
            PasswordHash::parse(text).map(RootPassword::Hash)
        }),
        "plain" => {
            let password = secret(node, &path, problems, RootPassword::plain)?;
            let what = "a password in clear; it is hashed at once";
            let problem = Problem::new(node.at, path, what);
            problems.warn(problem.hint("`hash` keeps it out of the file: `mkpasswd -m yescrypt`"));
            Some(password)
        }
        "file" => secret(node, &path, problems, file),
        "env" => secret(node, &path, problems, variable),
        _ => locked(node, &path, problems),
    }
}

fn locked(node: &Node, path: &str, problems: &mut Problems) -> Option<RootPassword> {
    if flag(node, path, problems)? {
        return Some(RootPassword::Locked);
    }
    let problem = Problem::new(node.at, path, "`false` says nothing of the password");
    problems.push(problem.hint("give a hash, or leave root_password out to be asked"));
    None
}

fn file(text: &str) -> Result<RootPassword, ValueError> {
    if !text.starts_with('/') || text.chars().any(char::is_control) {
        return Err(ValueError::new("the file is named by its whole path, from / on"));
    }
    Ok(RootPassword::File(text.to_owned()))
}

fn variable(text: &str) -> Result<RootPassword, ValueError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.len() > 64
        || !text.chars().all(allowed)
        || text.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(ValueError::new("this is not the name of an environment variable"));
    }
    Ok(RootPassword::Env(text.to_owned()))
}
