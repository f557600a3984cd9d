//! Regenerates a slot's boot configuration in dom0.
