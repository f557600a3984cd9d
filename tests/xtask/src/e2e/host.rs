//! A host with everything that an answer file can ask of dom0, looked at with the system's own
//! tools, after a second start too.

use std::path::PathBuf;
use std::time::Duration;

use super::answers::{HOST, Web};
use super::media::check;
use crate::answers::HOSTNAME;
use crate::digest;
use crate::disks::{self, TARGET};
use crate::dom0::{self, Dom0};
use crate::failure::Result;
use crate::install::{self, Bench};
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware, MAC, MediumKind, Reach, Spec};

mod look;

const MAC_2: &str = "00:16:3e:aa:bb:cd";
/// The disk of the second repository.
const DATA: &str = "SN45";
const DATA_GIB: u64 = 20;
/// Given at the console, by the person that the test is.
const PASSWORD: &str = "typed at the console";
const QUESTION_LIMIT: Duration = Duration::from_secs(1200);
/// A script of the first boot that lies on a web server.
const SCRIPT: &str = "#!/bin/sh\necho came from afar >>/var/lib/first-boot-web\n";
/// What the scripts of the installation say.
const HOOKS_SAY: &[&str] = &[
    "pre sees /dev/vda and no table",
    "storage_ready sees 6 partitions",
    "files_ready sees xen1",
    "post was told 0 and is not content",
    "hooks.post[0] ended with 3",
];
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// Everything at once, but root's password: the console asks for it.
fn answers(port: u16) -> String {
    let sha256 = digest::text(SCRIPT);
    format!(
        "schema: xenhost/v1
mode: install
deployment_id: dom0-config
disks:
  host: {{serial: {TARGET}}}
  data: {{serial: {DATA}}}
layout: {{target: host}}
storage: {{sr: lvm, disks: {{data: ext}}}}
network:
  interfaces:
    left: {{mac: \"{MAC}\"}}
    right: {{mac: \"{MAC_2}\"}}
  bonds:
    bond0: {{members: [left, right], mode: active-backup}}
  vlans:
    mgmt: {{parent: bond0, id: 42}}
  management:
    on: mgmt
    ipv4: {{address: 192.0.2.10/24, gateway: 192.0.2.1}}
    ipv6: {{address: \"2001:db8::10/64\", gateway: \"2001:db8::1\"}}
  dns: {{servers: [192.0.2.53, \"2001:db8::53\"], search: [example.org]}}
  ntp: [192.0.2.123, ntp.example.org]
system: {{hostname: {HOSTNAME}, timezone: Europe/Berlin, keymap: de}}
access:
  ssh_keys:
    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHm0p1rYp0u0Q8ZQ2rYJmM5vG0qkq9n4oVJ9Qm2cW3xT op@example
first_boot:
  - inline: |
      #!/bin/sh
      echo was here >>/var/lib/first-boot-count
  - inline: |
      #!/bin/sh
      echo this one fails
      exit 3
  - {{url: \"http://{HOST}:{port}/script\", sha256: {sha256}, when: fully-up, timeout: 2m}}
hooks:
  pre:
    - inline: |
        #!/bin/sh
        test -e ${{XENHOST_DISK}}3 || echo pre sees $XENHOST_DISK and no table
  storage_ready:
    - inline: |
        #!/bin/sh
        echo storage_ready sees $(ls -d $XENHOST_DISK?* | wc -l) partitions
  files_ready:
    - inline: |
        #!/bin/sh
        echo files_ready sees $(cat $1/etc/hostname)
        echo by a hook >$1/etc/by-a-hook
  post:
    - on_fail: warn
      inline: |
        #!/bin/sh
        echo post was told $1 and is not content
        exit 3
finish: {{action: poweroff}}
"
    )
}

pub(super) fn dom0_config(lab: &mut Lab) -> Result<()> {
    const NAME: &str = "dom0-config";
    let bench = Bench::new(lab, NAME)?;
    let data = lab.run.join(format!("{NAME}.data.img"));
    disks::blank(&data, DATA_GIB)?;
    let mut all = bench.disks();
    all.push(Disk { path: data.clone(), serial: DATA });

    let web = Web::open(lab)?;
    web.put("script", SCRIPT)?;
    let port = web.port();
    let iso = lab.iso_of(NAME, &answers(port))?;
    let mut spec = machine(lab, &format!("{NAME}-install"), &all);
    spec.reach = Reach::Host;
    spec.medium = Some((iso, MediumKind::Cd));
    let untouched = digest::disk(&data)?;
    let verdict = install::watch(lab, NAME, &spec)?;
    check(&verdict, 0, "new system boots", HOOKS_SAY)?;
    // The installer writes nothing to the disk that dom0 will make a repository of.
    disks::check_unchanged(&data, &untouched)?;

    first(lab, "dom0-config-1", &all)?;
    second(lab, "dom0-config-2", &all)?;
    bench.check_bystander()
}

/// The password is asked and given, the repositories are made.
fn first(lab: &mut Lab, name: &str, disks: &[Disk]) -> Result<()> {
    let spec = machine(lab, name, disks);
    let mut started = dom0::start(lab, &spec)?;
    lab.report.stage(&format!("{name}: root's password is asked"), |tick| {
        let console = &mut started.serial;
        console.wait_for_any(&["New password for root"], QUESTION_LIMIT, tick)?;
        console.type_line(PASSWORD)?;
        console.wait_for("The same again", ANSWER_LIMIT)?;
        console.type_line(PASSWORD)?;
        console.wait_for("password is set", ANSWER_LIMIT)
    })?;
    let mut host = dom0::log_in(lab, name, started, PASSWORD)?;
    ready(lab, name, &mut host)?;
    look::everything(&mut host).map_err(|f| dom0::with_journal(&mut host, f))?;
    look::vlan_tags(&records(lab, name))?;
    host.power_off(lab, name)
}

/// Everything is still so, and scripts did not run again.
fn second(lab: &mut Lab, name: &str, disks: &[Disk]) -> Result<()> {
    let spec = machine(lab, name, disks);
    let started = dom0::start(lab, &spec)?;
    let mut host = dom0::log_in(lab, name, started, PASSWORD)?;
    ready(lab, name, &mut host)?;
    look::everything(&mut host).map_err(|f| dom0::with_journal(&mut host, f))?;
    host.power_off(lab, name)
}

fn ready(lab: &mut Lab, name: &str, host: &mut Dom0) -> Result<()> {
    host.wait_ready(lab, name).map_err(|f| dom0::with_journal(host, f))?;
    host.wait_storage(lab, name)
}

/// Two cards; what goes through them is recorded, since either may be the bond's active one.
fn machine(lab: &Lab, name: &str, disks: &[Disk]) -> Spec {
    let mut spec = dom0::spec(lab, name, Firmware::Uefi, disks);
    let [one, two] = records(lab, name);
    spec.hardware = [
        "-netdev",
        "user,id=net2,restrict=on",
        "-device",
        &format!("virtio-net-pci,netdev=net2,mac={MAC_2},romfile="),
        "-object",
        &format!("filter-dump,id=dump,netdev=net,file={}", one.display()),
        "-object",
        &format!("filter-dump,id=dump2,netdev=net2,file={}", two.display()),
    ]
    .map(str::to_owned)
    .to_vec();
    spec
}

fn records(lab: &Lab, name: &str) -> [PathBuf; 2] {
    ["left", "right"].map(|card| lab.run.join(format!("{name}.{card}.pcap")))
}
