//! What a rollback says that the other system does not know: a row for each kind of change.

use super::*;

const SIZE: BlockSize = BlockSize::B512;

/// Files of the second system before anything is changed: `ann` logs in by a key, a guest starts by
/// itself, and an interface has a drop-in.
const BOTH: &[(&str, &str)] = &[
    ("etc/xen/web.cfg", "name = 'web'\n"),
    ("etc/systemd/network/20-lan.network", "[Match]\nName=eth1\n"),
    ("etc/systemd/network/20-lan.network.d/mtu.conf", "[Link]\nMTUBytes=9000\n"),
    ("srv/ann/.ssh/authorized_keys", "ssh-ed25519 AAAA ann\n"),
    ("root/.ssh/authorized_keys", "ssh-ed25519 AAAA root\n"),
    ("etc/passwd", PASSWD),
    ("etc/shadow", SHADOW),
    ("etc/group", GROUP),
];
const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
    sshd:x:105:65534::/run/sshd:/usr/sbin/nologin\nann:x:1000:1000:Ann:/srv/ann:/bin/bash\n";
const SHADOW: &str = "root:$y$R:1:0:99999:7:::\nsshd:!:1::::::\nann:$y$A:1:0:99999:7:::\n";
const GROUP: &str = "root:x:0:\nsudo:x:27:ann\nann:x:1000:\n";

enum Change {
    /// In the system that is left.
    Write(&'static str, &'static str),
    Replace(&'static str, &'static str, &'static str),
    Remove(&'static str),
    Link(&'static str, &'static str),
}

use Change::{Link, Remove, Replace, Write};

const CHANGES: &[(Change, &[&str])] = &[
    (Write("etc/xen/db.cfg", "name = 'db'\n"), &["guest /etc/xen/db.cfg: it is not there"]),
    (Write("etc/xen/web.cfg", "vcpus = 2\n"), &["guest /etc/xen/web.cfg: it differs"]),
    (Remove("etc/xen/web.cfg"), &["guest /etc/xen/web.cfg: it is still there"]),
    (Link("etc/xen/auto/web.cfg", "../web.cfg"), &["guest /etc/xen/auto/web.cfg: it is not there"]),
    (
        Write("etc/systemd/network/30-san.netdev", "[NetDev]\n"),
        &["network file /etc/systemd/network/30-san.netdev: it is not there"],
    ),
    (
        Write("etc/systemd/network/20-lan.network", "[Match]\nName=eth2\n"),
        &["network file /etc/systemd/network/20-lan.network: it differs"],
    ),
    (
        Remove("etc/systemd/network/20-lan.network.d/mtu.conf"),
        &["network file /etc/systemd/network/20-lan.network.d/mtu.conf: it is still there"],
    ),
    (
        Replace("etc/passwd", "ann:", "bob:x:1001:1001::/srv/bob:/bin/sh\nann:"),
        &["account bob: it is not there"],
    ),
    (
        Replace("etc/passwd", "ann:x:1000", "eve:x:1000"),
        &["account eve: it is not there", "account ann: it is still there"],
    ),
    (Replace("etc/shadow", "$y$R", "$y$NEW"), &["account root: its password is another one there"]),
    (
        Replace("etc/shadow", "ann:$y$A", "ann:!$y$A"),
        &["account ann: its password is another one there"],
    ),
    (
        Replace("etc/group", "sudo:x:27:ann", "sudo:x:27:"),
        &["account ann: it is still in group sudo there"],
    ),
    (
        Write("srv/ann/.ssh/authorized_keys", ""),
        &["login keys /srv/ann/.ssh/authorized_keys: it differs"],
    ),
    (
        Remove("root/.ssh/authorized_keys"),
        &["login keys /root/.ssh/authorized_keys: it is still there"],
    ),
    // What belongs to the release, or to nobody.
    (Write("etc/xen/xl.conf", "# another release\n"), &[]),
    (Replace("etc/passwd", "sshd:", "_new:x:106:106::/:/usr/sbin/nologin\nsshd:"), &[]),
];

fn perform(scene: &Scene, change: &Change) {
    let facts = scene.facts(SIZE);
    let write = |path: &str, text: &str| scene.edit(&facts, Slot::B, &[(path, text)]);
    match *change {
        Write(path, text) => write(path, text),
        Replace(path, from, to) => {
            let (_, text) = BOTH.iter().find(|(one, _)| *one == path).unwrap();
            assert!(text.contains(from), "{path}");
            write(path, &text.replacen(from, to, 1));
        }
        Remove(path) => drop(scene.debugfs(&facts, Slot::B, &format!("rm {path}"))),
        Link(path, to) => {
            let (folder, _) = path.rsplit_once('/').unwrap();
            let script = format!("mkdir {folder}\nsymlink {path} {to}");
            scene.debugfs(&facts, Slot::B, &script);
        }
    }
}

fn unknown(scene: &Scene) -> Vec<String> {
    let facts = scene.facts(SIZE);
    let [a, b] = [Slot::A, Slot::B].map(|slot| scene.root(&facts, slot));
    unknown::there(&b, &a).unwrap()
}

#[test]
fn each_change_since_the_upgrade_is_told() {
    let scene = Scene::upgraded(SIZE);
    for slot in [Slot::A, Slot::B] {
        scene.edit(&scene.facts(SIZE), slot, BOTH);
    }
    assert_eq!(unknown(&scene), [""; 0]);
    scene.each(CHANGES, |(change, want)| {
        perform(&scene, change);
        assert_eq!(unknown(&scene), *want);
        let args = ["rollback", "--check", "--disk", &scene.arg()].map(str::to_owned);
        assert_eq!(cli::told(&args).0, Exit::Done, "a change is no reason against it: {want:?}");
    });
}
