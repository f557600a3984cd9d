//! What was done to accounts that the other slot's system does not know: one line per thing.
//!
//! Of root and of people. Accounts of packages differ between two releases without anybody's doing.

use std::collections::{BTreeMap, BTreeSet};

use super::{Accounts, IDS, fields, id, shadow_line};

const ROOT: &str = "root";

/// `here` is the system that is left, `there` the one that is gone back to.
pub fn unknown(here: &Accounts, there: &Accounts) -> Vec<String> {
    let (ours, theirs) = (homes(here), homes(there));
    let mut lines = Vec::new();
    for name in ours.keys() {
        if !theirs.contains_key(name) {
            lines.push(format!("account {name}: it is not there"));
            continue;
        }
        if password(here, name) != password(there, name) {
            lines.push(format!("account {name}: its password is another one there"));
        }
        let (have, other) = (groups(here, name), groups(there, name));
        let more = have.difference(&other);
        lines.extend(more.map(|group| format!("account {name}: it is not in group {group} there")));
        let less = other.difference(&have);
        lines.extend(
            less.map(|group| format!("account {name}: it is still in group {group} there")),
        );
    }
    let gone = theirs.keys().filter(|name| !ours.contains_key(*name));
    lines.extend(gone.map(|name| format!("account {name}: it is still there")));
    lines
}

/// Those who log in, with the folders in which their keys lie.
pub fn homes(accounts: &Accounts) -> BTreeMap<&str, &str> {
    let one = |line| {
        let fields: Vec<&str> = fields(line, 7)?;
        let (name, uid, home) = (*fields.first()?, id(fields.get(2))?, *fields.get(5)?);
        (name == ROOT || IDS.contains(&uid)).then_some((name, home))
    };
    accounts.passwd.lines().filter_map(one).collect()
}

fn password<'a>(accounts: &'a Accounts, name: &str) -> Option<&'a str> {
    shadow_line(&accounts.shadow, name)?.split(':').nth(1)
}

fn groups<'a>(accounts: &'a Accounts, name: &str) -> BTreeSet<&'a str> {
    let holds = |line: &'a str| {
        let fields = fields(line, 4)?;
        let is_in = fields.get(3)?.split(',').any(|member| member == name);
        is_in.then_some(*fields.first()?)
    };
    accounts.group.lines().filter_map(holds).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before() -> Accounts {
        let text = str::to_owned;
        Accounts {
            passwd: text(
                "root:x:0:0::/root:/bin/sh\nsshd:x:104:65534::/:/usr/sbin/nologin\n\
                 ann:x:1000:1000::/srv/ann:/bin/sh\n",
            ),
            shadow: text("root:$y$R:1::::::\nsshd:!:1::::::\nann:$y$A:1::::::\n"),
            group: text("sudo:x:27:ann\nsshd:x:104:\nann:x:1000:\n"),
            gshadow: String::new(),
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Accounts), want: &[&str]) {
        let mut here = before();
        change(&mut here);
        assert_eq!(unknown(&here, &before()), want);
    }

    #[test]
    fn each_kind_of_change_has_its_line() {
        check(|_| {}, &[]);
        let bob = "bob:x:1001:1001::/srv/bob:/bin/sh\n";
        check(|a| a.passwd.push_str(bob), &["account bob: it is not there"]);
        check(
            |a| a.passwd = a.passwd.replace("ann:", "eve:"),
            &["account eve: it is not there", "account ann: it is still there"],
        );
        for (name, hash) in [("root", "$y$R"), ("ann", "$y$A")] {
            let want = format!("account {name}: its password is another one there");
            check(|a| a.shadow = a.shadow.replace(hash, "$y$N"), &[&want]);
        }
        check(
            |a| a.group = a.group.replace("27:ann", "27:") + "adm:x:4:ann\n",
            &[
                "account ann: it is not in group adm there",
                "account ann: it is still in group sudo there",
            ],
        );
    }

    #[test]
    fn accounts_of_packages_are_nobodys_change() {
        check(|a| a.passwd.push_str("_chrony:x:105:110::/:/usr/sbin/nologin\n"), &[]);
        check(|a| a.shadow = a.shadow.replace("sshd:!:", "sshd:!*:"), &[]);
        check(|a| a.group.push_str("kvm:x:106:sshd\n"), &[]);
    }
}
