//! What the answers ask for is on the installed disk, and secrets are nowhere else.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    dead_code,
    reason = "a test; its helpers are shared with the unit tests"
)]

use std::error::Error;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use ext4_view::{Ext4, Ext4Read};
use sha2::{Digest, Sha256};

#[path = "canaries/found.rs"]
mod found;
#[path = "../src/shelf.rs"]
mod shelf;
#[path = "../src/testing.rs"]
mod testing;

use shelf::Shelf;
use testing::{TinyRelease, dom0};

/// A password and a script with a secret that must not be seen, neither as it is nor encoded.
const CANARY: &str = "Kanarien/vogel+42!";
const ENCODED: [&str; 3] =
    ["Kanarien/vogel+42!", "S2FuYXJpZW4vdm9nZWwrNDIh", "Kanarien%2Fvogel%2B42%21"];

const ANSWERS: &str = r#"schema: xenhost/v1
mode: install
disks: {host: {serial: SN42}}
layout: {target: host, compat: xenserver}
network:
  interfaces:
    left: {mac: "00:16:3e:aa:bb:01"}
    right: {mac: "00:16:3e:aa:bb:02"}
  bonds: {bond0: {members: [left, right], mode: active-backup}}
  management: {on: bond0, ipv4: {address: 192.0.2.10/24, gateway: 192.0.2.1}}
  dns: {servers: [192.0.2.53]}
  ntp: [ntp.example.org]
system: {hostname: xen1}
access:
  root_password: {PASSWORD}
  ssh_password_login: false
xen: {dom0_memory: 1GiB, dom0_vcpus: 2, args: [iommu=1]}
boot: {serial: com2, kernel_args: [quiet]}
health: {timeout: 5m}
first_boot:
  - inline: |
      #!/bin/sh
      echo first
  - {url: "{URL}/own.sh", sha256: {SHA256}, when: network-online, timeout: 90s}
"#;

/// On a web server.
const OWN_SCRIPT: &str = "#!/bin/sh\necho own\n";

/// One partition of the image file.
struct Window {
    file: File,
    start: u64,
}

impl Ext4Read for Window {
    fn read(
        &mut self,
        start: u64,
        into: &mut [u8],
    ) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        Ok(self.file.read_exact_at(into, self.start.checked_add(start).unwrap())?)
    }
}

#[expect(clippy::disallowed_methods, reason = "the program under test is a program")]
fn run(dir: &Path, release: &TinyRelease, command: &str, more: &[&str]) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_host-installer"))
        .current_dir(dir)
        .arg(command)
        .args(["--answers", "answers.yaml", "--disk", "SN42=disk.img", "--memory", "3GiB"])
        .arg("--release")
        .arg(release.dir())
        .args(more)
        .env("ROOT_PASSWORD", CANARY)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    (out, err)
}

fn installed(password: &str) -> (Ext4, String, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let release = TinyRelease::of_bytes(&dom0(dir.path()));
    fs::write(release.dir().join("own.sh"), OWN_SCRIPT).unwrap();
    let shelf = Shelf::open(release.dir());
    let answers = ANSWERS
        .replace("{PASSWORD}", password)
        // The password of an address is a secret too.
        .replace("{URL}", &shelf.url().replace("http://", &format!("http://u:{}@", ENCODED[2])))
        .replace("{SHA256}", &installer::release_dir::hex(&Sha256::digest(OWN_SCRIPT)));
    fs::write(dir.path().join("answers.yaml"), answers).unwrap();
    let image = dir.path().join("disk.img");
    File::create(&image).unwrap().set_len(46 << 30).unwrap();
    let (plan, warned) = run(dir.path(), &release, "plan", &["--json"]);
    let told: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let partitions = told["disks"][0]["partitions"].as_array().unwrap();
    let root = partitions.iter().find(|p| p["role"] == "root").unwrap();
    let start = root["first"].as_u64().unwrap().checked_mul(512).unwrap();
    let (out, err) = run(dir.path(), &release, "install", &["--json"]);
    let window = Window { file: File::open(&image).unwrap(), start };
    let ext4 = Ext4::load(Box::new(window)).unwrap();
    (ext4, [plan, warned, out, err].concat(), dir)
}

/// Text that a file of dom0 holds, by path.
const HELD: [(&str, &str); 14] = [
    ("/etc/systemd/network/10-bond0.netdev", "Mode=active-backup"),
    ("/etc/systemd/network/10-bond0.netdev", "MACAddress=00:16:3e:aa:bb:01"),
    ("/etc/systemd/network/20-left.network", "PermanentMACAddress=00:16:3e:aa:bb:01"),
    ("/etc/systemd/network/20-right.network", "Bond=bond0"),
    ("/etc/systemd/network/20-bond0.network", "Bridge=xenbr0"),
    ("/etc/systemd/network/30-xenbr0.network", "Address=192.0.2.10/24\nGateway=192.0.2.1\n"),
    ("/etc/chrony/chrony.conf", "server ntp.example.org iburst"),
    ("/etc/ssh/sshd_config.d/10-xenhost.conf", "PasswordAuthentication no"),
    ("/etc/xenhost/boot.conf", "xen=dom0_mem=1024M,max:1024M dom0_max_vcpus=2 ucode=scan iommu=1"),
    ("/etc/xenhost/boot.conf", "xen_console=com2=115200,8n1 console=com2,vga"),
    ("/etc/xenhost/inventory.json", "\"health_timeout_minutes\": 5"),
    ("/etc/xenhost/first-boot.d/01", "#!/bin/sh\necho first\n"),
    ("/etc/xenhost/first-boot-network-online.d/02", OWN_SCRIPT),
    ("/etc/xenhost/first-boot-network-online.d/02.timeout", "90\n"),
];

#[test]
fn every_answer_has_its_file_and_a_password_from_elsewhere_is_a_hash() {
    let (root, said, dir) = installed("{env: ROOT_PASSWORD}");
    for (path, text) in HELD {
        let held = root.read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(held.contains(text), "{path} does not hold {text:?}:\n{held}");
    }
    let mode = |path: &str| root.metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode("/etc/xenhost/first-boot.d"), 0o700);
    assert_eq!(mode("/etc/xenhost/first-boot.d/01"), 0o700);
    assert_eq!(mode("/etc/xenhost/first-boot-network-online.d/02"), 0o700);
    let shadow = root.read_to_string("/etc/shadow").unwrap();
    assert!(shadow.starts_with("root:$6$"), "{shadow}");
    assert!(!root.exists("/etc/xenhost/ask-root-password").unwrap());
    no_canary(&said, dir.path());
}

#[test]
fn a_password_in_clear_is_nowhere() {
    let (root, said, dir) = installed(&format!("{{plain: \"{CANARY}\"}}"));
    assert!(said.contains("warning: access.root_password.plain"), "{said}");
    assert!(root.read_to_string("/etc/shadow").unwrap().starts_with("root:$6$"));
    no_canary(&said, dir.path());
}

#[test]
fn a_password_that_nobody_gave_is_asked_for() {
    let (root, _, _dir) = installed("\"!!\"");
    assert!(root.read_to_string("/etc/shadow").unwrap().starts_with("root:*:"));
    assert!(root.exists("/etc/xenhost/ask-root-password").unwrap());
}

/// Neither in what was said nor anywhere on the disk, holes apart.
#[track_caller]
fn no_canary(said: &str, dir: &Path) {
    for text in ENCODED {
        assert!(!said.contains(text), "{text} is shown: {said}");
    }
    assert_eq!(found::found_on(&dir.join("disk.img"), &ENCODED), Vec::<String>::new());
}
