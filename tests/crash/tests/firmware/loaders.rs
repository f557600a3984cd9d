//! GRUB's own images, with the scripts of the installed host; and those of an old one.

use std::ffi::OsStr;

use crash_explorer::loader::{Loader, OldLoader};
use crash_explorer::scenario::{UUID_A, UUID_B, UUID_OLD};
use installer_core::bootcfg::{Dispatch, dispatch_cfg};
use partitioner::head::disarmed_lba0;
use partitioner::layout::Scheme;

use crate::disk::{Lab, old_menu, run};

const MODULES: &str = "part_gpt part_msdos fat ext2 normal configfile loadenv loopback probe \
                       regexp test echo search search_fs_uuid search_label chain serial terminal \
                       sleep halt true minicmd memdisk newc boot";

/// Says which old system it is; the boot partition of a takeover holds it.
fn old_cfg() -> String {
    format!(
        "set xenhost_old={UUID_OLD}\nfunction xenhost_start_old {{\n  \
         configfile ($root)/boot/grub/grub.cfg\n}}\n"
    )
}

pub(crate) fn ours(lab: &Lab) -> Loader {
    let early = include_str!("../../../../image-builder/grub/early.cfg");
    let archive = lab.put("early.cpio", &newc("early.cfg", early.as_bytes()));
    let script = include_str!("../../../../image-builder/grub/embedded.cfg");
    let script = lab.put("embedded.cfg", script.as_bytes());
    let image = |format: &str, out: &str, disk: &str| {
        let out = lab.path(out);
        let mut args = ["-O", format, "-m"].map(OsStr::new).to_vec();
        args.extend([archive.as_os_str(), OsStr::new("-p"), OsStr::new("/"), OsStr::new("-c")]);
        args.extend([script.as_os_str(), OsStr::new("-o"), out.as_os_str()]);
        args.extend(MODULES.split_whitespace().chain(disk.split_whitespace()).map(OsStr::new));
        run("grub-mkimage", &args);
        std::fs::read(out).unwrap()
    };
    let ids = Dispatch { slot_a: UUID_A, slot_b: UUID_B };
    // No one is there to read the menu.
    let dispatch = dispatch_cfg(&ids).replace("set timeout=5", "set timeout=0");
    Loader {
        boot_img: std::fs::read("/usr/lib/grub/i386-pc/boot.img").unwrap(),
        core_img: image("i386-pc", "core.img", "biosdisk"),
        efi: image("x86_64-efi", "grubx64.efi", ""),
        dispatch: Some(dispatch),
        old_cfg: Some(old_cfg()),
    }
}

/// What an old host starts with: on BIOS a core image that reads the rest of GRUB from its root, by
/// number, as `grub-install` makes it; on UEFI a loader that reads the menu beside it.
pub(crate) fn old(lab: &Lab, source: Scheme) -> OldLoader {
    let map = match source {
        Scheme::Gpt => "gpt",
        Scheme::Mbr => "msdos",
    };
    let core = lab.path("old.img");
    let (prefix, part) = (format!("(,{map}1)/boot/grub"), format!("part_{map}"));
    let mut args = ["-O", "i386-pc", "-p", &prefix, "-o"].map(OsStr::new).to_vec();
    args.extend([core.as_os_str(), OsStr::new("biosdisk"), OsStr::new("ext2")]);
    args.push(OsStr::new(&part));
    run("grub-mkimage", &args);
    let (menu, efi) = (lab.put("old.cfg", old_menu().as_bytes()), lab.path("old.efi"));
    let mut args = ["-O", "x86_64-efi", "-p", "/", "-c"].map(OsStr::new).to_vec();
    args.extend([menu.as_os_str(), OsStr::new("-o"), efi.as_os_str()]);
    args.extend(MODULES.split_whitespace().map(OsStr::new));
    run("grub-mkimage", &args);
    OldLoader {
        mbr_code: mbr_code(),
        volume_sector: disarmed_lba0("MARK old\r\n").to_vec(),
        boot_img: std::fs::read("/usr/lib/grub/i386-pc/boot.img").unwrap(),
        core_img: std::fs::read(core).unwrap(),
        efi: std::fs::read(efi).unwrap(),
    }
}

/// A boot sector that does what such sectors do: it moves out of the way and starts the first
/// sector of the active partition of the table that it carries.
fn mbr_code() -> Vec<u8> {
    const CODE: &[(&[u8], &str)] = &[
        (&[0xFA], "cli"),
        (&[0x31, 0xC0, 0x8E, 0xD8, 0x8E, 0xC0, 0x8E, 0xD0], "ax, ds, es, ss = 0"),
        (&[0xBC, 0x00, 0x7C, 0xFB, 0xFC], "sp = 0x7C00; sti; cld"),
        (&[0xBE, 0x00, 0x7C, 0xBF, 0x00, 0x06, 0xB9, 0x00, 0x01], "512 bytes from 0x7C00 to 0x600"),
        (&[0xF3, 0xA5, 0xEA, 0x1E, 0x06, 0x00, 0x00], "rep movsw; jmp 0:0x61E"),
        (&[0xBE, 0xBE, 0x07], "si = the table"),
        (&[0xF6, 0x04, 0x80, 0x75, 0x0B], "active? then on"),
        (&[0x83, 0xC6, 0x10, 0x81, 0xFE, 0xFE, 0x07, 0x72, 0xF2], "else the next of four"),
        (&[0xCD, 0x18], "none: int 0x18"),
        (&[0x66, 0x6A, 0x00, 0x66, 0xFF, 0x74, 0x08], "a packet on the stack: its LBA,"),
        (&[0x6A, 0x00, 0x68, 0x00, 0x7C, 0x6A, 0x01, 0x6A, 0x10], "0:0x7C00, one sector"),
        (&[0x89, 0xE6, 0xB4, 0x42, 0xCD, 0x13], "int 0x13, extended read; dl is as it was"),
        (&[0xEA, 0x00, 0x7C, 0x00, 0x00], "jmp 0:0x7C00"),
    ];
    let mut sector: Vec<u8> = CODE.iter().flat_map(|(bytes, _)| bytes.iter().copied()).collect();
    sector.resize(510, 0);
    sector.extend([0x55, 0xAA]);
    sector
}

/// A cpio archive with one file.
fn newc(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content, mode) in [(name, content, 0o100_644), ("TRAILER!!!", &[][..], 0)] {
        let (len, name_len) = (content.len(), name.len() + 1);
        let fields = [0, mode, 0, 0, 1, 0, len, 0, 0, 0, 0, name_len, 0];
        archive.extend_from_slice(b"070701");
        archive.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        archive.extend_from_slice(name.as_bytes());
        archive.push(0);
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
    archive
}
