//! Where a command's answer file comes from: the command line, the web, or, in the installer
//! environment, wherever it is found.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use installer_core::answers;
use installer_core::outcome::Exit;
use installer_core::values::{WebUrl, redact_url};

use super::{Ended, say};
use crate::fetch::{Fetch as _, FetchError, Patience, Trust, Web};
use crate::find_answers::{self, FindError, Here};
use crate::host::linux::Elsewhere;

/// The bytes of an answer file, unread.
#[derive(Debug)]
pub(super) struct AnswerFile {
    /// As problems show it.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// The digest that the kernel line pins.
    pub(super) confirm: Option<String>,
}

/// A person waits: less patience than at boot, when a switch may still be learning.
const PATIENCE: Patience = Patience {
    attempts_max: 3,
    wait_first: Duration::from_millis(500),
    silence_max: Duration::from_secs(20),
};

impl From<FetchError> for Ended {
    fn from(error: FetchError) -> Self {
        Self::early(error.exit(), &error).hint(error.hint())
    }
}

impl From<FindError> for Ended {
    fn from(error: FindError) -> Self {
        Self::early(error.exit(), &error).hint(error.hint())
    }
}

impl AnswerFile {
    /// The file that was given, or the one that is found.
    pub(super) fn get(given: Option<&Path>) -> Result<Self, Ended> {
        match (given, Elsewhere::detect()) {
            (Some(path), _) => Self::read(path),
            (None, Elsewhere::Lock) => Self::find(),
            (None, Elsewhere::LeaveAlone) => {
                Err(Ended::early(Exit::BadAnswers, "--answers FILE is needed")
                    .hint("only the installer environment looks for an answer file by itself"))
            }
        }
    }

    pub(super) fn read(path: &Path) -> Result<Self, Ended> {
        let name = path.display().to_string();
        let limit = u64::try_from(answers::SIZE_MAX).unwrap_or(u64::MAX);
        if name.contains("://") {
            let url = web_url(&name)?;
            let bytes = web()?.get(&url, limit).map_err(|error| {
                let hint = error.hint();
                Ended::early(error.exit(), &format!("answer file from {error}")).hint(hint)
            })?;
            return Ok(Self { name: url.to_string(), bytes, confirm: None });
        }
        let mut bytes = Vec::new();
        // One byte more than is allowed, so that too large a file is seen as that.
        File::open(path)
            .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
            .map_err(|e| Ended::early(Exit::BadAnswers, &format!("answer file {name}: {e}")))?;
        Ok(Self { name, bytes, confirm: None })
    }

    fn find() -> Result<Self, Ended> {
        let found = find_answers::find(&mut Here::default())?;
        for line in &found.told {
            say(&format!("{line}\n"));
        }
        Ok(Self { name: found.name, bytes: found.bytes, confirm: found.confirm })
    }
}

/// An address on a command line or in answers.
pub(super) fn web_url(text: &str) -> Result<WebUrl, Ended> {
    WebUrl::parse(text).map_err(|error| {
        let what = format!("{}: {}", redact_url(text), error.what);
        Ended::early(Exit::SourceFailed, &what)
    })
}

/// The web, trusting whom this system trusts.
pub(super) fn web() -> Result<Web, Ended> {
    Web::new(&Trust::default(), PATIENCE).map_err(|error| {
        Ended::early(Exit::SourceFailed, &error).hint("Debian's package ca-certificates brings it")
    })
}
