//! The `host-installer` command.

fn main() {}
