//! How a build tells what it is doing. The library never prints; front ends implement this.

/// Receives what happens, in order, on the thread that builds.
pub trait Progress {
    /// A new stage begins; the one before it is done.
    fn stage(&self, title: &str);
    /// The current stage lives: a line of an external tool, for the curious.
    fn line(&self, line: &str);
    /// `done` and `total` are bytes of the current stage.
    fn bytes(&self, done: u64, total: u64);
    /// Something the operator should know and that stops nothing.
    fn warn(&self, text: &str);
}

/// Says nothing; for tests.
#[derive(Debug)]
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _: &str) {}
    fn line(&self, _: &str) {}
    fn bytes(&self, _: u64, _: u64) {}
    fn warn(&self, _: &str) {}
}
