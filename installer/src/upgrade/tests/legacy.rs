//! Slots of 4 GiB, on both of their tables: each state of the disk is judged by the boot oracle.

use boot_oracle::disk::{Disk, Unreadable};
use boot_oracle::installed::Installed;
use boot_oracle::known::{BootCode, Known, Program};
use boot_oracle::{Counter, Machine, Slots};
use installer_core::facts::Firmware;
use installer_core::release::{BOOT_IMG, CORE_IMG, GRUB_EFI};
use installer_core::upgrade::rollback;
use partitioner::units::Bytes;

use super::*;

const SIZE: BlockSize = BlockSize::B512;

/// The image, block by block.
struct Image(File);

impl Disk for Image {
    fn block_bytes(&self) -> usize {
        512
    }

    fn blocks(&self) -> u64 {
        self.0.metadata().unwrap().len() / 512
    }

    fn read(&self, lba: u64, block: &mut [u8]) -> Result<(), Unreadable> {
        self.0.read_exact_at(block, lba * 512).map_err(|_| Unreadable(lba))
    }
}

/// What the boot loader images of a release are to the oracle.
fn known(scene: &Scene) -> Known {
    let file = |name: &str| std::fs::read(scene.second.dir().join(name)).unwrap();
    Known {
        boot_codes: vec![(file(BOOT_IMG), BootCode::Grub)],
        cores: vec![(file(CORE_IMG), Program::Ours)],
        volume_sectors: Vec::new(),
        efi: vec![(file(GRUB_EFI), Program::Ours)],
    }
}

/// What the host boots now, in words; when its trial is spent; when the chosen slot does not start.
fn boots(scene: &Scene, firmware: Firmware) -> [String; 3] {
    let facts = scene.facts(SIZE);
    let inventory = facts.slot(Slot::A).inventory.unwrap();
    let uuid = |key: &str| {
        let digits = inventory.fs_uuid[key].to_string().replace('-', "");
        u128::from_str_radix(&digits, 16).unwrap().to_be_bytes()
    };
    let slots = Slots {
        uuid_a: uuid("root_a"),
        uuid_b: uuid("root_b"),
        uuid_old: None,
        rescue_at: vec![68, 36],
    };
    let firmware = match firmware {
        Firmware::Bios => boot_oracle::Firmware::Bios,
        Firmware::Uefi => boot_oracle::Firmware::Uefi,
    };
    let systems = Installed { version_file: "etc/release-mark" };
    let known = known(scene);
    let machine =
        Machine { firmware, entries: &[], known: &known, systems: &systems, slots: &slots };
    let disk = Image(File::open(scene.disk()).unwrap());
    [Counter::OnDisk, Counter::Spent, Counter::ChosenFails]
        .map(|counter| machine.boot_with(&disk, counter).outcome.to_string())
}

fn there_and_back(firmware: Firmware) {
    let scene = Scene::of(Bytes::gib(20), SIZE, firmware);
    let says = |want: [&str; 3]| assert_eq!(boots(&scene, firmware), want, "{firmware:?}");
    let nothing_else = "waits at the menu: slot a did not start: it is taken not to";
    let (a, b) = ("boots 0.1.0 from slot a", "boots 0.2.0 from slot b");
    let (fell_a, fell_b) =
        ("boots 0.1.0 from slot a, [FellBack]", "boots 0.2.0 from slot b, [FellBack]");
    says([a, a, nothing_else]);
    scene.blessed(Slot::A);
    let facts = scene.facts(SIZE);
    let plan = scene.plan(&facts).unwrap();
    let before = scene.blocks_outside(&ranges(&plan));
    scene.upgrade(&facts, &mut |_| {}).unwrap();
    assert!(scene.blocks_outside(&ranges(&plan)) == before, "nothing but slot b and boot state");
    says([b, a, fell_a]);

    let facts = scene.facts(SIZE);
    assert_eq!((facts.slot(Slot::B).fs_errors, facts.slot(Slot::B).problem), (None, None));
    scene.end_trial();
    says([b, b, fell_a]);

    for want in [[a, a, fell_b], [b, b, fell_a]] {
        let facts = scene.facts(SIZE);
        let plan = rollback::plan(&facts).unwrap();
        let mut site = AtRest::for_state(Rest::Image, &facts).unwrap();
        super::rollback::perform(&plan, &mut site).unwrap();
        says(want);
    }
    let facts = scene.facts(SIZE);
    assert!(core::verify(&facts).iter().all(|check| check.problems.is_empty()), "{facts:?}");
    let root = scene.root(&facts, Slot::B);
    assert!(has(&root, "etc/fstab").contains("/swapfile none swap"));
    let inventory = facts.slot(Slot::B).inventory.unwrap();
    let named = format!("root=PARTUUID={}", inventory.partuuid["root_b"]);
    assert!(has(&root, "boot/xenhost/slot.cfg").contains(&named), "{named}");
}

#[test]
fn a_small_host_with_an_mbr_goes_forward_and_back() {
    there_and_back(Firmware::Bios);
}

#[test]
fn a_small_host_with_a_gpt_goes_forward_and_back() {
    there_and_back(Firmware::Uefi);
}
