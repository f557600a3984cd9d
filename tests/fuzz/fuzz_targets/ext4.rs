//! A file system of any bytes, asked what the installer asks: is a file there, what is in it, what
//! is in a folder. Inputs are small images; the superblock's checksum is put right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use partitioner::inspect::ext4::{Unreadable, ask, file};
use partitioner::units::{BlockSize, Bytes};
use xenhost_fuzz::disk;

const ENTRIES_MAX: usize = 64;

fuzz_target!(|data: &[u8]| {
    let blocks = u64::try_from(data.len().div_ceil(512)).unwrap();
    if blocks == 0 {
        return;
    }
    let mut disk = disk(data, BlockSize::B512, blocks);
    let _ = ask(&mut disk, questions).expect("no I/O error");
});

fn questions(fs: &ext4_view::Ext4) -> Result<usize, Unreadable> {
    let mut seen = 0;
    for folder in ["/", "/lost+found", "/etc"] {
        let Ok(entries) = fs.read_dir(folder) else { continue };
        for entry in entries.take(ENTRIES_MAX) {
            let entry = entry?;
            seen += entry.file_name().display().to_string().len();
            let _ = entry.metadata();
        }
    }
    let _ = fs.exists("/.xen-backup-partition");
    for path in ["/etc/xensource-inventory", "/etc/xenhost/inventory.json", "/b.vhd"] {
        if let Ok(Some(bytes)) = file(fs, path, Bytes::mib(1)) {
            seen += bytes.len();
        }
    }
    Ok(seen)
}
