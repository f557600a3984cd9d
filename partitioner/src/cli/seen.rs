//! A disk that was opened and looked at.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use partitioner::block::BlockIo;
use partitioner::block::device::DeviceDisk;
use partitioner::block::file::FileDisk;
use partitioner::block::open::{Opened, open_read_only};
use partitioner::ids::Ids;
use partitioner::inspect::foreign;
use partitioner::inspect::report::{Report, report};
use partitioner::layout::Firmware;
use partitioner::plan::{Facts, Plan, Policy, plan};
use partitioner::table::Geometry;
use partitioner::units::BlockSize;

use super::args::{DiskArg, FirmwareArg, PlanArgs};
use super::failure::Failure;
use super::{blkid, classify};

/// What there is to know of a disk before anything is decided.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) geometry: Geometry,
    pub(super) report: Arc<Report>,
    is_device: bool,
}

impl Seen {
    /// Opens the disk without the right to write, and reads what is on it.
    pub(super) fn open(disk: &DiskArg) -> Result<Self, Failure> {
        let path = disk.disk.clone();
        classify::whole_disk(&path)?;
        let mut opened = open_read_only(&path, block_size(disk.sector_size)?)?;
        let is_device = matches!(opened, Opened::Device(_));
        let (geometry, report) = look(opened.disk(), &path)?;
        let name = path.display().to_string();
        Ok(Self { path, name, geometry, report: Arc::new(report), is_device })
    }

    /// The plan for it, with identifiers that nobody sees: they are drawn when it is performed.
    pub(super) fn plan(&self, args: &PlanArgs, policy: Policy) -> Result<Plan, Failure> {
        let facts = Facts { path: &self.name, geometry: self.geometry, report: &self.report };
        let request = args.request(self.firmware(args.firmware));
        let disk = || self.name.clone();
        let plan = plan(&facts, &request, policy, &mut Ids::from_seed([0; 32]))
            .map_err(|source| Failure::Plan { disk: disk(), source })?;
        let findings = partitioner::check::check_plan(&plan, &self.report.inspection);
        if findings.is_empty() {
            Ok(plan)
        } else {
            Err(Failure::NotSound { disk: disk(), findings })
        }
    }

    /// Opens it again to look.
    pub(super) fn open_read_only(&self) -> Result<Opened, Failure> {
        Ok(open_read_only(&self.path, Some(self.geometry.block_size))?)
    }

    /// Opens it again, alone and for writing, and sees that it is what it was.
    pub(super) fn open_for_writing(&self) -> Result<Box<dyn BlockIo>, Failure> {
        if classify::write_protected(&self.path) {
            return Err(Failure::WriteProtected { disk: self.name.clone() });
        }
        let mut disk: Box<dyn BlockIo> = if self.is_device {
            Box::new(DeviceDisk::open(&self.path)?)
        } else {
            Box::new(FileDisk::open(&self.path, self.geometry.block_size)?)
        };
        let (geometry, report) = look(disk.as_mut(), &self.path)?;
        if geometry == self.geometry && report == *self.report {
            Ok(disk)
        } else {
            Err(Failure::ChangedNow { disk: self.name.clone() })
        }
    }

    /// The running machine's firmware for a device, UEFI for an image, unless told.
    fn firmware(&self, told: Option<FirmwareArg>) -> Firmware {
        match told {
            Some(FirmwareArg::Uefi) => Firmware::Uefi,
            None if !self.is_device => Firmware::Uefi,
            None if Path::new("/sys/firmware/efi").exists() => Firmware::Uefi,
            Some(FirmwareArg::Bios) | None => Firmware::Bios,
        }
    }
}

fn look(disk: &mut dyn BlockIo, path: &Path) -> Result<(Geometry, Report), Failure> {
    let geometry = Geometry { block_size: disk.block_size(), blocks: disk.blocks() };
    let mut report = report(disk)?;
    let mut ask = |start, length| blkid::look(path, start, length);
    foreign::complete(&mut report.inspection, geometry, &mut ask);
    Ok((geometry, report))
}

fn block_size(bytes: Option<u32>) -> Result<Option<BlockSize>, Failure> {
    let known = |bytes: u32| {
        let size = BlockSize::new(bytes);
        size.filter(|size| [BlockSize::B512, BlockSize::B4096].contains(size))
            .ok_or(Failure::SectorSize(bytes))
    };
    bytes.map(known).transpose()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    /// Row 35 of the bad inputs: between the plan and the first write the disk became another one.
    #[test]
    fn a_disk_that_was_swapped_is_not_opened_for_writing() {
        type Change = fn(&File);
        let changes: [(Change, bool); 3] = [
            (|_| {}, true),
            (|file| file.write_all_at(b"SWAPSPACE2", 4086).unwrap(), false),
            (|file| file.set_len(59 << 30).unwrap(), false),
        ];
        for (change, same) in changes {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("disk.img");
            let file = File::create(&path).unwrap();
            file.set_len(60 << 30).unwrap();
            let seen = Seen::open(&DiskArg { disk: path, sector_size: None }).unwrap();
            change(&file);
            match seen.open_for_writing() {
                Ok(_) => assert!(same),
                Err(failure) => {
                    assert!(!same && failure.exit() == 11, "{failure}");
                    assert!(failure.to_string().contains("changed while it was opened"));
                }
            }
        }
    }
}
