//! Names by the way to the disk: controller, port, target.

use std::path::{Path, PathBuf};

use super::Place;
use crate::probe::sysfs::{attribute, names};

/// The names below `/dev/disk/by-path`, for disks behind a PCI device.
pub(super) fn of(place: &Place<'_>, transport: &str) -> Vec<String> {
    let Some((controller, _)) = last_part(&place.real, is_pci_address) else { return Vec::new() };
    let pci = format!("pci-{controller}");
    match transport {
        "virtio" => vec![format!("virtio-{pci}"), pci],
        "nvme" => attribute(&place.real.join("nsid"))
            .map(|namespace| format!("{pci}-nvme-{namespace}"))
            .into_iter()
            .collect(),
        "ata" => ata_port(&place.real).map_or_else(Vec::new, |port| {
            vec![format!("{pci}-ata-{port}"), format!("{pci}-ata-{port}.0")]
        }),
        "usb" => usb_port(&place.real)
            .map(|port| format!("{pci}-usb-0:{port}-scsi-0:0:0:0"))
            .into_iter()
            .collect(),
        "scsi" => scsi_address(&place.real)
            .map(|address| format!("{pci}-scsi-{address}"))
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

/// The first part of a path that fits.
pub(super) fn part(path: &Path, fits: impl Fn(&str) -> bool) -> Option<&str> {
    path.iter().filter_map(|part| part.to_str()).find(|part| fits(part))
}

/// The last part that fits, and the path up to it.
fn last_part(path: &Path, fits: impl Fn(&str) -> bool) -> Option<(&str, PathBuf)> {
    path.ancestors().find_map(|folder| {
        let name = folder.file_name()?.to_str()?;
        fits(name).then(|| (name, folder.to_owned()))
    })
}

/// `0000:00:1f.2`
fn is_pci_address(part: &str) -> bool {
    let shape: Vec<usize> = part.split([':', '.']).map(str::len).collect();
    matches!(shape.as_slice(), [domain, 2, 2, 1] if 4 <= *domain)
        && part.chars().all(|c| c.is_ascii_hexdigit() || c == ':' || c == '.')
}

/// Ports count from 1 on each controller.
fn ata_port(real: &Path) -> Option<String> {
    let fits = |part: &str| {
        part.strip_prefix("ata")
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let (name, folder) = last_part(real, fits)?;
    attribute(&folder.join("ata_port").join(name).join("port_no"))
}

/// `1-1.2:1.0` is port 1.2, interface 1.0.
fn usb_port(real: &Path) -> Option<String> {
    let fits = |part: &str| part.contains('-') && part.contains(':') && !is_pci_address(part);
    let (name, _) = last_part(real, fits)?;
    name.split_once('-').map(|(_, port)| port.to_owned())
}

/// `host:channel:target:lun`, the host counted from the controller's first one. SAS names its disks
/// by expander and phy instead, which is left to udev.
fn scsi_address(real: &Path) -> Option<String> {
    if part(real, |part| part.starts_with("end_device")).is_some() {
        return None;
    }
    let address = |part: &str| part.split(':').count() == 4 && !is_pci_address(part);
    let (name, _) = last_part(real, address)?;
    let (_, rest) = name.split_once(':')?;
    let (host, folder) = last_part(real, |part| part.starts_with("host"))?;
    let number = |host: &str| host.strip_prefix("host")?.parse::<u32>().ok();
    let first = names(folder.parent()?).ok()?.iter().filter_map(|name| number(name)).min()?;
    Some(format!("{}:{rest}", number(host)?.checked_sub(first)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pci_addresses() {
        assert!(is_pci_address("0000:00:1f.2"));
        assert!(!is_pci_address("pci0000:00"));
        assert!(!is_pci_address("0:0:0:0"));
    }

    #[test]
    fn the_last_controller_on_the_way_counts() {
        let path =
            Path::new("/sys/devices/pci0000:00/0000:00:01.0/0000:03:00.0/nvme/nvme0/nvme0n1");
        assert_eq!(last_part(path, is_pci_address).unwrap().0, "0000:03:00.0");
    }
}
