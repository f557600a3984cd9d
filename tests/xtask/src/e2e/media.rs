//! Media that are read in other ways, and installations that end badly in a machine.

use std::io::Read;
use std::path::Path;

use super::refusals::{flip, middle_frame};
use crate::answers::Answers;
use crate::disks;
use crate::failure::{At, Failure, Result, ensure};
use crate::install::{self, Bench, Verdict};
use crate::lab::Lab;
use crate::qemu::{Firmware, MediumKind};

pub(super) fn check(verdict: &Verdict, exit: i32, state: &str, says: &[&str]) -> Result<()> {
    ensure(verdict.exit == exit && verdict.state == state, || {
        format!("exit {exit} and `{state}` expected, not {} and {}", verdict.exit, verdict.state)
    })?;
    for words in says {
        ensure(verdict.text.contains(words), || format!("the console never says {words:?}"))?;
    }
    Ok(())
}

/// A script before the first write says no, and that is all that happens.
pub(super) fn hook(lab: &mut Lab) -> Result<()> {
    const NAME: &str = "hook-says-no";
    let extra = r##"hooks:
  pre: [{inline: "#!/bin/sh\necho the rack is closed\nexit 7"}]
  failed: [{inline: "#!/bin/sh\necho told $1 of exit $XENHOST_EXIT, $XENHOST_DISK_STATE"}]
"##;
    let iso = lab.iso(NAME, &Answers { extra, ..Answers::default() })?;
    let bench = Bench::new(lab, NAME)?;
    let before = crate::digest::disk(&bench.target)?;
    let medium = (iso.as_path(), MediumKind::Cd);
    let verdict = install::run(lab, NAME, Firmware::Bios, medium, &bench.disks())?;
    let says = &["the rack is closed", "hooks.pre[0] ended with 7", "told 1 of exit 22, untouched"];
    check(&verdict, 22, "untouched", says)?;
    disks::check_unchanged(&bench.target, &before)?;
    bench.check_bystander()
}

pub(super) fn usb_stick_uefi(lab: &mut Lab) -> Result<()> {
    usb_stick(lab, Firmware::Uefi)
}

pub(super) fn usb_stick_bios(lab: &mut Lab) -> Result<()> {
    usb_stick(lab, Firmware::Bios)
}

/// The stick boots, the installer finds release and answers on it, and chooses neither of the
/// disks, for the answers ask for one that is not there. (What comes after is the same as from CD.)
fn usb_stick(lab: &mut Lab, firmware: Firmware) -> Result<()> {
    let name = format!("usb-{}", firmware.name());
    let iso = lab.iso(&name, &Answers { serial: "SN99", ..Answers::default() })?;
    let bench = Bench::new(lab, &name)?;
    let before = crate::digest::disk(&bench.target)?;
    let medium = (iso.as_path(), MediumKind::UsbStick);
    let verdict = install::run(lab, &name, firmware, medium, &bench.disks())?;
    check(&verdict, 11, "untouched", &["SN99", "SN42", "SN43"])?;
    disks::check_unchanged(&bench.target, &before)?;
    bench.check_bystander()
}

pub(super) fn no_disk(lab: &mut Lab) -> Result<()> {
    let iso = lab.iso("no-disk", &Answers::default())?;
    let medium = (iso.as_path(), MediumKind::Cd);
    let verdict = install::run(lab, "no-disk", Firmware::Uefi, medium, &[])?;
    check(&verdict, 11, "untouched", &["disk"])
}

/// One flipped bit in a frame of the image, within the ISO.
pub(super) fn corrupt(lab: &mut Lab) -> Result<()> {
    let iso = lab.iso("corrupt-medium", &Answers::default())?;
    let (in_image, sha256) = middle_frame(&lab.products.release)?;
    let image = lab.products.release.join(installer_core::release::DOM0_IMAGE);
    flip(&iso, offset_within(&iso, &image)? + in_image)?;
    let bench = Bench::new(lab, "corrupt-medium")?;
    let medium = (iso.as_path(), MediumKind::Cd);
    let verdict = install::run(lab, "corrupt-medium", Firmware::Bios, medium, &bench.disks())?;
    check(&verdict, 14, "not bootable, rerun installer", &[&sha256])?;
    bench.check_bystander()
}

/// Where in the ISO a file begins, found by its first bytes: files lie in one piece, on 2048.
fn offset_within(iso: &Path, file: &Path) -> Result<u64> {
    const SECTOR: usize = 2048;
    let mut head = vec![0; SECTOR];
    std::fs::File::open(file).at("opening", file)?.read_exact(&mut head).at("reading", file)?;
    let mut reader =
        std::io::BufReader::with_capacity(1 << 20, std::fs::File::open(iso).at("opening", iso)?);
    let mut sector = vec![0; SECTOR];
    let mut at = 0;
    while reader.read_exact(&mut sector).is_ok() {
        if sector == head {
            return Ok(at);
        }
        at += 2048;
    }
    Err(Failure::check(format!("{} is not in {}", file.display(), iso.display())))
}
