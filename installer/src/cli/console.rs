//! Events as plain lines, for a serial console, a log and a screen reader alike.
//!
//! A line is never changed after it was written. Long work shows bytes, rate and time left at a
//! fixed interval, and a heartbeat when nothing is heard.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use installer_core::event::{Event, ScriptEnd};
use installer_core::outcome::Exit;
use partitioner::units::Bytes;

use super::{Ended, Outcome, print};
use crate::cancel::Cancel;
use crate::engine::Failure;

/// Between two lines about the same step.
const INTERVAL: Duration = Duration::from_secs(5);

/// How events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Lines,
    Json,
}

/// Does long work with its events shown, until it ends or a signal asks it to. A failure becomes
/// what `ended` makes of it.
pub(super) fn watch(
    style: Style,
    work: impl FnOnce(&Cancel, &mut dyn FnMut(Event)) -> Result<(), Failure>,
    ended: fn(&Failure) -> Ended,
) -> Outcome {
    let cancel = Cancel::default();
    cancel
        .on_signals()
        .map_err(|e| Ended::early(Exit::InternalError, &format!("catching signals: {e}")))?;
    let (send, receive) = mpsc::channel::<Event>();
    thread::scope(|scope| {
        scope.spawn(move || show(&receive, style));
        // The console ends when the sender is dropped with this closure.
        let send = send;
        work(&cancel, &mut |event| drop(send.send(event)))
    })
    .map_err(|failure| ended(&failure))
}

/// Shows events until the sender is gone. A standard output that went away stops nothing.
fn show(events: &Receiver<Event>, style: Style) {
    let start = Instant::now();
    let mut lines = Lines::default();
    let mut out = io::stdout();
    loop {
        let text = match (events.recv_timeout(INTERVAL), style) {
            (Ok(event), Style::Json) => serde_json::to_string(&event).ok(),
            (Ok(event), Style::Lines) => lines.line(&event, start.elapsed()),
            (Err(RecvTimeoutError::Timeout), Style::Json) => None,
            (Err(RecvTimeoutError::Timeout), Style::Lines) => lines.heartbeat(start.elapsed()),
            (Err(RecvTimeoutError::Disconnected), _) => return,
        };
        if let Some(text) = text {
            drop(writeln!(out, "{text}").and_then(|()| out.flush()));
        }
    }
}

/// Shows an event of no plan's step.
pub(super) fn show_one(event: &Event, style: Style) {
    let text = match style {
        Style::Json => serde_json::to_string(event).ok(),
        Style::Lines => Lines::default().line(event, Duration::ZERO),
    };
    if let Some(text) = text {
        print(&(text + "\n"));
    }
}

/// Turns events into lines. Time is an argument, in the time since the start.
#[derive(Debug, Default)]
struct Lines {
    steps: u32,
    begun: Duration,
    /// When the last line about this step was written.
    told: Duration,
}

impl Lines {
    fn line(&mut self, event: &Event, now: Duration) -> Option<String> {
        match event {
            Event::Started { steps, digest } => {
                self.steps = *steps;
                Some(format!("Performing plan {digest}, {steps} steps."))
            }
            Event::StepBegun { step, title } => {
                (self.begun, self.told) = (now, now);
                Some(format!("[{step:>2}/{}] {title}", self.steps))
            }
            Event::Progress { done, total, .. } => {
                if now.saturating_sub(self.told) < INTERVAL {
                    return None;
                }
                self.told = now;
                Some(progress(*done, *total, now.saturating_sub(self.begun)))
            }
            Event::StepDone { .. } => {
                let seconds = now.saturating_sub(self.begun).as_secs();
                (1 <= seconds).then(|| format!("        done in {seconds} s"))
            }
            Event::Warning { text } => Some(format!("warning: {text}")),
            Event::Script(end) => Some(script(end)),
            Event::Committed => Some("        the new system boots from now on".to_owned()),
            Event::Finished => Some(format!("Finished in {} s.", now.as_secs())),
        }
    }

    fn heartbeat(&mut self, now: Duration) -> Option<String> {
        if self.steps == 0 {
            return None;
        }
        self.told = now;
        Some(format!(
            "        working, {} s in this step",
            now.saturating_sub(self.begun).as_secs()
        ))
    }
}

/// How a script ended, and what it printed.
fn script(end: &ScriptEnd) -> String {
    let mut text = format!("        {} {} after {} s", end.name(), end.ended, end.seconds);
    for line in end.said.lines() {
        text.push_str("\n        | ");
        text.push_str(line);
    }
    text
}

/// `12 %, 90 MiB of 747 MiB, 14 MiB/s, 47 s left`.
fn progress(done: u64, total: u64, elapsed: Duration) -> String {
    let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
    let text = format!("        {percent:>3} %, {} of {}", Bytes::new(done), Bytes::new(total));
    let rate = u64::try_from(elapsed.as_millis())
        .ok()
        .and_then(|ms| done.saturating_mul(1000).checked_div(ms))
        .filter(|rate| *rate != 0);
    match rate {
        Some(rate) => {
            let left = total.saturating_sub(done).div_ceil(rate);
            format!("{text}, {}/s, {left} s left", Bytes::new(rate))
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(events: &[(u64, Event)]) -> String {
        let mut lines = Lines::default();
        let shown = events.iter().filter_map(|(at, e)| lines.line(e, Duration::from_secs(*at)));
        shown.map(|line| line + "\n").collect()
    }

    #[test]
    fn a_step_that_takes_long_shows_rate_and_time_left() {
        let progress = |done| Event::Progress { step: 4, done, total: 800 << 20 };
        let text = lines(&[
            (0, Event::Started { steps: 14, digest: "abc".into() }),
            (0, Event::StepBegun { step: 4, title: "write the dom0 image to root".into() }),
            (1, progress(20 << 20)),
            (5, progress(100 << 20)),
            (6, progress(120 << 20)),
            (10, progress(400 << 20)),
            (15, Event::StepDone { step: 4 }),
            (15, Event::StepBegun { step: 5, title: "give root its UUID and label".into() }),
            (15, Event::StepDone { step: 5 }),
            (16, Event::Finished),
        ]);
        assert_eq!(
            text,
            "Performing plan abc, 14 steps.\n\
             [ 4/14] write the dom0 image to root\n        \
             12 %, 100 MiB of 800 MiB, 20 MiB/s, 35 s left\n        \
             50 %, 400 MiB of 800 MiB, 40 MiB/s, 10 s left\n        \
             done in 15 s\n\
             [ 5/14] give root its UUID and label\n\
             Finished in 16 s.\n"
                .replace("        12", "         12")
                .replace("        50", "         50")
        );
    }

    #[test]
    fn silence_is_broken_by_a_heartbeat() {
        let mut lines = Lines::default();
        assert_eq!(lines.heartbeat(Duration::from_secs(9)), None);
        lines.line(&Event::Started { steps: 1, digest: String::new() }, Duration::ZERO);
        lines.line(&Event::StepBegun { step: 1, title: String::new() }, Duration::from_secs(2));
        assert_eq!(
            lines.heartbeat(Duration::from_secs(9)).as_deref(),
            Some("        working, 7 s in this step")
        );
    }
}
