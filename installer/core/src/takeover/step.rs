//! The steps of a takeover, and of its end.

use partitioner::layout::Role;
use serde::Serialize;

use crate::plan::Step;

/// One thing to do. Until [`TakeoverStep::Commit`] the old system boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum TakeoverStep {
    /// LBA 0 and 1 as they were, and where everything will lie.
    Rescue,
    WipeSignatures,
    WriteSlot,
    IdentifySlot,
    ConfigureSlot,
    CheckSlot,
    MakeSwap,
    /// With the boot state: the new system on trial, the old one behind it.
    MakeBoot,
    WriteCore,
    /// BIOS: LBA 0 gets our boot code, which starts the old system as long as its table counts.
    SwitchBootCode,
    /// All of the new table but the block that makes it count.
    PrepareTable,
    Verify,
    /// One block: the new table counts, and the new system boots, on trial.
    Commit,
    /// The entries of the table go to their usual place.
    Settle,
    BootEntry,
    /// Where a cut has torn the commit: the entries, then that one block. The table counts by its
    /// primary copy too.
    Mend,
    /// After a trial that failed: the block with the count of tries, and the new system boots, on
    /// trial again.
    Retry,
}

const NEW: Role = Role::Root;

impl TakeoverStep {
    /// For progress lines and for the plan. What an installation does too has its words.
    pub fn title(self) -> String {
        match self {
            Self::Rescue => "save the old head of the disk".to_owned(),
            Self::WipeSignatures => Step::WipeSignatures.title(),
            Self::WriteSlot => Step::WriteSlot { role: NEW }.title(),
            Self::IdentifySlot => Step::IdentifySlot { role: NEW }.title(),
            Self::ConfigureSlot => Step::ConfigureSlot { role: NEW }.title(),
            Self::CheckSlot => Step::CheckSlot { role: NEW }.title(),
            Self::MakeSwap => Step::MakeSwap.title(),
            Self::MakeBoot => Step::MakeBoot.title(),
            Self::WriteCore => Step::WriteCore.title(),
            Self::SwitchBootCode => {
                "boot code: ours, which starts the old system for now".to_owned()
            }
            Self::PrepareTable => "prepare the new partition table".to_owned(),
            Self::Verify => Step::Verify.title(),
            Self::Commit => "the new table counts: the new system boots, on trial".to_owned(),
            Self::Settle => "bring the table to its usual place".to_owned(),
            Self::BootEntry => Step::BootEntry.title(),
            Self::Mend => "mend the primary partition table: as its backup copy has it".to_owned(),
            Self::Retry => "three tries: the new system boots, on trial again".to_owned(),
        }
    }
}

/// What is done once the new system was blessed. Each is found done or not done by looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum FinishStep {
    /// The old root goes into slot b, with a name and a boot menu of its own.
    CopyOld,
    Verify,
    /// Slot b is what is fallen back to.
    Other,
    PrepareTable,
    /// One block: the old partitions are gone, the log partition is there.
    Commit,
    Settle,
    MakeLogs,
}

impl FinishStep {
    pub fn title(self) -> String {
        match self {
            Self::CopyOld => "copy the old system to backup".to_owned(),
            Self::Verify => "compare the copy".to_owned(),
            Self::Other => "boot state: the copy is what is fallen back to".to_owned(),
            Self::PrepareTable => "prepare the final partition table".to_owned(),
            Self::Commit => "the final table counts".to_owned(),
            Self::Settle => TakeoverStep::Settle.title(),
            Self::MakeLogs => Step::MakeLogs.title(),
        }
    }
}
