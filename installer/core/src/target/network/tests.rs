//! Tests of the files of the network, as a person would review them.

use super::*;
use crate::answers::{Answers, read};
use crate::target::Body;

const HEAD: &str = "schema: xenhost/v1\nmode: install\ndisks: {host: {serial: SN42}}\n\
                    layout: {target: host}\nsystem: {hostname: xen1}\nnetwork:\n";

fn files(yaml: &str) -> String {
    let text = format!("{HEAD}{yaml}");
    let (answers, _) = read("f", text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    let Answers::Install(answers) = answers else { panic!("{answers:?}") };
    let mut text = String::new();
    for file in network(&answers.network) {
        match file.body {
            Body::Content(bytes) => {
                let bytes = String::from_utf8(bytes).unwrap();
                write!(text, "==== {}\n{bytes}", file.path).unwrap();
            }
            Body::Symlink(to) => writeln!(text, "==== {} -> {to}", file.path).unwrap(),
            Body::Directory | Body::Remove => writeln!(text, "==== {}", file.path).unwrap(),
        }
    }
    text
}

#[track_caller]
fn golden(name: &str, yaml: &str) {
    let path = format!("{}/src/target/network/tests/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let got = files(yaml);
    golden_file(&path, &got);
}

#[expect(clippy::disallowed_methods, reason = "reads the text that a person reviewed")]
#[track_caller]
fn golden_file(path: &str, got: &str) {
    if std::env::var_os("XENHOST_GOLDENS").is_some_and(|what| what == "write") {
        std::fs::write(path, got).unwrap();
        return;
    }
    assert_eq!(got, std::fs::read_to_string(path).unwrap_or_default(), "compare with {path}");
}

#[test]
fn one_interface_with_fixed_addresses() {
    golden(
        "static",
        r#"
  management:
    mac: "00:16:3e:aa:bb:cc"
    ipv4: {address: 192.0.2.10/24, gateway: 192.0.2.1}
    ipv6: {address: "2001:db8::10/64", gateway: "fe80::1"}
    mtu: 9000
  dns: {servers: [192.0.2.53, "2001:db8::53"], search: [example.org, lab.example.org]}
  ntp: [ntp1.example.org, 192.0.2.123]
  proxy: http://proxy.example.org:3128
"#,
    );
}

#[test]
fn a_vlan_on_a_bond() {
    golden(
        "vlan-on-bond",
        r#"
  interfaces:
    left: {mac: "00:16:3e:aa:bb:01"}
    right: {mac: "00:16:3e:aa:bb:02"}
  bonds:
    bond0: {members: [left, right], mode: lacp}
  vlans:
    mgmt: {parent: bond0, id: 42}
  management: {on: mgmt, ipv4: none, ipv6: auto}
  ntp: none
"#,
    );
}

#[test]
fn a_bond_of_interfaces_by_place_and_both_kinds_of_dhcp() {
    golden(
        "bond-by-path",
        r#"
  interfaces:
    left: {match: {path: "pci-0000:03:00.*", driver: ixgbe}}
    right: {match: {name: "enp4s*"}}
  bonds:
    bond0: {members: [left, right], mode: active-backup}
  management: {on: bond0, ipv4: dhcp, ipv6: dhcp}
"#,
    );
}

#[test]
fn the_plain_shape_is_what_was_tried_on_machines() {
    let text = files("  management: {mac: \"00:16:3e:aa:bb:cc\", ipv4: dhcp}\n");
    assert_eq!(text, include_str!("tests/plain.txt"));
}
