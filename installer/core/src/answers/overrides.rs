//! `overrides`: answers that hold for some machines only.
//!
//! They are laid over the file before it is read: maps are merged key by key, everything else
//! replaces what stands there. Where no machine is known, the file is judged without them, and with
//! each of them alone, so that every mistake is told at once.

use super::node::{Key, Kind, Node};
use super::section::{Section, list};
use super::{Answers, MachineRules, sections};
use crate::facts::HostFacts;
use crate::problem::{Problem, Problems};
use crate::request::is_for;

const NAME: &str = "overrides";
/// More are a list of machines that belongs somewhere else.
const OVERRIDES_MAX: usize = 256;
/// What says how the rest is read, or which machine the whole file is for.
const NEVER: [&str; 4] = ["schema", "mode", "machine", NAME];

struct Override {
    when: MachineRules,
    set: Node,
}

pub(super) fn are_in(root: &Node) -> bool {
    matches!(&root.kind, Kind::Map(map) if map.iter().any(|(key, _)| key.name == NAME))
}

/// The answers for a machine; those for any machine where none is known.
pub(super) fn answers(
    root: &Node,
    facts: Option<&HostFacts>,
    problems: &mut Problems,
) -> Option<Answers> {
    let Kind::Map(map) = &root.kind else { return sections::answers(root, problems) };
    if !are_in(root) {
        return sections::answers(root, problems);
    }
    let (own, rest): (Vec<_>, Vec<_>) = map.iter().cloned().partition(|(key, _)| key.name == NAME);
    let Some(((_, node), more)) = own.split_first() else {
        return sections::answers(root, problems);
    };
    let base = Node { at: root.at, kind: Kind::Map(rest) };
    let answers = sections::answers(&base, problems);
    for (key, _) in more {
        problems.push(Problem::new(key.at, NAME, "the key is there twice"));
    }
    let overrides = read(node, problems);
    if !problems.is_empty() {
        return None;
    }
    let Some(Answers::Install(_)) = answers else {
        let what = "overrides belong to `mode: install`";
        problems.push(Problem::new(node.at, NAME, what));
        return None;
    };
    let overrides = overrides?;
    for one in &overrides {
        sections::answers(&merged(&base, &one.set), problems);
    }
    let Some(facts) = facts.filter(|_| problems.is_empty()) else { return answers };
    for_machine(&base, &overrides, facts, problems)
}

/// What holds for the machine, unless two say different things of one answer.
fn for_machine(
    base: &Node,
    overrides: &[Override],
    facts: &HostFacts,
    problems: &mut Problems,
) -> Option<Answers> {
    let mut all = base.clone();
    let mut set: Vec<(String, usize)> = Vec::new();
    for (index, one) in overrides.iter().enumerate().filter(|(_, one)| is_for(&one.when, facts)) {
        for path in leaves(&one.set, "") {
            let other = set.iter().find(|(other, _)| within(other, &path) || within(&path, other));
            if let Some((_, first)) = other {
                let what = format!(
                    "overrides[{first}] and overrides[{index}] hold for this machine, and both set \
                     `{path}`"
                );
                problems.push(Problem::new(one.set.at, format!("{NAME}[{index}].set"), what));
            }
            set.push((path, index));
        }
        all = merged(&all, &one.set);
    }
    if !problems.is_empty() {
        return None;
    }
    sections::answers(&all, problems)
}

fn read(node: &Node, problems: &mut Problems) -> Option<Vec<Override>> {
    let overrides = list(node, NAME, problems, |node, path, problems| {
        let mut section = Section::open(node, path, problems)?;
        let when = section.required("when", problems).and_then(|node| {
            if let Kind::Map(map) = &node.kind
                && map.is_empty()
            {
                let what = "no rule says which machines this is for";
                problems.push(Problem::new(node.at, section.path("when"), what));
                return None;
            }
            sections::machine::machine(node, &section.path("when"), problems)
        });
        let set = section.required("set", problems).and_then(|node| {
            settable(node, &section.path("set"), problems)?;
            Some(node.clone())
        });
        section.finish(problems);
        Some(Override { when: when?, set: set? })
    })?;
    if OVERRIDES_MAX < overrides.len() {
        let what = format!("{} overrides, at most {OVERRIDES_MAX} are read", overrides.len());
        problems.push(Problem::new(node.at, NAME, what));
        return None;
    }
    Some(overrides)
}

fn settable(node: &Node, path: &str, problems: &mut Problems) -> Option<()> {
    let section = Section::open(node, path, problems)?;
    for (key, _) in section.entries() {
        if NEVER.contains(&key.name.as_str()) {
            let what = format!("`{}` is the same for every machine of a file", key.name);
            problems.push(Problem::new(key.at, section.path(&key.name), what));
        }
    }
    Some(())
}

/// `over` laid over `base`. Places are kept, so that a problem is told where it was written.
fn merged(base: &Node, over: &Node) -> Node {
    let (Kind::Map(old), Kind::Map(new)) = (&base.kind, &over.kind) else { return over.clone() };
    let mut map: Vec<(Key, Node)> = old.clone();
    for (key, value) in new {
        match map.iter_mut().find(|(have, _)| have.name == key.name) {
            Some((_, have)) => *have = merged(have, value),
            None => map.push((key.clone(), value.clone())),
        }
    }
    Node { at: base.at, kind: Kind::Map(map) }
}

/// The paths of everything that is set.
fn leaves(node: &Node, path: &str) -> Vec<String> {
    let Kind::Map(map) = &node.kind else { return vec![path.to_owned()] };
    let below = |(key, value): &(Key, Node)| {
        let dot = if path.is_empty() { "" } else { "." };
        leaves(value, &format!("{path}{dot}{}", key.name))
    };
    map.iter().flat_map(below).collect()
}

fn within(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use crate::answers::{Answers, has_overrides, read, read_for};
    use crate::samples::facts;

    const FILE: &str = "schema: xenhost/v1\nmode: install\ndisks: {host: {serial: SN1, model: X}}\n\
        layout: {target: host}\nnetwork: {management: {mac: '00:16:3e:aa:bb:cc'}}\n\
        system: {hostname: common, timezone: Europe/Berlin}\naccess: {root_password: '!!'}\n\
        overrides:\n\
        - when: {serial: RACK7}\n  set: {system: {hostname: xen7}, disks: {host: {serial: SN7}}}\n\
        - when: {serial: RACK8}\n  set: {system: {hostname: xen8}}\n\
        - when: {product: 'PowerEdge*'}\n  set: {boot: {kernel_args: [quiet]}}\n";

    #[track_caller]
    fn answers_of(file: &str, serial: &str) -> Result<crate::answers::RawAnswers, String> {
        let mut facts = facts();
        facts.machine.serial = Some(serial.to_owned());
        facts.machine.product = Some("PowerEdge R650".to_owned());
        match read_for("f", file.as_bytes(), &facts) {
            Ok((Answers::Install(answers), _)) => Ok(*answers),
            Ok(_) => panic!("an installation"),
            Err(problems) => Err(problems.to_string()),
        }
    }

    #[test]
    fn what_holds_for_a_machine_is_laid_over_the_rest() {
        for (serial, hostname, disk) in
            [("RACK7", "xen7", "SN7"), ("RACK8", "xen8", "SN1"), ("RACK9", "common", "SN1")]
        {
            let answers = answers_of(FILE, serial).unwrap();
            assert_eq!(answers.system.hostname.as_str(), hostname);
            assert_eq!(answers.system.timezone.as_str(), "Europe/Berlin");
            assert_eq!(answers.disks["host"].serial.as_deref(), Some(disk));
            assert_eq!(answers.disks["host"].model.as_deref(), Some("X"));
            assert_eq!(answers.boot.kernel_args.len(), 1);
        }
        assert!(has_overrides(FILE.as_bytes()));
        let (Answers::Install(any), _) = read("f", FILE.as_bytes()).unwrap() else { panic!() };
        assert_eq!(any.system.hostname.as_str(), "common");
    }

    #[test]
    fn two_that_hold_for_one_machine_do_not_set_one_answer() {
        let file = FILE.replace("RACK8", "RACK7");
        let said = answers_of(&file, "RACK7").unwrap_err();
        let want = "overrides[0] and overrides[1] hold for this machine, and both set \
                    `system.hostname`";
        assert!(said.contains(want), "{said}");
        // For another machine they say nothing, and what one makes of a part another makes whole.
        answers_of(&file, "RACK9").unwrap();
        let file =
            file.replace("set: {system: {hostname: xen8}}", "set: {disks: {host: {wwn: x}}}");
        answers_of(&file, "RACK7").unwrap();
    }
}
