//! Machines in QEMU. A [`Spec`] says what a machine is made of; [`Spec::start`] runs it; dropping
//! the [`Machine`] kills it, and so does the end of xtask, however it comes.

pub(crate) mod accel;
pub(crate) mod console;
pub(crate) mod shell;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use self::accel::Accel;
use self::console::Console;
use crate::call::Call;
use crate::failure::{At, Result, ensure};

const CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARS: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
/// The address that the answer files of the tests name.
pub(crate) const MAC: &str = "00:16:3e:aa:bb:cc";
pub(crate) const MEMORY_MIB: u32 = 3072;
/// With a thread for each of several processors, QEMU's emulator may run an instruction that Linux
/// is just rewriting: the kernel then stops at a breakpoint that nobody set (`int3: 0000`), once
/// in some ten boots on a busy machine. One processor cannot lose that race.
pub(crate) const CPUS: &str = "1";
/// What a discarded block holds nobody can say, and so not replay. Requests that QEMU merges have
/// up to 1024 pieces, all that the host's kernel takes in one call, and the log adds two: the write
/// then fails.
const ALL_RECORDED: &str = ",discard=off,request-merging=off";
/// Waiting longer after one of these is of no use.
const FATAL: &[&str] = &[
    "Kernel panic - not syncing",
    "Panic on CPU 0",
    "Xen BUG at",
    "You are in emergency mode",
    "Entering emergency mode",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Firmware {
    Bios,
    Uefi,
}

impl Firmware {
    pub(crate) const BOTH: [Self; 2] = [Self::Uefi, Self::Bios];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
        }
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Bios => Self::Uefi,
            Self::Uefi => Self::Bios,
        }
    }
}

/// A disk of a machine, found in it by its serial.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) path: PathBuf,
    pub(crate) serial: &'static str,
}

/// How the installation medium is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediumKind {
    Cd,
    UsbStick,
}

/// What becomes of a machine that resets itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resets {
    /// It ends, and a panic is a failure at once.
    End,
    /// It boots again, whatever it said.
    Boot,
}

/// Whether a person looks on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Display {
    Headless,
    Window,
}

/// What a machine's network leads to, beside QEMU's own servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Nothing,
    /// The host's loopback, as 10.0.2.2.
    Host,
}

/// A Linux, by its files.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    pub(crate) vmlinuz: PathBuf,
    pub(crate) initrd: PathBuf,
    pub(crate) command_line: String,
}

/// What a machine is made of.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) accel: Accel,
    pub(crate) firmware: Firmware,
    pub(crate) disks: Vec<Disk>,
    pub(crate) medium: Option<(PathBuf, MediumKind)>,
    /// Started by QEMU itself, in place of what the disks or the medium would boot.
    pub(crate) kernel: Option<Kernel>,
    pub(crate) resets: Resets,
    /// More of QEMU's arguments, for what few machines have.
    pub(crate) hardware: Vec<String>,
    /// A file that gets every write to the first disk; see [`crate::writelog`].
    pub(crate) write_log: Option<PathBuf>,
    pub(crate) display: Display,
    pub(crate) reach: Reach,
    /// Where the log, the firmware's variables and the sockets go.
    pub(crate) work: PathBuf,
    /// Names the log.
    pub(crate) name: String,
}

/// A running machine.
#[derive(Debug)]
pub(crate) struct Machine {
    child: Child,
    pub(crate) serial: Console,
    port_path: PathBuf,
    port_log: PathBuf,
    /// Holds the socket; a temporary folder since socket paths must be short.
    _sockets: tempfile::TempDir,
}

impl Spec {
    pub(crate) fn start(&self) -> Result<Machine> {
        let sockets = tempfile::tempdir().at("making a folder in", &std::env::temp_dir())?;
        let port_path = sockets.path().join("port");
        let errors = self.work.join(format!("{}.qemu.log", self.name));
        let errors_file = std::fs::File::create(&errors).at("creating", &errors)?;
        let call = self.call(&port_path)?;
        let mut child = call.spawn(Stdio::piped(), Stdio::piped(), errors_file.into())?;
        let pipes = child.stdout.take().zip(child.stdin.take());
        let (stdout, stdin) = pipes.expect("both were asked for as pipes");
        let log = self.work.join(format!("{}.serial.log", self.name));
        let fatal = match self.resets {
            Resets::End => FATAL,
            Resets::Boot => &[],
        };
        let serial = Console::new(stdout, stdin, &log, fatal)?;
        let port_log = self.work.join(format!("{}.shell.log", self.name));
        Ok(Machine { child, serial, port_path, port_log, _sockets: sockets })
    }

    fn call(&self, port: &Path) -> Result<Call> {
        let memory = MEMORY_MIB.to_string();
        let mut call = Call::new("qemu-system-x86_64")
            .args(["-nodefaults", "-no-user-config", "-M", "q35"])
            .args(["-accel", &self.accel.0, "-cpu", "qemu64", "-smp", CPUS, "-m", &memory])
            .args(["-serial", "stdio", "-device", "virtio-rng-pci"])
            .args(["-netdev", self.netdev()])
            .args(["-device", &format!("virtio-net-pci,netdev=net,mac={MAC},romfile=")])
            .args(["-device", "virtio-serial-pci", "-chardev"])
            .arg(format!("socket,id=port,path={},server=on,wait=off", port.display()))
            .args(["-device", "virtserialport,chardev=port,name=xtask"]);
        call = match self.display {
            Display::Window => call.args(["-device", "VGA"]),
            Display::Headless => call.args(["-display", "none"]),
        };
        if self.resets == Resets::End {
            call = call.arg("-no-reboot");
        }
        if self.firmware == Firmware::Uefi {
            call = self.firmware_args(call)?;
        }
        for (i, disk) in self.disks.iter().enumerate() {
            call = match &self.write_log {
                Some(log) if i == 0 => recorded_drive(call, &disk.path, log)?,
                _ => plain_drive(call, i, &disk.path),
            };
            let (serial, order) = (disk.serial, i + 2);
            // Without an order for zeros the kernel writes them, which leaves a hole; by that order
            // a slot that is zeroed would take all of its room on the host. A write that finds no
            // room on the host fails; by default it would wait, and the machine would seem to hang.
            let device = format!(
                "virtio-blk-pci,drive=disk{i},serial={serial},bootindex={order},werror=report,\
                 write-zeroes=off"
            );
            let plain = if self.write_log.is_some() { ALL_RECORDED } else { "" };
            call = call.arg("-device").arg(device + plain);
        }
        if let Some(Kernel { vmlinuz, initrd, command_line }) = &self.kernel {
            call = call.arg("-kernel").arg(vmlinuz).arg("-initrd").arg(initrd);
            call = call.args(["-append", command_line]);
        }
        Ok(self.medium_args(call.args(&self.hardware)))
    }

    const fn netdev(&self) -> &'static str {
        match self.reach {
            Reach::Nothing => "user,id=net,restrict=on",
            Reach::Host => "user,id=net",
        }
    }

    /// Fresh variables at every start: no boot may depend on an entry that an earlier one left.
    fn firmware_args(&self, call: Call) -> Result<Call> {
        let vars = self.work.join(format!("{}.vars.fd", self.name));
        std::fs::copy(VARS, &vars).at("copying to", &vars)?;
        let flash = "if=pflash,format=raw";
        Ok(call
            .args(["-drive", &format!("{flash},unit=0,readonly=on,file={CODE}"), "-drive"])
            .arg(format!("{flash},unit=1,file={}", vars.display())))
    }

    fn medium_args(&self, call: Call) -> Call {
        let Some((path, kind)) = &self.medium else { return call };
        let drive = format!("file={},if=none,id=medium,format=raw,readonly=on", path.display());
        match kind {
            MediumKind::Cd => call.args([
                "-drive",
                &format!("{drive},media=cdrom"),
                "-device",
                "ide-cd,bus=ide.0,drive=medium,bootindex=1",
            ]),
            MediumKind::UsbStick => call.args([
                "-drive",
                &drive,
                "-device",
                "qemu-xhci",
                "-device",
                "usb-storage,drive=medium,bootindex=1",
            ]),
        }
    }
}

/// An unsafe cache is the host's page cache: it survives the end of QEMU, not of the host.
fn plain_drive(call: Call, number: usize, path: &Path) -> Call {
    let path = path.display();
    call.arg("-drive").arg(format!(
        "file={path},if=none,id=disk{number},format=raw,cache=unsafe,discard=unmap,\
         detect-zeroes=unmap"
    ))
}

/// The same with every write and every flush in a log. The flushes end there, not in the files.
fn recorded_drive(call: Call, path: &Path, log: &Path) -> Result<Call> {
    std::fs::File::create(log).at("creating", log)?;
    let file = "driver=file,cache.no-flush=on";
    Ok(call
        .arg("-blockdev")
        .arg(format!(
            "{file},node-name=file0,filename={},discard=unmap,detect-zeroes=unmap",
            path.display()
        ))
        .args(["-blockdev", &format!("{file},node-name=log0,filename={}", log.display())])
        .arg("-blockdev")
        .arg("driver=blklogwrites,node-name=disk0,file=file0,log=log0,log-sector-size=512"))
}

impl Machine {
    fn open_port(&self) -> Result<Console> {
        let stream = UnixStream::connect(&self.port_path).at("connecting to", &self.port_path)?;
        let writer = stream.try_clone().at("opening", &self.port_path)?;
        Console::new(stream, writer, &self.port_log, &[])
    }

    /// Cuts the power.
    pub(crate) fn cut_power(mut self) -> Result<()> {
        self.child.kill().at("ending", Path::new("qemu"))?;
        self.child.wait().at("waiting for", Path::new("qemu")).map(drop)
    }

    /// Waits until the machine has switched itself off (a reboot counts: `-no-reboot`).
    pub(crate) fn wait_off(&mut self, limit: Duration) -> Result<()> {
        self.serial.wait_closed(limit)?;
        let status = self.child.wait().at("waiting for", Path::new("qemu"))?;
        ensure(status.success(), || {
            format!("QEMU ended with {status}; log: {}", self.serial.log().display())
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Already gone is fine; there is nobody to tell of anything else.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::writelog::{Entry, WriteLog};

    /// QEMU writes by orders of its monitor, which needs no machine.
    #[test]
    fn what_qemu_logs_is_read_and_makes_the_same_disk() {
        let dir = tempfile::tempdir().unwrap();
        let [disk, copy, log] = ["disk", "copy", "log"].map(|name| dir.path().join(name));
        for path in [&disk, &copy] {
            std::fs::File::create(path).unwrap().set_len(8 << 20).unwrap();
        }
        let call = Call::new("qemu-system-x86_64").args([
            "-nodefaults",
            "-M",
            "none",
            "-display",
            "none",
            "-monitor",
            "stdio",
        ]);
        let call = recorded_drive(call, &disk, &log).unwrap();
        let mut child = call.spawn(Stdio::piped(), Stdio::null(), Stdio::null()).unwrap();
        let orders = ["write -P 7 1M 192k", "flush", "write -P 9 5M 1k", "write -z 1088k 64k"];
        let mut text: String = orders.map(|order| format!("qemu-io disk0 \"{order}\"\n")).concat();
        text += "qemu-io disk0 flush\nquit\n";
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        let log = WriteLog::open(&log).unwrap();
        let shapes: Vec<_> = log
            .entries()
            .iter()
            .map(|entry| entry.write().map(|write| (write.first, write.sectors)))
            .collect();
        let writes = [Some((2048, 384)), None, Some((10240, 2)), Some((2176, 128)), None];
        // At its end it flushes as often as it likes.
        assert_eq!(shapes[..5], writes);
        assert!(log.entries()[5..].iter().all(|entry| *entry == Entry::Flush));
        log.replay(0..shapes.len(), &copy).unwrap();
        assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&disk).unwrap());
        assert_eq!(std::fs::read(&copy).unwrap()[1 << 20], 7);
    }
}
