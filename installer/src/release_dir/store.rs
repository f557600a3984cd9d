//! Where the files of a release lie: in a folder, or on a web server. Nothing here is trusted; what
//! comes is held against the manifest by those who asked for it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use installer_core::values::WebUrl;

use super::ReleaseError;
use crate::fetch::{Download, Fetch};

/// Read at once where a file is only hashed.
const PIECE_BYTES: usize = 1 << 20;

/// A place that holds a release.
#[derive(Clone, Debug)]
pub enum Store {
    Folder(PathBuf),
    Web { url: WebUrl, web: Arc<dyn Fetch> },
}

/// One file of it, opened for ranges.
#[derive(Debug)]
pub(crate) enum Open {
    /// Ranges in any order, by many threads at once.
    File(File),
    /// Ranges in rising order: one connection brings them all.
    Web(Download),
}

impl Store {
    /// The file as errors name it, without user and password.
    pub fn place(&self, file: &str) -> String {
        match self {
            Self::Folder(dir) => dir.join(file).display().to_string(),
            Self::Web { url, .. } => url.child(file).to_string(),
        }
    }

    /// The whole file, unless it is longer than `bytes_max`.
    pub(super) fn read(&self, file: &str, bytes_max: u64) -> Result<Vec<u8>, ReleaseError> {
        match self {
            Self::Folder(dir) => read_bounded(&dir.join(file), bytes_max),
            Self::Web { url, web } => Ok(web.get(&url.child(file), bytes_max)?),
        }
    }

    /// The file is there and has this length, as far as that is told without reading it.
    pub(super) fn check_size(&self, file: &str, want: u64) -> Result<(), ReleaseError> {
        let have = match self {
            Self::Folder(dir) => file_size(&dir.join(file))?,
            Self::Web { url, web } => web.open(&url.child(file), 0)?.length.unwrap_or(want),
        };
        if have == want {
            return Ok(());
        }
        Err(ReleaseError::Size { place: self.place(file), have, want })
    }

    /// The bytes of a file that is to have `size` of them, piece by piece.
    pub(super) fn pieces(
        &self,
        file: &str,
        size: u64,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), ReleaseError> {
        let mut open = self.open(file, size)?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut at = 0;
        while at < size {
            let left = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX);
            let piece = piece.get_mut(..left.min(PIECE_BYTES)).unwrap_or_default();
            match &mut open {
                Open::File(from) => from.read_exact_at(piece, at).map_err(|e| self.failed(file, e)),
                Open::Web(from) => from.fill(piece).map_err(ReleaseError::from),
            }?;
            take(piece);
            at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    pub(crate) fn open(&self, file: &str, size: u64) -> Result<Open, ReleaseError> {
        match self {
            Self::Folder(dir) => {
                File::open(dir.join(file)).map(Open::File).map_err(|e| self.failed(file, e))
            }
            Self::Web { url, web } => {
                Ok(Open::Web(Download::new(Arc::clone(web), url.child(file), size)))
            }
        }
    }

    fn failed(&self, file: &str, source: io::Error) -> ReleaseError {
        ReleaseError::Read { place: self.place(file), source }
    }
}

fn file_size(path: &Path) -> Result<u64, ReleaseError> {
    let failed = |source| ReleaseError::Read { place: path.display().to_string(), source };
    let meta = fs::metadata(path).map_err(failed)?;
    if meta.is_file() {
        return Ok(meta.len());
    }
    Err(failed(io::Error::from(io::ErrorKind::InvalidInput)))
}

fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ReleaseError> {
    let place = || path.display().to_string();
    let failed = |source| ReleaseError::Read { place: place(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len <= bytes_max) {
        return Ok(bytes);
    }
    let why = format!("more than {bytes_max} bytes");
    Err(ReleaseError::Manifest { place: place(), why })
}
