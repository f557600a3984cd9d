//! The web itself: requests, redirects, and trying again.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use installer_core::values::{Scheme, WebUrl};
use ureq::http::{HeaderMap, Response, header};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, TcpConnector};
use ureq::{Agent, Body, RequestBuilder};

use super::tls::{self, Tls};
use super::{Body as Opened, Cause, Fetch, FetchError, Patience, REDIRECTS_MAX, Trust, TrustError};
use crate::wait;

/// Gets files over HTTP/1.1, with TLS where the address says so.
pub struct Web {
    agent: Agent,
    patience: Patience,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Web {
    pub fn new(trust: &Trust, patience: Patience) -> Result<Self, TrustError> {
        let silence = Some(patience.silence_max);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Followed here, where https stays https.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // What the environment says is not an answer.
            .proxy(None)
            .user_agent(concat!("xenhost/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(silence)
            .timeout_connect(silence)
            .timeout_recv_response(silence)
            .timeout_per_read(silence)
            .build();
        let tls = Tls(Arc::new(tls::config(trust)?));
        let connector = TcpConnector::default().chain(tls);
        let agent = Agent::with_parts(config, connector, DefaultResolver::default());
        Ok(Self { agent, patience })
    }

    /// Sends a JSON text there, for those who want to know how it went. Redirects are not followed:
    /// what is told is meant for that address.
    pub fn post(
        &self,
        url: &WebUrl,
        headers: &[(&str, &str)],
        json: &str,
    ) -> Result<(), FetchError> {
        self.again(url, |web| {
            let mut request = web.agent.post(url.expose()).content_type("application/json");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let response = request.send(json).map_err(|e| web.cause(e))?;
            match response.status().as_u16() {
                200..=299 => Ok(()),
                status => Err(Cause::Status { status }),
            }
        })
    }

    /// Tries until it works, as long as waiting may help.
    fn again<T>(
        &self,
        url: &WebUrl,
        mut attempt: impl FnMut(&Self) -> Result<T, Cause>,
    ) -> Result<T, FetchError> {
        let mut wait = self.patience.wait_first;
        let mut attempts = 1;
        loop {
            let cause = match attempt(self) {
                Ok(value) => return Ok(value),
                Err(cause) => cause,
            };
            if self.patience.attempts_max <= attempts || !cause.may_pass() {
                return Err(FetchError { url: url.to_string(), attempts, cause });
            }
            wait::pause(wait);
            wait = wait.saturating_mul(2);
            attempts += 1;
        }
    }

    /// Follows redirects to the file.
    fn request(&self, url: &WebUrl, from: u64) -> Result<Response<Body>, Cause> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let mut request: RequestBuilder<_> = self.agent.get(url.expose());
            if 0 < from {
                request = request.header(header::RANGE, format!("bytes={from}-"));
            }
            let response = request.call().map_err(|e| self.cause(e))?;
            let status = response.status().as_u16();
            match status {
                301 | 302 | 303 | 307 | 308 => url = next(&url, response.headers())?,
                200 if 0 < from => return Err(Cause::NoParts),
                206 if 0 < from && begins_at(response.headers()) != Some(from) => {
                    return Err(Cause::NoParts);
                }
                200 | 206 => return Ok(response),
                _ => return Err(Cause::Status { status }),
            }
        }
        Err(Cause::Redirects)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's list is open")]
    fn cause(&self, error: ureq::Error) -> Cause {
        match error {
            ureq::Error::Timeout(_) => Cause::Silence(self.patience.silence_max),
            ureq::Error::HostNotFound => Cause::UnknownHost,
            ureq::Error::Rustls(error) => Cause::Trust(error.to_string()),
            ureq::Error::Tls(error) => Cause::Trust(error.to_owned()),
            ureq::Error::Io(error) => io_cause(&error, self.patience.silence_max),
            // Others may quote the address.
            ureq::Error::ConnectionFailed => Cause::Connection("no connection".to_owned()),
            ureq::Error::BadUri(_) => Cause::Nowhere("not an address".to_owned()),
            ureq::Error::Protocol(error) => Cause::Connection(error.to_string()),
            _ => Cause::Connection("the answer is not HTTP".to_owned()),
        }
    }
}

/// A certificate that is refused arrives as the failure of a read.
pub(super) fn io_cause(error: &io::Error, silence: Duration) -> Cause {
    let inner = error.get_ref();
    if let Some(tls) = inner.and_then(|e| e.downcast_ref::<rustls::Error>()) {
        return Cause::Trust(tls.to_string());
    }
    let timeout = inner.and_then(|e| e.downcast_ref::<ureq::Error>());
    let timed_out = matches!(timeout, Some(ureq::Error::Timeout(_)));
    if timed_out || matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) {
        return Cause::Silence(silence);
    }
    Cause::Connection(error.to_string())
}

fn next(url: &WebUrl, headers: &HeaderMap) -> Result<WebUrl, Cause> {
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| Cause::Nowhere("it does not say where".to_owned()))?;
    let to = url.join(location).map_err(|error| Cause::Nowhere(error.what))?;
    if (url.scheme(), to.scheme()) == (Scheme::Https, Scheme::Http) {
        return Err(Cause::Downgrade(to.to_string()));
    }
    Ok(to)
}

/// The first byte of `Content-Range: bytes 5-9/10`.
fn begins_at(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    value.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

impl Fetch for Web {
    fn get(&self, url: &WebUrl, bytes_max: u64) -> Result<Vec<u8>, FetchError> {
        self.again(url, |web| {
            let response = web.request(url, 0)?;
            let told = response.body().content_length();
            let mut bytes = Vec::new();
            // One more than is allowed, so that too long a file is seen as that.
            let mut body = response.into_body().into_reader().take(bytes_max.saturating_add(1));
            body.read_to_end(&mut bytes)
                .map_err(|error| io_cause(&error, web.patience.silence_max))?;
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if bytes_max < length {
                return Err(Cause::TooLong(bytes_max));
            }
            match told {
                Some(told) if told != length => {
                    let what = format!("ended after {length} of {told} bytes");
                    Err(Cause::Connection(what))
                }
                Some(_) | None => Ok(bytes),
            }
        })
    }

    fn open(&self, url: &WebUrl, from: u64) -> Result<Opened, FetchError> {
        self.again(url, |web| {
            let response = web.request(url, from)?;
            let rest = response.body().content_length();
            let length = rest.and_then(|rest| rest.checked_add(from));
            Ok(Opened { bytes: Box::new(response.into_body().into_reader()), length })
        })
    }

    fn silence_max(&self) -> Duration {
        self.patience.silence_max
    }
}
