//! `cargo xtask`: set up, build, boot and test xenhost.

fn main() {}
