//! The network of dom0, as files of systemd-networkd: one bridge for guests and management, on an
//! interface, a bond or a VLAN.
//!
//! Every link that carries only frames has no address of its own. The bridge takes the address of
//! the first interface, so that a DHCP server sees one machine and gives it the address it knows.

use std::fmt::Write as _;

use super::TargetFile;
use crate::answers::{Bond, BondMode, Ipv4, Ipv6, Link, Management, Network, NicMatch, Ntp, Vlan};
use crate::values::{Cidr, LinkName, Mac};

mod services;

use services::{proxy, time};

/// The bridge that guests and management share.
const BRIDGE: &str = "xenbr0";
const FOLDER: &str = "etc/systemd/network";

/// All files that the network needs, with its names and its clock.
pub(super) fn network(network: &Network) -> Vec<TargetFile> {
    let Network { links, management, dns: _, ntp, proxy: over } = network;
    let mac = first_mac(network, &management.on);
    let mut files = vec![bridge_device(mac)];
    for (name, link) in links {
        let user = user_of(network, name);
        match link {
            Link::Interface(nic) => files.push(interface(name, nic, &user, management)),
            Link::Bond(bond) => files.extend(bond_files(name, bond, mac, &user, management)),
            Link::Vlan(vlan) => files.extend(vlan_files(name, vlan, &user, management)),
        }
    }
    files.push(bridge_network(network));
    files.extend(time(ntp));
    files.extend(proxy(over.as_ref()));
    files
}

/// What a link carries.
enum User<'n> {
    Bridge,
    Bond(&'n LinkName),
    Vlan(&'n LinkName),
}

/// Each link has one user, which [`Network`] promises.
fn user_of<'n>(network: &'n Network, name: &LinkName) -> User<'n> {
    for (other, link) in &network.links {
        match link {
            Link::Bond(bond) if bond.members.contains(name) => return User::Bond(other),
            Link::Vlan(vlan) if vlan.parent == *name => return User::Vlan(other),
            Link::Interface(_) | Link::Bond(_) | Link::Vlan(_) => {}
        }
    }
    User::Bridge
}

/// The address of the interface at the bottom, or of the first of several.
fn first_mac(network: &Network, on: &LinkName) -> Option<Mac> {
    // At most a VLAN on a bond of interfaces.
    let mut name = on;
    for _ in 0..3 {
        match network.links.get(name)? {
            Link::Interface(nic) => return nic.mac,
            Link::Bond(bond) => name = bond.members.first()?,
            Link::Vlan(vlan) => name = &vlan.parent,
        }
    }
    None
}

fn file(name: &str, text: String) -> TargetFile {
    TargetFile::named(&format!("{FOLDER}/{name}"), 0o644, text)
}

fn mac_line(mac: Option<Mac>) -> String {
    mac.map(|mac| format!("MACAddress={mac}\n")).unwrap_or_default()
}

fn bridge_device(mac: Option<Mac>) -> TargetFile {
    let text = format!(
        "[NetDev]\n\
         Name={BRIDGE}\n\
         Kind=bridge\n\
         {}\
         \n\
         [Bridge]\n\
         STP=no\n",
        mac_line(mac)
    );
    file("10-xenbr0.netdev", text)
}

/// The part of a link's own file that says what it carries.
fn carries(user: &User<'_>, management: &Management) -> String {
    let mtu = management.mtu.map(|mtu| format!("MTUBytes={mtu}\n")).unwrap_or_default();
    let line = match user {
        User::Bridge => format!("Bridge={BRIDGE}\n"),
        User::Bond(name) => format!("Bond={name}\n"),
        User::Vlan(name) => format!("VLAN={name}\n"),
    };
    // A link below a VLAN has no address of its own, and none from a router either.
    let quiet = match user {
        User::Vlan(_) => "IPv6AcceptRA=no\nConfigureWithoutCarrier=yes\n",
        User::Bridge | User::Bond(_) => "",
    };
    format!(
        "\n\
         [Link]\n\
         RequiredForOnline=no\n\
         {mtu}\
         \n\
         [Network]\n\
         {line}\
         LinkLocalAddressing=no\n\
         {quiet}"
    )
}

fn interface(
    name: &LinkName,
    nic: &NicMatch,
    user: &User<'_>,
    management: &Management,
) -> TargetFile {
    let mut text = String::from("[Match]\n");
    let NicMatch { mac, driver, path, name: by_name } = nic;
    let globs = [("Driver", driver), ("Path", path), ("Name", by_name)];
    match (mac, user) {
        // A bond gives all its members one address; what the card was made with stays.
        (Some(mac), User::Bond(_)) => put(&mut text, &format!("PermanentMACAddress={mac}")),
        (Some(mac), User::Bridge | User::Vlan(_)) => put(&mut text, &format!("MACAddress={mac}")),
        (None, _) => {}
    }
    for (key, glob) in globs {
        if let Some(glob) = glob {
            put(&mut text, &format!("{key}={}", glob.as_str()));
        }
    }
    // Bridge, bond and VLAN have the same address: the type keeps them from being taken for it.
    put(&mut text, "Type=ether");
    text.push_str(&carries(user, management));
    file(&format!("20-{name}.network"), text)
}

fn bond_files(
    name: &LinkName,
    bond: &Bond,
    mac: Option<Mac>,
    user: &User<'_>,
    management: &Management,
) -> Vec<TargetFile> {
    let mode = match bond.mode {
        BondMode::ActiveBackup => "Mode=active-backup\n",
        BondMode::Lacp => "Mode=802.3ad\nTransmitHashPolicy=layer3+4\nLACPTransmitRate=slow\n",
    };
    let device = format!(
        "[NetDev]\n\
         Name={name}\n\
         Kind=bond\n\
         {}\
         \n\
         [Bond]\n\
         {mode}\
         MIIMonitorSec=100ms\n",
        mac_line(mac)
    );
    vec![
        file(&format!("10-{name}.netdev"), device),
        file(&format!("20-{name}.network"), matched(name, user, management)),
    ]
}

fn vlan_files(
    name: &LinkName,
    vlan: &Vlan,
    user: &User<'_>,
    management: &Management,
) -> Vec<TargetFile> {
    let device = format!(
        "[NetDev]\n\
         Name={name}\n\
         Kind=vlan\n\
         \n\
         [VLAN]\n\
         Id={}\n",
        vlan.id.get()
    );
    vec![
        file(&format!("10-{name}.netdev"), device),
        file(&format!("20-{name}.network"), matched(name, user, management)),
    ]
}

fn matched(name: &LinkName, user: &User<'_>, management: &Management) -> String {
    format!("[Match]\nName={name}\n{}", carries(user, management))
}

fn bridge_network(network: &Network) -> TargetFile {
    let Network { links: _, management, dns, ntp, proxy: _ } = network;
    let mut text = format!("[Match]\nName={BRIDGE}\n\n");
    if let Some(mtu) = management.mtu {
        put(&mut text, &format!("[Link]\nMTUBytes={mtu}\n"));
    }
    put(&mut text, "[Network]");
    let (v4, v6) = (management.ipv4, management.ipv6);
    let dhcp = match (v4, v6) {
        (Ipv4::Dhcp, Ipv6::Dhcp) => Some("yes"),
        (Ipv4::Dhcp, Ipv6::Auto | Ipv6::None | Ipv6::Static { .. }) => Some("ipv4"),
        (Ipv4::None | Ipv4::Static { .. }, Ipv6::Dhcp) => Some("ipv6"),
        (Ipv4::None | Ipv4::Static { .. }, _) => None,
    };
    if let Some(dhcp) = dhcp {
        put(&mut text, &format!("DHCP={dhcp}"));
    }
    put(&mut text, "LinkLocalAddressing=ipv6");
    let advertised = match v6 {
        Ipv6::Auto | Ipv6::Dhcp => "yes",
        Ipv6::None | Ipv6::Static { .. } => "no",
    };
    put(&mut text, &format!("IPv6AcceptRA={advertised}"));
    put(&mut text, "ConfigureWithoutCarrier=yes");
    if let Ipv4::Static { address, gateway } = v4 {
        addresses(&mut text, address, gateway.map(|g| g.to_string()));
    }
    if let Ipv6::Static { address, gateway } = v6 {
        addresses(&mut text, address, gateway.map(|g| g.to_string()));
    }
    for server in &dns.servers {
        put(&mut text, &format!("DNS={server}"));
    }
    if !dns.search.is_empty() {
        let names: Vec<&str> = dns.search.iter().map(crate::values::Hostname::as_str).collect();
        put(&mut text, &format!("Domains={}", names.join(" ")));
    }
    // Servers of a lease would come before those of the answers.
    let own_time = matches!(ntp, Ntp::Servers(_));
    if dhcp.is_some() {
        put(&mut text, "\n[DHCPv4]\nClientIdentifier=mac\nUseHostname=no");
        if own_time {
            put(&mut text, "UseNTP=no");
        }
    }
    if v6 == Ipv6::Dhcp {
        // Also where the routers do not say that there is a server.
        put(&mut text, "\n[DHCPv6]\nUseHostname=no");
        if own_time {
            put(&mut text, "UseNTP=no");
        }
        put(&mut text, "\n[IPv6AcceptRA]\nDHCPv6Client=always");
    }
    file("30-xenbr0.network", text)
}

fn addresses(text: &mut String, address: Cidr, gateway: Option<String>) {
    put(text, &format!("Address={address}"));
    if let Some(gateway) = gateway {
        put(text, &format!("Gateway={gateway}"));
    }
}

fn put(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a String takes all that is written to it");
}

#[cfg(test)]
mod tests;
