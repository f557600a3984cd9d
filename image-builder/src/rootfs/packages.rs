//! What is in dom0, by profile.

use crate::sources::Source;

/// How much a dom0 holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// What a host needs to boot, answer and be managed; for tests.
    Minimal,
    /// What a real host wants.
    Standard,
}

impl Profile {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Standard => "standard",
        }
    }
}

/// `xen-system-amd64` and `linux-image-amd64` depend on the versions of the suite.
const MINIMAL: &[&str] = &[
    "ca-certificates",
    "console-setup",
    "dbus",
    "e2fsprogs",
    "initramfs-tools",
    "iproute2",
    "kbd",
    "kmod",
    "linux-image-amd64",
    "login",
    "lvm2",
    "openssh-server",
    "systemd",
    "systemd-resolved",
    "systemd-sysv",
    "tzdata",
    "udev",
    "xen-system-amd64",
    "zstd",
];

/// `qemu-system-xen` serves HVM guests; `ovmf` and `seabios` are their firmware.
/// What keeps the clock right: one of the two, they conflict.
const TIME_MINIMAL: &str = "systemd-timesyncd";
const TIME_STANDARD: &str = "chrony";

const STANDARD: &[&str] = &[
    "bash-completion",
    "curl",
    "ethtool",
    "ipxe-qemu",
    "less",
    "logrotate",
    "nvme-cli",
    "ovmf",
    "pciutils",
    "qemu-system-xen",
    "qemu-utils",
    "seabios",
    "smartmontools",
    "usbutils",
    "vim-tiny",
];

/// Free of charge and of source; wanted where the archive's components have them.
const STANDARD_FIRMWARE: &[&str] = &[
    "amd64-microcode",
    "firmware-bnx2",
    "firmware-bnx2x",
    "firmware-cavium",
    "firmware-misc-nonfree",
    "firmware-netronome",
    "firmware-qlogic",
    "firmware-realtek",
    "intel-microcode",
];
/// The component of the firmware, and the one it was in before Debian 12.
const FIRMWARE_COMPONENTS: [&str; 2] = ["non-free-firmware", "non-free"];

/// The packages of a profile, and a warning where the archive cannot give all of it.
pub fn packages(profile: Profile, sources: &[Source]) -> (Vec<&'static str>, Option<String>) {
    let mut names = MINIMAL.to_vec();
    match profile {
        Profile::Minimal => {
            names.push(TIME_MINIMAL);
            (names, None)
        }
        Profile::Standard => {
            names.extend(STANDARD);
            names.push(TIME_STANDARD);
            let components = sources.iter().take(1).flat_map(|s| &s.components);
            if components.into_iter().any(|c| FIRMWARE_COMPONENTS.contains(&c.as_str())) {
                names.extend(STANDARD_FIRMWARE);
                return (names, None);
            }
            let text = format!(
                "the archive's entry has no component {}: dom0 goes without microcode and without \
                 firmware of network cards",
                FIRMWARE_COMPONENTS[0]
            );
            (names, Some(text))
        }
    }
}

/// The programs of the suite that build the release and that the installer environment carries.
pub const TOOLS: &[&str] = &[
    "busybox-static",
    "e2fsprogs",
    "grub-common",
    "grub-efi-amd64-bin",
    "grub-pc-bin",
    "kmod",
    "lvm2",
    "mount",
    "util-linux",
];

/// Files that no machine without a reader needs. Copyright texts stay.
pub const DPKG_OPTIONS_MINIMAL: &[&str] = &[
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/groff/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
];
