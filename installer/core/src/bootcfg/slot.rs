//! `/boot/xenhost/slot.cfg`: how the boot loader starts the dom0 of this slot.

use std::fmt::Write as _;

use super::{BootConf, BootFiles};

/// More entries than this are not offered; the newest come first.
const ENTRIES_MAX: usize = 8;

/// The script for the boot loader. `entries` come newest first; the ones after the first are what
/// is tried when a file of the one before is missing, and what the menu offers as older systems.
///
/// The dispatcher has set `root` to the file system of the slot. It asks for other consoles with
/// `xenhost_console` and for a menu with `xenhost_menu`.
pub fn slot_cfg(conf: &BootConf, entries: &[BootFiles]) -> String {
    let entries = entries.get(..ENTRIES_MAX).unwrap_or(entries);
    let mut cfg = String::from(HEAD);
    consoles(&mut cfg, conf);
    for (number, files) in (0..).zip(entries) {
        start(&mut cfg, conf, number, files);
    }
    cfg.push_str("\nif [ \"$xenhost_menu\" = \"yes\" ]; then\n  set default=0\n  unset timeout\n");
    for (number, files) in (0..).zip(entries) {
        let title = format!("{} with {}", base(files.kernel()), base(files.xen()));
        put(&mut cfg, &format!("  menuentry '{title}' {{ xenhost_start_{number}; }}"));
    }
    cfg.push_str("else\n");
    for (number, _) in (0..).zip(entries) {
        put(&mut cfg, &format!("  xenhost_start_{number}"));
    }
    cfg.push_str("  echo \"xenhost: no Xen and kernel of this slot could be started\"\nfi\n");
    cfg
}

const HEAD: &str = "\
# Made by `host-installer boot-menu` from /etc/xenhost/boot.conf and the files in /boot.
# Changes in this file are lost: change boot.conf and run update-grub.
";

/// Consoles: those of boot.conf, unless the dispatcher's menu asks for others.
fn consoles(cfg: &mut String, conf: &BootConf) {
    let variants = [
        ("com1", "com1=115200,8n1 console=com1", "console=hvc0"),
        ("com2", "com2=115200,8n1 console=com2", "console=hvc0"),
        ("vga", "console=vga", "console=tty0"),
    ];
    put(cfg, "");
    let mut word = "if";
    for (name, xen, kernel) in variants {
        put(cfg, &format!("{word} [ \"$xenhost_console\" = \"{name}\" ]; then"));
        put(cfg, &format!("  set xenhost_xen='{xen}'\n  set xenhost_kernel='{kernel}'"));
        word = "elif";
    }
    let (xen, kernel) = (conf.xen_console.join(" "), conf.kernel_console.join(" "));
    put(cfg, &format!("else\n  set xenhost_xen='{xen}'\n  set xenhost_kernel='{kernel}'\nfi"));
}

/// One function per entry. It looks for its files first: GRUB would start a kernel without its
/// initrd, which panics.
fn start(cfg: &mut String, conf: &BootConf, number: u32, files: &BootFiles) {
    let (xen, kernel, initrd) = (files.xen(), files.kernel(), files.initrd());
    let xen_args = quoted(&conf.xen_args);
    let root = quoted(&[format!("root={}", conf.root)]);
    let kernel_args = quoted(&conf.kernel_args);
    let dispatched = "$xenhost_lost $xenhost_trial $xenhost_kernel";
    put(
        cfg,
        &format!(
            "
function xenhost_start_{number} {{
  for file in {xen} {kernel} {initrd}; do
    if [ -f ($root)$file ]; then
      true
    else
      echo \"xenhost: $file is missing\"
      return 1
    fi
  done
  echo 'xenhost: loading {xen} and {kernel}'
  if multiboot2 ($root){xen} placeholder{xen_args} $xenhost_xen; then
    if module2 ($root){kernel} placeholder{root}{kernel_args} {dispatched}; then
      if module2 --nounzip ($root){initrd}; then
        boot
      fi
    fi
  fi
  return 1
}}"
        ),
    );
}

/// Each argument in quotes of its own, with a space before it.
fn quoted(args: &[String]) -> String {
    let mut text = String::new();
    for arg in args {
        text.push_str(" '");
        text.push_str(arg);
        text.push('\'');
    }
    text
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn put(cfg: &mut String, line: &str) {
    writeln!(cfg, "{line}").expect("a String takes all that is written to it");
}

#[cfg(test)]
mod tests {
    use partitioner::ids::Guid;

    use super::*;
    use crate::dom0_size::Dom0Size;

    fn conf() -> BootConf {
        let dom0 = Dom0Size { memory_mib: 1168, vcpus: 2 };
        let root = Guid::from_u128(0x0102_0304_0506_4708_890a_0b0c_0d0e_0f10);
        BootConf::new(partitioner::partuuid::PartUuid::Gpt(root), dom0)
    }

    fn files(kernel: &str) -> BootFiles {
        BootFiles::new(
            "/boot/xen-4.20-amd64.gz",
            &format!("/boot/vmlinuz-{kernel}"),
            &format!("/boot/initrd.img-{kernel}"),
        )
        .unwrap()
    }

    #[test]
    fn two_kernels_the_newest_first() {
        let cfg = slot_cfg(&conf(), &[files("6.12.9-amd64"), files("6.12.1-amd64")]);
        let golden = include_str!("slot.golden.cfg");
        assert_eq!(cfg, golden, "compare with src/bootcfg/slot.golden.cfg");
    }

    #[test]
    fn a_slot_without_kernel_says_so() {
        let cfg = slot_cfg(&conf(), &[]);
        assert!(!cfg.contains("multiboot2"));
        assert!(cfg.contains("no Xen and kernel"));
    }

    #[test]
    fn an_argument_cannot_leave_its_quotes() {
        let mut conf = conf();
        conf.kernel_args = vec!["a;b".into(), "$x".into(), "{".into()];
        let cfg = slot_cfg(&conf, &[files("1")]);
        assert!(cfg.contains(" 'a;b' '$x' '{' "));
    }
}
