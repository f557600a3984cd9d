//! What can go wrong while building, and who has to act.

use std::io;
use std::path::{Path, PathBuf};

use installer_core::outcome::Exit;
use thiserror::Error;

use crate::exec::ExecError;

/// One variant per situation that someone can react to.
#[derive(Debug, Error)]
pub enum Error {
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Exec(#[from] ExecError),
    #[error("the package archive has no package {}", names.join(", "))]
    PackageMissing { names: Vec<String>, suite: String },
    #[error(
        "{path} has {have} MiB free, {need} MiB needed for {what}",
        path = path.display(), have = have >> 20, need = need >> 20
    )]
    NoSpace { path: PathBuf, have: u64, need: u64, what: &'static str },
    #[error("no entry for the Debian archive in the apt sources of this machine")]
    NoArchive,
    #[error("suite `{suite}` is not a plain name such as `trixie`")]
    BadSuite { suite: String },
    #[error("{url} cannot be read: {reason}")]
    ArchiveUnreachable { url: String, reason: String },
    #[error(
        "the dom0 image has files of many users, and neither is this root nor does a user \
         namespace work: {reason}"
    )]
    NoNamespace { reason: String },
    #[error("{path} is not {expected}: {reason}", path = path.display())]
    NotA { path: PathBuf, expected: &'static str, reason: String },
    #[error("{what} takes {have} bytes, at most {limit} allowed")]
    TooLarge { what: &'static str, have: u64, limit: u64 },
    #[error("{file} is not what the manifest says")]
    Damaged { file: String },
    #[error("{text}")]
    Answers { text: String },
    #[error("SOURCE_DATE_EPOCH `{value}` is not a number of seconds")]
    BadEpoch { value: String },
    /// The installer has told why, and what state the disk is in.
    #[error("the installer ended with exit code {}", exit.code())]
    Installer { exit: Exit },
}

impl Error {
    /// Attaches the path that every I/O error should name.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::Installer { exit } => *exit,
            Self::Io { .. } => Exit::InternalError,
            Self::Exec(_) => Exit::ToolFailed,
            Self::Damaged { .. } => Exit::HashMismatch,
            Self::PackageMissing { .. } | Self::ArchiveUnreachable { .. } => Exit::SourceFailed,
            Self::NoSpace { .. } | Self::NoNamespace { .. } | Self::TooLarge { .. } => {
                Exit::Unsuitable
            }
            Self::NoArchive
            | Self::BadSuite { .. }
            | Self::NotA { .. }
            | Self::Answers { .. }
            | Self::BadEpoch { .. } => Exit::BadAnswers,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exec(error) => error.hint(),
            Self::PackageMissing { suite, .. } => Some(format!(
                "check the components of the archive and that suite {suite} has the package"
            )),
            Self::NoSpace { .. } => {
                Some("free some space or give another directory with --out or XENHOST_CACHE".into())
            }
            Self::NoArchive => Some("name an archive with --mirror URL".into()),
            Self::ArchiveUnreachable { .. } => {
                Some("check the network, or name another archive with --mirror URL".into())
            }
            Self::NoNamespace { .. } => Some(
                "apt-get install uidmap, and see that /etc/subuid and /etc/subgid name you; or \
                 run it as root"
                    .into(),
            ),
            Self::Io { .. }
            | Self::BadSuite { .. }
            | Self::NotA { .. }
            | Self::TooLarge { .. }
            | Self::Damaged { .. }
            | Self::Answers { .. }
            | Self::BadEpoch { .. }
            | Self::Installer { .. } => None,
        }
    }
}

pub type Result<T> = std::result::Result<T, Error>;
