//! Tests of the reader of answer files.
