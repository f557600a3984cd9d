//! What is known of a machine, as values that can be saved, mailed and replayed.

use partitioner::installations::Installation;
use partitioner::units::{BlockSize, Bytes};
use serde::{Deserialize, Serialize};

/// One machine. `host-installer facts --json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostFacts {
    pub firmware: Firmware,
    /// Memory of the machine, in bytes.
    pub memory: Bytes,
    /// Logical CPUs.
    pub cpus: u32,
    /// What the firmware says of the machine. Absent for image files.
    #[serde(default, skip_serializing_if = "MachineFacts::is_empty")]
    pub machine: MachineFacts,
    pub disks: Vec<DiskFacts>,
    pub nics: Vec<NicFacts>,
}

/// SMBIOS's names of a machine; each only where the firmware tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineFacts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_uuid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset_tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
}

impl MachineFacts {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    Bios,
    Uefi,
}

/// One whole disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskFacts {
    /// The device or image file, as it is opened: `/dev/nvme0n1`, `disk.img`.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wwn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Names below `/dev/disk/by-id`, without the folder.
    #[serde(default)]
    pub by_id: Vec<String>,
    /// Names below `/dev/disk/by-path`, without the folder.
    #[serde(default)]
    pub by_path: Vec<String>,
    /// `nvme`, `ata`, `scsi`, `usb`, `virtio`, `mmc`, `file`.
    pub transport: String,
    pub size: Bytes,
    pub block_size: BlockSize,
    /// What the drive itself writes at once, where that is more than a block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sector_size: Option<BlockSize>,
    pub removable: bool,
    pub read_only: bool,
    /// The installation medium was read from this disk.
    #[serde(default)]
    pub medium: bool,
    /// Who uses the disk: mount points, device mapper, md, swap. Empty for a free disk.
    #[serde(default)]
    pub holders: Vec<String>,
    /// What is on it, for people and for `on_existing`: one line per thing, such as
    /// `partition 1: ext4 "root-x"`, `LVM2 physical volume`. Empty for a blank disk, and for one
    /// whose installation was cut off: its old content was given up when that began.
    #[serde(default)]
    pub content: Vec<String>,
    /// `deployment_id` of a finished xenhost installation found on this disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<String>,
    /// The number of a manufacturer's utility partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utility: Option<u32>,
    /// The hosts that are installed on this disk, finished ones only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub installations: Vec<Installation>,
}

/// One Ethernet interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NicFacts {
    pub name: String,
    /// Lower case, colons: `00:16:3e:aa:bb:cc`.
    pub mac: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Where it is plugged in, as udev's `ID_PATH` says it: `pci-0000:00:03.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<bool>,
}

impl NicFacts {
    /// Driver and link, for a list: `e1000e, link up`.
    pub fn state(&self) -> String {
        let link = match self.link {
            Some(true) => "link up",
            Some(false) => "link down",
            None => "link unknown",
        };
        format!("{}, {link}", self.driver.as_deref().unwrap_or("driver unknown"))
    }
}

impl From<Firmware> for partitioner::layout::Firmware {
    fn from(firmware: Firmware) -> Self {
        match firmware {
            Firmware::Bios => Self::Bios,
            Firmware::Uefi => Self::Uefi,
        }
    }
}
