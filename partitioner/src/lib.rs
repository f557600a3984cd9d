//! Partition tables that are planned before they are written, and written in an order that a power
//! cut cannot turn against the host.

pub mod block;
pub mod units;
