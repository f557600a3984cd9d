//! Configurations as old hosts have them.

use super::*;

const GRUB: &str = "\
serial --unit=0 --speed=115200
set default=0
set timeout=5
menuentry 'XCP-ng' {
	search --label --set root root-vgdorj
	multiboot2 /boot/xen.gz dom0_mem=752M,max:752M watchdog com1=115200,8n1 console=vga,com1
	module2 /boot/vmlinuz-4.19-xen root=LABEL=root-vgdorj ro nolvm console=tty0
	module2 /boot/initrd-4.19-xen.img
}
menuentry 'XCP-ng (Safe Mode)' {
	search --label --set root root-vgdorj
	multiboot2 /boot/xen.gz nosmp
	module2 /boot/vmlinuz-4.19-xen root=LABEL=root-vgdorj ro
	module2 /boot/initrd-4.19-xen.img
}
";

const EXTLINUX: &str = "\
default xe
prompt 1
label safe
  kernel mboot.c32
  append /boot/xen.gz nosmp --- /boot/vmlinuz-2 root=LABEL=root-x --- /boot/initrd-2.6.img
label xe
  # XenServer
  kernel mboot.c32
  append /boot/xen.gz dom0_mem=1G --- /boot/vmlinuz-2 root=LABEL=root-x ro --- /boot/initrd.img
";

#[test]
fn the_default_entry_of_a_grub_cfg_is_taken() {
    let boot = OldBoot::from_grub(GRUB).unwrap();
    assert_eq!(boot.protocol, Protocol::Multiboot2);
    let paths: Vec<&str> = boot.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["/boot/xen.gz", "/boot/vmlinuz-4.19-xen", "/boot/initrd-4.19-xen.img"]);
    assert_eq!((boot.root(), boot.dom0_memory_mib()), (Some("LABEL=root-vgdorj"), Some(752)));
    let second = OldBoot::from_grub(&GRUB.replace("default=0", "default=1")).unwrap();
    assert_eq!(second.files[0].args, ["nosmp"]);
    let by_title = OldBoot::from_grub(&GRUB.replace("default=0", "default='XCP-ng'")).unwrap();
    assert_eq!(by_title, boot);
}

#[test]
fn an_extlinux_conf_names_its_default() {
    let boot = OldBoot::from_extlinux(EXTLINUX).unwrap();
    assert_eq!((boot.protocol, boot.dom0_memory_mib()), (Protocol::Multiboot, Some(1024)));
    assert_eq!(boot.files[2].path, "/boot/initrd.img");
    let plain = "LABEL l\nKERNEL /boot/vmlinuz\nAPPEND root=LABEL=root-x initrd=/boot/initrd\n";
    let boot = OldBoot::from_extlinux(plain).unwrap();
    assert_eq!(boot.protocol, Protocol::Linux);
    assert_eq!(boot.files[0].args, ["root=LABEL=root-x"]);
}

#[test]
fn what_cannot_be_started_is_refused() {
    let refused = |text: &str| OldBoot::from_grub(text).unwrap_err().to_string();
    assert_eq!(refused(""), "it has no entry that loads a kernel with its initrd");
    assert_eq!(refused(&GRUB.replace("module2 /boot/initrd", "# ")), refused(""));
    assert_eq!(
        refused(&GRUB.replace("root=LABEL", "boot=LABEL")),
        OldBootError::NoRoot.to_string()
    );
    assert!(refused(&GRUB.replace("watchdog", "a\\b")).contains("holds a quote"));
    assert!(refused(&GRUB.replace("/boot/xen.gz", "/boot/$x")).contains("no path within"));
    assert!(refused(&GRUB.replace("/boot/xen.gz", "boot/xen.gz")).contains("no path within"));
}

#[test]
fn the_scripts_load_the_same_with_the_root_that_is_wanted() {
    let boot = OldBoot::from_grub(GRUB).unwrap();
    let uuid = partitioner::ids::Guid::from_u128(7);
    let old = old_cfg(uuid, &boot);
    assert!(old.contains(&format!("\nset xenhost_old={uuid}\nfunction xenhost_start_old {{\n")));
    assert!(old.contains("module2 ($root)/boot/vmlinuz-4.19-xen 'root=LABEL=root-vgdorj' 'ro'"));
    let copy = copy_slot_cfg(&boot.with_root("LABEL=oldroot-1"));
    assert!(copy.contains("'root=LABEL=oldroot-1'") && !copy.contains("vgdorj"));
    assert!(copy.contains("module2 --nounzip ($root)/boot/initrd-4.19-xen.img"));
    assert!(copy.contains("  for file in /boot/xen.gz /boot/vmlinuz-4.19-xen "));
    assert_eq!(copy.matches("\n  if ").count(), copy.matches("\n  fi").count());
}
