//! What is done to a slot after its image was written: identity, configuration, check.
//!
//! Files are put in by `debugfs`, which needs neither a mount nor root. It ends with success
//! whatever happened, and its `mkdir` damages the file system when the folder exists already; so
//! what is there is looked up before, its error output is read, and everything that was put in is
//! read back by another program's code.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ext4_view::{Ext4, Ext4Error, FileType};
use installer_core::outcome::Exit;
use installer_core::target::{Body, TargetFile};
use partitioner::ids::Guid;
use partitioner::units::Bytes;

mod room;

use room::Room;

use crate::call::{Call, CallError, Output, Run};

/// `e2fsck` on a full slot in an emulated machine.
const CHECK_SECONDS_MAX: u64 = 1800;

/// What can go wrong with a slot.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("reading {path} of the slot: {source}")]
    Ext4 { path: String, source: Ext4Error },
    #[error("{action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} holds a character that a script cannot carry")]
    Unspeakable { path: String },
    #[error("{path} of the slot is a {is}, a {wanted} is needed")]
    WrongKind { path: String, is: &'static str, wanted: &'static str },
    #[error("debugfs: {said}")]
    Debugfs { said: String },
    /// By what was to be put in and what was free, in bytes; blocks of folders come to it.
    #[error(
        "the slot's file system is full: {wanted} were to be put in, {free} and {inodes} files \
         are free in it: {said}"
    )]
    Full { wanted: Bytes, free: Bytes, inodes: u32, said: String },
    #[error("{path} of the slot: {what} is {have}, {want} was written")]
    Differs { path: String, what: &'static str, have: String, want: String },
}

impl SlotError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Call(_) | Self::Debugfs { .. } => Exit::ToolFailed,
            Self::Ext4 { .. } | Self::File { .. } | Self::Full { .. } | Self::Differs { .. } => {
                Exit::IoBeforeCommit
            }
            Self::Unspeakable { .. } => Exit::InternalError,
            Self::WrongKind { .. } => Exit::SourceFailed,
        }
    }
}

/// A file of the slot, as it is now.
pub fn read_file(slot: &Path, path: &str) -> Result<Vec<u8>, SlotError> {
    open(slot)?.read(path).map_err(ext4(path))
}

/// Gives the file system the slot's UUID and label. The image brings its own, which is the same
/// on every host.
pub fn identify(run: &mut dyn Run, slot: &Path, uuid: Guid, label: &str) -> Result<(), SlotError> {
    // Rewrites every checksum, since they are seeded with the UUID. It refuses a file system that
    // was mounted since its last check, which that of a release never was.
    run.run(&Call::new("tune2fs").args(["-U", &uuid.to_string(), "-L", label]).arg(slot))?;
    check_identity(slot, uuid, label)
}

/// The file system's superblock says what was asked for.
pub fn check_identity(slot: &Path, uuid: Guid, label: &str) -> Result<(), SlotError> {
    let fs = open(slot)?;
    differs("/", "the UUID", &fs.uuid().to_string(), &uuid.to_string())?;
    let have = fs.label().to_str().unwrap_or("not text").to_owned();
    differs("/", "the label", &have, label)
}

/// `e2fsck` finds nothing. It changes nothing.
pub fn check(run: &mut dyn Run, slot: &Path) -> Result<(), SlotError> {
    let limit = std::time::Duration::from_secs(CHECK_SECONDS_MAX);
    run.run(&Call::new("e2fsck").arg("-fn").arg(slot).timeout(limit))?;
    Ok(())
}

/// Makes the slot hold these files, and proves it. `scratch` is an empty place for copies.
pub fn configure(
    run: &mut dyn Run,
    slot: &Path,
    scratch: &Path,
    files: &[TargetFile],
) -> Result<(), SlotError> {
    let script = script(&open(slot)?, files)?;
    let write = |name: &str, bytes: &[u8]| {
        let path = scratch.join(name);
        fs::write(&path, bytes).map_err(file_error("writing", &path))
    };
    for (index, file) in files.iter().enumerate() {
        if let Body::Content(bytes) = &file.body {
            write(&copy_name(index), bytes)?;
        }
    }
    write(SCRIPT, script.as_bytes())?;
    let room = Room::of(slot)?;
    let call = Call::new("debugfs").args(["-w", "-f", SCRIPT]).arg(slot).in_folder(scratch);
    let said = complaints(&run.run(&call.accept(1))?);
    if let Some(line) = said.iter().find(|line| line.contains(FULL)) {
        return Err(room.too_small_for(files, line));
    }
    if !said.is_empty() {
        return Err(SlotError::Debugfs { said: said.join("; ") });
    }
    let fs = open(slot)?;
    files.iter().try_for_each(|file| verify(&fs, file))
}

const SCRIPT: &str = "script";
/// How `debugfs` says that no block, or no inode, is left (`ext2_err.et.in` of e2fsprogs).
const FULL: &str = "Could not allocate";

fn copy_name(index: usize) -> String {
    format!("f{index}")
}

/// What `debugfs` complains about: each line of its error output but the one with its version.
fn complaints(output: &Output) -> Vec<String> {
    let text = output.stderr_text();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.filter(|line| !line.starts_with("debugfs 1.")).map(str::to_owned).collect()
}

/// The commands that bring the files in.
fn script(fs: &Ext4, files: &[TargetFile]) -> Result<String, SlotError> {
    let mut lines = Vec::new();
    let mut made = BTreeSet::new();
    for (index, file) in files.iter().enumerate() {
        let path = speakable(&format!("/{}", file.path))?;
        let there = kind(fs, &path)?.map(|kind| kind == FileType::Directory);
        let is_folder = matches!(file.body, Body::Directory);
        match there {
            Some(true) if !is_folder => return Err(wrong_kind(&path, "folder", "file")),
            Some(false) if is_folder => return Err(wrong_kind(&path, "file or link", "folder")),
            Some(false) => lines.push(format!("rm {path}")),
            Some(true) | None => {}
        }
        let mut folders = match file.body {
            Body::Remove => continue,
            Body::Content(_) | Body::Symlink(_) | Body::Directory => missing_folders(fs, &path)?,
        };
        if is_folder && there.is_none() {
            folders.push(path.clone());
        }
        for folder in folders {
            if made.insert(folder.clone()) {
                lines.push(format!("mkdir {folder}"));
            }
        }
        // `sif` takes the type of the file with its mode.
        match &file.body {
            Body::Content(_) => {
                lines.push(format!("write {} {path}", copy_name(index)));
                lines.push(format!("sif {path} mode 0{:o}", 0o10_0000 | file.mode));
            }
            Body::Symlink(to) => lines.push(format!("symlink {path} {}", speakable(to)?)),
            Body::Directory => lines.push(format!("sif {path} mode 0{:o}", 0o4_0000 | file.mode)),
            Body::Remove => {}
        }
        lines.push(format!("sif {path} uid {}", file.uid));
        lines.push(format!("sif {path} gid {}", file.gid));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

fn wrong_kind(path: &str, is: &'static str, wanted: &'static str) -> SlotError {
    SlotError::WrongKind { path: path.to_owned(), is, wanted }
}

/// The folders above `path` that do not exist, the outermost first.
fn missing_folders(fs: &Ext4, path: &str) -> Result<Vec<String>, SlotError> {
    let mut missing = Vec::new();
    for (end, _) in path.match_indices('/').skip(1) {
        let folder = &path[..end];
        match kind(fs, folder)? {
            Some(FileType::Directory) => {}
            // A link is not followed: what it names may lie in another file system.
            Some(_) => return Err(wrong_kind(folder, "file or link", "folder")),
            None => missing.push(folder.to_owned()),
        }
    }
    Ok(missing)
}

/// What lies at `path`, links not followed.
fn kind(fs: &Ext4, path: &str) -> Result<Option<FileType>, SlotError> {
    match fs.symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta.file_type())),
        Err(Ext4Error::NotFound) => Ok(None),
        Err(source) => Err(SlotError::Ext4 { path: path.to_owned(), source }),
    }
}

/// A path, or the text of a link, that [`configure`] can carry.
pub fn is_speakable(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

/// Refuses what would need quoting. Nothing that xenhost writes does.
fn speakable(text: &str) -> Result<String, SlotError> {
    if is_speakable(text) {
        Ok(text.to_owned())
    } else {
        Err(SlotError::Unspeakable { path: format!("{text:?}") })
    }
}

/// The slot holds the file as it was asked for.
fn verify(fs: &Ext4, file: &TargetFile) -> Result<(), SlotError> {
    let path = format!("/{}", file.path);
    let (want, mode) = match &file.body {
        Body::Content(_) => ("a file", file.mode),
        Body::Directory => ("a folder", file.mode),
        // Every link has this mode.
        Body::Symlink(_) => ("a link", 0o777),
        Body::Remove => ("nothing", 0),
    };
    let have = match kind(fs, &path)? {
        Some(FileType::Regular) => "a file",
        Some(FileType::Directory) => "a folder",
        Some(FileType::Symlink) => "a link",
        Some(_) => "something else",
        None => "nothing",
    };
    differs(&path, "what is there", have, want)?;
    match &file.body {
        Body::Content(bytes) => {
            if fs.read(path.as_str()).map_err(ext4(&path))? != *bytes {
                differs(&path, "the content", "different", "the same")?;
            }
        }
        Body::Symlink(to) => {
            let have = fs.read_link(path.as_str()).map_err(ext4(&path))?;
            differs(&path, "the link's target", have.to_str().unwrap_or("not text"), to)?;
        }
        Body::Directory => {}
        Body::Remove => return Ok(()),
    }
    let meta = fs.symlink_metadata(path.as_str()).map_err(ext4(&path))?;
    let text = |mode: u16, uid: u32, gid: u32| format!("{mode:04o} {uid}:{gid}");
    let want = text(mode, file.uid, file.gid);
    differs(&path, "mode and owner", &text(meta.mode(), meta.uid(), meta.gid()), &want)
}

fn differs(path: &str, what: &'static str, have: &str, want: &str) -> Result<(), SlotError> {
    if have == want {
        return Ok(());
    }
    let (path, have, want) = (path.to_owned(), have.to_owned(), want.to_owned());
    Err(SlotError::Differs { path, what, have, want })
}

fn open(slot: &Path) -> Result<Ext4, SlotError> {
    Ext4::load_from_path(slot).map_err(ext4("the superblock"))
}

fn ext4(path: &str) -> impl Fn(Ext4Error) -> SlotError {
    move |source| SlotError::Ext4 { path: path.to_owned(), source }
}

fn file_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> SlotError {
    move |source| SlotError::File { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
