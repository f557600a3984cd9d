//! `<admin-interface>`, name servers and time servers.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::element::{Element, join, value};
use crate::answers::reachable;
use crate::answers::{Dns, Ipv4, Ipv6, Link, Management, Network, NicMatch, Ntp, Vlan};
use crate::problem::{Problem, Problems};
use crate::values::{
    Cidr, Glob, LinkName, Mac, Server, ValueError, VlanId, ip, ipv4 as parse_ipv4,
    ipv6 as parse_ipv6,
};

const INTERFACE: &str = "management";

pub(super) fn network(root: &mut Element<'_, '_>, problems: &mut Problems) -> Option<Network> {
    let interface = root.one("admin-interface", problems);
    let servers: Option<Vec<IpAddr>> = ["name-server", "nameserver"]
        .into_iter()
        .flat_map(|name| root.all(name))
        .map(|element| element.value(problems, ip))
        .collect();
    let Some(mut interface) = interface else {
        root.refuse(problems, "`admin-interface` is missing", "");
        ntp(root, Ipv4::Dhcp, problems);
        return None;
    };
    let nic = nic(&mut interface, problems);
    let vlan = interface.attribute("vlan").map(|text| {
        value(text, &join(interface.path(), "vlan"), problems, |text| {
            text.parse().map_err(|_| outside(text)).and_then(VlanId::new)
        })
    });
    let ipv4 = ipv4(&mut interface, problems);
    let ipv6 = ipv6(&mut interface, problems);
    if (ipv4, ipv6) == (Some(Ipv4::None), Some(Ipv6::None)) {
        let what = "neither proto nor protov6: nobody could reach this host";
        interface.refuse(problems, what, "");
    }
    interface.finish(problems);
    let ntp = ntp(root, ipv4.unwrap_or_default(), problems);
    let (nic, ipv4, ipv6, servers, ntp) = (nic?, ipv4?, ipv6?, servers?, ntp?);
    let name = LinkName::parse(INTERFACE).expect("a name that the grammar takes");
    let mut links = BTreeMap::from([(name.clone(), Link::Interface(nic))]);
    let mut on = name.clone();
    if let Some(id) = vlan {
        let id = id?;
        on = LinkName::parse(&format!("vlan{}", id.get())).expect("a short name of letters");
        links.insert(on.clone(), Link::Vlan(Vlan { parent: name, id }));
    }
    let management = Management { on, ipv4, ipv6, mtu: None };
    let dns = Dns { servers, search: Vec::new() };
    Some(Network { links, management, dns, ntp, proxy: None })
}

fn outside(text: &str) -> ValueError {
    ValueError::new(format!("`{text}` is not the number of a VLAN, 1..4094"))
}

fn nic(interface: &mut Element<'_, '_>, problems: &mut Problems) -> Option<NicMatch> {
    let (name, mac) = (interface.attribute("name"), interface.attribute("hwaddr"));
    if let Some(text) = mac {
        let mac = value(text, &join(interface.path(), "hwaddr"), problems, Mac::parse)?;
        return Some(NicMatch { mac: Some(mac), ..NicMatch::default() });
    }
    let Some((at, name)) = name else {
        interface.refuse(problems, "`hwaddr` is missing, or `name`", "");
        return None;
    };
    let what =
        format!("`{name}` was the old installer's own count; here it is the name that udev gives");
    let problem = Problem::new(at, interface.path(), what);
    problems.warn(problem.hint("`hwaddr` names the interface whatever it is called"));
    let name = value((at, name), &join(interface.path(), "name"), problems, Glob::parse)?;
    Some(NicMatch { name: Some(name), ..NicMatch::default() })
}

fn ipv4(interface: &mut Element<'_, '_>, problems: &mut Problems) -> Option<Ipv4> {
    let address = interface.one_of(&["ipaddr", "ip"], problems);
    let mask = interface.one_of(&["subnet", "subnet-mask"], problems);
    let gateway = interface.one("gateway", problems);
    let proto = interface.attribute("proto");
    let fixed = address.is_some() || mask.is_some() || gateway.is_some();
    match proto.as_ref().map(|(_, text)| text.as_str()) {
        Some("static") => {}
        Some("dhcp" | "none") if fixed => {
            let what = "conflict: an address is given, and proto is not static; the old installer \
                        ignored the address";
            interface.refuse(problems, what, "");
            return None;
        }
        Some("dhcp") => return Some(Ipv4::Dhcp),
        Some("none") => return Some(Ipv4::None),
        Some(_) | None => {
            let at = proto.map_or(interface.at(), |(at, _)| at);
            let what = "`proto` is needed: static, dhcp or none";
            let problem = Problem::new(at, join(interface.path(), "proto"), what);
            problems.push(problem.allowed(["static", "dhcp", "none"]));
            return None;
        }
    }
    let (Some(address), Some(mask), Some(gateway)) = (address, mask, gateway) else {
        let what = "proto=\"static\" needs `ipaddr`, `subnet` and `gateway`";
        interface.refuse(problems, what, "");
        return None;
    };
    let mask_text = mask.text();
    // Whichever of the two is wrong, the message names it.
    let cidr = address.value(problems, |text| Cidr::v4_with_mask(text, &mask_text));
    let way = gateway.value(problems, parse_ipv4);
    let (cidr, way) = (cidr?, way?);
    if let Err(error) = reachable(cidr, way.into()) {
        gateway.refuse(problems, &error.what, "");
        return None;
    }
    Some(Ipv4::Static { address: cidr, gateway: Some(way) })
}

fn ipv6(interface: &mut Element<'_, '_>, problems: &mut Problems) -> Option<Ipv6> {
    let address = interface.one("ipv6", problems);
    let gateway = interface.one("gatewayv6", problems);
    let proto = interface.attribute("protov6");
    match proto.as_ref().map(|(_, text)| text.as_str()) {
        Some("static") => {}
        None | Some("none" | "dhcp" | "autoconf") if address.is_some() || gateway.is_some() => {
            let what = "conflict: an IPv6 address is given, and protov6 is not static";
            interface.refuse(problems, what, "");
            return None;
        }
        None | Some("none") => return Some(Ipv6::None),
        Some("dhcp") => return Some(Ipv6::Dhcp),
        Some("autoconf") => return Some(Ipv6::Auto),
        Some(other) => {
            let at = proto.as_ref().map_or(interface.at(), |(at, _)| *at);
            let what = format!("`{other}` is not static, dhcp, autoconf or none");
            let problem = Problem::new(at, join(interface.path(), "protov6"), what);
            problems.push(problem.allowed(["static", "dhcp", "autoconf", "none"]));
            return None;
        }
    }
    let Some(address) = address else {
        interface.refuse(problems, "protov6=\"static\" needs `ipv6`", "");
        return None;
    };
    let cidr = address.value(problems, Cidr::v6)?;
    let gateway = match gateway {
        None => None,
        Some(element) => {
            let way = element.value(problems, parse_ipv6)?;
            if let Err(error) = reachable(cidr, way.into()) {
                element.refuse(problems, &error.what, "");
                return None;
            }
            Some(way)
        }
    };
    Some(Ipv6::Static { address: cidr, gateway })
}

/// Without `<ntp>` the old installer chose by what else was there.
fn ntp(root: &mut Element<'_, '_>, ipv4: Ipv4, problems: &mut Problems) -> Option<Ntp> {
    let elements: Vec<Element<'_, '_>> =
        ["ntp-server", "ntp-servers"].into_iter().flat_map(|name| root.all(name)).collect();
    let servers: Option<Vec<Server>> =
        elements.iter().map(|element| element.value(problems, Server::parse)).collect();
    let servers = servers?;
    let Some(mut ntp) = root.one("ntp", problems) else {
        if !servers.is_empty() {
            return Some(Ntp::Servers(servers));
        }
        return Some(if ipv4 == Ipv4::Dhcp { Ntp::Dhcp } else { Ntp::Default });
    };
    let source = ntp.attribute("source");
    let word = source.as_ref().map(|(_, text)| text.clone()).unwrap_or_default();
    let answer = match (word.as_str(), servers.is_empty()) {
        ("manual", false) => Some(Ntp::Servers(servers)),
        ("default", true) => Some(Ntp::Default),
        ("none", true) => Some(Ntp::None),
        ("dhcp", true) if ipv4 == Ipv4::Dhcp => Some(Ntp::Dhcp),
        ("dhcp", true) => {
            let what = "source=\"dhcp\" needs an interface with proto=\"dhcp\"";
            ntp.refuse(problems, what, "`default`, or `manual` with servers");
            None
        }
        ("manual", true) => {
            ntp.refuse(problems, "source=\"manual\" needs `ntp-server`", "");
            None
        }
        ("default" | "none" | "dhcp", false) => {
            let what = format!("conflict: source is `{word}`, and servers are listed");
            ntp.refuse(problems, &what, "source=\"manual\" takes the servers");
            None
        }
        _ => {
            ntp.refuse(problems, "source is needed: dhcp, default, manual or none", "");
            None
        }
    };
    ntp.finish(problems);
    answer
}
