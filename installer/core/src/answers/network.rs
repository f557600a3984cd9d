//! What the answers say about the network.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::values::{Cidr, Glob, Hostname, LinkName, Mac, ProxyUrl, Server, VlanId};

/// The network of dom0. Invariant: every name that a link or the management refers to is in
/// `links`, nothing refers to itself through others, and each interface serves one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Network {
    pub links: BTreeMap<LinkName, Link>,
    pub management: Management,
    pub dns: Dns,
    pub ntp: Ntp,
    pub proxy: Option<ProxyUrl>,
}

/// One thing that frames go through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    Interface(NicMatch),
    Bond(Bond),
    Vlan(Vlan),
}

/// Which Ethernet interface is meant. Rules that all have to match; at least one is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NicMatch {
    pub mac: Option<Mac>,
    pub driver: Option<Glob>,
    /// As udev's `ID_PATH` names the place: `pci-0000:00:03.0`.
    pub path: Option<Glob>,
    /// The name that the kernel or udev gives.
    pub name: Option<Glob>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bond {
    /// At least two, all of them interfaces.
    pub members: Vec<LinkName>,
    pub mode: BondMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BondMode {
    ActiveBackup,
    /// IEEE 802.3ad.
    Lacp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Vlan {
    /// An interface or a bond.
    pub parent: LinkName,
    pub id: VlanId,
}

/// The bridge that guests and management share, and its addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Management {
    /// The link that the bridge stands on.
    pub on: LinkName,
    pub ipv4: Ipv4,
    pub ipv6: Ipv6,
    /// In bytes.
    pub mtu: Option<u16>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ipv4 {
    #[default]
    Dhcp,
    None,
    Static {
        address: Cidr,
        gateway: Option<Ipv4Addr>,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ipv6 {
    /// Router advertisements.
    Auto,
    Dhcp,
    /// Only an address of the link itself.
    #[default]
    None,
    Static {
        address: Cidr,
        gateway: Option<Ipv6Addr>,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dns {
    /// Besides those that DHCP tells.
    pub servers: Vec<IpAddr>,
    pub search: Vec<Hostname>,
}

/// Who tells the time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ntp {
    /// What the image comes with.
    #[default]
    Default,
    /// Nobody: no time service runs.
    None,
    /// The servers that DHCP names, and no others.
    Dhcp,
    Servers(Vec<Server>),
}

impl Network {
    /// The simplest one: the bridge on one interface.
    pub fn on_interface(name: LinkName, nic: NicMatch, ipv4: Ipv4, ipv6: Ipv6) -> Self {
        let management = Management { on: name.clone(), ipv4, ipv6, mtu: None };
        Self {
            links: BTreeMap::from([(name, Link::Interface(nic))]),
            management,
            dns: Dns::default(),
            ntp: Ntp::default(),
            proxy: None,
        }
    }
}
