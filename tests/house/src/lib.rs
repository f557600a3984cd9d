//! The checkout as the house rules see it: its files, read once. The rules themselves, and tests
//! that span crates, live in `tests/`.

use std::io;
use std::path::{Path, PathBuf};

/// What holds nothing of ours; in a second work tree `.git` is a file.
const SKIPPED: [&str; 2] = ["target", ".git"];

/// A text file of the repository.
#[derive(Clone, Debug)]
pub struct Source {
    /// Relative to the root of the repository.
    pub path: String,
    pub text: String,
}

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate lies two folders below the root").to_owned()
}

/// Every text file of the repository, in order of paths.
///
/// # Errors
/// When a folder or a file cannot be read.
pub fn sources() -> io::Result<Vec<Source>> {
    let root = root();
    let (mut folders, mut found) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let (path, kind) = (entry.path(), entry.file_type()?);
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file()
                && let Ok(text) = String::from_utf8(std::fs::read(&path)?)
            {
                let path = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
