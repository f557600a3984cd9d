//! `cargo xtask setup`: the one list of Debian packages that building and testing need, and how
//! the missing ones get installed. Nothing else in the repository installs anything.

use std::time::Duration;

use crate::call::Call;
use crate::failure::{Failure, Result};

/// Package and the reason it is needed, in alphabetic order.
pub(crate) const PACKAGES: &[(&str, &str)] = &[
    ("ca-certificates", "package sources reached over https"),
    ("cpio", "looking into the installer environment in tests"),
    ("debian-archive-keyring", "the signatures of Debian's package lists"),
    ("dosfstools", "fsck.fat, second opinion on the boot partition"),
    ("e2fsprogs", "mke2fs, debugfs, e2fsck, tune2fs"),
    ("extlinux", "the boot loader of old hosts, which are made and then taken over"),
    ("fdisk", "sfdisk, second opinion on partition tables"),
    ("gcc", "linking, and the C part of zstd"),
    ("gdisk", "sgdisk, second opinion on partition tables"),
    ("grub-common", "grub-script-check, second opinion on boot menus"),
    ("grub-efi-amd64-bin", "GRUB for UEFI, which starts sampled crash states in a test"),
    ("grub-pc-bin", "GRUB for BIOS, which runs our boot menus in a test"),
    ("kmod", "dependencies of kernel modules"),
    ("libc6-dev", "linking host-installer statically"),
    ("lvm2", "second opinion on what the second disk holds"),
    ("mmdebstrap", "the dom0 image"),
    ("mtools", "reading boot partitions without mounting them"),
    ("openssh-client", "ssh-keygen, for the keys of such hosts"),
    ("ovmf", "UEFI firmware for QEMU"),
    ("parted", "second opinion on partition tables"),
    ("qemu-system-x86", "the machine in which everything is tried"),
    ("seabios", "BIOS for QEMU"),
    ("uidmap", "user namespaces, for building the dom0 image without root"),
    ("util-linux", "blkid, setpriv"),
    ("xorriso", "the ISO"),
    ("zstd", "second opinion on the release"),
];

/// How long all of apt may take.
const APT_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Installs what is missing; does nothing, quickly, when nothing is.
pub(crate) fn setup() -> Result<()> {
    let missing = missing()?;
    if missing.is_empty() {
        println!("setup: all {} packages are installed", PACKAGES.len());
        return Ok(());
    }
    println!("setup: installing {}", missing.join(" "));
    let Some(prefix) = root_prefix()? else {
        let line = format!("sudo apt-get install -y --no-install-recommends {}", missing.join(" "));
        return Err(Failure::NeedsRoot { line });
    };
    // Package lists of a fresh machine are absent or old; without this, installing finds nothing.
    // Should it fail, installing may still work, and says better what does not.
    let updated = apt(&prefix).arg("update").output()?;
    if !updated.status.success() {
        println!("setup: apt-get update: {}", updated.stderr.trim());
    }
    let install = apt(&prefix).args(["install", "-y", "--no-install-recommends"]).args(&missing);
    let installed = install.output()?;
    if installed.status.success() {
        return Ok(());
    }
    println!("{}", installed.stderr.trim());
    let named = named_by_apt(&installed.stderr);
    let packages = if named.is_empty() { self::missing()? } else { named };
    Err(Failure::Packages { packages })
}

fn apt(prefix: &[&str]) -> Call {
    let words = prefix.iter().copied().chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    let words: Vec<&str> = words.collect();
    let (program, rest) = words.split_first().expect("there is always `env`");
    Call::new(program).args(rest).limit(APT_LIMIT)
}

/// What to put before a command so that it runs as root; `None` when there is no way.
fn root_prefix() -> Result<Option<Vec<&'static str>>> {
    if rustix::process::geteuid().is_root() {
        return Ok(Some(Vec::new()));
    }
    let sudo = Call::new("sh").args(["-c", "command -v sudo && sudo -n true"]).output()?;
    Ok(sudo.status.success().then(|| vec!["sudo", "-n"]))
}

/// The packages of the list that are not installed.
fn missing() -> Result<Vec<String>> {
    let names = PACKAGES.iter().map(|(name, _)| name);
    // dpkg-query exits 1 when it does not know one of them, and tells of the others all the same.
    let query = Call::new("dpkg-query").args(["-W", "-f", "${Package} ${db:Status-Status}\n"]);
    Ok(not_installed(&query.args(names).output()?.stdout))
}

fn not_installed(states: &str) -> Vec<String> {
    let is_installed =
        |name: &str| states.lines().any(|line| line.split_once(' ') == Some((name, "installed")));
    let names = PACKAGES.iter().map(|(name, _)| *name);
    names.filter(|name| !is_installed(name)).map(str::to_owned).collect()
}

/// The packages that apt's error messages are about.
fn named_by_apt(errors: &str) -> Vec<String> {
    let about = |line: &str| {
        let line = line.strip_prefix("E: ")?;
        if let Some(name) = line.strip_prefix("Unable to locate package ") {
            return Some(name.trim().to_owned());
        }
        let rest = line.strip_prefix("Package '").or_else(|| line.strip_prefix("Package "))?;
        let name: String =
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "+-.".contains(*c)).collect();
        line.contains("no installation candidate").then_some(name)
    };
    errors.lines().filter_map(about).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_names_nothing_twice() {
        assert!(PACKAGES.windows(2).all(|w| w[0].0 < w[1].0));
    }

    #[test]
    fn only_installed_packages_count() {
        let state = |(name, _): &(&str, &str)| {
            let state = if *name == "mtools" { "config-files" } else { "installed" };
            format!("{name} {state}")
        };
        let states: Vec<String> = PACKAGES.iter().map(state).collect();
        assert_eq!(not_installed(&states.join("\n")), ["mtools"]);
    }

    #[test]
    fn the_package_that_apt_refused_is_named() {
        let errors = "W: old list\nE: Unable to locate package ovmfx\n\
                      E: Package 'grub-common' has no installation candidate\n";
        assert_eq!(named_by_apt(errors), ["ovmfx", "grub-common"]);
    }
}
