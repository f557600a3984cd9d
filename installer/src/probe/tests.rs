//! Recorded machines: a folder with the files of sysfs, procfs and devtmpfs that are read.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use super::*;
use crate::call::Processes;

struct Recorded {
    folder: tempfile::TempDir,
}

const SATA: &str = "pci0000:00/0000:00:1f.2/ata2/host1/target1:0:0/1:0:0:0";
const NVME: &str = "pci0000:00/0000:00:01.0/0000:03:00.0/nvme/nvme0";
const USB: &str = "pci0000:00/0000:00:14.0/usb1/1-4/1-4:1.0/host6/target6:0:0/6:0:0:0";

impl Recorded {
    fn new() -> Self {
        let recorded = Self { folder: tempfile::tempdir().unwrap() };
        recorded.write("proc/self/mountinfo", "22 1 0:20 / /proc rw - proc proc rw\n");
        recorded.write("proc/meminfo", "MemTotal:        3028024 kB\n");
        recorded.write("sys/devices/system/cpu/online", "0-1\n");
        fs::create_dir_all(recorded.at("sys/block")).unwrap();
        fs::create_dir_all(recorded.at("sys/class/net")).unwrap();
        recorded
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A disk of 64 MiB whose device is at `device`, below `/sys/devices`.
    fn disk(&self, name: &str, device: &str, number: &str) -> String {
        let flat = device.contains("nvme") || device.starts_with("virtual");
        let class = if flat { "" } else { "block/" };
        let folder = format!("sys/devices/{device}/{class}{name}");
        self.write(&format!("{folder}/size"), "131072\n");
        self.write(&format!("{folder}/dev"), format!("{number}\n"));
        self.write(&format!("{folder}/ro"), "0\n");
        self.write(&format!("{folder}/removable"), "0\n");
        self.write(&format!("{folder}/queue/logical_block_size"), "512\n");
        fs::create_dir_all(self.at(&format!("sys/devices/{device}"))).unwrap();
        if !device.starts_with("virtual") {
            symlink(
                self.at(&format!("sys/devices/{device}")),
                self.at(&format!("{folder}/device")),
            )
            .unwrap();
        }
        symlink(self.at(&folder), self.at("sys/block").join(name)).unwrap();
        fs::create_dir_all(self.at("dev")).unwrap();
        File::create(self.at("dev").join(name)).unwrap().set_len(64 << 20).unwrap();
        folder
    }

    fn partition(&self, disk: &str, folder: &str, number: u32, device: &str) {
        let node = format!("{folder}/{disk}{number}");
        self.write(&format!("{node}/partition"), format!("{number}\n"));
        self.write(&format!("{node}/dev"), format!("{device}\n"));
    }

    fn probe(&self) -> HostFacts {
        let root = fs::canonicalize(self.folder.path()).unwrap();
        let machine =
            Machine { sys: root.join("sys"), proc: root.join("proc"), dev: root.join("dev") };
        probe_machine(&machine, &mut Processes).unwrap()
    }

    fn only_disk(&self) -> DiskFacts {
        let mut disks = self.probe().disks;
        assert_eq!(disks.len(), 1, "{disks:?}");
        disks.remove(0)
    }
}

#[test]
fn a_virtio_disk() {
    let machine = Recorded::new();
    let folder = machine.disk("vda", "pci0000:00/0000:00:02.0/virtio1", "254:0");
    machine.write(&format!("{folder}/serial"), "SN42\n");
    let disk = machine.only_disk();
    assert_eq!(disk.path, machine.at("dev/vda").to_string_lossy());
    assert_eq!((disk.serial.as_deref(), disk.transport.as_str()), (Some("SN42"), "virtio"));
    assert_eq!(disk.by_id, ["virtio-SN42"]);
    assert_eq!(disk.by_path, ["pci-0000:00:02.0", "virtio-pci-0000:00:02.0"]);
    assert_eq!((disk.size, disk.block_size), (Bytes::mib(64), BlockSize::B512));
    assert_eq!(disk.sector_size, None);
    assert!(disk.content.is_empty() && disk.holders.is_empty());
}

#[test]
fn a_sata_disk_has_its_names_from_its_pages() {
    let machine = Recorded::new();
    let folder = machine.disk("sda", SATA, "8:0");
    let device = format!("sys/devices/{SATA}");
    machine.write(&format!("{device}/vendor"), "ATA     \n");
    machine.write(&format!("{device}/model"), "A DISK OF MANY L\n");
    machine.write(&format!("{device}/vpd_pg80"), b"\0\x80\0\x14                SN42");
    let mut page = b"\0\x83\0\x0c\x01\x03\0\x08".to_vec();
    page.extend([0x50, 1, 2, 3, 4, 5, 6, 7]);
    page.extend(b"\x02\x01\0\x44ATA     ");
    page.extend(format!("{:<40}{:>20}", "A DISK OF MANY LETTERS", "SN42").as_bytes());
    machine.write(&format!("{device}/vpd_pg83"), page);
    let port = "sys/devices/pci0000:00/0000:00:1f.2/ata2/ata_port/ata2/port_no";
    machine.write(port, "2\n");
    machine.write(&format!("{folder}/queue/physical_block_size"), "4096\n");
    let disk = machine.only_disk();
    assert_eq!((disk.serial.as_deref(), disk.transport.as_str()), (Some("SN42"), "ata"));
    assert_eq!(disk.model.as_deref(), Some("A DISK OF MANY LETTERS"));
    assert_eq!(disk.sector_size, Some(BlockSize::B4096));
    assert_eq!(disk.wwn.as_deref(), Some("0x5001020304050607"));
    assert_eq!(disk.by_id, ["ata-A_DISK_OF_MANY_LETTERS_SN42", "wwn-0x5001020304050607"]);
    assert_eq!(disk.by_path, ["pci-0000:00:1f.2-ata-2", "pci-0000:00:1f.2-ata-2.0"]);
}

#[test]
fn an_nvme_disk_and_links_of_udev() {
    let machine = Recorded::new();
    let folder = machine.disk("nvme0n1", NVME, "259:0");
    machine.write(&format!("{folder}/wwid"), "eui.0011\n");
    machine.write(&format!("{folder}/nsid"), "1\n");
    machine.write(&format!("sys/devices/{NVME}/serial"), "SN42 \n");
    machine.write(&format!("sys/devices/{NVME}/model"), "QEMU NVMe Ctrl  \n");
    fs::create_dir_all(machine.at("dev/disk/by-id")).unwrap();
    symlink(machine.at("dev/nvme0n1"), machine.at("dev/disk/by-id/nvme-other")).unwrap();
    symlink(machine.at("dev/elsewhere"), machine.at("dev/disk/by-id/nvme-strange")).unwrap();
    let disk = machine.only_disk();
    let want =
        ["nvme-QEMU_NVMe_Ctrl_SN42", "nvme-QEMU_NVMe_Ctrl_SN42_1", "nvme-eui.0011", "nvme-other"];
    assert_eq!(disk.by_id, want);
    assert_eq!(disk.by_path, ["pci-0000:03:00.0-nvme-1"]);
    assert_eq!(disk.wwn.as_deref(), Some("eui.0011"));
}

#[test]
fn a_usb_stick_has_the_serial_of_its_plug() {
    let machine = Recorded::new();
    let folder = machine.disk("sdb", USB, "8:16");
    machine.write(&format!("{folder}/removable"), "1\n");
    machine.write(&format!("sys/devices/{USB}/vendor"), "Maker\n");
    machine.write(&format!("sys/devices/{USB}/model"), "Stick\n");
    machine.write("sys/devices/pci0000:00/0000:00:14.0/usb1/1-4/idVendor", "1234\n");
    machine.write("sys/devices/pci0000:00/0000:00:14.0/usb1/1-4/serial", "ABC\n");
    let disk = machine.only_disk();
    assert!(disk.removable);
    assert_eq!((disk.serial.as_deref(), disk.transport.as_str()), (Some("ABC"), "usb"));
    assert_eq!(disk.by_id, ["usb-Maker_Stick_ABC-0:0"]);
    assert_eq!(disk.by_path, ["pci-0000:00:14.0-usb-0:4:1.0-scsi-0:0:0:0"]);
}

#[test]
fn what_is_no_disk_is_left_out() {
    let machine = Recorded::new();
    machine.disk("loop0", "virtual/block", "7:0");
    machine.disk("dm-0", "virtual/block", "253:0");
    let cd = "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0";
    machine.disk("sr0", cd, "11:0");
    machine.write(&format!("sys/devices/{cd}/type"), "5\n");
    let empty = machine.disk("sdc", "pci0000:00/0000:00:14.0/card", "8:32");
    machine.write(&format!("{empty}/size"), "0\n");
    let hidden = machine.disk("nvme0c0n1", NVME, "259:1");
    machine.write(&format!("{hidden}/hidden"), "1\n");
    assert_eq!(machine.probe().disks, []);
}

#[test]
fn whoever_uses_a_disk_is_named() {
    let machine = Recorded::new();
    let folder = machine.disk("sda", SATA, "8:0");
    for (number, device) in [(1, "8:1"), (2, "8:2"), (3, "8:3"), (4, "8:4")] {
        machine.partition("sda", &folder, number, device);
    }
    let dev = fs::canonicalize(machine.at("dev")).unwrap();
    let lines = [
        "30 1 8:1 / / rw - ext4 /dev/root rw",
        // btrfs has numbers of its own.
        &format!("31 1 0:40 / /data\\0401 rw - btrfs {} rw", dev.join("sda2").display()),
    ];
    machine.write("proc/self/mountinfo", lines.join("\n"));
    let swaps = format!("Filename Type Size\n{} partition 1 0 -2\n", dev.join("sda3").display());
    machine.write("proc/swaps", swaps);
    fs::create_dir_all(machine.at(&format!("{folder}/sda4/holders/dm-0"))).unwrap();
    machine.disk("dm-0", "virtual/block", "253:0");
    machine.write("sys/devices/virtual/block/dm-0/dm/name", "vg-root\n");
    let want = [
        "sda1: mounted on /",
        "sda2: mounted on /data 1",
        "sda3: swap in use",
        "sda4: used by dm-0 (vg-root)",
    ];
    assert_eq!(machine.only_disk().holders, want);
}

#[test]
fn the_medium_is_the_disk_that_an_iso_is_mounted_from() {
    let machine = Recorded::new();
    machine.disk("sdb", USB, "8:16");
    assert!(!machine.only_disk().medium);
    machine.write("proc/self/mountinfo", "30 1 8:16 / /medium ro - iso9660 /dev/sdb ro\n");
    assert!(machine.only_disk().medium);
}

#[test]
fn interfaces_are_hardware_with_an_address() {
    let machine = Recorded::new();
    let nic = |name: &str, device: &str, mac: &str| {
        let folder = format!("sys/devices/{device}/net/{name}");
        machine.write(&format!("{folder}/address"), format!("{mac}\n"));
        machine.write(&format!("{folder}/type"), "1\n");
        symlink(machine.at(&folder), machine.at("sys/class/net").join(name)).unwrap();
        if !device.starts_with("virtual") {
            let device = machine.at(&format!("sys/devices/{device}"));
            symlink(device, machine.at(&folder).join("device")).unwrap();
        }
        folder
    };
    let eth = nic("eth0", "pci0000:00/0000:00:03.0", "00:16:3E:AA:BB:CC");
    machine.write(&format!("{eth}/carrier"), "1\n");
    let drivers = machine.at("sys/bus/pci/drivers/e1000e");
    fs::create_dir_all(&drivers).unwrap();
    symlink(drivers, machine.at("sys/devices/pci0000:00/0000:00:03.0/driver")).unwrap();
    nic("xenbr0", "virtual", "00:16:3e:aa:bb:cc");
    let facts = machine.probe();
    let nic = &facts.nics[0];
    assert_eq!(facts.nics.len(), 1);
    assert_eq!((nic.name.as_str(), nic.mac.as_str()), ("eth0", "00:16:3e:aa:bb:cc"));
    assert_eq!((nic.driver.as_deref(), nic.link), (Some("e1000e"), Some(true)));
    assert_eq!((facts.cpus, facts.firmware), (2, Firmware::Bios));
    assert_eq!(facts.memory, Bytes::new(3_028_024 << 10));
    fs::create_dir_all(machine.at("sys/firmware/efi")).unwrap();
    assert_eq!(machine.probe().firmware, Firmware::Uefi);
}

#[test]
fn images_are_disks_of_the_given_serial() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    let image = |block_size| probe_image("SN42", &path, block_size, &mut Processes);
    let error = image(BlockSize::B512).unwrap_err().to_string();
    assert!(error.contains("does not exist"), "{error}");
    File::create(&path).unwrap().set_len((64 << 20) + 512).unwrap();
    assert_eq!(image(BlockSize::B512).unwrap().serial.as_deref(), Some("SN42"));
    let error = image(BlockSize::B4096).unwrap_err().to_string();
    assert!(error.contains("not a whole number of 4096-byte blocks"), "{error}");
    let error = probe_image("x", folder.path(), BlockSize::B512, &mut Processes).unwrap_err();
    assert!(error.to_string().contains("is not an image file"), "{error}");
}
