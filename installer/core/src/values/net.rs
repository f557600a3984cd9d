//! Addresses and names of a network.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use super::{Hostname, ValueError};

/// An address with the length of its network's prefix: `192.0.2.10/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    /// At most 32 or 128, by the family.
    prefix: u8,
}

impl Cidr {
    pub fn v4(text: &str) -> Result<Self, ValueError> {
        let cidr = Self::parse(text, "192.0.2.10/24", |t| t.parse().ok().map(IpAddr::V4), 32)?;
        let IpAddr::V4(address) = cidr.address else { return Ok(cidr) };
        let why = if address.is_unspecified() || address.octets().first() == Some(&0) {
            "it is in the network 0"
        } else if address.is_multicast() || address.is_broadcast() {
            "it is no address of one host"
        } else if address.is_loopback() {
            "it is a loopback address"
        } else if cidr.prefix < 31 && cidr.is_network_or_broadcast(address) {
            "it is the address of the network itself or its broadcast address"
        } else {
            return Ok(cidr);
        };
        Err(ValueError::new(format!("`{text}` cannot be a host's address: {why}")))
    }

    pub fn v6(text: &str) -> Result<Self, ValueError> {
        let cidr = Self::parse(text, "2001:db8::10/64", |t| t.parse().ok().map(IpAddr::V6), 128)?;
        let IpAddr::V6(address) = cidr.address else { return Ok(cidr) };
        if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
            return Err(ValueError::new(format!("`{text}` cannot be a host's address")));
        }
        Ok(cidr)
    }

    /// From an address and a netmask, as `XenServer`'s answers give them.
    pub fn v4_with_mask(address: &str, mask: &str) -> Result<Self, ValueError> {
        let bits = ipv4(mask)?.to_bits();
        if bits.leading_ones() != bits.count_ones() || bits == 0 {
            return Err(ValueError::new(format!(
                "`{mask}` is not a netmask: ones, then zeros, such as 255.255.255.0"
            )));
        }
        ipv4(address)?;
        Self::v4(&format!("{address}/{}", bits.count_ones()))
    }

    fn parse(
        text: &str,
        example: &str,
        address: impl FnOnce(&str) -> Option<IpAddr>,
        most: u8,
    ) -> Result<Self, ValueError> {
        let no = |why: String| {
            ValueError::new(format!("`{text}` is not an address with its prefix: {why}"))
                .hint(format!("for example {example}"))
        };
        let (host, prefix) =
            text.split_once('/').ok_or_else(|| no("the length of the prefix is missing".into()))?;
        let Some(address) = address(host) else {
            return Err(no(format!("`{host}` is not an address of this family")));
        };
        let digits = prefix.bytes().all(|b| b.is_ascii_digit());
        match prefix.parse::<u8>() {
            Ok(prefix) if digits && 1 <= prefix && prefix <= most => Ok(Self { address, prefix }),
            _ => Err(no(format!("`{prefix}` is not from 1 to {most}"))),
        }
    }

    fn is_network_or_broadcast(self, address: Ipv4Addr) -> bool {
        let host = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
        let bits = address.to_bits() & host;
        bits == 0 || bits == host
    }

    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// Whether another address is in the same network.
    pub fn holds(self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let mask = !u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                a.to_bits() & mask == b.to_bits() & mask
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let mask = !u128::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                a.to_bits() & mask == b.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Cidr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub fn ipv4(text: &str) -> Result<Ipv4Addr, ValueError> {
    text.parse().map_err(|_| ValueError::new(format!("`{text}` is not an IPv4 address")))
}

pub fn ipv6(text: &str) -> Result<Ipv6Addr, ValueError> {
    text.parse().map_err(|_| ValueError::new(format!("`{text}` is not an IPv6 address")))
}

/// An address of either family, such as a name server's.
pub fn ip(text: &str) -> Result<IpAddr, ValueError> {
    text.parse().map_err(|_| ValueError::new(format!("`{text}` is not an IP address")))
}

/// A machine on the network: a name or an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Server(String);

impl Server {
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        if text.parse::<IpAddr>().is_err() {
            Hostname::parse(text)?;
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of an interface, bond or VLAN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct LinkName(String);

impl LinkName {
    /// What Linux takes (`IFNAMSIZ`), as far as every tool takes it too.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let no = |why: &str| {
            Err(ValueError::new(format!("`{text}` is not a name for an interface: {why}")))
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if text.is_empty() || 15 < text.len() || !text.chars().all(allowed) {
            return no("1 to 15 of the characters A-Z a-z 0-9 . _ -");
        }
        if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return no("it does not begin with a letter");
        }
        if ["lo", "all", "default", "none", "xenbr0"].contains(&text) {
            return no("the name has a meaning already");
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pattern with `*` and `?`, as udev and networkd match names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._:-*?".contains(c);
        if text.is_empty() || 128 < text.len() || !text.chars().all(allowed) {
            return Err(ValueError::new(format!(
                "`{text}` is not a pattern: letters, digits and . _ : - with * and ? are"
            )));
        }
        Ok(Self(text.to_owned()))
    }

    /// The same for names of products, which hold spaces and more.
    pub fn loose(text: &str) -> Result<Self, ValueError> {
        if text.trim().is_empty() || 128 < text.len() || text.chars().any(char::is_control) {
            return Err(ValueError::new("1 to 128 characters are needed, without line breaks"));
        }
        Ok(Self(text.trim().to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole text matches. One look back is enough for `*` (no stack, no blow-up).
    pub fn matches(&self, text: &str) -> bool {
        let (glob, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut g, mut t, mut star) = (0_usize, 0_usize, None::<(usize, usize)>);
        while t < text.len() {
            match glob.get(g) {
                Some(b'*') => {
                    star = Some((g, t));
                    g = g.saturating_add(1);
                }
                Some(c) if *c == b'?' || text.get(t) == Some(c) => {
                    g = g.saturating_add(1);
                    t = t.saturating_add(1);
                }
                Some(_) | None => {
                    let Some((at, from)) = star else { return false };
                    star = Some((at, from.saturating_add(1)));
                    (g, t) = (at.saturating_add(1), from.saturating_add(1));
                }
            }
        }
        glob.get(g..).unwrap_or_default().iter().all(|c| *c == b'*')
    }
}

/// The number of a VLAN, 1 to 4094.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct VlanId(u16);

impl VlanId {
    pub fn new(number: u64) -> Result<Self, ValueError> {
        match u16::try_from(number) {
            Ok(id @ 1..=4094) => Ok(Self(id)),
            _ => Err(ValueError::new(format!("{number} is not the number of a VLAN, 1..4094"))),
        }
    }

    pub const fn get(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["192.0.2.10/24", "10.0.0.1/8", "192.0.2.0/31", "192.0.2.7/32"] {
            assert_eq!(Cidr::v4(good).unwrap().to_string(), good);
        }
        for bad in [
            "10.0.0.300/24",
            "192.0.2.10",
            "192.0.2.10/33",
            "192.0.2.10/0",
            "192.0.2.0/24",
            "192.0.2.255/24",
            "127.0.0.1/8",
            "0.0.0.0/0",
            "224.0.0.1/24",
            "192.0.2.10/+24",
            "2001:db8::1/64",
            "",
            "/",
            "1.2.3.4/ 24",
        ] {
            assert!(Cidr::v4(bad).is_err(), "{bad}");
        }
        assert!(Cidr::v6("2001:db8::1/64").is_ok());
        assert!(Cidr::v6("ff02::1/64").is_err() && Cidr::v6("192.0.2.1/24").is_err());
    }

    #[test]
    fn networks() {
        let net = Cidr::v4("192.0.2.10/24").unwrap();
        assert!(net.holds(ip("192.0.2.1").unwrap()) && !net.holds(ip("192.0.3.1").unwrap()));
        let net = Cidr::v6("2001:db8::10/64").unwrap();
        assert!(net.holds(ip("2001:db8::1").unwrap()) && !net.holds(ip("2001:db8:1::1").unwrap()));
        assert_eq!(
            Cidr::v4_with_mask("192.0.2.10", "255.255.255.0").unwrap().to_string(),
            "192.0.2.10/24"
        );
        for mask in ["255.0.255.0", "0.0.0.0", "24", "255.255.255.256"] {
            assert!(Cidr::v4_with_mask("192.0.2.10", mask).is_err(), "{mask}");
        }
    }

    #[test]
    fn names_and_patterns() {
        for bad in ["", "xenbr0", "lo", "0eth", "a/b", "a b", "sixteen-letters-x"] {
            assert!(LinkName::parse(bad).is_err(), "{bad}");
        }
        let glob = |g: &str, t: &str| Glob::parse(g).unwrap().matches(t);
        assert!(
            glob("pci-0000:0?:*", "pci-0000:01:00.0") && glob("*", "") && glob("a*b*c", "axbbc")
        );
        assert!(!glob("ixgbe", "ixgbevf") && !glob("a*b", "abc") && !glob("?", ""));
        assert!(Glob::parse("a b").is_err());
        assert!(VlanId::new(0).is_err() && VlanId::new(4095).is_err() && VlanId::new(4094).is_ok());
    }
}
