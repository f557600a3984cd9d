//! The sections of an answer file, one function each.

use std::collections::BTreeMap;

use partitioner::table::{BOOT_MAX, BOOT_MIN, LayoutChoice};
use partitioner::units::Bytes;

use super::node::{Kind, Node};
use super::section::{Section, choice, text, value};
use super::{Access, Finish, OnExisting, RawAnswers, SCHEMA, System};
use crate::problem::{Problem, Problems};
use crate::request::Selector;
use crate::values::{
    DeploymentId, Hostname, Keymap, Mac, PasswordHash, SizeRule, SshKey, Timezone, ValueError,
    parse_size,
};

pub(super) fn answers(root: &Node, problems: &mut Problems) -> Option<RawAnswers> {
    if let Kind::Null = root.kind {
        problems.push(Problem::new(root.at, "", "answer file is empty"));
        return None;
    }
    let mut top = Section::open(root, "", problems)?;
    schema(&mut top, problems)?;
    mode(&mut top, problems);
    let deployment_id = or_default(top.optional("deployment_id"), |node| {
        value(node, "deployment_id", problems, DeploymentId::parse).map(Some)
    });
    let disks = top.required("disks", problems).and_then(|node| disks(node, problems));
    let layout =
        top.required("layout", problems).and_then(|node| layout(node, disks.as_ref(), problems));
    let on_existing = or_default(top.optional("on_existing"), |node| on_existing(node, problems));
    let network = top.required("network", problems).and_then(|node| network(node, problems));
    let system = top.required("system", problems).and_then(|node| system(node, problems));
    let access = top.required("access", problems).and_then(|node| access(node, problems));
    let finish = or_default(top.optional("finish"), |node| finish(node, problems));
    top.finish(problems);
    let LayoutAnswers { target, name, boot_size } = layout?;
    Some(RawAnswers {
        deployment_id: deployment_id?,
        disks: disks?,
        target,
        layout: name,
        boot_size,
        on_existing: on_existing?,
        management: network?,
        system: system?,
        access: access?,
        finish: finish?,
    })
}

/// An absent answer takes its default; a bad one is none.
fn or_default<T: Default>(node: Option<&Node>, read: impl FnOnce(&Node) -> Option<T>) -> Option<T> {
    node.map_or_else(|| Some(T::default()), read)
}

/// The schema comes first: with another one, nothing else in the file can be judged.
fn schema(top: &mut Section<'_>, problems: &mut Problems) -> Option<()> {
    let first = top.entries().next().map(|(key, _)| (key.name.clone(), key.at));
    let known = format!("this installer knows {SCHEMA}");
    let Some(node) = top.optional("schema") else {
        let what = "`schema` is missing";
        problems.push(
            Problem::new(top.at(), "", what)
                .hint(format!("the first line of an answer file is `schema: {SCHEMA}`")),
        );
        return None;
    };
    let written = text(node, "schema", problems)?;
    if written != SCHEMA {
        let what = format!("the schema is `{written}`, {known}");
        problems.push(Problem::new(node.at, "schema", what));
        return None;
    }
    if let Some((name, at)) = first
        && name != "schema"
    {
        problems.push(Problem::new(at, name, "`schema` must be the first key"));
    }
    Some(())
}

fn mode(top: &mut Section<'_>, problems: &mut Problems) {
    let Some(node) = top.required("mode", problems) else { return };
    let Some(word) = text(node, "mode", problems) else { return };
    let what = match word {
        "install" => return,
        "upgrade" | "rollback" => format!("mode `{word}` is not available yet, install is"),
        _ => format!("`{word}` is not a mode, install is"),
    };
    problems.push(Problem::new(node.at, "mode", what));
}

fn disks(node: &Node, problems: &mut Problems) -> Option<BTreeMap<String, Selector>> {
    let section = Section::open(node, "disks", problems)?;
    let mut disks = BTreeMap::new();
    let mut whole = true;
    for (key, node) in section.entries() {
        match selector(node, &section.path(&key.name), problems) {
            Some(selector) => drop(disks.insert(key.name.clone(), selector)),
            None => whole = false,
        }
    }
    if section.entries().next().is_none() {
        problems.push(
            Problem::new(node.at, "disks", "no disk is named")
                .hint("for example `host: {serial: SN42}`"),
        );
        return None;
    }
    whole.then_some(disks)
}

fn selector(node: &Node, path: &str, problems: &mut Problems) -> Option<Selector> {
    let mut section = Section::open(node, path, problems)?;
    let mut whole = true;
    let mut word = |section: &mut Section<'_>, name: &'static str, problems: &mut Problems| {
        let node = section.optional(name)?;
        let text = text(node, &section.path(name), problems).map(|text| text.trim().to_owned());
        whole &= text.is_some();
        text
    };
    let mut selector = Selector {
        serial: word(&mut section, "serial", problems),
        wwn: word(&mut section, "wwn", problems),
        by_id: word(&mut section, "by_id", problems),
        by_path: word(&mut section, "by_path", problems),
        path: word(&mut section, "path", problems),
        model: word(&mut section, "model", problems),
        size: None,
        transport: word(&mut section, "transport", problems),
    };
    if let Some(node) = section.optional("size") {
        selector.size = size(node, &section.path("size"), problems, SizeRule::parse);
        whole &= selector.size.is_some();
    }
    if section.entries().next().is_none() {
        problems.push(
            Problem::new(node.at, path, "no rule says which disk is meant")
                .hint("for example `{serial: SN42}`"),
        );
        whole = false;
    }
    section.finish(problems);
    whole.then_some(selector)
}

struct LayoutAnswers {
    target: String,
    name: LayoutChoice,
    boot_size: Option<Bytes>,
}

fn layout(
    node: &Node,
    disks: Option<&BTreeMap<String, Selector>>,
    problems: &mut Problems,
) -> Option<LayoutAnswers> {
    let mut section = Section::open(node, "layout", problems)?;
    let target = section.required("target", problems).and_then(|node| {
        let target = text(node, "layout.target", problems)?;
        uses_every_disk(node, target, disks, problems);
        Some(target.to_owned())
    });
    let name = or_default(section.optional("name"), |node| {
        let choices = [
            ("auto", LayoutChoice::Auto),
            ("modern", LayoutChoice::Modern),
            ("legacy", LayoutChoice::Legacy),
        ];
        choice(node, "layout.name", problems, &choices)
    });
    let boot_size = or_default(section.optional("boot_size"), |node| {
        size(node, "layout.boot_size", problems, boot_size).map(Some)
    });
    section.finish(problems);
    Some(LayoutAnswers { target: target?, name: name?, boot_size: boot_size? })
}

/// The target is one of the disks, and a disk that nobody uses is a mistake.
fn uses_every_disk(
    node: &Node,
    target: &str,
    disks: Option<&BTreeMap<String, Selector>>,
    problems: &mut Problems,
) {
    let Some(disks) = disks else { return };
    let names: Vec<&str> = disks.keys().map(String::as_str).collect();
    if !disks.contains_key(target) {
        let what = format!("`{target}` is not one of the disks: {}", names.join(", "));
        problems.push(Problem::new(node.at, "layout.target", what));
        return;
    }
    for name in names.into_iter().filter(|name| *name != target) {
        let what = format!("disk `{name}` is named and not used; one disk is installed to");
        problems.push(Problem::new(node.at, format!("disks.{name}"), what));
    }
}

/// A value that has a unit: a bare number is a mistake of its own.
fn size<T>(
    node: &Node,
    path: &str,
    problems: &mut Problems,
    parse: impl FnOnce(&str) -> Result<T, ValueError>,
) -> Option<T> {
    if let Kind::Number = node.kind {
        let problem = Problem::new(node.at, path, "this is a number without a unit");
        problems.push(problem.hint("sizes are written with their unit: 512MiB, 400GB"));
        return None;
    }
    value(node, path, problems, parse)
}

fn boot_size(text: &str) -> Result<Bytes, ValueError> {
    let size = parse_size(text)?;
    if size < BOOT_MIN || BOOT_MAX < size {
        return Err(ValueError::new(format!("{size} is not between {BOOT_MIN} and {BOOT_MAX}")));
    }
    if !size.get().is_multiple_of(Bytes::mib(1).get()) {
        return Err(ValueError::new(format!("{} bytes are not whole MiB", size.get())));
    }
    Ok(size)
}

fn on_existing(node: &Node, problems: &mut Problems) -> Option<OnExisting> {
    let choices = [
        ("refuse", OnExisting::Refuse),
        ("replace-own", OnExisting::ReplaceOwn),
        ("wipe", OnExisting::Wipe),
    ];
    choice(node, "on_existing", problems, &choices)
}

fn network(node: &Node, problems: &mut Problems) -> Option<Mac> {
    let mut section = Section::open(node, "network", problems)?;
    let mac = section.required("management", problems).and_then(|node| management(node, problems));
    section.finish(problems);
    mac
}

fn management(node: &Node, problems: &mut Problems) -> Option<Mac> {
    const PATH: &str = "network.management";
    let mut section = Section::open(node, PATH, problems)?;
    section.later("ipv6", "IPv6 answers are not available yet");
    section.later("vlan", "VLANs are not available yet");
    let mac = section
        .required("mac", problems)
        .and_then(|node| value(node, &format!("{PATH}.mac"), problems, Mac::parse));
    let ipv4 = match section.optional("ipv4") {
        None => Some(()),
        Some(node) => ipv4(node, &format!("{PATH}.ipv4"), problems),
    };
    section.finish(problems);
    ipv4.and(mac)
}

fn ipv4(node: &Node, path: &str, problems: &mut Problems) -> Option<()> {
    if let Kind::Map(_) = node.kind {
        let what = "static addresses are not available yet, dhcp is";
        problems.push(Problem::new(node.at, path, what));
        return None;
    }
    choice(node, path, problems, &[("dhcp", ())])
}

fn system(node: &Node, problems: &mut Problems) -> Option<System> {
    let mut section = Section::open(node, "system", problems)?;
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

fn access(node: &Node, problems: &mut Problems) -> Option<Access> {
    let mut section = Section::open(node, "access", problems)?;
    let root_password =
        section.required("root_password", problems).and_then(|node| password(node, problems));
    let ssh_keys = or_default(section.optional("ssh_keys"), |node| ssh_keys(node, problems));
    section.finish(problems);
    Some(Access { root_password: root_password?, ssh_keys: ssh_keys? })
}

fn password(node: &Node, problems: &mut Problems) -> Option<PasswordHash> {
    const PATH: &str = "access.root_password";
    let mut section = Section::open(node, PATH, problems)?;
    section.secret();
    for name in ["plain", "file", "env", "prompt", "locked"] {
        section.later(name, "this way to give a password is not available yet, `hash` is");
    }
    let hash = section
        .required("hash", problems)
        .and_then(|node| value(node, &format!("{PATH}.hash"), problems, PasswordHash::parse));
    section.finish(problems);
    hash
}

fn ssh_keys(node: &Node, problems: &mut Problems) -> Option<Vec<SshKey>> {
    const PATH: &str = "access.ssh_keys";
    let Kind::List(list) = &node.kind else {
        let what = format!("a list is needed, this is {}", node.kind.noun());
        problems.push(Problem::new(node.at, PATH, what));
        return None;
    };
    let mut keys = Vec::new();
    for (i, node) in list.iter().enumerate() {
        keys.extend(value(node, &format!("{PATH}[{i}]"), problems, SshKey::parse));
    }
    (keys.len() == list.len()).then_some(keys)
}

fn finish(node: &Node, problems: &mut Problems) -> Option<Finish> {
    let mut section = Section::open(node, "finish", problems)?;
    let words = [Finish::Reboot, Finish::Poweroff, Finish::Halt, Finish::None];
    let action = section
        .required("action", problems)
        .and_then(|node| choice(node, "finish.action", problems, &words.map(|w| (w.word(), w))));
    section.finish(problems);
    action
}
