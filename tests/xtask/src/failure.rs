//! Why a command of xtask ended badly. One enum, since all of them end the same way: a message,
//! the stage, the log, exit 1.

use std::io;
use std::path::{Path, PathBuf};

use crate::call::CallError;
use crate::qemu::console::ConsoleError;

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Console(#[from] ConsoleError),
    #[error("{action} {}: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{what}: {source}")]
    Json { what: String, source: serde_json::Error },
    #[error("packages are missing; run: {line}")]
    NeedsRoot { line: String },
    #[error("these packages did not install: {}", packages.join(", "))]
    Packages { packages: Vec<String> },
    /// Something that a scenario checks does not hold.
    #[error("{0}")]
    Check(String),
    #[error("{stage}: {source}")]
    Stage { stage: String, source: Box<Failure> },
}

impl Failure {
    pub(crate) fn check(text: impl Into<String>) -> Self {
        Self::Check(text.into())
    }
}

/// Turns an I/O result into ours by saying what was done to which file.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Failure::File { action, path: path.to_owned(), source })
    }
}

/// Fails with `text` unless `holds`.
pub(crate) fn ensure(holds: bool, text: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Failure::Check(text())) }
}
