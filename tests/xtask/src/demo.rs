//! `cargo xtask demo`: from a checkout to a Xen host, as somebody new would want to see it.

use std::process::ExitCode;

use crate::disks::TARGET;
use crate::dom0::{self, Seen};
use crate::failure::Result;
use crate::install;
use crate::lab::Lab;
use crate::qemu::{Disk, Display, Firmware, MediumKind};

/// What becomes of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Files {
    Keep,
    Remove,
}

pub(crate) fn demo(firmware: Firmware, files: Files, display: Display) -> Result<ExitCode> {
    let name = format!("demo-{}", firmware.name());
    let mut lab = Lab::open(&name, display)?;
    let seen = core_path(&mut lab, "demo", firmware)?;
    println!("\nXen version: {}", seen.xen_version);
    println!("Layout as dom0 sees it:\n{}", seen.layout);
    println!("{}", seen.bless);
    println!("\nStages:\n{}", lab.report.table());
    match files {
        Files::Keep => println!("Files: {}", lab.root.display()),
        Files::Remove => crate::cache::remove(&lab.root)?,
    }
    println!("DEMO OK");
    Ok(ExitCode::SUCCESS)
}

/// Install from the medium, boot the disk alone, look around, power off. What is booted is a copy;
/// the disk itself stays as the installation left it, for others to look at.
pub(crate) fn core_path(lab: &mut Lab, name: &str, firmware: Firmware) -> Result<Seen> {
    let bench = install::install(lab, name, firmware, MediumKind::Cd)?;
    lab.keep_installed(firmware, &bench.target)?;
    let path = lab.installed_copy(firmware, name)?;
    let mut dom0 = dom0::boot(lab, name, firmware, &[Disk { path, serial: TARGET }])?;
    dom0.wait_ready(lab, name).map_err(|f| dom0::with_journal(&mut dom0, f))?;
    let seen = dom0.look(dom0::MODERN).map_err(|f| dom0::with_journal(&mut dom0, f))?;
    dom0.power_off(lab, name)?;
    Ok(seen)
}
