//! A conversation with a machine over a byte stream: everything that it says is written to a log
//! as it comes, and a caller can wait, with a limit, for words in it.
//!
//! Escape sequences and carriage returns are left out of what is searched, since firmware and GRUB
//! position every line with them; the log keeps them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::failure::{At, Result};

/// How many last lines an error shows.
const TAIL_LINES: usize = 20;
/// Xen and slow serial drivers lose what comes faster than they read.
const PIECE_BYTES: usize = 8;
const PIECE_PAUSE: Duration = Duration::from_millis(40);

/// What can go wrong with a conversation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConsoleError {
    #[error("no {what} within {} s; last lines:\n{tail}\nlog: {}", limit.as_secs(), log.display())]
    TimedOut { what: String, limit: Duration, tail: String, log: PathBuf },
    #[error("the machine ended before {what}; last lines:\n{tail}\nlog: {}", log.display())]
    Closed { what: String, tail: String, log: PathBuf },
    #[error("the machine said {said:?} while waiting for {what}; last lines:\n{tail}\nlog: {}",
            log.display())]
    Unwanted { said: String, what: String, tail: String, log: PathBuf },
    #[error("writing to the machine: {0}")]
    Write(io::Error),
}

/// What was heard so far.
#[derive(Debug, Default)]
struct Heard {
    /// Without escape sequences and carriage returns.
    text: String,
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    heard: Mutex<Heard>,
    more: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One stream and what came over it.
pub(crate) struct Console {
    shared: Arc<Shared>,
    writer: Box<dyn Write + Send>,
    log: PathBuf,
    /// Everything before this place in the text was waited for already.
    seen: usize,
    /// A kernel panic and the like: waiting longer is of no use.
    fatal: &'static [&'static str],
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console")
            .field("log", &self.log)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

impl Console {
    /// Listens to `reader` from now on, in a thread of its own that ends with the stream.
    pub(crate) fn new(
        reader: impl Read + Send + 'static,
        writer: impl Write + Send + 'static,
        log: &Path,
        fatal: &'static [&'static str],
    ) -> Result<Self> {
        let file = File::create(log).at("creating", log)?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || listen(reader, file, &theirs));
        let writer = Box::new(writer);
        Ok(Self { shared, writer, log: log.to_owned(), seen: 0, fatal })
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until the machine says `words`.
    pub(crate) fn wait_for(&mut self, words: &str, limit: Duration) -> Result<()> {
        self.wait_for_any(&[words], limit, &mut |_| {}).map(drop)
    }

    /// Waits until the machine says one of `words`, and tells which; the text up to the end of it
    /// counts as seen. `tick` gets the last line now and then.
    pub(crate) fn wait_for_any(
        &mut self,
        words: &[&str],
        limit: Duration,
        tick: &mut dyn FnMut(&str),
    ) -> Result<usize> {
        const TICK: Duration = Duration::from_millis(200);
        let end = Instant::now() + limit;
        let mut heard = self.shared.lock();
        loop {
            let fresh = &heard.text[self.seen..];
            let hit = |(i, w): (usize, &&str)| fresh.find(w).map(|at| (at + w.len(), i));
            if let Some((to, which)) = words.iter().enumerate().filter_map(hit).min() {
                self.seen += to;
                return Ok(which);
            }
            let what = || words.join(" | ");
            let (tail, log) = (last_lines(&heard.text), self.log.clone());
            if let Some(said) = self.fatal.iter().find(|w| fresh.contains(**w)) {
                let said = (*said).to_owned();
                return Err(ConsoleError::Unwanted { said, what: what(), tail, log }.into());
            }
            if heard.closed {
                return Err(ConsoleError::Closed { what: what(), tail, log }.into());
            }
            if Instant::now() >= end {
                return Err(ConsoleError::TimedOut { what: what(), limit, tail, log }.into());
            }
            tick(heard.text.trim_end().lines().next_back().unwrap_or_default());
            let waited = self.shared.more.wait_timeout(heard, TICK);
            heard = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// Waits until the stream ends, which it does when the machine is gone.
    pub(crate) fn wait_closed(&mut self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        let mut heard = self.shared.lock();
        while !heard.closed {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (tail, log) = (last_lines(&heard.text), self.log.clone());
                let what = "end of the machine".to_owned();
                return Err(ConsoleError::TimedOut { what, limit, tail, log }.into());
            }
            let waited = self.shared.more.wait_timeout(heard, left);
            heard = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Everything heard so far.
    pub(crate) fn text(&self) -> String {
        self.shared.lock().text.clone()
    }

    /// What was heard and not yet waited for, without counting it as seen.
    pub(crate) fn seen_len(&self) -> usize {
        self.seen
    }

    /// The text between two places of it.
    pub(crate) fn slice(&self, from: usize, to: usize) -> String {
        self.shared.lock().text.get(from..to).unwrap_or_default().to_owned()
    }

    /// Sends a line as fast as it goes, for streams with flow control.
    pub(crate) fn send_line(&mut self, line: &str) -> Result<()> {
        let bytes = format!("{line}\n");
        let sent = self.writer.write_all(bytes.as_bytes()).and_then(|()| self.writer.flush());
        Ok(sent.map_err(ConsoleError::Write)?)
    }

    /// Sends a line in small pieces, for a serial line whose reader may be slow.
    pub(crate) fn type_line(&mut self, line: &str) -> Result<()> {
        for piece in format!("{line}\n").as_bytes().chunks(PIECE_BYTES) {
            let sent = self.writer.write_all(piece).and_then(|()| self.writer.flush());
            sent.map_err(ConsoleError::Write)?;
            std::thread::sleep(PIECE_PAUSE);
        }
        Ok(())
    }
}

/// The last lines that say something.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    let shown = lines.get(from..).unwrap_or_default();
    shown.iter().map(|l| format!("    | {l}")).collect::<Vec<_>>().join("\n")
}

fn listen(mut reader: impl Read, mut log: File, shared: &Shared) {
    let mut buffer = [0; 4096];
    let mut plain = Plain::default();
    loop {
        let got = reader.read(&mut buffer).unwrap_or(0);
        let bytes = buffer.get(..got).unwrap_or_default();
        let mut heard = shared.lock();
        plain.take(bytes, &mut heard.text);
        heard.closed = got == 0;
        shared.more.notify_all();
        drop(heard);
        // A full disk loses the log, not the test.
        if log.write_all(bytes).is_err() || got == 0 {
            return;
        }
    }
}

/// Takes escape sequences out of a stream of bytes, which may be cut anywhere.
#[derive(Debug, Default)]
struct Plain {
    state: Escape,
    /// Bytes of a character that is not complete yet.
    partial: Vec<u8>,
}

#[derive(Debug, Default, PartialEq)]
enum Escape {
    #[default]
    No,
    /// After ESC.
    Begun,
    /// After ESC `[`, until a letter.
    Csi,
}

impl Plain {
    fn take(&mut self, bytes: &[u8], into: &mut String) {
        for &byte in bytes {
            match self.state {
                Escape::No if byte == 0x1B => self.state = Escape::Begun,
                Escape::No if matches!(byte, b'\r' | 0 | 0x07) => {}
                Escape::No => self.partial.push(byte),
                Escape::Begun => {
                    self.state = if byte == b'[' { Escape::Csi } else { Escape::No };
                }
                Escape::Csi if (0x40..=0x7E).contains(&byte) => self.state = Escape::No,
                Escape::Csi => {}
            }
        }
        // A character cut in two stays for the next call; bytes that are none become U+FFFD.
        let keep = match std::str::from_utf8(&self.partial) {
            Err(e) if e.error_len().is_none() => self.partial.len() - e.valid_up_to(),
            _ => 0,
        };
        let rest = self.partial.split_off(self.partial.len() - keep);
        into.push_str(&String::from_utf8_lossy(&self.partial));
        self.partial = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(pieces: &[&[u8]]) -> String {
        let (mut plain, mut text) = (Plain::default(), String::new());
        for piece in pieces {
            plain.take(piece, &mut text);
        }
        text
    }

    #[test]
    fn escape_sequences_vanish_also_when_cut() {
        assert_eq!(plain(&[b"a\x1b[2", b"J\x1b[01;01Hb\r\n\x1b7c"]), "ab\nc");
    }

    #[test]
    fn characters_survive_a_cut_in_the_middle() {
        assert_eq!(
            plain(&["\u{e9}".as_bytes()[..1].as_ref(), &"\u{e9}".as_bytes()[1..]]),
            "\u{e9}"
        );
        assert_eq!(plain(&[b"a\xff\xfeb"]), "a\u{fffd}\u{fffd}b");
    }

    fn console(said: &'static str, fatal: &'static [&'static str]) -> (Console, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let console = Console::new(said.as_bytes(), io::sink(), &log, fatal).unwrap();
        (console, dir)
    }

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn the_first_of_several_words_wins_and_counts_as_seen() {
        let (mut c, _dir) = console("one two three two", &[]);
        assert_eq!(c.wait_for_any(&["three", "two"], SOON, &mut |_| {}).unwrap(), 1);
        assert_eq!(c.wait_for_any(&["three", "two"], SOON, &mut |_| {}).unwrap(), 0);
        c.wait_for("two", SOON).unwrap();
        let error = c.wait_for("two", SOON).unwrap_err().to_string();
        assert!(error.contains("the machine ended before two"), "{error}");
    }

    #[test]
    fn a_panic_ends_the_wait() {
        let (mut c, _dir) = console("boot\nKernel panic - not syncing", &["Kernel panic"]);
        let error = c.wait_for("login:", SOON).unwrap_err().to_string();
        assert!(error.contains("Kernel panic"), "{error}");
    }
}
