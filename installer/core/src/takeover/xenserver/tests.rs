//! Old roots of the shapes that old hosts have, whole and hostile.

use super::*;
use crate::answers::{BondMode, Dns, Ipv4, Ipv6, Link, Ntp};
use crate::target::Body;
use crate::values::{LinkName, RootPassword};

const NETWORKD: &str = "var/lib/xcp/networkd.db";
const RULES: &str = "etc/sysconfig/network-scripts/interface-rename-data/dynamic-rules.json";
const HASH: &str = "$6$xenhostdocs$yYqNEF0kMBNJ58A8YrU2qltEbfJgOxcwuChSnoEz12J1.l8NpI8FOeTbtXovfN9\
                    jh.VR9Ntmp.LlOyOJsHXkA0";

fn put(files: &mut OldFiles, path: &str, text: &str) {
    files.insert(path.to_owned(), OldFile::Content(text.as_bytes().to_vec()));
}

/// A host of version 7 on a VLAN of a bond, with static addresses.
fn seven() -> OldFiles {
    let mut files = OldFiles::new();
    let shadow = format!("root:{HASH}:17000:0:99999:7:::\nsshd:!!:17000::::::\n");
    for (path, text) in [
        ("etc/xensource-inventory", "PRODUCT_BRAND='XenServer'\nMANAGEMENT_INTERFACE='xapi0'\n"),
        ("etc/hostname", "xs7.example.com\n"),
        ("etc/hosts", "127.0.0.1 localhost localhost.localdomain\n192.0.2.9 nas\n"),
        ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        (NETWORKD, include_str!("tests/networkd-bond-vlan.json")),
        (RULES, include_str!("tests/dynamic-rules.json")),
        ("etc/chrony.conf", "# servers\nserver ntp1.example.com iburst\nserver 192.0.2.8 iburst\n"),
        ("etc/vconsole.conf", "KEYMAP=\"uk\"\nFONT=\"latarcyrheb-sun16\"\n"),
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\nsshd:x:74:74::/var/empty:/sbin/nologin\n\
             nfsnobody:x:65534:65534::/:/sbin/nologin\nann:x:1000:1000::/srv/ann:/bin/bash\n",
        ),
        ("etc/shadow", &shadow),
        ("etc/ssh/sshd_config", "PermitRootLogin yes\nPermitRootLogin no\n"),
        ("etc/ssh/ssh_host_rsa_key", "private"),
        ("etc/ssh/ssh_host_rsa_key.pub", "public"),
        ("etc/ssh/ssh_host_dsa_key", "private"),
        ("root/.ssh/authorized_keys", "ssh-ed25519 AAAA ann\n"),
    ] {
        put(&mut files, path, text);
    }
    let zone = OldFile::Link("../usr/share/zoneinfo/Europe/Berlin".to_owned());
    files.insert("etc/localtime".to_owned(), zone);
    files.insert("etc/xensource/ptoken".to_owned(), OldFile::There);
    files
}

fn name(text: &str) -> LinkName {
    LinkName::parse(text).unwrap()
}

fn mac_of(network: &Network, link: &str) -> String {
    match &network.links[&name(link)] {
        Link::Interface(nic) => nic.mac.unwrap().to_string(),
        other @ (Link::Bond(_) | Link::Vlan(_)) => panic!("{other:?}"),
    }
}

#[test]
fn a_host_of_version_7_on_a_vlan_of_a_bond() {
    let carried = carried_over(&seven()).unwrap();
    let network = &carried.network;
    assert_eq!(network.management.on, name("vlan42"));
    let Link::Vlan(vlan) = &network.links[&name("vlan42")] else { panic!("no VLAN") };
    assert_eq!((vlan.parent.as_str(), vlan.id.get()), ("bond0", 42));
    let Link::Bond(bond) = &network.links[&name("bond0")] else { panic!("no bond") };
    assert_eq!(bond.mode, BondMode::Lacp);
    assert_eq!(bond.members, [name("eth0"), name("eth1")]);
    assert_eq!(mac_of(network, "eth0"), "00:16:3e:00:00:01");
    assert_eq!(mac_of(network, "eth1"), "00:16:3e:00:00:02");
    let Ipv4::Static { address, gateway } = network.management.ipv4 else { panic!("not static") };
    assert_eq!(
        (address.to_string(), gateway.unwrap().to_string()),
        ("192.0.2.10/24".to_owned(), "192.0.2.1".to_owned())
    );
    assert_eq!((network.management.ipv6, network.management.mtu), (Ipv6::Auto, Some(9000)));
    assert_eq!(network.dns.servers.len(), 2);
    assert_eq!(network.dns.search[0].as_str(), "example.com");
    let Ntp::Servers(servers) = &network.ntp else { panic!("{:?}", network.ntp) };
    assert_eq!(servers[0].as_str(), "ntp1.example.com");
    assert_eq!(carried.system.hostname.as_str(), "xs7.example.com");
    assert_eq!(carried.system.timezone.as_str(), "Europe/Berlin");
    assert_eq!(carried.system.keymap.as_str(), "gb");
    let RootPassword::Hash(hash) = &carried.access.root_password else { panic!("no hash") };
    assert_eq!(hash.expose(), HASH);
    assert_eq!(carried.access.ssh_password_login, Some(true), "the first value counts");
}

#[test]
fn files_that_move_are_roots_and_what_stays_is_told() {
    let carried = carried_over(&seven()).unwrap();
    let moved: Vec<(&str, u16)> =
        carried.files.iter().map(|file| (file.path.as_str(), file.mode)).collect();
    assert_eq!(
        moved,
        [
            ("etc/machine-id", 0o444),
            ("etc/ssh/ssh_host_rsa_key", 0o600),
            ("etc/ssh/ssh_host_rsa_key.pub", 0o644),
            ("root/.ssh", 0o700),
            ("root/.ssh/authorized_keys", 0o600),
        ]
    );
    assert!(carried.files.iter().all(|file| (file.uid, file.gid) == (0, 0)));
    assert_eq!(carried.files[4].body, Body::Content(b"ssh-ed25519 AAAA ann\n".to_vec()));
    let told = carried.left_behind.join("\n");
    for want in [
        "/etc/xensource/ptoken: the secret of the pool",
        "ssh_host_dsa_key",
        "network \"xenbr2\"",
        "1 static routes",
        "further management address \"192.0.2.11/24\"",
        "/etc/hosts: 1 lines",
        "the account \"ann\"",
        "dom0's memory",
    ] {
        assert!(told.contains(want), "{want}: {told}");
    }
    assert!(!told.contains("nfsnobody") && !told.contains("\"sshd\""), "{told}");
}

/// A host of version 6 without the network daemon: scripts, an old hash, no names of its own.
fn six() -> OldFiles {
    let mut files = OldFiles::new();
    let scripts = "etc/sysconfig/network-scripts";
    for (path, text) in [
        ("etc/xensource-inventory", "MANAGEMENT_INTERFACE='xenbr0'\n".to_owned()),
        ("etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=xs6\n".to_owned()),
        (
            &format!("{scripts}/ifcfg-xenbr0"),
            "DEVICE=xenbr0\nTYPE=Bridge\nBOOTPROTO=static\nIPADDR=192.0.2.20\n\
             NETMASK=255.255.255.0\nGATEWAY=192.0.2.1\n"
                .to_owned(),
        ),
        (
            &format!("{scripts}/ifcfg-eth1"),
            "DEVICE=eth1\nHWADDR=00:16:3E:00:00:0A\nBRIDGE=xenbr0\n".to_owned(),
        ),
        ("etc/resolv.conf", "search example.com\nnameserver 192.0.2.53\n".to_owned()),
        ("etc/ntp.conf", "server 0.xenserver.pool.ntp.org\nserver 127.127.1.0\n".to_owned()),
        ("etc/timezone", "Mars/Olympus\n".to_owned()),
        ("etc/sysconfig/keyboard", "KEYTABLE=de-latin1\n".to_owned()),
        ("etc/passwd", "root:$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/:0:0::/root:/bin/sh\n".to_owned()),
    ] {
        put(&mut files, path, &text);
    }
    files
}

#[test]
fn a_host_of_version_6_with_scripts() {
    let carried = carried_over(&six()).unwrap();
    assert_eq!(carried.network.management.on, name("eth1"));
    assert_eq!(mac_of(&carried.network, "eth1"), "00:16:3e:00:00:0a");
    assert_eq!(carried.network.dns.servers[0].to_string(), "192.0.2.53");
    assert_eq!((&carried.network.ntp, carried.system.hostname.as_str()), (&Ntp::Default, "xs6"));
    assert_eq!(carried.system.keymap.as_str(), "de");
    let told = carried.left_behind.join("\n");
    assert!(told.contains("Mars/Olympus") && told.contains("weak hash"), "{told}");
    assert!(matches!(carried.access.root_password, RootPassword::Hash(_)));
}

#[test]
fn a_host_with_nothing_but_what_its_installer_wrote() {
    let mut files = six();
    files.retain(|path, _| !path.contains("ifcfg-"));
    let text = "LABEL='eth0'\nMODE='static'\nIP='192.0.2.30'\nNETMASK='255.255.255.0'\n\
                GATEWAY='192.0.2.1'\nDNS1='192.0.2.53'\nDOMAIN='example.com'\nVLAN='7'\n";
    put(&mut files, "etc/firstboot.d/data/management.conf", text);
    let missing = carried_over(&files).unwrap_err().to_string();
    assert!(missing.contains("which card \"eth0\" is"), "{missing}");
    let rules = "etc/sysconfig/network-scripts/interface-rename-data/static-rules.conf";
    put(&mut files, rules, "# rules\neth0: mac = \"00:16:3E:00:00:0B\" # left\neth1:pci=\"0:1\"\n");
    let carried = carried_over(&files).unwrap();
    assert_eq!(carried.network.management.on, name("vlan7"));
    assert_eq!(mac_of(&carried.network, "eth0"), "00:16:3e:00:00:0b");
    assert_eq!(carried.network.dns.servers.len(), 1);
}

#[test]
fn an_address_by_dhcp_and_the_only_card_known_by_its_bridge() {
    let mut files = six();
    put(&mut files, "var/xapi/networkd.db", include_str!("tests/networkd-dhcp.json"));
    files.insert("var/lib/dhclient/chrony.servers.xenbr0".into(), OldFile::Content(b"x".to_vec()));
    let carried = carried_over(&files).unwrap();
    assert_eq!(carried.network.management.ipv4, Ipv4::Dhcp);
    assert_eq!(mac_of(&carried.network, "eth0"), "00:16:3e:00:00:05");
    assert_eq!((carried.network.dns, carried.network.ntp), (Dns::default(), Ntp::Dhcp));
}

#[test]
fn passwords_that_are_none() {
    for (word, want) in [("!!", "Ask"), ("", "Ask"), ("*", "Locked"), ("!$6$a$b", "Locked")] {
        let mut files = seven();
        put(&mut files, "etc/shadow", &format!("root:{word}:1::::::\n"));
        let carried = carried_over(&files).unwrap();
        assert_eq!(format!("{:?}", carried.access.root_password), want, "{word}");
    }
}

/// A file of the host of version 7 with other text, and the error that names it.
#[test]
fn hostile_files_are_errors_with_their_place() {
    let cases = [
        ("etc/xensource-inventory", "A='$(reboot)'\nB=`id`\n", "line 2: the value of `B` is code"),
        ("etc/xensource-inventory", "A='1'\n", "`MANAGEMENT_INTERFACE` is missing"),
        ("etc/hostname", "x\n", ""),
        ("etc/hostname", "# name\na b\u{1b}[2J\n", "line 2: `a b\\u{1b}[2J` is not a host name"),
        (NETWORKD, "{\"bridge_config\": {\n", "line 2: it ends in the middle"),
        (NETWORKD, "{\"bridge_config\": 7}", "line 1: something is of another kind"),
        (NETWORKD, "{}", "it has no bridge \"xapi0\""),
        (NETWORKD, "{\"bridge_config\":{\"xapi0\":{}}}", "0 ports carry the management bridge"),
        (NETWORKD, "{\"bridge_config\":{\"xapi0\":{\"vlan\":[\"x\",5000]}}}", "5000"),
        (RULES, "# a\n{\"lastboot\":[[\"zz\",\"p\",\"eth0\"]]}", "`zz` is not a MAC address"),
        (RULES, "# a\n\n{\"lastboot\":[[1]]}", "line 3: something is of another kind"),
        ("etc/passwd", "daemon:x:1:1::/:/bin/sh\n", "no line for root"),
        ("etc/shadow", "sshd:!:1::::::\n", "no line for root"),
        ("etc/shadow", "# x\nroot:hunter2:1::::::\n", "line 2: root's password: this is not"),
        ("etc/vconsole.conf", "KEYMAP=$(id)\n", "line 1: the value of `KEYMAP` is code"),
    ];
    for (path, text, want) in cases {
        let mut files = seven();
        put(&mut files, path, text);
        if want.is_empty() {
            carried_over(&files).unwrap();
            continue;
        }
        let error = carried_over(&files).unwrap_err().to_string();
        assert!(error.starts_with(&format!("/{path}: ")), "{error}");
        assert!(error.contains(want) && !error.contains("hunter2"), "{error}: {want}");
    }
    let mut files = seven();
    files.insert("etc/shadow".into(), OldFile::Content(vec![0xFF]));
    assert_eq!(carried_over(&files).unwrap_err().to_string(), "/etc/shadow: not UTF-8");
    assert!(!format!("{files:?}").contains("private"), "what was read is not shown");
}

#[test]
fn no_text_makes_it_panic() {
    use proptest::prelude::*;
    let paths: Vec<String> = seven().into_keys().collect();
    proptest!(|(which in 0..paths.len(), bytes in proptest::collection::vec(any::<u8>(), 0..200))| {
        let mut files = seven();
        files.insert(paths[which].clone(), OldFile::Content(bytes));
        drop(carried_over(&files));
    });
    // And texts that are nearly right.
    proptest!(|(which in 0..paths.len(), at in 0_usize..4000, byte in any::<u8>())| {
        let mut files = seven();
        if let Some(OldFile::Content(bytes)) = files.get_mut(&paths[which])
            && let Some(place) = bytes.get_mut(at)
        {
            *place = byte;
        }
        drop(carried_over(&files));
    });
}
