//! What the answers asked for, as the tools of the running system tell it.

use std::path::PathBuf;

use crate::dom0::Dom0;
use crate::failure::{At, Result, ensure};

/// What, and the command that shows it.
const CHECKS: &[(&str, &str)] = &[
    (
        "IPv4 is fixed",
        "ip -j -4 addr show xenbr0 | grep -q '\"local\":\"192.0.2.10\",\"prefixlen\":24'",
    ),
    (
        "IPv6 is fixed",
        "ip -j -6 addr show xenbr0 | grep -q '\"local\":\"2001:db8::10\",\"prefixlen\":64'",
    ),
    ("the IPv4 gateway", "ip -4 route | grep -q '^default via 192.0.2.1 dev xenbr0'"),
    ("the IPv6 gateway", "ip -6 route | grep -q '^default via 2001:db8::1 dev xenbr0'"),
    ("the VLAN is in the bridge", "bridge link show dev mgmt | grep -q 'master xenbr0'"),
    ("the VLAN has its number", "ip -d link show mgmt | grep -q 'vlan protocol 802.1Q id 42'"),
    ("the VLAN is on the bond", "ip link show mgmt | grep -q 'mgmt@bond0'"),
    ("the bond's mode", "grep -q 'fault-tolerance (active-backup)' /proc/net/bonding/bond0"),
    ("the first member", "grep -qi 'Permanent HW addr: 00:16:3e:aa:bb:cc' /proc/net/bonding/bond0"),
    (
        "the second member",
        "grep -qi 'Permanent HW addr: 00:16:3e:aa:bb:cd' /proc/net/bonding/bond0",
    ),
    ("the members carry no address", "! ip -4 -o addr | grep -Ev ' (lo|xenbr0) '"),
    ("name servers", "resolvectl dns xenbr0 | grep -q '192.0.2.53 2001:db8::53'"),
    ("search domains", "resolvectl domain xenbr0 | grep -q 'example.org'"),
    ("the resolver is asked", "readlink /etc/resolv.conf | grep -q stub-resolv"),
    ("the time zone", "test \"$(timedatectl show -p Timezone --value)\" = Europe/Berlin"),
    ("time comes from the network", "test \"$(timedatectl show -p NTP --value)\" = yes"),
    (
        "from these servers",
        "timedatectl show-timesync -p SystemNTPServers --value | \
         grep -qx '192.0.2.123 ntp.example.org'",
    ),
    (
        "and no others",
        "test -z \"$(timedatectl show-timesync -p FallbackNTPServers -p LinkNTPServers --value)\"",
    ),
    ("the keyboard", "localectl status | grep -q 'X11 Layout: de'"),
    // Where an American keyboard has y.
    ("the console's key map", "dumpkeys | grep -Eq '^keycode +21 = [+]?z '"),
    ("the operator's key", "grep -q op@example /root/.ssh/authorized_keys"),
    ("root has a password", "passwd -S root | grep -q '^root P '"),
    ("it is not asked again", "! test -e /etc/xenhost/ask-root-password"),
    ("the volume group", "vgs --noheadings -o vg_name,pv_count | grep -Eq '^ *sr-local +1$'"),
    (
        "it is on the partition sr",
        "pvs --noheadings -o pv_name,vg_name | grep -Eq '/dev/vda3 +sr-local'",
    ),
    (
        "the file system on the other disk",
        "findmnt -no SOURCE,FSTYPE /srv/sr-data | grep -Eq '^/dev/vdc +ext4$'",
    ),
    ("it is that disk", "lsblk -dno SERIAL /dev/vdc | grep -qx SN45"),
    ("it can be written", "touch /srv/sr-data/probe && rm /srv/sr-data/probe"),
    ("the first script ran once", "test \"$(cat /var/lib/first-boot-count)\" = 'was here'"),
    ("the second one's status is kept", "grep -qx 3 /var/lib/xenhost/first-boot/02.exit"),
    ("its words too", "grep -q 'this one fails' /var/lib/xenhost/first-boot/02.log"),
    (
        "the third came from the web and ran once",
        "test \"$(cat /var/lib/first-boot-web)\" = 'came from afar'",
    ),
    ("its status is kept", "grep -qx 0 /var/lib/xenhost/first-boot/03.exit"),
    ("the scripts are gone", "! ls -d /etc/xenhost/first-boot*.d"),
    ("the hook's file is there", "grep -qx 'by a hook' /etc/by-a-hook"),
    ("no unit failed", "! systemctl --failed --no-legend --plain | grep ."),
];

pub(super) fn everything(host: &mut Dom0) -> Result<()> {
    host.check_all(CHECKS)
}

/// All that the host sent through its cards carries the VLAN's tag.
pub(super) fn vlan_tags(records: &[PathBuf]) -> Result<()> {
    let (mut packets, mut tagged) = (0_u32, 0_u32);
    for path in records {
        let bytes = std::fs::read(path).at("reading", path)?;
        for packet in packets_of(&bytes) {
            // What QEMU's own network says has no tag.
            let ours = packet.get(6..9) == Some(&[0x00, 0x16, 0x3e]);
            packets += u32::from(ours);
            tagged += u32::from(ours && packet.get(12..16) == Some(&[0x81, 0x00, 0x00, 42]));
        }
    }
    ensure(tagged != 0 && tagged == packets, || {
        format!("{tagged} of {packets} packets of the host carry the tag of VLAN 42: {records:?}")
    })
}

/// Classic pcap: each packet behind 16 bytes of header, from byte 24 on.
fn packets_of(pcap: &[u8]) -> Vec<&[u8]> {
    let mut rest = pcap.get(24..).unwrap_or_default();
    let mut packets = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(16) {
        let length = header.get(8..12).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        let length = length.and_then(|n| usize::try_from(n).ok());
        let Some((packet, after)) = length.and_then(|n| after.split_at_checked(n)) else { break };
        packets.push(packet);
        rest = after;
    }
    packets
}
