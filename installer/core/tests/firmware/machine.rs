//! A scratch disk with the real partition table, and the machine that boots it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use installer_core::bootcfg::{Dispatch, dispatch_cfg};
use installer_core::bootstate::{Slot, decode_tries};
use partitioner::block::file::FileDisk;
use partitioner::ids::{Guid, Ids};
use partitioner::layout::{Firmware, Role};
use partitioner::table::{Geometry, TablePlan, TableRequest, plan_table};
use partitioner::units::{BlockSize, Bytes};
use partitioner::write;
use tempfile::TempDir;

pub(crate) const SLOT_A: Guid = Guid::from_u128(0xaaaa_aaaa_0000_4000_8000_0000_0000_0001);
pub(crate) const SLOT_B: Guid = Guid::from_u128(0xbbbb_bbbb_0000_4000_8000_0000_0000_0002);

/// Longer than any boot to a marker takes on a loaded machine under emulation.
const BOOT_MAX: Duration = Duration::from_secs(120);
const MODULES: &str = "part_gpt part_msdos fat ext2 normal configfile loadenv probe \
                       regexp test echo search search_fs_uuid multiboot2 linux chain serial \
                       terminal sleep reboot halt gzio true minicmd";

/// The three files of the boot state.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) state: Vec<u8>,
    pub(crate) copy: Vec<u8>,
    pub(crate) tries: Vec<u8>,
}

/// What the disk does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Writable,
    ReadOnly,
    /// The sector with the count of tries cannot be read.
    CounterUnreadable,
    /// It can be read, and gives an error when it is written.
    CounterUnwritable,
}

/// What starts the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starts {
    Bios,
    Uefi,
}

#[derive(Debug)]
pub(crate) struct Disk {
    folder: TempDir,
    table: TablePlan,
    /// The first sector of each state file on the boot partition.
    places: BTreeMap<&'static str, u64>,
}

const STATE_FILES: [&str; 3] = ["state.env", "state2.env", "tries.env"];

fn named(name: &str) -> Vec<u8> {
    format!("{name:~<1024}").into_bytes()
}

impl Disk {
    /// A disk of 46 GiB, nearly all of it a hole, with a boot partition and two slots.
    pub(crate) fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = Bytes::gib(46);
        let geometry = Geometry::of_size(size, BlockSize::B512);
        let request =
            TableRequest { boot_size: Some(Bytes::mib(300)), ..TableRequest::new(Firmware::Bios) };
        let table = plan_table(geometry, &request, &mut Ids::from_seed([7; 32])).unwrap();
        let mut disk = Self { folder, table, places: BTreeMap::new() };
        let mut file = FileDisk::create(&disk.path(), size, BlockSize::B512).unwrap();
        let (boot, core, efi) = disk.loaders();
        write::write_table(&mut file, &disk.table).unwrap();
        write::write_core(&mut file, &disk.table, &core).unwrap();
        write::arm(&mut file, &write::lba0(&disk.table, &boot).unwrap()).unwrap();
        drop(file);
        disk.make_boot(&efi);
        for slot in [Slot::A, Slot::B] {
            let mark = format!("echo \"MARK {slot} $root $xenhost_trial.\"\nhalt\n");
            disk.write_slot(slot, &mark, &[]);
        }
        disk
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("disk.img")
    }

    /// GRUB's boot sector, core image and EFI program, with a script that finds the boot partition.
    fn loaders(&self) -> (Vec<u8>, Vec<u8>, PathBuf) {
        let number = self.table.partition(Role::Boot).unwrap().number;
        let early = format!(
            "set esp=hd0,gpt{number}\nset bootdisk=hd0\nexport esp\nexport bootdisk\n\
             normal ($esp)/xenhost/dispatch.cfg\n"
        );
        let script = self.scratch("early.cfg");
        std::fs::write(&script, early).unwrap();
        let image = |format: &str, name: &str, disk: &str| {
            let out = self.scratch(name);
            let mut args = ["-O", format, "-p", "/xenhost", "-c"].map(OsStr::new).to_vec();
            args.extend([script.as_os_str(), OsStr::new("-o"), out.as_os_str()]);
            args.extend(MODULES.split_whitespace().chain(disk.split_whitespace()).map(OsStr::new));
            run("grub-mkimage", &args);
            out
        };
        let core = image("i386-pc", "core.img", "biosdisk");
        let boot = std::fs::read("/usr/lib/grub/i386-pc/boot.img").unwrap();
        (boot, std::fs::read(core).unwrap(), image("x86_64-efi", "bootx64.efi", ""))
    }

    /// The boot partition is made in a file of its own: mtools loses offsets beyond 4 GiB.
    fn make_boot(&mut self, efi: &Path) {
        let (path, kib) = (self.fat(), (self.bytes(Role::Boot) >> 10).to_string());
        let mut args = ["-C", "-F", "32", "-n", "XENHOSTBOOT"].map(OsStr::new).to_vec();
        args.extend([path.as_os_str(), OsStr::new(&kib)]);
        run("mkfs.vfat", &args);
        self.mtools("mmd", &["::/xenhost", "::/EFI", "::/EFI/BOOT"]);
        self.mtools("mcopy", &[efi.to_str().unwrap(), "::/EFI/BOOT/BOOTX64.EFI"]);
        let text = dispatch_cfg(&Dispatch { slot_a: SLOT_A, slot_b: SLOT_B });
        // No one is there to read the menu.
        self.copy("dispatch.cfg", text.replace("set timeout=5", "set timeout=0").as_bytes());
        // As far apart as the installer puts them; each first holds its name, to be found by.
        for name in STATE_FILES {
            self.copy(&format!("gap-{name}"), &vec![0; 32 << 10]);
            self.copy(name, &named(name));
        }
        let volume = std::fs::read(self.fat()).unwrap();
        let place = |name: &&'static str| {
            let wanted = named(name);
            let mut all = (0..).zip(volume.chunks(512)).filter(|(_, at)| **at == wanted[..512]);
            let (at, _) = all.next().expect("the file is on the volume");
            (*name, at)
        };
        self.places = STATE_FILES.iter().map(place).collect();
    }

    /// In place, as the installed host does.
    pub(crate) fn put(&self, files: &Files) {
        let volume = File::options().write(true).open(self.fat()).unwrap();
        for (name, bytes) in STATE_FILES.iter().zip([&files.state, &files.copy, &files.tries]) {
            let mut bytes = bytes.clone();
            bytes.resize(1024, b'#');
            volume.write_all_at(&bytes, self.places[name] * 512).unwrap();
        }
        let mib = format!("seek={}", self.offset(Role::Boot) >> 20);
        Self::dd(&self.fat(), &self.path(), &[&mib, "conv=notrunc"]);
    }

    /// What the counter holds, or nothing where it cannot be read.
    pub(crate) fn tries(&self) -> String {
        let skip = format!("skip={}", self.offset(Role::Boot) >> 20);
        let count = format!("count={}", self.bytes(Role::Boot) >> 20);
        Self::dd(&self.path(), &self.fat(), &[&skip, &count, "conv=sparse"]);
        let path = self.scratch("tries.out");
        self.mtools("mcopy", &["-o", "::/xenhost/tries.env", path.to_str().unwrap()]);
        let tries = decode_tries(&std::fs::read(path).unwrap());
        tries.map(|n| n.to_string()).unwrap_or_default()
    }

    /// A file system with this slot.cfg and empty files in `/boot`.
    pub(crate) fn write_slot(&mut self, slot: Slot, cfg: &str, empty: &[&str]) {
        let (role, id) = match slot {
            Slot::A => (Role::Root, SLOT_A),
            Slot::B => (Role::Backup, SLOT_B),
        };
        let root = tempfile::tempdir_in(self.folder.path()).unwrap();
        let boot = root.path().join("boot");
        std::fs::create_dir_all(boot.join("xenhost")).unwrap();
        std::fs::write(boot.join("xenhost/slot.cfg"), cfg).unwrap();
        for name in empty {
            std::fs::write(boot.join(name), "").unwrap();
        }
        let offset = format!("offset={}", self.offset(role));
        let (id, path) = (id.to_string(), self.path());
        let mut args =
            ["-q", "-F", "-t", "ext4", "-U", &id, "-E", &offset, "-d"].map(OsStr::new).to_vec();
        args.extend([root.path().as_os_str(), path.as_os_str(), OsStr::new("64M")]);
        run("mke2fs", &args);
    }

    /// Boots until the machine halts; what it said on its serial port.
    pub(crate) fn boot(&self, starts: Starts, media: Media) -> String {
        self.watch(starts, media, None)
    }

    /// Boots until the text is said, and then cuts the power.
    pub(crate) fn boot_until(&self, starts: Starts, media: Media, text: &str) -> String {
        self.watch(starts, media, Some(text))
    }

    fn watch(&self, starts: Starts, media: Media, until: Option<&str>) -> String {
        let mut child = self.machine(starts, media).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = out.read(&mut bytes)
                && sender.send(bytes[..n].to_vec()).is_ok()
            {}
        });
        let end = Instant::now() + BOOT_MAX;
        let mut said = Vec::new();
        let reached = loop {
            match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => said.extend(bytes),
                Err(RecvTimeoutError::Disconnected) => break until.is_none(),
                Err(RecvTimeoutError::Timeout) => break false,
            }
            if until.is_some_and(|text| plain(&said).contains(text)) {
                break true;
            }
        };
        child.kill().unwrap();
        child.wait().unwrap();
        reader.join().unwrap();
        let said = plain(&said);
        let wanted = until.unwrap_or("the machine's halt");
        assert!(reached, "{wanted}: not reached within {} s:\n{said}", BOOT_MAX.as_secs());
        said
    }

    fn machine(&self, starts: Starts, media: Media) -> Command {
        need("qemu-system-x86_64");
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args(["-accel", "tcg", "-cpu", "qemu64", "-nodefaults"])
            .args(["-no-reboot", "-display", "none", "-serial", "stdio"])
            .args(["-blockdev", &self.drive(media), "-device", "virtio-blk-pci,drive=d"]);
        match starts {
            Starts::Bios => command.args(["-M", "pc", "-m", "128"]),
            Starts::Uefi => {
                let code =
                    "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE.fd";
                let vars =
                    "if=pflash,format=raw,unit=1,snapshot=on,file=/usr/share/OVMF/OVMF_VARS.fd";
                command.args(["-M", "q35", "-m", "256", "-drive", code, "-drive", vars])
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// The disk as QEMU is told of it: its `blkdebug` gives the errors.
    fn drive(&self, media: Media) -> String {
        let path = self.path();
        let file = format!(r#"{{"driver":"file","filename":"{}"}}"#, path.display());
        let read_only = media == Media::ReadOnly;
        let fails = match media {
            Media::Writable | Media::ReadOnly => None,
            Media::CounterUnreadable => Some("read"),
            Media::CounterUnwritable => Some("write"),
        };
        let below = fails.map_or(file.clone(), |io| {
            let sector = self.offset(Role::Boot) / 512 + self.places["tries.env"];
            format!(
                r#"{{"driver":"blkdebug","image":{file},"inject-error":[{{"event":"none",
                    "iotype":"{io}","errno":5,"sector":{sector}}}]}}"#
            )
        });
        format!(r#"{{"driver":"raw","node-name":"d","read-only":{read_only},"file":{below}}}"#)
    }

    fn copy(&self, name: &str, content: &[u8]) {
        let path = self.scratch(name);
        std::fs::write(&path, content).unwrap();
        self.mtools("mcopy", &["-o", path.to_str().unwrap(), &format!("::/xenhost/{name}")]);
    }

    fn mtools(&self, tool: &str, args: &[&str]) {
        let image = self.fat();
        let mut all = vec!["-i", image.to_str().unwrap()];
        all.extend(args);
        run(tool, &all.into_iter().map(OsStr::new).collect::<Vec<_>>());
    }

    fn dd(from: &Path, to: &Path, args: &[&str]) {
        let (from, to) = (format!("if={}", from.display()), format!("of={}", to.display()));
        let mut all = vec!["bs=1M", "status=none", &from, &to];
        all.extend(args);
        run("dd", &all.into_iter().map(OsStr::new).collect::<Vec<_>>());
    }

    fn fat(&self) -> PathBuf {
        self.scratch("boot.fat")
    }

    fn scratch(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn offset(&self, role: Role) -> u64 {
        self.table.partition(role).unwrap().extent.first().get() * 512
    }

    fn bytes(&self, role: Role) -> u64 {
        self.table.partition(role).unwrap().extent.blocks() * 512
    }
}

/// Runs a tool to its good end.
#[track_caller]
pub(crate) fn run(tool: &str, args: &[&OsStr]) {
    need(tool);
    let output = Command::new(tool).args(args).env("MTOOLS_SKIP_CHECK", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{tool} {args:?}: {}\n{said}", output.status);
}

#[track_caller]
fn need(tool: &str) {
    let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
    let found = folders.iter().any(|folder| Path::new(folder).join(tool).exists());
    assert!(found, "{tool} is not installed on this machine: run `cargo xtask setup`");
}

/// The text without the terminal's control sequences.
fn plain(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut chars = String::from_utf8_lossy(bytes).into_owned();
    chars.retain(|c| c != '\r');
    let mut rest = chars.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        text.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';' || c == '?');
        rest = rest.get(1..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}
