//! Which accelerator QEMU gets: `XENHOST_ACCEL` decides; otherwise KVM, if small machines really
//! run with it. On some machines `/dev/kvm` opens and then hangs, at once or as soon as a guest
//! leaves real mode, so that its presence proves nothing, and a BIOS that runs little.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::CODE;
use crate::call::Call;
use crate::failure::{At, Result};

pub(crate) const TCG: &str = "tcg,thread=multi";
/// A machine of 512 bytes that works needs less than a second.
const PROBE_LIMIT: Duration = Duration::from_secs(8);
/// UEFI comes to its shell in two seconds with KVM, in five under emulation.
const UEFI_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);
/// What its shell, or its search for something to boot, begins its output with.
const UEFI_SAYS: [&str; 2] = ["UEFI v", "BdsDxe: "];
/// What QEMU's exit code becomes when the guest writes 42 to its exit port.
const GUEST_SAID_42: i32 = (42 << 1) | 1;

/// What goes after `-accel`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accel(pub(crate) String);

impl Accel {
    pub(crate) fn choose(work: &Path) -> Result<Self> {
        if let Some(asked) = std::env::var("XENHOST_ACCEL").ok().filter(|a| !a.is_empty()) {
            return Ok(Self(asked));
        }
        if Path::new("/dev/kvm").exists() && boots("kvm", work)? && runs_uefi("kvm", work)? {
            return Ok(Self("kvm".to_owned()));
        }
        Ok(Self(TCG.to_owned()))
    }
}

/// Whether a boot sector gets to run, through the whole of the BIOS.
pub(crate) fn boots(accel: &str, work: &Path) -> Result<bool> {
    let disk = work.join("accel-probe.img");
    std::fs::write(&disk, boot_sector()).at("writing", &disk)?;
    let drive = format!("file={},format=raw,if=ide,readonly=off,snapshot=on", disk.display());
    let qemu = Call::new("qemu-system-x86_64")
        .args(["-accel", accel, "-cpu", "qemu64", "-M", "pc", "-m", "64", "-nodefaults"])
        .args(["-display", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4"])
        .args(["-drive", &drive])
        .limit(PROBE_LIMIT);
    Ok(qemu.output().is_ok_and(|ended| ended.code() == GUEST_SAID_42))
}

/// Whether UEFI comes to its end: protected mode, the floating point unit, paging, long mode, all
/// of it from flash.
pub(crate) fn runs_uefi(accel: &str, work: &Path) -> Result<bool> {
    let said = work.join("accel-probe.serial");
    std::fs::write(&said, "").at("writing", &said)?;
    let flash = format!("if=pflash,unit=0,format=raw,readonly=on,file={CODE}");
    let qemu = Call::new("qemu-system-x86_64")
        .args(["-accel", accel, "-cpu", "qemu64", "-M", "q35", "-m", "256", "-nodefaults"])
        .args(["-display", "none", "-no-reboot", "-drive", &flash])
        .args(["-serial", &format!("file:{}", said.display())]);
    let mut child = qemu.spawn(Stdio::null(), Stdio::null(), Stdio::null())?;
    let begun = Instant::now();
    let mut runs = false;
    // It waits for a key when it is done, and never ends by itself.
    while !runs && begun.elapsed() < UEFI_LIMIT && child.try_wait().is_ok_and(|end| end.is_none()) {
        std::thread::sleep(POLL);
        let text = std::fs::read(&said).at("reading", &said)?;
        let text = String::from_utf8_lossy(&text);
        runs = UEFI_SAYS.iter().any(|words| text.contains(words));
    }
    // Either fails where it has ended already.
    drop(child.kill());
    drop(child.wait());
    Ok(runs)
}

/// `mov al, 42; out 0xf4, al; cli; hlt; jmp $`, with a boot signature.
fn boot_sector() -> Vec<u8> {
    let mut sector = vec![0xB0, 42, 0xE6, 0xF4, 0xFA, 0xF4, 0xEB, 0xFE];
    sector.resize(510, 0);
    sector.extend([0x55, 0xAA]);
    sector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_tells_a_working_accelerator_from_none() {
        let dir = tempfile::tempdir().unwrap();
        // In a checkout without QEMU there is nothing to tell; `cargo xtask test` installs it
        // first.
        if Path::new("/usr/bin/qemu-system-x86_64").exists() {
            assert!(boots("tcg", dir.path()).unwrap());
            assert!(runs_uefi("tcg", dir.path()).unwrap());
            assert!(!boots("none-such", dir.path()).unwrap());
            assert!(!runs_uefi("none-such", dir.path()).unwrap());
        }
    }
}
