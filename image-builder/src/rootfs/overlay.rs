//! The files that xenhost lays over Debian's dom0, compiled into the builder.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::error::{Error, Result};

/// When a file must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Decides what the package manager does.
    BeforePackages,
    AfterPackages,
}

/// One file of the overlay.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Relative to the root of dom0.
    pub path: &'static str,
    pub mode: u32,
    pub phase: Phase,
    pub body: &'static str,
}

macro_rules! file {
    ($phase:ident, $mode:literal, $path:literal) => {
        File {
            path: $path,
            mode: $mode,
            phase: Phase::$phase,
            body: include_str!(concat!("../../dom0/", $path)),
        }
    };
}

/// Every file of the folder `image-builder/dom0`; a test compares the two.
pub const FILES: &[File] = &[
    file!(AfterPackages, 0o644, "boot/grub/README"),
    file!(BeforePackages, 0o644, "etc/apt/preferences.d/xenhost-no-grub"),
    file!(AfterPackages, 0o755, "etc/initramfs/post-update.d/zz-xenhost"),
    file!(BeforePackages, 0o644, "etc/initramfs-tools/conf.d/xenhost"),
    file!(BeforePackages, 0o755, "etc/initramfs-tools/hooks/xenhost-trial"),
    file!(BeforePackages, 0o755, "etc/initramfs-tools/scripts/init-top/00-xenhost-trial"),
    file!(AfterPackages, 0o755, "etc/kernel/postinst.d/zz-xenhost"),
    file!(AfterPackages, 0o755, "etc/kernel/postrm.d/zz-xenhost"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/console-setup.service.d/xenhost.conf"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xendomains.service.d/xenhost.conf"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-bless.service"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-finish.service"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-first-boot-before-network.service"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-first-boot-fully-up.service"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-first-boot-network-online.service"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-first-boot.service"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-root-password.service"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-ssh-keys.service"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-storage-make.service"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-storage.service"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-swap-file.service"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-time-servers.path"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-time-servers.service"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-trial-lost.service"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-trial-lost.timer"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system/xenhost-watchdog-off.service"),
    file!(AfterPackages, 0o644, "usr/lib/systemd/system.conf.d/xenhost.conf"),
    file!(AfterPackages, 0o755, "usr/lib/xenhost/ask-root-password"),
    file!(AfterPackages, 0o755, "usr/lib/xenhost/first-boot"),
    file!(AfterPackages, 0o755, "usr/lib/xenhost/refresh-boot-menu"),
    file!(AfterPackages, 0o755, "usr/lib/xenhost/ssh-keys"),
    file!(AfterPackages, 0o755, "usr/lib/xenhost/swap-file"),
    file!(AfterPackages, 0o755, "usr/lib/xenhost/time-servers"),
    file!(AfterPackages, 0o755, "usr/sbin/update-grub"),
];

/// Writes the files of `phase` below `root`.
pub fn lay(root: &Path, phase: Phase) -> Result<()> {
    for file in FILES.iter().filter(|f| f.phase == phase) {
        put(root, file.path, file.mode, file.body.as_bytes())?;
    }
    Ok(())
}

/// Writes one file below `root`, with its parents.
pub fn put(root: &Path, path: &str, mode: u32, body: &[u8]) -> Result<()> {
    let path = root.join(path);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
    }
    std::fs::write(&path, body).map_err(Error::io(&path))?;
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&path, permissions).map_err(Error::io(&path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::walk;

    #[test]
    fn the_list_is_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dom0");
        let nodes = walk(&folder).unwrap();
        let files = nodes.iter().filter(|n| n.meta.is_file());
        let found: Vec<_> = files
            .map(|n| {
                (n.path.to_str().unwrap().to_owned(), n.meta.permissions().mode() & 0o111 != 0)
            })
            .collect();
        let listed: Vec<_> =
            FILES.iter().map(|f| (f.path.to_owned(), f.mode & 0o111 != 0)).collect();
        assert_eq!(found, listed);
    }
}
