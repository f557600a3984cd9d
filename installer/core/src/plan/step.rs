//! The steps of a fresh installation.

use partitioner::layout::Role;
use serde::Serialize;

use crate::answers::Stage;

/// One thing to do. The order of a plan is the order of writing: everything that the new system
/// needs is on the disk and read back before [`Step::Arm`], which is the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum Step {
    /// LBA 0 becomes a message: installation not finished.
    Disarm,
    /// Signatures of old content go, in our ranges only.
    WipeSignatures,
    WriteTable,
    /// The dom0 image.
    WriteSlot {
        role: Role,
    },
    /// UUID and label that belong to the slot.
    IdentifySlot {
        role: Role,
    },
    ConfigureSlot {
        role: Role,
    },
    CheckSlot {
        role: Role,
    },
    MakeLogs,
    MakeSwap,
    /// The FAT file system, boot loader, boot state and rescue system.
    MakeBoot,
    /// The BIOS boot loader in the head of the disk. Only on disks with blocks of 512 bytes.
    WriteCore,
    /// Everything written is read again.
    Verify,
    /// The commit: LBA 0 becomes boot code and protective MBR.
    Arm,
    /// An entry in the UEFI firmware, best effort.
    BootEntry,
    /// Scripts of the answers.
    Hooks {
        stage: Stage,
    },
}

impl Step {
    /// For progress lines and for the plan.
    pub fn title(self) -> String {
        match self {
            Self::Disarm => "mark the disk: installation not finished".to_owned(),
            Self::WipeSignatures => "remove signatures of old content".to_owned(),
            Self::WriteTable => "write the partition table".to_owned(),
            Self::WriteSlot { role } => format!("write the dom0 image to {role}"),
            Self::IdentifySlot { role } => format!("give {role} its UUID and label"),
            Self::ConfigureSlot { role } => format!("configure dom0 on {role}"),
            Self::CheckSlot { role } => format!("check the file system on {role}"),
            Self::MakeLogs => "make the file system on logs".to_owned(),
            Self::MakeSwap => "make swap".to_owned(),
            Self::MakeBoot => "make boot: boot loader, boot state, rescue system".to_owned(),
            Self::WriteCore => "write the BIOS boot loader".to_owned(),
            Self::Verify => "read back what was written".to_owned(),
            Self::Arm => "make the disk bootable".to_owned(),
            Self::BootEntry => "add an entry to the UEFI boot menu".to_owned(),
            Self::Hooks { stage } => format!("run the scripts of hooks.{stage}"),
        }
    }

    /// The partition that the step writes to, where it is one.
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::WriteSlot { role }
            | Self::IdentifySlot { role }
            | Self::ConfigureSlot { role }
            | Self::CheckSlot { role } => Some(role),
            Self::MakeLogs => Some(Role::Logs),
            Self::MakeSwap => Some(Role::Swap),
            Self::MakeBoot => Some(Role::Boot),
            Self::Disarm
            | Self::WipeSignatures
            | Self::WriteTable
            | Self::WriteCore
            | Self::Verify
            | Self::Arm
            | Self::BootEntry
            | Self::Hooks { .. } => None,
        }
    }
}
