//! Builds what an installation is made from.
