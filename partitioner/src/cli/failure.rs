//! Why a command ends early, and with which exit code.

use std::io;

use partitioner::apply::ApplyError;
use partitioner::block::IoError;
use partitioner::check::Finding;
use partitioner::plan::PlanError;
use partitioner::repair::RepairError;

/// Why a command ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("sector size {0} is not 512 or 4096")]
    SectorSize(u32),
    #[error("{disk}: no such disk")]
    NoDisk { disk: String },
    #[error("{disk}: is {what}, give the whole disk")]
    NotADisk { disk: String, what: &'static str },
    #[error("{disk}: write protected")]
    WriteProtected { disk: String },
    #[error("{disk}: in use by another program, or mounted")]
    Busy { disk: String },
    #[error("{disk}: read error at {at}: replace the disk ({source})")]
    Unreadable { disk: String, at: String, source: io::Error },
    #[error(transparent)]
    Io(IoError),
    #[error("{disk}: {source}")]
    Plan { disk: String, source: PlanError },
    #[error("{disk}: the plan is not sound, nothing was written: {}", list(.findings))]
    NotSound { disk: String, findings: Vec<Finding> },
    #[error(
        "{disk}: the disk changed since it was confirmed, or other options were given: the plan \
         has digest {have}, confirmed was {confirmed}"
    )]
    Changed { disk: String, have: String, confirmed: String },
    #[error("{disk}: the disk changed while it was opened for writing")]
    ChangedNow { disk: String },
    #[error("{disk}: {what} needs consent: --confirm {digest}")]
    NoConsent { disk: String, what: &'static str, digest: String },
    #[error("{disk}: nothing was written, by your wish")]
    Declined { disk: String },
    #[error("{disk}: {source}")]
    Apply { disk: String, source: ApplyError },
    #[error("{disk}: {source}")]
    Repair { disk: String, source: RepairError },
    #[error("identifiers: the kernel's random numbers cannot be had: {0}")]
    Random(io::Error),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

fn list(findings: &[Finding]) -> String {
    let all: Vec<String> = findings.iter().map(ToString::to_string).collect();
    all.join("; ")
}

impl From<IoError> for Failure {
    /// What a person has to do about it decides.
    fn from(error: IoError) -> Self {
        match error {
            IoError::Os { disk, action: "open", source, .. }
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Self::NoDisk { disk }
            }
            IoError::Os { disk, source, .. }
                if source.kind() == io::ErrorKind::ReadOnlyFilesystem
                    || source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Self::WriteProtected { disk }
            }
            IoError::Os { disk, action: "open", source, .. }
                if source.kind() == io::ErrorKind::ResourceBusy =>
            {
                Self::Busy { disk }
            }
            IoError::Os { disk, action: "read", at, source } => {
                Self::Unreadable { disk, at: at.to_string(), source }
            }
            other @ (IoError::OutOfRange { .. }
            | IoError::Unaligned { .. }
            | IoError::Fenced { .. }
            | IoError::Os { .. }) => Self::Io(other),
        }
    }
}

impl Failure {
    /// The project's exit codes: 1 internal error, 2 cancelled, 10 bad arguments, 11 disk not
    /// found or changed, 12 refused to destroy data, 13 unsuitable, 20 I/O error.
    pub(crate) const fn exit(&self) -> u8 {
        match self {
            Self::Output(_) | Self::NotSound { .. } | Self::Random(_) => 1,
            Self::Declined { .. } => 2,
            Self::SectorSize(_) => 10,
            Self::NoDisk { .. }
            | Self::NotADisk { .. }
            | Self::Busy { .. }
            | Self::Changed { .. }
            | Self::ChangedNow { .. } => 11,
            Self::NoConsent { .. } | Self::Plan { source: PlanError::NotBlank { .. }, .. } => 12,
            Self::Plan { source: PlanError::Layout(_), .. } | Self::WriteProtected { .. } => 13,
            Self::Repair { source, .. } => repair_exit(source),
            Self::Apply { .. } | Self::Io(_) | Self::Unreadable { .. } => 20,
        }
    }
}

const fn repair_exit(error: &RepairError) -> u8 {
    match error {
        RepairError::Io(_) | RepairError::Commit(_) => 20,
        RepairError::NoProtectiveMbr
        | RepairError::BothDamaged { .. }
        | RepairError::Differ
        | RepairError::Elsewhere { .. }
        | RepairError::NoRoom { .. } => 13,
    }
}

#[cfg(test)]
mod tests {
    use partitioner::apply::apply;
    use partitioner::block::BlockIo;
    use partitioner::block::fault::{Fault, Faulty};
    use partitioner::block::memory::MemDisk;
    use partitioner::ids::Ids;
    use partitioner::inspect::report::report;
    use partitioner::layout::Firmware;
    use partitioner::table::{Geometry, TableRequest, plan_table};
    use partitioner::units::{BlockSize, Bytes};

    use super::*;

    /// Row 34 of the bad inputs: whichever read of a disk fails, the place is told and what to do.
    #[test]
    fn a_disk_that_cannot_be_read_is_told_to_be_replaced() {
        let geometry = Geometry::of_size(Bytes::gib(60), BlockSize::B512);
        let request = TableRequest::new(Firmware::Uefi);
        let table = plan_table(geometry, &request, &mut Ids::from_seed([1; 32])).unwrap();
        let mut disk = MemDisk::new("sda", geometry.block_size, geometry.blocks);
        apply(&mut disk, &table).unwrap();
        let mut counting = Faulty::new(Box::new(disk.clone()), Fault::Eio, u64::MAX);
        report(&mut counting).unwrap();
        let reads = counting.operations();
        assert!(reads > 10, "{reads}");
        for at in 0..reads {
            let inner: Box<dyn BlockIo> = Box::new(disk.clone());
            let error = report(&mut Faulty::new(inner, Fault::Eio, at)).unwrap_err();
            let failure = Failure::from(error);
            let text = failure.to_string();
            assert_eq!(failure.exit(), 20, "{text}");
            assert!(text.contains("read error at ") && text.contains("replace the disk"), "{text}");
        }
    }
}
