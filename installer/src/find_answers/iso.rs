//! A file at the top of an ISO 9660 volume (ECMA-119), read without mounting.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::read_max;

const SECTOR: u64 = 2048;
/// The record of the root folder within the first descriptor.
const ROOT: u64 = 16 * SECTOR + 156;
/// A root folder of a medium with answers has a few entries.
const FOLDER_BYTES_MAX: u32 = 64 * 1024;

/// The first of the names that is there, with its content. Names are compared without regard to
/// case, without version; Rock Ridge and Joliet are not looked at: `ANSWERS.YAM` is taken too,
/// which is what `answers.yaml` becomes on a disc of the first level.
pub(super) fn file(volume: &File, names: &[&str]) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut root = [0; 34];
    volume.read_exact_at(&mut root, ROOT)?;
    let Some((at, length)) = extent(&root) else { return Ok(None) };
    let mut folder = vec![0; usize::try_from(length.min(FOLDER_BYTES_MAX)).unwrap_or(0)];
    volume.read_exact_at(&mut folder, at)?;
    for name in names {
        for sector in folder.chunks(2048) {
            if let Some((at, length)) = find(sector, name) {
                let length = u64::from(length).min(read_max());
                let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
                volume.read_exact_at(&mut bytes, at)?;
                return Ok(Some(((*name).to_owned(), bytes)));
            }
        }
    }
    Ok(None)
}

/// Records do not cross sectors; one of length 0 ends a sector.
fn find(sector: &[u8], name: &str) -> Option<(u64, u32)> {
    let mut rest = sector;
    while let Some(record) = rest.first().and_then(|n| rest.get(..usize::from(*n))) {
        let length = usize::from(*record.get(32)?);
        let is_folder = *record.get(25)? & 2 != 0;
        let here = String::from_utf8_lossy(record.get(33..33 + length)?);
        let here = here.split(';').next().unwrap_or_default();
        if !is_folder && is_named(here, name) {
            return extent(record);
        }
        rest = rest.get(record.len().max(34)..)?;
    }
    None
}

fn is_named(here: &str, name: &str) -> bool {
    let short =
        name.split_once('.').map(|(stem, end)| format!("{stem}.{}", end.get(..3).unwrap_or(end)));
    here.eq_ignore_ascii_case(name) || short.is_some_and(|short| here.eq_ignore_ascii_case(&short))
}

/// First byte and length, of the little-endian halves.
fn extent(record: &[u8]) -> Option<(u64, u32)> {
    let word = |at: usize| {
        let four = record.get(at..at + 4)?;
        Some(u32::from_le_bytes(four.try_into().ok()?))
    };
    Some((u64::from(word(2)?).checked_mul(SECTOR)?, word(10)?))
}
