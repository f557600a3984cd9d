//! The Ethernet interfaces of a machine. Bridges, bonds and virtual interfaces are left out.

use installer_core::facts::NicFacts;

use super::sysfs::{attribute, link_name, names};
use super::{Machine, ProbeError};

/// `ARPHRD_ETHER` of `include/uapi/linux/if_arp.h`
const ETHERNET: &str = "1";

pub(super) fn all(machine: &Machine) -> Result<Vec<NicFacts>, ProbeError> {
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
            // An interface that is down answers with an error: not known.
            link: attribute(&folder.join("carrier")).map(|carrier| carrier == "1"),
            name,
        });
    }
    Ok(nics)
}

/// A bond gives its first member's address to the others; the own one is in `bonding_slave`.
fn permanent_mac(folder: &std::path::Path) -> Option<String> {
    attribute(&folder.join("bonding_slave/perm_hwaddr"))
        .or_else(|| attribute(&folder.join("address")))
        .map(|mac| mac.to_ascii_lowercase())
        .filter(|mac| mac != "00:00:00:00:00:00")
}
