//! Disks for the machines: blank targets, and the *bystander*, a second disk full of other
//! people's data that an installation must not touch.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use partitioner::block::BlockIo;

use crate::call::Call;
use crate::failure::{At, Failure, Result};

#[allow(dead_code, reason = "the half that packs is for those who make such files")]
#[path = "../../../partitioner/tests/fixtures/packed.rs"]
pub(crate) mod packed;

/// The serial of the disk that the answer files name.
pub(crate) const TARGET: &str = "SN42";
pub(crate) const BYSTANDER: &str = "SN43";
/// As large as a target, so that choosing wrongly would work.
const BYSTANDER_GIB: u64 = 60;
const MIB: u64 = 1 << 20;
/// Disks are compared in pieces of this size.
const PIECE: usize = 1 << 20;
/// mke2fs with content, on a busy machine.
const FOLDER_LIMIT: Duration = Duration::from_secs(120);
/// Where the bystander's ext4 partition and its LVM physical volume begin.
const EXT4_AT: u64 = MIB;
const PV_AT: u64 = 2049 * MIB;

/// The first MiB of a 4 GiB physical volume: label, and metadata of the volume group `guests` with
/// a linear volume `disk1` of 1 GiB from the first extent on. LVM refuses plain files, so this was
/// made once, by root, on a loop device, without device mapper:
///
/// ```text
/// truncate -s 4G pv.img; L=$(losetup -f --show pv.img)
/// pvcreate --driverloaded n -y $L; vgcreate --driverloaded n guests $L
/// lvcreate --driverloaded n -an -Zn -Wn -y -L 1G -n disk1 guests; losetup -d $L
/// head -c 1M pv.img | zstd -19 -o lvm-head.zst
/// ```
const LVM_HEAD: &[u8] = include_bytes!("../fixtures/lvm-head.zst");

/// Makes a sparse disk of zeros.
pub(crate) fn blank(path: &Path, gib: u64) -> Result<()> {
    let file = File::create(path).at("creating", path)?;
    file.set_len(gib << 30).at("growing", path)
}

/// Makes an ext4 disk that holds what a folder holds.
pub(crate) fn of_folder(folder: &Path, disk: &Path, mib: u32) -> Result<()> {
    Call::new("mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-d"])
        .args([folder, disk])
        .arg(format!("{mib}M"))
        .limit(FOLDER_LIMIT)
        .stdout()
        .map(drop)
}

/// Makes the bystander: GPT, an ext4 partition with files, and an LVM physical volume whose volume
/// holds an ext4 as well.
pub(crate) fn bystander(path: &Path, scratch: &Path) -> Result<()> {
    blank(path, BYSTANDER_GIB)?;
    Call::new("sgdisk")
        .args(["-n", "1:2048:+2G", "-t", "1:8300", "-c", "1:data"])
        .args(["-n", "2:0:+4G", "-t", "2:8e00", "-c", "2:guests"])
        .arg(path)
        .stdout()?;
    let head = zstd::decode_all(LVM_HEAD).at("unpacking", Path::new("lvm-head.zst"))?;
    let file = File::options().write(true).open(path).at("opening", path)?;
    file.write_all_at(&head, PV_AT).at("writing", path)?;
    drop(file);
    let content = scratch.join("bystander-content");
    std::fs::create_dir_all(&content).at("making", &content)?;
    for n in 0_u8..16 {
        let name = content.join(format!("record-{n}"));
        let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i % 251).to_le_bytes()[0] ^ n).collect();
        std::fs::write(&name, bytes).at("writing", &name)?;
    }
    ext4(path, EXT4_AT, "2G", "data", &content)?;
    // The volume begins with the first extent, 1 MiB into the physical volume.
    ext4(path, PV_AT + MIB, "1G", "guest", &content)
}

/// Whose table an old host's disk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OldHost {
    /// An MBR whose root begins at sector 63; a volume group without volumes.
    Mbr,
    /// A GPT with boot before root; a file system with images of guests.
    Gpt,
}

/// A disk with the table that an old `XenServer` host had, a repository that real LVM made, and
/// root and backup as far as anyone who looks for installations reads them.
pub(crate) fn old_host(kind: OldHost, path: &Path, scratch: &Path) -> Result<()> {
    const MBR: &[u8] = include_bytes!("../../../partitioner/tests/fixtures/sr/empty-lvm.zst");
    const GPT: &[u8] = include_bytes!("../../../partitioner/tests/fixtures/sr/used-ext.zst");
    const INVENTORY: &str = "PRODUCT_BRAND='XenServer'\nPRODUCT_NAME='xenenterprise'\n\
                             PRODUCT_VERSION='7.1.0'\nPLATFORM_VERSION='2.2.0'\n\
                             INSTALLATION_UUID='5d2f4b7a-1c3e-4e8b-a6f9-0d1e2f3a4b5c'\n\
                             PRIMARY_DISK='/dev/disk/by-id/ata-DISK'\n";
    let (packed, root, backup, guests) = match kind {
        OldHost::Mbr => (MBR, 63, 8_388_671, ""),
        OldHost::Gpt => (GPT, 1_050_624, 8_390_656, GUEST),
    };
    unpack(packed, path)?;
    let database = DATABASE.replace("GUESTS", guests);
    let system = [
        ("etc/xensource-inventory", INVENTORY),
        ("etc/xensource/pool.conf", "master"),
        ("var/lib/xcp/state.db", &database),
    ];
    let content = tree(&scratch.join("old-root"), &system)?;
    ext4(path, root * 512, "64M", "root-abcdef", &content)?;
    let previous = [("etc/xensource-inventory", INVENTORY), (".xen-backup-partition", "")];
    ext4(path, backup * 512, "64M", "", &tree(&scratch.join("old-backup"), &previous)?)
}

/// What the toolstack of such a host keeps, as far as it is read.
const DATABASE: &str = r#"<database>
<table name="host"><row ref="OpaqueRef:h"/></table>
<table name="pool"><row ref="OpaqueRef:p" ha_enabled="false"/></table>
<table name="SR"/><table name="VDI"/>
<table name="VM"><row ref="OpaqueRef:0" name__label="Control domain" is_a_template="false"
 is_control_domain="true" is_a_snapshot="false"/>GUESTS</table>
</database>
"#;
const GUEST: &str = r#"<row ref="OpaqueRef:1" name__label="web" is_a_template="false"
 is_control_domain="false" is_a_snapshot="false"/>"#;

/// Makes a folder with these files.
fn tree(folder: &Path, files: &[(&str, &str)]) -> Result<PathBuf> {
    for (name, content) in files {
        let file = folder.join(name);
        let parent = file.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).at("making", parent)?;
        std::fs::write(&file, content).at("writing", &file)?;
    }
    Ok(folder.to_owned())
}

/// Writes what a packed disk holds into a sparse file.
fn unpack(packed: &[u8], path: &Path) -> Result<()> {
    let mut disk = packed::unpack(packed);
    let unit = disk.block_size().bytes();
    let mut block = vec![0; usize::try_from(unit).expect("a block fits memory")];
    let file = File::create(path).at("creating", path)?;
    file.set_len(disk.blocks() * unit).at("growing", path)?;
    let used: Vec<_> = disk.used().collect();
    for lba in used {
        disk.read(lba, &mut block).map_err(|error| Failure::check(error.to_string()))?;
        file.write_all_at(&block, lba.get() * unit).at("writing", path)?;
    }
    Ok(())
}

fn ext4(disk: &Path, offset: u64, size: &str, label: &str, content: &Path) -> Result<()> {
    let options = format!("offset={offset},lazy_itable_init=1,lazy_journal_init=1");
    Call::new("mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-L", label, "-E", &options, "-d"])
        .args([content.as_os_str(), disk.as_os_str(), size.as_ref()])
        .limit(FOLDER_LIMIT)
        .stdout()
        .map(drop)
}

/// Copies a disk with its holes, at once where the file system can.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    Call::new("cp")
        .args(["--sparse=always", "--reflink=auto", "--"])
        .args([from, to])
        .limit(Duration::from_secs(600))
        .stdout()
        .map(drop)
}

/// Checks a digest of a disk against an earlier one.
pub(crate) fn check_unchanged(path: &Path, before: &str) -> Result<()> {
    let after = crate::digest::disk(path)?;
    if after == before {
        return Ok(());
    }
    Err(Failure::check(format!("{} was written: {before} became {after}", path.display())))
}

/// The first byte in which two disks differ within a range. What is a hole in both is not read.
pub(crate) fn first_difference(one: &Path, two: &Path, bytes: Range<u64>) -> Result<Option<u64>> {
    let first = File::open(one).at("opening", one)?;
    let second = File::open(two).at("opening", two)?;
    let (mut here, mut there) = (vec![0; PIECE], vec![0; PIECE]);
    let mut at = bytes.start;
    while at < bytes.end {
        let next = data_at(&first, at).at("searching", one)?;
        at = next.min(data_at(&second, at).at("searching", two)?).min(bytes.end);
        let left = usize::try_from(bytes.end - at).map_or(PIECE, |left| left.min(PIECE));
        let here = here.get_mut(..left).expect("no longer than a piece");
        let there = there.get_mut(..left).expect("no longer than a piece");
        first.read_exact_at(here, at).at("reading", one)?;
        second.read_exact_at(there, at).at("reading", two)?;
        if here != there {
            let same = here.iter().zip(&*there).take_while(|(a, b)| a == b).count();
            return Ok(Some(at + u64::try_from(same).expect("1 MiB")));
        }
        at += u64::try_from(left).expect("1 MiB");
    }
    Ok(None)
}

/// The next byte from a place on that is not in a hole.
fn data_at(file: &File, at: u64) -> std::io::Result<u64> {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(data) => Ok(data),
        Err(rustix::io::Errno::NXIO) => Ok(u64::MAX),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_differ_at_a_byte_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["one", "two"].map(|name| dir.path().join(name));
        let files = paths.clone().map(|path| {
            blank(&path, 5).unwrap();
            File::options().write(true).open(path).unwrap()
        });
        let [one, two] = &paths;
        let found = |range| first_difference(one, two, range).unwrap();
        assert_eq!(found(0..5 << 30), None);
        files[0].write_all_at(&[7], (3 << 30) + 5).unwrap();
        assert_eq!(found(0..5 << 30), Some((3 << 30) + 5));
        assert_eq!(first_difference(two, one, 0..5 << 30).unwrap(), Some((3 << 30) + 5));
        assert_eq!(found(0..(3 << 30) + 5), None);
        assert_eq!(found((3 << 30) + 6..5 << 30), None);
        files[1].write_all_at(&[7], (3 << 30) + 5).unwrap();
        // Written zeros are what a hole is.
        files[1].write_all_at(&[0; 4096], 1 << 30).unwrap();
        assert_eq!(found(0..5 << 30), None);
    }

    #[test]
    fn the_bystander_is_what_other_tools_take_it_for() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        // The tools come with `cargo xtask setup`.
        if !Path::new("/usr/sbin/sgdisk").exists() {
            return;
        }
        bystander(&disk, dir.path()).unwrap();
        let seen = |offset: u64| {
            let offset = offset.to_string();
            let call = Call::new("blkid").args(["-p", "-o", "export", "-O", &offset]).arg(&disk);
            call.stdout().unwrap()
        };
        assert!(seen(EXT4_AT).contains("TYPE=ext4"));
        assert!(seen(PV_AT).contains("TYPE=LVM2_member"));
        assert!(seen(PV_AT + MIB).contains("LABEL=guest"));
        let digest = crate::digest::disk(&disk).unwrap();
        check_unchanged(&disk, &digest).unwrap();
        let file = File::options().write(true).open(&disk).unwrap();
        file.write_all_at(&[1], 30 << 30).unwrap();
        assert!(check_unchanged(&disk, &digest).is_err());
    }
}
