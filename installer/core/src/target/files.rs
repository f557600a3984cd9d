//! Every file of the target that depends on the host.

use std::fmt::Write as _;

use partitioner::ids::Guid;
use partitioner::layout::Role;
use partitioner::partuuid::PartUuid;

use super::login::{first_boot, login};
use super::network::network;
use super::{Body, Inventory, TargetFile};
use crate::bootcfg::{BootConf, slot_cfg};
use crate::facts::HostFacts;
use crate::plan::Plan;
use crate::request::InstallRequest;
use crate::storage::StorageFile;
use crate::values::{BootArg, Hostname};

/// The files, in the order in which they are written: a directory before what lies in it.
/// `/etc/shadow` is not among them, since it is made from the image's own: [`super::shadow_file`].
pub fn target_files(plan: &Plan, request: &InstallRequest, _: &HostFacts) -> Vec<TargetFile> {
    let mut files = names(&request.system.hostname);
    files.push(TargetFile::file("etc/fstab", 0o644, Mounts::of(plan).fstab()));
    files.extend(network(&request.network));
    files.extend(clock(request.system.timezone.as_str()));
    files.extend(keyboard(request.system.keymap.as_str()));
    files.extend(records(plan, request));
    files.extend(storage(plan));
    files.extend(login(&request.access));
    files.extend(first_boot(&request.first_boot));
    files
}

fn names(hostname: &Hostname) -> Vec<TargetFile> {
    let (full, short) = (hostname.as_str(), hostname.short());
    let own = if full == short { full.to_owned() } else { format!("{full} {short}") };
    let hosts = format!(
        "127.0.0.1 localhost\n\
         127.0.1.1 {own}\n\
         ::1 localhost ip6-localhost ip6-loopback\n\
         ff02::1 ip6-allnodes\n\
         ff02::2 ip6-allrouters\n"
    );
    vec![
        TargetFile::file("etc/hostname", 0o644, format!("{full}\n")),
        TargetFile::file("etc/hosts", 0o644, hosts),
    ]
}

/// On layouts without a swap partition. The file is made by dom0 itself, when root has grown.
const SWAP_FILE: &str = "/swapfile none swap sw,nofail 0 0\n";

const FSTAB_HEAD: &str = "# file system, mount point, type, options, dump, check";

/// The file systems of a host that dom0 mounts, by UUID.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mounts {
    pub(crate) root: Guid,
    /// Where they are partitions.
    pub(crate) logs: Option<Guid>,
    pub(crate) swap: Option<Guid>,
}

impl Mounts {
    /// Those of slot a.
    pub(crate) fn of(plan: &Plan) -> Self {
        let there = |role, id| plan.table.partition(role).map(|_| id);
        let (logs, swap) = (there(Role::Logs, plan.ids.logs), there(Role::Swap, plan.ids.swap));
        Self { root: plan.ids.root_a, logs, swap }
    }

    /// Root grows to its partition at the first boot. A host without its logs or swap still
    /// starts. Logs are there before tmpfiles makes the directories below `/var/log` that services
    /// need.
    pub(crate) fn fstab(self) -> String {
        let mut fstab = format!("{FSTAB_HEAD}\n");
        let mut line = |id: Guid, rest: &str| {
            writeln!(fstab, "UUID={id} {rest}").expect("a String takes all that is written to it");
        };
        line(self.root, "/ ext4 errors=remount-ro,x-systemd.growfs 0 1");
        if let Some(logs) = self.logs {
            line(
                logs,
                "/var/log ext4 defaults,nofail,x-systemd.before=systemd-tmpfiles-setup.service,\
         x-systemd.device-timeout=300s 0 2",
            );
        }
        match self.swap {
            Some(swap) => line(swap, "none swap sw,nofail,x-systemd.device-timeout=300s 0 0"),
            None => fstab.push_str(SWAP_FILE),
        }
        fstab
    }
}

/// What an administrator has added to such a file: all but our own lines.
pub(crate) fn added_to_fstab(text: &str) -> String {
    let is_added = |line: &&str| {
        let mut fields = line.split_whitespace();
        let (what, at) = (fields.next(), fields.next());
        *line != FSTAB_HEAD
            && what != Some("/swapfile")
            && (line.starts_with('#') || !matches!(at, Some("/" | "/var/log")))
    };
    text.lines().filter(is_added).map(|line| line.to_owned() + "\n").collect()
}

fn clock(timezone: &str) -> Vec<TargetFile> {
    let zone = format!("/usr/share/zoneinfo/{timezone}");
    vec![
        TargetFile::root("etc/localtime", 0o777, Body::Symlink(zone)),
        TargetFile::file("etc/timezone", 0o644, format!("{timezone}\n")),
    ]
}

/// What the dom0 image comes with, key maps and all.
const IMAGE_KEYMAP: &str = "us";

/// For Debian's console-setup, which computes the console's key map from it. systemd's own
/// `KEYMAP` is of no use: Debian has neither its service nor its key maps, so that `localectl` tells
/// of no VC Keymap, and Debian 13 makes `/etc/vconsole.conf` a link to this file at each boot.
/// Nothing is written for the image's own keyboard: a new file would make console-setup compute its
/// key maps again.
fn keyboard(keymap: &str) -> Vec<TargetFile> {
    if keymap == IMAGE_KEYMAP {
        return Vec::new();
    }
    let text = format!(
        "XKBMODEL=\"pc105\"\n\
         XKBLAYOUT=\"{keymap}\"\n\
         XKBVARIANT=\"\"\n\
         XKBOPTIONS=\"\"\n\
         BACKSPACE=\"guess\"\n"
    );
    vec![TargetFile::file("etc/default/keyboard", 0o644, text)]
}

/// What the host knows of itself, and what its boot loader reads.
fn records(plan: &Plan, request: &InstallRequest) -> Vec<TargetFile> {
    let conf = boot_conf(plan, request);
    let slot = slot_cfg(&conf, std::slice::from_ref(&plan.boot_files));
    let inventory = Inventory::of(plan, request);
    vec![
        TargetFile::root("etc/xenhost", 0o755, Body::Directory),
        TargetFile::file("etc/xenhost/inventory.json", 0o644, inventory.to_text()),
        TargetFile::file("etc/xenhost/boot.conf", 0o644, conf.render()),
        TargetFile::root("boot/xenhost", 0o755, Body::Directory),
        TargetFile::file("boot/xenhost/slot.cfg", 0o644, slot),
    ]
}

/// What dom0 makes after its first good boot.
fn storage(plan: &Plan) -> Option<TargetFile> {
    let repositories: Vec<_> = plan.repositories.iter().map(|w| w.repository.clone()).collect();
    if repositories.is_empty() {
        return None;
    }
    Some(TargetFile::file(StorageFile::PATH, 0o644, StorageFile { repositories }.to_text()))
}

/// What every host gets, and what the answers add.
fn boot_conf(plan: &Plan, request: &InstallRequest) -> BootConf {
    let table = &plan.table;
    let root = table.partition(Role::Root);
    let partuuid = root.map_or(PartUuid::Gpt(Guid::NIL), |planned| table.partuuid(planned));
    let mut conf = BootConf::new(partuuid, plan.dom0);
    let text = |arg: &BootArg| arg.as_str().to_owned();
    conf.xen_args.extend(request.xen.args.iter().map(text));
    conf.kernel_args.extend(request.boot.kernel_args.iter().map(text));
    if let Some(serial) = request.boot.serial {
        conf.xen_console = serial.xen_args().split(' ').map(str::to_owned).collect();
    }
    conf
}

#[cfg(test)]
mod tests;
