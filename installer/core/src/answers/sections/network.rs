//! `network`: the management bridge, its addresses, names and time.

use std::net::IpAddr;

use super::super::network::{Dns, Ipv4, Ipv6, Management, Network, Ntp};
use super::super::node::{Kind, Node};
use super::super::section::{Section, choice, list, number, value};
use super::links::{self, Links};
use super::or_default;
use crate::problem::{Problem, Problems};
use crate::values::{
    Cidr, Hostname, LinkName, ProxyUrl, Server, ValueError, ip, ipv4 as parse_ipv4,
    ipv6 as parse_ipv6,
};

pub(super) fn network(node: &Node, problems: &mut Problems) -> Option<Network> {
    let mut section = Section::open(node, "network", problems)?;
    section.later("backend", "not available yet: guests are on a Linux bridge");
    section.later("check", "not available yet");
    section.later("dhcp", "`management: {ipv4: dhcp}` asks for it");
    let mut links = links::links(&mut section, problems)?;
    let management = section
        .required("management", problems)
        .and_then(|node| management(node, &mut links, problems));
    let dns = or_default(section.optional("dns"), |node| dns(node, problems));
    let ntp_at = section.optional("ntp");
    let ntp = or_default(ntp_at, |node| ntp(node, problems));
    let proxy = or_default(section.optional("proxy"), |node| {
        super::super::section::secret(node, "network.proxy", problems, ProxyUrl::parse).map(Some)
    });
    section.finish(problems);
    let (management, dns) = (management?, dns?);
    let links = links::check(links, &management.on, problems)?;
    if let (Some(Ntp::Dhcp), Some(node), false) = (&ntp, ntp_at, asks_dhcp(&management)) {
        let what = "`dhcp` needs `management` with an address from DHCP: nobody names a server";
        problems.push(Problem::new(node.at, "network.ntp", what).allowed(["default", "none"]));
        return None;
    }
    let told =
        matches!(management.ipv4, Ipv4::Dhcp) || matches!(management.ipv6, Ipv6::Auto | Ipv6::Dhcp);
    if !told && dns.servers.is_empty() {
        let what = "nobody tells this host a name server";
        problems.warn(Problem::new(node.at, "network.dns", what).hint("`dns: {servers: […]}`"));
    }
    Some(Network { links, management, dns, ntp: ntp?, proxy: proxy? })
}

const fn asks_dhcp(management: &Management) -> bool {
    matches!(management.ipv4, Ipv4::Dhcp) || matches!(management.ipv6, Ipv6::Dhcp)
}

/// Bytes that every IPv4 link carries, and that large frames have.
pub(crate) const MTU: std::ops::RangeInclusive<u16> = 576..=9216;
/// What IPv6 needs (RFC 8200, section 5).
pub(crate) const MTU_MIN_IPV6: u16 = 1280;

fn management(node: &Node, links: &mut Links, problems: &mut Problems) -> Option<Management> {
    const PATH: &str = "network.management";
    let mut section = Section::open(node, PATH, problems)?;
    section.later("vlan", "name the VLAN in `network.vlans` and write `on: NAME` here");
    section.later("dns", "name servers are in `network.dns`");
    let on = management_on(&mut section, links, problems);
    let ipv4 = or_default(section.optional("ipv4"), |node| ipv4(node, problems));
    let ipv6 = or_default(section.optional("ipv6"), |node| ipv6(node, problems));
    let mtu = or_default(section.optional("mtu"), |node| {
        number(node, &format!("{PATH}.mtu"), problems, |n| match u16::try_from(n) {
            Ok(n) if MTU.contains(&n) => Ok(Some(n)),
            _ => Err(ValueError::new(format!("{n} is not from {} to {}", MTU.start(), MTU.end()))),
        })
    });
    section.finish(problems);
    let (ipv4, ipv6, mtu) = (ipv4?, ipv6?, mtu?);
    if ipv4 == Ipv4::None && ipv6 == Ipv6::None {
        let what = "neither ipv4 nor ipv6: nobody could reach this host";
        problems.push(Problem::new(node.at, PATH, what));
        return None;
    }
    if ipv6 != Ipv6::None && mtu.is_some_and(|mtu| mtu < MTU_MIN_IPV6) {
        let what = format!("IPv6 needs an mtu of at least {MTU_MIN_IPV6}");
        problems.push(Problem::new(node.at, format!("{PATH}.mtu"), what));
        return None;
    }
    Some(Management { on: on?, ipv4, ipv6, mtu })
}

/// The name that an interface gets which is described in `management` itself.
const OWN: &str = "management";

/// The link by its name, or the rules of an interface in place.
fn management_on(
    section: &mut Section<'_>,
    links: &mut Links,
    problems: &mut Problems,
) -> Option<LinkName> {
    let on = section.optional("on");
    let nic = links::nic_rules(section, problems);
    match (on, nic?) {
        (Some(node), None) => value(node, "network.management.on", problems, LinkName::parse),
        (None, Some(nic)) => {
            let name = LinkName::parse(OWN).expect("a name that the grammar takes");
            links.add_interface(name.clone(), section.at(), nic);
            Some(name)
        }
        (Some(node), Some(_)) => {
            let what = "conflict: `on` names a link, and rules for an interface are given too";
            problems.push(Problem::new(node.at, "network.management.on", what));
            None
        }
        (None, None) => {
            let what = "`mac` is missing, or `on` with a name of interfaces, bonds or vlans";
            problems.push(Problem::new(section.at(), "network.management", what));
            None
        }
    }
}

fn ipv4(node: &Node, problems: &mut Problems) -> Option<Ipv4> {
    const PATH: &str = "network.management.ipv4";
    if let Kind::Map(_) = node.kind {
        let (address, gateway) = fixed(node, PATH, problems, Cidr::v4, parse_ipv4)?;
        return Some(Ipv4::Static { address, gateway });
    }
    choice(node, PATH, problems, &[("dhcp", Ipv4::Dhcp), ("none", Ipv4::None)])
}

fn ipv6(node: &Node, problems: &mut Problems) -> Option<Ipv6> {
    const PATH: &str = "network.management.ipv6";
    if let Kind::Map(_) = node.kind {
        let (address, gateway) = fixed(node, PATH, problems, Cidr::v6, parse_ipv6)?;
        return Some(Ipv6::Static { address, gateway });
    }
    let words = [("auto", Ipv6::Auto), ("dhcp", Ipv6::Dhcp), ("none", Ipv6::None)];
    choice(node, PATH, problems, &words)
}

/// An address and its gateway, which must be in the same network.
fn fixed<T: Copy + Into<IpAddr>>(
    node: &Node,
    path: &str,
    problems: &mut Problems,
    cidr: fn(&str) -> Result<Cidr, ValueError>,
    gateway: fn(&str) -> Result<T, ValueError>,
) -> Option<(Cidr, Option<T>)> {
    let mut section = Section::open(node, path, problems)?;
    let address = section
        .required("address", problems)
        .and_then(|node| value(node, &format!("{path}.address"), problems, cidr));
    let way = section.optional("gateway");
    let at = format!("{path}.gateway");
    let gateway = or_default(way, |node| value(node, &at, problems, gateway).map(Some));
    section.finish(problems);
    let (address, gateway) = (address?, gateway?);
    if let (Some(node), Some(gateway)) = (way, gateway)
        && let Err(error) = reachable(address, gateway.into())
    {
        problems.push(Problem::new(node.at, at, error.what));
        return None;
    }
    Some((address, gateway))
}

/// A gateway is another machine in the same network; IPv6 has addresses of the link for that.
pub(crate) fn reachable(address: Cidr, gateway: IpAddr) -> Result<(), ValueError> {
    let of_link = matches!(gateway, IpAddr::V6(g) if g.is_unicast_link_local());
    if gateway == address.address() {
        return Err(ValueError::new(format!("the gateway {gateway} is the host's own address")));
    }
    if !of_link && !address.holds(gateway) {
        return Err(ValueError::new(format!(
            "the gateway {gateway} is not in the network of {address}"
        )));
    }
    Ok(())
}

fn dns(node: &Node, problems: &mut Problems) -> Option<Dns> {
    let mut section = Section::open(node, "network.dns", problems)?;
    let servers = or_default(section.optional("servers"), |node| {
        list(node, "network.dns.servers", problems, |n, path, p| value(n, path, p, ip))
    });
    let search = or_default(section.optional("search"), |node| {
        list(node, "network.dns.search", problems, |n, path, p| value(n, path, p, Hostname::parse))
    });
    section.finish(problems);
    Some(Dns { servers: servers?, search: search? })
}

fn ntp(node: &Node, problems: &mut Problems) -> Option<Ntp> {
    const PATH: &str = "network.ntp";
    if let Kind::List(items) = &node.kind {
        if items.is_empty() {
            let problem = Problem::new(node.at, PATH, "the list is empty");
            problems.push(problem.hint("`none` runs no time service"));
            return None;
        }
        let servers = list(node, PATH, problems, |n, path, p| value(n, path, p, Server::parse))?;
        return Some(Ntp::Servers(servers));
    }
    // Places, since the answers hold lists and are not copied.
    let words = [("default", 0), ("dhcp", 1), ("none", 2)];
    Some(match choice(node, PATH, problems, &words)? {
        0 => Ntp::Default,
        1 => Ntp::Dhcp,
        _ => Ntp::None,
    })
}
