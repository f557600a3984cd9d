//! Local accounts, by name, from the old system into the new one.
//!
//! Accounts of the release keep the ids that it gives them; root keeps the old password. People's
//! accounts move whole. A line that makes no sense is left behind, and said.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

mod unknown;

pub use unknown::{homes, unknown};

/// Ids that Debian gives to people (`/etc/adduser.conf`).
pub const IDS: RangeInclusive<u32> = 1000..=59_999;

/// The four files of one system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    pub passwd: String,
    pub shadow: String,
    pub group: String,
    pub gshadow: String,
}

/// A person's account, for what is done to its home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: String,
}

/// The new system's files, and what became of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    pub accounts: Accounts,
    /// Accounts that came from the old system.
    pub people: Vec<Person>,
    /// Old id to new id, where the name is in both.
    pub uids: BTreeMap<u32, u32>,
    pub gids: BTreeMap<u32, u32>,
    /// What was left behind.
    pub notes: Vec<String>,
}

/// Makes the new system's accounts.
pub fn merge(old: &Accounts, new: &Accounts) -> Merged {
    let mut merged = Merged { accounts: new.clone(), ..Merged::default() };
    groups(old, &mut merged);
    users(old, &mut merged);
    members(old, &mut merged);
    merged
}

/// The fields of a line, where there are that many and the name is one that Debian allows.
fn fields(line: &str, count: usize) -> Option<Vec<&str>> {
    let fields: Vec<&str> = line.split(':').collect();
    let name = fields.first()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let named = !name.is_empty() && !name.starts_with(['-', '.']) && name.chars().all(plain);
    (named && fields.len() == count).then_some(fields)
}

fn id(text: Option<&&str>) -> Option<u32> {
    text.and_then(|text| text.parse().ok())
}

/// Name to id, of `passwd` or `group`.
fn ids(text: &str, count: usize) -> BTreeMap<String, u32> {
    let line = |line| {
        let fields = fields(line, count)?;
        Some(((*fields.first()?).to_owned(), id(fields.get(2))?))
    };
    text.lines().filter_map(line).collect()
}

/// `wanted`, or the first id for people that nobody has.
fn free(wanted: u32, taken: &BTreeSet<u32>) -> Option<u32> {
    if !taken.contains(&wanted) {
        return Some(wanted);
    }
    IDS.into_iter().find(|id| !taken.contains(id))
}

fn groups(old: &Accounts, merged: &mut Merged) {
    let known = ids(&merged.accounts.group, 4);
    let mut taken: BTreeSet<u32> = known.values().copied().collect();
    for line in old.group.lines() {
        let Some((fields, gid)) = fields(line, 4).and_then(|f| Some((f.clone(), id(f.get(2))?)))
        else {
            merged.notes.push("a line of /etc/group that makes no sense".to_owned());
            continue;
        };
        let name = fields.first().copied().unwrap_or_default();
        let now = match known.get(name) {
            Some(now) => Some(*now),
            None if IDS.contains(&gid) => free(gid, &taken),
            None => None,
        };
        let Some(now) = now else { continue };
        if !known.contains_key(name) && taken.insert(now) {
            push(&mut merged.accounts.group, &format!("{name}:x:{now}:"));
            push(&mut merged.accounts.gshadow, &format!("{name}:!::"));
        }
        merged.gids.insert(gid, now);
    }
}

fn users(old: &Accounts, merged: &mut Merged) {
    let known = ids(&merged.accounts.passwd, 7);
    let mut taken: BTreeSet<u32> = known.values().copied().collect();
    for line in old.passwd.lines() {
        let Some((fields, uid)) = fields(line, 7).and_then(|f| Some((f.clone(), id(f.get(2))?)))
        else {
            merged.notes.push("a line of /etc/passwd that makes no sense".to_owned());
            continue;
        };
        let name = fields.first().copied().unwrap_or_default();
        if let Some(now) = known.get(name) {
            merged.uids.insert(uid, *now);
            // Others of the release have no password, or one that the release gives.
            if name == "root" || IDS.contains(&uid) {
                password(old, merged, name);
            }
            continue;
        }
        if !IDS.contains(&uid) {
            merged.notes.push(format!("account {name} ({uid}), which the new release has not"));
            continue;
        }
        let gid = id(fields.get(3)).and_then(|gid| merged.gids.get(&gid).copied());
        let (Some(now), Some(gid)) = (free(uid, &taken), gid) else {
            merged.notes.push(format!("account {name} ({uid}): its group or a free id is missing"));
            continue;
        };
        taken.insert(now);
        let rest = fields.get(4..).unwrap_or_default().join(":");
        push(&mut merged.accounts.passwd, &format!("{name}:x:{now}:{gid}:{rest}"));
        let shadow =
            shadow_line(&old.shadow, name).map_or(format!("{name}:!:1::::::"), str::to_owned);
        push(&mut merged.accounts.shadow, &shadow);
        let home = fields.get(5).copied().unwrap_or_default().to_owned();
        merged.people.push(Person { name: name.to_owned(), uid: now, gid, home });
        merged.uids.insert(uid, now);
    }
}

fn shadow_line<'s>(shadow: &'s str, name: &str) -> Option<&'s str> {
    shadow.lines().find(|line| fields(line, 9).is_some_and(|f| f.first() == Some(&name)))
}

/// The account's line of the old system in the place of the new one.
fn password(old: &Accounts, merged: &mut Merged, name: &str) {
    let Some(line) = shadow_line(&old.shadow, name) else { return };
    let mut text = String::new();
    for current in merged.accounts.shadow.lines() {
        let same = current.split(':').next() == Some(name);
        push(&mut text, if same { line } else { current });
    }
    merged.accounts.shadow = text;
}

/// People stay in the groups that the new release has as well.
fn members(old: &Accounts, merged: &mut Merged) {
    let people: BTreeSet<&str> = merged.people.iter().map(|one| one.name.as_str()).collect();
    let mut wanted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in old.group.lines() {
        let Some(fields) = fields(line, 4) else { continue };
        let all = fields.get(3).copied().unwrap_or_default().split(',');
        let ours: Vec<&str> = all.filter(|name| people.contains(name)).collect();
        wanted.insert(fields.first().copied().unwrap_or_default(), ours);
    }
    merged.accounts.group = with_members(&merged.accounts.group, &wanted);
    merged.accounts.gshadow = with_members(&merged.accounts.gshadow, &wanted);
}

fn with_members(text: &str, wanted: &BTreeMap<&str, Vec<&str>>) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let parts = fields(line, 4).and_then(|fields| {
            let more = wanted.get(fields.first()?)?;
            Some((fields.get(..3)?.join(":"), fields.get(3).copied()?, more))
        });
        let Some((head, last, more)) = parts.filter(|(_, _, more)| !more.is_empty()) else {
            push(&mut out, line);
            continue;
        };
        let mut names: Vec<&str> = last.split(',').filter(|name| !name.is_empty()).collect();
        let missing: Vec<&str> = more.iter().copied().filter(|n| !names.contains(n)).collect();
        names.extend(missing);
        push(&mut out, &format!("{head}:{}", names.join(",")));
    }
    out
}

fn push(text: &mut String, line: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(passwd: &str, shadow: &str, group: &str) -> Accounts {
        let gshadow = group.lines().map(|l| format!("{}:*::\n", l.split(':').next().unwrap()));
        Accounts {
            passwd: passwd.into(),
            shadow: shadow.into(),
            group: group.into(),
            gshadow: gshadow.collect(),
        }
    }

    #[test]
    fn people_move_by_name_and_the_release_keeps_its_ids() {
        let old = accounts(
            "root:x:0:0:root:/root:/bin/bash\nsshd:x:104:65534::/run/sshd:/usr/sbin/nologin\n\
             nagios:x:110:110::/var:/bin/sh\nann:x:1000:1000:Ann,,,:/srv/ann:/bin/bash\n\
             bob:x:1001:1001::/srv/bob:/bin/sh\nnonsense\n",
            "root:$y$OLD:1:0:99999:7:::\nsshd:!:1::::::\nann:$y$ANN:2:0:99999:7:::\n",
            "root:x:0:\nsudo:x:27:ann,bob,ghost\nnagios:x:110:\nann:x:1000:\nbob:x:1001:\n",
        );
        let new = accounts(
            "root:x:0:0:root:/root:/bin/bash\nsshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n\
             guest:x:1001:1001::/:/bin/sh\n",
            "root:*:9:0:99999:7:::\nsshd:!*:9::::::\nguest:!:9::::::\n",
            "root:x:0:\nsudo:x:28:guest\nguest:x:1001:\n",
        );
        let merged = merge(&old, &new);
        assert_eq!(
            merged.accounts.passwd,
            new.passwd.clone()
                + "ann:x:1000:1000:Ann,,,:/srv/ann:/bin/bash\nbob:x:1002:1002::/srv/bob:/bin/sh\n"
        );
        // 1001 is the release's guest, so bob and his group get the next free id.
        assert_eq!(
            merged.accounts.shadow,
            "root:$y$OLD:1:0:99999:7:::\nsshd:!*:9::::::\nguest:!:9::::::\n\
             ann:$y$ANN:2:0:99999:7:::\nbob:!:1::::::\n"
        );
        assert_eq!(
            merged.accounts.group,
            "root:x:0:\nsudo:x:28:guest,ann,bob\nguest:x:1001:\nann:x:1000:\nbob:x:1002:\n"
        );
        assert!(merged.accounts.gshadow.contains("sudo:*::ann,bob\n"));
        assert_eq!(merged.uids.get(&104), Some(&101));
        assert_eq!(merged.gids.get(&27), Some(&28));
        assert_eq!(merged.notes.len(), 2, "{:?}", merged.notes);
        assert!(merged.notes.iter().any(|note| note.contains("nagios")));
    }

    #[test]
    fn nothing_old_changes_nothing() {
        let new = accounts("root:x:0:0::/:/bin/sh\n", "root:*:1::::::\n", "root:x:0:\n");
        assert_eq!(merge(&Accounts::default(), &new).accounts, new);
    }
}
