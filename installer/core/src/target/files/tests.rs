//! Tests of what is written into a target.
