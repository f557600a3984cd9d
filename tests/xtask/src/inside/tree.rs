//! An ext4 partition of a disk at rest: to be read, and to be changed by `debugfs`, as a release
//! that is no good would have it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use ext4_view::{Ext4, Ext4Error};

use super::{Part, Partition, partitions};
use crate::call::Call;
use crate::failure::{At, Failure, Result, ensure};

#[derive(Debug)]
pub(crate) struct Tree {
    disk: PathBuf,
    partition: Partition,
    fs: Ext4,
}

/// The path of a file, and what it holds from now on: `None` for no file.
pub(crate) type Change = (String, Option<String>);

impl Tree {
    pub(crate) fn open(disk: &Path, number: u32) -> Result<Self> {
        let mut table = partitions(disk)?;
        table.retain(|p| p.number() == number);
        let missing = || Failure::check(format!("{}: no partition {number}", disk.display()));
        let partition = table.pop().ok_or_else(missing)?;
        let wrong = |e: Ext4Error| Failure::check(format!("{}: {e}", partition.node));
        let fs = Ext4::load(Box::new(Part::open(disk, &partition)?)).map_err(wrong)?;
        Ok(Self { disk: disk.to_owned(), partition, fs })
    }

    /// PARTUUID.
    pub(crate) fn uuid(&self) -> String {
        self.partition.uuid.to_lowercase()
    }

    pub(crate) fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        self.fs.read(path).map_err(self.wrong(path))
    }

    pub(crate) fn text(&self, path: &str) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.bytes(path)?).into_owned())
    }

    /// The paths of what lies in a folder.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<String>> {
        let entries = self.fs.read_dir(folder).map_err(self.wrong(folder))?;
        let path = |entry: std::result::Result<ext4_view::DirEntry, Ext4Error>| {
            Ok(entry.map_err(self.wrong(folder))?.path().display().to_string())
        };
        entries.map(path).collect()
    }

    /// Makes the changes, and looks whether they were made. What is to go must be there.
    pub(crate) fn change(self, scratch: &Path, changes: &[Change]) -> Result<()> {
        let mut script = String::new();
        for (number, (path, content)) in changes.iter().enumerate() {
            let mut line = |text: String| writeln!(script, "{text}").expect("a string takes all");
            if content.is_none() || self.fs.exists(path.as_str()).map_err(self.wrong(path))? {
                self.bytes(path)?;
                line(format!("rm {path}"));
            }
            if let Some(content) = content {
                let copy = scratch.join(format!("change-{number}"));
                std::fs::write(&copy, content).at("writing", &copy)?;
                line(format!("write {} {path}", copy.display()));
            }
        }
        let file = scratch.join("change");
        std::fs::write(&file, script).at("writing", &file)?;
        let disk = format!("{}?offset={}", self.disk.display(), self.partition.start * 512);
        Call::new("debugfs").args(["-w", "-f"]).arg(&file).arg(disk).stdout()?;
        let after = Self::open(&self.disk, self.partition.number())?;
        for (path, content) in changes {
            let have = after.fs.exists(path.as_str()).map_err(self.wrong(path))?;
            let have = if have { Some(after.text(path)?) } else { None };
            ensure(have == *content, || format!("debugfs did not change {path}: {have:?}"))?;
        }
        Ok(())
    }

    fn wrong(&self, path: &str) -> impl Fn(Ext4Error) -> Failure + use<> {
        let what = format!("{}: {path}", self.partition.node);
        move |e| Failure::check(format!("{what}: {e}"))
    }
}
