//! Every table that `apply` writes, read by other people's tools: sgdisk, sfdisk, parted, blkid;
//! GPT and MBR, blocks of 512 and 4096 bytes.
//!
//! sgdisk takes the block size of an image to be 512 bytes, so that tables with larger blocks are
//! read by the others only.

use std::fmt::Write as _;

use partitioner::apply::apply;
use partitioner::layout::{Compat, Scheme};
use partitioner::table::{LayoutChoice, Planned};

use super::{
    BlockIo, BlockSize, Bytes, FileDisk, Firmware, Geometry, Ids, PathBuf, SrChoice, TablePlan,
    TableRequest, TempDir, UEFI, blank, plan_table, says, tool,
};

const BIOS: TableRequest = TableRequest::new(Firmware::Bios);

struct Table {
    _folder: TempDir,
    path: PathBuf,
    disk: FileDisk,
    plan: TablePlan,
}

impl Table {
    fn new(gib: u32, block_size: BlockSize, request: &TableRequest) -> Self {
        let (folder, path, mut disk) = blank(Bytes::gib(gib), block_size);
        let geometry = Geometry { block_size, blocks: disk.blocks() };
        let plan = plan_table(geometry, request, &mut Ids::from_seed([9; 32])).unwrap();
        apply(&mut disk, &plan, &mut || true).unwrap();
        Self { _folder: folder, path, disk, plan }
    }

    fn text(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// The type as sfdisk dumps it.
    fn kind(planned: &Planned) -> String {
        if planned.type_guid.is_nil() {
            format!("type={:x}", planned.mbr_type)
        } else {
            format!("type={}", planned.type_guid.to_string().to_uppercase())
        }
    }
}

/// Each layout in each form that it has.
fn tables() -> Vec<Table> {
    let legacy = TableRequest { layout: LayoutChoice::Legacy, ..BIOS };
    let compat = TableRequest { compat: Compat::Xenserver, ..UEFI };
    let no_sr = |request| TableRequest { sr: SrChoice::None, ..request };
    let (small, large) = (BlockSize::B512, BlockSize::B4096);
    [
        (60, small, UEFI),
        (60, large, UEFI),
        (12, small, UEFI),
        (12, large, UEFI),
        (12, small, BIOS),
        (45, small, no_sr(BIOS)),
        (2048, small, legacy),
        (100, small, compat),
        (100, large, no_sr(compat)),
        (9000, small, UEFI),
    ]
    .into_iter()
    .map(|(gib, block_size, request)| Table::new(gib, block_size, &request))
    .collect()
}

fn is_small(table: &Table) -> bool {
    table.plan.geometry.block_size == BlockSize::B512
}

#[test]
fn sgdisk_finds_no_problems_in_any_gpt() {
    for table in tables().iter().filter(|t| t.plan.scheme == Scheme::Gpt && is_small(t)) {
        says("sgdisk", &["-v", table.text()], "No problems found");
    }
}

/// Number, place and type of each, and no fault. sfdisk counts blocks before the first MiB as not
/// to be had, and so finds more of them allocated than there are.
#[test]
fn sfdisk_reads_every_table_as_planned() {
    for table in tables().iter().filter(|table| is_small(table)) {
        let told = says("sfdisk", &["-V", table.text()], "No errors detected.");
        let in_gap = "Total allocated sectors";
        let odd = told.lines().filter(|line| line.contains("overlap") || line.contains("beyond"));
        assert_eq!(odd.count(), 0, "{told}");
        assert!(table.plan.scheme == Scheme::Mbr || !told.contains(in_gap), "{told}");
        let dump = says("sfdisk", &["-d", table.text()], "");
        for planned in &table.plan.partitions {
            let (first, blocks) = (planned.extent.first().get(), planned.extent.blocks());
            let start = format!("img{} : start=", planned.number);
            let line = dump.lines().find(|line| line.contains(&start)).unwrap_or_default();
            let words: String = line.split_whitespace().collect();
            let want = format!("start={first},size={blocks},{}", Table::kind(planned));
            assert!(words.contains(&want), "no {want} in\n{dump}");
            let active = table.plan.scheme == Scheme::Mbr && planned.attributes == 0x80;
            assert_eq!(words.contains("bootable"), active, "{dump}");
        }
        if table.plan.scheme == Scheme::Mbr {
            let id = format!("label-id: 0x{:08x}", table.plan.mbr_signature);
            assert!(dump.contains("label: dos") && dump.contains(&id), "{dump}");
        }
    }
}

/// The whole entries of an MBR are those that sfdisk writes for the same table, CHS included.
#[test]
fn an_mbr_is_byte_for_byte_what_sfdisk_writes() {
    let mut table = Table::new(12, BlockSize::B512, &TableRequest { sr: SrChoice::Rest, ..BIOS });
    let (_folder, path, mut other) = blank(Bytes::gib(12), BlockSize::B512);
    let mut script = format!("label: dos\nlabel-id: 0x{:08x}\n", table.plan.mbr_signature);
    // sfdisk puts no partition before 2048; the volume there is compared with a table of its own.
    for planned in table.plan.partitions.iter().filter(|p| p.number < 4) {
        let (first, blocks) = (planned.extent.first().get(), planned.extent.blocks());
        let active = if planned.attributes == 0x80 { ", bootable" } else { "" };
        let kind = Table::kind(planned);
        let number = planned.number;
        writeln!(script, "{number} : start={first}, size={blocks}, {kind}{active}").unwrap();
    }
    let file = path.with_extension("sfdisk");
    std::fs::write(&file, script).unwrap();
    let (image, text) = (path.to_str().unwrap(), file.to_str().unwrap());
    says("sh", &["-c", &format!("sfdisk -q {image} < {text}")], "");
    let read = |disk: &mut FileDisk| {
        let mut sector = [0; 512];
        disk.read(super::Lba::new(0), &mut sector).unwrap();
        sector
    };
    let (ours, theirs) = (read(&mut table.disk), read(&mut other));
    assert_eq!(ours[440..446], theirs[440..446], "signature");
    assert_eq!(ours[446..494], theirs[446..494], "entries 1 to 3");
    assert_eq!(ours[510..], theirs[510..]);
}

#[test]
fn parted_reads_every_table_as_planned() {
    for table in tables().iter().filter(|table| is_small(table)) {
        let scheme = match table.plan.scheme {
            Scheme::Gpt => ":gpt:",
            Scheme::Mbr => ":msdos:",
        };
        let args = ["-s", "-m", table.text(), "unit", "s", "print"];
        let told = says("parted", &args, scheme);
        for planned in &table.plan.partitions {
            let (first, last) = (planned.extent.first().get(), planned.extent.last().get());
            let (number, blocks) = (planned.number, planned.extent.blocks());
            let line = format!("\n{number}:{first}s:{last}s:{blocks}s:");
            assert!(told.contains(&line), "no {line:?} in\n{told}");
        }
        assert!(!told.contains("Error") && !told.contains("Warning"), "{told}");
    }
}

/// fdisk is told the block size, and reads larger ones too.
#[test]
fn fdisk_reads_every_table_as_planned() {
    for table in tables() {
        let bytes = table.plan.geometry.block_size.bytes().to_string();
        let told = says("fdisk", &["-b", &bytes, "-l", table.text()], "Disklabel type: ");
        for planned in &table.plan.partitions {
            let (first, last) = (planned.extent.first().get(), planned.extent.last().get());
            let device = format!("img{}", planned.number);
            let found = told.lines().any(|line| {
                let words: Vec<&str> = line.split_whitespace().filter(|w| *w != "*").collect();
                words.first().is_some_and(|word| word.ends_with(&device))
                    && words.get(1..3) == Some(&[&*first.to_string(), &*last.to_string()])
            });
            assert!(found, "no {device} {first} {last} in\n{told}");
        }
        for word in ["corrupt", "mismatch", "does not start on physical", "overlap"] {
            assert!(!told.contains(word), "{told}");
        }
    }
}

#[test]
fn blkid_sees_the_table_and_its_identifier() {
    for table in tables() {
        let args = ["-p", "-s", "PTTYPE", "-s", "PTUUID", "-o", "export", table.text()];
        let (kind, id) = match table.plan.scheme {
            Scheme::Gpt => ("PTTYPE=gpt", table.plan.disk_guid.to_string()),
            Scheme::Mbr => ("PTTYPE=dos", format!("{:08x}", table.plan.mbr_signature)),
        };
        // blkid takes an image's blocks to be 512 bytes; behind larger ones it sees the
        // protective MBR alone.
        if is_small(&table) {
            let told = says("blkid", &args, kind);
            assert!(told.contains(&format!("PTUUID={id}")), "no {id} in\n{told}");
        } else {
            assert!(tool("blkid", &args).1.contains("PTTYPE=PMBR"));
        }
    }
}
