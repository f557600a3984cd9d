//! Every state that a power cut can leave on a disk, judged by the boot oracle.
//!
//! A scenario is the real planner and the real writers, run on the recording device. The explorer
//! takes the record apart at its flushes and makes the states that the fault model allows; for each
//! the oracle says what boots, and the scenario whether that may be. A mutation is a scenario with
//! one thing about it made wrong: the explorer must find it, or it proves nothing.
#![allow(
    clippy::arithmetic_side_effects,
    reason = "a tool of tests: block numbers of disks that it made up itself"
)]

pub mod epochs;
pub mod explore;
pub mod figures;
pub mod image;
pub mod judge;
pub mod loader;
pub mod mutate;
pub mod scenario;
pub mod stamps;

/// A sequence of numbers that depends on its seed alone.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Steele, Lea and Flood's generator, by its constants.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
