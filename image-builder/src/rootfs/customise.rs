//! What is changed in Debian's tree after the packages are in it: our files, which services run,
//! and the removal of everything that must be made anew on each host.

use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use crate::error::{Error, Result};
use crate::exec::Call;
use crate::rootfs::overlay::{self, Phase, put};
use crate::sources::Source;
use crate::tree;

/// Services that a host runs. The serial gettys are started by systemd's own generator.
const ENABLED: &[&str] = &[
    "ssh.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "xen.service",
    "xendomains.service",
    "xenhost-bless.service",
    "xenhost-finish.service",
    "xenhost-first-boot-before-network.service",
    "xenhost-first-boot-fully-up.service",
    "xenhost-first-boot-network-online.service",
    "xenhost-first-boot.service",
    "xenhost-root-password.service",
    "xenhost-ssh-keys.service",
    "xenhost-storage-make.service",
    "xenhost-storage.service",
    "xenhost-swap-file.service",
    "xenhost-time-servers.path",
    "xenhost-trial-lost.timer",
    "xenhost-watchdog-off.service",
];
/// Waiting for a network would hold up guests on a host whose DHCP server is away, and Debian's
/// maker of SSH keys runs at what systemd takes for a first boot only.
const DISABLED: &[&str] = &["systemd-networkd-wait-online.service", "sshd-keygen.service"];

/// Mounts partitions by their GPT type, on a host that BIOS started also the boot partition, which
/// is never to be mounted: what is mounted is in fstab.
const GENERATOR_MASKED: &str = "systemd-gpt-auto-generator";

/// Files that each host makes for itself, or that tell of the build.
const REMOVED: &[&str] = &[
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/.pwd.lock",
    "etc/.resolv.conf.systemd-resolved.bak",
    "etc/group-",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "etc/apt/sources.list",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    "var/log/alternatives.log",
    "var/log/bootstrap.log",
    "var/log/dpkg.log",
    "var/log/apt/eipp.log.xz",
    "var/log/apt/history.log",
    "var/log/apt/term.log",
    "var/cache/ldconfig/aux-cache",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/statoverride-old",
];

/// Before any package was made, in seconds since 1970.
const LONG_AGO: i64 = 1_000_000_000;

/// Turns Debian's tree at `root` into a dom0.
pub fn customise(root: &Path, host_installer: &Path, sources: &[Source]) -> Result<()> {
    overlay::lay(root, Phase::AfterPackages)?;
    let body = std::fs::read(host_installer).map_err(Error::io(host_installer))?;
    put(root, "usr/sbin/host-installer", 0o755, &body)?;
    put(root, "etc/hostname", 0o644, b"xenhost\n")?;
    put(root, "etc/default/locale", 0o644, b"LANG=C.UTF-8\n")?;
    put(root, "etc/machine-id", 0o444, b"")?;
    put(root, "etc/apt/sources.list.d/xenhost.sources", 0o644, deb822(root, sources).as_bytes())?;
    systemctl(root, "enable", ENABLED)?;
    let there = DISABLED.iter().copied().filter(|unit| has_unit(root, unit));
    systemctl(root, "disable", &there.collect::<Vec<_>>())?;
    mask_generator(root, GENERATOR_MASKED)?;
    never_save_guests(root)?;
    keep_key_maps(root)?;
    for path in REMOVED {
        remove(&root.join(path))?;
    }
    remove_ssh_keys(root)?;
    // The kernel mounts its own over them; an ordinary user's build has none.
    tree::recreate(&root.join("dev"))?;
    link_resolver(root)?;
    let body = log_directories(root)?;
    put(root, "usr/lib/tmpfiles.d/xenhost-log.conf", 0o644, body.as_bytes())?;
    std::fs::create_dir_all(root.join("var/lib/xenhost")).map_err(Error::io(root))
}

/// Not every suite has every unit.
fn has_unit(root: &Path, unit: &str) -> bool {
    root.join("usr/lib/systemd/system").join(unit).exists()
        || root.join("lib/systemd/system").join(unit).exists()
}

fn systemctl(root: &Path, verb: &str, units: &[&str]) -> Result<()> {
    // In the tree, not on it: the build machine may have no systemd, or an older one.
    let call = Call::host("chroot", "coreutils")?.arg(root).arg("systemctl").arg("--quiet");
    if units.is_empty() {
        return Ok(());
    }
    call.arg(verb).args(units).output()?;
    Ok(())
}

/// systemd.generator(7): a link to `/dev/null` of the same name in a folder that comes first.
fn mask_generator(root: &Path, name: &str) -> Result<()> {
    let folder = root.join("etc/systemd/system-generators");
    std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
    let path = folder.join(name);
    remove(&path)?;
    symlink("/dev/null", &path).map_err(Error::io(&path))
}

/// A guest saved by one system and run by the other would meet its own past.
fn never_save_guests(root: &Path) -> Result<()> {
    let path = root.join("etc/default/xendomains");
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    let text = set_variable(&text, "XENDOMAINS_SAVE", "\"\"");
    let text = set_variable(&text, "XENDOMAINS_RESTORE", "false");
    std::fs::write(&path, text).map_err(Error::io(&path))
}

/// Dates the keyboard's configuration before the key maps that the packages computed from it:
/// console-setup computes them again at a boot unless they are younger, and in the image all files
/// have one time.
fn keep_key_maps(root: &Path) -> Result<()> {
    for name in ["etc/default/keyboard", "etc/default/console-setup"] {
        let path = root.join(name);
        tree::set_time(&path, LONG_AGO).map_err(Error::io(&path))?;
    }
    Ok(())
}

/// Shell text with `name` set to `value`, where it was set or at the end.
fn set_variable(text: &str, name: &str, value: &str) -> String {
    let is_it = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
    let line = format!("{name}={value}");
    if text.lines().any(is_it) {
        let lines = text.lines().map(|l| if is_it(l) { line.as_str() } else { l });
        return lines.fold(String::new(), |text, line| text + line + "\n");
    }
    format!("{text}{line}\n")
}

pub(super) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path)(e)),
        _ => Ok(()),
    }
}

fn remove_ssh_keys(root: &Path) -> Result<()> {
    let dir = root.join("etc/ssh");
    for entry in std::fs::read_dir(&dir).map_err(Error::io(&dir))? {
        let entry = entry.map_err(Error::io(&dir))?;
        if entry.file_name().to_string_lossy().starts_with("ssh_host_") {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn link_resolver(root: &Path) -> Result<()> {
    let path = root.join("etc/resolv.conf");
    remove(&path)?;
    symlink("../run/systemd/resolve/stub-resolv.conf", &path).map_err(Error::io(&path))
}

/// tmpfiles.d text that makes every directory of the image's `/var/log` again: a partition of its
/// own is mounted over it, and xenstored does not start without `/var/log/xen`.
fn log_directories(root: &Path) -> Result<String> {
    let mut text = String::from(
        "# Every directory of the image's /var/log, since a logs partition hides them.\n",
    );
    let users = names(root, "etc/passwd")?;
    let groups = names(root, "etc/group")?;
    let log = root.join("var/log");
    for node in tree::walk(&log)?.iter().filter(|n| n.meta.is_dir()) {
        let path = if node.path.as_os_str().is_empty() {
            "/var/log".to_owned()
        } else {
            format!("/var/log/{}", node.path.display())
        };
        let name = |names: &std::collections::BTreeMap<u32, String>, id: u32| {
            names.get(&id).cloned().unwrap_or_else(|| id.to_string())
        };
        let (user, group) = (name(&users, node.meta.uid()), name(&groups, node.meta.gid()));
        let mode = node.meta.mode() & 0o7777;
        let _ = writeln!(text, "d \"{path}\" {mode:04o} {user} {group} -");
    }
    Ok(text)
}

/// Names by id, from a file in the form of `/etc/passwd`.
fn names(root: &Path, file: &str) -> Result<std::collections::BTreeMap<u32, String>> {
    let path = root.join(file);
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    Ok(text.lines().filter_map(entry).collect())
}

/// A key that lies only on the build machine is of no use in the image.
fn deb822(root: &Path, sources: &[Source]) -> String {
    sources.iter().fold(String::new(), |mut text, source| {
        let in_image = |key: &&str| root.join(key.trim_start_matches('/')).is_file();
        let key = source.signed_by.as_deref().filter(in_image);
        let key = key.unwrap_or("/usr/share/keyrings/debian-archive-keyring.gpg");
        let _ = writeln!(
            text,
            "Types: deb\nURIs: {}\nSuites: {}\nComponents: {}\nSigned-By: {key}\n",
            source.uri,
            source.suite,
            source.components.join(" ")
        );
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_replaced_where_it_stands() {
        let text = "# XENDOMAINS_SAVE=no\nXENDOMAINS_SAVE=/var/lib/xen/save\nOTHER=1\n";
        assert_eq!(
            set_variable(text, "XENDOMAINS_SAVE", "\"\""),
            "# XENDOMAINS_SAVE=no\nXENDOMAINS_SAVE=\"\"\nOTHER=1\n"
        );
        assert_eq!(set_variable("A=1\n", "B", "2"), "A=1\nB=2\n");
    }

    #[test]
    fn every_log_directory_is_listed_with_mode_and_owner() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("var/log/xen/console")).unwrap();
        std::fs::write(dir.path().join("var/log/lastlog"), "").unwrap();
        let me = dir.path().metadata().unwrap();
        put(
            dir.path(),
            "etc/passwd",
            0o644,
            format!("me:x:{}:0::/:/bin/sh\n", me.uid()).as_bytes(),
        )
        .unwrap();
        put(dir.path(), "etc/group", 0o644, format!("us:x:{}:\n", me.gid()).as_bytes()).unwrap();
        let text = log_directories(dir.path()).unwrap();
        let lines: Vec<_> = text.lines().skip(1).collect();
        let mode = dir.path().join("var/log").metadata().unwrap().mode() & 0o7777;
        let want: Vec<_> = ["/var/log", "/var/log/xen", "/var/log/xen/console"]
            .map(|p| format!("d \"{p}\" {mode:04o} me us -"))
            .to_vec();
        assert_eq!(lines, want);
    }
}
