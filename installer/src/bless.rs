//! Ends the trial of a booted system.
