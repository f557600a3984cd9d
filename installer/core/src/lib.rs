//! What the installer decides. Nothing here opens a file, reads a clock or runs a program.

pub mod answers;
pub mod boot_line;
pub mod bootcfg;
pub mod bootstate;
pub mod dom0_size;
pub mod event;
pub mod facts;
mod nearest;
pub mod outcome;
pub mod plan;
pub mod problem;
pub mod release;
pub mod request;
#[cfg(test)]
mod samples;
pub mod storage;
pub mod takeover;
pub mod target;
pub mod upgrade;
pub mod values;
