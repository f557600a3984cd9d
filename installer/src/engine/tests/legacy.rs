//! The layout of small disks, on both of its tables.

use std::process::Command;

use partitioner::block::window::Window;
use partitioner::units::Extent;

use super::*;
use crate::fat_locate;

const FSTAB_SWAP: &str = "/swapfile none swap sw,nofail 0 0\n";

fn scene(firmware: Firmware) -> Scene {
    Scene { firmware, ..Scene::new(BlockSize::B512, Bytes::gib(20)) }
}

/// What stands in slot a, with its table's way to name a partition.
fn check_slot(root: &Path, partuuid: &str) {
    check_root(root);
    let text = |path: &str| String::from_utf8(slot::read_file(root, path).unwrap()).unwrap();
    let fstab = text("/etc/fstab");
    assert!(fstab.ends_with(FSTAB_SWAP) && !fstab.contains("/var/log"), "{fstab}");
    assert!(text("/etc/xenhost/boot.conf").contains(&format!("\nroot=PARTUUID={partuuid}\n")));
    assert!(text("/boot/xenhost/slot.cfg").contains(&format!("'root=PARTUUID={partuuid}'")));
    let inventory = target::Inventory::parse(&text("/etc/xenhost/inventory.json")).unwrap();
    assert_eq!(inventory.partuuid["root_a"].to_string(), partuuid);
    let names: Vec<&str> = inventory.fs_uuid.keys().map(String::as_str).collect();
    assert_eq!(names, ["root_a", "root_b"]);
}

#[expect(clippy::disallowed_methods, reason = "the oracle of this test is a program")]
fn must(program: &str, args: &[&str], on: &Path) -> String {
    let out = Command::new(program).args(args).arg(on).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{program}: {text}");
    text
}

#[test]
fn an_mbr_is_installed_for_bios() {
    let scene = scene(Firmware::Bios);
    scene.install(&mut |_| {}).unwrap();
    let disk = scene.path("disk.img");
    let table = must("/sbin/sfdisk", &["-d"], &disk);
    for (number, line) in [
        (1, "start= 2048, size= 8388608, type=83, bootable"),
        (2, "start= 8390656, size= 8388608, type=83"),
        (3, "start= 16779264, size= 25163776, type=8e"),
        (4, "start= 256, size= 1792, type=1"),
    ] {
        let found = table.lines().find(|l| l.contains(&format!("disk.img{number} :"))).unwrap();
        let have = found.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(have.ends_with(line), "{have}");
    }
    let told = must("/sbin/sfdisk", &["-V"], &disk);
    assert!(told.contains("No errors detected"), "{told}");
    let signature = table.lines().find_map(|l| l.strip_prefix("label-id: 0x")).unwrap();

    let root = scene.extract(2048, 8_388_608, "root.img");
    must("/sbin/e2fsck", &["-fn"], &root);
    let label = must("/sbin/blkid", &["-p", "-s", "LABEL"], &root);
    assert!(label.contains(&format!("root-{}", signature.to_uppercase())), "{label}");
    check_slot(&root, &format!("{signature}-01"));

    let boot = scene.extract(256, 1792, "boot.img");
    let told = must("/usr/sbin/fsck.vfat", &["-nv"], &boot);
    assert!(told.contains("1100 reserved sectors") && told.contains("86 data clusters"), "{told}");
    let mut volume = FileDisk::open(&boot, BlockSize::B512).unwrap();
    let state = fat_locate::locate(&mut volume, "xenhost/state.env").unwrap();
    let mut block = vec![0; 1024];
    volume.read(state.first, &mut block).unwrap();
    assert!(block.starts_with(b"# GRUB Environment Block\n"));
    // The boot sector leads to the core, and the core to its rest.
    let lba0 = scene.lba0();
    assert_eq!(lba0[0x5C..0x64], 264_u64.to_le_bytes());
    volume.read(Lba::new(8), &mut block).unwrap();
    assert_eq!(block[0x1F4..0x1FC], 265_u64.to_le_bytes());

    // A machine that has it is done; another deployment replaces it.
    let facts = scene.facts();
    assert_eq!(facts.disks[1].deployment_id.as_deref(), Some("rack7-42"));
    assert_eq!(resolve(ANSWERS, &facts).unwrap_err().exit, Exit::Done);
}

#[test]
fn a_gpt_is_installed_for_uefi() {
    let scene = scene(Firmware::Uefi);
    scene.install(&mut |_| {}).unwrap();
    let disk = scene.path("disk.img");
    let told = must("/sbin/sgdisk", &["-v"], &disk);
    assert!(told.contains("No problems found"), "{told}");
    let (first, blocks) = partition(&disk, 1);
    assert_eq!((first, blocks), (1_050_624, 3584 << 11));
    let root = scene.extract(first, blocks, "root.img");
    must("/sbin/e2fsck", &["-fn"], &root);
    let told = must("/sbin/sgdisk", &["-i1"], &disk).to_lowercase();
    let guid = told.lines().find_map(|l| l.strip_prefix("partition unique guid: ")).unwrap();
    check_slot(&root, guid);
    let (first, blocks) = partition(&disk, 4);
    assert_eq!((first, blocks), (2048, 512 << 11));
    let boot = scene.extract(first, blocks, "boot.img");
    must("/usr/sbin/fsck.vfat", &["-n"], &boot);
    let facts = scene.facts();
    assert_eq!(resolve(ANSWERS, &facts).unwrap_err().exit, Exit::Done);
}

/// One bad sector takes one of them: GRUB in a BIOS reads 64 sectors or none.
#[test]
fn what_the_boot_loader_reads_lies_apart() {
    let files = ["state.env", "state2.env", "tries.env", "reason.txt"];
    for (firmware, number) in [(Firmware::Bios, 256), (Firmware::Uefi, 2048)] {
        let scene = scene(firmware);
        scene.install(&mut |_| {}).unwrap();
        let mut disk = FileDisk::open(&scene.path("disk.img"), BlockSize::B512).unwrap();
        let blocks = disk.blocks() - number;
        let rest = Extent::with_len(Lba::new(number), blocks).unwrap();
        let mut volume = Window::new(&mut disk, rest).unwrap();
        let mut pieces: Vec<u64> = Vec::new();
        for file in files {
            let found = fat_locate::locate(&mut volume, &format!("xenhost/{file}")).unwrap();
            pieces.push((number + found.first.get()) / 64);
        }
        assert!(pieces.is_sorted() && pieces.windows(2).all(|w| w[0] != w[1]), "{pieces:?}");
    }
}
