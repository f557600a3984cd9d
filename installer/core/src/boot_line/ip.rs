//! `ip=`: how the installer environment reaches the network, as the kernel's own argument has it
//! (`Documentation/admin-guide/nfs/nfsroot.rst`).

use std::net::Ipv4Addr;

/// What `ip=` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ip {
    /// No network, whatever else is asked for.
    Off,
    /// An address from the network, on one interface or on the first that gets one.
    Dhcp {
        interface: Option<String>,
    },
    Static(StaticIp),
}

/// `CLIENT::GATEWAY:NETMASK:HOST:DEVICE:none[:DNS[:DNS]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticIp {
    pub address: Ipv4Addr,
    /// Bits of the network.
    pub prefix: u8,
    pub gateway: Option<Ipv4Addr>,
    pub interface: Option<String>,
    pub dns: Vec<Ipv4Addr>,
}

impl Ip {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" | "none" => return Ok(Self::Off),
            "dhcp" | "on" | "any" => return Ok(Self::Dhcp { interface: None }),
            _ => {}
        }
        let fields: Vec<&str> = text.split(':').collect();
        if let [interface, "dhcp"] = fields[..] {
            return Ok(Self::Dhcp { interface: Some(interface_name(interface)?) });
        }
        let field = |n: usize| fields.get(n).copied().unwrap_or_default();
        let address = field(0);
        if address.is_empty() && matches!(field(6), "dhcp" | "on" | "any") {
            let interface = Some(field(5)).filter(|name| !name.is_empty());
            return Ok(Self::Dhcp { interface: interface.map(interface_name).transpose()? });
        }
        if fields.len() < 4 || 10 < fields.len() || !matches!(field(6), "" | "none" | "off") {
            return Err(format!(
                "`{text}` is not `dhcp`, `DEVICE:dhcp` or \
                 `ADDRESS::GATEWAY:NETMASK::DEVICE:none[:DNS[:DNS]]`"
            ));
        }
        let optional =
            |n: usize| Some(field(n)).filter(|text| !text.is_empty()).map(address_of).transpose();
        Ok(Self::Static(StaticIp {
            address: address_of(address)?,
            prefix: prefix(field(3))?,
            gateway: optional(2)?,
            interface: Some(field(5))
                .filter(|name| !name.is_empty())
                .map(interface_name)
                .transpose()?,
            dns: [optional(7)?, optional(8)?].into_iter().flatten().collect(),
        }))
    }
}

fn address_of(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an IPv4 address"))
}

/// `255.255.255.0`
fn prefix(text: &str) -> Result<u8, String> {
    let bits = u32::from(address_of(text)?);
    let ones = bits.leading_ones();
    match u8::try_from(ones) {
        Ok(prefix @ 1..) if ones == bits.count_ones() => Ok(prefix),
        _ => Err(format!("`{text}` is not a netmask")),
    }
}

/// A name that the kernel gives an interface (`dev_valid_name`).
fn interface_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let dots = text.chars().all(|c| c == '.');
    if text.is_empty() || 15 < text.len() || dots || !text.chars().all(plain) {
        return Err(format!("`{text}` is not the name of an interface"));
    }
    // What begins so would be taken for an option by a program.
    if text.starts_with('-') {
        return Err(format!("`{text}` is not the name of an interface"));
    }
    Ok(text.to_owned())
}
