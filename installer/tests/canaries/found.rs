//! Looks for texts on a disk image, holes apart.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{SeekFrom, seek};

/// Which of these texts a disk holds anywhere, holes apart, once for each place.
pub(crate) fn found_on(disk: &Path, texts: &[&str]) -> Vec<String> {
    let image = File::open(disk).unwrap();
    let end = image.metadata().unwrap().len();
    let (mut at, mut found) = (0, Vec::new());
    while let Ok(start) = seek(&image, SeekFrom::Data(at)) {
        at = seek(&image, SeekFrom::Hole(start)).unwrap_or(end);
        let length = at.checked_sub(start).unwrap();
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        image.read_exact_at(&mut bytes, start).unwrap();
        let bytes = String::from_utf8_lossy(&bytes);
        for text in texts.iter().filter(|text| bytes.contains(**text)) {
            found.extend(bytes.matches(text).map(str::to_owned));
        }
    }
    found
}
