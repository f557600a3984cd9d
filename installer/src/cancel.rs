//! The one flag by which a front end asks the engine to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Clones share the flag. Once set it stays set.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
