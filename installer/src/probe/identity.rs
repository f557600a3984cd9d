//! What tells one disk from another: serial number, world wide name, model, and the names that
//! people know from `/dev/disk/by-id` and `/dev/disk/by-path`.
//!
//! The installer environment runs no udev, so its names are worked out here from sysfs, in the way
//! of its rules for the common buses. Where udev runs, its own links are listed as well.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::Machine;
use super::sysfs::{attribute, names};

mod paths;
mod scsi;

/// Names of one disk; what the hardware does not tell is absent, never guessed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) serial: Option<String>,
    pub(super) wwn: Option<String>,
    pub(super) model: Option<String>,
    pub(super) transport: &'static str,
    pub(super) by_id: Vec<String>,
    pub(super) by_path: Vec<String>,
}

/// A disk's place in sysfs.
#[derive(Debug)]
struct Place<'a> {
    name: &'a str,
    /// The folder of the disk, all links resolved: its parts name the buses on the way.
    real: PathBuf,
    /// The folder of the device that carries the disk.
    device: PathBuf,
}

pub(super) fn of(machine: &Machine, name: &str) -> Identity {
    let folder = machine.sys.join("block").join(name);
    let real = fs::canonicalize(&folder).unwrap_or(folder);
    let place = Place { name, device: real.join("device"), real };
    let transport = transport(&place);
    let mut identity = match transport {
        "virtio" => virtio(&place),
        "nvme" => nvme(&place),
        "ata" | "scsi" | "usb" => scsi_like(&place, transport),
        "mmc" => mmc(&place),
        _ => Identity::default(),
    };
    identity.transport = transport;
    let by_path = paths::of(&place, transport);
    identity.by_id = with_links(machine, "by-id", name, identity.by_id);
    identity.by_path = with_links(machine, "by-path", name, by_path);
    identity
}

fn transport(place: &Place<'_>) -> &'static str {
    let has = |prefix: &str| paths::part(&place.real, |part| part.starts_with(prefix)).is_some();
    match place.name {
        name if name.starts_with("vd") => "virtio",
        name if name.starts_with("nvme") => "nvme",
        name if name.starts_with("mmcblk") => "mmc",
        name if name.starts_with("xvd") => "xen",
        name if name.starts_with("loop") => "file",
        _ if has("usb") => "usb",
        _ if has("ata") => "ata",
        _ => "scsi",
    }
}

fn virtio(place: &Place<'_>) -> Identity {
    let serial = attribute(&place.real.join("serial"));
    let by_id = serial.iter().map(|serial| format!("virtio-{}", word(serial))).collect();
    Identity { serial, by_id, ..Identity::default() }
}

fn nvme(place: &Place<'_>) -> Identity {
    let serial = attribute(&place.device.join("serial"));
    let model = attribute(&place.device.join("model"));
    let wwn = attribute(&place.real.join("wwid"));
    let mut by_id: Vec<String> = wwn.iter().map(|wwid| format!("nvme-{}", word(wwid))).collect();
    if let (Some(model), Some(serial)) = (&model, &serial) {
        let name = format!("nvme-{}_{}", word(model), word(serial));
        if let Some(namespace) = attribute(&place.real.join("nsid")) {
            by_id.push(format!("{name}_{namespace}"));
        }
        by_id.push(name);
    }
    Identity { serial, wwn, model, by_id, ..Identity::default() }
}

fn mmc(place: &Place<'_>) -> Identity {
    let serial = attribute(&place.device.join("serial"));
    let model = attribute(&place.device.join("name"));
    let by_id = match (&model, &serial) {
        (Some(model), Some(serial)) => vec![format!("mmc-{}_{}", word(model), word(serial))],
        (_, _) => Vec::new(),
    };
    Identity { serial, model, by_id, ..Identity::default() }
}

fn scsi_like(place: &Place<'_>, transport: &str) -> Identity {
    let pages = scsi::Pages::read(&place.device);
    let vendor = attribute(&place.device.join("vendor")).unwrap_or_default();
    let inquiry_model = attribute(&place.device.join("model"));
    // SCSI cuts an ATA disk's model after 16 characters; page 83 has all of it.
    let model = pages.ata_model().or_else(|| inquiry_model.clone());
    let serial = match transport {
        "usb" => usb_serial(place).or_else(|| pages.serial()),
        _ => pages.serial(),
    };
    let wwn = pages.naa().map(|naa| format!("0x{naa}"));
    let mut by_id: Vec<String> = wwn.iter().map(|wwn| format!("wwn-{wwn}")).collect();
    let (model_word, serial_word) = (model.as_deref().map(word), serial.as_deref().map(word));
    match (transport, model_word, serial_word) {
        ("ata", Some(model), Some(serial)) => by_id.push(format!("ata-{model}_{serial}")),
        ("usb", Some(model), Some(serial)) => {
            by_id.push(format!("usb-{}_{model}_{serial}-0:0", word(&vendor)));
        }
        (_, Some(model), serial) => {
            by_id.extend(pages.naa().map(|naa| format!("scsi-3{naa}")));
            let named = |kind, id: String| format!("scsi-{kind}{}_{model}_{id}", word(&vendor));
            by_id.extend(pages.vendor_specific().map(|id| named("0", word(&id))));
            by_id.extend(serial.map(|serial| named("S", serial)));
        }
        (_, None, _) => {}
    }
    Identity { serial, wwn, model, by_id, ..Identity::default() }
}

/// The serial number of the USB device that the disk hangs on.
fn usb_serial(place: &Place<'_>) -> Option<String> {
    let device = place.real.ancestors().find(|folder| folder.join("idVendor").exists())?;
    attribute(&device.join("serial"))
}

/// Adds udev's links to the disk, where udev runs.
fn with_links(machine: &Machine, kind: &str, disk: &str, known: Vec<String>) -> Vec<String> {
    let folder = machine.dev.join("disk").join(kind);
    let node = machine.dev.join(disk.replace('!', "/"));
    let leads_here = |name: &String| {
        let target = fs::canonicalize(folder.join(name)).ok();
        target.is_some_and(|target| target == node)
    };
    let links = names(&folder).unwrap_or_default().into_iter().filter(leads_here);
    let all: BTreeSet<String> = known.into_iter().chain(links).collect();
    all.into_iter().collect()
}

/// As udev writes a value into a name: runs of white space become one `_`, and so does each
/// character outside its list.
fn word(value: &str) -> String {
    let joined = value.split_whitespace().collect::<Vec<_>>().join("_");
    let plain = |c: char| c.is_ascii_alphanumeric() || "#+-.:=@_".contains(c);
    joined.chars().map(|c| if plain(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_udev() {
        assert_eq!(word("  QEMU  HARDDISK "), "QEMU_HARDDISK");
        assert_eq!(word("SN/42 (a)"), "SN_42__a_");
    }
}
