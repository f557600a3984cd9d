//! Machines with different controllers and disks, as `host-installer facts` sees them from the
//! installer environment: the recordings in `answerfiles/facts/`. They are compared;
//! `XENHOST_GOLDENS=write` records those anew that are different.

use std::path::{Path, PathBuf};
use std::time::Duration;

use installer_core::facts::HostFacts;

use crate::disks::{self, OldHost};
use crate::dom0;
use crate::failure::{At, Failure, Result, ensure};
use crate::lab::Lab;
use crate::qemu::{Firmware, Machine, Spec};

const SHELL_LIMIT: Duration = Duration::from_secs(240);
const FACTS_LIMIT: Duration = Duration::from_secs(120);

/// What the firmware says of each machine.
const SMBIOS: [&str; 4] = [
    "-smbios",
    "type=1,manufacturer=Example,product=Server 9000,serial=SRV-0042,\
     uuid=9d3e7a52-6c1b-4f08-8a27-5b0c4d1e2f36",
    "-smbios",
    "type=3,asset=RACK7-U42",
];

/// One machine: its name, and what is plugged into it.
struct Recipe {
    name: &'static str,
    firmware: Firmware,
    /// Controllers and cards; then disks, each with its image.
    controllers: &'static [&'static str],
    disks: fn(&mut Disks) -> Result<()>,
}

const RECIPES: &[Recipe] = &[
    Recipe {
        name: "virtio",
        firmware: Firmware::Uefi,
        controllers: &[],
        disks: |disks| {
            disks.blank("virtio-blk-pci,serial=SN42", 60)?;
            disks.bystander("virtio-blk-pci,serial=SN43")
        },
    },
    Recipe {
        name: "nvme-pair",
        firmware: Firmware::Uefi,
        controllers: &["vmxnet3,romfile=,mac=00:16:3e:00:01:01"],
        disks: |disks| {
            disks.blank("nvme,serial=NVME-0001", 480)?;
            disks.blank("nvme,serial=NVME-0002", 480)
        },
    },
    Recipe {
        name: "ahci",
        firmware: Firmware::Bios,
        controllers: &["e1000e,romfile=,mac=00:16:3e:00:02:01"],
        disks: |disks| {
            disks.blank(
                "ide-hd,bus=ide.0,serial=WD-0001,wwn=0x50014ee20a1b2c3d,model=DISK-A",
                500,
            )?;
            disks.blank(
                "ide-hd,bus=ide.1,serial=WD-0002,wwn=0x50014ee20a1b2c3e,model=DISK-A",
                500,
            )?;
            disks.bystander("ide-hd,bus=ide.2,serial=WD-0003,wwn=0x50014ee20a1b2c3f,model=DISK-B")
        },
    },
    Recipe {
        name: "virtio-scsi-24",
        firmware: Firmware::Bios,
        controllers: &["virtio-scsi-pci,id=hba"],
        disks: |disks| {
            for n in 0..24 {
                let id = format!("serial=BAY{n:02},wwn=0x5000c500a1b2c3{n:02x},scsi-id={n}");
                let shelf = "scsi-hd,bus=hba.0,vendor=SHELF,product=DISK,";
                disks.blank(&[shelf, &id].concat(), if n < 2 { 120 } else { 4000 })?;
            }
            Ok(())
        },
    },
    Recipe {
        name: "4kn",
        firmware: Firmware::Uefi,
        controllers: &["virtio-scsi-pci,id=hba"],
        disks: |disks| {
            let blocks = "logical_block_size=4096,physical_block_size=4096";
            disks.blank(&format!("nvme,serial=NVME-4K,{blocks}"), 200)?;
            let scsi = "scsi-hd,bus=hba.0,serial=SAS-4K,wwn=0x5000c500a1b2c3d4";
            disks.blank(&format!("{scsi},{blocks}"), 1000)?;
            disks.blank("virtio-blk-pci,serial=SN512,physical_block_size=4096", 60)
        },
    },
    Recipe {
        name: "old-xenserver",
        firmware: Firmware::Bios,
        controllers: &["e1000,romfile=,mac=00:16:3e:00:03:01"],
        disks: |disks| {
            let old = "ide-hd,bus=ide.0,serial=OLD-0001,wwn=0x5000c500deadbeef,model=DISK-C";
            disks.old_host(OldHost::Mbr, old)?;
            disks.blank("ide-hd,bus=ide.1,serial=NEW-0001,wwn=0x5000c500deadbef0,model=DISK-C", 100)
        },
    },
    Recipe {
        name: "old-xenserver-gpt",
        firmware: Firmware::Bios,
        controllers: &["megasas,id=raid"],
        disks: |disks| {
            let raid = "scsi-hd,bus=raid.0,vendor=RAID,product=VOLUME";
            disks.old_host(OldHost::Gpt, &format!("{raid},serial=OLD-0002,scsi-id=0"))?;
            disks.blank(&format!("{raid},serial=NEW-0002,scsi-id=1"), 100)
        },
    },
    Recipe {
        name: "usb-and-four-cards",
        firmware: Firmware::Uefi,
        controllers: &[
            "qemu-xhci,id=usb",
            "e1000e,romfile=,mac=00:16:3e:00:04:01",
            "e1000e,romfile=,mac=00:16:3e:00:04:02",
            "virtio-net-pci,romfile=,mac=00:16:3e:00:04:03",
        ],
        disks: |disks| {
            disks.blank("nvme,serial=NVME-0003", 240)?;
            disks.blank("usb-storage,bus=usb.0,serial=STICK-01,removable=on", 16)?;
            disks.blank("usb-storage,bus=usb.0,serial=USB-DISK-01", 500)
        },
    },
];

/// The disks of one machine, as arguments of QEMU.
struct Disks {
    folder: PathBuf,
    arguments: Vec<String>,
    count: u32,
}

impl Disks {
    fn plug(&mut self, device: &str, image: &Path) {
        let n = self.count;
        self.count += 1;
        let drive = format!("file={},if=none,id=disk{n},format=raw,cache=unsafe", image.display());
        let (kind, rest) = device.split_once(',').unwrap_or((device, ""));
        let device = format!("{kind},drive=disk{n},{rest}");
        self.arguments.extend(["-drive".to_owned(), drive, "-device".to_owned(), device]);
    }

    fn image(&self) -> PathBuf {
        self.folder.join(format!("facts-{}.img", self.count))
    }

    fn blank(&mut self, device: &str, gib: u64) -> Result<()> {
        let image = self.image();
        disks::blank(&image, gib)?;
        self.plug(device, &image);
        Ok(())
    }

    fn bystander(&mut self, device: &str) -> Result<()> {
        let image = self.image();
        disks::bystander(&image, &self.folder)?;
        self.plug(device, &image);
        Ok(())
    }

    fn old_host(&mut self, kind: OldHost, device: &str) -> Result<()> {
        let image = self.image();
        disks::old_host(kind, &image, &self.folder)?;
        self.plug(device, &image);
        Ok(())
    }
}

pub(super) fn record(lab: &mut Lab) -> Result<()> {
    let mut different = Vec::new();
    for recipe in RECIPES {
        let name = recipe.name;
        let seen = facts(lab, recipe)?;
        let path = lab.folders.repo.join(format!("answerfiles/facts/{name}.json"));
        let recorded = std::fs::read_to_string(&path).unwrap_or_default();
        let same = names_aside(&recorded).is_some_and(|facts| Some(facts) == names_aside(&seen));
        if same {
            continue;
        }
        if std::env::var_os("XENHOST_GOLDENS").is_some_and(|what| what == "write") {
            std::fs::write(&path, &seen).at("writing", &path)?;
        } else {
            let new = lab.run.join(format!("{name}.json"));
            std::fs::write(&new, &seen).at("writing", &new)?;
            different.push(format!("{} is now as in {}", path.display(), new.display()));
        }
    }
    ensure(different.is_empty(), || different.join("\n"))
}

/// The machine without the names that the kernel gives as it finds things, which is another order
/// at the next start.
fn names_aside(text: &str) -> Option<HostFacts> {
    let mut facts: HostFacts = serde_json::from_str(text).ok()?;
    for disk in &mut facts.disks {
        disk.path.clear();
    }
    facts.disks.sort_by(|a, b| a.serial.cmp(&b.serial));
    for nic in &mut facts.nics {
        nic.name.clear();
    }
    facts.nics.sort_by(|a, b| a.mac.cmp(&b.mac));
    Some(facts)
}

fn facts(lab: &mut Lab, recipe: &Recipe) -> Result<String> {
    let name = format!("facts-{}", recipe.name);
    let folder = lab.run.join(&name);
    std::fs::create_dir_all(&folder).at("making", &folder)?;
    let mut disks = Disks { folder: folder.clone(), arguments: Vec::new(), count: 0 };
    (recipe.disks)(&mut disks)?;
    let spec = machine(lab, &name, recipe, disks.arguments);
    let seen = lab.report.stage(&name, |tick| {
        let mut machine = spec.start()?;
        machine.serial.wait_for_any(&["rescue: nothing is installed"], SHELL_LIMIT, tick)?;
        machine.serial.wait_for_any(&["# "], SHELL_LIMIT, tick)?;
        let seen = ask(&mut machine)?;
        machine.cut_power()?;
        Ok(seen)
    })?;
    crate::cache::remove(&folder)?;
    Ok(seen)
}

/// The installer environment, started by QEMU itself and without a medium.
fn machine(lab: &Lab, name: &str, recipe: &Recipe, disks: Vec<String>) -> Spec {
    let mut spec = dom0::spec(lab, name, recipe.firmware, &[]);
    spec.kernel = Some(lab.installer_kernel("console=ttyS0,115200 quiet xenhost.rescue"));
    spec.hardware = SMBIOS.map(str::to_owned).to_vec();
    for controller in recipe.controllers {
        spec.hardware.extend(["-device".to_owned(), (*controller).to_owned()]);
    }
    spec.hardware.extend(disks);
    spec
}

/// Until every card has its link, which some bring up only after a while.
const LINKED: &str = "for i in $(seq 60); do grep -q 0 /sys/class/net/eth*/carrier || break; \
                      sleep 1; done";

/// The JSON between two words that the command line itself does not hold.
fn ask(machine: &mut Machine) -> Result<String> {
    let serial = &mut machine.serial;
    serial.type_line(LINKED)?;
    serial.type_line("clear; echo BEGIN-FA''CTS; host-installer facts --json; echo END-FA''CTS")?;
    serial.wait_for("BEGIN-FACTS\n", FACTS_LIMIT)?;
    let from = serial.seen_len();
    serial.wait_for("END-FACTS", FACTS_LIMIT)?;
    let to = serial.seen_len().saturating_sub("END-FACTS".len());
    let text = serial.slice(from, to);
    let what = "what `host-installer facts --json` said".to_owned();
    let facts: HostFacts =
        serde_json::from_str(&text).map_err(|source| Failure::Json { what, source })?;
    ensure(!facts.disks.is_empty(), || format!("no disk is seen:\n{text}"))?;
    Ok(text)
}
