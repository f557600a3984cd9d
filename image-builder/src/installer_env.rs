//! The installer environment: the kernel of dom0 with an initramfs that holds `host-installer`
//! and the programs it calls, from the tree of tools of the same suite.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::exec::Call;
use crate::installer_env::archive::Archive;
use crate::installer_env::modules::Index;

pub mod archive;
pub mod modules;

/// Kernel and initramfs together must fit here; the boot partition of a small layout holds them.
pub const SIZE_MAX: u64 = 80 << 20;
/// Most of the content is compressed modules; higher levels gain little and take minutes.
const ZSTD_LEVEL: i32 = 12;
/// The file that tells programs where they run.
pub const MARK: &str = "etc/xenhost-installer";

/// Whom a server is trusted by: dom0's own bundle.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// Programs of the tools' tree, by path. Their libraries come by themselves.
const PROGRAMS: &[&str] = &[
    "usr/bin/lsblk",
    "usr/bin/findmnt",
    "usr/bin/setsid",
    "usr/bin/dmesg",
    "usr/bin/kmod",
    "usr/sbin/badblocks",
    "usr/sbin/blkdiscard",
    "usr/sbin/blkid",
    "usr/sbin/blockdev",
    "usr/sbin/debugfs",
    "usr/sbin/dmsetup",
    "usr/sbin/dumpe2fs",
    "usr/sbin/e2fsck",
    "usr/sbin/fsfreeze",
    "usr/sbin/lvm",
    "usr/sbin/mke2fs",
    "usr/sbin/mkswap",
    "usr/sbin/resize2fs",
    "usr/sbin/tune2fs",
    "usr/sbin/wipefs",
];
/// Other names of these programs: link and target.
const LINKS: &[(&str, &str)] = &[
    ("usr/sbin/depmod", "../bin/kmod"),
    ("usr/sbin/e2label", "tune2fs"),
    ("usr/sbin/fsck.ext4", "e2fsck"),
    ("usr/sbin/insmod", "../bin/kmod"),
    ("usr/sbin/lsmod", "../bin/kmod"),
    ("usr/sbin/lvs", "lvm"),
    ("usr/sbin/mkfs.ext4", "mke2fs"),
    ("usr/sbin/modinfo", "../bin/kmod"),
    ("usr/sbin/modprobe", "../bin/kmod"),
    ("usr/sbin/pvs", "lvm"),
    ("usr/sbin/rmmod", "../bin/kmod"),
    ("usr/sbin/vgs", "lvm"),
    ("bin/sh", "busybox"),
    ("init", "usr/lib/xenhost/init"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("sbin", "usr/sbin"),
    ("usr/lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
    ("var/run", "../run"),
];
const FOLDERS: &[&str] =
    &["dev", "proc", "root", "run", "sys", "tmp", "mnt", "var/log", "etc/lvm", "usr/bin"];

/// Nothing on a disk is activated by itself, and nothing is remembered.
const LVM_CONF: &str = "backup { backup = 0 archive = 0 }\n\
    activation { udev_sync = 0 udev_rules = 0 auto_activation_volume_list = [] }\n\
    devices { use_devicesfile = 0 obtain_device_list_from_udev = 0 }\n\
    global { locking_type = 1 use_lvmpolld = 0 }\n";

/// Where the parts come from.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// dom0, for the modules and `host-installer`.
    pub root: &'a Path,
    pub tools: &'a Path,
    /// The kernel's version, as its modules' folder is named.
    pub kernel: &'a str,
}

/// Makes the compressed initramfs.
pub fn make_initrd(parts: &Parts<'_>) -> Result<Vec<u8>> {
    let mut archive = Archive::new(Vec::new());
    for folder in FOLDERS {
        archive.folder(folder)?;
    }
    // The kernel opens it for init before anything is mounted.
    archive.char_device("dev/console", 0o600, (5, 1))?;
    archive.char_device("dev/null", 0o666, (1, 3))?;
    archive.file("usr/lib/xenhost/init", 0o755, include_bytes!("../../iso/init"))?;
    archive.file("usr/lib/xenhost/lease", 0o755, include_bytes!("../../iso/lease"))?;
    archive.file("usr/sbin/xenhost-medium", 0o755, include_bytes!("../../iso/medium"))?;
    copy(&mut archive, parts.root, CERTIFICATES, CERTIFICATES)?;
    archive.file(MARK, 0o644, b"")?;
    archive.file("etc/lvm/lvm.conf", 0o644, LVM_CONF.as_bytes())?;
    archive.file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n")?;
    archive.file("etc/group", 0o644, b"root:x:0:\ndisk:x:6:\n")?;
    copy(&mut archive, parts.tools, "etc/mke2fs.conf", "etc/mke2fs.conf")?;
    copy(&mut archive, parts.root, "usr/sbin/host-installer", "usr/sbin/host-installer")?;
    copy(&mut archive, parts.tools, "usr/bin/busybox", "bin/busybox")?;
    for program in PROGRAMS {
        copy(&mut archive, parts.tools, program, program)?;
    }
    for (link, target) in LINKS {
        archive.symlink(link, target)?;
    }
    add_libraries(&mut archive, parts.tools)?;
    add_modules(&mut archive, parts)?;
    compress(&archive.finish()?)
}

fn compress(bytes: &[u8]) -> Result<Vec<u8>> {
    let error = || Error::io(Path::new("the initramfs"));
    let mut encoder = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL).map_err(error())?;
    encoder.include_checksum(true).map_err(error())?;
    encoder.write_all(bytes).map_err(error())?;
    encoder.finish().map_err(error())
}

fn copy(archive: &mut Archive<Vec<u8>>, tree: &Path, from: &str, to: &str) -> Result<()> {
    let path = tree.join(from);
    let body = std::fs::read(&path).map_err(Error::io(&path))?;
    let mode = path.metadata().map_err(Error::io(&path))?.permissions().mode() & 0o777;
    archive.file(to, mode, &body)
}

/// The shared libraries of all programs, as the tree's own loader finds them.
fn add_libraries(archive: &mut Archive<Vec<u8>>, tools: &Path) -> Result<()> {
    let tools_absolute = std::path::absolute(tools).map_err(Error::io(tools))?;
    let mut libraries = BTreeSet::new();
    for program in PROGRAMS {
        let text = Call::loader_list(&tools_absolute, program)?.output()?;
        libraries.extend(library_paths(&String::from_utf8_lossy(&text)));
    }
    for path in libraries {
        let below = path.strip_prefix(&tools_absolute).map_err(|_| Error::NotA {
            path: tools.to_owned(),
            expected: "a whole tree of tools",
            reason: format!("{} is used from outside", path.display()),
        })?;
        let to = below.to_string_lossy().replace("/../", "/");
        copy(archive, tools, &to, &to)?;
    }
    Ok(())
}

/// Paths in the loader's list: `name => /path (address)`, or `/path => /path (address)`.
fn library_paths(list: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let (_, rest) = line.split_once("=> ")?;
        Some(PathBuf::from(rest.split_once(" (")?.0))
    };
    list.lines().filter_map(path).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(Error::io(path))
}

/// The chosen modules, and depmod's files for just these.
fn add_modules(archive: &mut Archive<Vec<u8>>, parts: &Parts<'_>) -> Result<()> {
    let folder = format!("usr/lib/modules/{}", parts.kernel);
    let from = parts.root.join(&folder);
    let text =
        |name: &str| Ok::<_, Error>(String::from_utf8_lossy(&read(&from.join(name))?).into_owned());
    let index =
        Index::parse(&text("modules.dep")?, &text("modules.alias")?, &text("modules.softdep")?);
    let chosen = index.select(include_str!("../../iso/modules.list"));
    // depmod wants the modules below a folder of its own.
    let stage = tempfile::tempdir().map_err(Error::io(Path::new("a temporary directory")))?;
    let to = stage.path().join(&folder);
    let fixed = ["modules.builtin", "modules.builtin.modinfo", "modules.order"];
    for path in chosen.iter().map(String::as_str).chain(fixed) {
        let target = to.join(path);
        let parent = target.parent().unwrap_or(&to);
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        std::fs::copy(from.join(path), &target).map_err(Error::io(&from.join(path)))?;
    }
    std::os::unix::fs::symlink("usr/lib", stage.path().join("lib")).map_err(Error::io(&to))?;
    Call::in_tree(parts.tools, "usr/sbin/depmod")?
        .arg("-b")
        .arg(stage.path())
        .arg(parts.kernel)
        .output()?;
    for node in crate::tree::walk(&to)?.iter().filter(|n| n.meta.is_file()) {
        let path = format!("{folder}/{}", node.path.display());
        archive.file(&path, 0o644, &read(&stage.path().join(&path))?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_from_the_loaders_list() {
        let list = "\tlinux-vdso.so.1 (0x00007f)\n\tlibc.so.6 => /t/usr/lib/libc.so.6 (0x00007f)\n\
            \t/lib64/ld-linux-x86-64.so.2 => /t/usr/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(
            library_paths(list),
            [PathBuf::from("/t/usr/lib/libc.so.6"), "/t/usr/lib64/ld-linux-x86-64.so.2".into()]
        );
    }
}
