//! The Ethernet interfaces of a machine. Bridges, bonds and virtual interfaces are left out.

use installer_core::facts::NicFacts;

use super::sysfs::{attribute, link_name, names};
use super::{Machine, ProbeError};

/// `ARPHRD_ETHER` of `include/uapi/linux/if_arp.h`
const ETHERNET: &str = "1";

pub(crate) fn all(machine: &Machine) -> Result<Vec<NicFacts>, ProbeError> {
    let class = machine.sys.join("class/net");
    let mut nics = Vec::new();
    for name in names(&class)? {
        let folder = class.join(&name);
        // Only hardware has a device behind it; wireless cannot be enslaved to a bridge.
        let hardware = folder.join("device").exists() && !folder.join("wireless").exists();
        if !hardware || attribute(&folder.join("type")).as_deref() != Some(ETHERNET) {
            continue;
        }
        let Some(mac) = permanent_mac(&folder) else { continue };
        nics.push(NicFacts {
            mac,
            driver: link_name(&folder.join("device/driver")),
            path: id_path(&folder),
            // An interface that is down answers with an error: not known.
            link: attribute(&folder.join("carrier")).map(|carrier| carrier == "1"),
            name,
        });
    }
    Ok(nics)
}

/// The place of a card, as udev's `path_id` names it: the nearest PCI function above the interface.
/// Interfaces on other buses have none here.
fn id_path(folder: &std::path::Path) -> Option<String> {
    let device = folder.join("device").canonicalize().ok()?;
    let names = device.components().rev().filter_map(|part| part.as_os_str().to_str());
    let mut before_usb = names.take_while(|name| !name.starts_with("usb"));
    before_usb.find(|name| is_pci_function(name)).map(|name| format!("pci-{name}"))
}

/// `0000:03:00.1`
fn is_pci_function(name: &str) -> bool {
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let mut parts = name.split([':', '.']);
    let mut next = |length| parts.next().is_some_and(|part| hex(part, length));
    next(4) && next(2) && next(2) && next(1) && parts.next().is_none()
}

/// A bond gives its first member's address to the others; the own one is in `bonding_slave`.
fn permanent_mac(folder: &std::path::Path) -> Option<String> {
    attribute(&folder.join("bonding_slave/perm_hwaddr"))
        .or_else(|| attribute(&folder.join("address")))
        .map(|mac| mac.to_ascii_lowercase())
        .filter(|mac| mac != "00:00:00:00:00:00")
}
