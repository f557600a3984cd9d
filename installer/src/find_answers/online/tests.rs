//! The network of a recorded machine, with programs that only note what they were asked.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use installer_core::boot_line;

use super::*;
use crate::call::Output;

/// A machine with two interfaces, the first without a link.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        for (name, carrier, last) in [("eth0", "0", "aa"), ("eth1", "1", "bb")] {
            let folder = scene.root().join("sys/class/net").join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("type"), "1\n").unwrap();
            fs::write(folder.join("carrier"), carrier).unwrap();
            fs::write(folder.join("address"), format!("00:16:3e:00:00:{last}\n")).unwrap();
            symlink(scene.root(), folder.join("device")).unwrap();
        }
        scene
    }

    fn root(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn up(&self, line: &str, programs: &mut Programs) -> Result<String, NetworkError> {
        let root = self.root();
        let machine =
            Machine { sys: root.join("sys"), proc: root.join("proc"), dev: root.join("dev") };
        bring_up(&boot_line::parse(line).unwrap(), &machine, &root, programs)
    }
}

#[derive(Debug, Default)]
struct Programs {
    asked: Vec<String>,
    /// Interfaces on which nobody answers.
    deaf: Vec<&'static str>,
}

impl Run for Programs {
    fn run(&mut self, call: &Call) -> Result<Output, CallError> {
        let text = call.to_string();
        let deaf = call.program == "udhcpc" && self.deaf.iter().any(|nic| text.ends_with(nic));
        self.asked.push(text);
        if deaf {
            let (status, said) = ("exit status: 1".to_owned(), "no lease".to_owned());
            return Err(CallError::Status { call: Box::new(call.clone()), status, said });
        }
        Ok(Output::default())
    }
}

#[test]
fn the_interface_with_a_link_is_asked_once() {
    let (scene, mut programs) = (Scene::new(), Programs::default());
    assert_eq!(scene.up("", &mut programs).unwrap(), "00:16:3e:00:00:bb");
    let asked = programs.asked.join("\n");
    assert!(asked.starts_with("ip link set eth0 up\nip link set eth1 up\nudhcpc "), "{asked}");
    assert!(asked.ends_with("-s /usr/lib/xenhost/lease -i eth1"), "{asked}");
    // It is up: nothing more is to be done.
    programs.asked.clear();
    assert_eq!(scene.up("ip=off", &mut programs).unwrap(), "00:16:3e:00:00:bb");
    assert!(programs.asked.is_empty());
}

#[test]
fn a_whole_address_needs_nobody() {
    let (scene, mut programs) = (Scene::new(), Programs::default());
    let line = "ip=192.0.2.9::192.0.2.1:255.255.255.0::eth1:none:192.0.2.53";
    scene.up(line, &mut programs).unwrap();
    assert_eq!(
        programs.asked[1..],
        ["ip addr add 192.0.2.9/24 dev eth1", "ip route add default via 192.0.2.1 dev eth1"]
    );
    let servers = fs::read_to_string(scene.root().join(RESOLV)).unwrap();
    assert_eq!(servers, "nameserver 192.0.2.53\n");
}

#[test]
fn why_there_is_no_network() {
    let scene = Scene::new();
    let mut programs = Programs { deaf: vec!["eth1"], ..Programs::default() };
    let mut fails = |line: &str| scene.up(line, &mut programs).unwrap_err().to_string();
    assert_eq!(fails(""), "no address by DHCP on eth1");
    assert_eq!(fails("ip=off"), "the kernel line says ip=off");
    let unknown = fails("ip=eth7:dhcp");
    assert!(unknown.contains("no interface eth7: eth0 00:16:3e:00:00:aa, eth1"), "{unknown}");
}

#[test]
fn the_interface_that_the_machine_started_from_is_taken() {
    let (scene, mut programs) = (Scene::new(), Programs::default());
    scene.up("BOOTIF=01-00-16-3e-00-00-bb", &mut programs).unwrap();
    assert_eq!(programs.asked[0], "ip link set eth1 up");
}
