//! What the installer does: ports, hosts, engine, front ends.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "offsets here were bounded when the manifest and the plan were checked"
)]

pub mod bless;
pub mod boot_menu;
pub mod call;
pub mod cancel;
pub mod cli;
pub mod engine;
pub mod fat;
pub mod fat_locate;
pub mod fetch;
pub mod find_answers;
pub mod fresh;
pub mod hooks;
pub mod host;
pub mod payload;
pub mod ports;
pub mod probe;
pub mod release_dir;
pub mod slot;
pub mod storage;
pub mod sys;
pub mod takeover;
pub mod upgrade;
#[cfg(test)]
extern crate self as installer;
#[cfg(test)]
#[allow(dead_code, reason = "what is wrong with a server is for the tests of the command")]
mod shelf;
#[cfg(test)]
mod testing;
mod wait;
