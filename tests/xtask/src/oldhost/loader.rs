//! The boot loaders of old hosts: GRUB's images as `grub-install` would place them, and extlinux,
//! which installs itself in a machine, for it asks the kernel where its file lies.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use partitioner::head::patch_core;
use partitioner::units::Lba;

use super::{Chain, LABEL, put, root, write_at};
use crate::call::Call;
use crate::disks::TARGET;
use crate::dom0;
use crate::failure::{At, Failure, Result};
use crate::lab::Lab;
use crate::qemu::{Disk, Firmware, Kernel};

const GRUB: &str = "/usr/lib/grub/i386-pc";
const BOOT: &str = "boot.img";
/// In the folder of the scenario.
const CORE: &str = "old-core.img";
const EXTLINUX: &str = "/usr/bin/extlinux";
const EXTLINUX_MBR: &str = "/usr/lib/EXTLINUX/mbr.bin";
const INSTALL_EXTLINUX: &str = include_str!("extlinux-init");
const INSTALL_LIMIT: Duration = Duration::from_secs(300);
/// Code ends here in LBA 0, the table begins.
const CODE_END: usize = 0x1B8;
const CORE_FIELD: usize = 0x5C;
const BOOT_SECTOR: u64 = 2048;

/// What the kernel gets.
fn arguments() -> String {
    format!("root=LABEL={LABEL} ro no_timer_check rdinit=/oldhost console=ttyS0,115200")
}

/// The loader's files in the root.
pub(super) fn files(chain: Chain, folder: &Path) -> Result<()> {
    match chain {
        Chain::MbrExtlinux => {
            let text = format!(
                "SERIAL 0 115200\nDEFAULT xe\nPROMPT 0\nTIMEOUT 10\nLABEL xe\n  \
                 KERNEL /boot/vmlinuz\n  APPEND initrd=/boot/initrd.img {}\n",
                arguments()
            );
            root::put(folder, "boot/extlinux.conf", text.as_bytes(), 0o644)
        }
        Chain::MbrGrub | Chain::GptBios => {
            root::put(folder, "boot/grub/grub.cfg", menu().as_bytes(), 0o644)?;
            let modules = folder.join("boot/grub/i386-pc");
            let copy = "mkdir -p \"$0\" && cp \"$1\"/*.mod \"$1\"/*.lst \"$0\"";
            Call::new("sh").args(["-c", copy]).args([&modules, Path::new(GRUB)]).stdout().map(drop)
        }
        Chain::GptUefi => Ok(()),
    }
}

fn menu() -> String {
    format!(
        "serial --unit=0 --speed=115200\nterminal_input serial console\n\
         terminal_output serial console\nset default=0\nset timeout=1\n\
         menuentry 'XenServer' {{\n\tsearch --label --set root {LABEL}\n\
         \tlinux /boot/vmlinuz {}\n\tinitrd /boot/initrd.img\n}}\n",
        arguments()
    )
}

/// What lies outside of the root.
pub(super) fn install(lab: &mut Lab, chain: Chain, disk: &Path) -> Result<()> {
    match chain {
        Chain::MbrExtlinux => extlinux(lab, disk),
        Chain::MbrGrub => grub(lab, disk, "msdos", Lba::new(1)),
        Chain::GptBios => grub(lab, disk, "gpt", Lba::new(BOOT_SECTOR)),
        Chain::GptUefi => system_partition(lab, disk),
    }
}

/// LBA 0 with this code and the table that is there.
fn boot_code(disk: &Path, code: &[u8]) -> Result<()> {
    let mut sector = vec![0; 512];
    let file = File::open(disk).at("opening", disk)?;
    file.read_exact_at(&mut sector, 0).at("reading", disk)?;
    let code: Vec<u8> = code.iter().copied().take(CODE_END).collect();
    put(&mut sector, 0, &code);
    write_at(disk, 0, &sector)
}

/// GRUB by BIOS: a core image that reads the rest from partition 1 of such a table.
fn grub(lab: &Lab, disk: &Path, map: &str, at: Lba) -> Result<()> {
    let core = lab.run.join(CORE);
    Call::new("grub-mkimage")
        .args(["-O", "i386-pc", "-p", &format!("(,{map}1)/boot/grub"), "-o"])
        .arg(&core)
        .args(["biosdisk", "ext2", &format!("part_{map}")])
        .stdout()?;
    let GrubImages { mut boot, core } = grub_images(lab)?;
    let image = patch_core(&core, at).map_err(|error| Failure::check(error.to_string()))?;
    write_at(disk, at.get(), &image)?;
    put(&mut boot, CORE_FIELD, &at.get().to_le_bytes());
    boot_code(disk, &boot)
}

/// GRUB's images for a BIOS, as they are before they are made to fit a disk.
pub(crate) struct GrubImages {
    pub(crate) boot: Vec<u8>,
    pub(crate) core: Vec<u8>,
}

/// Those of the old host that was made last.
pub(crate) fn grub_images(lab: &Lab) -> Result<GrubImages> {
    let (boot, core) = (Path::new(GRUB).join(BOOT), lab.run.join(CORE));
    Ok(GrubImages {
        boot: std::fs::read(&boot).at("reading", &boot)?,
        core: std::fs::read(&core).at("reading", &core)?,
    })
}

/// A FAT with GRUB and its menu, as UEFI starts it.
fn system_partition(lab: &Lab, disk: &Path) -> Result<()> {
    const MODULES: &[&str] = &[
        "boot",
        "configfile",
        "echo",
        "ext2",
        "fat",
        "linux",
        "normal",
        "part_gpt",
        "search",
        "search_label",
        "serial",
        "terminal",
        "test",
    ];
    let path = |name: &str| lab.run.join(name);
    let (efi, menu_file, fat) = (path("old.efi"), path("old.cfg"), path("old-esp.img"));
    Call::new("grub-mkimage")
        .args(["-O", "x86_64-efi", "-p", "/EFI/xenserver", "-o"])
        .arg(&efi)
        .args(MODULES)
        .stdout()?;
    std::fs::write(&menu_file, menu()).at("writing", &menu_file)?;
    let format = ["-C", "-F", "32", "-n", "BOOT-ABCDEF"];
    Call::new("mkfs.vfat").args(format).arg(&fat).arg((512 << 10).to_string()).stdout()?;
    let mtools = |program: &str, words: &[&Path]| {
        Call::new(program).args(["-i".as_ref(), fat.as_os_str()]).args(words).stdout().map(drop)
    };
    for folder in ["::/EFI", "::/EFI/xenserver", "::/EFI/BOOT"] {
        mtools("mmd", &[Path::new(folder)])?;
    }
    // A machine whose variables know nothing of this disk starts the second of the two.
    for to in ["::/EFI/xenserver/grubx64.efi", "::/EFI/BOOT/BOOTX64.EFI"] {
        mtools("mcopy", &[&efi, Path::new(to)])?;
    }
    mtools("mcopy", &[&menu_file, Path::new("::/EFI/xenserver/grub.cfg")])?;
    copy_into(&fat, disk, BOOT_SECTOR * 512)
}

/// Copies what is not zero.
fn copy_into(from: &Path, disk: &Path, at: u64) -> Result<()> {
    const PIECE: u64 = 1 << 20;
    let mut file = File::open(from).at("opening", from)?;
    let length = file.seek(std::io::SeekFrom::End(0)).at("reading", from)?;
    file.rewind().at("reading", from)?;
    let to = File::options().write(true).open(disk).at("opening", disk)?;
    let mut piece = Vec::new();
    for offset in (0..length).step_by(1 << 20) {
        piece.clear();
        (&mut file).take(PIECE).read_to_end(&mut piece).at("reading", from)?;
        if piece.iter().any(|byte| *byte != 0) {
            to.write_all_at(&piece, at + offset).at("writing", disk)?;
        }
    }
    Ok(())
}

fn extlinux(lab: &mut Lab, disk: &Path) -> Result<()> {
    let code = std::fs::read(EXTLINUX_MBR).at("reading", Path::new(EXTLINUX_MBR))?;
    boot_code(disk, &code)?;
    let folder = lab.run.join("extlinux-program");
    root::put(&folder, "install", INSTALL_EXTLINUX.as_bytes(), 0o755)?;
    let program = std::fs::read(EXTLINUX).at("reading", Path::new(EXTLINUX))?;
    root::put(&folder, "usr/bin/extlinux", &program, 0o755)?;
    let environment = lab.products.release.join("installer");
    let initrd: PathBuf = lab.run.join("extlinux.initrd.img");
    root::join(&folder, &environment.join("initrd.img"), &initrd)?;
    let disks = [Disk { path: disk.to_owned(), serial: TARGET }];
    let mut spec = dom0::spec(lab, "extlinux", Firmware::Bios, &disks);
    spec.kernel = Some(Kernel {
        vmlinuz: environment.join("vmlinuz"),
        initrd: initrd.clone(),
        command_line: "rdinit=/install no_timer_check console=ttyS0,115200 panic=-1".to_owned(),
    });
    lab.report.stage("install extlinux", |tick| {
        let mut machine = spec.start()?;
        machine.serial.wait_for_any(&["EXTLINUX DONE"], INSTALL_LIMIT, tick)?;
        machine.wait_off(INSTALL_LIMIT)
    })?;
    crate::cache::remove(&initrd)
}
