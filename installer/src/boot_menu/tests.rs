//! The boot menu of a dom0 that is a folder.

use installer_core::dom0_size::Dom0Size;
use partitioner::ids::Guid;
use partitioner::partuuid::PartUuid;

use super::*;

/// Its file system is not brought to rest: it is the one of the machine that tests.
struct Dom0 {
    folder: tempfile::TempDir,
}

impl Dom0 {
    fn new(boot: &[&str]) -> Self {
        let dom0 = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(dom0.at("etc/xenhost")).unwrap();
        fs::create_dir_all(dom0.at("boot")).unwrap();
        let conf = BootConf::new(
            PartUuid::Gpt(Guid::from_u128(7)),
            Dom0Size { memory_mib: 1168, vcpus: 2 },
        );
        fs::write(dom0.at(BOOT_CONF), conf.render()).unwrap();
        for name in boot {
            dom0.put(name, name);
        }
        dom0
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn put(&self, name: &str, content: &str) {
        fs::write(self.at("boot").join(name), content).unwrap();
    }

    fn refresh(&self) -> Result<Menu, BootMenuError> {
        refresh_with(self.folder.path(), &|_| Ok(None))
    }

    /// Xen and kernel of each entry, without folder and prefix.
    fn offered(&self) -> Vec<String> {
        let short = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        let line = |files: &BootFiles| {
            format!("{} {}", short(files.xen()), short(files.kernel()).replace("vmlinuz-", ""))
        };
        self.refresh().unwrap().entries.iter().map(line).collect()
    }

    fn keep(&self) -> Option<Menu> {
        keep::keep_with(self.folder.path(), &|_| Ok(None)).unwrap()
    }

    fn cfg(&self) -> String {
        fs::read_to_string(self.at(SLOT_CFG)).unwrap()
    }
}

const ONE: [&str; 3] = ["xen-4.20-amd64.gz", "vmlinuz-6.12.1-amd64", "initrd.img-6.12.1-amd64"];

#[test]
fn the_newest_comes_first_by_number_not_by_letter() {
    let dom0 = Dom0::new(&ONE);
    for name in ["vmlinuz-6.12.10-amd64", "initrd.img-6.12.10-amd64", "xen-4.17-amd64.gz"] {
        dom0.put(name, name);
    }
    let want = [
        "xen-4.20-amd64.gz 6.12.10-amd64",
        "xen-4.20-amd64.gz 6.12.1-amd64",
        "xen-4.17-amd64.gz 6.12.10-amd64",
        "xen-4.17-amd64.gz 6.12.1-amd64",
    ];
    assert_eq!(dom0.offered(), want);
    assert!(dom0.cfg().contains("/boot/vmlinuz-6.12.10-amd64"));
}

#[test]
fn what_is_being_installed_does_not_count() {
    let dom0 = Dom0::new(&ONE);
    for name in [
        "vmlinuz-6.12.9-amd64",
        "vmlinuz-6.12.8-amd64.dpkg-new",
        "initrd.img-6.12.8-amd64.dpkg-new",
        "initrd.img-6.12.1-amd64.new",
        "xen-4.21-amd64.gz.dpkg-new",
        "xen-4.21-amd64.efi",
        "config-6.12.1-amd64",
    ] {
        dom0.put(name, name);
    }
    assert_eq!(dom0.offered(), ["xen-4.20-amd64.gz 6.12.1-amd64"]);
}

#[test]
fn without_kernel_or_hypervisor_the_old_menu_stays() {
    let dom0 = Dom0::new(&ONE);
    dom0.refresh().unwrap();
    let before = dom0.cfg();
    for missing in ONE {
        fs::remove_file(dom0.at("boot").join(missing)).unwrap();
        let error = dom0.refresh().unwrap_err().to_string();
        assert!(error.contains("holds no"), "{error}");
        assert_eq!(dom0.cfg(), before);
        dom0.put(missing, missing);
    }
}

#[test]
fn a_mistake_in_boot_conf_leaves_the_old_menu() {
    let dom0 = Dom0::new(&ONE);
    dom0.refresh().unwrap();
    let before = dom0.cfg();
    let conf = fs::read_to_string(dom0.at(BOOT_CONF)).unwrap();
    fs::write(dom0.at(BOOT_CONF), conf.replace("\nkernel=", "\nkernal=")).unwrap();
    let error = dom0.refresh().unwrap_err().to_string();
    assert!(error.contains("kernal"), "{error}");
    assert_eq!(dom0.cfg(), before);
}

#[test]
fn the_hypervisor_that_worked_stays_when_its_package_replaces_it() {
    let dom0 = Dom0::new(&ONE);
    assert!(dom0.keep().is_some());
    // The same content is not offered twice.
    assert_eq!(dom0.offered(), ["xen-4.20-amd64.gz 6.12.1-amd64"]);
    dom0.put(ONE[0], "4.20.1");
    let want = ["xen-4.20-amd64.gz 6.12.1-amd64", "xen-good.gz 6.12.1-amd64"];
    assert_eq!(dom0.offered(), want);
    assert_eq!(fs::read_to_string(dom0.at("boot/xenhost/xen-good.gz")).unwrap(), ONE[0]);
    // It booted well: it becomes the good one, and the one before stays.
    let menu = dom0.keep().unwrap();
    assert_eq!(menu.entries.len(), 2);
    let want = ["xen-4.20-amd64.gz 6.12.1-amd64", "xen-previous.gz 6.12.1-amd64"];
    assert_eq!(dom0.offered(), want);
    assert_eq!(dom0.keep(), None);
}
