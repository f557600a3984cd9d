//! Repositories on plain files: real `mke2fs`, `tune2fs` and `blkid`; LVM answers as told, since it
//! takes no files.

use std::fs::File;

use installer_core::storage::DiskId;
use partitioner::ids::Guid;
use partitioner::units::Bytes;

use super::*;
use crate::call::{Output, Processes};

#[derive(Debug)]
struct Folder {
    root: tempfile::TempDir,
    calls: Vec<String>,
    mounted: bool,
    /// The call that ends as a power cut does, before it does anything.
    cut_at: Option<&'static str>,
    group: String,
}

impl Folder {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        File::create(root.path().join("disk")).unwrap().set_len(64 << 20).unwrap();
        let (calls, group) = (Vec::new(), String::new());
        Self { root, calls, mounted: false, cut_at: None, group }
    }

    fn device(&self) -> PathBuf {
        self.root.path().join("disk")
    }

    fn state(&mut self, repository: &Repository) -> State {
        let device = self.device();
        state::of(self, repository, &device).unwrap()
    }

    fn called(&self, program: &str) -> usize {
        self.calls.iter().filter(|call| call.starts_with(program)).count()
    }

    /// A physical volume whose label is ours, as `pvcreate` writes it to the second sector.
    fn label_volume(&self, repository: &Repository) {
        use std::os::unix::fs::FileExt;
        let mut sector = [0_u8; 512];
        sector[..8].copy_from_slice(b"LABELONE");
        sector[8..16].copy_from_slice(&1_u64.to_le_bytes());
        sector[20..24].copy_from_slice(&32_u32.to_le_bytes());
        sector[24..32].copy_from_slice(b"LVM2 001");
        let id = repository.volume_uuid().replace('-', "");
        sector[32..64].copy_from_slice(id.as_bytes());
        let crc = lvm_crc(&sector[20..]);
        sector[16..20].copy_from_slice(&crc.to_le_bytes());
        let file = File::options().write(true).open(self.device()).unwrap();
        file.write_all_at(&sector, 512).unwrap();
    }
}

/// CRC-32 with LVM's start value (`lib/misc/crc.c`).
fn lvm_crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0xf597_a6cf, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

impl Run for Folder {
    fn run(&mut self, call: &Call) -> Result<Output, CallError> {
        self.calls.push(call.to_string());
        if self.cut_at == Some(call.program) {
            return Err(CallError::Timeout { call: Box::new(call.clone()), said: Vec::new() });
        }
        let stdout = match call.program {
            "mount" => {
                self.mounted = true;
                Vec::new()
            }
            "pvs" => self.group.clone().into_bytes(),
            "vgcreate" => {
                self.group = "  sr-local\n".to_owned();
                Vec::new()
            }
            "pvcreate" | "vgchange" => Vec::new(),
            _ => return Processes.run(call),
        };
        Ok(Output { status: 0, stdout, stderr: Vec::new() })
    }
}

impl Dom0 for Folder {
    fn root(&self) -> &Path {
        self.root.path()
    }

    fn find(&mut self, _: &Place) -> Result<Option<PathBuf>, StorageError> {
        let device = self.device();
        Ok(device.exists().then_some(device))
    }

    fn is_mounted(&mut self, _: &Path) -> Result<bool, StorageError> {
        Ok(self.mounted)
    }

    fn flush(&mut self, device: &Path) -> Result<(), StorageError> {
        File::open(device).unwrap().sync_all().unwrap();
        Ok(())
    }
}

fn repository(kind: SrKind) -> Repository {
    let id = Guid::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef);
    Repository { name: "local".to_owned(), kind, id, place: Place::HostDisk }
}

#[test]
fn a_file_system_is_made_once_and_attached_ever_after() {
    let (mut dom0, repository) = (Folder::new(), repository(SrKind::Ext));
    let device = dom0.device();
    assert_eq!(tend(&mut dom0, &repository, Task::Attach).unwrap(), Done::NotYet);
    assert_eq!(dom0.state(&repository), State::Blank);
    let done = tend(&mut dom0, &repository, Task::Make).unwrap();
    assert_eq!(done, Done::Made { device: device.clone() });
    assert_eq!(dom0.state(&repository), State::Finished);
    assert!(dom0.mounted && dom0.root.path().join("srv/sr-local").is_dir());
    dom0.mounted = false;
    assert_eq!(
        missing(&mut dom0, &repository).unwrap().unwrap(),
        "it is not mounted on /srv/sr-local"
    );
    let done = tend(&mut dom0, &repository, Task::Make).unwrap();
    assert_eq!((done, dom0.called("mke2fs")), (Done::Attached { device }, 1));
    assert_eq!(missing(&mut dom0, &repository).unwrap(), None);
}

/// The label is the commit: a file system without it is made again, one with it never.
#[test]
fn a_cut_before_the_label_means_once_more() {
    let (mut dom0, repository) = (Folder::new(), repository(SrKind::Ext));
    dom0.cut_at = Some("tune2fs");
    assert!(tend(&mut dom0, &repository, Task::Make).is_err());
    assert_eq!(dom0.state(&repository), State::Unfinished);
    assert_eq!(missing(&mut dom0, &repository).unwrap(), None);
    dom0.cut_at = None;
    assert!(matches!(tend(&mut dom0, &repository, Task::Make), Ok(Done::Made { .. })));
    dom0.cut_at = Some("mount");
    assert!(tend(&mut dom0, &repository, Task::Make).is_ok(), "it is mounted already");
    assert_eq!(dom0.called("mke2fs"), 2);
}

#[test]
fn what_holds_anything_is_left_alone() {
    let (mut dom0, ours) = (Folder::new(), repository(SrKind::Ext));
    let device = dom0.device();
    let other = Guid::from_u128(0x4fff_ffff_ffff_4fff_8fff_ffff_ffff_ffff);
    fresh::make_ext4(&mut Processes, &device, other, "photos").unwrap();
    let before = fs::read(&device).unwrap();
    for (kind, task) in
        [(SrKind::Ext, Task::Make), (SrKind::Lvm, Task::Make), (SrKind::Ext, Task::Attach)]
    {
        let error = tend(&mut dom0, &repository(kind), task).unwrap_err().to_string();
        assert!(error.contains("holds ext4 \"photos\"; nothing was changed"), "{error}");
    }
    assert!(before == fs::read(&device).unwrap());
    // A table alone is a signature too.
    let file = File::options().write(true).open(&device).unwrap();
    file.set_len(0).unwrap();
    file.set_len(64 << 20).unwrap();
    let mut mbr = [0_u8; 512];
    mbr[446..462].copy_from_slice(&[0, 0, 2, 0, 0x83, 0, 9, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
    mbr[510..].copy_from_slice(&[0x55, 0xAA]);
    std::os::unix::fs::FileExt::write_all_at(&file, &mbr, 0).unwrap();
    let error = tend(&mut dom0, &ours, Task::Make).unwrap_err().to_string();
    assert!(error.contains("holds dos"), "{error}");
}

#[test]
fn a_volume_group_is_made_once() {
    let (mut dom0, repository) = (Folder::new(), repository(SrKind::Lvm));
    assert!(matches!(tend(&mut dom0, &repository, Task::Make), Ok(Done::Made { .. })));
    let made = "pvcreate -q -y -ff --norestorefile --uuid 012345-6789-ab4d-ef81-2345-6789-abcdef";
    assert_eq!(dom0.called(made), 1, "{:?}", dom0.calls);
    assert!(!begun(&dom0, &repository).is_there());
    dom0.label_volume(&repository);
    assert_eq!(dom0.state(&repository), State::Finished);
    assert!(matches!(tend(&mut dom0, &repository, Task::Make), Ok(Done::Attached { .. })));
    assert_eq!(dom0.called("pvcreate"), 1);
}

/// An empty physical volume of ours is what a cut leaves, or what is left of a group with guests.
#[test]
fn a_volume_that_lost_its_group_is_not_made_again() {
    let (mut dom0, repository) = (Folder::new(), repository(SrKind::Lvm));
    dom0.cut_at = Some("vgcreate");
    assert!(tend(&mut dom0, &repository, Task::Make).is_err());
    dom0.cut_at = None;
    dom0.label_volume(&repository);
    assert_eq!(dom0.state(&repository), State::Orphan);
    assert_eq!(tend(&mut dom0, &repository, Task::Attach).unwrap(), Done::NotYet);
    assert!(matches!(tend(&mut dom0, &repository, Task::Make), Ok(Done::Made { .. })));
    dom0.group = String::new();
    for task in [Task::Attach, Task::Make] {
        let error = tend(&mut dom0, &repository, task).unwrap_err().to_string();
        assert!(error.contains("whose volume group is gone; nothing was changed"), "{error}");
    }
    assert!(missing(&mut dom0, &repository).unwrap().is_some());
}

#[test]
fn a_disk_that_is_away_holds_up_no_boot() {
    let mut dom0 = Folder::new();
    fs::remove_file(dom0.device()).unwrap();
    let id = DiskId { serial: Some("SN43".to_owned()), wwn: None, size: Bytes::gib(20) };
    let repository = Repository { place: Place::Disk(id), ..repository(SrKind::Ext) };
    let error = tend(&mut dom0, &repository, Task::Make).unwrap_err().to_string();
    assert_eq!(error, "its disk (serial SN43, 20 GiB) is not there");
    assert_eq!(unattached(&mut dom0), Vec::<String>::new());
    let file = StorageFile { repositories: vec![repository] };
    fs::create_dir_all(dom0.root.path().join("etc/xenhost")).unwrap();
    fs::write(dom0.root.path().join(StorageFile::PATH), file.to_text()).unwrap();
    assert_eq!(wanted(dom0.root()).unwrap(), file.repositories);
    assert_eq!(unattached(&mut dom0), Vec::<String>::new());
}
