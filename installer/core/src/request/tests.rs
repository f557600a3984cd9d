//! Tests of resolving answers against facts.
