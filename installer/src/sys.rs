//! The system calls that no safe crate offers: requests to block devices and file systems.
//!
//! The only module of this package with `unsafe`. In: an open file. Out: what the kernel says. It
//! decides nothing; which device may be asked what is decided by the callers.
#![expect(unsafe_code, reason = "an ioctl with an argument cannot be expressed safely")]

use std::ffi::{c_int, c_long, c_longlong, c_void};
use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::ptr;

use rustix::ioctl::{self, Getter, NoArg, Opcode, Setter, opcode};

// include/uapi/linux/fs.h, include/uapi/linux/blkpg.h
const BLKROSET: Opcode = opcode::none(0x12, 93);
const BLKROGET: Opcode = opcode::none(0x12, 94);
const BLKFLSBUF: Opcode = opcode::none(0x12, 97);
const BLKPG: Opcode = opcode::none(0x12, 105);
const FIFREEZE: Opcode = opcode::read_write::<c_int>(b'X', 119);
const FITHAW: Opcode = opcode::read_write::<c_int>(b'X', 120);
const BLKPG_ADD_PARTITION: c_int = 1;
const BLKPG_DEL_PARTITION: c_int = 2;

/// May a block device be opened for writing?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// Tells the kernel to refuse, or to allow again, every write by any program through the device's
/// node. On a whole disk this covers its partitions.
pub fn set_access(device: impl AsFd, access: Access) -> io::Result<()> {
    let flag: c_int = match access {
        Access::ReadOnly => 1,
        Access::ReadWrite => 0,
    };
    // SAFETY: BLKROSET reads one int through its argument, and `Setter` passes a pointer to one
    // that lives across the call.
    unsafe { ioctl::ioctl(device, Setter::<BLKROSET, c_int>::new(flag)) }?;
    Ok(())
}

pub fn access(device: impl AsFd) -> io::Result<Access> {
    // SAFETY: BLKROGET writes one int through its argument, and `Getter` passes room for one.
    let flag = unsafe { ioctl::ioctl(device, Getter::<BLKROGET, c_int>::new()) }?;
    Ok(if flag == 0 { Access::ReadWrite } else { Access::ReadOnly })
}

/// Writes back and forgets what the kernel caches of this node. A partition's node and its disk's
/// node have separate caches, so whoever writes through one and reads through the other needs this.
pub fn drop_cache(device: impl AsFd) -> io::Result<()> {
    // SAFETY: BLKFLSBUF takes no argument.
    unsafe { ioctl::ioctl(device, NoArg::<BLKFLSBUF>::new()) }?;
    Ok(())
}

/// `struct blkpg_ioctl_arg`
#[repr(C)]
struct BlkpgRequest {
    op: c_int,
    flags: c_int,
    data_length: c_int,
    data: *mut c_void,
}

/// `struct blkpg_partition`; start and length are bytes.
#[repr(C)]
struct BlkpgPartition {
    start: c_longlong,
    length: c_longlong,
    number: c_int,
    device_name: [u8; 64],
    volume_name: [u8; 64],
}

/// Makes the kernel offer a range of the disk as a partition, whatever the disk's table says.
pub fn add_partition(disk: impl AsFd, number: u32, start: u64, length: u64) -> io::Result<()> {
    let (start, length) = (c_longlong::try_from(start), c_longlong::try_from(length));
    let (Ok(start), Ok(length)) = (start, length) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "range past 2^63 bytes"));
    };
    blkpg(disk, BLKPG_ADD_PARTITION, number, start, length)
}

/// Makes the kernel forget a partition. The table on the disk is not touched.
pub fn delete_partition(disk: impl AsFd, number: u32) -> io::Result<()> {
    blkpg(disk, BLKPG_DEL_PARTITION, number, 0, 0)
}

fn blkpg(
    disk: impl AsFd,
    op: c_int,
    number: u32,
    start: c_longlong,
    length: c_longlong,
) -> io::Result<()> {
    let number = c_int::try_from(number)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "partition number past 2^31"))?;
    let mut partition =
        BlkpgPartition { start, length, number, device_name: [0; 64], volume_name: [0; 64] };
    let data_length = c_int::try_from(mem::size_of::<BlkpgPartition>())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let request =
        BlkpgRequest { op, flags: 0, data_length, data: ptr::from_mut(&mut partition).cast() };
    // SAFETY: BLKPG reads one `blkpg_ioctl_arg`, and through its `data` one `blkpg_partition`; both
    // have the kernel's layout (`repr(C)`, the same fields) and outlive the call.
    unsafe { ioctl::ioctl(disk, Setter::<BLKPG, BlkpgRequest>::new(request)) }?;
    Ok(())
}

/// Brings the file system that holds this open folder to rest: its journal is empty and everything
/// is in place, as a boot loader that replays no journal needs it. Thaws it again at once.
pub fn settle_filesystem(folder: impl AsFd) -> io::Result<()> {
    // SAFETY: FIFREEZE ignores its argument.
    unsafe { ioctl::ioctl(folder.as_fd(), NoArg::<FIFREEZE>::new()) }?;
    // SAFETY: FITHAW ignores its argument.
    unsafe { ioctl::ioctl(folder.as_fd(), NoArg::<FITHAW>::new()) }?;
    Ok(())
}

// What the kernel expects on the only architecture that Xen hosts here have.
const _: () = assert!(mem::size_of::<BlkpgRequest>() == 24);
const _: () = assert!(mem::size_of::<BlkpgPartition>() == 152);
const _: () = assert!(mem::size_of::<c_long>() == 8);

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[track_caller]
    fn not_a_device(result: io::Result<()>) {
        let error = result.expect_err("a plain file is no block device");
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::NOTTY.raw_os_error()));
    }

    #[test]
    fn a_plain_file_refuses_every_device_request() {
        let file = tempfile::tempfile().unwrap();
        not_a_device(set_access(&file, Access::ReadOnly));
        not_a_device(access(&file).map(drop));
        not_a_device(drop_cache(&file));
        not_a_device(add_partition(&file, 1, 1 << 20, 1 << 20));
        not_a_device(delete_partition(&file, 1));
    }

    #[test]
    fn a_range_that_the_kernel_cannot_express_is_refused() {
        let file = tempfile::tempfile().unwrap();
        let error = add_partition(&file, 1, u64::MAX, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_file_system_without_freezing_says_so() {
        let proc = File::open("/proc").unwrap();
        settle_filesystem(&proc).unwrap_err();
    }
}
