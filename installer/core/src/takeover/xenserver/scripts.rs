//! The network scripts of hosts that have no network daemon: `ifcfg-xenbr0` for the bridge, and
//! files of the devices that name it.

use super::CarryError;
use super::network::{Carrier, Old, bond_mode, fixed_4};
use super::texts::{Keys, Texts, in_file};
use crate::answers::{Dns, Ipv4, Ipv6};
use crate::values::{ValueError, VlanId};

const FOLDER: &str = "etc/sysconfig/network-scripts";

/// The management network; `None` where no script is of the bridge.
pub(super) fn read(
    texts: Texts<'_>,
    management: &str,
    notes: &mut Vec<String>,
) -> Result<Option<Old>, CarryError> {
    let path = format!("{FOLDER}/ifcfg-{management}");
    let Some(bridge) = texts.keys(&path)? else { return Ok(None) };
    let ipv4 = match bridge.get("BOOTPROTO") {
        Some("dhcp") => Ipv4::Dhcp,
        Some("static" | "none") | None if bridge.get("IPADDR").is_some() => {
            fixed_4(&bridge, "IPADDR")?
        }
        Some("static" | "none") | None => Ipv4::None,
        Some(other) => return Err(in_file(&path, format!("BOOTPROTO: {other:?}"))),
    };
    let on_bridge = |keys: &Keys| keys.get("BRIDGE") == Some(management);
    let ports = devices(texts, on_bridge)?;
    let [(port, device)] = &ports[..] else {
        let what = format!("{} devices carry this bridge, one is needed", ports.len());
        return Err(in_file(&path, what));
    };
    // A VLAN is named by its device and its number.
    let (below, vlan) = match device.split_once('.') {
        Some((below, id)) => {
            let wrong = |e: ValueError| in_file(port.path(), e);
            let number = id.parse().map_err(|_| in_file(port.path(), "DEVICE is no VLAN"))?;
            (below, Some(VlanId::new(number).map_err(wrong)?))
        }
        None => (device.as_str(), None),
    };
    let members = devices(texts, |keys| keys.get("MASTER") == Some(below))?;
    let carrier = if members.is_empty() {
        Carrier::One { name: below.to_owned(), bridge_mac: None }
    } else {
        let path = format!("{FOLDER}/ifcfg-{below}");
        let options = texts.keys(&path)?;
        let options = options.as_ref().and_then(|keys| keys.get("BONDING_OPTS"));
        let mut words = options.unwrap_or_default().split_whitespace();
        let mode = words.find_map(|word| word.strip_prefix("mode=")).unwrap_or("balance-slb");
        let mode = bond_mode(mode, notes).map_err(|e| in_file(&path, e))?;
        Carrier::Bond { names: members.into_iter().map(|(_, name)| name).collect(), mode }
    };
    let mtu = bridge.get("MTU").and_then(|mtu| mtu.parse().ok());
    let (ipv6, dns) = (Ipv6::None, Dns::default());
    Ok(Some(Old { path, carrier, vlan, ipv4, ipv6, mtu, dns }))
}

/// The devices whose files are like this.
fn devices(
    texts: Texts<'_>,
    wanted: impl Fn(&Keys) -> bool,
) -> Result<Vec<(Keys, String)>, CarryError> {
    let mut found = Vec::new();
    for (name, _) in texts.within(FOLDER) {
        let Some(device) = name.strip_prefix("ifcfg-") else { continue };
        let Some(keys) = texts.keys(&format!("{FOLDER}/{name}"))? else { continue };
        if wanted(&keys) {
            let device = keys.get("DEVICE").unwrap_or(device).to_owned();
            found.push((keys, device));
        }
    }
    Ok(found)
}
