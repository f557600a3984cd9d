//! A release: everything that an installation is made from, with a manifest that says how each
//! byte of it is checked.

use std::path::{Path, PathBuf};

use installer::release_dir::{Release, hex};
use installer_core::release::{
    ARCH, BOOT_IMG, CORE_IMG, DOM0_IMAGE, Dom0, File, GRUB_EFI, INSTALLER_INITRD, INSTALLER_KERNEL,
    Image, MANIFEST, Manifest, SBOM, SCHEMA,
};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::grub::{self, Platform, Purpose};
use crate::installer_env::{self, Parts};
use crate::progress::Progress;
use crate::rootfs::{ROOT, Record, TOOLS};
use crate::{chunks, image, sbom, space, tree};

const PRODUCT: &str = "xenhost";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The medium's own loader images, which are no part of what is installed.
pub const MEDIUM_EFI: &str = "medium/grubx64.efi";
pub const MEDIUM_CD: &str = "medium/eltorito.img";
pub const MEDIUM_MBR: &str = "medium/boot_hybrid.img";
/// Every file beside the manifest and the dom0 image.
const FILES: &[&str] = &[
    BOOT_IMG,
    CORE_IMG,
    GRUB_EFI,
    INSTALLER_INITRD,
    INSTALLER_KERNEL,
    MEDIUM_MBR,
    MEDIUM_CD,
    MEDIUM_EFI,
    SBOM,
];
/// Beside the image itself: packed image, installer environment.
const SPACE_NEEDED: u64 = 2 << 30;

/// Builds a release at `out` from what `rootfs` built.
pub fn build(rootfs: &Path, out: &Path, progress: &dyn Progress) -> Result<Manifest> {
    let record = Record::read(rootfs)?;
    let (root, tools) = (rootfs.join(ROOT), rootfs.join(TOOLS));
    space::require(out, SPACE_NEEDED, "the release")?;
    prepare(out)?;
    let kernel = kernel_version(&root)?;
    progress.stage("making the boot loader's images");
    boot_files(&tools, out)?;
    progress.stage("making the installer environment");
    installer_files(&root, &tools, &kernel, out)?;
    let packages = sbom::packages(&root)?;
    let document = sbom::document(VERSION, &record.suite, &packages);
    write(out, SBOM, format!("{document:#}\n").as_bytes())?;
    progress.stage("making the dom0 image");
    let seed = tree::digest(&root)?;
    let raw = out.join("dom0.img");
    let size = image::make(&tools, &root, &seed, record.epoch, &raw, progress)?;
    progress.stage("packing the dom0 image");
    let packed = chunks::pack(&raw, size, &out.join(DOM0_IMAGE), progress)?;
    std::fs::remove_file(&raw).map_err(Error::io(&raw))?;
    let image = Image {
        file: DOM0_IMAGE.into(),
        file_size: packed.file_size,
        file_sha256: packed.file_sha256,
        size,
        chunks: packed.chunks,
    };
    let files = listed(out)?;
    let manifest = Manifest {
        schema: SCHEMA.into(),
        product: PRODUCT.into(),
        version: VERSION.into(),
        build: build_name(&image, &files),
        arch: ARCH.into(),
        suite: record.suite,
        min_upgrade_from: VERSION.into(),
        dom0: dom0(&root, &kernel, &packages)?,
        image,
        files,
    };
    let text = serde_json::to_string_pretty(&manifest).expect("a manifest is plain data");
    write(out, MANIFEST, (text + "\n").as_bytes())?;
    // The medium made from it takes its times from here.
    tree::clamp_times(out, record.epoch)?;
    Ok(manifest)
}

/// A release, by its manifest.
pub fn open(dir: &Path) -> Result<Release> {
    Release::open(dir).map_err(|e| Error::NotA {
        path: dir.to_owned(),
        expected: "a release",
        reason: e.to_string(),
    })
}

/// An empty directory, or one that held a release.
fn prepare(out: &Path) -> Result<()> {
    let foreign = out.is_dir()
        && !out.join(MANIFEST).is_file()
        && !out.join(BOOT_IMG).is_file()
        && out.read_dir().map_err(Error::io(out))?.next().is_some();
    if foreign {
        return Err(Error::NotA {
            path: out.to_owned(),
            expected: "an empty directory or an older release",
            reason: "it holds other files".into(),
        });
    }
    tree::recreate(out)
}

fn write(out: &Path, name: &str, body: &[u8]) -> Result<()> {
    let path = out.join(name);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
    }
    std::fs::write(&path, body).map_err(Error::io(&path))
}

fn boot_files(tools: &Path, out: &Path) -> Result<()> {
    for name in ["boot", "medium"] {
        let dir = out.join(name);
        std::fs::create_dir_all(&dir).map_err(Error::io(&dir))?;
    }
    let bios = grub::folder(tools, Platform::BiosDisk);
    for (from, to) in [("boot.img", BOOT_IMG), ("boot_hybrid.img", MEDIUM_MBR)] {
        let path = bios.join(from);
        write(out, to, &std::fs::read(&path).map_err(Error::io(&path))?)?;
    }
    for (purpose, platform, to) in [
        (Purpose::Host, Platform::BiosDisk, CORE_IMG),
        (Purpose::Host, Platform::Uefi, GRUB_EFI),
        (Purpose::Medium, Platform::BiosCd, MEDIUM_CD),
        (Purpose::Medium, Platform::Uefi, MEDIUM_EFI),
    ] {
        grub::make_image(tools, purpose, platform, &out.join(to))?;
    }
    Ok(())
}

fn installer_files(root: &Path, tools: &Path, kernel: &str, out: &Path) -> Result<()> {
    let vmlinuz = root.join("boot").join(format!("vmlinuz-{kernel}"));
    let vmlinuz = std::fs::read(&vmlinuz).map_err(Error::io(&vmlinuz))?;
    let initrd = installer_env::make_initrd(&Parts { root, tools, kernel })?;
    let have = u64::try_from(vmlinuz.len() + initrd.len()).unwrap_or(u64::MAX);
    if have > installer_env::SIZE_MAX {
        let what = "the installer environment";
        return Err(Error::TooLarge { what, have, limit: installer_env::SIZE_MAX });
    }
    write(out, INSTALLER_KERNEL, &vmlinuz)?;
    write(out, INSTALLER_INITRD, &initrd)
}

fn listed(out: &Path) -> Result<Vec<File>> {
    let file = |path: &&str| {
        let (size, sha256) = tree::file_digest(&out.join(path))?;
        Ok(File { path: (*path).to_owned(), size, sha256 })
    };
    FILES.iter().map(file).collect()
}

/// Equal contents have equal names.
fn build_name(image: &Image, files: &[File]) -> String {
    let mut hash = Sha256::new();
    hash.update(&image.file_sha256);
    for file in files {
        hash.update(&file.path);
        hash.update(&file.sha256);
    }
    hex(&hash.finalize())[..16].to_owned()
}

/// The one file of `/boot` that begins and ends so.
fn in_boot(root: &Path, head: &str, tail: &str) -> Result<PathBuf> {
    let boot = root.join("boot");
    let mut found = Vec::new();
    for entry in boot.read_dir().map_err(Error::io(&boot))? {
        let path = entry.map_err(Error::io(&boot))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(head) && name.ends_with(tail) {
            found.push(path);
        }
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        all => Err(Error::NotA {
            path: boot,
            expected: "a folder with one kernel and one Xen",
            reason: format!("{} files are named {head}…{tail}", all.len()),
        }),
    }
}

fn kernel_version(root: &Path) -> Result<String> {
    let path = in_boot(root, "vmlinuz-", "")?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(name.trim_start_matches("vmlinuz-").to_owned())
}

fn dom0(root: &Path, kernel: &str, packages: &[sbom::Package]) -> Result<Dom0> {
    let xen = in_boot(root, "xen-", ".gz")?;
    let xen = xen.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let version = |starts: &str| {
        let package = packages.iter().find(|p| p.name.starts_with(starts));
        package.map(|p| p.version.clone()).unwrap_or_default()
    };
    Ok(Dom0 {
        xen_version: version(&format!("xen-hypervisor-{}", trimmed(&xen))),
        kernel_version: version(&format!("linux-image-{kernel}")),
        xen: format!("/boot/{xen}"),
        kernel: format!("/boot/vmlinuz-{kernel}"),
        initrd: format!("/boot/initrd.img-{kernel}"),
    })
}

/// `4.20-amd64` of `xen-4.20-amd64.gz`.
fn trimmed(xen: &str) -> &str {
    xen.trim_start_matches("xen-").trim_end_matches(".gz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_other_files_is_not_emptied() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("thesis.tex"), "x").unwrap();
        assert!(matches!(prepare(dir.path()), Err(Error::NotA { .. })));
        assert!(dir.path().join("thesis.tex").exists());
    }

    #[test]
    fn two_kernels_are_one_too_many() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("boot")).unwrap();
        std::fs::write(dir.path().join("boot/vmlinuz-6.12.1-amd64"), "").unwrap();
        assert_eq!(kernel_version(dir.path()).unwrap(), "6.12.1-amd64");
        std::fs::write(dir.path().join("boot/vmlinuz-6.12.9-amd64"), "").unwrap();
        let error = kernel_version(dir.path()).unwrap_err().to_string();
        assert!(error.contains("2 files are named vmlinuz-…"), "{error}");
    }
}
