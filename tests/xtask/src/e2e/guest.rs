//! The host as what it is for: a guest with a disk on the storage repository and a card on the
//! bridge boots, is stopped, and starts by itself when the host boots again. Beside it, a time
//! server that only DHCP names.

use std::fs::File;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use installer_core::release::{INSTALLER_INITRD, INSTALLER_KERNEL};

use crate::answers::{Answers, PASSWORD};
use crate::call::Call;
use crate::disks::{self, TARGET};
use crate::dom0::{self, Dom0};
use crate::failure::{At, Failure, Result, ensure};
use crate::inside;
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware};

/// The disk with what the guest is made of, which an administrator would bring in some way.
const FILES: &str = "SN46";
const FILES_MIB: u32 = 64;
const HOST_GIB: u64 = 60;
/// Measured: 35 s for the toolstack, 20 s for the guest's Linux, on an idle machine.
const CREATE_LIMIT: Duration = Duration::from_secs(400);
const UP_LIMIT: Duration = Duration::from_secs(400);
/// What the guest says on its console, again and again, once it has a disk and an address.
const UP: &str = "GUEST IS UP";

/// All of it is the host's own: kernel and modules, and a shell, are those of its release.
const INITRAMFS: &[(&str, &str)] = &[
    ("init", include_str!("guest/init")),
    ("lease", include_str!("guest/lease")),
    ("sbin/poweroff", include_str!("guest/poweroff")),
];
const FROM_RELEASE: [&str; 3] = ["bin/busybox", "*/xen-blkfront.ko.xz", "*/xen-netfront.ko.xz"];
const CONFIG: &str = include_str!("guest/guest.cfg");

pub(super) fn guest(lab: &mut Lab) -> Result<()> {
    let target = lab.run.join("guest.target.img");
    disks::blank(&target, HOST_GIB)?;
    let extra = "storage: {sr: lvm}\n";
    let answers = Answers { network: "  ntp: dhcp\n", extra, ..Answers::default() };
    let answers = lab.answers("guest", &answers)?;
    lab.install_offline(&answers, &target).stdout()?;
    let files = lab.run.join("guest.files.img");
    lab.report.stage("guest: kernel and initramfs", |_| {
        let folder = folder(&lab.products.release, &lab.run)?;
        disks::of_folder(&folder, &files, FILES_MIB)
    })?;
    let disks =
        [Disk { path: target.clone(), serial: TARGET }, Disk { path: files, serial: FILES }];
    first(lab, "guest-1", &disks)?;
    ensure(counters(&target)? == ["1", "1"], || format!("{:?}", counters(&target)))?;
    second(lab, "guest-2", &disks)?;
    // The host was switched off under the running guest, which was told so in time.
    ensure(counters(&target)? == ["2", "2"], || format!("{:?}", counters(&target)))
}

/// The guest is made by hand, and is to start by itself from now on.
fn first(lab: &mut Lab, name: &str, disks: &[Disk]) -> Result<()> {
    let mut host = ready(lab, name, disks)?;
    host.must(&format!(
        "mount -o ro /dev/disk/by-id/virtio-{FILES} /mnt && mkdir /var/lib/guest && \
         cp /mnt/kernel /mnt/initramfs /var/lib/guest/ && cp /mnt/guest.cfg /etc/xen/ && \
         umount /mnt"
    ))?;
    host.must("lvcreate -y -L 64M -n guest sr-local")?;
    lab.report.stage(&format!("{name}: xl create"), |_| {
        host.shell.must("xl create /etc/xen/guest.cfg", CREATE_LIMIT).map(drop)
    })?;
    up(lab, name, &mut host, 1)?;
    lab.report.stage(&format!("{name}: xl shutdown"), |_| {
        let gone = "for i in $(seq 60); do xl list guest || break; sleep 1; done; ! xl list guest";
        host.shell.must(&format!("xl shutdown -w guest; {gone}"), CREATE_LIMIT).map(drop)
    })?;
    host.must("mkdir -p /etc/xen/auto && ln -s ../guest.cfg /etc/xen/auto/guest.cfg")?;
    host.power_off(lab, name)
}

/// It starts by itself, after bless.
fn second(lab: &mut Lab, name: &str, disks: &[Disk]) -> Result<()> {
    let mut host = ready(lab, name, disks)?;
    up(lab, name, &mut host, 2)?;
    host.check_all(&[(
        "no guest starts before bless",
        "stamp() { systemctl show -P $2 $1; }; \
         test $(stamp xenhost-bless ActiveEnterTimestampMonotonic) -gt 0 && \
         test $(stamp xenhost-bless ActiveEnterTimestampMonotonic) -le \
         $(stamp xendomains InactiveExitTimestampMonotonic)",
    )])?;
    time_from_dhcp(lab, name, &mut host)?;
    host.power_off(lab, name)
}

fn ready(lab: &mut Lab, name: &str, disks: &[Disk]) -> Result<Dom0> {
    let machine = dom0::start(lab, &dom0::spec(lab, name, Firmware::Uefi, disks))?;
    let mut host = dom0::log_in(lab, name, machine, PASSWORD)?;
    host.wait_ready(lab, name).map_err(|f| dom0::with_journal(&mut host, f))?;
    host.wait_storage(lab, name)?;
    Ok(host)
}

/// The guest has said that it runs, and dom0 shows its disk and its card.
fn up(lab: &mut Lab, name: &str, host: &mut Dom0, start: u32) -> Result<()> {
    // A guest is listed before it has a console. The queue never ends and never says anything: it
    // is the keyboard of a console nobody types at.
    let listen = format!(
        "mkfifo -m 600 /run/guest-keys 2>/dev/null; for i in $(seq 60); do \
         xenstore-read /local/domain/$(xl domid guest)/console/tty >/dev/null 2>&1 && break; \
         sleep 2; done; \
         timeout 240 xl console guest <>/run/guest-keys | grep -m 1 '{UP}'"
    );
    let said = lab
        .report
        .stage(&format!("{name}: the guest's marker"), |_| host.shell.run(&listen, UP_LIMIT))?;
    let marker = format!("{UP} start={start} address=10.0.2.");
    if !said.output.contains(&marker) {
        let logs = "xl list; tail -n 20 /var/log/xen/xl-guest.log; xenstore-ls backend";
        let logs = host.shell.run(logs, UP_LIMIT)?.output;
        let said = said.output;
        return Err(Failure::check(format!("no {marker:?}, but {said:?}; dom0 says:\n{logs}")));
    }
    host.check_all(&[
        ("the guest runs", "xl list guest | grep -q '^guest '"),
        ("its card is in the bridge", "bridge link | grep -Eq 'vif[0-9]+[.]0: .*master xenbr0'"),
        (
            "its disk is the volume",
            "d=$(readlink -f /dev/sr-local/guest); test \"$(xenstore-read \
             /local/domain/0/backend/vbd/$(xl domid guest)/51712/physical-device-path)\" = $d",
        ),
        ("its memory is its own", "xl list guest | awk 'NR==2 {exit $3 != 256}'"),
    ])
}

/// A server of dom0's own networkd, on a cable into the bridge, takes the place of QEMU's, which
/// names no time server.
fn time_from_dhcp(lab: &mut Lab, name: &str, host: &mut Dom0) -> Result<()> {
    const SHOW: &str = "timedatectl show-timesync";
    host.check_all(&[
        ("time is to come from the network", "systemctl is-active -q systemd-timesyncd"),
        (
            "from nobody, as nobody is named",
            "test -z \"$(timedatectl show-timesync -p FallbackNTPServers -p LinkNTPServers \
             -p SystemNTPServers --value)\"",
        ),
    ])?;
    let put = |file: &str, text: &str| format!("printf '{text}' >/run/systemd/network/{file}\n");
    let commands = [
        "mkdir -p /run/systemd/network\n".to_owned(),
        put("05-lab.netdev", "[NetDev]\\nName=lab\\nKind=veth\\n[Peer]\\nName=lab-plug\\n"),
        put("05-lab-plug.network", "[Match]\\nName=lab-plug\\n[Network]\\nBridge=xenbr0\\n"),
        put(
            "05-lab.network",
            "[Match]\\nName=lab\\n[Network]\\nAddress=192.0.2.1/24\\nDHCPServer=yes\\n\
             [DHCPServer]\\nEmitDNS=no\\nEmitNTP=yes\\nNTP=192.0.2.123\\n",
        ),
        "networkctl reload\n".to_owned(),
        "ip link set $(basename $(ls -d /sys/class/net/xenbr0/brif/enp*)) down\n".to_owned(),
        "networkctl reconfigure xenbr0".to_owned(),
    ];
    lab.report.stage(&format!("{name}: another DHCP server"), |_| {
        host.must(&commands.concat()).map(drop)
    })?;
    let link = format!("{SHOW} -p LinkNTPServers --value | grep -qx 192.0.2.123");
    let asked = format!("{SHOW} -p ServerName --value | grep -qx 192.0.2.123");
    host.check_all(&[
        ("the lease names a time server", link.as_str()),
        ("it is asked", asked.as_str()),
        (
            "chrony would be told, were it there",
            "grep -qx 'server 192.0.2.123 iburst' /run/chrony-dhcp/xenhost.sources",
        ),
    ])
}

/// A folder with kernel, initramfs and configuration of the guest.
fn folder(release: &Path, work: &Path) -> Result<PathBuf> {
    let (folder, tree) = (work.join("guest-files"), work.join("guest-tree"));
    for path in [&folder, &tree.join("sbin"), &tree.join("dev"), &tree.join("proc")] {
        std::fs::create_dir_all(path).at("making", path)?;
    }
    std::fs::create_dir_all(tree.join("sys")).at("making", &tree)?;
    let packed = release.join(INSTALLER_INITRD);
    let plain = work.join("installer.cpio");
    let bytes = std::fs::read(&packed).at("reading", &packed)?;
    std::fs::write(&plain, zstd::decode_all(&*bytes).at("unpacking", &packed)?)
        .at("writing", &plain)?;
    Call::new("cpio")
        .args(["-idm", "--quiet", "-F"])
        .arg(&plain)
        .args(FROM_RELEASE)
        .dir(&tree)
        .stdout()?;
    for (name, text) in INITRAMFS {
        let path = tree.join(name);
        std::fs::write(&path, text).at("writing", &path)?;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).at("changing", &path)?;
    }
    let initramfs = folder.join("initramfs");
    Call::new("sh")
        .args(["-c", "find . | cpio -o -H newc --quiet -F \"$1\"", "sh"])
        .arg(&initramfs)
        .dir(&tree)
        .stdout()?;
    let (from, to) = (release.join(INSTALLER_KERNEL), folder.join("kernel"));
    std::fs::copy(&from, &to).at("copying", &from)?;
    let config = folder.join("guest.cfg");
    std::fs::write(&config, CONFIG).at("writing", &config)?;
    Ok(folder)
}

/// How often the guest has started and ended, as it wrote them into its first two sectors: the
/// volume is the first thing in its group, whose data begins a MiB into the partition.
fn counters(disk: &Path) -> Result<[String; 2]> {
    let table = inside::partitions(disk)?;
    let sr = table.iter().find(|partition| partition.number() == 3);
    let sr = sr.ok_or_else(|| Failure::check("the host has no storage repository"))?;
    let mut sectors = vec![0; 1024];
    let file = File::open(disk).at("opening", disk)?;
    file.read_exact_at(&mut sectors, (sr.start * 512) + (1 << 20)).at("reading", disk)?;
    let (started, ended) = sectors.split_at(512);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok([text(started), text(ended)])
}
