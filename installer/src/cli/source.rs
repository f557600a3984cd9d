//! Where a command's release comes from: a folder, the medium, or a web server that the command
//! line or the answers name.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use installer_core::answers::{ServerTrust, Source, WebSource};
use installer_core::outcome::Exit;
use installer_core::values::{Scheme, WebUrl, sha256_digits};

use super::Ended;
use super::answer_file::web_url;
use crate::fetch::{Patience, Trust, Web};
use crate::find_answers::Here;
use crate::host::linux::Elsewhere;
use crate::release_dir::{Release, ReleaseError, Store};

/// Which release is meant.
#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    /// The release: a folder with release.json, here or on a web server.
    #[arg(long, value_name = "DIR|URL")]
    release: Option<PathBuf>,
    /// SHA-256 of release.json. Needed over http.
    #[arg(long, value_name = "HEX", value_parser = digits, requires = "release")]
    release_sha256: Option<String>,
    /// A file with the certificates that are trusted in place of the system's.
    #[arg(long, value_name = "FILE", requires = "release")]
    release_ca: Option<PathBuf>,
}

/// A server that loses a gigabyte's connection is given some minutes to come back.
pub(super) const PATIENCE: Patience = Patience {
    attempts_max: 7,
    wait_first: Duration::from_secs(1),
    silence_max: Duration::from_secs(30),
};

fn digits(text: &str) -> Result<String, String> {
    sha256_digits(text).map_err(|error| error.what)
}

impl ReleaseArgs {
    /// The release that the command line names; without, the one that the answers name, which is
    /// the medium's where they name none.
    pub(super) fn open(&self, source: &Source) -> Result<Release, Ended> {
        let Some(path) = &self.release else {
            return match source {
                Source::Web(web) => open_web(web),
                Source::Medium if Elsewhere::detect() == Elsewhere::Lock => {
                    open_folder(&Here::medium()?.join("release"), None)
                }
                Source::Medium => Err(Ended::early(
                    Exit::BadAnswers,
                    "--release DIR|URL is needed: the answers name no `source`",
                )
                .hint("only the installer environment has a medium")),
            };
        };
        let text = path.to_string_lossy();
        if !text.contains("://") {
            return open_folder(path, self.release_sha256.as_deref());
        }
        let url = web_url(&text)?;
        if url.scheme() == Scheme::Http && self.release_sha256.is_none() {
            let what = format!("{url}: a release over http needs --release-sha256");
            return Err(Ended::early(Exit::BadAnswers, &what)
                .hint("it is the SHA-256 of release.json; sha256sum prints it"));
        }
        let trust = self.release_ca.clone().map_or_else(Trust::default, Trust::Authorities);
        fetch(url, &trust, self.release_sha256.as_deref())
    }
}

/// In the installer environment the network is brought up for what the answers name.
pub(super) fn connected() -> Result<(), Ended> {
    if Elsewhere::detect() == Elsewhere::LeaveAlone {
        return Ok(());
    }
    Ok(Here::default().connect_now()?)
}

fn open_web(source: &WebSource) -> Result<Release, Ended> {
    connected()?;
    fetch(source.url.clone(), &trust(&source.trust), source.sha256.as_deref())
}

fn fetch(url: WebUrl, trust: &Trust, sha256: Option<&str>) -> Result<Release, Ended> {
    let web =
        Web::new(trust, PATIENCE).map_err(|error| Ended::early(Exit::SourceFailed, &error))?;
    Release::on_web(url, Arc::new(web), sha256).map_err(|error| {
        let hint = match &error {
            ReleaseError::Fetch(error) => error.hint(),
            ReleaseError::OtherManifest { .. } => {
                "the server has another release than the one that is meant"
            }
            ReleaseError::OtherArch { .. } => "take the release that is for this machine",
            ReleaseError::Read { .. }
            | ReleaseError::Manifest { .. }
            | ReleaseError::Size { .. }
            | ReleaseError::Hash { .. }
            | ReleaseError::NotListed { .. } => "the address is that of the folder of a release",
        };
        Ended::early(error.exit(), &format!("release: {error}")).hint(hint)
    })
}

fn open_folder(dir: &Path, sha256: Option<&str>) -> Result<Release, Ended> {
    Release::open_in(Store::Folder(dir.to_owned()), sha256).map_err(|e| {
        Ended::early(e.exit(), &format!("release: {e}"))
            .hint("--release takes the folder of a release")
    })
}

/// Whom the answers trust.
pub(super) fn trust(trust: &ServerTrust) -> Trust {
    match trust {
        ServerTrust::System => Trust::default(),
        ServerTrust::Authorities(path) => Trust::Authorities(Here::file_or_medium(path)),
        ServerTrust::Key(digest) => Trust::Key(*digest),
    }
}
