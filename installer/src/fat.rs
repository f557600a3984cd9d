//! The boot partition: a FAT file system made whole, in a window of the target disk. FAT32, or the
//! small FAT12 volume of a disk with an MBR.
//!
//! Files are written once, in the order given, into a fresh file system, and read back through a
//! second reading of the disk. Clusters have 4096 bytes, so that a boot state file of 1024 bytes
//! lies in one cluster of its own, and can be overwritten in place later.

use std::io::{Read, Seek, Write};

use hadris_fat::format::{FatFormatOptions, FatTypeSelection, FatVolumeFormatter, SectorSize};
use hadris_fat::time::EpochTimeProvider;
use hadris_fat::{FatVolume, FatVolumeBuilder, FatVolumeReadExt, FatVolumeWriteExt};
use installer_core::outcome::Exit;
use partitioner::block::window::{Stream, Window};
use partitioner::block::{BlockIo, IoError};
use partitioner::units::{BlockSize, Extent};

mod small;

const CLUSTER_BYTES: u64 = 4096;
/// The same disk for the same release: files carry no time of day.
static TIME: EpochTimeProvider = EpochTimeProvider;

/// A file of the boot partition.
#[derive(Clone, Copy, Debug)]
pub struct FatFile<'a> {
    /// From the root, without a leading slash. Folders are made as needed.
    pub path: &'a str,
    pub bytes: &'a [u8],
}

/// Which file system it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FatKind {
    Fat32,
    /// FAT12, with the reserved sectors of the MBR layout.
    Small,
}

/// What the file system is called.
#[derive(Clone, Copy, Debug)]
pub struct FatName {
    pub label: &'static str,
    pub serial: u32,
}

/// What can go wrong with the boot partition.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("boot partition: {action}: {source}")]
    Fat { action: String, source: hadris_fat::Error },
    #[error("boot partition: writing out: {0}")]
    Flush(std::io::Error),
    #[error("boot partition: the files need {need} clusters of 4096 bytes, {have} are free")]
    Full { need: u64, have: u64 },
    #[error("boot partition: blocks of {have} bytes are not 512 or 4096")]
    BlockSize { have: u64 },
    #[error("boot partition: {have} blocks are too many for the volume before an MBR's partitions")]
    NotSmall { have: u64 },
    #[error("boot partition: {path} reads back other bytes than were written")]
    ReadBack { path: String },
}

impl FatError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Io(_) | Self::Fat { .. } | Self::Flush(_) | Self::ReadBack { .. } => {
                Exit::IoBeforeCommit
            }
            Self::Full { .. } | Self::BlockSize { .. } | Self::NotSmall { .. } => Exit::Unsuitable,
        }
    }
}

/// Bytes done of bytes to do.
pub type Progress<'p> = &'p mut dyn FnMut(u64, u64);

/// Formats `extent`, writes `files`, flushes, and compares what a second reading gives.
pub fn make_boot(
    disk: &mut dyn BlockIo,
    extent: Extent,
    kind: FatKind,
    name: FatName,
    files: &[FatFile<'_>],
    progress: Progress<'_>,
) -> Result<(), FatError> {
    let total = 2 * files.iter().map(|f| length(f.bytes)).sum::<u64>();
    let mut done = 0;
    let mut tell = |bytes: u64| {
        done += bytes;
        progress(done, total);
    };
    let stream = formatted(disk, extent, kind, name)?;
    let volume = FatVolumeBuilder::new(stream).time_provider(&TIME).open().map_err(fat("open"))?;
    let have = match kind {
        FatKind::Fat32 => u64::from(volume.free_cluster_count().unwrap_or(0)),
        FatKind::Small => u64::from(small::clusters(sectors(extent)?)),
    };
    check_room(have, files)?;
    for file in files {
        write_file(&volume, file).map_err(fat(file.path))?;
        tell(length(file.bytes));
    }
    volume.into_inner().finish().map_err(FatError::Flush)?;
    let volume = FatVolume::open(Stream::new(Window::new(disk, extent)?)).map_err(fat("reopen"))?;
    for file in files {
        if read_file(&volume, file.path).map_err(fat(file.path))? != file.bytes {
            return Err(FatError::ReadBack { path: file.path.to_owned() });
        }
        tell(length(file.bytes));
    }
    Ok(())
}

/// An empty file system, at its start: the library takes it to begin where the stream stands.
fn formatted(
    disk: &mut dyn BlockIo,
    extent: Extent,
    kind: FatKind,
    name: FatName,
) -> Result<Stream<'_>, FatError> {
    let block = disk.block_size();
    let mut stream = Stream::new(Window::new(disk, extent)?);
    match kind {
        FatKind::Fat32 => {
            let options = options(block, extent, name)?;
            stream =
                FatVolumeFormatter::format(stream, options).map_err(fat("format"))?.into_inner();
            stream.rewind().map_err(FatError::Flush)?;
        }
        FatKind::Small => {
            if block != BlockSize::B512 {
                return Err(FatError::BlockSize { have: block.bytes() });
            }
            let hidden = u32::try_from(extent.first().get()).unwrap_or(0);
            small::format(&mut stream, sectors(extent)?, hidden, name).map_err(FatError::Flush)?;
        }
    }
    Ok(stream)
}

/// The length of a small volume.
fn sectors(extent: Extent) -> Result<u16, FatError> {
    let have = extent.blocks();
    u16::try_from(have).map_err(|_| FatError::NotSmall { have })
}

fn fat(action: &str) -> impl Fn(hadris_fat::Error) -> FatError {
    move |source| FatError::Fat { action: action.to_owned(), source }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("a length in memory fits in 64 bits")
}

fn options(block: BlockSize, extent: Extent, name: FatName) -> Result<FatFormatOptions, FatError> {
    let have = block.bytes();
    let sector = usize::try_from(have).ok().and_then(|bytes| SectorSize::try_from(bytes).ok());
    let sector = sector.ok_or(FatError::BlockSize { have })?;
    let per_cluster =
        u8::try_from(CLUSTER_BYTES / have).map_err(|_| FatError::BlockSize { have })?;
    // The field has 32 bits. No firmware that starts xenhost reads it.
    let hidden = u32::try_from(extent.first().get()).unwrap_or(0);
    Ok(FatFormatOptions::new(extent.blocks() * have)
        .fat_type(FatTypeSelection::Fat32)
        .sector_size(sector)
        .sectors_per_cluster(per_cluster.max(1))
        .hidden_sectors(hidden)
        .volume_label(name.label)
        .volume_id(name.serial))
}

/// The library reports a full volume when a file is written, and then closes the file as if
/// nothing had been; so the room is counted first. A cluster for each folder of each file is
/// generous.
fn check_room(have: u64, files: &[FatFile<'_>]) -> Result<(), FatError> {
    let folders = |path: &str| path.bytes().filter(|byte| *byte == b'/').count();
    let clusters = |f: &FatFile<'_>| {
        length(f.bytes).div_ceil(CLUSTER_BYTES) + u64::try_from(folders(f.path)).unwrap_or(0)
    };
    let need = files.iter().map(clusters).sum();
    if need <= have { Ok(()) } else { Err(FatError::Full { need, have }) }
}

fn write_file<D: Read + Write + Seek>(
    volume: &FatVolume<D>,
    file: &FatFile<'_>,
) -> hadris_fat::Result<()> {
    let mut folder = volume.root_dir();
    let mut parts: Vec<&str> = file.path.split('/').collect();
    let name = parts.pop().unwrap_or_default();
    for part in parts {
        folder = match folder.find(part)? {
            Some(entry) => volume.open_dir_entry(&entry)?,
            None => volume.create_dir(&folder, part)?,
        };
    }
    let entry = volume.create_file(&folder, name)?;
    let mut writer = volume.write_file(&entry)?;
    let mut rest = file.bytes;
    while !rest.is_empty() {
        let written = writer.write(rest)?;
        rest = rest.get(written.max(1)..).unwrap_or_default();
    }
    writer.finish()
}

fn read_file<D: Read + Seek>(volume: &FatVolume<D>, path: &str) -> hadris_fat::Result<Vec<u8>> {
    let entry = volume.open_path(path)?;
    volume.read_file(&entry)?.read_to_vec()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use partitioner::block::file::FileDisk;
    use partitioner::units::{Bytes, Lba};

    use super::*;
    use crate::testing::noise;

    const NAME: FatName = FatName { label: "XENHOSTBOOT", serial: 0x1234_ABCD };

    fn make(dir: &Path, block: BlockSize) -> std::path::PathBuf {
        let path = dir.join("boot.img");
        let mut disk = FileDisk::create(&path, Bytes::mib(400), block).unwrap();
        let blocks = disk.blocks();
        // Old content, which no part of the new file system may take for its own.
        disk.write(Lba::new(0), &vec![0xEE; 64 << 20]).unwrap();
        let extent = Extent::new(Lba::new(0), Lba::new(blocks - 1)).unwrap();
        let (state, kernel) = (vec![b'#'; 1024], noise(9, 5_000_001));
        let files = [
            FatFile { path: "EFI/BOOT/BOOTX64.EFI", bytes: &kernel },
            FatFile { path: "EFI/xenhost/grubx64.efi", bytes: &kernel },
            FatFile { path: "xenhost/state.env", bytes: &state },
            FatFile { path: "xenhost/rescue/initrd.img", bytes: &kernel },
            FatFile { path: "xenhost/reason.txt", bytes: &[] },
        ];
        let mut last = (0, 1);
        make_boot(&mut disk, extent, FatKind::Fat32, NAME, &files, &mut |done, total| {
            last = (done, total);
        })
        .unwrap();
        assert_eq!(last.0, last.1);
        path
    }

    #[expect(clippy::disallowed_methods, reason = "the oracle of this test is a program")]
    #[test]
    fn another_programs_checker_and_reader_agree() {
        for (block, sector) in [(BlockSize::B512, "512"), (BlockSize::B4096, "4096")] {
            let dir = tempfile::tempdir().unwrap();
            let path = make(dir.path(), block);
            let out = Command::new("/usr/sbin/fsck.vfat").arg("-nv").arg(&path).output().unwrap();
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            assert!(out.status.success(), "sectors of {sector}: {text}");
            assert!(text.contains("4096 bytes per cluster"), "{text}");
            let out = Command::new("/usr/sbin/blkid").arg("-p").arg(&path).output().unwrap();
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            assert!(
                text.contains(r#"LABEL="XENHOSTBOOT" UUID="1234-ABCD" VERSION="FAT32""#),
                "{text}"
            );
        }
    }

    /// The reserved sectors are the boot loader's: cores lie there, and no check finds a fault.
    #[expect(clippy::disallowed_methods, reason = "the oracle of this test is a program")]
    #[test]
    fn a_small_volume_with_cores_in_its_reserved_sectors_is_sound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("boot.img");
        let mut disk = FileDisk::create(&path, Bytes::new(1792 * 512), BlockSize::B512).unwrap();
        let extent = Extent::new(Lba::new(0), Lba::new(1791)).unwrap();
        disk.write(Lba::new(0), &noise(3, 1792 * 512)).unwrap();
        let (state, script) = (vec![b'#'; 1024], noise(9, 9000));
        let files = [
            FatFile { path: "xenhost/dispatch.cfg", bytes: &script },
            FatFile { path: "xenhost/state.env", bytes: &state },
            FatFile { path: "xenhost/state2.env", bytes: &state },
            FatFile { path: "xenhost/tries.env", bytes: &state },
            FatFile { path: "xenhost/reason.txt", bytes: &state },
        ];
        let mut make = |files: &[FatFile<'_>]| {
            make_boot(&mut disk, extent, FatKind::Small, NAME, files, &mut |_, _| {})
        };
        let big = noise(1, 400 << 10);
        let error = make(&[FatFile { path: "big", bytes: &big }]).unwrap_err().to_string();
        assert!(error.ends_with("need 100 clusters of 4096 bytes, 86 are free"), "{error}");
        make(&files).unwrap();
        let out = Command::new("/usr/sbin/fsck.vfat").arg("-nv").arg(&path).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{text}");
        assert!(text.contains("1100 reserved sectors"), "{text}");
        assert!(text.contains("86 data clusters"), "{text}");
        let out = Command::new("/usr/sbin/blkid").arg("-p").arg(&path).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(text.contains(r#"LABEL="XENHOSTBOOT" UUID="1234-ABCD" VERSION="FAT12""#), "{text}");
    }

    #[test]
    fn files_that_do_not_fit_are_refused_before_one_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("boot.img");
        let mut disk = FileDisk::create(&path, Bytes::mib(300), BlockSize::B512).unwrap();
        let extent = Extent::new(Lba::new(0), Lba::new(disk.blocks() - 1)).unwrap();
        let big = vec![0; 400 << 20];
        let files = [FatFile { path: "big", bytes: &big }];
        let error =
            make_boot(&mut disk, extent, FatKind::Fat32, NAME, &files, &mut |_, _| {}).unwrap_err();
        assert!(matches!(error, FatError::Full { .. }), "{error}");
        assert_eq!(error.exit(), Exit::Unsuitable);
    }
}
