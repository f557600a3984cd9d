//! An installed disk, booted: waiting for Xen, for dom0, for the toolstack, and looking around.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use crate::answers::{HOSTNAME, PASSWORD};
use crate::failure::{Failure, Result, ensure};
use crate::inside;
use crate::lab::Lab;
use crate::qemu::shell::Shell;
use crate::qemu::{Disk, Firmware, Machine, Reach, Resets, Spec, shell};

/// What Xen says when it has been started. GRUB's own messages name Xen too, but not like this.
pub(crate) const XEN_BANNER: &str = "(XEN) Xen version";
/// OVMF under emulation on a busy machine needs half a minute by itself.
pub(crate) const XEN_LIMIT: Duration = Duration::from_secs(180);
/// Measured: 70 to 150 s under emulation on an idle machine, ten minutes on one that does five
/// things at once.
const LOGIN_LIMIT: Duration = Duration::from_secs(1200);
const COMMAND_LIMIT: Duration = Duration::from_secs(120);
const READY_LIMIT: Duration = Duration::from_secs(400);
const OFF_LIMIT: Duration = Duration::from_secs(600);

/// Something that is so in dom0, and the command that shows it.
pub(crate) type Check = (&'static str, &'static str);

/// On disks from 46 GiB on.
pub(crate) const MODERN: &[Check] = &[
    ("root grew to its slot", "test $(df -BG --output=size / | tail -1 | tr -dc 0-9) -ge 17"),
    ("the logs partition is on /var/log", "findmnt -no SOURCE /var/log | grep -q vda5"),
    ("swap is on", "grep -q partition /proc/swaps"),
];

/// On smaller ones.
pub(crate) const LEGACY: &[Check] = &[
    ("root grew to its slot", "test $(df -BM --output=size / | tail -1 | tr -dc 0-9) -ge 3300"),
    ("logs lie in root", "! findmnt -n /var/log"),
    (
        "the swap file is used",
        "grep -Eq '^/swapfile[[:space:]]+file[[:space:]]+524284' /proc/swaps",
    ),
    ("the inventory names the layout", "grep -q '\"legacy\"' /etc/xenhost/inventory.json"),
];

/// A booted host with a root shell.
#[derive(Debug)]
pub(crate) struct Dom0 {
    machine: Machine,
    pub(crate) shell: Shell,
}

/// What dom0 says about itself.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) xen_version: String,
    pub(crate) layout: String,
    pub(crate) bless: String,
}

/// A machine that has these disks and no medium.
pub(crate) fn spec(lab: &Lab, name: &str, firmware: Firmware, disks: &[Disk]) -> Spec {
    Spec {
        accel: lab.accel.clone(),
        firmware,
        disks: disks.to_vec(),
        medium: None,
        kernel: None,
        resets: Resets::End,
        hardware: Vec::new(),
        write_log: None,
        display: lab.display,
        reach: Reach::Nothing,
        work: lab.run.clone(),
        name: name.to_owned(),
    }
}

/// Boots until Xen says its version, and no further.
pub(crate) fn boot_to_xen(lab: &mut Lab, name: &str, fw: Firmware, disk: &Path) -> Result<()> {
    let disks = [Disk { path: disk.to_owned(), serial: crate::disks::TARGET }];
    // The boot must not be what a later comparison sees, so it happens on a copy.
    let spec = spec(lab, name, fw, &disks);
    lab.report.stage(&format!("{name}: Xen banner"), |tick| {
        let mut machine = spec.start()?;
        machine.serial.wait_for_any(&[XEN_BANNER], XEN_LIMIT, tick)?;
        machine.cut_power()
    })
}

/// Boots until root is logged in on the serial console.
pub(crate) fn boot(lab: &mut Lab, name: &str, fw: Firmware, disks: &[Disk]) -> Result<Dom0> {
    let machine = start(lab, &spec(lab, name, fw, disks))?;
    log_in(lab, name, machine, PASSWORD)
}

/// Starts a machine that boots to Xen.
pub(crate) fn start(lab: &mut Lab, spec: &Spec) -> Result<Machine> {
    lab.report.stage(&format!("{}: Xen", spec.name), |tick| {
        let mut machine = spec.start()?;
        machine.serial.wait_for_any(&[XEN_BANNER], XEN_LIMIT, tick)?;
        Ok(machine)
    })
}

/// Lets the machine boot again and again until the boot loader has said that it gives slot b up,
/// and root can log in: a system on trial that dies comes back as the one before it.
pub(crate) fn fall_back(
    lab: &mut Lab,
    name: &str,
    fw: Firmware,
    disks: &[Disk],
    (given_up, limit): (&str, Duration),
) -> Result<Dom0> {
    let mut spec = spec(lab, name, fw, disks);
    spec.resets = Resets::Boot;
    let machine = lab.report.stage(&format!("{name}: falls back"), |tick| {
        let mut machine = spec.start()?;
        machine.serial.wait_for_any(&[given_up], limit, tick)?;
        Ok(machine)
    })?;
    log_in(lab, name, machine, PASSWORD)
}

/// Boots the system of slot a without Xen under it: all of it but the toolstack works, and what
/// starts many processes is some ten times faster under emulation.
pub(crate) fn boot_without_xen(lab: &mut Lab, name: &str, disks: &[Disk]) -> Result<Dom0> {
    let mut spec = spec(lab, name, Firmware::Bios, disks);
    let slot = &disks.first().expect("a machine to log in to has a disk").path;
    spec.kernel = Some(inside::kernel(slot, &lab.run)?);
    let machine = lab.report.stage(&format!("{name}: Linux"), |tick| {
        let mut machine = spec.start()?;
        machine.serial.wait_for_any(&["Linux version"], XEN_LIMIT, tick)?;
        Ok(machine)
    })?;
    log_in(lab, name, machine, PASSWORD)
}

/// Waits for the login prompt and logs root in.
pub(crate) fn log_in(
    lab: &mut Lab,
    name: &str,
    mut machine: Machine,
    password: &str,
) -> Result<Dom0> {
    lab.report.stage(&format!("{name}: login prompt"), |tick| {
        let login = format!("{HOSTNAME} login:");
        machine.serial.wait_for_any(&[&login], LOGIN_LIMIT, tick).map(drop)
    })?;
    lab.report.stage(&format!("{name}: root shell"), |_| {
        let shell = shell::log_in(&mut machine, password)?;
        Ok(Dom0 { machine, shell })
    })
}

impl Dom0 {
    /// Waits until the toolstack answers and the host has blessed itself.
    pub(crate) fn wait_ready(&mut self, lab: &mut Lab, name: &str) -> Result<()> {
        lab.report.stage(&format!("{name}: xl info, xenstore"), |_| {
            let wait = "for i in $(seq 100); do xl info >/dev/null 2>&1 && \
                        xenstore-read /local/domain/0/name && exit_ok=1 && break; sleep 2; done; \
                        test -n \"$exit_ok\"";
            self.shell.must(wait, READY_LIMIT).map(drop)
        })?;
        lab.report.stage(&format!("{name}: blessed"), |_| {
            let wait = "for i in $(seq 100); do journalctl -u xenhost-bless -o cat --no-pager | \
                        grep -q 'host blessed' && ok=1 && break; sleep 2; done; test -n \"$ok\" || \
                        { systemctl status --no-pager -l xenhost-bless; systemctl list-jobs; \
                        false; }";
            self.shell.must(wait, READY_LIMIT).map(drop)
        })
    }

    /// Waits until a system that is not the chosen one has said so.
    pub(crate) fn wait_aside(&mut self, lab: &mut Lab, name: &str) -> Result<()> {
        lab.report.stage(&format!("{name}: not the chosen system"), |_| {
            let wait = "for i in $(seq 100); do journalctl -u xenhost-bless -o cat --no-pager | \
                        grep -q 'NOT the chosen system' && ok=1 && break; sleep 2; done; \
                        test -n \"$ok\" || \
                        { systemctl status --no-pager -l xenhost-bless; false; }";
            self.shell.must(wait, READY_LIMIT).map(drop)
        })
    }

    /// Waits until the storage repositories that the answers ask for are there.
    pub(crate) fn wait_storage(&mut self, lab: &mut Lab, name: &str) -> Result<()> {
        lab.report.stage(&format!("{name}: repositories"), |_| {
            let wait = "for i in $(seq 100); do systemctl is-active -q xenhost-storage-make && \
                        ok=1 && break; systemctl is-failed -q xenhost-storage-make && break; \
                        sleep 2; done; test -n \"$ok\" || \
                        { systemctl status --no-pager -l xenhost-storage-make; false; }";
            self.shell.must(wait, READY_LIMIT).map(drop)
        })
    }

    /// Looks around, and checks what the answers asked for and what the layout has.
    pub(crate) fn look(&mut self, promised: &[Check]) -> Result<Seen> {
        let info = self.must("xl info")?;
        let field = |name: &str| {
            let line = info.lines().find(|l| l.split(':').next().unwrap_or("").trim() == name);
            line.and_then(|l| l.split_once(':')).map(|(_, v)| v.trim().to_owned())
        };
        let xen_version = field("xen_version").unwrap_or_default();
        ensure(xen_version.starts_with("4."), || format!("xl info names no Xen version:\n{info}"))?;
        let layout = self.must(
            "lsblk -e 11 -o NAME,SIZE,SERIAL,FSTYPE,LABEL,PARTLABEL,MOUNTPOINTS | sed 's/ *$//'",
        )?;
        let bless = self.must("journalctl -u xenhost-bless -o cat --no-pager | grep blessed")?;
        self.check_configuration(promised)?;
        Ok(Seen { xen_version, layout, bless })
    }

    /// What DESIGN and the answer file promise of a running dom0, each with the command that shows
    /// it.
    fn check_configuration(&mut self, layout: &[Check]) -> Result<()> {
        let checks: &[Check] = &[
            ("the host name is the asked one", "test \"$(hostname)\" = xen1"),
            ("root is the slot", "findmnt -no SOURCE / | grep -q '^/dev/vda1$'"),
            ("Xen has its log folder", "test -d /var/log/xen"),
            ("the boot partition is not mounted", "! findmnt -n /dev/vda4"),
            (
                "the bridge has the card's address",
                "ip link show xenbr0 | grep -qi 00:16:3e:aa:bb:cc",
            ),
            ("the card is in the bridge", "ls /sys/class/net/xenbr0/brif | grep -q ."),
            ("the bridge has an address", "ip -4 addr show xenbr0 | grep -q 'inet 10.0.2.'"),
            ("there is a machine-id", "grep -Eq '^[0-9a-f]{32}$' /etc/machine-id"),
            ("SSH host keys were made", "ls /etc/ssh/ssh_host_ed25519_key"),
            ("sshd runs", "systemctl is-active -q ssh"),
            (
                "the operator's key is in place",
                "grep -q operator@example /root/.ssh/authorized_keys",
            ),
            (
                "the inventory names slot a",
                "grep -Eq '\"slot\": *\"a\"' /etc/xenhost/inventory.json",
            ),
            (
                "dom0 memory follows the rule",
                "test \"$(xl list | awk '/Domain-0/{print $3}')\" -le 1184",
            ),
            ("no unit failed", "! systemctl --failed --no-legend --plain | grep ."),
        ];
        let all: Vec<Check> = checks.iter().chain(layout).copied().collect();
        self.check_all(&all)
    }

    /// Each is what should be so, and the command that succeeds then. All of them are tried, so
    /// that one run tells everything that is wrong.
    pub(crate) fn check_all(&mut self, checks: &[(&str, &str)]) -> Result<()> {
        let mut wrong = String::new();
        for (what, command) in checks {
            let did = self.shell.run(&patient(command), COMMAND_LIMIT)?;
            if did.code != 0 {
                writeln!(wrong, "\n  not so: {what}: `{command}`: {}", did.output)
                    .expect("writing to a string cannot go wrong");
            }
        }
        ensure(wrong.is_empty(), || format!("dom0 is not as promised:{wrong}"))
    }

    /// The machine said so since it was started, in this boot or an earlier one.
    pub(crate) fn said(&self, words: &str) -> Result<()> {
        let console = &self.machine.serial;
        ensure(console.text().contains(words), || {
            format!("the machine never said {words:?}; log: {}", console.log().display())
        })
    }

    pub(crate) fn must(&mut self, command: &str) -> Result<String> {
        self.shell.must(command, COMMAND_LIMIT)
    }

    pub(crate) fn power_off(mut self, lab: &mut Lab, name: &str) -> Result<()> {
        lab.report.stage(&format!("{name}: power off"), |_| {
            self.shell.send("systemctl poweroff")?;
            self.machine.wait_off(OFF_LIMIT)
        })
    }

    /// Ends it as a power cut does.
    pub(crate) fn cut_power(self) -> Result<()> {
        self.machine.cut_power()
    }
}

/// A host that blesses itself may still wait for its DHCP server, and for its swap.
fn patient(command: &str) -> String {
    format!(
        "ok=no; for i in $(seq 20); do if {command}; then ok=yes; break; fi; sleep 3; done; \
         test $ok = yes"
    )
}

/// Says of a failed look which of the host's own words may explain it.
pub(crate) fn with_journal(dom0: &mut Dom0, failure: Failure) -> Failure {
    let journal = dom0.shell.run("journalctl -b -p warning --no-pager | tail -30", COMMAND_LIMIT);
    match journal {
        Ok(did) => Failure::check(format!("{failure}\nthe journal's warnings:\n{}", did.output)),
        Err(_) => failure,
    }
}
