//! The shape of `network`.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::{Hostname, Mac, Word};

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Network {
    interfaces: Option<BTreeMap<LinkName, Interface>>,
    bonds: Option<BTreeMap<LinkName, Bond>>,
    vlans: Option<BTreeMap<LinkName, Vlan>>,
    management: Management,
    dns: Option<Dns>,
    ntp: Option<Ntp>,
    #[schemars(regex(pattern = r"^http://[^/@]+/?$"))]
    proxy: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
struct Interface {
    mac: Option<Mac>,
    r#match: Option<Match>,
}

/// Patterns with * and ?.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
struct Match {
    driver: Option<Glob>,
    /// udev's `ID_PATH`.
    path: Option<Glob>,
    name: Option<Glob>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Bond {
    #[schemars(length(min = 2))]
    members: Vec<LinkName>,
    mode: BondMode,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum BondMode {
    ActiveBackup,
    Lacp,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Vlan {
    parent: LinkName,
    #[schemars(range(min = 1, max = 4094))]
    id: u16,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Management {
    on: Option<LinkName>,
    mac: Option<Mac>,
    r#match: Option<Match>,
    ipv4: Option<Ipv4>,
    ipv6: Option<Ipv6>,
    #[schemars(range(min = 576, max = 9216))]
    mtu: Option<u16>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Ipv4 {
    Word(Ipv4Word),
    Static(Static),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Ipv4Word {
    Dhcp,
    None,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Ipv6 {
    Word(Ipv6Word),
    Static(Static),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Ipv6Word {
    Auto,
    Dhcp,
    None,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Static {
    /// With the length of the prefix: 192.0.2.10/24.
    #[schemars(regex(pattern = r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$"))]
    address: String,
    gateway: Option<Address>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Dns {
    servers: Option<Vec<Address>>,
    search: Option<Vec<Hostname>>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Ntp {
    Word(NtpWord),
    Servers(#[schemars(length(min = 1))] Vec<Word>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum NtpWord {
    Default,
    Dhcp,
    None,
}

#[derive(JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
struct LinkName(#[schemars(regex(pattern = r"^[A-Za-z][A-Za-z0-9._-]{0,14}$"))] String);

#[derive(JsonSchema)]
struct Glob(#[schemars(regex(pattern = r"^[A-Za-z0-9._:*?-]{1,128}$"))] String);

#[derive(JsonSchema)]
struct Address(#[schemars(regex(pattern = r"^[0-9A-Fa-f.:]+$"))] String);
