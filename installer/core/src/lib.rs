//! What the installer decides. Nothing here opens a file, reads a clock or runs a program.

pub mod event;
pub mod facts;
pub mod outcome;
pub mod release;
