//! What the installer does: ports, hosts, engine, front ends.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "offsets here were bounded when the manifest and the plan were checked"
)]

pub mod call;
pub mod cancel;
pub mod payload;
pub mod release_dir;
#[cfg(test)]
mod testing;
