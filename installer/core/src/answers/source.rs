//! Where the release comes from, and by whom it is vouched for.

use crate::values::WebUrl;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The one on the medium, or the one that the command line names.
    #[default]
    Medium,
    Web(Box<WebSource>),
}

/// A release on a web server. Invariant: over http the hash is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSource {
    /// The folder with `release.json`. May hold a password.
    pub url: WebUrl,
    /// Of `release.json`, in lower-case hexadecimal; all else is held against that file.
    pub sha256: Option<String>,
    pub trust: ServerTrust,
}

/// Whom to trust for an answer over https.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServerTrust {
    /// Debian's certificates.
    #[default]
    System,
    /// Those of this file, on the medium or in the installer environment.
    Authorities(String),
    /// Who holds the key whose `SubjectPublicKeyInfo` has this SHA-256.
    Key([u8; 32]),
}
