//! The steps of an upgrade.

use partitioner::layout::Role;
use serde::Serialize;

use crate::plan::Step;

/// One thing to do. Everything before [`UpgradeStep::Commit`] is scratch: a rerun does it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum UpgradeStep {
    /// From here on nothing chooses the other slot.
    Restrict,
    WriteSlot {
        role: Role,
    },
    IdentifySlot {
        role: Role,
    },
    CarryOver {
        role: Role,
    },
    CheckSlot {
        role: Role,
    },
    /// The new system is read again, from the disk.
    Verify,
    /// The trial gets its boots.
    Tries,
    /// One block: the new system boots, on trial.
    Commit,
}

impl UpgradeStep {
    /// For progress lines and for the plan. What an installation does too has its words.
    pub fn title(self) -> String {
        match self {
            Self::Restrict => "boot state: only the running system".to_owned(),
            Self::WriteSlot { role } => Step::WriteSlot { role }.title(),
            Self::IdentifySlot { role } => Step::IdentifySlot { role }.title(),
            Self::CarryOver { role } => format!("carry the configuration over to {role}"),
            Self::CheckSlot { role } => Step::CheckSlot { role }.title(),
            Self::Verify => Step::Verify.title(),
            Self::Tries => "boot state: three tries for the new system".to_owned(),
            Self::Commit => "boot state: the new system, on trial".to_owned(),
        }
    }
}

pub(super) fn of(role: Role) -> Vec<UpgradeStep> {
    vec![
        UpgradeStep::Restrict,
        UpgradeStep::WriteSlot { role },
        UpgradeStep::IdentifySlot { role },
        UpgradeStep::CarryOver { role },
        UpgradeStep::CheckSlot { role },
        UpgradeStep::Verify,
        UpgradeStep::Tries,
        UpgradeStep::Commit,
    ]
}
