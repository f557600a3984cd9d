//! Machines without a medium: QEMU starts kernel and initramfs, as a boot server would; answers and
//! release come from a web server.

use super::answers::{HOST, Web};
use super::media::check;
use crate::answers::Answers;
use crate::disks;
use crate::dom0;
use crate::failure::{Result, ensure};
use crate::install::{self, Bench};
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware, Reach, Spec};

/// Answers and release are on the web: nothing waits for a medium.
pub(super) fn installs(lab: &mut Lab) -> Result<()> {
    let web = Web::open(lab)?;
    let manifest = lab.products.release.join(installer_core::release::MANIFEST);
    let sha256 = crate::digest::file(&manifest)?;
    let image = format!("http://{HOST}:{}/release", web.port());
    let answers =
        Answers::default().text() + &format!("source: {{image: {image}, sha256: {sha256}}}\n");
    let bench = Bench::new(lab, "netboot")?;
    let machine = spec(lab, "netboot", &web.answers(&answers)?, &bench.disks());
    let verdict = install::watch(lab, "netboot", &machine)?;
    check(&verdict, 0, "new system boots", &["named by answerfile= on the kernel line"])?;
    ensure(!verdict.text.contains("installation medium"), || {
        "a medium was waited for, or found".to_owned()
    })?;
    bench.check_bystander()?;
    dom0::boot_to_xen(lab, "netboot", Firmware::Uefi, &bench.target)
}

/// The release is on a medium that is not there. The web server is told, and the machine is
/// switched off, since nobody is there to press a key.
pub(super) fn fails(lab: &mut Lab) -> Result<()> {
    let web = Web::open(lab)?;
    let report = format!("report: {{webhook: [{{url: \"http://{HOST}:{}/told\"}}]}}\n", web.port());
    let finish = "reboot, on_error: poweroff";
    let answers = Answers { finish, ..Answers::default() }.text() + &report;
    let bench = Bench::new(lab, "netboot-error")?;
    let before = crate::digest::disk(&bench.target)?;
    let machine = spec(lab, "netboot-error", &web.answers(&answers)?, &bench.disks());
    let verdict = install::watch_to_the_end(lab, "netboot-error", &machine)?;
    let says = ["no installation medium", "the answers ask for poweroff", "powering off"];
    check(&verdict, 15, "untouched", &says)?;
    disks::check_unchanged(&bench.target, &before)?;
    bench.check_bystander()?;
    let told = web.posted();
    ensure(matches!(told.as_slice(), [one] if one.contains("\"exit\":15")), || {
        format!("the web server was told {told:?}")
    })
}

fn spec(lab: &Lab, name: &str, line: &str, disks: &[Disk]) -> Spec {
    let mut spec = dom0::spec(lab, name, Firmware::Uefi, disks);
    spec.kernel = Some(lab.installer_kernel(&format!("console=ttyS0,115200 {line}")));
    spec.reach = Reach::Host;
    spec
}
