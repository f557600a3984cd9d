//! Why a command ends early, and with which exit code.

use std::io;

use partitioner::apply::ApplyError;
use partitioner::block::IoError;
use partitioner::check::Finding;
use partitioner::plan::PlanError;
use partitioner::repair::RepairError;
use partitioner::write::WriteError;
use partitioner::write::commit::CommitError;

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
    Repair { disk: String, source: Box<RepairError> },
    #[error("signals cannot be caught: {0}")]
    Signals(io::Error),
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
            | IoError::Reserved { .. }
            | IoError::Os { .. }) => Self::Io(other),
        }
    }
}

impl Failure {
    /// The project's exit codes: 1 internal error, 2 cancelled, 10 bad arguments, 11 disk not
    /// found, changed or another machine's, 12 refused to destroy data, 13 unsuitable, 20 I/O
    /// error, 21 the same at the commit.
    pub(crate) const fn exit(&self) -> u8 {
        match self {
            Self::Output(_) | Self::NotSound { .. } | Self::Random(_) | Self::Signals(_) => 1,
            Self::Declined { .. }
            | Self::Apply { source: ApplyError::NotBegun | ApplyError::Cancelled, .. } => 2,
            Self::SectorSize(_) => 10,
            Self::NoDisk { .. }
            | Self::NotADisk { .. }
            | Self::Busy { .. }
            | Self::Changed { .. }
            | Self::ChangedNow { .. } => 11,
            // Another machine's disk.
            Self::Io(error)
            | Self::Apply { source: ApplyError::Write(WriteError::Io(error)), .. } => {
                io_exit(error)
            }
            Self::Apply { source: ApplyError::Write(WriteError::Commit(error)), .. } => {
                commit_exit(error)
            }
            Self::NoConsent { .. } | Self::Plan { source: PlanError::NotBlank { .. }, .. } => 12,
            Self::Plan { source: PlanError::Layout(_), .. } | Self::WriteProtected { .. } => 13,
            Self::Repair { source, .. } => repair_exit(source),
            Self::Apply { .. } | Self::Unreadable { .. } => 20,
        }
    }
}

const fn io_exit(error: &IoError) -> u8 {
    match error {
        IoError::Reserved { .. } => 11,
        IoError::OutOfRange { .. }
        | IoError::Unaligned { .. }
        | IoError::Fenced { .. }
        | IoError::Os { .. } => 20,
    }
}

/// What reading back the block says about which state counts.
const fn commit_exit(error: &CommitError) -> u8 {
    match error {
        CommitError::Io(error) => io_exit(error),
        CommitError::Changed { .. } => 11,
        CommitError::NotOneBlock { .. } => 1,
        CommitError::NotCommitted { .. } => 20,
        CommitError::Unknown { .. } => 21,
    }
}

const fn repair_exit(error: &RepairError) -> u8 {
    match error {
        RepairError::Io(error) => io_exit(error),
        RepairError::Commit(error) => commit_exit(error),
        RepairError::NotRead { .. } => 20,
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
    use partitioner::repair::repair;
    use partitioner::table::{Geometry, TableRequest, plan_table};
    use partitioner::units::{BlockSize, Bytes, Lba};

    use super::*;

    type Act<'a> = &'a dyn Fn(&mut Faulty) -> Result<(), Failure>;

    /// Row 39 of the bad inputs: whichever operation of `apply` or `repair` meets the reservation
    /// of another machine, the reservation is told, with the way out.
    #[test]
    fn a_disk_that_another_machine_has_reserved_is_named_as_such() {
        let geometry = Geometry::of_size(Bytes::gib(60), BlockSize::B512);
        let request = TableRequest::new(Firmware::Uefi);
        let table = plan_table(geometry, &request, &mut Ids::from_seed([1; 32])).unwrap();
        let blank = MemDisk::new("sda", geometry.block_size, geometry.blocks);
        let mut done = blank.clone();
        apply(&mut done, &table, &mut || true).unwrap();
        let mut damaged = done.clone();
        damaged.write(Lba::new(1), &[0xA5; 512]).unwrap();
        let cases: [(&MemDisk, Act<'_>); 2] = [
            (&blank, &|disk| {
                let disk_name = "sda".to_owned();
                let applied = apply(disk, &table, &mut || true);
                applied.map_err(|source| Failure::Apply { disk: disk_name, source })
            }),
            (&damaged, &|disk| {
                let failed = |source: RepairError| Failure::Repair {
                    disk: "sda".to_owned(),
                    source: Box::new(source),
                };
                repair(disk).map(|_damage| ()).map_err(failed)
            }),
        ];
        for (before, act) in cases {
            let mut counting = Faulty::new(Box::new(before.clone()), Fault::Reserved, u64::MAX);
            act(&mut counting).unwrap();
            for at in 0..counting.operations() {
                let mut disk = Faulty::new(Box::new(before.clone()), Fault::Reserved, at);
                // Reads at the end are not harmed.
                let Err(failure) = act(&mut disk) else { continue };
                let text = failure.to_string();
                assert!(text.contains("reserved by another initiator"), "{at}: {text}");
                assert!(text.contains("sg_persist --out --release"), "{at}: {text}");
                // Once the block of the commit was taken, nobody knows whether it stays.
                let want = if text.contains("it is not certain") { 21 } else { 11 };
                assert_eq!(failure.exit(), want, "{at}: {text}");
            }
            let mut disk = Faulty::new(Box::new(before.clone()), Fault::Reserved, 0);
            act(&mut disk).unwrap_err();
        }
    }

    /// Row 34 of the bad inputs: whichever read of a disk fails, the place is told and what to do.
    #[test]
    fn a_disk_that_cannot_be_read_is_told_to_be_replaced() {
        let geometry = Geometry::of_size(Bytes::gib(60), BlockSize::B512);
        let request = TableRequest::new(Firmware::Uefi);
        let table = plan_table(geometry, &request, &mut Ids::from_seed([1; 32])).unwrap();
        let mut disk = MemDisk::new("sda", geometry.block_size, geometry.blocks);
        apply(&mut disk, &table, &mut || true).unwrap();
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
