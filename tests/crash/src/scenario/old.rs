//! Old hosts, with the geometries that such hosts really have.

use boot_oracle::system::RootArgument;
use installer::fat::{FatFile, FatKind, FatName, make_boot};
use partitioner::block::BlockIo;
use partitioner::block::memory::MemDisk;
use partitioner::ids::Guid;
use partitioner::layout::Scheme;
use partitioner::units::{BlockSize, Extent, Lba};

use super::UUID_OLD;
use super::takeover::Chain;
use crate::loader::{OLD_LABEL, OldLoader};
use crate::stamps::{SECRET, Stamp};

/// Blocks of 512 bytes.
const GIB: u64 = 2_097_152;
/// The size of the disks.
const BLOCKS: u64 = 60 * GIB;
const BASIC: &str = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7";
const LVM: &str = "e6d6d379-f507-44c2-a23c-238f2a3df928";
const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
const BIOS_BOOT: &str = "21686148-6449-6e6f-744e-656564454649";
/// PARTUUID of the old boot partition.
pub const OLD_BOOT_GUID: Guid = Guid::from_u128(0x14);

pub fn stamp() -> Stamp {
    Stamp {
        version: "old",
        uuid: UUID_OLD.to_bytes(),
        label: OLD_LABEL,
        root: RootArgument::Label(OLD_LABEL.to_owned()),
        secret: SECRET,
    }
}

pub fn extent(first: u64, blocks: u64) -> Extent {
    Extent::with_len(Lba::new(first), blocks).expect("an extent of the table below")
}

/// Where old root and old boot partition lie: nothing of the old host may be written before the new
/// one has proved itself.
pub fn kept(source: Scheme, size: BlockSize) -> Extent {
    let unit = size.bytes() / 512;
    let first = match source {
        Scheme::Mbr => 63,
        Scheme::Gpt => 2048 / unit,
    };
    extent(first, 4 * GIB / unit)
}

/// Root of 4 GiB from sector 63, backup of 4 GiB, storage repository.
pub fn mbr(loader: &OldLoader, chain: Chain) -> MemDisk {
    let mut disk = MemDisk::new("old", BlockSize::B512, BLOCKS);
    let mut lba0 = match chain {
        Chain::Active => loader.mbr_code.clone(),
        Chain::Gap => in_gap(&mut disk, loader),
    };
    lba0[0x1B8..0x1BC].copy_from_slice(&0x1234_5678_u32.to_le_bytes());
    let sr = 63 + 8 * GIB;
    let entries =
        [(0x80, 0x83, 63, 4 * GIB), (0, 0x83, 63 + 4 * GIB, 4 * GIB), (0, 0x8E, sr, BLOCKS - sr)];
    for (number, (status, kind, first, blocks)) in entries.into_iter().enumerate() {
        let at = 0x1BE + 16 * number;
        lba0[at..at + 8].copy_from_slice(&[status, 0xFE, 0xFF, 0xFF, kind, 0xFE, 0xFF, 0xFF]);
        let le = |number: u64| u32::try_from(number).expect("a small disk").to_le_bytes();
        lba0[at + 8..at + 12].copy_from_slice(&le(first));
        lba0[at + 12..at + 16].copy_from_slice(&le(blocks));
    }
    put(&mut disk, 0, &lba0);
    let root = extent(63, 4 * GIB);
    stamp().write(&mut disk, root).expect("a disk in memory");
    if chain == Chain::Active {
        put(&mut disk, 63, &loader.volume_sector);
    }
    leftovers(&mut disk, 63 + 4 * GIB, sr);
    disk
}

/// Puts a GRUB right behind LBA 0; its boot sector.
fn in_gap(disk: &mut MemDisk, loader: &OldLoader) -> Vec<u8> {
    let core = partitioner::head::patch_core(&loader.core_img, Lba::new(1)).expect("a core image");
    assert!(core.len() <= 62 * 512, "{} bytes fit before sector 63", core.len());
    put(disk, 1, &core);
    let mut lba0 = loader.boot_img.clone();
    // GRUB's image has code for floppy disks where the table goes.
    lba0[0x1B8..0x1FE].fill(0);
    lba0[0x5C..0x64].copy_from_slice(&1_u64.to_le_bytes());
    lba0
}

/// Boot of 512 MiB, root of 3584 MiB, backup of 4 GiB, storage repository. Boot is a system
/// partition on UEFI, and holds a core image on BIOS.
pub fn gpt(loader: &OldLoader, is_uefi: bool, size: BlockSize) -> MemDisk {
    let unit = size.bytes() / 512;
    let (head, gib, blocks) = (2048 / unit, GIB / unit, BLOCKS / unit);
    let array_blocks = 32 / unit;
    let mut disk = MemDisk::new("old", size, blocks);
    let (boot, root) = (extent(head, gib / 2), extent(head + gib / 2, 4 * gib - gib / 2));
    let sr = head + 8 * gib;
    let boot_type = if is_uefi { ESP } else { BIOS_BOOT };
    let parts = [
        (1_usize, root, BASIC, Guid::from_u128(0x11)),
        (2, extent(head + 4 * gib, 4 * gib), BASIC, Guid::from_u128(0x12)),
        (3, extent(sr, blocks - 1 - array_blocks - sr), LVM, Guid::from_u128(0x13)),
        (4, boot, boot_type, OLD_BOOT_GUID),
    ];
    let mut array = vec![0; 128 * 128];
    for (number, extent, kind, guid) in parts {
        let entry = &mut array[(number - 1) * 128..number * 128];
        let kind: Guid = kind.parse().expect("a type of the list above");
        entry[..16].copy_from_slice(&kind.to_gpt_bytes());
        entry[16..32].copy_from_slice(&guid.to_gpt_bytes());
        entry[32..40].copy_from_slice(&extent.first().get().to_le_bytes());
        entry[40..48].copy_from_slice(&extent.last().get().to_le_bytes());
    }
    let last = blocks - 1;
    let usable = (2 + array_blocks, last - array_blocks - 1);
    for (own, other, array_at) in [(1, last, 2), (last, 1, last - array_blocks)] {
        put(&mut disk, array_at, &array);
        put(&mut disk, own, &header((own, other), array_at, usable, &array));
    }
    let mut lba0 = loader.boot_img.clone();
    // GRUB's image has code for floppy disks there.
    lba0[0x1B8..0x1FE].fill(0);
    lba0[0x5C..0x64].copy_from_slice(&2048_u64.to_le_bytes());
    lba0[0x1BE..0x1CE]
        .copy_from_slice(&[0x80, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0, 255, 255, 255, 255]);
    put(&mut disk, 0, &lba0);
    stamp().write(&mut disk, root).expect("a disk in memory");
    if is_uefi {
        let file = |path| FatFile { path, bytes: &loader.efi };
        let files = [file("EFI/xenserver/grubx64.efi"), file("EFI/BOOT/BOOTX64.EFI")];
        let name = FatName { label: "BOOT", serial: 7 };
        let made = make_boot(&mut disk, boot, FatKind::Fat32, name, &files, &mut |_, _| {});
        made.expect("the old boot partition");
    } else {
        let core = partitioner::head::patch_core(&loader.core_img, Lba::new(2048));
        put(&mut disk, 2048, &core.expect("a core image"));
    }
    leftovers(&mut disk, head + 4 * gib, sr);
    disk
}

/// A header of a GPT, by hand: the table of another installer.
fn header((own, other): (u64, u64), array_at: u64, usable: (u64, u64), array: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..8].copy_from_slice(b"EFI PART");
    header[8..16].copy_from_slice(&[0, 0, 1, 0, 92, 0, 0, 0]);
    header[24..32].copy_from_slice(&own.to_le_bytes());
    header[32..40].copy_from_slice(&other.to_le_bytes());
    header[40..48].copy_from_slice(&usable.0.to_le_bytes());
    header[48..56].copy_from_slice(&usable.1.to_le_bytes());
    header[56..72].copy_from_slice(&Guid::from_u128(0x10).to_gpt_bytes());
    header[72..80].copy_from_slice(&array_at.to_le_bytes());
    header[80..88].copy_from_slice(&[128, 0, 0, 0, 128, 0, 0, 0]);
    header[88..92].copy_from_slice(&crc32(array).to_le_bytes());
    let own_crc = crc32(&header[..92]);
    header[16..20].copy_from_slice(&own_crc.to_le_bytes());
    header
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1));
        }
    }
    !crc
}

/// Old content where new partitions will be.
fn leftovers(disk: &mut MemDisk, backup: u64, sr: u64) {
    let junk = [0x0D; 512];
    let (middle, end) = (sr + (disk.blocks() - sr) / 2, disk.blocks() - 3000);
    for at in [backup + 2, backup + 5000, sr, sr + 1, middle, end] {
        put(disk, at, &junk);
    }
}

fn put(disk: &mut MemDisk, at: u64, bytes: &[u8]) {
    let block = usize::try_from(disk.block_size().bytes()).expect("a block fits memory");
    let mut whole = bytes.to_vec();
    whole.resize(bytes.len().next_multiple_of(block), 0);
    disk.write(Lba::new(at), &whole).expect("a disk in memory");
}
