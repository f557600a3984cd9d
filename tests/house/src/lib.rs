//! House rules and tests that span crates live in `tests/`.
