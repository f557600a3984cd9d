//! Upgrade of the running host, its trial, and the way back; and releases that do not boot, from
//! which the host must come back by itself.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::boots;
use crate::call::Call;
use crate::disks::{self, TARGET};
use crate::dom0::{self, Check, Dom0};
use crate::failure::{At, Failure, Result, ensure};
use crate::inside;
use crate::inside::tree::{Change, Tree};
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware};

/// The disk with the new release, in dom0 and here.
const RELEASE: &str = "SN44";
const RELEASE_MIB: u32 = 320;
/// The version of the new release, which is the built one under another name.
const NEXT: &str = "99.0";
/// Where [`next_folder`] puts it, in the folder of the scenario.
pub(super) const NEXT_FOLDER: &str = "next";
/// Under emulation the image is hashed at 14 MB/s, and written and read back not much faster.
const UPGRADE_LIMIT: Duration = Duration::from_secs(25 * 60);
/// Three boots that fail and one that does not.
const FALLBACK_LIMIT: Duration = Duration::from_secs(25 * 60);

/// What is the same machine before and after.
const IDENTITY: &str = "cat /etc/machine-id /etc/hostname /etc/ssh/ssh_host_*_key.pub \
                        /root/.ssh/authorized_keys; getent shadow root; \
                        ip -4 -o addr show xenbr0 | awk '{print $4}'";
/// A host with guests has no memory to spare: next to nothing of it may be pushed out to swap.
const LITTLE_SWAPPED: &str = "free -m; awk '/^SwapTotal/{t=$2} /^SwapFree/{f=$2} \
                              END{exit t - f > 65536}' /proc/meminfo";
/// A trial that ended well leaves nothing behind that could end a blessed host.
pub(super) const WELL_TRIED: &[Check] = &[
    ("no unit failed", "! systemctl --failed --no-legend --plain | grep ."),
    ("Xen watched the trial", "journalctl -b | grep -q \"hardware watchdog 'xen_wdt'\""),
    ("it is over", "s='/sys/class/watchdog/*/state'; ls $s && ! grep -x active $s"),
    ("also for a systemd that is started anew", "! ls /run/systemd/system.conf.d/*trial*"),
];
/// The file that keeps what [`IDENTITY`] said, beside the disk that it was said of.
const WAS: &str = "upgraded.identity";

/// A disk that has been installed, blessed and upgraded, at rest before its trial; and the disk
/// with the next release.
fn upgraded(lab: &mut Lab, name: &str) -> Result<Vec<Disk>> {
    let upgraded = lab.shared("upgraded.img", |lab, place| {
        let target = lab.installed_copy(Firmware::Uefi, "upgraded")?;
        let disks = with_release(lab, &target)?;
        let identity = upgrade_running(lab, "upgraded", Firmware::Uefi, &disks)?;
        std::fs::write(lab.root.join(WAS), identity).at("writing", Path::new(WAS))?;
        std::fs::rename(&target, place).at("naming", place)
    })?;
    let copy = lab.run.join(format!("{name}.img"));
    disks::copy(&upgraded, &copy)?;
    with_release(lab, &copy)
}

/// The disk of a host, and one with the next release.
pub(super) fn with_release(lab: &mut Lab, host: &Path) -> Result<Vec<Disk>> {
    let release = lab.shared("next.img", next_release)?;
    let host = Disk { path: host.to_owned(), serial: TARGET };
    Ok(vec![host, Disk { path: release, serial: RELEASE }])
}

/// Boots an installed disk, upgrades it on the running host, and switches that off before the
/// trial. Gives what [`IDENTITY`] said.
pub(super) fn upgrade_running(
    lab: &mut Lab,
    name: &str,
    firmware: Firmware,
    disks: &[Disk],
) -> Result<String> {
    let mut dom0 = boot(lab, name, firmware, disks)?;
    let identity = dom0.must(IDENTITY)?;
    println!("{}", dom0.must(LITTLE_SWAPPED)?);
    upgrade(lab, name, &mut dom0)?;
    println!("{}", dom0.must(LITTLE_SWAPPED)?);
    let refused = dom0.shell.run("host-installer upgrade --release /mnt", UPGRADE_LIMIT)?;
    ensure(refused.code == 16 && refused.output.contains("on trial"), || {
        format!("a second upgrade ended with {}: {}", refused.code, refused.output)
    })?;
    dom0.power_off(lab, name)?;
    Ok(identity)
}

/// The trial of the new system, which ends well; and back from it, on the running host.
pub(super) fn tried_and_left(
    lab: &mut Lab,
    name: &str,
    firmware: Firmware,
    disks: &[Disk],
    identity: &str,
) -> Result<()> {
    let name = format!("{name}-new");
    let mut dom0 = boot(lab, &name, firmware, disks)?;
    dom0.must("findmnt -no SOURCE / | grep -q '^/dev/vda2$'")?;
    dom0.must(&format!("host-installer status | grep -q ' {NEXT},'"))?;
    dom0.must("host-installer status | grep -q 'boots: slot b, else a'")?;
    ensure(dom0.must(IDENTITY)? == identity, || "the new system is another machine".to_owned())?;
    dom0.check_all(WELL_TRIED)?;
    dom0.must("host-installer rollback --check | grep 'slot a would boot'")?;
    dom0.must("host-installer verify")?;
    dom0.must("host-installer rollback | grep 'slot a boots from now on'")?;
    dom0.power_off(lab, &name)
}

/// The old system, which boots again; `in_dom0` is done in it.
pub(super) fn back(
    lab: &mut Lab,
    name: &str,
    firmware: Firmware,
    disks: &[Disk],
    in_dom0: &[&str],
) -> Result<()> {
    let mut dom0 = boot(lab, &format!("{name}-back"), firmware, disks)?;
    dom0.must("findmnt -no SOURCE / | grep -q '^/dev/vda1$'")?;
    dom0.must("host-installer status | grep -q 'boots: slot a, else b'")?;
    for command in in_dom0 {
        dom0.must(command)?;
    }
    dom0.cut_power()
}

/// What a rollback says that goes forward again.
pub(super) const FORWARD: [&str; 2] = ["slot b boots from now on", "DISK STATE: new system boots"];

/// The machine starts slot b now.
pub(super) fn forward(lab: &mut Lab, name: &str, firmware: Firmware, disks: &[Disk]) -> Result<()> {
    let spec = dom0::spec(lab, &format!("{name}-again"), firmware, disks);
    let machine = dom0::start(lab, &spec)?;
    let text = machine.serial.text();
    ensure(text.contains("xenhost: booting slot b"), || {
        format!("the rollback did not choose slot b:\n{text}")
    })?;
    machine.cut_power()
}

/// Release 1, upgrade on the running host, trial, blessed, rollback, and forward again.
pub(super) fn there_and_back(lab: &mut Lab) -> Result<()> {
    const NAME: &str = "upgrade";
    let disks = upgraded(lab, NAME)?;
    let was = lab.root.join(WAS);
    let was = std::fs::read_to_string(&was).at("reading", &was)?;
    tried_and_left(lab, NAME, Firmware::Uefi, &disks, &was)?;
    back(lab, NAME, Firmware::Uefi, &disks, &[])?;
    boots::in_rescue(lab, "upgrade-rescue", &disks, "host-installer rollback", &FORWARD)?;
    forward(lab, NAME, Firmware::Uefi, &disks)
}

/// A way to break the new system before its first boot.
pub(super) struct Fault {
    pub(super) name: &'static str,
    pub(super) changes: fn(&Tree) -> Result<Vec<Change>>,
    /// What the machine says when the fault strikes.
    pub(super) strikes: &'static str,
    /// What the boot loader says when it goes back.
    pub(super) given_up: &'static str,
    /// What the host says of it afterwards.
    pub(super) told: &'static str,
}

/// What Linux says of a restart that somebody asked for; systemd may end who asked before a word of
/// theirs is on the console.
pub(super) const RESTARTS: &str = "reboot: Restarting system";
pub(super) const THREE_TRIES: &str = "xenhost: slot b was started three times and not blessed";

const PANIC: Fault = Fault {
    name: "panic",
    // No initramfs, and so no root: the kernel itself panics.
    changes: |slot| {
        let path = "/boot/xenhost/slot.cfg";
        Ok(vec![(
            path.to_owned(),
            Some(replaced(slot, path, " 'root=", " 'rdinit=/none' 'root=")?),
        )])
    },
    strikes: "Kernel panic - not syncing",
    given_up: THREE_TRIES,
    told: "user space was never reached",
};
pub(super) const NO_XEN: Fault = Fault {
    name: "no-xen",
    changes: |slot| {
        let all = slot.list("/boot")?.into_iter();
        Ok(all.filter(|path| path.starts_with("/boot/xen-")).map(|path| (path, None)).collect())
    },
    strikes: "xenhost: /boot/xen-",
    // The boot loader itself sees it, and goes on to the other slot at once.
    given_up: "xenhost: slot b did not start",
    told: "user space was never reached",
};
/// A minute is enough for a boot that is to fail.
const UNWELL: Fault = Fault {
    name: "unwell",
    changes: |slot| {
        let path = "/etc/xenhost/inventory.json";
        let mut inventory: serde_json::Value = serde_json::from_str(&slot.text(path)?)
            .map_err(|source| Failure::Json { what: path.to_owned(), source })?;
        if let Some(inventory) = inventory.as_object_mut() {
            inventory.insert("health_timeout_minutes".to_owned(), 1.into());
        }
        Ok(vec![
            ("/etc/systemd/network/10-xenbr0.netdev".to_owned(), None),
            (path.to_owned(), Some(inventory.to_string())),
        ])
    },
    strikes: RESTARTS,
    given_up: THREE_TRIES,
    told: "xenbr0",
};

pub(super) fn replaced(slot: &Tree, path: &str, old: &str, new: &str) -> Result<String> {
    let text = slot.text(path)?;
    ensure(text.contains(old), || format!("{path} holds no {old:?}:\n{text}"))?;
    Ok(text.replace(old, new))
}

/// A release whose Xen is missing, then one whose kernel panics: each is back on the old system,
/// and the next upgrade is made from there, on the running host.
pub(super) fn dies(lab: &mut Lab) -> Result<()> {
    let disks = upgraded(lab, "dies")?;
    let mut dom0 = falls_back(lab, Firmware::Bios, &disks, &NO_XEN)?;
    // Two tries are left: the trial is given up before the next one.
    dom0.must("host-installer rollback | grep 'slot a boots from now on'")?;
    upgrade(lab, "dies", &mut dom0)?;
    dom0.power_off(lab, "dies")?;
    let mut dom0 = falls_back(lab, Firmware::Bios, &disks, &PANIC)?;
    dom0.must(&format!("mount -o ro /dev/disk/by-id/virtio-{RELEASE} /mnt"))?;
    let planned = dom0.shell.run("host-installer upgrade --release /mnt", UPGRADE_LIMIT)?;
    ensure(planned.code == 12, || {
        format!("the next plan ended with {}: {}", planned.code, planned.output)
    })?;
    dom0.cut_power()
}

/// A release that comes up and is not well. Two of its tries are taken as made, since each is a
/// boot of some minutes; that there are three of them is seen where the kernel dies.
pub(super) fn unwell(lab: &mut Lab) -> Result<()> {
    let disks = upgraded(lab, "unwell")?;
    set_tries(&disks.first().expect("the host's disk").path, b'1')?;
    falls_back(lab, Firmware::Uefi, &disks, &UNWELL)?.cut_power()
}

/// Changes the count of tries, which is three, where it lies on the disk: its file is never moved.
pub(super) fn set_tries(disk: &Path, left: u8) -> Result<()> {
    const THREE: &[u8] = b"# GRUB Environment Block\ntries=3\n";
    /// Far more than the boot loader and the rescue system take.
    const LOOKED_AT: u64 = 256 << 20;
    let table = inside::partitions(disk)?;
    let boot = table.iter().find(|partition| partition.number() == 4);
    let boot = boot.ok_or_else(|| Failure::check("no boot partition"))?.start * 512;
    let file = File::options().read(true).write(true).open(disk).at("opening", disk)?;
    let mut block = vec![0; 512];
    for at in (boot..boot + LOOKED_AT).step_by(512) {
        file.read_exact_at(&mut block, at).at("reading", disk)?;
        if block.starts_with(THREE) {
            let tail = u64::try_from(THREE.len()).unwrap_or(0) - 2;
            return file.write_all_at(&[left], at + tail).at("writing", disk);
        }
    }
    Err(Failure::check(format!("{}: no counter of three tries", disk.display())))
}

/// Breaks the new system on its disk, and boots until the old one is back and says why.
pub(super) fn falls_back(
    lab: &mut Lab,
    firmware: Firmware,
    disks: &[Disk],
    fault: &Fault,
) -> Result<Dom0> {
    let slot = Tree::open(&disks.first().expect("the host's disk").path, 2)?;
    let changes = (fault.changes)(&slot)?;
    ensure(!changes.is_empty(), || format!("{}: nothing to break", fault.name))?;
    slot.change(&lab.run, &changes)?;
    let mut dom0 =
        dom0::fall_back(lab, fault.name, firmware, disks, (fault.given_up, FALLBACK_LIMIT))?;
    dom0.said(fault.strikes)?;
    dom0.must("findmnt -no SOURCE / | grep -q '^/dev/vda1$'")?;
    for command in ["host-installer status", "cat /run/motd.d/*"] {
        let says = format!("{command} says why");
        let command = format!("{command} | grep -q '{}'", fault.told);
        dom0.check_all(&[(&says, &command)])?;
    }
    Ok(dom0)
}

pub(super) fn boot(lab: &mut Lab, name: &str, firmware: Firmware, disks: &[Disk]) -> Result<Dom0> {
    let mut dom0 = dom0::boot(lab, name, firmware, disks)?;
    dom0.wait_ready(lab, name)?;
    Ok(dom0)
}

/// `host-installer upgrade` as an administrator calls it: look at the plan, confirm its digest.
fn upgrade(lab: &mut Lab, name: &str, dom0: &mut Dom0) -> Result<()> {
    lab.report.stage(&format!("{name}: upgrade"), |_| {
        let mount = format!("mount -o ro /dev/disk/by-id/virtio-{RELEASE} /mnt");
        dom0.must(&format!("findmnt -n /mnt || {mount}"))?;
        let plan = "host-installer upgrade --release /mnt --json";
        let planned = dom0.shell.run(&format!("{plan} 2>/dev/null"), UPGRADE_LIMIT)?;
        let digest = digest_of(&planned.output)?;
        let perform = format!("host-installer upgrade --release /mnt --confirm {digest}");
        let said = dom0.shell.must(&perform, UPGRADE_LIMIT)?;
        ensure(said.trim_end().ends_with("DISK STATE: new system boots"), || {
            format!("the upgrade said:\n{said}")
        })
    })
}

/// The digest of a plan that `--json` has shown.
pub(super) fn digest_of(planned: &str) -> Result<String> {
    let what = format!("the plan of the upgrade, {planned:?}");
    let plan: serde_json::Value =
        serde_json::from_str(planned).map_err(|source| Failure::Json { what, source })?;
    let digest = plan.get("digest").and_then(serde_json::Value::as_str);
    Ok(digest.unwrap_or_default().to_owned())
}

/// A disk with the next release.
fn next_release(lab: &mut Lab, disk: &Path) -> Result<()> {
    let folder = next_folder(lab)?;
    disks::of_folder(&folder, disk, RELEASE_MIB)?;
    crate::cache::remove(&folder)
}

/// The built release under another version: what is in it does not matter to what is tried here.
pub(super) fn next_folder(lab: &Lab) -> Result<PathBuf> {
    let folder = lab.run.join(NEXT_FOLDER);
    let copy = Call::new("cp").args(["-a", "--reflink=auto", "--"]);
    copy.args([&lab.products.release, &folder]).stdout()?;
    let path = folder.join("release.json");
    let text = std::fs::read_to_string(&path).at("reading", &path)?;
    std::fs::write(&path, renamed(&text, &path)?).at("writing", &path)?;
    Ok(folder)
}

fn renamed(manifest: &str, path: &Path) -> Result<String> {
    let json = |source| Failure::Json { what: path.display().to_string(), source };
    let mut manifest: serde_json::Value = serde_json::from_str(manifest).map_err(json)?;
    for (key, value) in [("version", NEXT), ("build", "next")] {
        let place = manifest
            .get_mut(key)
            .ok_or_else(|| Failure::check(format!("{} has no {key}", path.display())))?;
        *place = value.into();
    }
    serde_json::to_string(&manifest).map_err(json)
}
