//! What every run with machines shares: products, accelerator, a folder, the report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::answers::Answers;
use crate::call::Call;
use crate::disks::{self, TARGET};
use crate::failure::{At, Result, ensure};
use crate::folders::Folders;
use crate::install;
use crate::products::{self, Products};
use crate::qemu::accel::Accel;
use crate::qemu::{CPUS, Display, Firmware, Kernel, MEMORY_MIB, MediumKind};
use crate::report::Report;

/// Measured: seconds; ten times that on a busy machine.
const OFFLINE_LIMIT: Duration = Duration::from_secs(300);
/// What a scenario may need beside what others left: a release, and some disks with a dom0 each.
const ROOM_BYTES: u64 = 8 << 30;

#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) folders: Folders,
    pub(crate) products: Products,
    pub(crate) accel: Accel,
    pub(crate) display: Display,
    /// Files of the whole run.
    pub(crate) root: PathBuf,
    /// Files of what goes on now: `root`, or a folder in it.
    pub(crate) run: PathBuf,
    pub(crate) report: Report,
    /// Disks that scenarios share, as their installation left them.
    installed: BTreeMap<Firmware, PathBuf>,
}

impl Lab {
    /// Sets up, builds what is missing, and makes a folder for the run `name`.
    pub(crate) fn open(name: &str, display: Display) -> Result<Self> {
        let folders = Folders::find()?;
        let mut report = Report::default();
        report.stage("set up", |_| crate::setup::setup())?;
        let products = products::build(&folders, &mut report)?;
        let root = folders.run(name)?;
        let accel = Accel::choose(&root)?;
        println!("QEMU runs with -accel {}; files in {}", accel.0, root.display());
        let (run, installed) = (root.clone(), BTreeMap::new());
        Ok(Self { folders, products, accel, display, root, run, report, installed })
    }

    /// Does `work` in a folder of its own, which goes when all went well: the disks of many
    /// scenarios together are more than most machines have room for.
    pub(crate) fn apart<T>(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        check_room(&self.root)?;
        self.run = self.root.join(name);
        std::fs::create_dir_all(&self.run).at("making", &self.run)?;
        let result = work(self);
        let folder = std::mem::replace(&mut self.run, self.root.clone());
        if result.is_ok() {
            crate::cache::remove(&folder)?;
        }
        result
    }

    /// The installer environment, for QEMU to start by itself.
    pub(crate) fn installer_kernel(&self, line: &str) -> Kernel {
        let release = &self.products.release;
        Kernel {
            vmlinuz: release.join(installer_core::release::INSTALLER_KERNEL),
            initrd: release.join(installer_core::release::INSTALLER_INITRD),
            command_line: line.to_owned(),
        }
    }

    /// A medium with these answers in it.
    pub(crate) fn iso(&mut self, name: &str, answers: &Answers) -> Result<PathBuf> {
        self.iso_of(name, &answers.text())
    }

    /// The same with the text of an answer file.
    pub(crate) fn iso_of(&mut self, name: &str, text: &str) -> Result<PathBuf> {
        let release = self.products.release.clone();
        self.iso_with(name, &release, text)
    }

    /// The same with another release on it.
    pub(crate) fn iso_with(&mut self, name: &str, release: &Path, text: &str) -> Result<PathBuf> {
        let file = self.run.join(format!("{name}.yaml"));
        std::fs::write(&file, text).at("writing", &file)?;
        let (iso, log) = (self.run.join(format!("{name}.iso")), self.run.join("iso.log"));
        let builder = &self.products.binaries.image_builder;
        let call = products::iso_call(builder, release, &iso, Some(&file));
        products::run_logged(&mut self.report, &format!("{name}: build the ISO"), &call, &log)?;
        Ok(iso)
    }

    /// An answer file in the run's folder.
    pub(crate) fn answers(&self, name: &str, answers: &Answers) -> Result<PathBuf> {
        let file = self.run.join(format!("{name}.yaml"));
        std::fs::write(&file, answers.text()).at("writing", &file)?;
        Ok(file)
    }

    /// `host-installer install` on image files.
    pub(crate) fn install_offline(&self, answers: &Path, disk: &Path) -> Call {
        self.install_offline_from(&self.products.release, answers, disk)
    }

    pub(crate) fn install_offline_from(&self, release: &Path, answers: &Path, disk: &Path) -> Call {
        Call::new(&self.products.binaries.host_installer)
            .args(["install", "--answers"])
            .arg(answers)
            .arg("--release")
            .arg(release)
            .arg("--disk")
            .arg(format!("{TARGET}={}", disk.display()))
            .args(["--memory", &format!("{MEMORY_MIB}MiB")])
            .limit(OFFLINE_LIMIT)
    }

    /// A disk that was installed in a machine with this firmware and never booted.
    pub(crate) fn installed(&mut self, firmware: Firmware) -> Result<PathBuf> {
        if let Some(disk) = self.installed.get(&firmware) {
            return Ok(disk.clone());
        }
        let name = format!("shared-{}", firmware.name());
        let bench = install::install(self, &name, firmware, MediumKind::Cd)?;
        self.keep_installed(firmware, &bench.target)
    }

    /// Lets later scenarios use a disk that was installed and not booted; tells where it is now.
    pub(crate) fn keep_installed(&mut self, firmware: Firmware, disk: &Path) -> Result<PathBuf> {
        let kept = self.root.join(format!("installed-{}.img", firmware.name()));
        std::fs::rename(disk, &kept).at("naming", &kept)?;
        self.installed.insert(firmware, kept.clone());
        Ok(kept)
    }

    /// A copy of such a disk, to be booted.
    pub(crate) fn installed_copy(&mut self, firmware: Firmware, name: &str) -> Result<PathBuf> {
        let disk = self.installed(firmware)?;
        let copy = self.run.join(format!("{name}-{}.img", firmware.name()));
        disks::copy(&disk, &copy)?;
        Ok(copy)
    }

    /// A file that scenarios share: made once, by `make` at the path that it gets.
    pub(crate) fn shared(
        &mut self,
        name: &str,
        make: impl FnOnce(&mut Self, &Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let place = self.root.join(name);
        if !place.exists() {
            let part = self.run.join(format!("{name}.part"));
            make(self, &part)?;
            std::fs::rename(&part, &place).at("naming", &place)?;
        }
        Ok(place)
    }

    /// A disk that `image-builder disk` made.
    pub(crate) fn offline_disk(&mut self) -> Result<PathBuf> {
        self.shared("offline.img", |lab, disk| {
            let answers = lab.answers("offline", &Answers::default())?;
            let call = Call::new(&lab.products.binaries.image_builder)
                .args(["disk", "--answers"])
                .arg(&answers)
                .arg("--release")
                .arg(&lab.products.release)
                .arg("--out")
                .arg(disk)
                .args(["--size", "60GiB", "--cpus", CPUS, "--memory", &format!("{MEMORY_MIB}MiB")])
                .limit(OFFLINE_LIMIT);
            let log = lab.run.join("offline.log");
            products::run_logged(&mut lab.report, "image-builder disk", &call, &log)
        })
    }
}

fn check_room(folder: &Path) -> Result<()> {
    let stat = rustix::fs::statvfs(folder).map_err(std::io::Error::from).at("asking", folder)?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    ensure(free >= ROOM_BYTES, || {
        let (gib, need) = (free >> 30, ROOM_BYTES >> 30);
        let place = folder.display();
        format!("{place} has {gib} GiB free, {need} GiB are needed; XENHOST_CACHE names another")
    })
}
