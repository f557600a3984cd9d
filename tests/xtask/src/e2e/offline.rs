//! Disks that were made without a machine: they boot, and they hold what an installed disk holds.

use std::path::Path;

use crate::dom0;
use crate::failure::{Failure, Result, ensure};
use crate::inside::{self, Listing, Partition};
use crate::lab::Lab;
use crate::qemu::Firmware;

pub(super) fn boots(lab: &mut Lab) -> Result<()> {
    let disk = lab.offline_disk()?;
    for firmware in Firmware::BOTH {
        dom0::boot_to_xen(lab, &format!("offline-{}", firmware.name()), firmware, &disk)?;
    }
    Ok(())
}

/// Files whose text may differ in ids; what is left of them must be equal.
const WITH_IDS: &[&str] = &[
    "/etc/fstab",
    "/etc/xenhost/inventory.json",
    "/etc/xenhost/boot.conf",
    "/boot/xenhost/slot.cfg",
    "/xenhost/dispatch.cfg",
];
/// `installed_by` and the like name the firmware that the machine had.
const FIRMWARE_LINE: &str = "\"firmware\"";

pub(super) fn equals(lab: &mut Lab) -> Result<()> {
    let offline = lab.offline_disk()?;
    let installed = lab.installed(Firmware::Uefi)?;
    lab.report.stage("compare the two disks", |_| compare(&offline, &installed))
}

fn compare(offline: &Path, installed: &Path) -> Result<()> {
    let (one, two) = (inside::partitions(offline)?, inside::partitions(installed)?);
    let lines = |table: &[Partition]| table.iter().map(Partition::line).collect::<Vec<_>>();
    ensure(lines(&one) == lines(&two), || {
        format!("the tables differ:\n{:#?}\n{:#?}", lines(&one), lines(&two))
    })?;
    let mut found = Vec::new();
    // Slot a and the logs are ext4, the boot partition is FAT; slot b, swap and SR hold no files.
    for number in [1, 5, 4] {
        let list = |disk: &Path, table: &[Partition]| -> Result<Listing> {
            let partition = table.iter().find(|p| p.number() == number);
            let partition =
                partition.ok_or_else(|| Failure::check(format!("no partition {number}")))?;
            match number {
                4 => inside::fat(disk, partition, &normal),
                _ => inside::ext4(disk, partition, &normal),
            }
        };
        let (here, there) = (list(offline, &one)?, list(installed, &two)?);
        ensure(number == 5 || here.len() > 5, || format!("partition {number} is empty"))?;
        let differences = inside::differences(&here, &there);
        found.extend(differences.iter().map(|line| format!("partition {number}: {line}")));
    }
    compare_heads(offline, installed, &mut found)?;
    ensure(found.is_empty(), || {
        format!("offline | installed differ in {}:\n{}", found.len(), found.join("\n"))
    })
}

fn normal(path: &str, content: Vec<u8>) -> Vec<u8> {
    if !WITH_IDS.contains(&path) {
        return content;
    }
    let text = inside::without_ids(&String::from_utf8_lossy(&content));
    let lines = text.lines().filter(|line| !line.contains(FIRMWARE_LINE));
    lines.collect::<Vec<_>>().join("\n").into_bytes()
}

/// Boot code and BIOS core image are equal to the byte.
fn compare_heads(one: &Path, two: &Path, found: &mut Vec<String>) -> Result<()> {
    use std::os::unix::fs::FileExt;

    use crate::failure::At;
    const RANGES: [(&str, u64, usize); 2] =
        [("boot code", 0, 440), ("core image", 128 * 512, 960 * 512)];
    for (what, at, length) in RANGES {
        let read = |path: &Path| -> Result<Vec<u8>> {
            let mut bytes = vec![0; length];
            let file = std::fs::File::open(path).at("opening", path)?;
            file.read_exact_at(&mut bytes, at).at("reading", path)?;
            Ok(bytes)
        };
        let bytes = read(one)?;
        ensure(bytes.iter().any(|b| *b != 0), || format!("the {what} is empty"))?;
        if bytes != read(two)? {
            found.push(format!("the {what} differs"));
        }
    }
    Ok(())
}
