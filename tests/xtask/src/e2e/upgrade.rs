//! Upgrade of the running host, its trial, and the way back; and releases that do not boot, from
//! which the host must come back by itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::boots;
use crate::call::Call;
use crate::disks::TARGET;
use crate::dom0::{self, Dom0};
use crate::failure::{At, Failure, Result, ensure};
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware};

/// The disk with the new release, in dom0 and here.
const RELEASE: &str = "SN44";
const RELEASE_MIB: u32 = 320;
/// The version of the new release, which is the built one under another name.
const NEXT: &str = "99.0";
/// Under emulation the image is hashed at 14 MB/s, and written and read back not much faster.
const UPGRADE_LIMIT: Duration = Duration::from_secs(25 * 60);
/// Three boots that fail and one that does not.
const FALLBACK_LIMIT: Duration = Duration::from_secs(25 * 60);

/// Release 1, upgrade on the running host, trial, blessed, rollback, and forward again.
pub(super) fn there_and_back(lab: &mut Lab) -> Result<()> {
    let disks = disks(lab, "upgrade", Firmware::Uefi)?;
    let mut dom0 = boot(lab, "upgrade-old", &disks)?;
    let keys = dom0.must(IDENTITY)?;
    upgrade(lab, "upgrade", &mut dom0)?;
    let refused = dom0.shell.run("host-installer upgrade --release /mnt", UPGRADE_LIMIT)?;
    ensure(refused.code == 16 && refused.output.contains("on trial"), || {
        format!("a second upgrade ended with {}: {}", refused.code, refused.output)
    })?;
    dom0.power_off(lab, "upgrade-old")?;

    let mut dom0 = boot(lab, "upgrade-new", &disks)?;
    dom0.must("findmnt -no SOURCE / | grep -q '^/dev/vda2$'")?;
    dom0.must(&format!("host-installer status | grep -q ' {NEXT},'"))?;
    dom0.must("host-installer status | grep -q 'boots: slot b, else a'")?;
    ensure(dom0.must(IDENTITY)? == keys, || "the new system is another machine".to_owned())?;
    dom0.must("! systemctl --failed --no-legend --plain | grep .")?;
    dom0.must("host-installer rollback --check | grep 'slot a would boot'")?;
    dom0.must("host-installer verify")?;
    dom0.must("host-installer rollback | grep 'slot a boots from now on'")?;
    dom0.power_off(lab, "upgrade-new")?;

    let mut dom0 = boot(lab, "upgrade-back", &disks)?;
    dom0.must("findmnt -no SOURCE / | grep -q '^/dev/vda1$'")?;
    dom0.power_off(lab, "upgrade-back")?;
    let words = ["slot b boots from now on", "DISK STATE: new system boots"];
    boots::in_rescue(lab, "upgrade-rescue", &disks, "host-installer rollback", &words)?;
    let mut dom0 = boot(lab, "upgrade-again", &disks)?;
    dom0.must("findmnt -no SOURCE / | grep -q '^/dev/vda2$'")?;
    dom0.power_off(lab, "upgrade-again")
}

/// What is the same machine before and after.
const IDENTITY: &str = "cat /etc/machine-id /etc/hostname /etc/ssh/ssh_host_*_key.pub \
                        /root/.ssh/authorized_keys; getent shadow root; \
                        ip -4 -o addr show xenbr0 | awk '{print $4}'";

/// A way to break the new system before its first boot: mounted on /run/new, by name.
struct Fault {
    name: &'static str,
    how: &'static str,
    /// What the host says of it afterwards.
    told: &'static str,
}

const PANIC: Fault = Fault {
    name: "panic",
    // No initramfs, and so no root: the kernel itself panics.
    how: "sed -i \"s# 'root=# 'rdinit=/none' 'root=#\" /run/new/boot/xenhost/slot.cfg && \
          grep -q rdinit=/none /run/new/boot/xenhost/slot.cfg",
    told: "user space was never reached",
};
const NO_XEN: Fault = Fault {
    name: "no-xen",
    how: "rm /run/new/boot/xen-*.gz",
    told: "user space was never reached",
};
/// Two minutes are enough for a boot that is to fail.
const UNWELL: Fault = Fault {
    name: "unwell",
    how: "rm /run/new/etc/systemd/network/10-xenbr0.netdev && sed -i \
          -e '/health_timeout_minutes/d' -e '1s/{/{\"health_timeout_minutes\": 2,/' \
          /run/new/etc/xenhost/inventory.json",
    told: "xenbr0",
};

/// A release whose kernel panics, then one whose Xen is missing: each is back on the old system.
pub(super) fn dies(lab: &mut Lab) -> Result<()> {
    falls_back(lab, Firmware::Bios, &[PANIC, NO_XEN])
}

/// A release that comes up and is not well.
pub(super) fn unwell(lab: &mut Lab) -> Result<()> {
    falls_back(lab, Firmware::Uefi, &[UNWELL])
}

fn falls_back(lab: &mut Lab, firmware: Firmware, faults: &[Fault]) -> Result<()> {
    let name = format!("fall-{}", faults.first().map_or("", |fault| fault.name));
    let disks = disks(lab, &name, firmware)?;
    let mut dom0 = dom0::boot(lab, &name, firmware, &disks)?;
    dom0.wait_ready(lab, &name)?;
    for fault in faults {
        let name = format!("fall-{}", fault.name);
        upgrade(lab, &name, &mut dom0)?;
        dom0.must("mkdir -p /run/new && mount /dev/vda2 /run/new")?;
        dom0.must(fault.how)?;
        dom0.must("umount /run/new && sync")?;
        dom0.power_off(lab, &name)?;
        dom0 = dom0::fall_back(lab, &format!("{name}-back"), firmware, &disks, FALLBACK_LIMIT)?;
        dom0.must("findmnt -no SOURCE / | grep -q '^/dev/vda1$'")?;
        for command in ["host-installer status", "cat /run/motd.d/*"] {
            let said = dom0.must(command)?;
            ensure(said.contains(fault.told), || {
                format!("{command} does not say {:?}:\n{said}", fault.told)
            })?;
        }
    }
    // Nothing stands in the way of the next one.
    dom0.power_off(lab, &name)
}

fn boot(lab: &mut Lab, name: &str, disks: &[Disk]) -> Result<Dom0> {
    let mut dom0 = dom0::boot(lab, name, Firmware::Uefi, disks)?;
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
        let what = format!("the plan of the upgrade, {:?}", planned.output);
        let plan: serde_json::Value = serde_json::from_str(&planned.output)
            .map_err(|source| Failure::Json { what, source })?;
        let digest = plan.get("digest").and_then(serde_json::Value::as_str).unwrap_or_default();
        let perform = format!("host-installer upgrade --release /mnt --confirm {digest}");
        let said = dom0.shell.must(&perform, UPGRADE_LIMIT)?;
        ensure(said.trim_end().ends_with("DISK STATE: new system boots"), || {
            format!("the upgrade said:\n{said}")
        })
    })
}

/// An installed disk that never booted, and one that holds the next release.
fn disks(lab: &mut Lab, name: &str, firmware: Firmware) -> Result<Vec<Disk>> {
    let target = lab.installed_copy(firmware, name)?;
    let release = next_release(lab)?;
    Ok(vec![Disk { path: target, serial: TARGET }, Disk { path: release, serial: RELEASE }])
}

/// The built release with another version: what is in it does not matter to what is tried here.
fn next_release(lab: &Lab) -> Result<PathBuf> {
    let disk = lab.run.join("next.img");
    if disk.exists() {
        return Ok(disk);
    }
    let folder = lab.run.join("next");
    let copy = Call::new("cp").args(["-a", "--reflink=auto", "--"]);
    copy.args([&lab.products.release, &folder]).stdout()?;
    let path = folder.join("release.json");
    let text = std::fs::read_to_string(&path).at("reading", &path)?;
    std::fs::write(&path, renamed(&text, &path)?).at("writing", &path)?;
    let made = disk.with_extension("new");
    Call::new("mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-d"])
        .args([&folder, &made])
        .arg(format!("{RELEASE_MIB}M"))
        .limit(Duration::from_secs(120))
        .stdout()?;
    std::fs::rename(&made, &disk).at("renaming", &made)?;
    crate::cache::remove(&folder)?;
    Ok(disk)
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
