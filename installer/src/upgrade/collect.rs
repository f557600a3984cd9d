//! What is carried over from an old root, read now; and what was changed there and stays behind.

use std::collections::{BTreeMap, BTreeSet};

use installer_core::target::{Body, RelPath, TargetFile};
use installer_core::upgrade::accounts::{Accounts, Merged, merge};
use installer_core::upgrade::carry::{self, CARRIED, Pick};
use md5::{Digest, Md5};

use super::root::{Kind, Root, RootError, Stat, file, text};
use crate::slot::is_speakable;

/// A configuration file larger than this is none.
const FILE_MAX: u64 = 16 << 20;
/// All of them, held in memory.
const TOTAL_MAX: u64 = 64 << 20;
/// What a walk looks at before it gives up.
const ENTRIES_MAX: usize = 20_000;
const DEPTH_MAX: usize = 16;
/// Lines of the report.
const LINES_MAX: usize = 200;
/// The installer's own files are written within this time of the inventory.
const INSTALL_SECONDS: i64 = 60;
const INVENTORY: &str = "etc/xenhost/inventory.json";
const STATUS: &str = "var/lib/dpkg/status";
const STATUS_MAX: u64 = 64 << 20;

/// Files for the new slot, in the order in which they are written.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    pub files: Vec<TargetFile>,
    /// What is left behind, in words.
    pub notes: Vec<String>,
}

/// The account files of a root.
pub fn accounts(root: &dyn Root) -> Result<Accounts, RootError> {
    let read = |path| text(root, path, FILE_MAX);
    Ok(Accounts {
        passwd: read("etc/passwd")?,
        shadow: read("etc/shadow")?,
        group: read("etc/group")?,
        gshadow: read("etc/gshadow")?,
    })
}

/// Everything that moves from `old` to `new`, but for the files that the slot has of its own.
pub fn carry_over(old: &dyn Root, new: &dyn Root, keep: &[RelPath]) -> Result<Carried, RootError> {
    let (old_accounts, new_accounts) = (accounts(old)?, accounts(new)?);
    let merged = merge(&old_accounts, &new_accounts);
    let mut walk = Walk::new(old, &merged)?;
    walk.picks(keep)?;
    walk.homes()?;
    let (mut files, mut notes) = (walk.files, walk.notes);
    notes.extend(merged.notes.iter().cloned());
    let mut clashes = Vec::new();
    files.retain(|file| match clash(new, file) {
        Ok(None) => true,
        Ok(Some(why)) => {
            clashes.push(format!("{}: {why}", file.path));
            false
        }
        Err(error) => {
            clashes.push(format!("{}: {error}", file.path));
            false
        }
    });
    notes.extend(clashes);
    files.extend(account_files(new, &new_accounts, &merged)?);
    Ok(Carried { files, notes })
}

/// Why a file has no place in the new release: a folder is a file there, or the other way round.
fn clash(new: &dyn Root, file: &TargetFile) -> Result<Option<&'static str>, RootError> {
    for folder in file.path.parents() {
        match new.stat(folder.as_str())? {
            Some(stat) if stat.kind != Kind::Folder => {
                return Ok(Some("a folder above it is something else in the new release"));
            }
            Some(_) | None => {}
        }
    }
    let is_folder = new.stat(file.path.as_str())?.map(|stat| stat.kind == Kind::Folder);
    let clashes = is_folder.is_some_and(|there| there != matches!(file.body, Body::Directory));
    Ok(clashes.then_some("it is of another kind in the new release"))
}

/// The four files, as the new release owns them.
fn account_files(
    new: &dyn Root,
    before: &Accounts,
    merged: &Merged,
) -> Result<Vec<TargetFile>, RootError> {
    let after = &merged.accounts;
    let four = [
        ("etc/passwd", &before.passwd, &after.passwd),
        ("etc/group", &before.group, &after.group),
        ("etc/shadow", &before.shadow, &after.shadow),
        ("etc/gshadow", &before.gshadow, &after.gshadow),
    ];
    let mut files = Vec::new();
    for (path, before, after) in four {
        let (Some(stat), true) = (new.stat(path)?, before != after) else { continue };
        let path = RelPath::new(path).expect("a relative path");
        let body = Body::Content(after.clone().into_bytes());
        files.push(TargetFile { path, mode: stat.mode, uid: stat.uid, gid: stat.gid, body });
    }
    Ok(files)
}

/// A walk over the parts of an old root that move.
struct Walk<'r> {
    root: &'r dyn Root,
    merged: &'r Merged,
    conffiles: BTreeMap<String, String>,
    files: Vec<TargetFile>,
    seen: BTreeSet<String>,
    notes: Vec<String>,
    bytes: u64,
}

impl<'r> Walk<'r> {
    fn new(root: &'r dyn Root, merged: &'r Merged) -> Result<Self, RootError> {
        Ok(Self {
            root,
            merged,
            conffiles: conffiles(root)?,
            files: Vec::new(),
            seen: BTreeSet::new(),
            notes: Vec::new(),
            bytes: 0,
        })
    }

    fn picks(&mut self, keep: &[RelPath]) -> Result<(), RootError> {
        for pick in CARRIED {
            match *pick {
                Pick::Path(path) => self.take(path, 0)?,
                Pick::Begins { folder, with } => self.begins(folder, with)?,
            }
        }
        for path in keep {
            self.take(path.as_str(), 0)?;
        }
        Ok(())
    }

    fn begins(&mut self, folder: &str, with: &str) -> Result<(), RootError> {
        if self.root.stat(folder)?.is_some_and(|stat| stat.kind == Kind::Folder) {
            for name in self.root.list(folder)? {
                if name.starts_with(with) {
                    self.take(&format!("{folder}/{name}"), 0)?;
                }
            }
        }
        Ok(())
    }

    /// Homes of people, and the keys by which they log in.
    fn homes(&mut self) -> Result<(), RootError> {
        for person in self.merged.people.clone() {
            let home = person.home.strip_prefix('/').unwrap_or_default().to_owned();
            let Ok(path) = RelPath::new(&home) else { continue };
            if !carry::within(&home, "home") || home == "home" || !is_speakable(&home) {
                self.notes.push(format!("/{home}: the home of {}", person.name));
                continue;
            }
            let old = self.root.stat(&home)?.filter(|stat| stat.kind == Kind::Folder);
            let mode = old.map_or(0o700, |stat| stat.mode);
            let body = Body::Directory;
            let home_of = TargetFile { path, mode, uid: person.uid, gid: person.gid, body };
            if self.seen.insert(home.clone()) {
                self.files.push(home_of);
            }
            self.take(&format!("{home}/.ssh"), 0)?;
        }
        Ok(())
    }

    /// A path with all that is in it.
    fn take(&mut self, path: &str, depth: usize) -> Result<(), RootError> {
        let Some(stat) = self.root.stat(path)? else { return Ok(()) };
        if carry::is_of_slot(path) || !self.seen.insert(path.to_owned()) {
            return Ok(());
        }
        let (true, Ok(rel)) = (is_speakable(path), RelPath::new(path)) else {
            self.notes.push(format!("{path:?}: a name with characters that are not carried"));
            return Ok(());
        };
        if DEPTH_MAX < depth || ENTRIES_MAX < self.seen.len() {
            self.notes.push(format!("/{path}: too many folders or files"));
            return Ok(());
        }
        let body = match stat.kind {
            Kind::Folder => Some(Body::Directory),
            Kind::File => self.content(path, stat)?.map(Body::Content),
            Kind::Link => {
                Some(self.root.link(path)?).filter(|to| is_speakable(to)).map(Body::Symlink)
            }
            Kind::Other => None,
        };
        let Some(body) = body else { return Ok(()) };
        let mode = if stat.kind == Kind::Link { 0o777 } else { stat.mode };
        let id = |map: &BTreeMap<u32, u32>, id: u32| map.get(&id).copied().unwrap_or(id);
        let (uid, gid) = (id(&self.merged.uids, stat.uid), id(&self.merged.gids, stat.gid));
        self.files.push(TargetFile { path: rel, mode, uid, gid, body });
        if stat.kind == Kind::Folder {
            for name in self.root.list(path)? {
                self.take(&format!("{path}/{name}"), depth + 1)?;
            }
        }
        Ok(())
    }

    /// The bytes, unless they are the package's own or too many.
    fn content(&mut self, path: &str, stat: Stat) -> Result<Option<Vec<u8>>, RootError> {
        if FILE_MAX < stat.len || TOTAL_MAX < self.bytes.saturating_add(stat.len) {
            self.notes.push(format!("/{path}: {} bytes are too many", stat.len));
            return Ok(None);
        }
        let bytes = self.root.read_all(path)?;
        if self.conffiles.get(path).is_some_and(|sum| *sum == md5(&bytes)) {
            return Ok(None);
        }
        self.bytes = self.bytes.saturating_add(stat.len);
        Ok(Some(bytes))
    }
}

/// What dpkg recorded of each configuration file: path without its slash, MD5.
fn conffiles(root: &dyn Root) -> Result<BTreeMap<String, String>, RootError> {
    let status = file(root, STATUS, STATUS_MAX)?.unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let mut found = BTreeMap::new();
    let mut within = false;
    for line in status.lines() {
        if !line.starts_with(' ') {
            within = line == "Conffiles:";
            continue;
        }
        let mut words = line.split_whitespace();
        if let (true, Some(path), Some(sum)) = (within, words.next(), words.next())
            && let Some(path) = path.strip_prefix('/')
        {
            found.insert(path.to_owned(), sum.to_owned());
        }
    }
    Ok(found)
}

fn md5(bytes: &[u8]) -> String {
    crate::release_dir::hex(&Md5::digest(bytes))
}

/// What somebody changed below `/etc` after the installation and that is not carried over. By time
/// of change, since the image's own files are older; a package's file that is as its package
/// brought it counts as unchanged.
pub fn left_behind(old: &dyn Root, keep: &[RelPath]) -> Result<Vec<String>, RootError> {
    let since = old.stat(INVENTORY)?.map_or(0, |stat| stat.modified);
    let since = since.saturating_add(INSTALL_SECONDS);
    let conffiles = conffiles(old)?;
    let mut report = Vec::new();
    let mut folders = vec!["etc".to_owned()];
    let mut looked = 0_usize;
    while let Some(folder) = folders.pop() {
        for name in old.list(&folder)? {
            looked = looked.saturating_add(1);
            let path = format!("{folder}/{name}");
            let kept = keep.iter().any(|keep| carry::within(&path, keep.as_str()));
            if ENTRIES_MAX < looked || kept || carry::covers(&path) || carry::is_made(&path) {
                continue;
            }
            let Some(stat) = old.stat(&path)?.filter(|_| !carry::is_of_slot(&path)) else {
                continue;
            };
            match stat.kind {
                Kind::Folder => folders.push(path),
                Kind::File | Kind::Link if stat.modified <= since => {}
                Kind::File if stat.len <= FILE_MAX => {
                    let sum = conffiles.get(&path);
                    if sum.is_none_or(|sum| old.read_all(&path).is_ok_and(|b| *sum != md5(&b))) {
                        report.push(format!("/{path}"));
                    }
                }
                Kind::File | Kind::Link | Kind::Other => report.push(format!("/{path}")),
            }
        }
    }
    report.sort();
    if LINES_MAX < report.len() {
        let more = report.len().saturating_sub(LINES_MAX);
        report.truncate(LINES_MAX);
        report.push(format!("and {more} more"));
    }
    if ENTRIES_MAX < looked {
        report.push("/etc: too many files, not all were looked at".to_owned());
    }
    for path in keep {
        if old.stat(path.as_str())?.is_none() {
            report.push(format!("/{path}: it is to be kept, and is not there"));
        }
    }
    report.extend(carry::notes());
    Ok(report)
}
