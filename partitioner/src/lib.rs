//! Partition tables that are planned before they are written, and written in an order that a power
//! cut cannot turn against the host.
//!
//! Pure: [`units`], [`ids`], [`layout`], [`table`], [`plan`], [`check`], [`head`], [`gpt`],
//! [`mbr`], [`partuuid`]. Only [`block`] and its children touch devices and files; [`write`],
//! [`apply`], [`sr`] and [`inspect`] reach a disk through it.

pub mod apply;
pub mod block;
pub mod check;
pub mod gpt;
pub mod head;
pub mod ids;
pub mod inspect;
pub mod installations;
pub mod layout;
pub mod mbr;
pub mod partuuid;
pub mod plan;
pub mod repair;
pub mod rescue;
pub mod sr;
pub mod table;
pub mod takeover;
pub mod units;
pub mod write;
