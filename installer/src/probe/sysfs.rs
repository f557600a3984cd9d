//! Reading the small files of sysfs and procfs.

use std::fs;
use std::io;
use std::path::Path;

use super::ProbeError;

/// The trimmed text of an attribute; `None` where it does not exist, cannot be read or is empty.
///
/// Drivers offer attributes as they please, and some answer with an error while a device sleeps, so
/// an attribute is never a reason to stop.
pub(crate) fn attribute(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) fn number(path: &Path) -> Option<u64> {
    attribute(path)?.parse().ok()
}

/// The names in a folder, sorted; none where the folder does not exist.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, ProbeError> {
    let read = |source| ProbeError::Read { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(read(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(read)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The last part of what a link points to: a driver's or a subsystem's name.
pub(super) fn link_name(link: &Path) -> Option<String> {
    let target = fs::read_link(link).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}
