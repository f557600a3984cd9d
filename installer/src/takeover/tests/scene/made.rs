//! What the old hosts of the tests are made of.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use partitioner::units::Lba;
use rustix::fs::{SeekFrom, seek};

use super::noise;

pub(crate) const LABEL: &str = "root-abcdef";

/// How an old host is divided, and how it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    MbrBios,
    /// With a GRUB between LBA 0 and the first partition.
    MbrGap,
    GptBios,
    GptUefi,
    /// A host of ours on the layout legacy.
    OwnMbr,
    OwnGpt,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::MbrBios, Self::MbrGap, Self::GptBios, Self::GptUefi];

    pub(crate) const OWN: [Self; 2] = [Self::OwnMbr, Self::OwnGpt];

    pub(crate) fn is_own(self) -> bool {
        Self::OWN.contains(&self)
    }

    pub(crate) fn firmware(self) -> boot_oracle::Firmware {
        match self {
            Self::MbrBios | Self::MbrGap | Self::GptBios | Self::OwnMbr => {
                boot_oracle::Firmware::Bios
            }
            Self::GptUefi | Self::OwnGpt => boot_oracle::Firmware::Uefi,
        }
    }
}

/// What is different about a host.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) kind: Kind,
    pub(crate) gib: u64,
    /// A real repository, packed.
    pub(crate) sr: Option<&'static [u8]>,
    /// In place of the usual files of the root, or beside them.
    pub(crate) files: Vec<(&'static str, String)>,
    pub(crate) without: Vec<&'static str>,
    pub(crate) label: &'static str,
}

/// Repositories that real LVM made, of the partitioner's tests.
pub(crate) const EMPTY: &[u8] =
    include_bytes!("../../../../../partitioner/tests/fixtures/sr/empty-lvm.zst");
pub(crate) const USED: &[u8] =
    include_bytes!("../../../../../partitioner/tests/fixtures/sr/used-lvm.zst");
pub(crate) const TAGGED: &[u8] =
    include_bytes!("../../../../../partitioner/tests/fixtures/sr/tagged.zst");
pub(crate) const FOREIGN: &[u8] =
    include_bytes!("../../../../../partitioner/tests/fixtures/sr/foreign-group.zst");

impl Made {
    pub(crate) fn usual(kind: Kind) -> Self {
        let (files, without) = (Vec::new(), Vec::new());
        Self { kind, gib: 60, sr: Some(EMPTY), files, without, label: LABEL }
    }

    pub(crate) fn with(mut self, path: &'static str, text: impl Into<String>) -> Self {
        self.files.push((path, text.into()));
        self
    }
}

pub(crate) const INVENTORY: &str = "PRODUCT_BRAND='XenServer'\nPRODUCT_NAME='xenenterprise'\n\
                         PRODUCT_VERSION='7.1.0'\nPLATFORM_VERSION='2.2.0'\n\
                         INSTALLATION_UUID='5d2f4b7a-1c3e-4e8b-a6f9-0d1e2f3a4b5c'\n\
                         MANAGEMENT_INTERFACE='xenbr0'\n\
                         PRIMARY_DISK='/dev/disk/by-id/x'\n";
pub(crate) const GRUB_CFG: &str = "set default=0\nmenuentry 'XenServer' {\n  \
                        search --label --set root root-abcdef\n  \
                        multiboot2 /boot/xen.gz dom0_mem=752M,max:752M console=com1,vga\n  \
                        module2 /boot/vmlinuz-4.4-xen root=LABEL=root-abcdef ro console=hvc0\n  \
                        module2 /boot/initrd-4.4-xen.img\n}\n";
const NETWORKD: &str =
    include_str!("../../../../core/src/takeover/xenserver/tests/networkd-dhcp.json");
/// Of root's password; belongs into a root file system and nowhere else.
pub(crate) const HASH: &str = "$6$xenhostdocs$yYqNEF0kMBNJ58A8YrU2qltEbfJgOxcwuChSnoEz12J1.\
                               l8NpI8FOeTbtXovfN9jh.VR9Ntmp.LlOyOJsHXkA0";
const FSTAB: &str = "LABEL=root-abcdef / ext3 defaults 1 1\n\
                     LABEL=BOOT-ABCDEF /boot/efi vfat defaults 0 2\n\
                     /opt/xensource/packages/iso/x.iso /mnt iso9660 ro,loop,noauto 0 0\n";
const DATABASE: &str = "<database>\
    <table name=\"host\"><row ref=\"h\"/></table>\
    <table name=\"pool\"><row ref=\"p\" ha_enabled=\"false\"/></table>\
    <table name=\"SR\"><row ref=\"s\" uuid=\"11111111-1111-4111-8111-111111111111\"/></table>\
    <table name=\"VDI\"></table><table name=\"VM\"></table></database>";

/// A guest, as a row of the database.
pub(crate) const VM: &str = "<row name__label=\"web\" is_a_template=\"false\" \
    is_control_domain=\"false\" is_a_snapshot=\"false\"/>";

pub(crate) fn database(change: impl Fn(String) -> String) -> String {
    change(DATABASE.to_owned())
}

/// Files of a root as the conversion expects them.
pub(crate) fn usual_files() -> Vec<(&'static str, String)> {
    let text = |text: &str| text.to_owned();
    vec![
        ("etc/xensource-inventory", text(INVENTORY)),
        ("etc/xensource/pool.conf", text("master")),
        ("var/lib/xcp/state.db", text(DATABASE)),
        ("var/lib/misc/ran-network-init", text("")),
        ("var/lib/misc/ran-storage-init", text("")),
        ("etc/hostname", text("old-host\n")),
        ("etc/machine-id", text("0123456789abcdef0123456789abcdef\n")),
        ("var/lib/xcp/networkd.db", text(NETWORKD)),
        ("etc/passwd", text("root:x:0:0:root:/root:/bin/bash\n")),
        ("etc/shadow", format!("root:{HASH}:17000:0:99999:7:::\n")),
        ("etc/ssh/ssh_host_rsa_key", text("private")),
        ("etc/ssh/ssh_host_rsa_key.pub", text("public")),
        ("root/.ssh/authorized_keys", text("ssh-ed25519 AAAA ann\n")),
        ("etc/fstab", text(FSTAB)),
        ("boot/xen.gz", text("an old Xen")),
        ("boot/vmlinuz-4.4-xen", text("an old kernel")),
        ("boot/initrd-4.4-xen.img", text("an old initrd")),
        ("etc/release-mark", text("old\n")),
    ]
}

fn sector(fill: u8) -> Vec<u8> {
    let mut sector = vec![fill; 512];
    sector[0x1B8..0x1FE].fill(0);
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    sector
}

pub(crate) fn mbr_code() -> Vec<u8> {
    sector(0xE1)
}

pub(crate) fn volume_sector() -> Vec<u8> {
    sector(0xE2)
}

pub(crate) fn old_boot_img() -> Vec<u8> {
    sector(0xE3)
}

/// With the address and the name by which a GRUB 2 is known.
pub(crate) fn gap_boot_img() -> Vec<u8> {
    let mut code = sector(0xE4);
    code[0x5A..0x5C].copy_from_slice(&0x8000_u16.to_le_bytes());
    code[0x180..0x185].copy_from_slice(b"GRUB ");
    code
}

pub(crate) fn old_core() -> Vec<u8> {
    let mut core = noise(99, 4096);
    core[0x1E8..0x1F4].fill(0);
    core[0x1FE..0x200].copy_from_slice(&0x820_u16.to_le_bytes());
    core
}

pub(crate) fn old_efi() -> Vec<u8> {
    noise(98, 2000)
}

/// The data of a sparse file, to a place in another one.
pub(crate) fn copy(from: &File, to: &File, place: u64) {
    let mut at = 0;
    while let Ok(data) = seek(from, SeekFrom::Data(at)) {
        at = seek(from, SeekFrom::Hole(data)).unwrap();
        let mut bytes = vec![0; usize::try_from(at - data).unwrap()];
        from.read_exact_at(&mut bytes, data).unwrap();
        to.write_all_at(&bytes, place + data).unwrap();
    }
}

/// An old GRUB, with its core image there.
pub(crate) fn grub(disk: &File, mut code: Vec<u8>, at: Lba) {
    code[0x5C..0x64].copy_from_slice(&at.get().to_le_bytes());
    disk.write_all_at(&code[..440], 0).unwrap();
    let image = partitioner::head::patch_core(&old_core(), at).unwrap();
    disk.write_all_at(&image, at.get() * 512).unwrap();
}

pub(crate) fn sfdisk(disk: &Path, text: &str) {
    let mut child = Command::new("sfdisk")
        .arg("-q")
        .arg(disk)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}
