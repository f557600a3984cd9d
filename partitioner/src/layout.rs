//! Layouts: which partitions a host has, as constant tables.
//!
//! A new layout is a new table here and a place in [`LAYOUTS`]; nothing else changes. The numbers
//! are those that `XenServer` 7 tools expect, and say nothing about the order on the disk.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::Guid;
use crate::units::Bytes;

/// What a partition is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Role {
    /// Slot a.
    Root,
    /// Slot b.
    Backup,
    /// Local storage repository, for guest disks.
    Sr,
    /// FAT: boot loader, boot state, rescue system.
    Boot,
    Logs,
    Swap,
    /// The root of a host that is taken over, until the new system has proved itself.
    OldRoot,
    /// Its boot partition.
    OldBoot,
    /// A first partition of the manufacturer, or one that was asked for. Never written.
    Preserved,
}

impl Role {
    /// Those that layouts give.
    pub const ALL: [Self; 6] =
        [Self::Root, Self::Backup, Self::Sr, Self::Boot, Self::Logs, Self::Swap];

    /// As JSON and answer files spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Backup => "backup",
            Self::Sr => "sr",
            Self::Boot => "boot",
            Self::Logs => "logs",
            Self::Swap => "swap",
            Self::OldRoot => "old-root",
            Self::OldBoot => "old-boot",
            Self::Preserved => "preserved",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the machine starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Firmware {
    Bios,
    Uefi,
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
        })
    }
}

/// Microsoft basic data.
pub const BASIC_DATA: Guid = Guid::from_u128(0xEBD0_A0A2_B9E5_4433_87C0_68B6_B726_99C7);

/// What a partition table says of a partition's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    LinuxData,
    EfiSystem,
    LinuxSwap,
    LinuxLvm,
    /// The FAT12 volume before the first partition of the MBR layout.
    SmallFat,
}

impl Kind {
    /// UEFI 2.10 table 5-8 for the EFI system partition; the Linux types are those of the UAPI
    /// group's Discoverable Partitions Specification and of `sgdisk -L`.
    pub const fn gpt_type(self) -> Guid {
        match self {
            Self::LinuxData => Guid::from_u128(0x0FC6_3DAF_8483_4772_8E79_3D69_D847_7DE4),
            Self::EfiSystem => Guid::from_u128(0xC12A_7328_F81F_11D2_BA4B_00A0_C93E_C93B),
            Self::LinuxSwap => Guid::from_u128(0x0657_FD6D_A4AB_43C4_84E5_0933_C84B_4F4F),
            Self::LinuxLvm => Guid::from_u128(0xE6D6_D379_F507_44C2_A23C_238F_2A3D_F928),
            Self::SmallFat => BASIC_DATA,
        }
    }

    /// The type byte in an MBR.
    pub const fn mbr_type(self) -> u8 {
        match self {
            Self::LinuxData => 0x83,
            Self::EfiSystem => 0xEF,
            Self::LinuxSwap => 0x82,
            Self::LinuxLvm => 0x8E,
            Self::SmallFat => 0x01,
        }
    }
}

/// Whose types, names and sizes the table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compat {
    #[default]
    None,
    /// Those of existing `XenServer` hosts.
    Xenserver,
}

/// How large a partition is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Mib(u32),
    /// Blocks at a fixed place, outside the run of the others.
    Fixed {
        first: u64,
        blocks: u64,
    },
    /// What the others leave.
    Rest,
}

/// One partition of a layout.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    pub number: u32,
    pub role: Role,
    /// The name in the GPT entry.
    pub name: &'static str,
    pub size: Size,
    pub kind: Kind,
}

impl Want {
    /// The name in the GPT entry. Existing hosts have those of their newest installer, or none.
    pub const fn gpt_name(&self, compat: Compat) -> &'static str {
        match (compat, self.role) {
            (Compat::Xenserver, Role::Sr) => "localsr",
            (Compat::Xenserver, Role::Boot) => "ESP",
            (Compat::None | Compat::Xenserver, _) => self.name,
        }
    }

    /// The type in the GPT entry. Existing hosts have Microsoft's for root, backup and logs.
    pub const fn gpt_type(&self, compat: Compat) -> Guid {
        match (compat, self.kind) {
            (Compat::Xenserver, Kind::LinuxData) => BASIC_DATA,
            (Compat::None | Compat::Xenserver, kind) => kind.gpt_type(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum LayoutName {
    Modern,
    Legacy,
}

impl fmt::Display for LayoutName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Modern => "modern",
            Self::Legacy => "legacy",
        })
    }
}

/// The size of the boot partition on existing hosts.
pub const XENSERVER_BOOT: Bytes = Bytes::mib(512);

/// How the table is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Scheme {
    Gpt,
    Mbr,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gpt => "gpt",
            Self::Mbr => "mbr",
        })
    }
}

/// A declared table of partitions, in on-disk order.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub name: LayoutName,
    pub scheme: Scheme,
    /// The firmware modes that can start it.
    pub firmware: &'static [Firmware],
    /// The smallest disk that takes it.
    pub disk_min: Bytes,
    pub wants: &'static [Want],
}

impl Layout {
    /// The want with this role.
    pub fn want(&self, role: Role) -> Option<&Want> {
        self.wants.iter().find(|want| want.role == role)
    }

    /// The sum of the fixed sizes, without the rest.
    pub const fn fixed_mib(&self) -> u32 {
        let mut sum: u32 = 0;
        let mut left = self.wants;
        while let [want, rest @ ..] = left {
            if let Size::Mib(mib) = want.size {
                sum = sum.saturating_add(mib);
            }
            left = rest;
        }
        sum
    }
}

/// Below this no layout fits.
pub const DISK_MIN: Bytes = Bytes::gib(12);

/// 18 GiB slots, for disks from 46 GiB, in both firmware modes.
pub const MODERN: Layout = Layout {
    name: LayoutName::Modern,
    scheme: Scheme::Gpt,
    firmware: &[Firmware::Bios, Firmware::Uefi],
    disk_min: Bytes::gib(46),
    wants: &[
        want(5, Role::Logs, "logs", Size::Mib(4 * 1024), Kind::LinuxData),
        want(2, Role::Backup, "backup", Size::Mib(18 * 1024), Kind::LinuxData),
        want(1, Role::Root, "root", Size::Mib(18 * 1024), Kind::LinuxData),
        want(4, Role::Boot, "boot", Size::Mib(5 * 1024), Kind::EfiSystem),
        want(6, Role::Swap, "swap", Size::Mib(1024), Kind::LinuxSwap),
        want(3, Role::Sr, "sr", Size::Rest, Kind::LinuxLvm),
    ],
};

/// 4 GiB slots on GPT, for UEFI machines with a small disk.
pub const LEGACY_GPT: Layout = Layout {
    name: LayoutName::Legacy,
    scheme: Scheme::Gpt,
    firmware: &[Firmware::Uefi],
    disk_min: DISK_MIN,
    wants: &[
        want(4, Role::Boot, "boot", Size::Mib(512), Kind::EfiSystem),
        want(1, Role::Root, "root", Size::Mib(3584), Kind::LinuxData),
        want(2, Role::Backup, "backup", Size::Mib(4096), Kind::LinuxData),
        want(3, Role::Sr, "sr", Size::Rest, Kind::LinuxLvm),
    ],
};

/// 4 GiB slots on MBR, for BIOS machines with a small disk. The boot volume lies before the first
/// partition and holds both boot loader cores.
pub const LEGACY_MBR: Layout = Layout {
    name: LayoutName::Legacy,
    scheme: Scheme::Mbr,
    firmware: &[Firmware::Bios],
    disk_min: DISK_MIN,
    wants: &[
        want(4, Role::Boot, "boot", Size::Fixed { first: 256, blocks: 1792 }, Kind::SmallFat),
        want(1, Role::Root, "root", Size::Mib(4096), Kind::LinuxData),
        want(2, Role::Backup, "backup", Size::Mib(4096), Kind::LinuxData),
        want(3, Role::Sr, "sr", Size::Rest, Kind::LinuxLvm),
    ],
};

pub const LAYOUTS: [Layout; 3] = [MODERN, LEGACY_GPT, LEGACY_MBR];

const fn want(number: u32, role: Role, name: &'static str, size: Size, kind: Kind) -> Want {
    Want { number, role, name, size, kind }
}

/// Numbers are unique and small, at most the last partition takes the rest, names fit a GPT entry.
const fn sound(layout: &Layout) -> bool {
    let mut seen: u32 = 0;
    let mut left = layout.wants;
    while let [want, rest @ ..] = left {
        let Some(bit) = 1_u32.checked_shl(want.number) else { return false };
        let rest_is_last = !matches!(want.size, Size::Rest) || rest.is_empty();
        if want.number == 0 || seen & bit != 0 || !rest_is_last || want.name.len() > 36 {
            return false;
        }
        seen |= bit;
        left = rest;
    }
    true
}

const _: () = {
    assert!(sound(&MODERN) && sound(&LEGACY_GPT) && sound(&LEGACY_MBR));
    assert!(MODERN.fixed_mib() == 46 * 1024, "a disk of exactly 46 GiB takes it");
    assert!(LEGACY_GPT.fixed_mib() == 8 * 1024 && LEGACY_MBR.fixed_mib() == 8 * 1024);
};
