//! A file as one stream: where a connection breaks, the next one goes on.
//!
//! What arrives is not trusted by anybody: whoever reads it holds it against a hash. Here it is
//! only seen to that as many bytes come as are expected, with a bound on how often it is tried.

use std::fmt;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Duration;

use installer_core::values::WebUrl;

use super::web::io_cause;
use super::{Body, Cause, Fetch, FetchError};
use crate::wait;

/// Connections in a row that bring nothing.
const FRUITLESS_MAX: u32 = 5;
/// Broken connections of one file, whatever they brought.
const BREAKS_MAX: u32 = 200;
/// Before a connection is made again; twice as long for each that brought nothing.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes that are read over rather than asking anew.
const SKIP_MAX: u64 = 1 << 20;

/// One file on the web, of which ranges are read in rising order.
pub struct Download {
    web: Arc<dyn Fetch>,
    url: WebUrl,
    /// Of the whole file, in bytes.
    length: u64,
    /// The byte that comes next.
    at: u64,
    body: Option<Body>,
    breaks: u32,
    fruitless: u32,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Download({}, at {} of {})", self.url, self.at, self.length)
    }
}

impl Download {
    /// A file that is to have `length` bytes. Nothing is asked for yet.
    pub fn new(web: Arc<dyn Fetch>, url: WebUrl, length: u64) -> Self {
        Self { web, url, length, at: 0, body: None, breaks: 0, fruitless: 0 }
    }

    /// Goes to a byte; cheap for one that is close ahead.
    pub fn go_to(&mut self, at: u64) -> Result<(), FetchError> {
        let skip = at.checked_sub(self.at).filter(|skip| *skip <= SKIP_MAX);
        match skip.and_then(|skip| usize::try_from(skip).ok()) {
            Some(0) => {}
            Some(skip) if self.body.is_some() => self.fill(&mut vec![0; skip])?,
            Some(_) | None => {
                self.body = None;
                self.at = at;
            }
        }
        Ok(())
    }

    /// The next bytes, all of them.
    pub fn fill(&mut self, into: &mut [u8]) -> Result<(), FetchError> {
        let mut filled = 0;
        while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let cause = match self.read(rest)? {
                Ok(0) => self.ended("no more came"),
                Ok(got) => {
                    filled = filled.saturating_add(got);
                    self.at = self.at.saturating_add(u64::try_from(got).unwrap_or(u64::MAX));
                    self.fruitless = 0;
                    continue;
                }
                Err(error) => {
                    let cause = io_cause(&error, self.web.silence_max());
                    if let Cause::Connection(why) = &cause { self.ended(why) } else { cause }
                }
            };
            self.broken(cause)?;
        }
        Ok(())
    }

    /// What one read of the connection gives; the connection is made where there is none.
    fn read(&mut self, into: &mut [u8]) -> Result<io::Result<usize>, FetchError> {
        let mut body = match self.body.take() {
            Some(body) => body,
            None => self.open()?,
        };
        let read = body.bytes.read(into);
        self.body = Some(body);
        Ok(read)
    }

    fn open(&self) -> Result<Body, FetchError> {
        let body = self.web.open(&self.url, self.at)?;
        let want = self.length;
        match body.length {
            Some(have) if have != want => Err(self.error(Cause::Length { have, want })),
            Some(_) | None => Ok(body),
        }
    }

    fn ended(&self, why: &str) -> Cause {
        Cause::Connection(format!("ended after {} of {} bytes: {why}", self.at, self.length))
    }

    fn broken(&mut self, cause: Cause) -> Result<(), FetchError> {
        self.body = None;
        self.breaks = self.breaks.saturating_add(1);
        self.fruitless = self.fruitless.saturating_add(1);
        if FRUITLESS_MAX <= self.fruitless || BREAKS_MAX <= self.breaks || !cause.may_pass() {
            return Err(self.error(cause));
        }
        let factor = 1_u32.checked_shl(self.fruitless.saturating_sub(1)).unwrap_or(u32::MAX);
        wait::pause(PAUSE.saturating_mul(factor));
        Ok(())
    }

    fn error(&self, cause: Cause) -> FetchError {
        let attempts = self.breaks.max(1);
        FetchError { url: self.url.to_string(), attempts, cause }
    }
}
