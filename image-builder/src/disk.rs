//! A ready disk image: what `host-installer install` makes of an empty disk, without the disk.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use installer_core::answers;
use installer_core::outcome::Exit;
use partitioner::units::Bytes;

use crate::error::{Error, Result};

/// What to make.
#[derive(Clone, Debug)]
pub struct Options {
    pub answers: PathBuf,
    pub release: PathBuf,
    pub out: PathBuf,
    pub size: Bytes,
    /// The serial number of the disk; without it the one that the answers ask for.
    pub serial: Option<String>,
    pub memory: Bytes,
    pub cpus: u32,
    /// `bios` or `uefi`, as host-installer takes it.
    pub firmware: &'static str,
    pub sectors_4k: bool,
}

/// Makes the image. There is no image where this fails.
pub fn build(options: &Options) -> Result<()> {
    let serial = match &options.serial {
        Some(serial) => serial.clone(),
        None => serial_in(&options.answers)?,
    };
    let out = &options.out;
    let file = OpenOptions::new().write(true).create_new(true).open(out).map_err(Error::io(out))?;
    file.set_len(options.size.get()).map_err(Error::io(out))?;
    drop(file);
    let exit = installer::cli::main(arguments(options, &serial));
    if exit == Exit::Done {
        return Ok(());
    }
    std::fs::remove_file(out).map_err(Error::io(out))?;
    Err(Error::Installer { exit })
}

fn arguments(options: &Options, serial: &str) -> Vec<OsString> {
    let block = if options.sectors_4k { ":4096" } else { ":512" };
    let mut disk = OsString::from(format!("{serial}="));
    disk.push(&options.out);
    disk.push(block);
    let plain = |text: &str| OsString::from(text);
    vec![
        plain("host-installer"),
        plain("install"),
        plain("--answers"),
        options.answers.clone().into(),
        plain("--release"),
        options.release.clone().into(),
        plain("--disk"),
        disk,
        plain("--memory"),
        plain(&format!("{}MiB", options.memory.get() >> 20)),
        plain("--cpus"),
        plain(&options.cpus.to_string()),
        plain("--firmware"),
        plain(options.firmware),
    ]
}

/// The serial number by which the answers choose the host disk.
fn serial_in(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let answers = answers::parse(&path.display().to_string(), &bytes)
        .map_err(|problems| Error::Answers { text: problems.to_string() })?;
    let selector = answers.disks.get(&answers.target);
    selector.and_then(|s| s.serial.clone()).ok_or_else(|| Error::Answers {
        text: format!(
            "{}: disk `{}` is not chosen by its serial number; give one with --serial",
            path.display(),
            answers.target
        ),
    })
}
