//! The `partitioner` command.

fn main() {}
