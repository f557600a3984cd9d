//! Which kernel modules go into the installer environment: those of a list of patterns, and all
//! that they need.
//!
//! Soft dependencies count: without `crc32c` no ext4 file system can be mounted, and nothing but
//! `modules.softdep` says so.

use std::collections::{BTreeMap, BTreeSet};

/// What depmod wrote about the modules of one kernel. Names are module names (`nvme_core`), paths
/// are below the kernel's folder (`kernel/drivers/nvme/host/nvme-core.ko.xz`).
#[derive(Debug, Default)]
pub struct Index {
    /// What a path needs, by path.
    needs: BTreeMap<String, Vec<String>>,
    by_name: BTreeMap<String, String>,
    /// Names that answer to an alias without wildcards.
    aliases: BTreeMap<String, Vec<String>>,
    /// Names and aliases that a name would like to have.
    wishes: BTreeMap<String, Vec<String>>,
}

impl Index {
    /// From the texts of `modules.dep`, `modules.alias` and `modules.softdep`.
    pub fn parse(dep: &str, alias: &str, softdep: &str) -> Self {
        let mut index = Self::default();
        for (path, needs) in dep.lines().filter_map(|line| line.split_once(':')) {
            index.by_name.insert(name_of(path), path.to_owned());
            let needs = needs.split_whitespace().map(str::to_owned).collect();
            index.needs.insert(path.to_owned(), needs);
        }
        for line in alias.lines() {
            if let ["alias", alias, name] = words(line).as_slice()
                && !alias.contains(['*', '['])
            {
                let names = index.aliases.entry(underscored(alias)).or_default();
                names.push(underscored(name));
            }
        }
        for line in softdep.lines() {
            if let ["softdep", name, wishes @ ..] = words(line).as_slice() {
                let wishes = wishes.iter().filter(|w| **w != "pre:" && **w != "post:");
                let all = index.wishes.entry(underscored(name)).or_default();
                all.extend(wishes.map(|w| underscored(w)));
            }
        }
        index
    }

    /// Paths of the modules that the list names, with everything that they need.
    pub fn select(&self, list: &str) -> BTreeSet<String> {
        let mut chosen = BTreeSet::new();
        for pattern in list.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'))
        {
            if let Some(pattern) = pattern.strip_prefix('-') {
                chosen.retain(|path: &String| !matches(pattern, path));
            } else {
                let found = self.needs.keys().filter(|path| matches(pattern, path));
                chosen.extend(found.cloned());
            }
        }
        self.close(chosen)
    }

    fn close(&self, mut chosen: BTreeSet<String>) -> BTreeSet<String> {
        let mut open: Vec<String> = chosen.iter().cloned().collect();
        while let Some(path) = open.pop() {
            let soft = self.wishes.get(&name_of(&path)).into_iter().flatten();
            let soft = soft.flat_map(|wish| self.answering(wish));
            let hard = self.needs.get(&path).into_iter().flatten();
            for path in hard.chain(soft).cloned().collect::<Vec<_>>() {
                if chosen.insert(path.clone()) {
                    open.push(path);
                }
            }
        }
        chosen
    }

    /// Paths of the modules that a name or an alias stands for; none if it is built in.
    fn answering(&self, wish: &str) -> impl Iterator<Item = &String> {
        let aliased = self.aliases.get(wish).into_iter().flatten();
        let named = aliased.filter_map(|name| self.by_name.get(name));
        named.chain(self.by_name.get(wish))
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The kernel takes `-` and `_` in names for the same.
fn underscored(name: &str) -> String {
    name.replace('-', "_")
}

fn stem(path: &str) -> &str {
    path.split_once(".ko").map_or(path, |(stem, _)| stem)
}

fn name_of(path: &str) -> String {
    underscored(stem(path).rsplit('/').next().unwrap_or_default())
}

/// Whether a pattern of the list covers a module's path.
fn matches(pattern: &str, path: &str) -> bool {
    let Some(path) = stem(path).strip_prefix("kernel/") else { return false };
    if let Some(folder) = pattern.strip_suffix("/**") {
        return path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    }
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if part_matches(pattern, part) => {}
            _ => return false,
        }
    }
}

/// One name against a pattern with at most one `*`.
fn part_matches(pattern: &str, part: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == part,
        Some((head, tail)) => {
            head.len() + tail.len() <= part.len() && part.starts_with(head) && part.ends_with(tail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/fs/ext4/ext4.ko.xz: \
        kernel/lib/crc16.ko.xz kernel/fs/jbd2/jbd2.ko.xz\n\
        kernel/fs/jbd2/jbd2.ko.xz:\nkernel/lib/crc16.ko.xz:\n\
        kernel/arch/x86/crypto/crc32c-intel.ko.xz:\nkernel/crypto/crc32c_generic.ko.xz:\n\
        kernel/drivers/scsi/sd_mod.ko.xz:\nkernel/drivers/scsi/pcmcia/old.ko.xz:\n";
    const ALIAS: &str = "alias crypto-crc32c crc32c_generic\nalias crypto-crc32c crc32c_intel\n\
        alias pci:v00008086d* sd_mod\n";
    const SOFTDEP: &str = "softdep ext4 pre: crypto-crc32c\n";

    fn select(list: &str) -> Vec<String> {
        let names = Index::parse(DEP, ALIAS, SOFTDEP).select(list);
        names.iter().map(|path| name_of(path)).collect()
    }

    #[test]
    fn hard_and_soft_dependencies_come_along() {
        assert_eq!(
            select("fs/ext4/**\n"),
            ["crc32c_intel", "crc32c_generic", "ext4", "jbd2", "crc16"]
        );
    }

    #[test]
    fn a_minus_takes_away() {
        assert_eq!(select("drivers/scsi/**\n-drivers/scsi/pcmcia/**\n"), ["sd_mod"]);
        assert_eq!(select("# all\n\ndrivers/scsi/sd*\n"), ["sd_mod"]);
    }

    #[test]
    fn a_star_stays_within_one_name() {
        assert!(matches("drivers/mmc/host/sdhci*", "kernel/drivers/mmc/host/sdhci-pci.ko.xz"));
        assert!(!matches("drivers/mmc/sdhci*", "kernel/drivers/mmc/host/sdhci-pci.ko.xz"));
        assert!(!matches("drivers/md", "kernel/drivers/md/dm-mod.ko"));
    }

    #[test]
    fn the_list_in_use_asks_for_what_an_installation_needs() {
        let list = include_str!("../../../iso/modules.list");
        let index = Index::parse(DEP, ALIAS, SOFTDEP);
        let names: Vec<_> = index.select(list).iter().map(|path| name_of(path)).collect();
        for name in ["ext4", "crc32c_generic", "sd_mod"] {
            assert!(names.iter().any(|n| n == name), "{name}");
        }
        assert!(!names.iter().any(|n| n == "old"));
    }
}
