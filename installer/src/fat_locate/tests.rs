//! The finder against volumes that mkfs.vfat and mtools made, and against damage.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use partitioner::units::BlockSize;

use super::*;
use crate::call::{Call, Processes, Run};
use crate::probe::Reader;

/// A FAT32 volume on a sparse file, made by other people's tools.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new(sector: u32, cluster_sectors: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixture = Self { folder };
        File::create(fixture.path()).unwrap().set_len(300 << 20).unwrap();
        let mkfs = Call::new("mkfs.vfat")
            .args(["-F", "32", "-S", &sector.to_string(), "-s", &cluster_sectors.to_string()])
            .arg(fixture.path());
        Processes.run(&mkfs).unwrap();
        fixture
    }

    /// With the files of a boot partition.
    fn with_state() -> Self {
        let fixture = Self::new(512, 8);
        fixture.mkdir("xenhost");
        fixture.put("xenhost/state.env", &[b'1'; 1024]);
        fixture.put("xenhost/state2.env", &[b'2'; 1024]);
        fixture
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("fat.img")
    }

    fn mkdir(&self, name: &str) {
        let call = Call::new("mmd").arg("-i").arg(self.path()).arg(format!("::{name}"));
        Processes.run(&call).unwrap();
    }

    fn put(&self, name: &str, content: &[u8]) {
        let source = self.folder.path().join("source");
        fs::write(&source, content).unwrap();
        let to = format!("::{name}");
        let call = Call::new("mcopy").arg("-i").arg(self.path()).arg(source).arg(to);
        Processes.run(&call).unwrap();
    }

    fn locate(&self, path: &str) -> Result<Located, LocateError> {
        self.locate_by(BlockSize::B512, path)
    }

    fn locate_by(&self, block_size: BlockSize, path: &str) -> Result<Located, LocateError> {
        let mut disk = Reader::open(&self.path(), block_size).unwrap();
        super::locate(&mut disk, path)
    }

    /// Its bytes where the finder says it lies.
    fn bytes_at(&self, located: Located, block: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(located.size).unwrap()];
        open(&self.path()).read_exact_at(&mut bytes, located.first.get() * block).unwrap();
        bytes
    }

    fn patch(&self, at: u64, bytes: &[u8]) {
        open(&self.path()).write_all_at(bytes, at).unwrap();
    }

    #[track_caller]
    fn refused(&self, path: &str, words: &str) {
        let error = self.locate(path).expect_err("the place is not known").to_string();
        assert!(error.contains(words), "{error}");
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

#[test]
fn finds_what_mtools_wrote() {
    let fixture = Fixture::with_state();
    let state = fixture.locate("xenhost/state.env").unwrap();
    let copy = fixture.locate("/XENHOST/State2.ENV").unwrap();
    assert_eq!(fixture.bytes_at(state, 512), [b'1'; 1024]);
    assert_eq!(fixture.bytes_at(copy, 512), [b'2'; 1024]);
}

#[test]
fn finds_long_names_and_folders_of_many_clusters() {
    let fixture = Fixture::with_state();
    for n in 0..60 {
        let name = format!("xenhost/a file with a rather long name, number {n:03}.text");
        fixture.put(&name, format!("content {n}").as_bytes());
    }
    let name = "xenhost/a file with a rather long name, number 057.text";
    let located = fixture.locate(name).unwrap();
    assert_eq!(fixture.bytes_at(located, 512), b"content 57");
    fixture.refused("xenhost/a file with a rather long name, number 060.text", "does not exist");
}

#[test]
fn finds_on_4096_byte_sectors() {
    let fixture = Fixture::new(4096, 1);
    fixture.mkdir("xenhost");
    fixture.put("xenhost/state.env", &[b'4'; 1024]);
    let located = fixture.locate_by(BlockSize::B4096, "xenhost/state.env").unwrap();
    assert_eq!(fixture.bytes_at(located, 4096), [b'4'; 1024]);
}

#[test]
fn a_cluster_that_is_not_whole_blocks_of_the_device_is_refused() {
    let fixture = Fixture::with_state();
    // Its data begins where mkfs.vfat aligned it for 512-byte sectors; move it by one sector.
    let mut reserved = [0; 2];
    open(&fixture.path()).read_exact_at(&mut reserved, 14).unwrap();
    fixture.patch(14, &(u16::from_le_bytes(reserved) + 1).to_le_bytes());
    let error = fixture.locate_by(BlockSize::B4096, "xenhost/state.env").unwrap_err();
    assert!(error.to_string().contains("not whole blocks"), "{error}");
}

#[test]
fn what_is_not_one_cluster_is_refused() {
    let fixture = Fixture::with_state();
    fixture.put("large", &[1; 4097]);
    fixture.put("empty", b"");
    fixture.refused("large", "large has 4097 bytes, which is not one cluster of 4096 bytes");
    fixture.refused("empty", "empty has 0 bytes");
}

#[test]
fn what_is_not_there_or_not_a_file_is_refused() {
    let fixture = Fixture::with_state();
    fixture.refused("xenhost/tries.env", "\"tries.env\" was not found");
    fixture.refused("nothing/state.env", "\"nothing\" was not found");
    fixture.refused("xenhost", "\"xenhost\" is a folder");
    fixture.refused("xenhost/state.env/x", "\"state.env\" is a file, a folder is needed");
    fixture.refused("a/b/c/d/e/f/g/h/i", "more than 8 folders");
    fixture.refused("", "does not exist");
}

/// Where the FAT keeps the entry of the file's cluster, in each copy.
fn fat_entries(fixture: &Fixture, located: Located) -> [u64; 2] {
    let mut head = [0; 512];
    open(&fixture.path()).read_exact_at(&mut head, 0).unwrap();
    let reserved = u64::from(u16::from_le_bytes([head[14], head[15]]));
    let fat = u64::from(u32::from_le_bytes(head[36..40].try_into().unwrap()));
    let data = reserved + 2 * fat;
    let cluster = (located.first.get() - data) / 8 + 2;
    [reserved * 512 + cluster * 4, (reserved + fat) * 512 + cluster * 4]
}

#[test]
fn a_chain_that_goes_on_is_refused() {
    let fixture = Fixture::with_state();
    let located = fixture.locate("xenhost/state.env").unwrap();
    for at in fat_entries(&fixture, located) {
        fixture.patch(at, &9_u32.to_le_bytes());
    }
    fixture.refused("xenhost/state.env", "not one cluster");
}

#[test]
fn copies_of_the_fat_that_differ_are_refused() {
    let fixture = Fixture::with_state();
    let located = fixture.locate("xenhost/state.env").unwrap();
    fixture.patch(fat_entries(&fixture, located)[1], &9_u32.to_le_bytes());
    fixture.refused("xenhost/state.env", "copies of the FAT differ");
}

#[test]
fn other_volumes_are_refused() {
    let fixture = Fixture::with_state();
    let cases: [(u64, &[u8], &str); 7] = [
        (510, &[0, 0], "no signature"),
        (11, &[0, 1], "sector size"),
        (13, &[3], "cluster size"),
        (22, &[9, 0], "fields of two kinds"),
        (16, &[0], "no FAT"),
        (32, &[255, 255, 255, 255], "larger than its partition"),
        (44, &[255, 255, 255, 15], "root folder lies outside"),
    ];
    for (at, bytes, words) in cases {
        let mut before = vec![0; bytes.len()];
        open(&fixture.path()).read_exact_at(&mut before, at).unwrap();
        fixture.patch(at, bytes);
        fixture.refused("xenhost/state.env", words);
        fixture.patch(at, &before);
    }
    fixture.locate("xenhost/state.env").unwrap();
}

/// The volume of a disk with an MBR, by the code that installs it.
#[test]
fn a_small_volume_of_an_mbr() {
    use crate::fat::{FatFile, FatKind, FatName, make_boot};
    use partitioner::block::memory::MemDisk;
    use partitioner::units::Extent;

    let mut disk = MemDisk::new("m", BlockSize::B512, 4096);
    let extent = Extent::with_len(Lba::new(256), 1792).unwrap();
    let (one, two) = ([b'1'; 1024], [b'2'; 1024]);
    let long = vec![b'x'; 9000];
    let file = |path, bytes| FatFile { path, bytes };
    let files = [
        file("xenhost/dispatch.cfg", &long[..]),
        file("xenhost/state.env", &one),
        file("xenhost/state2.env", &two),
    ];
    let name = FatName { label: "XENHOSTBOOT", serial: 1 };
    make_boot(&mut disk, extent, FatKind::Small, name, &files, &mut |_, _| {}).unwrap();
    let mut volume = partitioner::block::window::Window::new(&mut disk, extent).unwrap();
    for (path, want) in [("xenhost/state.env", b'1'), ("XENHOST/STATE2.ENV", b'2')] {
        let located = super::locate(&mut volume, path).unwrap();
        assert_eq!(located.size, 1024);
        assert_eq!((located.first.get() + 256) % 8, 0, "on 4 KiB of the disk");
        let mut bytes = vec![0; 512];
        volume.read(located.first, &mut bytes).unwrap();
        assert_eq!(bytes, [want; 512]);
    }
    let error = |path: &str, volume: &mut partitioner::block::window::Window<'_>| {
        super::locate(volume, path).unwrap_err().to_string()
    };
    assert!(error("xenhost/dispatch.cfg", &mut volume).contains("9000 bytes"));
    assert!(error("nothing", &mut volume).contains("was not found"));
    // Both FATs say the same, or neither is believed.
    volume.write(Lba::new(1101), &[0; 512]).unwrap();
    assert!(error("xenhost/state.env", &mut volume).contains("FAT differ"));
}
