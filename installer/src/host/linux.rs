//! The host that performs a plan on the machine it runs on.
