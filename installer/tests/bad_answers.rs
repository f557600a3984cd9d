//! Bad answer files, by number: what is said, how it ends, and that no disk was written.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::{Command, Output};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

/// A good file in which each case spoils something.
const GOOD: &str = r#"schema: xenhost/v1
mode: install
disks: {host: {serial: SN42}}
layout: {target: host}
network: {management: {mac: "00:16:3e:aa:bb:cc", ipv4: dhcp}}
system: {hostname: xen1, timezone: Etc/UTC, keymap: us}
access: {root_password: {locked: true}, ssh_keys: [KEY]}
"#;
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGlDcPhLxYxWuD7hsjMf5p4tCOOlwyZ9aqAUQ4ZQjYsP a";
const XML: &str = r#"<installation>
  <primary-disk>/dev/disk/by-id/virtio-SN42</primary-disk>
  <admin-interface hwaddr="00:16:3e:aa:bb:cc" proto="dhcp"/>
</installation>
"#;

/// A number of the list of bad inputs, the file, the exit code, and what is said.
type Case = (u32, Vec<u8>, i32, &'static [&'static str]);

fn yaml(from: &str, to: &str) -> Vec<u8> {
    let good = GOOD.replace("KEY", KEY);
    assert!(good.contains(from), "{from}");
    good.replace(from, to).into_bytes()
}

fn xml(from: &str, to: &str) -> Vec<u8> {
    assert!(XML.contains(from), "{from}");
    XML.replace(from, to).into_bytes()
}

fn password(way: &str) -> Vec<u8> {
    yaml("{locked: true}", way)
}

fn network(text: &str) -> Vec<u8> {
    yaml(r#"{management: {mac: "00:16:3e:aa:bb:cc", ipv4: dhcp}}"#, text)
}

fn ipv4(text: &str) -> Vec<u8> {
    yaml("ipv4: dhcp", &format!("ipv4: {text}"))
}

fn vlan(id: &str) -> Vec<u8> {
    network(&format!(
        r#"{{interfaces: {{a: {{mac: "00:16:3e:aa:bb:cc"}}}}, vlans: {{v: {{parent: a, id: {id}}}}},
            management: {{on: v}}}}"#
    ))
}

fn outside_yaml() -> Vec<Case> {
    let utf16: Vec<u8> = "\u{feff}schema: x".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let laughs = "<!DOCTYPE a [<!ENTITY b \"hunter2\">]>\n<installation>&b;</installation>";
    let cut = GOOD.split("Etc").next().unwrap();
    vec![
        (1, Vec::new(), 10, &["answer file is empty"]),
        (2, b"<!DOCTYPE html><html>hunter2</html>".to_vec(), 10, &["HTML", "not an answer file"]),
        (3, laughs.as_bytes().to_vec(), 10, &["DTDs are not allowed (line 1)"]),
        (4, b"<installation>\n<root-password>hunter2".to_vec(), 10, &["unexpected end", "line"]),
        (4, cut.as_bytes().to_vec(), 10, &["answers:6:", "not YAML"]),
        (5, utf16, 10, &["must be UTF-8 (byte offset 0)", "UTF-16"]),
        (5, b"schema: \xff".to_vec(), 10, &["must be UTF-8 (byte offset 8)"]),
        (9, vec![b'#'; 300 * 1024], 10, &["larger than 256 KiB"]),
    ]
}

fn names() -> Vec<Case> {
    let disk = "  <primary-disk>/dev/disk/by-id/virtio-SN42</primary-disk>\n";
    vec![
        (6, yaml("layout", "layuot"), 10, &["layuot: unknown key", "did you mean `layout`?"]),
        (
            6,
            xml("primary-disk", "primry-disk"),
            10,
            &["unknown setting `primry-disk` (line 2)", "did you mean `primary-disk`?"],
        ),
        (6, xml("proto=", "prto="), 10, &["unknown setting `prto`", "did you mean `proto`?"]),
        (7, xml(disk, &format!("{disk}{disk}")), 10, &["given twice (lines 2 and 3)"]),
        (7, yaml("mode: install", "mode: install\nmode: install"), 10, &["there twice"]),
        (8, yaml("mode: install\n", ""), 10, &["`mode` is missing"]),
        (8, yaml("mode: install", "mode: fresh"), 10, &["install or upgrade or rollback"]),
        (8, xml("<installation>", "<installation mode=\"x\">"), 10, &["not fresh or upgrade"]),
    ]
}

fn secrets() -> Vec<Case> {
    let clear = |text: &str| password(&format!("{{plain: {text}}}"));
    let key = |text: &str| yaml(KEY, &format!("'{text}'"));
    let command = format!("command=\"hunter2\" {KEY}");
    vec![
        (10, clear("abc"), 10, &["at least 8 characters"]),
        (11, password("{hash: $1$hunter2$hunter2}"), 10, &["unsupported hash type", "yescrypt"]),
        (11, password("{hash: hunter2hunter2}"), 10, &["not a password hash", "yescrypt"]),
        (12, clear(r#""hunter2\0hunter2""#), 10, &["control characters"]),
        (12, clear(r#""hunter2\nhunter2""#), 10, &["control characters"]),
        (19, key("ssh-ed25519 hunter2"), 10, &["answers:7:", "not whole base64"]),
        (19, key(&command), 10, &["answers:7:", "not a public key"]),
    ]
}

fn values() -> Vec<Case> {
    let host = |name: &str| yaml("hostname: xen1", &format!("hostname: {name}"));
    let script = yaml("access:", "first_boot: [{url: 'http://h/hunter2'}]\naccess:");
    let source = yaml("access:", "source: {image: ../../etc}\naccess:");
    let mask = "proto=\"static\"><ipaddr>192.0.2.9</ipaddr><subnet>255.0.255.0</subnet>\
                <gateway>192.0.2.1</gateway></admin-interface>";
    let servers = "<ntp source=\"none\"/><ntp-server>a</ntp-server></installation>";
    vec![
        (13, host("-a..b"), 10, &["is not a host name"]),
        (13, host(&"a".repeat(254)), 10, &["is not a host name", "longer"]),
        (13, host("'localhost; rm -rf'"), 10, &["is not a host name"]),
        (14, ipv4("{address: 10.0.0.300/24}"), 10, &["ipv4.address", "10.0.0.300"]),
        (14, ipv4("{address: 10.0.0.3/24, gateway: 10.0.1.1}"), 10, &["ipv4.gateway", "10.0.1.1"]),
        (14, xml("proto=\"dhcp\"/>", mask), 10, &["255.0.255.0", "is not a netmask"]),
        (15, vlan("0"), 10, &["1..4094"]),
        (15, vlan("4095"), 10, &["1..4094"]),
        (15, vlan("abc"), 10, &["vlans.v.id", "a whole number is needed"]),
        (15, xml("proto=", "vlan=\"abc\" proto="), 10, &["1..4094"]),
        (17, yaml("Etc/UTC", "Mars/Olympus"), 10, &["Mars/Olympus", "for example Etc/UTC"]),
        (17, yaml("Etc/UTC", "Europe/Berln"), 10, &["did you mean `Europe/Berlin`?"]),
        (17, yaml("keymap: us", "keymap: qwerty"), 10, &["qwerty", "for example us"]),
        (18, xml("</installation>", servers), 10, &["conflict"]),
        (20, script, 10, &["needs sha256 or https"]),
        (22, source, 10, &["must stay inside the source"]),
        (23, yaml("target: host", "target: host, root_size: 4GiB"), 10, &["18GiB to 18GiB"]),
        (23, yaml("target: host", "target: host, boot_size: 4MiB"), 10, &["is not between"]),
    ]
}

#[expect(clippy::disallowed_methods, reason = "the program under test is a program")]
fn run(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_host-installer")).current_dir(dir).args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    text(&output.stdout) + &text(&output.stderr)
}

/// What a write would change: the time of the last one, how much of the disk is no hole, and the
/// hash of what it holds, of which the holes are no part.
fn untouched(image: &Path) -> (SystemTime, u64, Vec<u8>) {
    let meta = image.metadata().unwrap();
    let file = File::open(image).unwrap();
    let (mut head, mut tail) = (vec![0; 1 << 20], vec![0; 4096]);
    file.read_exact_at(&mut head, 0).unwrap();
    file.read_exact_at(&mut tail, (46 << 30) - 4096).unwrap();
    let hash = Sha256::digest([head, tail].concat());
    (meta.modified().unwrap(), meta.blocks(), hash.to_vec())
}

#[test]
fn no_bad_file_gets_as_far_as_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("disk.img");
    let disk = File::create(&image).unwrap();
    disk.set_len(46 << 30).unwrap();
    // Somebody's data, first and last.
    disk.write_all_at(&vec![0xA5; 1 << 20], 0).unwrap();
    disk.write_all_at(&[0x5A; 4096], (46 << 30) - 4096).unwrap();
    disk.sync_all().unwrap();
    drop(disk);
    let before = untouched(&image);
    let mut wrong = Vec::new();
    for (number, file, code, words) in
        [outside_yaml(), names(), secrets(), values()].into_iter().flatten()
    {
        fs::write(dir.path().join("answers"), file).unwrap();
        let install = ["install", "--answers", "answers", "--release", "none"];
        let disk = ["--disk", "SN42=disk.img", "--memory", "3GiB"];
        let output = run(dir.path(), &[&install[..], &disk[..]].concat());
        let text = said(&output);
        let good = output.status.code() == Some(code)
            && text.ends_with("DISK STATE: untouched\n")
            && words.iter().all(|word| text.contains(word))
            && !text.contains("hunter2");
        if !good {
            wrong.push(format!("row {number}, {words:?}: {:?}\n{text}", output.status));
        }
        assert_eq!(untouched(&image), before, "row {number}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn interfaces_are_held_against_a_recorded_machine() {
    let nic = |name: &str| format!(r#"{{"name":"{name}","mac":"00:16:3e:aa:bb:cc"}}"#);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("answers"), yaml("install", "install")).unwrap();
    for (nics, words) in [
        (nic("eth0").replace(":cc", ":dd"), "no interface matches"),
        (format!("{},{}", nic("eth0"), nic("eth1")), "2 interfaces match"),
    ] {
        let facts = format!(
            r#"{{"firmware":"uefi","memory":4294967296,"cpus":2,"nics":[{nics}],"disks":[
               {{"path":"/dev/vda","serial":"SN42","transport":"virtio","size":64424509440,
                 "block_size":512,"removable":false,"read_only":false}}]}}"#
        );
        fs::write(dir.path().join("facts"), facts).unwrap();
        let output = run(dir.path(), &["validate", "answers", "--facts", "facts"]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(10), "{text}");
        assert!(text.contains(words) && text.contains("eth0"), "{text}");
    }
}

#[test]
fn answers_for_some_machines_are_held_against_a_recorded_one() {
    let dir = tempfile::tempdir().unwrap();
    let facts = |serial: &str| {
        format!(
            r#"{{"firmware":"uefi","memory":4294967296,"cpus":2,"machine":{{"serial":"{serial}"}},
               "nics":[{{"name":"eth0","mac":"00:16:3e:aa:bb:cc"}}],"disks":[
               {{"path":"/dev/vda","serial":"SN42","transport":"virtio","size":64424509440,
                 "block_size":512,"removable":false,"read_only":false}}]}}"#
        )
    };
    let rule =
        |serial: &str, set: &str| format!("  - {{when: {{serial: {serial}}}, set: {set}}}\n");
    let overrides = [
        rule("A", "{disks: {host: {serial: SN43}}}"),
        rule("B", "{system: {keymap: de}}"),
        rule("B", "{system: {keymap: fr}}"),
    ];
    let file =
        [yaml("install", "install"), b"overrides:\n".to_vec(), overrides.concat().into_bytes()];
    fs::write(dir.path().join("answers"), file.concat()).unwrap();
    for (serial, code, words) in [
        ("A", 11, "no disk matches disks.host (serial SN43)"),
        (
            "B",
            10,
            "overrides[1] and overrides[2] hold for this machine, and both set `system.keymap`",
        ),
        ("C", 0, "answers: valid"),
    ] {
        fs::write(dir.path().join("facts"), facts(serial)).unwrap();
        let output = run(dir.path(), &["validate", "answers", "--facts", "facts"]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(words), "{text}");
    }
    // What would be written holds for none of them.
    let output = run(dir.path(), &["convert", "answers"]);
    assert_eq!(output.status.code(), Some(10));
    assert!(said(&output).contains("a file with `overrides` is not written anew"));
}

#[test]
fn the_password_of_an_address_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &["validate", "https://u:hunter2@127.0.0.1:1/answers"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(15), "{text}");
    assert!(
        text.contains("https://***@127.0.0.1:1/answers: the connection failed")
            && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn problems_are_records_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("answers"), yaml("target: host", "target: hots")).unwrap();
    let output = run(dir.path(), &["validate", "--json", "answers"]);
    assert_eq!(output.status.code(), Some(10));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let first = &told["problems"][0];
    assert_eq!((&told["valid"], &first["line"]), (&false.into(), &4.into()));
    assert_eq!((&first["path"], &first["value"]), (&"layout.target".into(), &"hots".into()));
    assert_eq!(first["allowed"], serde_json::json!(["host"]));
}

#[test]
fn an_old_file_is_written_anew_without_its_password() {
    let dir = tempfile::tempdir().unwrap();
    let old = XML.replace("</inst", "<root-password>hunter2hunter2</root-password></inst");
    fs::write(dir.path().join("old.xml"), old).unwrap();
    let output = run(dir.path(), &["convert", "old.xml"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("warning: root-password") && !text.contains("hunter2"), "{text}");
    fs::write(dir.path().join("new.yaml"), output.stdout).unwrap();
    let again = run(dir.path(), &["validate", "new.yaml"]);
    assert_eq!(said(&again), "new.yaml: valid\n");
}
