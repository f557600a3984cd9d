//! Implementations of the `Host` port.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::ports::HostError;
use crate::wait;

pub mod image;
pub mod linux;

/// The lock that udev respects, and that keeps a second installer away. udev holds it for moments
/// while it looks at a disk, which it does after each write; and so does a program that is just
/// being started, until it has given up the files of whoever started it.
pub(crate) fn lock(file: &File, path: &Path) -> Result<(), HostError> {
    wait::until(|| flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()).ok_or_else(|| {
        HostError::Busy {
            disk: path.display().to_string(),
            by: "another program, which holds a lock on it".to_owned(),
        }
    })
}
