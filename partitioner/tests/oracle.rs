//! Other people's tools read what we wrote, and find nothing to complain about.
//!
//! Needs gdisk, fdisk, parted, util-linux, dosfstools and e2fsprogs. All work on image files,
//! without root.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test may panic: that is how it fails"
)]
#![allow(clippy::disallowed_methods, reason = "a test runs the tools directly")]

use std::path::{Path, PathBuf};
use std::process::Command;

use partitioner::block::BlockIo;
use partitioner::block::file::FileDisk;
use partitioner::block::window::Window;
use partitioner::head;
use partitioner::ids::Ids;
use partitioner::inspect::{GptState, Inspection, Table, inspect, signature};
use partitioner::layout::{Firmware, Role};
use partitioner::table::{Geometry, SrChoice, TablePlan, TableRequest, plan_table};
use partitioner::units::{BlockSize, Bytes, Extent, Lba};
use partitioner::write;
use tempfile::TempDir;

#[path = "oracle/applied.rs"]
mod applied;

/// Standard output and error of a tool, and that it ended well.
fn tool(program: &str, args: &[&str]) -> (bool, String) {
    let path = "/usr/sbin:/usr/bin:/sbin:/bin";
    let output = Command::new(program).args(args).env("PATH", path).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&told).into_owned())
}

#[track_caller]
fn says(program: &str, args: &[&str], want: &str) -> String {
    let (good, told) = tool(program, args);
    assert!(good && told.contains(want), "{program} {args:?} said:\n{told}");
    told
}

struct Image {
    /// Removes the image when the test ends.
    _folder: TempDir,
    path: PathBuf,
    disk: FileDisk,
    plan: TablePlan,
}

impl Image {
    fn text(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

fn blank(size: Bytes, block_size: BlockSize) -> (TempDir, PathBuf, FileDisk) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    let disk = FileDisk::create(&path, size, block_size).unwrap();
    (folder, path, disk)
}

/// A disk with a fresh, armed table and no content.
fn written(size: Bytes, block_size: BlockSize, request: &TableRequest) -> Image {
    let (folder, path, mut disk) = blank(size, block_size);
    let geometry = Geometry { block_size, blocks: disk.blocks() };
    let plan = plan_table(geometry, request, &mut Ids::from_seed([9; 32])).unwrap();
    write::disarm(&mut disk, &plan).unwrap();
    write::wipe_signatures(&mut disk, &plan).unwrap();
    write::write_table(&mut disk, &plan).unwrap();
    let mut boot_img = vec![0xCC; 512];
    boot_img[510..].copy_from_slice(&[0x55, 0xAA]);
    let core_at = plan.head.core_a.map_or(Lba::new(0), Extent::first);
    let lba0 = head::armed_lba0(&boot_img, core_at, geometry).unwrap();
    write::arm(&mut disk, &lba0).unwrap();
    Image { _folder: folder, path, disk, plan }
}

const UEFI: TableRequest = TableRequest::new(Firmware::Uefi);

fn requests() -> [(Bytes, TableRequest); 4] {
    [
        (Bytes::gib(60), UEFI),
        (Bytes::gib(46), UEFI),
        (Bytes::gib(100), TableRequest { boot_size: Some(Bytes::mib(512)), ..UEFI }),
        (Bytes::gib(3000), TableRequest { sr: SrChoice::None, ..UEFI }),
    ]
}

#[test]
fn sgdisk_finds_no_problems() {
    for (size, request) in requests() {
        let image = written(size, BlockSize::B512, &request);
        let told = says("sgdisk", &["-v", image.text()], "No problems found");
        // Two remarks are wanted: the head of the disk is the gap, and an SR takes all blocks.
        let remarks = told.lines().filter(|line| {
            let known = line
                .starts_with("Warning: There is a gap between the main partition table")
                || line.starts_with("Caution: Partition 3 doesn't end on");
            !known && ["Warning", "Caution", "Problem"].iter().any(|word| line.starts_with(word))
        });
        assert_eq!(remarks.count(), 0, "{told}");
        for planned in &image.plan.partitions {
            let told = says("sgdisk", &["-i", &planned.number.to_string(), image.text()], "");
            let extent = planned.extent;
            for want in [
                format!("Partition GUID code: {}", planned.type_guid.to_string().to_uppercase()),
                format!("unique GUID: {}", planned.guid.to_string().to_uppercase()),
                format!("First sector: {} ", extent.first().get()),
                format!("Last sector: {} ", extent.last().get()),
                format!("Partition name: '{}'", planned.name),
            ] {
                assert!(told.contains(&want), "no {want} in\n{told}");
            }
        }
    }
}

#[test]
fn sfdisk_and_parted_agree() {
    for (size, request) in requests() {
        let image = written(size, BlockSize::B512, &request);
        says("sfdisk", &["-V", image.text()], "No errors detected.");
        let dump = says("sfdisk", &["-d", image.text()], "first-lba: 2048");
        let parted = says("parted", &["-s", "-m", image.text(), "unit", "s", "print"], ":gpt:");
        for planned in &image.plan.partitions {
            let (number, extent) = (planned.number, planned.extent);
            let (first, last) = (extent.first().get(), extent.last().get());
            let uuid = format!("uuid={}", planned.guid.to_string().to_uppercase());
            assert!(dump.contains(&uuid), "{dump}");
            let line = format!("\n{number}:{first}s:{last}s:{}s:", extent.blocks());
            assert!(parted.contains(&line), "no {line:?} in\n{parted}");
        }
    }
}

#[test]
fn fdisk_reads_a_table_of_large_blocks() {
    let image = written(Bytes::gib(60), BlockSize::B4096, &UEFI);
    let told = says("fdisk", &["-b", "4096", "-x", image.text()], "Disklabel type: gpt");
    assert!(
        told.contains("First usable LBA: 256") && told.contains("Alternative LBA: 15728639"),
        "{told}"
    );
    for planned in &image.plan.partitions {
        let (first, last) = (planned.extent.first().get(), planned.extent.last().get());
        let found = told.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.get(1..3) == Some(&[first.to_string().as_str(), last.to_string().as_str()])
        });
        assert!(found, "no {first} {last} in\n{told}");
    }
    assert!(!told.contains("corrupt") && !told.contains("mismatch"), "{told}");
}

#[test]
fn blkid_sees_a_gpt_when_armed_and_none_when_disarmed() {
    let mut image = written(Bytes::gib(60), BlockSize::B512, &UEFI);
    let want = format!("PTUUID={}", image.plan.disk_guid);
    let probe = ["-p", "-o", "export"];
    says("blkid", &[probe[0], probe[1], probe[2], image.text()], &want);
    write::disarm(&mut image.disk, &image.plan).unwrap();
    let (_, told) = tool("blkid", &[probe[0], probe[1], probe[2], image.text()]);
    assert!(!told.contains("gpt"), "{told}");
}

/// What old content leaves, where blkid looks for it, is gone after the wipe.
#[test]
fn blkid_finds_nothing_after_the_wipe() {
    let (_folder, path, mut disk) = blank(Bytes::gib(60), BlockSize::B512);
    let geometry = Geometry { block_size: BlockSize::B512, blocks: disk.blocks() };
    let plan = plan_table(geometry, &UEFI, &mut Ids::from_seed([9; 32])).unwrap();
    let volumes: Vec<(u64, Bytes)> = plan
        .partitions
        .iter()
        .map(|planned| (planned.extent.first().get() * 512, plan.size_of(planned)))
        .collect();
    for (offset, size) in &volumes {
        let place = format!("offset={offset}");
        let kib = (size.get() >> 10).to_string();
        says("mke2fs", &["-q", "-F", "-E", &place, path.to_str().unwrap(), &kib], "");
    }
    let seen = |offset: u64, size: Bytes| {
        let (offset, size) = (offset.to_string(), size.get().to_string());
        tool("blkid", &["-p", "-O", &offset, "-S", &size, path.to_str().unwrap()]).1
    };
    assert!(volumes.iter().all(|(offset, size)| seen(*offset, *size).contains("ext2")));
    write::disarm(&mut disk, &plan).unwrap();
    write::wipe_signatures(&mut disk, &plan).unwrap();
    for (offset, size) in &volumes {
        assert_eq!(seen(*offset, *size), "");
    }
}

/// Our own reader on our own tables, and on a damaged copy of each half.
#[test]
fn inspection_gives_back_the_plan_and_survives_damage() {
    for block_size in [BlockSize::B512, BlockSize::B4096] {
        let mut image = written(Bytes::gib(60), block_size, &UEFI);
        let gpt = |state| Table::Gpt { disk_guid: image.plan.disk_guid, state };
        let whole = inspect(&mut image.disk).unwrap();
        assert_eq!(whole.table, gpt(GptState::Whole));
        for planned in &image.plan.partitions {
            let found = whole.partitions.iter().find(|found| found.number == planned.number);
            let found = found.unwrap();
            assert_eq!((found.extent, found.guid), (planned.extent, Some(planned.guid)));
            assert_eq!(found.name.as_deref(), Some(planned.name.as_str()));
            assert_eq!(found.kind, planned.type_guid.to_string());
        }
        let block = vec![0xFF; usize::try_from(block_size.bytes()).unwrap()];
        image.disk.write(Lba::new(2), &block).unwrap();
        let damaged = inspect(&mut image.disk).unwrap();
        assert_eq!((damaged.table, damaged.partitions.len()), (gpt(GptState::BackupOnly), 6));
        let end = Lba::new(image.plan.geometry.blocks - 1);
        image.disk.write(end, &block).unwrap();
        let gone = inspect(&mut image.disk).unwrap();
        assert!(matches!(gone.table, Table::GptDamaged { .. }), "{:?}", gone.table);
    }
}

#[test]
fn tables_of_other_tools_are_read() {
    let (_folder, path, mut disk) = blank(Bytes::gib(8), BlockSize::B512);
    assert_eq!(
        inspect(&mut disk).unwrap(),
        Inspection {
            table: Table::None,
            partitions: Vec::new(),
            problems: Vec::new(),
            content: Vec::new()
        },
        "a blank disk has no content"
    );
    let script = "label: dos\nlabel-id: 0x1234abcd\n\
        ,1GiB,83,*\n,1GiB,8e\n,,5\n,500MiB,83\n,500MiB,82\n";
    let file = path.with_extension("sfdisk");
    std::fs::write(&file, script).unwrap();
    let (image, script) = (path.to_str().unwrap(), file.to_str().unwrap());
    says("sh", &["-c", &format!("sfdisk -q {image} < {script}")], "");
    says(
        "mke2fs",
        &["-q", "-F", "-t", "ext4", "-L", "root-x", "-E", "offset=1048576", image, "1024"],
        "",
    );
    let found = inspect(&mut disk).unwrap();
    assert_eq!(found.table, Table::Mbr { disk_signature: 0x1234_ABCD });
    let shown: Vec<String> =
        found.partitions.iter().map(|p| format!("{} {} {}", p.number, p.kind, p.extent)).collect();
    let (_, dump) = tool("sfdisk", &["-d", image]);
    let want: Vec<String> =
        dump.lines().filter(|line| !line.contains("type=5")).filter_map(sfdisk_line).collect();
    assert_eq!(shown, want, "{dump}");
    assert_eq!(found.content[0], "partition 1: ext4 \"root-x\"");
    assert_eq!(found.content[1], "partition 2: no known content");

    says("sgdisk", &["-Z", image], "destroyed");
    says("sgdisk", &["-n", "3:1M:+1G", "-n", "1:2G:+1G", "-c", "1:Übung", image], "");
    let found = inspect(&mut disk).unwrap();
    assert!(matches!(found.table, Table::Gpt { state: GptState::Whole, .. }), "{found:?}");
    let shown: Vec<_> = found.partitions.iter().map(|p| (p.number, p.name.as_deref())).collect();
    assert_eq!(shown, [(1, Some("Übung")), (3, Some(""))]);
    assert_eq!(found.content[1], "partition 3: ext4 \"root-x\"");
}

/// `disk.img5 : start= 4198400, size= 1024000, type=83` as number, type and extent.
fn sfdisk_line(line: &str) -> Option<String> {
    let (name, rest) = line.split_once(" : ")?;
    let number = name.rsplit("img").next()?;
    let value = |key: &str| {
        let (_, rest) = rest.split_once(key)?;
        rest.split(',').next().map(str::trim)
    };
    let (first, blocks) = (value("start=")?.parse().ok()?, value("size=")?.parse().ok()?);
    let kind = u8::from_str_radix(value("type=")?, 16).ok()?;
    Some(format!("{number} {kind:#04x} {}", Extent::with_len(Lba::new(first), blocks)?))
}

/// File systems made by their own tools carry the names that we give them.
#[test]
fn signatures_of_real_file_systems() {
    let makers: [(&[&str], &str); 7] = [
        (&["mke2fs", "-q", "-F", "-t", "ext4", "-L", "root-x"], "ext4 \"root-x\""),
        (&["mke2fs", "-q", "-F", "-t", "ext3"], "ext3"),
        (&["mke2fs", "-q", "-F", "-t", "ext2", "-L", "a"], "ext2 \"a\""),
        (&["mkswap", "-q", "-L", "swap-x"], "swap \"swap-x\""),
        (&["mkfs.vfat", "-F", "32", "-n", "XENHOSTBOOT"], "FAT \"XENHOSTBOOT\""),
        (&["mkfs.vfat", "-F", "16"], "FAT"),
        (&["mkfs.vfat", "-F", "12", "-s", "128"], "FAT"),
    ];
    for (maker, want) in makers {
        let (_folder, path, mut disk) = blank(Bytes::mib(128), BlockSize::B512);
        let mut args = maker[1..].to_vec();
        args.push(path.to_str().unwrap());
        says(maker[0], &args, "");
        assert_eq!(signature(&mut disk).unwrap().as_deref(), Some(want), "{maker:?}");
        let found = inspect(&mut disk).unwrap();
        assert_eq!(found.content, [format!("whole disk: {want}")], "{:?}", found.table);
        assert_eq!(found.table, Table::None);
    }
}

/// Formats whose tools are not installed everywhere: the magic alone, where its format keeps it.
#[test]
fn signatures_by_their_magic() {
    let end = 128_u64 << 20;
    let magics: [(u64, &[u8], &str); 12] = [
        (0, b"LUKS\xBA\xBE\x00\x02", "LUKS container"),
        (512, b"LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001", "LVM2 physical volume"),
        (4096, &0xA92B_4EFC_u32.to_le_bytes(), "md RAID member"),
        (0, &0xA92B_4EFC_u32.to_le_bytes(), "md RAID member"),
        (end - 0x1_0000, &0xA92B_4EFC_u32.to_le_bytes(), "md RAID member"),
        (end - 0x2000, &0xA92B_4EFC_u32.to_le_bytes(), "md RAID member"),
        ((128 << 10) + 3072, &0x00BA_B10C_u64.to_le_bytes(), "ZFS pool member"),
        (end - (512 << 10) + (128 << 10), &0x00BA_B10C_u64.to_be_bytes(), "ZFS pool member"),
        (0, b"XFSB", "xfs"),
        (0x1_0040, b"_BHRfS_M", "btrfs"),
        (3, b"NTFS    ", "NTFS"),
        (32769, b"CD001", "iso9660"),
    ];
    for (offset, magic, want) in magics {
        use std::os::unix::fs::FileExt;
        let (_folder, path, mut disk) = blank(Bytes::new(end), BlockSize::B512);
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.write_all_at(magic, offset).unwrap();
        let have = signature(&mut disk).unwrap();
        assert_eq!(have.as_deref(), Some(want), "at {offset}");
        assert!(!inspect(&mut disk).unwrap().content.is_empty());
    }
}

#[test]
fn a_label_cannot_carry_an_escape_sequence() {
    let (_folder, path, mut disk) = blank(Bytes::mib(16), BlockSize::B512);
    says("mke2fs", &["-q", "-F", "-L", "\x1b[2J\"x", path.to_str().unwrap()], "");
    assert_eq!(signature(&mut disk).unwrap().as_deref(), Some("ext2 \"?[2J?x\""));
}

#[test]
fn an_interrupted_install_is_not_taken_for_content() {
    let (_folder, _path, mut disk) = blank(Bytes::gib(60), BlockSize::B512);
    let geometry = Geometry { block_size: BlockSize::B512, blocks: disk.blocks() };
    let plan = plan_table(geometry, &UEFI, &mut Ids::from_seed([9; 32])).unwrap();
    write::disarm(&mut disk, &plan).unwrap();
    write::write_table(&mut disk, &plan).unwrap();
    let found = inspect(&mut disk).unwrap();
    assert_eq!((found.table, found.content), (Table::Unfinished, Vec::<String>::new()));
}

/// The tables of headers that lie must not make the reader panic or ask for much memory.
#[test]
fn headers_that_lie_are_told_apart_from_tables() {
    let mut image = written(Bytes::gib(60), BlockSize::B512, &UEFI);
    let mut header = vec![0; 512];
    image.disk.read(Lba::new(1), &mut header).unwrap();
    let spoil: [(usize, [u8; 4]); 5] =
        [(80, [0xFF; 4]), (80, [0; 4]), (84, [0, 1, 0, 0]), (76, [0xFF; 4]), (24, [7, 0, 0, 0])];
    for (at, bytes) in spoil {
        let mut spoilt = header.clone();
        spoilt[at..at + 4].copy_from_slice(&bytes);
        image.disk.write(Lba::new(1), &spoilt).unwrap();
        let found = inspect(&mut image.disk).unwrap();
        let state = GptState::BackupOnly;
        assert_eq!(found.table, Table::Gpt { disk_guid: image.plan.disk_guid, state }, "{at}");
    }
}

#[test]
fn a_fat_in_a_window_is_a_volume_of_its_own() {
    let mut image = written(Bytes::gib(60), BlockSize::B512, &UEFI);
    let boot = image.plan.partition(Role::Boot).unwrap().extent;
    let start = Bytes::new(boot.first().get() * 512);
    let scratch = image.path.with_extension("fat");
    std::fs::File::create(&scratch).unwrap().set_len(64 << 20).unwrap();
    says("mkfs.vfat", &["-F", "32", "-n", "XENHOSTBOOT", scratch.to_str().unwrap()], "");
    copy_in(&mut image.disk, boot, &scratch);
    let place = start.get().to_string();
    says("blkid", &["-p", "-O", &place, "-S", "67108864", image.text()], "XENHOSTBOOT");
    let found = inspect(&mut image.disk).unwrap();
    assert!(found.content.contains(&"partition 4: FAT \"XENHOSTBOOT\"".to_owned()), "{found:?}");
}

fn copy_in(disk: &mut FileDisk, extent: Extent, from: &Path) {
    let mut window = Window::new(disk, extent).unwrap();
    window.write(Lba::new(0), &std::fs::read(from).unwrap()).unwrap();
    window.flush().unwrap();
}
