//! Answers that are not on the medium: from a web server, and from a stick of their own.

use std::path::{Path, PathBuf};

use super::media::check;
use crate::answers::Answers;
use crate::call::Call;
use crate::disks;
use crate::dom0;
use crate::failure::{At, Result};
use crate::install::{self, Bench};
use crate::lab::Lab;
use crate::products;
use crate::qemu::{Disk, Firmware, MAC, MediumKind, Reach, Spec};

#[allow(dead_code, clippy::unwrap_used, reason = "the tests of the installer make trouble with it")]
#[path = "../../../../installer/src/shelf.rs"]
mod shelf;

use shelf::Shelf;

/// The host, as QEMU's network shows it to its machines.
pub(super) const HOST: &str = "10.0.2.2";

/// A machine with a medium without answers, whose kernel is told more.
fn spec(lab: &mut Lab, name: &str, disks: &[Disk], line: &str) -> Result<Spec> {
    let (iso, log) = (lab.run.join(format!("{name}.iso")), lab.run.join("iso.log"));
    let builder = &lab.products.binaries.image_builder;
    let call = products::iso_call(builder, &lab.products.release, &iso, None);
    products::run_logged(&mut lab.report, &format!("{name}: build the ISO"), &call, &log)?;
    let mut spec = dom0::spec(lab, name, Firmware::Bios, disks);
    spec.medium = Some((iso, MediumKind::Cd));
    spec.kernel = Some(lab.installer_kernel(&format!("console=ttyS0,115200 xenhost.test {line}")));
    Ok(spec)
}

/// Installs with answers that a web server has for this machine; started once more, the machine
/// finds that it is installed, writes nothing, and does what it would do after an installation.
pub(super) fn http(lab: &mut Lab) -> Result<()> {
    let web = Web::open(lab)?;
    let text = Answers::default().text();
    let line = web.answers(&text)?;
    let sha256 = crate::digest::text(&text);
    let bench = Bench::new(lab, "answers-http")?;
    let mut machine = spec(lab, "answers-http", &bench.disks(), &line)?;
    machine.reach = Reach::Host;
    let verdict = install::watch(lab, "answers-http", &machine)?;
    check(&verdict, 0, "new system boots", &["named by answerfile= on the kernel line", &sha256])?;
    bench.check_bystander()?;
    let before = crate::digest::disk(&bench.target)?;
    "answers-http-again".clone_into(&mut machine.name);
    let verdict = install::watch(lab, "answers-http-again", &machine)?;
    check(&verdict, 0, "untouched", &["first-light", "powering off"])?;
    disks::check_unchanged(&bench.target, &before)?;
    bench.check_bystander()
}

/// The answers ask for a disk that is not there, which says enough: they were read.
pub(super) fn label(lab: &mut Lab) -> Result<()> {
    let answers = lab.answers("label", &Answers { serial: "SN99", ..Answers::default() })?;
    let stick = stick(lab, &answers)?;
    let bench = Bench::new(lab, "answers-label")?;
    let mut disks = bench.disks();
    disks.push(Disk { path: stick, serial: "STICK" });
    let machine = spec(lab, "answers-label", &disks, "")?;
    let verdict = install::watch(lab, "answers-label", &machine)?;
    check(&verdict, 11, "untouched", &["the volume labelled ANSWERFILE", "SN99", "SN42"])?;
    bench.check_bystander()
}

fn stick(lab: &Lab, answers: &Path) -> Result<PathBuf> {
    let stick = lab.run.join("stick.img");
    let file = std::fs::File::create(&stick).at("creating", &stick)?;
    file.set_len(16 << 20).at("growing", &stick)?;
    Call::new("mkfs.vfat").args(["-n", "ANSWERFILE"]).arg(&stick).stdout()?;
    Call::new("mcopy").arg("-i").arg(&stick).arg(answers).arg("::/answers.yaml").stdout()?;
    Ok(stick)
}

/// A web server on loopback with the release, and an answer file for the machine.
pub(super) struct Web {
    folder: PathBuf,
    shelf: Shelf,
}

impl Web {
    pub(super) fn open(lab: &Lab) -> Result<Self> {
        let folder = lab.run.join("web");
        std::fs::create_dir_all(&folder).at("making", &folder)?;
        let release = folder.join("release");
        std::os::unix::fs::symlink(&lab.products.release, &release).at("linking", &release)?;
        let shelf = Shelf::open(&folder);
        Ok(Self { folder, shelf })
    }

    pub(super) const fn port(&self) -> u16 {
        self.shelf.port
    }

    pub(super) fn put(&self, name: &str, text: &str) -> Result<()> {
        let file = self.folder.join(name);
        std::fs::write(&file, text).at("writing", &file)
    }

    /// Puts the machine's file there; the words that name it on the kernel line.
    pub(super) fn answers(&self, text: &str) -> Result<String> {
        self.put(&format!("{}.yaml", MAC.replace(':', "-")), text)?;
        let (port, sha256) = (self.port(), crate::digest::text(text));
        Ok(format!("answerfile=http://{HOST}:{port}/{{mac}}.yaml answerfile-sha256={sha256}"))
    }

    /// What was posted to it.
    pub(super) fn posted(&self) -> Vec<String> {
        self.shelf.posted()
    }
}
