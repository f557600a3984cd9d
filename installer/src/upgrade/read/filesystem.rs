//! Whether the file system of a slot is whole: by `e2fsck`, or by what its superblock records.

use std::path::Path;

use installer_core::facts::DiskFacts;
use partitioner::block::window::Window;
use partitioner::block::{BlockIo, open};
use partitioner::units::{Extent, Lba};

use crate::call::{Call, Run};

/// How `e2fsck` ends where it found errors and left them (e2fsck(8)).
const ERRORS_LEFT: i32 = 4;

/// What `e2fsck` finds, which changes nothing.
pub(crate) fn check(disk: &DiskFacts, extent: Extent, run: &mut dyn Run) -> Option<String> {
    if disk.path.contains('?') {
        return Some(format!("{} cannot be checked: its name holds a `?`", disk.path));
    }
    let offset = extent.first().byte_offset(disk.block_size)?;
    // e2fsprogs take what follows a question mark for options.
    let call = Call::new("e2fsck").arg("-fn").arg(format!("{}?offset={offset}", disk.path));
    match run.run(&call.accept(ERRORS_LEFT)) {
        Ok(output) if output.status != ERRORS_LEFT => None,
        Ok(output) => {
            let text = output.stdout_text();
            let said = text.lines().filter(|line| !line.starts_with("Pass "));
            let said: Vec<&str> = said.map(str::trim).filter(|line| !line.is_empty()).collect();
            let most = said.len().min(3);
            Some(said.get(..most).unwrap_or_default().join("; "))
        }
        Err(error) => Some(error.to_string()),
    }
}

/// Offsets in an ext4 superblock (ext4.h): state, of which bit 1 says that errors were found; the
/// incompatible features, of which bit 2 says that the journal has to be replayed.
const SUPERBLOCK: usize = 1024;
const STATE: usize = SUPERBLOCK + 0x3A;
const ERRORS_FOUND: u8 = 2;
const FEATURES: usize = SUPERBLOCK + 0x60;
const RECOVER: u8 = 4;

/// A mounted file system cannot be checked; what its kernel found is recorded in it.
pub(super) fn recorded_errors(disk: &DiskFacts, extent: Extent) -> Option<String> {
    let found = superblock_bit(disk, extent, STATE, ERRORS_FOUND);
    found.then(|| "its kernel recorded errors".to_owned())
}

pub(super) fn needs_recovery(disk: &DiskFacts, extent: Extent) -> bool {
    superblock_bit(disk, extent, FEATURES, RECOVER)
}

/// No superblock, no bit: what cannot be read is told by others.
fn superblock_bit(disk: &DiskFacts, extent: Extent, at: usize, bit: u8) -> bool {
    let read = || {
        let mut opened = open::open_read_only(Path::new(&disk.path), Some(disk.block_size)).ok()?;
        let mut bytes = vec![0; 4096];
        let mut window = Window::new(opened.disk(), extent).ok()?;
        window.read(Lba::new(0), &mut bytes).ok()?;
        bytes.get(at).map(|byte| byte & bit != 0)
    };
    read().unwrap_or(false)
}
