//! The sections of an answer file: the top of the file, and what each mode takes of the rest.

use super::node::{Kind, Node};
use super::section::{Section, choice, list, text, value};
use super::{
    Answers, OnExisting, RawAnswers, RollbackAnswers, SCHEMA, UpgradeAnswers, UpgradeLayout,
};
use crate::problem::{Problem, Problems};
use crate::target::RelPath;
use crate::upgrade::carry::is_of_slot;
use crate::values::{DeploymentId, ValueError};

mod disks;
mod links;
pub(super) mod machine;
mod network;
mod report;
mod scripts;
mod source;
mod storage;
mod system;
mod xen;

pub(crate) use network::{MTU, MTU_MIN_IPV6, reachable};

pub(super) fn answers(root: &Node, problems: &mut Problems) -> Option<Answers> {
    if let Kind::Null = root.kind {
        problems.push(Problem::new(root.at, "", "answer file is empty"));
        return None;
    }
    let mut top = Section::open(root, "", problems)?;
    schema(&mut top, problems)?;
    // Without a mode the file is judged as the commonest.
    let mode = mode(&mut top, problems).unwrap_or(Mode::Install);
    for (name, why) in LATER {
        top.later(name, why);
    }
    let answers = match mode {
        Mode::Install => install(&mut top, problems).map(|a| Answers::Install(Box::new(a))),
        Mode::Upgrade => upgrade(&mut top, problems).map(|a| Answers::Upgrade(Box::new(a))),
        Mode::Rollback => rollback(&mut top, problems).map(|a| Answers::Rollback(Box::new(a))),
    };
    top.finish(problems);
    answers
}

/// Sections that will have a meaning.
const LATER: [(&str, &str); 3] = [
    ("include", "including other files is not available yet"),
    ("interactive", "asking for part of the answers is not available yet"),
    ("rollback", "a rollback has no settings yet: `mode: rollback` and `disks` are enough"),
];

#[derive(Clone, Copy)]
enum Mode {
    Install,
    Upgrade,
    Rollback,
}

fn mode(top: &mut Section<'_>, problems: &mut Problems) -> Option<Mode> {
    let node = top.required("mode", problems)?;
    let words =
        [("install", Mode::Install), ("upgrade", Mode::Upgrade), ("rollback", Mode::Rollback)];
    choice(node, "mode", problems, &words)
}

fn install(top: &mut Section<'_>, problems: &mut Problems) -> Option<RawAnswers> {
    let deployment_id = deployment_id(top, problems);
    let machine = or_default(top.optional("machine"), |n| machine::machine(n, "machine", problems));
    let disks = top.required("disks", problems).and_then(|node| disks::disks(node, problems));
    let safety =
        or_default(top.optional("safety"), |n| machine::safety(n, disks.as_ref(), problems));
    let storage = or_default(top.optional("storage"), |n| storage::storage(n, problems));
    let layout = top.required("layout", problems).and_then(|node| {
        let protected = safety.as_ref().map(machine::protected).unwrap_or_default();
        let storage = storage.as_ref().map(|s| s.disks.keys().map(String::as_str).collect());
        disks::layout(node, disks.as_ref(), &disks::Uses { protected, storage }, problems)
    });
    let on_existing = or_default(top.optional("on_existing"), |n| on_existing(n, problems));
    let source = or_default(top.optional("source"), |n| source::source(n, problems));
    let network =
        top.required("network", problems).and_then(|node| network::network(node, problems));
    let system = top.required("system", problems).and_then(|node| system::system(node, problems));
    let access = or_default(top.optional("access"), |node| system::access(node, problems));
    let xen = or_default(top.optional("xen"), |n| xen::xen(n, problems));
    let boot = or_default(top.optional("boot"), |n| xen::boot(n, problems));
    let health = or_default(top.optional("health"), |n| xen::health(n, problems));
    let hooks = or_default(top.optional("hooks"), |n| scripts::hooks(n, problems));
    let first_boot = or_default(top.optional("first_boot"), |n| scripts::first_boot(n, problems));
    let report = or_default(top.optional("report"), |n| report::report(n, problems));
    let finish = or_default(top.optional("finish"), |n| report::finish(n, problems));
    top.later("upgrade", "this section belongs to `mode: upgrade`");
    let layout = layout?;
    let (finish, on_error) = finish?;
    Some(RawAnswers {
        deployment_id: deployment_id?,
        machine: machine?,
        safety: safety?,
        disks: disks?,
        target: layout.target,
        layout: layout.name,
        boot_size: layout.boot_size,
        compat: layout.compat,
        storage: storage?,
        on_existing: on_existing?,
        source: source?,
        network: network?,
        system: system?,
        access: access?,
        xen: xen?,
        boot: boot?,
        health: health?,
        hooks: hooks?,
        first_boot: first_boot?,
        report: report?,
        finish,
        on_error,
    })
}

const HOOKS: &str = "only an installation runs hooks yet";

/// What an upgrade carries over from the installed host cannot be answered here.
const CARRIED_OVER: [&str; 9] = [
    "layout",
    "storage",
    "on_existing",
    "network",
    "system",
    "access",
    "xen",
    "boot",
    "first_boot",
];

fn upgrade(top: &mut Section<'_>, problems: &mut Problems) -> Option<UpgradeAnswers> {
    for name in CARRIED_OVER {
        top.later(name, "an upgrade keeps what the installed host has; this section is not read");
    }
    top.later("hooks", HOOKS);
    let deployment_id = deployment_id(top, problems);
    let machine = or_default(top.optional("machine"), |n| machine::machine(n, "machine", problems));
    let disks = top.required("disks", problems).and_then(|node| disks::disks(node, problems));
    let safety =
        or_default(top.optional("safety"), |n| machine::safety(n, disks.as_ref(), problems));
    let used = safety.as_ref().map(machine::protected).unwrap_or_default();
    let disk = disks.and_then(|disks| disks::the_one(top, disks, &used, problems));
    let source = or_default(top.optional("source"), |n| source::source(n, problems));
    let how = or_default(top.optional("upgrade"), |n| how_to_upgrade(n, problems));
    let health = or_default(top.optional("health"), |n| xen::health(n, problems));
    let report = or_default(top.optional("report"), |n| report::report(n, problems));
    let finish = or_default(top.optional("finish"), |n| report::finish(n, problems));
    let (layout, keep) = how?;
    let (finish, on_error) = finish?;
    Some(UpgradeAnswers {
        deployment_id: deployment_id?,
        machine: machine?,
        safety: safety?,
        disk: disk?,
        layout,
        keep,
        source: source?,
        health: health?,
        report: report?,
        finish,
        on_error,
    })
}

fn how_to_upgrade(node: &Node, problems: &mut Problems) -> Option<(UpgradeLayout, Vec<RelPath>)> {
    let mut section = Section::open(node, "upgrade", problems)?;
    for name in ["from", "strategy", "min_free"] {
        section.later(name, "not available yet: an upgrade goes into the other slot and keeps all");
    }
    let layout = or_default(section.optional("layout"), |node| {
        let words = [("keep", UpgradeLayout::Keep), ("modern", UpgradeLayout::Modern)];
        choice(node, "upgrade.layout", problems, &words)
    });
    let keep = or_default(section.optional("keep"), |node| {
        list(node, "upgrade.keep", problems, |n, path, p| value(n, path, p, kept))
    });
    section.finish(problems);
    Some((layout?, keep?))
}

/// A path of the host, from / on.
fn kept(text: &str) -> Result<RelPath, ValueError> {
    let Some(Ok(path)) = text.strip_prefix('/').map(RelPath::new) else {
        return Err(ValueError::new(format!("`{text}` is not a path of the host, from / on")));
    };
    if is_of_slot(path.as_str()) {
        let what = format!("`{text}` is made new for each slot, and never carried over");
        return Err(ValueError::new(what));
    }
    Ok(path)
}

fn rollback(top: &mut Section<'_>, problems: &mut Problems) -> Option<RollbackAnswers> {
    for name in CARRIED_OVER {
        top.later(name, "a rollback brings back the other system as it was; this is not read");
    }
    top.later("hooks", HOOKS);
    for name in ["upgrade", "health", "safety", "deployment_id", "source"] {
        top.later(name, "a rollback has no use for this");
    }
    let machine = or_default(top.optional("machine"), |n| machine::machine(n, "machine", problems));
    let disk = or_default(top.optional("disks"), |node| {
        let disks = disks::disks(node, problems)?;
        disks::the_one(top, disks, &[], problems).map(Some)
    });
    let report = or_default(top.optional("report"), |n| report::report(n, problems));
    let finish = or_default(top.optional("finish"), |n| report::finish(n, problems));
    let (finish, on_error) = finish?;
    Some(RollbackAnswers { machine: machine?, disk: disk?, report: report?, finish, on_error })
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
        let problem = Problem::new(node.at, "schema", what).value(written);
        problems.push(problem.allowed([SCHEMA]));
        return None;
    }
    if let Some((name, at)) = first
        && name != "schema"
    {
        problems.push(Problem::new(at, name, "`schema` must be the first key"));
    }
    Some(())
}

#[expect(clippy::option_option, reason = "not good, or not there")]
fn deployment_id(top: &mut Section<'_>, problems: &mut Problems) -> Option<Option<DeploymentId>> {
    or_default(top.optional("deployment_id"), |node| {
        value(node, "deployment_id", problems, DeploymentId::parse).map(Some)
    })
}

fn on_existing(node: &Node, problems: &mut Problems) -> Option<OnExisting> {
    let words = [OnExisting::Refuse, OnExisting::ReplaceOwn, OnExisting::Wipe];
    choice(node, "on_existing", problems, &words.map(|w| (w.word(), w)))
}
