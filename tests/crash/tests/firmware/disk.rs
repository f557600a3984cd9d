//! Scratch disks, and the machines that boot them.

use std::ffi::OsStr;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use boot_oracle::Firmware;
use boot_oracle::disk::Span;
use boot_oracle::system::Systems as _;
use crash_explorer::image::{Image, Overlay, View};
use crash_explorer::loader::OLD_LABEL;
use crash_explorer::scenario::{UUID_A, UUID_B, UUID_OLD};
use crash_explorer::stamps::Stamps;
use partitioner::ids::Guid;
use tempfile::TempDir;

/// Longer than any boot to a marker takes on a loaded machine under emulation.
const BOOT_MAX: Duration = Duration::from_secs(100);
const GIB: u64 = 2_097_152;

const SERIAL: &str = "serial --unit=0\nterminal_output serial\n";

/// The menu of an old host, as such hosts have it: the root file system is found by its label.
pub(crate) fn old_menu() -> String {
    format!(
        "{SERIAL}set default=0\nset timeout=0\nmenuentry 'XenServer' {{\n  \
         search --label --set root {OLD_LABEL}\n  echo \"MARK old $root\"\n  halt\n}}\n"
    )
}

/// Where root file systems may lie on the disks of a test.
#[derive(Debug)]
pub(crate) struct Roots(Vec<(Span, &'static str, Guid)>);

impl Roots {
    pub(crate) fn of_bios() -> Self {
        Self(vec![
            (Span::new(46_139_392, 18 * GIB), "a", UUID_A),
            (Span::new(8_390_656, 18 * GIB), "b", UUID_B),
            // Slot a of 4 GiB; slot b begins where that of 18 GiB does.
            (Span::new(2048, 4 * GIB), "a", UUID_A),
            // An MBR's old root begins at sector 63, a GPT's behind its boot partition.
            (Span::new(63, 4 * GIB), "old", UUID_OLD),
            (Span::new(2048 + GIB / 2, 4 * GIB - GIB / 2), "old", UUID_OLD),
        ])
    }

    pub(crate) fn of_uefi() -> Self {
        Self::of_bios()
    }
}

/// A folder with the images of root file systems.
#[derive(Debug)]
pub(crate) struct Lab {
    folder: TempDir,
    roots: Roots,
    count: AtomicUsize,
}

impl Lab {
    pub(crate) fn new(roots: Roots) -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap(), roots, count: AtomicUsize::new(0) };
        for (name, uuid) in [("a", UUID_A), ("b", UUID_B)] {
            let script = format!("{SERIAL}echo \"MARK {name}\"\nhalt\n");
            lab.make_root(name, uuid, "boot/xenhost/slot.cfg", &script);
        }
        let modules = lab.path("root-old/boot/grub/i386-pc");
        std::fs::create_dir_all(&modules).unwrap();
        for entry in std::fs::read_dir("/usr/lib/grub/i386-pc").unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|kind| kind == "mod" || kind == "lst") {
                std::fs::copy(&path, modules.join(path.file_name().unwrap())).unwrap();
            }
        }
        lab.make_root("old", UUID_OLD, "boot/grub/grub.cfg", &old_menu());
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A small file system with a script for GRUB.
    fn make_root(&self, name: &str, uuid: Guid, path: &str, script: &str) {
        let root = self.path(&format!("root-{name}"));
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, script).unwrap();
        let (image, id, label) =
            (self.path(&format!("{name}.ext4")), uuid.to_string(), format!("root-{name}"));
        let mut args =
            ["-q", "-F", "-t", "ext4", "-U", &id, "-L", &label, "-d"].map(OsStr::new).to_vec();
        args.extend([root.as_os_str(), image.as_os_str(), OsStr::new("16M")]);
        run("mke2fs", &args);
    }

    /// The image as a file, with real file systems where the stamps are whole.
    fn dress(&self, image: &Image) -> PathBuf {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let path = self.path(&format!("disk-{number}.img"));
        image.dump(&path).unwrap();
        let overlay = Overlay::new();
        let view = View { image, overlay: &overlay };
        let mut file = std::fs::File::options().write(true).open(&path).unwrap();
        for (span, name, uuid) in &self.roots.0 {
            let found = boot_oracle::system::Superblock::read(&view, *span);
            if found.is_none_or(|superblock| superblock.uuid != uuid.to_bytes()) {
                continue;
            }
            if !Stamps.look(&view, *span).is_ok_and(|system| system.whole) {
                continue;
            }
            let content = std::fs::read(self.path(&format!("{name}.ext4"))).unwrap();
            // The first sector is the old loader's.
            for (at, chunk) in (0_u64..).zip(content.chunks(512)).skip(2) {
                file.seek(SeekFrom::Start((span.first + at) * 512)).unwrap();
                file.write_all(chunk).unwrap();
            }
        }
        path
    }

    /// Boots until the text is said or the machine ends, and then cuts the power. What was said.
    pub(crate) fn boot(&self, firmware: Firmware, image: &Image, wanted: &str) -> String {
        let path = self.dress(image);
        let said = watch(machine(firmware, &path), wanted);
        std::fs::remove_file(path).unwrap();
        said
    }
}

fn machine(firmware: Firmware, disk: &Path) -> Child {
    let drive = format!("file={},if=none,id=d,format=raw", disk.display());
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-accel", "tcg", "-cpu", "qemu64", "-nodefaults", "-no-reboot", "-display", "none"])
        .args(["-serial", "stdio", "-drive", &drive, "-device", "virtio-blk-pci,drive=d"]);
    match firmware {
        Firmware::Bios => command.args(["-M", "pc", "-m", "128"]),
        Firmware::Uefi => {
            let code = "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE.fd";
            let vars = "if=pflash,format=raw,unit=1,snapshot=on,file=/usr/share/OVMF/OVMF_VARS.fd";
            command.args(["-M", "q35", "-m", "256", "-drive", code, "-drive", vars])
        }
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().expect("qemu-system-x86_64 is installed: `cargo xtask setup`")
}

fn watch(mut child: Child, wanted: &str) -> String {
    let mut out = child.stdout.take().unwrap();
    let (sender, receiver) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = out.read(&mut bytes)
            && sender.send(bytes[..n].to_vec()).is_ok()
        {}
    });
    let end = Instant::now() + BOOT_MAX;
    let mut said = Vec::new();
    let text = loop {
        let text = String::from_utf8_lossy(&said).into_owned();
        if text.contains(wanted) {
            break text;
        }
        let left = end.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left) {
            Ok(bytes) => said.extend(bytes),
            Err(_) => break text,
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    drop(receiver);
    reader.join().unwrap();
    text
}

/// Runs a tool to its good end.
#[track_caller]
pub(crate) fn run(tool: &str, args: &[&OsStr]) {
    let output = Command::new(tool).args(args).output();
    let output = output.unwrap_or_else(|e| panic!("{tool}: {e}: run `cargo xtask setup`"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{tool}: {}\n{said}", output.status);
}
