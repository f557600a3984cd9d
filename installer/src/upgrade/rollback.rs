//! Performs a rollback: two state files, one of which is the commit. And what the other system
//! would not know.

use std::collections::{BTreeMap, BTreeSet};

use installer_core::bootstate::{GIVEN_UP, TRIES, Trial};
use installer_core::upgrade::carry::within;
use installer_core::upgrade::rollback::{GiveUp, RollbackPlan};

use super::root::{Kind, Root, RootError, text};
use super::site::Site;
use crate::bless::BootFiles;
use crate::engine::StepError;

const TEXT_MAX: u64 = 1 << 20;
/// Entries of a folder that are compared.
const ENTRIES_MAX: usize = 2000;
const GUESTS: &str = "etc/xen";
const NETWORK: &str = "etc/systemd/network";

/// Swaps the roles. The copy goes first; the first file is the commit.
pub fn perform(plan: &RollbackPlan, site: &mut dyn Site) -> Result<(), StepError> {
    let mut boot = BootFiles::open(site.open_boot()?)?;
    let have = boot.state()?;
    if have.generation.saturating_add(1) != plan.state.generation || have.slot != plan.from {
        let (have, want) = (format!("{have:?}"), format!("generation before {:?}", plan.state));
        return Err(StepError::StateChanged { have, want });
    }
    if plan.state.trial == Trial::Pending {
        boot.write_tries(TRIES)?;
    }
    Ok(boot.commit(plan.state)?)
}

/// Gives up the trial of a takeover: the count is the commit. The reason comes second, since it is
/// one of a trial that was given up.
pub fn give_up(plan: GiveUp, site: &mut dyn Site) -> Result<(), StepError> {
    let mut boot = BootFiles::open(site.open_boot()?)?;
    let have = boot.state()?;
    if have != plan.state {
        let (have, want) = (format!("{have:?}"), format!("{:?}", plan.state));
        return Err(StepError::StateChanged { have, want });
    }
    boot.write_tries(0)?;
    Ok(boot.write_reason(GIVEN_UP)?)
}

/// What `here` has and `there`, the system that is gone back to, does not know: one line per thing.
pub fn unknown_there(here: &dyn Root, there: &dyn Root) -> Result<Vec<String>, RootError> {
    let mut lines = Vec::new();
    let guests = |root: &dyn Root| contents(root, GUESTS, ".cfg");
    lines.extend(differences("guest", &guests(here)?, &guests(there)?));
    lines.extend(differences(
        "network file",
        &contents(here, NETWORK, "")?,
        &contents(there, NETWORK, "")?,
    ));
    lines.extend(account_changes(here, there)?);
    Ok(lines)
}

fn contents(
    root: &dyn Root,
    folder: &str,
    ending: &str,
) -> Result<BTreeMap<String, Vec<u8>>, RootError> {
    let mut found = BTreeMap::new();
    if root.stat(folder)?.is_none_or(|stat| stat.kind != Kind::Folder) {
        return Ok(found);
    }
    for name in root.list(folder)?.into_iter().take(ENTRIES_MAX) {
        let path = format!("{folder}/{name}");
        debug_assert!(within(&path, folder), "a name has no slash");
        if name.ends_with(ending)
            && let Some(bytes) = super::root::file(root, &path, TEXT_MAX)?
        {
            found.insert(path, bytes);
        }
    }
    Ok(found)
}

fn differences(
    what: &str,
    here: &BTreeMap<String, Vec<u8>>,
    there: &BTreeMap<String, Vec<u8>>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, bytes) in here {
        match there.get(path) {
            None => lines.push(format!("{what} /{path}: it is not there")),
            Some(other) if other != bytes => lines.push(format!("{what} /{path}: it differs")),
            Some(_) => {}
        }
    }
    let gone = there.keys().filter(|path| !here.contains_key(*path));
    lines.extend(gone.map(|path| format!("{what} /{path}: it is still there")));
    lines
}

fn account_changes(here: &dyn Root, there: &dyn Root) -> Result<Vec<String>, RootError> {
    let names = |root: &dyn Root| -> Result<BTreeSet<String>, RootError> {
        let passwd = text(root, "etc/passwd", TEXT_MAX)?;
        Ok(passwd.lines().filter_map(|l| l.split(':').next()).map(str::to_owned).collect())
    };
    let root_hash = |root: &dyn Root| -> Result<Option<String>, RootError> {
        let shadow = text(root, "etc/shadow", TEXT_MAX)?;
        let line = shadow.lines().find_map(|line| line.strip_prefix("root:"));
        Ok(line.and_then(|rest| rest.split(':').next()).map(str::to_owned))
    };
    let (here_names, there_names) = (names(here)?, names(there)?);
    let mut lines: Vec<String> = here_names
        .difference(&there_names)
        .map(|name| format!("account {name}: it is not there"))
        .collect();
    if root_hash(here)? != root_hash(there)? {
        lines.push("root's password: it is another one there".to_owned());
    }
    Ok(lines)
}
