//! The installation medium: one file that boots as a CD and as a stick, by BIOS and by UEFI.
//!
//! The same inputs give the same bytes: every time and every identifier is derived from the
//! release, and xorriso and mtools are told so. Nothing is mounted.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use installer::release_dir::hex;
use installer_core::answers::{self, Answers};
use installer_core::release::{INSTALLER_INITRD, INSTALLER_KERNEL, Manifest};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::exec::Call;
use crate::progress::Progress;
use crate::release::{self, MEDIUM_CD, MEDIUM_EFI, MEDIUM_MBR};
use crate::{image, space, tree};

/// The volume's name, by which the installer environment finds the medium.
pub const VOLUME: &str = "XENHOST";
/// Where the answer file lies on the medium.
pub const ANSWERS: &str = "xenhost/answers.yaml";
const MENU: &str = include_str!("../../iso/grub/menu.cfg");
/// Seconds before the menu's first entry starts.
const TIMEOUT_DEFAULT: u32 = 5;
/// Room for file system structures beside the loader in the EFI system partition.
const EFI_OVERHEAD: u64 = 512 << 10;
const MIB: u64 = 1 << 20;

/// What to make.
#[derive(Clone, Debug)]
pub struct Options {
    pub release: PathBuf,
    pub out: PathBuf,
    /// With an answer file the medium installs without a question.
    pub answers: Option<PathBuf>,
    /// Further kernel arguments of every menu entry.
    pub append: Vec<String>,
    /// `SOURCE_DATE_EPOCH`; without it the time that the release's manifest carries.
    pub epoch: Option<i64>,
}

/// Makes the medium. It appears under its name only when it is whole.
pub fn build(options: &Options, progress: &dyn Progress) -> Result<()> {
    let opened = release::open(&options.release)?;
    let manifest = opened.manifest();
    let answers = options.answers.as_deref().map(valid_answers).transpose()?;
    progress.stage("making the installation medium");
    let need = manifest.files.iter().fold(manifest.image.file_size, |sum, f| sum + f.size);
    space::require(&options.out, need + need / 8, "the installation medium")?;
    let stage = tempfile::tempdir_in(parent(&options.out)).map_err(Error::io(&options.out))?;
    let epoch = match options.epoch {
        Some(epoch) => epoch,
        None => release_time(&options.release)?,
    };
    let tree_dir = stage.path().join("tree");
    fill(&tree_dir, options, manifest, answers.as_ref())?;
    let efi = stage.path().join("efi.img");
    efi_partition(&options.release, manifest, &efi, epoch)?;
    tree::clamp_times(&tree_dir, epoch)?;
    let whole = stage.path().join("whole.iso");
    xorriso(options, manifest, &tree_dir, &efi, epoch, &whole)?.watch(progress)?;
    std::fs::rename(&whole, &options.out).map_err(Error::io(&options.out))
}

fn release_time(release: &Path) -> Result<i64> {
    let path = release.join(installer_core::release::MANIFEST);
    Ok(path.metadata().map_err(Error::io(&path))?.mtime())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// An answer file of any mode, and what it says.
struct Embedded {
    bytes: Vec<u8>,
    answers: Answers,
}

fn valid_answers(path: &Path) -> Result<Embedded> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    match answers::read(&path.display().to_string(), &bytes) {
        Ok((answers, _)) => Ok(Embedded { bytes, answers }),
        Err(problems) => Err(Error::Answers { text: problems.to_string() }),
    }
}

/// Lays out what the medium holds. The release's files are linked, not copied.
fn fill(
    to: &Path,
    options: &Options,
    manifest: &Manifest,
    embedded: Option<&Embedded>,
) -> Result<()> {
    let put = |name: &str, body: &[u8]| {
        let path = to.join(name);
        std::fs::create_dir_all(parent(&path)).map_err(Error::io(&path))?;
        std::fs::write(&path, body).map_err(Error::io(&path))
    };
    let names = manifest.files.iter().map(|f| f.path.as_str());
    for name in names.chain([manifest.image.file.as_str(), installer_core::release::MANIFEST]) {
        link(&options.release.join(name), &to.join("release").join(name))?;
    }
    let signature = options.release.join(installer_core::release::SIGNATURE);
    if signature.is_file() {
        link(&signature, &to.join("release").join(installer_core::release::SIGNATURE))?;
    }
    link(&options.release.join(INSTALLER_KERNEL), &to.join("boot/vmlinuz"))?;
    link(&options.release.join(INSTALLER_INITRD), &to.join("boot/initrd.img"))?;
    // Not a link: this one is told where it lies, and the release's must stay what it was.
    let loader = options.release.join(MEDIUM_CD);
    put("boot/grub/eltorito.img", &std::fs::read(&loader).map_err(Error::io(&loader))?)?;
    let menu = menu(manifest, embedded.map(|file| &file.answers), &options.append);
    put("boot/grub/xenhost-menu.cfg", menu.as_bytes())?;
    match embedded {
        Some(file) => put(ANSWERS, &file.bytes),
        None => Ok(()),
    }
}

/// A file with two names is stored once.
fn link(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(parent(to)).map_err(Error::io(to))?;
    let from = std::path::absolute(from).map_err(Error::io(from))?;
    std::os::unix::fs::symlink(&from, to).map_err(Error::io(to))
}

/// The first entry says what will be done without a question.
fn menu(manifest: &Manifest, answers: Option<&Answers>, append: &[String]) -> String {
    let product = format!("{} {}", manifest.product, manifest.version);
    let title = match answers {
        None => format!("Install {product}"),
        Some(Answers::Install(_)) => format!("Install {product} as the answer file says"),
        Some(Answers::Upgrade(_)) => format!("Upgrade to {product} as the answer file says"),
        Some(Answers::Rollback(_)) => {
            format!("Roll back {} as the answer file says", manifest.product)
        }
    };
    MENU.replace("@TITLE@", &title)
        .replace("@TIMEOUT@", &TIMEOUT_DEFAULT.to_string())
        .replace("@ARGS@", &append.join(" "))
}

/// A FAT file system with the loader where firmware looks for it.
fn efi_partition(release: &Path, manifest: &Manifest, out: &Path, epoch: i64) -> Result<()> {
    let loader = release.join(MEDIUM_EFI);
    let size = loader.metadata().map_err(Error::io(&loader))?.len() + EFI_OVERHEAD;
    let file = std::fs::File::create(out).map_err(Error::io(out))?;
    file.set_len(size.next_multiple_of(MIB)).map_err(Error::io(out))?;
    drop(file);
    let serial = &seed(manifest)[..4];
    let mtools = |program: &str| {
        let call = Call::host(program, "mtools")?.env("SOURCE_DATE_EPOCH", epoch.to_string());
        // A configuration file of the user must not decide, nor the time zone.
        Ok::<_, Error>(call.env("MTOOLSRC", "/dev/null").env("TZ", "UTC"))
    };
    mtools("mformat")?
        .arg("-i")
        .arg(out)
        .args(["-N", &hex(serial), "-v", "XENHOSTEFI", "::"])
        .output()?;
    mtools("mmd")?.arg("-i").arg(out).args(["::/EFI", "::/EFI/BOOT"]).output()?;
    // Copied with the time of a file that has a fixed one.
    let copy = out.with_file_name("BOOTX64.EFI");
    std::fs::copy(&loader, &copy).map_err(Error::io(&loader))?;
    tree::clamp_times(&copy, epoch)?;
    mtools("mcopy")?.arg("-m").arg("-i").arg(out).arg(&copy).arg("::/EFI/BOOT/").output()?;
    Ok(())
}

/// Identifiers of the medium follow the release's build.
fn seed(manifest: &Manifest) -> [u8; 32] {
    Sha256::digest(format!("medium {}", manifest.build)).into()
}

fn xorriso(
    options: &Options,
    manifest: &Manifest,
    tree_dir: &Path,
    efi: &Path,
    epoch: i64,
    out: &Path,
) -> Result<Call> {
    let guid = image::uuid(&seed(manifest), 16).replace('-', "");
    let stamp = stamp(epoch);
    Ok(Call::host("xorriso", "xorriso")?
        .args(["-as", "mkisofs", "-quiet", "-o"])
        .arg(out)
        .args(["-V", VOLUME, "-R", "-J", "-joliet-long", "-iso-level", "3", "-f"])
        .arg(format!("--modification-date={stamp}"))
        .args(["--set_all_file_dates", &stamp, "--gpt_disk_guid", &guid])
        .args(["-uid", "0", "-gid", "0", "-dir-mode", "0555", "-file-mode", "0444"])
        .args(["-partition_offset", "16", "--grub2-mbr"])
        .arg(options.release.join(MEDIUM_MBR))
        .args(["-b", "boot/grub/eltorito.img", "-c", "boot/grub/boot.cat", "-no-emul-boot"])
        .args(["-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info"])
        .args(["-append_partition", "2", "0xef"])
        .arg(efi)
        .args(["-appended_part_as_gpt", "-eltorito-alt-boot"])
        .args(["-e", "--interval:appended_partition_2:all::", "-no-emul-boot"])
        .arg(tree_dir)
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .env("TZ", "UTC"))
}

/// `YYYYMMDDhhmmsscc` in UTC; the last two are hundredths of a second.
fn stamp(epoch: i64) -> String {
    let (days, seconds) = (epoch.div_euclid(86_400), epoch.rem_euclid(86_400));
    // The Gregorian calendar, counting years from March: 146097 days in 400 years.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let year = year + 400 * era + carry;
    format!("{year:04}{month:02}{date:02}{hour:02}{minute:02}{second:02}00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps() {
        assert_eq!(stamp(0), "1970010100000000");
        assert_eq!(stamp(1_754_727_721), "2025080908220100");
        assert_eq!(stamp(1_709_251_199), "2024022923595900");
        assert_eq!(stamp(951_782_400), "2000022900000000");
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for title in ["a", "b"] {
            let text = MENU.replace("@TITLE@", title);
            let text = text.replace("@TIMEOUT@", "5").replace("@ARGS@", "");
            assert!(
                !text.lines().any(|l| !l.starts_with('#') && l.matches('@').count() > 1),
                "{text}"
            );
        }
    }
}
