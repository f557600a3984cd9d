//! `networkd.db`: the network that an old host brings up when it starts, as JSON. A map of
//! interfaces with their addresses, and a map of bridges with their ports.
//!
//! What is optional may be absent, null, a list of none or one, or the thing itself: the file has
//! been written in all of these ways.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::CarryError;
use super::network::{Carrier, Old, bond_mode, gateway};
use super::texts::{Texts, in_file, json};
use crate::answers::{Dns, Ipv4, Ipv6};
use crate::values::{Cidr, Hostname, Mac, ValueError, VlanId, ip, ipv4, ipv6};

/// Where it is: current hosts, and the first that had it.
pub(super) const PATHS: [&str; 2] = ["var/lib/xcp/networkd.db", "var/xapi/networkd.db"];

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    interface_config: BTreeMap<String, Interface>,
    #[serde(default)]
    bridge_config: BTreeMap<String, Bridge>,
}

#[derive(Default, Deserialize)]
struct Interface {
    #[serde(default)]
    ipv4_conf: Conf,
    #[serde(default)]
    ipv4_gateway: May<String>,
    #[serde(default)]
    ipv6_conf: Conf,
    #[serde(default)]
    ipv6_gateway: May<String>,
    #[serde(default)]
    ipv4_routes: Vec<serde_json::Value>,
    #[serde(default)]
    dns: (Vec<String>, Vec<String>),
    #[serde(default)]
    mtu: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Bridge {
    #[serde(default)]
    ports: BTreeMap<String, Port>,
    /// Of another bridge, with this number.
    #[serde(default)]
    vlan: May<(String, u64)>,
    #[serde(default, rename = "bridge_mac")]
    mac: May<String>,
}

#[derive(Deserialize)]
struct Port {
    #[serde(default)]
    interfaces: Vec<String>,
    #[serde(default)]
    bond_properties: BTreeMap<String, String>,
}

/// A word, or a word with addresses: `"DHCP4"`, `["Static4", [["192.0.2.10", 24]]]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Conf {
    Word(String),
    Addresses(String, Vec<(String, u64)>),
}

impl Default for Conf {
    fn default() -> Self {
        Self::Word("None".to_owned())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum May<T> {
    One(T),
    List(Vec<T>),
    Null(()),
}

impl<T> Default for May<T> {
    fn default() -> Self {
        Self::Null(())
    }
}

impl<T> May<T> {
    fn get(&self) -> Option<&T> {
        match self {
            Self::One(one) => Some(one),
            Self::List(list) => list.first(),
            Self::Null(()) => None,
        }
    }
}

/// The management network; `None` where there is no such file.
pub(super) fn read(
    texts: Texts<'_>,
    management: &str,
    notes: &mut Vec<String>,
) -> Result<Option<Old>, CarryError> {
    for path in PATHS {
        if let Some(text) = texts.text(path)? {
            let config: Config = serde_json::from_str(text).map_err(|e| json(path, &e))?;
            return Reader { path, config, notes }.old(management).map(Some);
        }
    }
    Ok(None)
}

struct Reader<'n> {
    path: &'static str,
    config: Config,
    notes: &'n mut Vec<String>,
}

impl Reader<'_> {
    fn wrong(&self, what: impl std::fmt::Display) -> CarryError {
        in_file(self.path, what)
    }

    fn old(&mut self, management: &str) -> Result<Old, CarryError> {
        let bridges = &self.config.bridge_config;
        let none = || in_file(self.path, format!("it has no bridge {management:?}"));
        let bridge = bridges.get(management).ok_or_else(none)?;
        let (below, vlan) = match bridge.vlan.get() {
            Some((parent, id)) => {
                let none = || in_file(self.path, format!("it has no bridge {parent:?}"));
                let id = VlanId::new(*id).map_err(|e| self.wrong(e))?;
                (bridges.get(parent).ok_or_else(none)?, Some(id))
            }
            None => (bridge, None),
        };
        let ports: Vec<&Port> =
            below.ports.values().filter(|port| !port.interfaces.is_empty()).collect();
        let [port] = ports[..] else {
            let what = format!("{} ports carry the management bridge, one is needed", ports.len());
            return Err(self.wrong(what));
        };
        let bridge_mac = below.mac.get().and_then(|mac| Mac::parse(mac).ok());
        let carrier = match &port.interfaces[..] {
            [name] => Carrier::One { name: name.clone(), bridge_mac },
            names => {
                let mode = port.bond_properties.get("mode").map_or("balance-slb", String::as_str);
                let mode = bond_mode(mode, self.notes).map_err(|e| in_file(self.path, e))?;
                Carrier::Bond { names: names.to_vec(), mode }
            }
        };
        let mtu_below = |name: &String| self.config.interface_config.get(name)?.mtu;
        let fallback = Interface::default();
        let addresses = self.config.interface_config.get(management).unwrap_or(&fallback);
        let mtu = addresses.mtu.or_else(|| port.interfaces.iter().find_map(mtu_below));
        let (ipv4, more4) = in_4(addresses).map_err(|e| in_file(self.path, e))?;
        let (ipv6, more6) = in_6(addresses).map_err(|e| in_file(self.path, e))?;
        let dns = dns(&addresses.dns).map_err(|e| in_file(self.path, e))?;
        let routes = addresses.ipv4_routes.len();
        let others: Vec<String> = bridges
            .keys()
            .filter(|name| *name != management && bridge.vlan.get().is_none_or(|v| v.0 != **name))
            .map(|name| format!("network {name:?}: only the management network moves"))
            .collect();
        for more in more4.iter().chain(&more6) {
            self.notes.push(format!("the further management address {more:?}"));
        }
        if 0 < routes {
            self.notes.push(format!("{routes} static routes of the management network"));
        }
        self.notes.extend(others);
        Ok(Old { path: self.path.to_owned(), carrier, vlan, ipv4, ipv6, mtu, dns })
    }
}

type More = Vec<String>;

fn in_4(conf: &Interface) -> Result<(Ipv4, More), ValueError> {
    match &conf.ipv4_conf {
        Conf::Word(word) => match word.as_str() {
            "DHCP4" => Ok((Ipv4::Dhcp, Vec::new())),
            "None4" | "None" => Ok((Ipv4::None, Vec::new())),
            other => Err(unknown("ipv4_conf", other)),
        },
        Conf::Addresses(word, all) if word == "Static4" => {
            let (first, more) = first(all)?;
            let address = Cidr::v4(&first)?;
            let via = conf.ipv4_gateway.get().map(|text| ipv4(text)).transpose()?;
            Ok((Ipv4::Static { address, gateway: gateway(address, via)? }, more))
        }
        Conf::Addresses(word, _) => Err(unknown("ipv4_conf", word)),
    }
}

fn in_6(conf: &Interface) -> Result<(Ipv6, More), ValueError> {
    match &conf.ipv6_conf {
        Conf::Word(word) => match word.as_str() {
            "DHCP6" => Ok((Ipv6::Dhcp, Vec::new())),
            "Autoconf6" => Ok((Ipv6::Auto, Vec::new())),
            "None6" | "Linklocal6" | "None" => Ok((Ipv6::None, Vec::new())),
            other => Err(unknown("ipv6_conf", other)),
        },
        Conf::Addresses(word, all) if word == "Static6" => {
            let (first, more) = first(all)?;
            let address = Cidr::v6(&first)?;
            let via = conf.ipv6_gateway.get().map(|text| ipv6(text)).transpose()?;
            Ok((Ipv6::Static { address, gateway: gateway(address, via)? }, more))
        }
        Conf::Addresses(word, _) => Err(unknown("ipv6_conf", word)),
    }
}

fn unknown(key: &str, word: &str) -> ValueError {
    ValueError::new(format!("{key} is {word:?}, which is not known"))
}

/// The address that the host is known by, and the others.
fn first(all: &[(String, u64)]) -> Result<(String, More), ValueError> {
    let mut written = all.iter().map(|(address, prefix)| format!("{address}/{prefix}"));
    let first = written.next().ok_or_else(|| ValueError::new("a static address is missing"))?;
    Ok((first, written.collect()))
}

fn dns((servers, domains): &(Vec<String>, Vec<String>)) -> Result<Dns, ValueError> {
    let servers: Vec<IpAddr> = servers.iter().map(|text| ip(text)).collect::<Result<_, _>>()?;
    let search = domains.iter().map(|text| Hostname::parse(text)).collect::<Result<_, _>>()?;
    Ok(Dns { servers, search })
}
