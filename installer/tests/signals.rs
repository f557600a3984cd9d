//! Signals are the whole process's, so that what raises them has a process of its own.

#![allow(clippy::unwrap_used, reason = "a test")]

use installer::cancel::Cancel;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

#[test]
fn every_request_to_end_cancels() {
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        let cancel = Cancel::default();
        cancel.on_signals().unwrap();
        assert!(!cancel.is_set(), "before signal {signal}");
        signal_hook::low_level::raise(signal).unwrap();
        assert!(cancel.is_set(), "after signal {signal}");
    }
}
