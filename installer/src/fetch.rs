//! Files from the web.
//!
//! In: an address. Out: its bytes, within a limit, or an error that names the address without its
//! password, how often it was tried, and why not. Redirects are followed here, one by one, so that
//! none leads from https to http; what cannot change by waiting is not tried again.

use std::fmt;
use std::io::Read;
use std::time::Duration;

use installer_core::outcome::Exit;
use installer_core::values::WebUrl;

mod download;
mod tls;
mod web;

pub use download::Download;
pub use tls::{Trust, TrustError};
pub use web::Web;

/// How patient to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Times that a request is made at all.
    pub attempts_max: u32,
    /// Before the second attempt; each further one waits twice as long.
    pub wait_first: Duration,
    /// For a connection, for the head of an answer, and between two pieces of its body.
    pub silence_max: Duration,
}

impl Default for Patience {
    /// Switches take up to half a minute until a port carries traffic.
    fn default() -> Self {
        Self {
            attempts_max: 6,
            wait_first: Duration::from_secs(1),
            silence_max: Duration::from_secs(30),
        }
    }
}

/// Followed for one request.
pub const REDIRECTS_MAX: u32 = 5;

/// A file on its way.
pub struct Body {
    pub bytes: Box<dyn Read + Send>,
    /// Of the whole file, where the server tells it.
    pub length: Option<u64>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("length", &self.length).finish_non_exhaustive()
    }
}

/// Gets files from the web.
pub trait Fetch: fmt::Debug + Send + Sync {
    /// The whole file, unless it is longer than `bytes_max`.
    fn get(&self, url: &WebUrl, bytes_max: u64) -> Result<Vec<u8>, FetchError>;

    /// The file from byte `from` on, once: what breaks off is opened again by the caller.
    fn open(&self, url: &WebUrl, from: u64) -> Result<Body, FetchError>;

    /// How long nothing may come.
    fn silence_max(&self) -> Duration;
}

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {cause} ({})", tried(*.attempts))]
pub struct FetchError {
    /// Without user and password.
    pub url: String,
    pub attempts: u32,
    pub cause: Cause,
}

fn tried(attempts: u32) -> String {
    if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") }
}

/// What went wrong in the last attempt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("the server says {status}{}", meaning(*.status))]
    Status { status: u16 },
    #[error("the name of the server is not known")]
    UnknownHost,
    #[error("nothing came within {} s", .0.as_secs())]
    Silence(Duration),
    #[error("the connection failed: {0}")]
    Connection(String),
    #[error("the server is not trusted: {0}")]
    Trust(String),
    #[error("longer than {} KiB", .0 / 1024)]
    TooLong(u64),
    #[error("the server has {have} bytes, {want} are expected")]
    Length { have: u64, want: u64 },
    #[error("more than {REDIRECTS_MAX} redirects")]
    Redirects,
    #[error("a redirect leads from https to http, to {0}")]
    Downgrade(String),
    #[error("a redirect leads nowhere: {0}")]
    Nowhere(String),
    #[error("the server does not send parts of files")]
    NoParts,
}

fn meaning(status: u16) -> &'static str {
    match status {
        401 => " Unauthorized",
        403 => " Forbidden",
        404 => " Not Found",
        429 => " Too Many Requests",
        500 => " Internal Server Error",
        502 => " Bad Gateway",
        503 => " Service Unavailable",
        504 => " Gateway Timeout",
        _ => "",
    }
}

impl Cause {
    /// Whether the next attempt may end otherwise.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Status { status } => matches!(status, 408 | 429 | 500..),
            Self::UnknownHost | Self::Silence(_) | Self::Connection(_) => true,
            Self::Trust(_)
            | Self::TooLong(_)
            | Self::Length { .. }
            | Self::Redirects
            | Self::Downgrade(_)
            | Self::Nowhere(_)
            | Self::NoParts => false,
        }
    }
}

impl FetchError {
    pub const fn exit(&self) -> Exit {
        Exit::SourceFailed
    }

    /// The way out.
    pub fn hint(&self) -> &'static str {
        match self.cause {
            Cause::Status { status: 401 | 403 } => {
                "user and password go before the host: https://USER:PASSWORD@HOST/"
            }
            Cause::Status { status: 404 } => {
                "the address, or the name of the file on the server, is wrong"
            }
            Cause::Status { .. } => "the server's log says more",
            Cause::UnknownHost => "the name server may not know it; an IP address needs none",
            Cause::Silence(_) | Cause::Connection(_) => {
                "is the cable in, the address reachable from this network, the server running?"
            }
            Cause::Trust(_) => {
                "the clock may be wrong; answerfile-ca= names the certificate to trust, \
                 answerfile-key= the server's key"
            }
            Cause::TooLong(_) | Cause::Length { .. } => "this may not be the file that is meant",
            Cause::Redirects | Cause::Nowhere(_) => "give the address where the file lies",
            Cause::Downgrade(_) => "let the server redirect to https, or give the last address",
            Cause::NoParts => "nginx, Apache and lighttpd send parts; so must a proxy before them",
        }
    }
}

#[cfg(test)]
mod tests;
