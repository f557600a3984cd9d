//! The management network: one bridge, with the interface that the answers name.

use super::TargetFile;
use crate::values::Mac;

/// The bridge that guests and management share.
const BRIDGE: &str = "xenbr0";

/// Configuration of systemd-networkd. The bridge takes the interface's address, so that a DHCP
/// server sees one machine and gives it the address that it knows.
pub(super) fn network(mac: Mac) -> Vec<TargetFile> {
    let netdev = format!(
        "[NetDev]\n\
         Name={BRIDGE}\n\
         Kind=bridge\n\
         MACAddress={mac}\n\
         \n\
         [Bridge]\n\
         STP=no\n"
    );
    // The bridge has the same address: the type keeps it from being enslaved to itself.
    let port = format!(
        "[Match]\n\
         MACAddress={mac}\n\
         Type=ether\n\
         \n\
         [Link]\n\
         RequiredForOnline=no\n\
         \n\
         [Network]\n\
         Bridge={BRIDGE}\n\
         LinkLocalAddressing=no\n"
    );
    let bridge = format!(
        "[Match]\n\
         Name={BRIDGE}\n\
         \n\
         [Network]\n\
         DHCP=ipv4\n\
         LinkLocalAddressing=ipv6\n\
         IPv6AcceptRA=no\n\
         ConfigureWithoutCarrier=yes\n\
         \n\
         [DHCPv4]\n\
         ClientIdentifier=mac\n\
         UseHostname=no\n"
    );
    vec![
        TargetFile::file("etc/systemd/network/10-xenbr0.netdev", 0o644, netdev),
        TargetFile::file("etc/systemd/network/20-management.network", 0o644, port),
        TargetFile::file("etc/systemd/network/30-xenbr0.network", 0o644, bridge),
    ]
}
