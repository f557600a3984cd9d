//! `disks` and `layout`: what is written, and what shape it gets.

use std::collections::BTreeMap;

use partitioner::table::{BOOT_MAX, BOOT_MIN, Compat, LayoutChoice};
use partitioner::units::Bytes;

use super::super::node::{Kind, Node};
use super::super::section::{Section, choice, text, value};
use super::or_default;
use crate::problem::{Problem, Problems};
use crate::request::Selector;
use crate::values::{SizeRule, ValueError, parse_size};

pub(super) type Disks = BTreeMap<String, Selector>;

pub(super) fn disks(node: &Node, problems: &mut Problems) -> Option<Disks> {
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

/// Rules that other installers have.
const LATER: [&str; 12] = [
    "all_of",
    "any_of",
    "bus_path",
    "count",
    "firmware_slot",
    "not",
    "prefer",
    "removable",
    "sector_size",
    "type",
    "udev",
    "vendor",
];

fn selector(node: &Node, path: &str, problems: &mut Problems) -> Option<Selector> {
    let mut section = Section::open(node, path, problems)?;
    for name in LATER {
        section.later(name, "this rule is not available yet");
    }
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
    unstable(node, path, &selector, problems);
    section.finish(problems);
    whole.then_some(selector)
}

/// `/dev/sda` may be another disk at the next start.
fn unstable(node: &Node, path: &str, selector: &Selector, problems: &mut Problems) {
    if selector.unstable_path().is_some() {
        let what = "the name of a device can change between two starts of a machine";
        let problem = Problem::new(node.at, path, what);
        problems.warn(problem.hint("name the disk by `serial`, `wwn` or `by_id`"));
    }
}

/// The disk of a file that may name one, besides those that are protected.
pub(super) fn the_one(
    top: &Section<'_>,
    disks: Disks,
    protected: &[&str],
    problems: &mut Problems,
) -> Option<Selector> {
    let mut rest: Vec<_> =
        disks.into_iter().filter(|(name, _)| !protected.contains(&name.as_str())).collect();
    let count = rest.len();
    if let (Some((_, selector)), 1) = (rest.pop(), count) {
        return Some(selector);
    }
    let what = format!("{count} disks are named, the one of the host is needed");
    problems.push(Problem::new(top.at(), "disks", what));
    None
}

/// Names of disks that other sections speak of.
pub(super) struct Uses<'a> {
    pub(super) protected: Vec<&'a str>,
    /// `None` where the section is not good.
    pub(super) storage: Option<Vec<&'a str>>,
}

pub(super) struct LayoutAnswers {
    pub(super) target: String,
    pub(super) name: LayoutChoice,
    pub(super) boot_size: Option<Bytes>,
    pub(super) compat: Compat,
}

pub(super) fn layout(
    node: &Node,
    disks: Option<&Disks>,
    uses: &Uses<'_>,
    problems: &mut Problems,
) -> Option<LayoutAnswers> {
    let mut section = Section::open(node, "layout", problems)?;
    for (name, why) in LAYOUT_LATER {
        section.later(name, why);
    }
    let target = section.required("target", problems).and_then(|node| {
        let target = text(node, "layout.target", problems)?;
        uses_every_disk(node, target, disks, uses, problems);
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
    let compat = or_default(section.optional("compat"), |node| {
        let words = [("none", Compat::None), ("xenserver", Compat::Xenserver)];
        choice(node, "layout.compat", problems, &words)
    });
    section.finish(problems);
    let (name, compat) = (name?, compat?);
    Some(LayoutAnswers { target: target?, name, boot_size: boot_size?, compat })
}

const ROOT_SIZE: &str =
    "the layout decides: root has 18GiB to 18GiB in modern, 4GiB to 4GiB in legacy";

const LAYOUT_LATER: [(&str, &str); 11] = [
    ("encryption", "encryption is not available yet"),
    ("keep", "keeping partitions is not available yet"),
    ("log_size", "the layout decides: logs have 4GiB in modern, none in legacy"),
    ("mirror", "mirrors are not available yet"),
    ("partitions", "the layout decides which partitions there are; `name` chooses one"),
    ("preserve_first", "keeping the first partition is not available yet"),
    ("preset", "the layout is chosen by `name`"),
    ("root_size", ROOT_SIZE),
    ("slots", "every layout has two slots"),
    ("swap_size", "the layout decides: swap has 1GiB in modern, 512MiB in legacy"),
    ("wipe", "not available yet: signatures of old content are always removed"),
];

/// The target is one of the disks, and a disk that nobody uses is a mistake.
fn uses_every_disk(
    node: &Node,
    target: &str,
    disks: Option<&Disks>,
    uses: &Uses<'_>,
    problems: &mut Problems,
) {
    let Some(disks) = disks else { return };
    let names: Vec<&str> = disks.keys().map(String::as_str).collect();
    if !disks.contains_key(target) {
        let what = format!("`{target}` is not one of the disks: {}", names.join(", "));
        let problem = Problem::new(node.at, "layout.target", what).value(target);
        problems.push(problem.allowed(names));
        return;
    }
    let Uses { protected, storage } = uses;
    if protected.contains(&target) {
        let what = format!("`{target}` is protected by safety.protect");
        problems.push(Problem::new(node.at, "layout.target", what));
    }
    for name in storage.iter().flatten() {
        let path = format!("storage.disks.{name}");
        let what = if !disks.contains_key(*name) {
            format!("`{name}` is not one of the disks: {}", names.join(", "))
        } else if *name == target {
            format!("`{name}` is the host disk; its rest becomes a repository by `storage.sr`")
        } else if protected.contains(name) {
            format!("`{name}` is protected by safety.protect")
        } else {
            continue;
        };
        problems.push(Problem::new(node.at, path, what));
    }
    let Some(storage) = storage else { return };
    let has_use =
        |name: &&str| *name == target || protected.contains(name) || storage.contains(name);
    for name in names.iter().filter(|name| !has_use(name)) {
        let what = format!("disk `{name}` is named and not used");
        let problem = Problem::new(node.at, format!("disks.{name}"), what);
        problems.push(problem.hint("`layout.target`, `storage.disks` or `safety.protect` use one"));
    }
}

/// A value that has a unit: a bare number is a mistake of its own.
pub(super) fn size<T>(
    node: &Node,
    path: &str,
    problems: &mut Problems,
    parse: impl FnOnce(&str) -> Result<T, ValueError>,
) -> Option<T> {
    if let Kind::Number(_) = node.kind {
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
    whole_mib(size)
}

pub(super) fn whole_mib(size: Bytes) -> Result<Bytes, ValueError> {
    if !size.get().is_multiple_of(Bytes::mib(1).get()) {
        return Err(ValueError::new(format!("{} bytes are not whole MiB", size.get())));
    }
    Ok(size)
}
