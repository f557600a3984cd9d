//! The host that performs a plan on a plain image file: no root, no loop device, no mount.
//!
//! Tools never see the image. Each file system is made in a sparse file of its own beside the
//! image, and `settle` copies its data ranges through the fence; its holes become zero, by being
//! zeroed where they are not zero already. All of it is read back.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use partitioner::block::BlockIo;
use partitioner::block::device::DeviceDisk;
use partitioner::block::fence::Fence;
use partitioner::block::file::FileDisk;
use partitioner::layout::Role;
use partitioner::table::TablePlan;
use partitioner::units::{BlockSize, Bytes, Extent, Lba};
use rustix::fs::{SeekFrom, seek, statvfs};
use rustix::io::Errno;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use crate::call::{Call, CallError, Output, Processes, Run};
use crate::ports::{BootEntry, Host, HostError};

/// How much is copied at once.
const COPY_BYTES: u64 = 4 << 20;
/// How much of a hole is zeroed at once, where something in it is not zero.
const HOLE_BYTES: u64 = 1 << 30;

const NO_HOOKS: HostError = HostError::NoHooks { here: "an image file has none" };

/// One image file as the target disk.
#[derive(Debug)]
pub struct ImageHost {
    disk: Fence,
    scratch: TempDir,
    /// Known once the table was announced.
    table: Option<TablePlan>,
    /// Two installations into one image would make neither.
    _lock: File,
}

impl ImageHost {
    /// Opens the image, which must exist. `fence` is all that may be written.
    pub fn open(
        image: &Path,
        block_size: BlockSize,
        fence: Vec<Extent>,
    ) -> Result<Self, HostError> {
        Self::on(Box::new(FileDisk::open(image, block_size)?), image, fence)
    }

    /// The same with the device by which the image is read and written.
    pub fn on(disk: Box<dyn BlockIo>, image: &Path, fence: Vec<Extent>) -> Result<Self, HostError> {
        // Beside the image there is room, and a file system that knows holes if the image's does.
        let beside = match image.parent() {
            Some(parent) if parent != Path::new("") => parent,
            Some(_) | None => Path::new("."),
        };
        Self::beside(disk, image, beside, fence)
    }

    /// The disk of the running dom0, beside the partitions that it uses itself: tools work on
    /// files in `scratch` here too.
    pub fn of_running(disk: &Path, scratch: &Path, fence: Vec<Extent>) -> Result<Self, HostError> {
        fs::create_dir_all(scratch).map_err(file_error("making folder", scratch))?;
        Self::beside(Box::new(DeviceDisk::open_shared(disk)?), disk, scratch, fence)
    }

    fn beside(
        disk: Box<dyn BlockIo>,
        lock: &Path,
        folder: &Path,
        fence: Vec<Extent>,
    ) -> Result<Self, HostError> {
        let locked = File::open(lock).map_err(file_error("opening", lock))?;
        super::lock(&locked, lock)?;
        // Absolute, since tools may run in another folder.
        let folder = &folder.canonicalize().map_err(file_error("opening folder", folder))?;
        let scratch = tempfile::Builder::new()
            .prefix(".host-installer-")
            .tempdir_in(folder)
            .map_err(file_error("making a folder in", folder))?;
        Ok(Self { disk: Fence::new(disk, fence), scratch, table: None, _lock: locked })
    }

    fn extent(&self, role: Role) -> Result<Extent, HostError> {
        let planned = self.table.as_ref().and_then(|table| table.partition(role));
        planned.map(|planned| planned.extent).ok_or(HostError::NoPartition { role })
    }

    fn bytes(&self, extent: Extent) -> u64 {
        extent.blocks() * self.disk.block_size().bytes()
    }

    /// The sparse file for a partition, made at first use.
    fn scratch_file(&mut self, role: Role) -> Result<PathBuf, HostError> {
        let bytes = self.bytes(self.extent(role)?);
        let path = self.scratch_path(role);
        if !path.exists() {
            FileDisk::create(&path, Bytes::new(bytes), self.disk.block_size())?;
        }
        Ok(path)
    }

    fn scratch_path(&self, role: Role) -> PathBuf {
        self.scratch.path().join(format!("{role}.img"))
    }
}

impl Run for ImageHost {
    fn run(&mut self, call: &Call) -> Result<Output, CallError> {
        Processes.run(call)
    }
}

impl Host for ImageHost {
    fn disk(&mut self) -> &mut dyn BlockIo {
        &mut self.disk
    }

    /// The sparse files beside the image hold once more what the image then holds.
    fn check_room(&self, bytes: u64) -> Result<(), HostError> {
        let path = self.scratch.path();
        let free = statvfs(path)
            .map_err(|errno| file_error("asking for the free space of", path)(errno.into()))?;
        let have = Bytes::new(free.f_bavail.saturating_mul(free.f_frsize));
        let need = Bytes::new(bytes.saturating_mul(2));
        if need <= have {
            return Ok(());
        }
        let path = path.parent().unwrap_or(path).to_owned();
        Err(HostError::NoRoom { path, have, need })
    }

    fn announce(&mut self, table: &TablePlan) -> Result<(), HostError> {
        self.table = Some(table.clone());
        Ok(())
    }

    fn open_slot(&mut self, role: Role) -> Result<Box<dyn BlockIo + '_>, HostError> {
        let path = self.scratch_file(role)?;
        Ok(Box::new(FileDisk::open(&path, self.disk.block_size())?))
    }

    fn tool_path(&mut self, role: Role) -> Result<PathBuf, HostError> {
        self.scratch_file(role)
    }

    fn settle(&mut self, role: Role) -> Result<(), HostError> {
        let extent = self.extent(role)?;
        let path = self.scratch_file(role)?;
        let file = File::open(&path).map_err(file_error("opening", &path))?;
        let pieces = pieces(&file, self.bytes(extent), self.disk.block_size().bytes())
            .map_err(file_error("seeking data in", &path))?;
        let copy = Copy { role, file: &file, path: &path, extent };
        let written = copy.write(&mut self.disk, &pieces)?;
        self.disk.flush()?;
        copy.read_back(&mut self.disk, &written)?;
        // Frees the room at once; what is left is removed with the folder.
        fs::remove_file(&path).map_err(file_error("removing", &path))
    }

    /// Whoever makes an image does not want a file from elsewhere to run programs here.
    fn check_hooks(&self) -> Result<(), HostError> {
        Err(NO_HOOKS)
    }

    fn mount(&mut self, _role: Role) -> Result<PathBuf, HostError> {
        Err(NO_HOOKS)
    }

    fn unmount(&mut self) -> Result<(), HostError> {
        Err(NO_HOOKS)
    }

    fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    fn boot_entry(&mut self, _entry: &BootEntry<'_>) -> Result<String, HostError> {
        Ok("an image has no firmware to add a boot entry to".to_owned())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the port that tells the time")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

fn file_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> HostError {
    let path = path.to_owned();
    move |source| HostError::File { action, path: path.clone(), source }
}

/// Bytes `from` to `to`, whole blocks: data of at most `COPY_BYTES`, or a hole of at most
/// `HOLE_BYTES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    from: u64,
    to: u64,
    is_data: bool,
}

/// All of a sparse file's `length` bytes, in order.
fn pieces(file: &File, length: u64, block: u64) -> io::Result<Vec<Piece>> {
    let mut all = Vec::new();
    let mut at = 0;
    while at < length {
        let data = match seek(file, SeekFrom::Data(at)) {
            Ok(data) => data.min(length) / block * block,
            Err(Errno::NXIO) => length,
            Err(error) => return Err(error.into()),
        };
        while at < data {
            let to = data.min(at + HOLE_BYTES);
            all.push(Piece { from: at, to, is_data: false });
            at = to;
        }
        if at < length {
            let end = seek(file, SeekFrom::Hole(at))?.next_multiple_of(block).min(length);
            while at < end {
                let to = end.min(at + COPY_BYTES);
                all.push(Piece { from: at, to, is_data: true });
                at = to;
            }
        }
    }
    Ok(all)
}

/// One sparse file on its way into its partition.
struct Copy<'a> {
    role: Role,
    file: &'a File,
    path: &'a Path,
    extent: Extent,
}

impl Copy<'_> {
    /// Gives what was written: each piece with the checksum of its data, or without one for zeros.
    fn write(
        &self,
        disk: &mut dyn BlockIo,
        pieces: &[Piece],
    ) -> Result<Vec<(Piece, Option<u64>)>, HostError> {
        let mut written = Vec::new();
        for piece in pieces {
            let extent = self.place(disk, *piece)?;
            if piece.is_data {
                let mut bytes = buffer(*piece);
                self.file
                    .read_exact_at(&mut bytes, piece.from)
                    .map_err(file_error("reading", self.path))?;
                disk.write(extent.first(), &bytes)?;
                written.push((*piece, Some(xxh3_64(&bytes))));
            // Tables of inodes and folders may lie in a hole, and have to be zeros here too. Which
            // holes are free blocks only the file system knows; so all of them are.
            } else if !disk.is_zero(extent)? {
                disk.zero(extent)?;
                written.push((*piece, None));
            }
        }
        Ok(written)
    }

    fn read_back(
        &self,
        disk: &mut dyn BlockIo,
        written: &[(Piece, Option<u64>)],
    ) -> Result<(), HostError> {
        for (piece, sum) in written {
            let extent = self.place(disk, *piece)?;
            let is_same = if let Some(sum) = sum {
                let mut bytes = buffer(*piece);
                disk.read(extent.first(), &mut bytes)?;
                xxh3_64(&bytes) == *sum
            } else {
                disk.is_zero(extent)?
            };
            if !is_same {
                return Err(HostError::ReadBack { role: self.role, bytes: piece.from });
            }
        }
        Ok(())
    }

    /// Where on the disk a piece lies.
    fn place(&self, disk: &dyn BlockIo, piece: Piece) -> Result<Extent, HostError> {
        let block = disk.block_size().bytes();
        let first = Lba::new(self.extent.first().get() + piece.from / block);
        Extent::with_len(first, (piece.to - piece.from) / block)
            .filter(|extent| self.extent.contains(*extent))
            .ok_or(HostError::NoPartition { role: self.role })
    }
}

fn buffer(piece: Piece) -> Vec<u8> {
    vec![0; usize::try_from(piece.to - piece.from).expect("a piece of data is 4 MiB at most")]
}

#[cfg(test)]
mod tests {
    use partitioner::block::IoError;

    use super::*;

    #[test]
    fn holes_and_data_cover_the_file() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(&[1; 100], 1 << 20).unwrap();
        file.write_all_at(&vec![2; 5 << 20], 32 << 20).unwrap();
        let all = pieces(&file, 64 << 20, 512).unwrap();
        let shape: Vec<_> = all.iter().map(|p| (p.from >> 10, p.to >> 10, p.is_data)).collect();
        assert_eq!(
            shape,
            [
                (0, 1024, false),
                (1024, 1028, true),
                (1028, 32768, false),
                (32768, 36864, true),
                (36864, 37888, true),
                (37888, 65536, false),
            ]
        );
    }

    /// A disk on which zeroing is not what it says.
    #[derive(Debug)]
    struct Deaf(FileDisk);

    impl BlockIo for Deaf {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn block_size(&self) -> BlockSize {
            self.0.block_size()
        }
        fn blocks(&self) -> u64 {
            self.0.blocks()
        }
        fn read(&mut self, first: Lba, into: &mut [u8]) -> Result<(), IoError> {
            self.0.read(first, into)
        }
        fn write(&mut self, first: Lba, from: &[u8]) -> Result<(), IoError> {
            self.0.write(first, from)
        }
        fn flush(&mut self) -> Result<(), IoError> {
            self.0.flush()
        }
        fn zero(&mut self, _extent: Extent) -> Result<(), IoError> {
            Ok(())
        }
    }

    #[test]
    fn holes_that_do_not_become_zero_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("disk.img");
        let path = folder.path().join("slot.img");
        let mut target = FileDisk::create(&image, Bytes::mib(8), BlockSize::B512).unwrap();
        target.write(Lba::new(9000), &[1; 512]).unwrap();
        let slot = FileDisk::create(&path, Bytes::mib(8), BlockSize::B512).unwrap();
        drop(slot);
        let file = File::options().read(true).write(true).open(&path).unwrap();
        file.write_all_at(&[7; 4096], 1 << 20).unwrap();
        let extent = Extent::with_len(Lba::new(0), 16384).unwrap();
        let copy = Copy { role: Role::Backup, file: &file, path: &path, extent };
        let all = pieces(&file, 8 << 20, 512).unwrap();
        let mut deaf = Deaf(target);
        let written = copy.write(&mut deaf, &all).unwrap();
        // The hole before the data was zero already.
        assert_eq!(
            written.iter().map(|(p, sum)| (p.from, sum.is_some())).collect::<Vec<_>>(),
            [(1 << 20, true), ((1 << 20) + 4096, false)]
        );
        let error = copy.read_back(&mut deaf, &written).unwrap_err();
        assert!(matches!(error, HostError::ReadBack { .. }), "{error}");
        let mut target = deaf.0;
        let written = copy.write(&mut target, &all).unwrap();
        copy.read_back(&mut target, &written).unwrap();
        assert!(target.is_zero(Extent::with_len(Lba::new(9000), 1).unwrap()).unwrap());
    }

    #[test]
    fn a_file_without_data_is_one_hole() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8192).unwrap();
        assert_eq!(
            pieces(&file, 8192, 512).unwrap(),
            [Piece { from: 0, to: 8192, is_data: false }]
        );
    }
}
