//! The management network of the old host: which cards carry it, and its addresses.
//!
//! Three places know it: the network daemon's database, the scripts of hosts without that daemon,
//! and what the old installer left for the first boot. The first that is there is believed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::nics::Nics;
use super::texts::{Keys, Texts, in_file, in_line};
use super::{CarryError, networkd, scripts};
use crate::answers::{
    Bond, BondMode, Dns, Ipv4, Ipv6, Link, MTU, MTU_MIN_IPV6, Management, Network, NicMatch, Ntp,
    Vlan, reachable,
};
use crate::values::{Cidr, Hostname, LinkName, Mac, ValueError, VlanId, ip, ipv4, ipv6};

const INVENTORY: &str = "etc/xensource-inventory";
const FIRST_BOOT: &str = "etc/firstboot.d/data/management.conf";
const RESOLV: &str = "etc/resolv.conf";
const BOND: &str = "bond0";
/// What an old host has where nobody chose another.
const MTU_USUAL: u64 = 1500;

/// The management network as the old host has it.
#[derive(Debug)]
pub(super) struct Old {
    /// The file that says so.
    pub(super) path: String,
    pub(super) carrier: Carrier,
    pub(super) vlan: Option<VlanId>,
    pub(super) ipv4: Ipv4,
    pub(super) ipv6: Ipv6,
    pub(super) mtu: Option<u64>,
    pub(super) dns: Dns,
}

/// What the bridge stands on.
#[derive(Debug)]
pub(super) enum Carrier {
    One {
        name: String,
        /// The address of the bridge, which it has from its only card.
        bridge_mac: Option<Mac>,
    },
    Bond {
        names: Vec<String>,
        mode: BondMode,
    },
}

pub(super) fn network(texts: Texts<'_>, notes: &mut Vec<String>) -> Result<Network, CarryError> {
    let inventory = texts.keys(INVENTORY)?;
    let inventory = inventory.ok_or_else(|| in_file(INVENTORY, "it is not there"))?;
    let bridge = inventory.needed("MANAGEMENT_INTERFACE")?;
    let mut old = match networkd::read(texts, bridge, notes)? {
        Some(old) => Some(old),
        None => scripts::read(texts, bridge, notes)?,
    };
    if old.is_none() {
        old = first_boot(texts)?;
    }
    let mut old = old.ok_or_else(|| CarryError::Nowhere {
        what: format!("how the management network ({bridge:?}) is set up"),
        places: networkd::PATHS.into_iter().chain(["ifcfg-*", FIRST_BOOT]).collect(),
    })?;
    let fixed = !matches!(old.ipv4, Ipv4::Dhcp) && !matches!(old.ipv6, Ipv6::Dhcp);
    if fixed && old.dns.servers.is_empty() {
        old.dns = resolv_conf(texts)?;
    }
    if (old.ipv4, old.ipv6) == (Ipv4::None, Ipv6::None) {
        return Err(in_file(&old.path, "the management network has no address"));
    }
    built(&old, &Nics::read(texts)?, notes)
}

/// The answers that describe it.
fn built(old: &Old, nics: &Nics, notes: &mut Vec<String>) -> Result<Network, CarryError> {
    let wrong = |e: ValueError| in_file(&old.path, e);
    let mut links = BTreeMap::new();
    let mut interface = |name: &str, mac: Mac| -> Result<LinkName, CarryError> {
        let name = LinkName::parse(name).map_err(wrong)?;
        let rules = NicMatch { mac: Some(mac), ..NicMatch::default() };
        links.insert(name.clone(), Link::Interface(rules));
        Ok(name)
    };
    let mut on = match &old.carrier {
        Carrier::One { name, bridge_mac } => {
            let mac = nics.mac(name).or_else(|error| bridge_mac.ok_or(error))?;
            interface(name, mac)?
        }
        Carrier::Bond { names, mode } => {
            let mut members = Vec::new();
            for name in names {
                members.push(interface(name, nics.mac(name)?)?);
            }
            let bond = LinkName::parse(BOND).map_err(wrong)?;
            links.insert(bond.clone(), Link::Bond(Bond { members, mode: *mode }));
            bond
        }
    };
    if let Some(id) = old.vlan {
        let vlan = LinkName::parse(&format!("vlan{}", id.get())).map_err(wrong)?;
        links.insert(vlan.clone(), Link::Vlan(Vlan { parent: on, id }));
        on = vlan;
    }
    let management = Management { on, ipv4: old.ipv4, ipv6: old.ipv6, mtu: mtu(old, notes) };
    Ok(Network { links, management, dns: old.dns.clone(), ntp: Ntp::Default, proxy: None })
}

fn mtu(old: &Old, notes: &mut Vec<String>) -> Option<u16> {
    let least = if old.ipv6 == Ipv6::None { *MTU.start() } else { MTU_MIN_IPV6 };
    let old = old.mtu.filter(|mtu| *mtu != MTU_USUAL)?;
    let mtu = u16::try_from(old).ok().filter(|mtu| (least..=*MTU.end()).contains(mtu));
    if mtu.is_none() {
        notes.push(format!("the management network's MTU of {old}: it becomes {MTU_USUAL}"));
    }
    mtu
}

/// The bond modes that old hosts have.
pub(super) fn bond_mode(word: &str, notes: &mut Vec<String>) -> Result<BondMode, ValueError> {
    match word {
        "lacp" | "802.3ad" | "4" => Ok(BondMode::Lacp),
        "active-backup" | "1" => Ok(BondMode::ActiveBackup),
        // Neither needs anything of the switch.
        "balance-slb" => {
            notes.push("the bond's mode balance-slb: it becomes active-backup".to_owned());
            Ok(BondMode::ActiveBackup)
        }
        other => Err(ValueError::new(format!("the bond's mode {other:?} is not known"))),
    }
}

/// A gateway that the address reaches.
pub(super) fn gateway<T: Into<IpAddr> + Copy>(
    address: Cidr,
    via: Option<T>,
) -> Result<Option<T>, ValueError> {
    if let Some(via) = via {
        reachable(address, via.into())?;
    }
    Ok(via)
}

/// A static IPv4 address of a file of assignments.
pub(super) fn fixed_4(keys: &Keys, address: &str) -> Result<Ipv4, CarryError> {
    let (host, mask) = (keys.needed(address)?, keys.needed("NETMASK")?);
    let wrong = |e: ValueError| in_file(keys.path(), e);
    let address = Cidr::v4_with_mask(host, mask).map_err(wrong)?;
    let via = keys.value("GATEWAY", ipv4)?;
    Ok(Ipv4::Static { address, gateway: gateway(address, via).map_err(wrong)? })
}

/// What the old installer wrote for the first boot; the host may have gone on since, which is why
/// it is the last place that is looked at.
fn first_boot(texts: Texts<'_>) -> Result<Option<Old>, CarryError> {
    let Some(keys) = texts.keys(FIRST_BOOT)? else { return Ok(None) };
    let unknown = |key: &str, word: &str| in_file(FIRST_BOOT, format!("{key}: {word:?}"));
    let ipv4 = match keys.get("MODE") {
        Some("static") => fixed_4(&keys, "IP")?,
        Some("dhcp") => Ipv4::Dhcp,
        None | Some("none") => Ipv4::None,
        Some(other) => return Err(unknown("MODE", other)),
    };
    let ipv6 = match keys.get("MODEV6") {
        Some("static") => {
            let wrong = |e: ValueError| in_file(FIRST_BOOT, e);
            let address = Cidr::v6(keys.needed("IPv6")?).map_err(wrong)?;
            let via = keys.value("IPv6_GATEWAY", ipv6)?;
            Ipv6::Static { address, gateway: gateway(address, via).map_err(wrong)? }
        }
        Some("dhcp") => Ipv6::Dhcp,
        Some("autoconf") => Ipv6::Auto,
        None | Some("none") => Ipv6::None,
        Some(other) => return Err(unknown("MODEV6", other)),
    };
    let vlan = |text: &str| match text.parse() {
        Ok(id) => VlanId::new(id),
        Err(_) => Err(ValueError::new(format!("{text:?} is not a number"))),
    };
    let mut dns = Dns::default();
    // Numbered from 1 on, or all in one.
    for key in ["DNS", "DNS1", "DNS2", "DNS3", "DNS4"] {
        for text in keys.get(key).unwrap_or_default().split([',', ' ']) {
            if !text.is_empty() {
                dns.servers.push(ip(text).map_err(|e| in_file(FIRST_BOOT, e))?);
            }
        }
    }
    for text in keys.get("DOMAIN").unwrap_or_default().split_whitespace() {
        dns.search.push(Hostname::parse(text).map_err(|e| in_file(FIRST_BOOT, e))?);
    }
    let carrier = Carrier::One { name: keys.needed("LABEL")?.to_owned(), bridge_mac: None };
    let vlan = keys.value("VLAN", vlan)?;
    let path = FIRST_BOOT.to_owned();
    Ok(Some(Old { path, carrier, vlan, ipv4, ipv6, mtu: None, dns }))
}

/// Name servers of hosts whose network files name none.
fn resolv_conf(texts: Texts<'_>) -> Result<Dns, CarryError> {
    let mut dns = Dns::default();
    for (line, text) in texts.lines(RESOLV)? {
        let at = |e: ValueError| in_line(RESOLV, line, e);
        let mut words = text.split_whitespace();
        match words.next() {
            Some("nameserver") => {
                dns.servers.push(ip(words.next().unwrap_or_default()).map_err(at)?);
            }
            Some("search" | "domain") => {
                dns.search = words.map(Hostname::parse).collect::<Result<_, _>>().map_err(at)?;
            }
            Some(_) | None => {}
        }
    }
    Ok(dns)
}
