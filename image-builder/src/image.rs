//! The dom0 image: a directory as a raw ext4 file system, the same bytes for the same content.

use std::collections::BTreeSet;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::error::{Error, Result};
use crate::exec::Call;
use crate::progress::Progress;
use crate::tree::{self, Node};
use installer::release_dir::hex;

/// mke2fs's base features and what every GRUB since 2.06 reads. `none` first: nothing may come
/// from the configuration of the build machine.
const FEATURES: &str = "none,sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr,\
    has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize";
const BLOCK: u64 = 4096;
/// Room for what is configured and carried over before the file system grows to its slot.
const ROOM: u64 = 400 << 20;
/// The image's length is a multiple of this.
const ROUND: u64 = 64 << 20;
/// As for a file system of a slot's size; a journal does not grow with its file system.
const JOURNAL_MIB: u64 = 64;
const BYTES_PER_INODE: u64 = 16384;
const INODE_BYTES: u64 = 256;

/// Makes the file system at `out` from `root`, named by `seed`. Returns its length in bytes.
pub fn make(
    tools: &Path,
    root: &Path,
    seed: &[u8; 32],
    epoch: i64,
    out: &Path,
    progress: &dyn Progress,
) -> Result<u64> {
    let nodes = tree::walk(root)?;
    let size = size_of(&nodes);
    let inodes = u64::try_from(nodes.len()).unwrap_or(u64::MAX);
    // A third stays free, for the packages of the first months.
    let per_inode = BYTES_PER_INODE.min(size / (inodes.saturating_mul(3) / 2).max(1)).max(BLOCK);
    if !sorts_and_dates(tools)? {
        progress.warn(
            "this suite's mke2fs keeps the tree's times and order: the dom0 image of another build \
             will differ",
        );
    }
    match std::fs::remove_file(out) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(out)(e)),
        _ => {}
    }
    Call::in_tree(tools, "usr/sbin/mke2fs")?
        .args(["-q", "-F", "-t", "ext4", "-O", FEATURES, "-m", "1", "-e", "remount-ro"])
        .args(["-b", &BLOCK.to_string(), "-I", &INODE_BYTES.to_string()])
        .args(["-i", &per_inode.to_string(), "-J", &format!("size={JOURNAL_MIB}")])
        .args(["-U", &uuid(seed, 0)])
        .arg("-E")
        .arg(format!("hash_seed={},lazy_itable_init=0,lazy_journal_init=0", uuid(seed, 16)))
        .arg("-d")
        .arg(root)
        .arg(out)
        // With a unit: behind -b a bare number counts blocks.
        .arg(format!("{}k", size / 1024))
        .env("MKE2FS_CONFIG", "/nonexistent")
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .env("E2FSPROGS_FAKE_TIME", epoch.to_string())
        .watch(progress)?;
    check_length(out, size)?;
    Ok(size)
}

/// Since 1.47.1 mke2fs takes the files of a tree in order and their times from
/// `SOURCE_DATE_EPOCH`. Debian 12 has an older one.
fn sorts_and_dates(tools: &Path) -> Result<bool> {
    let said = Call::in_tree(tools, "usr/sbin/mke2fs")?.arg("-V").said()?;
    Ok((1, 47, 1) <= version(&said).unwrap_or((0, 0, 0)))
}

/// The version in `mke2fs 1.47.2 (1-Jan-2025)`.
fn version(said: &str) -> Option<(u32, u32, u32)> {
    let word = said.split_whitespace().nth(1)?;
    let mut parts = word.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)))
}

/// What mke2fs understood must be what was meant: a file system that claims more than its file
/// mounts, and fails later.
fn check_length(image: &Path, size: u64) -> Result<()> {
    /// The super block begins at byte 1024, its count of blocks 4 bytes further.
    const BLOCKS_AT: u64 = 1024 + 4;
    let mut file = std::fs::File::open(image).map_err(Error::io(image))?;
    let mut blocks = [0; 4];
    file.seek(SeekFrom::Start(BLOCKS_AT)).map_err(Error::io(image))?;
    file.read_exact(&mut blocks).map_err(Error::io(image))?;
    let claimed = u64::from(u32::from_le_bytes(blocks)) * BLOCK;
    let length = file.metadata().map_err(Error::io(image))?.len();
    if claimed != size || length != size {
        return Err(Error::NotA {
            path: image.to_owned(),
            expected: "the file system that was asked for",
            reason: format!("{size} bytes asked, {claimed} claimed, {length} in the file"),
        });
    }
    Ok(())
}

/// What the files take, tables and journal, and the room.
fn size_of(nodes: &[Node]) -> u64 {
    let mut seen = BTreeSet::new();
    let mut data = JOURNAL_MIB << 20;
    for node in nodes {
        let meta = &node.meta;
        let first = meta.nlink() == 1 || meta.is_dir() || seen.insert((meta.dev(), meta.ino()));
        if first && !meta.is_symlink() {
            data += meta.len().next_multiple_of(BLOCK);
        }
    }
    // Inode tables take INODE_BYTES for every BYTES_PER_INODE; bitmaps and spare descriptors
    // another 1.5 per cent.
    let size = (data + ROOM) * 1031 / 1000;
    size.next_multiple_of(ROUND)
}

/// A random-looking UUID from 16 bytes of the seed.
pub fn uuid(seed: &[u8; 32], at: usize) -> String {
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&seed[at..at + 16]);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex(&bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_mke2fs() {
        assert_eq!(version("mke2fs 1.47.2 (1-Jan-2025)\n\tUsing"), Some((1, 47, 2)));
        assert_eq!(version("mke2fs 1.48-WIP (x)"), Some((1, 48, 0)));
        assert_eq!(version("mke2fs"), None);
    }

    #[test]
    fn a_uuid_has_its_version() {
        let seed = [0xff; 32];
        assert_eq!(uuid(&seed, 16), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn the_size_has_room_and_is_round() {
        let dir = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(dir.path().join("sparse")).unwrap();
        file.set_len(100 << 20).unwrap();
        std::fs::hard_link(dir.path().join("sparse"), dir.path().join("again")).unwrap();
        let size = size_of(&tree::walk(dir.path()).unwrap());
        assert_eq!(size, 640 << 20);
    }
}
