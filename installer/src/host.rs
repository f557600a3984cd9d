//! Implementations of the `Host` port.

pub mod image;
pub mod linux;
