//! Implementations of the `Host` port.

pub mod image;
pub mod linux;
mod lock;

pub(crate) use lock::lock;
