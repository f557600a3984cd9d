//! The `image-builder` command.

fn main() {}
