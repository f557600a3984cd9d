//! Which disk is meant.

use std::fmt;

use crate::facts::DiskFacts;
use crate::values::SizeRule;

/// Rules that all have to match. A rule on a property that a disk lacks does not match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    pub serial: Option<String>,
    pub wwn: Option<String>,
    pub by_id: Option<String>,
    pub by_path: Option<String>,
    pub path: Option<String>,
    pub model: Option<String>,
    pub size: Option<SizeRule>,
    pub transport: Option<String>,
}

impl Selector {
    /// The first rule that the disk does not match, for people: ``serial is `X` ``.
    pub(super) fn mismatch(&self, disk: &DiskFacts) -> Option<String> {
        one("serial", self.serial.as_ref(), disk.serial.as_deref(), str::eq)
            .or_else(|| {
                one("wwn", self.wwn.as_ref(), disk.wwn.as_deref(), str::eq_ignore_ascii_case)
            })
            .or_else(|| any("by_id", self.by_id.as_ref(), "/dev/disk/by-id/", &disk.by_id))
            .or_else(|| any("by_path", self.by_path.as_ref(), "/dev/disk/by-path/", &disk.by_path))
            .or_else(|| one("path", self.path.as_ref(), Some(&disk.path), str::eq))
            .or_else(|| one("model", self.model.as_ref(), disk.model.as_deref(), str::eq))
            .or_else(|| one("transport", self.transport.as_ref(), Some(&disk.transport), str::eq))
            .or_else(|| {
                let rule = self.size.filter(|rule| !rule.allows(disk.size))?;
                Some(format!("size is not {rule}"))
            })
    }

    /// Names one particular disk, wherever it is plugged in.
    pub(crate) const fn spells_out_id(&self) -> bool {
        self.serial.is_some() || self.wwn.is_some() || self.by_id.is_some()
    }

    /// The name that may be another disk's at the next start, where only it tells which is meant.
    pub(crate) fn unstable_path(&self) -> Option<&str> {
        let stable = self.spells_out_id() || self.by_path.is_some();
        self.path.as_deref().filter(|path| !stable && !path.starts_with("/dev/disk/by-"))
    }

    /// A disk on a bus for removable media is meant.
    pub(super) fn asks_for(&self, transport: &str) -> bool {
        self.transport.as_deref() == Some(transport)
    }
}

fn one(
    name: &str,
    want: Option<&String>,
    have: Option<&str>,
    same: fn(&str, &str) -> bool,
) -> Option<String> {
    let want = want?;
    match have.map(str::trim) {
        Some(have) if same(have, want) => None,
        Some(have) => Some(format!("{name} is `{have}`")),
        None => Some(format!("it has no {name}")),
    }
}

fn any(name: &str, want: Option<&String>, folder: &str, have: &[String]) -> Option<String> {
    let want = want?;
    let want = want.strip_prefix(folder).unwrap_or(want);
    if have.iter().any(|have| have == want) {
        return None;
    }
    Some(if have.is_empty() { format!("it has no {name}") } else { format!("no {name} matches") })
}

impl Selector {
    /// The rules as an answer file has them.
    pub(crate) fn written(&self) -> Vec<(&'static str, String)> {
        self.rules(SizeRule::written)
    }

    fn rules(&self, size: fn(SizeRule) -> String) -> Vec<(&'static str, String)> {
        let rules = [
            ("serial", self.serial.clone()),
            ("wwn", self.wwn.clone()),
            ("by_id", self.by_id.clone()),
            ("by_path", self.by_path.clone()),
            ("path", self.path.clone()),
            ("model", self.model.clone()),
            ("size", self.size.map(size)),
            ("transport", self.transport.clone()),
        ];
        rules.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.rules(|rule| rule.to_string());
        let words: Vec<String> =
            rules.into_iter().map(|(name, value)| format!("{name} {value}")).collect();
        f.write_str(&words.join(", "))
    }
}
