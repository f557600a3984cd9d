//! The files of an old root.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Chain, LABEL, Repository, loader};
use crate::answers::{HASH, HOSTNAME, SSH_KEY};
use crate::call::Call;
use crate::failure::{At, Result};
use crate::lab::Lab;
use crate::qemu::MAC;

const INIT: &str = include_str!("root-init");
const INITRD_INIT: &str = include_str!("initrd-init");
const DATABASE: &str = include_str!("state.db");
/// UUIDs of the repositories that LVM made.
const EMPTY_SR: &str = "11111111-1111-4111-8111-111111111111";
const USED_SR: &str = "22222222-2222-4222-8222-222222222222";
/// What the used one holds, as the database tells of it.
const GUEST_DISK: &str = "  <row ref=\"OpaqueRef:disk\" \
     uuid=\"0a8f3c52-6a3e-4f0e-9d27-8b6a7d1c2e11\" SR=\"OpaqueRef:local\" \
     name__label=\"web\" virtual_size=\"536870912\"/>\n";

/// What a boot loader needs of a root.
pub(super) const STARTED: [&str; 2] = ["/boot/vmlinuz", "/boot/initrd.img"];
/// Folders without files, as far as the root's own programs need them.
const FOLDERS: [&str; 6] = ["dev", "proc", "sys", "tmp", "var/tmp", "mnt"];
/// Programs of the first boot; each has left its state.
const FIRST_BOOT: [&str; 4] = [
    "05-prepare-networking",
    "10-prepare-storage",
    "61-regenerate-old-templates",
    "90-flush-pool-db",
];

/// Makes the whole tree in a folder that does not exist yet.
pub(super) fn lay_out(lab: &Lab, chain: Chain, sr: Repository, root: &Path) -> Result<()> {
    for folder in FOLDERS {
        let path = root.join(folder);
        std::fs::create_dir_all(&path).at("making", &path)?;
    }
    for (path, text) in texts(sr) {
        put(root, &path, text.as_bytes(), 0o644)?;
    }
    put(root, "etc/shadow", format!("root:{HASH}:17000:0:99999:7:::\n").as_bytes(), 0o400)?;
    put(root, "sbin/init", INIT.as_bytes(), 0o755)?;
    for name in FIRST_BOOT {
        put(root, &format!("etc/firstboot.d/{name}"), b"#!/bin/sh\n", 0o755)?;
        put(root, &format!("etc/firstboot.d/state/{name}"), b"success\n", 0o644)?;
    }
    let keys = root.join("etc/ssh");
    std::fs::create_dir_all(&keys).at("making", &keys)?;
    Call::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(keys.join("ssh_host_ed25519_key"))
        .stdout()?;
    boot(lab, root)?;
    loader::files(chain, root)
}

/// Kernel and initramfs: those of the installer environment, with another first program; and the
/// shell that runs the root's.
fn boot(lab: &Lab, root: &Path) -> Result<()> {
    let environment = lab.products.release.join("installer");
    let boot = root.join("boot");
    std::fs::create_dir_all(&boot).at("making", &boot)?;
    let kernel = boot.join("vmlinuz");
    std::fs::copy(environment.join("vmlinuz"), &kernel).at("copying to", &kernel)?;
    let initrd = environment.join("initrd.img");
    with_program(&lab.run, &initrd, ("oldhost", INITRD_INIT), &boot.join("initrd.img"))?;
    let unpack = "zstd -dc \"$0\" | cpio -i --quiet --make-directories bin/busybox";
    Call::new("sh").args(["-c", unpack]).arg(&initrd).dir(root).stdout().map(drop)
}

/// An initramfs with a program before the others in it.
pub(super) fn with_program(
    scratch: &Path,
    initrd: &Path,
    (name, script): (&str, &str),
    out: &Path,
) -> Result<()> {
    let folder = scratch.join(format!("{name}-program"));
    put(&folder, name, script.as_bytes(), 0o755)?;
    join(&folder, initrd, out)
}

/// A folder as an archive, and an initramfs behind it.
pub(super) fn join(folder: &Path, initrd: &Path, out: &Path) -> Result<()> {
    let pack = "find . -mindepth 1 | cpio -o -H newc --quiet | cat - \"$0\" >\"$1\"";
    Call::new("sh").args(["-c", pack]).args([initrd, out]).dir(folder).stdout()?;
    crate::cache::remove(folder)
}

pub(super) fn put(root: &Path, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
    let path = root.join(path);
    let folder = path.parent().unwrap_or(root);
    std::fs::create_dir_all(folder).at("making", folder)?;
    std::fs::write(&path, bytes).at("writing", &path)?;
    let mode = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&path, mode).at("changing the mode of", &path)
}

/// Every text file, by path.
fn texts(sr: Repository) -> Vec<(String, String)> {
    let (uuid, disk) = match sr {
        Repository::Empty => (EMPTY_SR, ""),
        Repository::InUse => (USED_SR, GUEST_DISK),
    };
    let database = DATABASE.replace("@SR@", uuid).replace("@DISKS@", disk);
    [
        ("etc/xensource-inventory", INVENTORY.to_owned()),
        ("etc/xensource/pool.conf", "master".to_owned()),
        ("etc/xensource/ptoken", "not-a-secret".to_owned()),
        ("var/lib/xcp/state.db", database),
        ("etc/hostname", format!("{HOSTNAME}\n")),
        ("etc/machine-id", "3f2b1c4d5e6f47088990aabbccddeeff\n".to_owned()),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n".to_owned()),
        ("etc/group", "root:x:0:\n".to_owned()),
        ("etc/fstab", format!("LABEL={LABEL} / ext3 defaults 1 1\n")),
        ("etc/sysconfig/network", format!("NETWORKING=yes\nHOSTNAME={HOSTNAME}\n")),
        ("etc/sysconfig/network-scripts/ifcfg-eth0", format!("DEVICE=eth0\nHWADDR={MAC}\n")),
        ("etc/firstboot.d/data/management.conf", "LABEL='eth0'\nMODE='dhcp'\n".to_owned()),
        (
            "etc/sysconfig/network-scripts/interface-rename-data/static-rules.conf",
            format!("eth0: mac = \"{MAC}\"\n"),
        ),
        ("etc/resolv.conf", "nameserver 10.0.2.3\n".to_owned()),
        ("etc/ntp.conf", "server 0.pool.example\n".to_owned()),
        ("etc/sysconfig/clock", "ZONE=\"Etc/UTC\"\n".to_owned()),
        ("etc/vconsole.conf", "KEYMAP=us\n".to_owned()),
        ("root/.ssh/authorized_keys", format!("{SSH_KEY}\n")),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), text))
    .collect()
}

const INVENTORY: &str = "\
PRIMARY_DISK='/dev/disk/by-id/virtio-SN42'
PRODUCT_BRAND='XenServer'
PRODUCT_NAME='xenenterprise'
PRODUCT_VERSION='7.1.0'
PRODUCT_VERSION_TEXT='7.1'
PLATFORM_NAME='XCP'
PLATFORM_VERSION='2.2.0'
BUILD_NUMBER='137272c'
KERNEL_VERSION='4.4.0+10'
XEN_VERSION='4.7.1'
INSTALLATION_DATE='2017-03-01 10:00:00.000000'
INSTALLATION_UUID='6f3c5c0e-2d54-4a9f-9c8b-2c40a6fd1b11'
CONTROL_DOMAIN_UUID='8d7a0e1b-93c2-4f1d-8e6b-5a4f3c2d1e0f'
DEFAULT_SR_PHYSDEVS='/dev/disk/by-id/virtio-SN42-part3'
DOM0_MEM='752'
DOM0_VCPUS='1'
MANAGEMENT_INTERFACE='xenbr0'
MANAGEMENT_ADDRESS_TYPE='IPv4'
";
