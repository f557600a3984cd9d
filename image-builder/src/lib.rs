//! Builds what an installation is made from: the dom0 image, the release, the installation
//! medium, ready disk images.
//!
//! Everything is a function of its inputs: package archive, tree, `SOURCE_DATE_EPOCH`. Nothing
//! here asks for the time of day, and no step needs the kernel's vfat, iso9660 or loop devices.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "sizes of files on the build machine; an overflow panics in a builder, not on a host"
)]

pub mod chunks;
pub mod disk;
pub mod error;
pub mod exec;
pub mod grub;
pub mod image;
pub mod inspect;
pub mod installer_env;
pub mod iso;
pub mod progress;
pub mod release;
pub mod rootfs;
pub mod sbom;
pub mod sources;
pub mod space;
pub mod tree;
pub mod userns;
