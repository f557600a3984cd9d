//! What a step can fail with, and the exit code of each failure before the commit.

use installer_core::bootstate::StateError;
use installer_core::outcome::Exit;
use installer_core::target::ShadowError;
use installer_core::upgrade::OwnError;
use partitioner::block::IoError;
use partitioner::gpt::GptError;
use partitioner::head::HeadError;
use partitioner::units::Extent;
use partitioner::write::WriteError;
use partitioner::write::commit::CommitError;

use crate::bless::StateFileError;
use crate::fat::FatError;
use crate::fat_locate::LocateError;
use crate::fresh::FreshError;
use crate::hooks::HookError;
use crate::payload::PayloadError;
use crate::ports::HostError;
use crate::release_dir::ReleaseError;
use crate::slot::SlotError;
use crate::upgrade::root::RootError;

/// The error of a step. Messages are whole: they name what is below them.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error("the plan is for build {want}, the release is build {have}")]
    OtherRelease { have: String, want: String },
    #[error("program {program} is missing, Debian package {package} brings it")]
    NoProgram { program: &'static str, package: &'static str },
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Gpt(#[from] GptError),
    #[error(transparent)]
    Io(#[from] IoError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error(transparent)]
    Slot(#[from] SlotError),
    #[error(transparent)]
    Fresh(#[from] FreshError),
    #[error(transparent)]
    Fat(#[from] FatError),
    #[error("the image's /etc/shadow is not text")]
    ShadowNotText,
    #[error(transparent)]
    Shadow(#[from] ShadowError),
    #[error("finding a boot state file again: {0}")]
    Locate(#[from] LocateError),
    #[error("{path}: {source}")]
    State { path: &'static str, source: StateError },
    #[error("blocks {extent} of the {what} read back other bytes than were written")]
    ReadBack { what: &'static str, extent: Extent },
    #[error("boot state: {0}")]
    StateFile(#[from] StateFileError),
    #[error(
        "boot state: {0}; nor can it be read back, so it is not known which system boots, the old \
         one or the new one on trial: `host-installer status` says so when the disk is back"
    )]
    StateUnknown(StateFileError),
    #[error("the boot state changed since the plan: it is {have}, {want} expected")]
    StateChanged { have: String, want: String },
    #[error("{disk}: {what} changed since the plan was made; look at the plan again")]
    DiskChanged { disk: String, what: &'static str },
    #[error(transparent)]
    Root(#[from] RootError),
    #[error(transparent)]
    Own(#[from] OwnError),
    #[error("the finished slot does not hold what it should: {what}")]
    NotWhole { what: String },
    #[error(transparent)]
    Hook(#[from] HookError),
    #[error("cancelled")]
    Cancelled,
}

impl StepError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::OtherRelease { .. } | Self::ShadowNotText | Self::Shadow(_) | Self::Head(_) => {
                Exit::SourceFailed
            }
            Self::NoProgram { .. } => Exit::ToolFailed,
            Self::Release(error) => error.exit(),
            // Another machine's disk, or another than the plan was made for.
            Self::Write(
                WriteError::Io(IoError::Reserved { .. }) | WriteError::OtherTable { .. },
            )
            | Self::Io(IoError::Reserved { .. })
            | Self::StateChanged { .. }
            | Self::DiskChanged { .. } => Exit::DiskNotFound,
            Self::Write(WriteError::Io(_) | WriteError::CommitNotRead { .. })
            | Self::Io(_)
            | Self::Locate(_)
            | Self::State { .. }
            | Self::StateFile(_)
            | Self::NotWhole { .. }
            | Self::ReadBack { .. } => Exit::IoBeforeCommit,
            Self::Write(WriteError::Head(_)) => Exit::SourceFailed,
            Self::Write(WriteError::Commit(error)) => commit_exit(error),
            Self::Write(WriteError::Gpt(_) | WriteError::Mbr(_) | WriteError::Rescue(_))
            | Self::Gpt(_) => Exit::InternalError,
            Self::Host(error) => error.exit(),
            Self::Payload(error) => error.exit(),
            Self::Slot(error) => error.exit(),
            Self::Fresh(error) => error.exit(),
            Self::Fat(error) => error.exit(),
            Self::Root(error) => error.exit(),
            Self::Own(_) => Exit::NotUpgradeable,
            Self::StateUnknown(_) => Exit::IoAtCommit,
            Self::Hook(error) => error.exit(),
            Self::Cancelled => Exit::Cancelled,
        }
    }
}

/// What reading back the block says about which state counts.
fn commit_exit(error: &CommitError) -> Exit {
    match error {
        CommitError::Io(IoError::Reserved { .. }) | CommitError::Changed { .. } => {
            Exit::DiskNotFound
        }
        CommitError::Io(_) | CommitError::NotCommitted { .. } => Exit::IoBeforeCommit,
        CommitError::NotOneBlock { .. } => Exit::InternalError,
        CommitError::Unknown { .. } => Exit::IoAtCommit,
    }
}
