//! Waiting for something that the kernel or another program does, with a bound.

use std::time::{Duration, Instant};

/// Longer than udev looks at a disk, and than a file system is frozen for a snapshot.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(20);

/// Before something is tried again; whoever asks has a bound.
#[expect(clippy::disallowed_methods, reason = "this is the one place that waits")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Asks again until it is so, at most [`LIMIT`] long; `None` where it never was.
#[expect(clippy::disallowed_methods, reason = "this is the one place that waits")]
pub(crate) fn until(mut so: impl FnMut() -> bool) -> Option<()> {
    let start = Instant::now();
    while !so() {
        if LIMIT <= start.elapsed() {
            return None;
        }
        std::thread::sleep(STEP);
    }
    Some(())
}
