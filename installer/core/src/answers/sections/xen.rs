//! `xen`, `boot` and `health`: how dom0 is started, and when it is well.

use partitioner::units::Bytes;

use super::super::node::Node;
use super::super::section::{Section, list, number, value};
use super::super::{Boot, Health, Xen};
use super::disks::{size, whole_mib};
use super::machine::count;
use super::or_default;
use crate::problem::{Problem, Problems};
use crate::values::{BootArg, Minutes, SerialConsole, ValueError, parse_size};

/// dom0 with less does not start.
const DOM0_MIN: Bytes = Bytes::mib(512);
const DOM0_MAX: Bytes = Bytes::gib(1024);

pub(super) fn xen(node: &Node, problems: &mut Problems) -> Option<Xen> {
    let mut section = Section::open(node, "xen", problems)?;
    section.later("console", "consoles are in `boot.serial`");
    section.later("iommu", "not available yet; `args: [iommu=1]` passes Xen's own argument");
    section.later("microcode", "not available yet: Xen looks for microcode in the initrd");
    let dom0_memory = or_default(section.optional("dom0_memory"), |node| {
        size(node, "xen.dom0_memory", problems, dom0_memory).map(Some)
    });
    let dom0_vcpus = or_default(section.optional("dom0_vcpus"), |node| {
        number(node, "xen.dom0_vcpus", problems, count).map(Some)
    });
    let args =
        or_default(section.optional("args"), |node| args(node, "xen.args", &XEN_OWN, problems));
    section.finish(problems);
    Some(Xen { dom0_memory: dom0_memory?, dom0_vcpus: dom0_vcpus?, args: args? })
}

fn dom0_memory(text: &str) -> Result<Bytes, ValueError> {
    let size = parse_size(text)?;
    if size < DOM0_MIN || DOM0_MAX < size {
        return Err(ValueError::new(format!("{size} is not between {DOM0_MIN} and {DOM0_MAX}")));
    }
    whole_mib(size)
}

/// Arguments that other answers decide, with those.
type Own = [(&'static str, &'static str)];

const XEN_OWN: [(&str, &str); 5] = [
    ("dom0_mem", "`xen.dom0_memory`"),
    ("dom0_max_vcpus", "`xen.dom0_vcpus`"),
    ("com1", "`boot.serial`"),
    ("com2", "`boot.serial`"),
    ("console", "`boot.serial`"),
];
const KERNEL_OWN: [(&str, &str); 4] = [
    ("root", "the installer"),
    ("ro", "the installer"),
    ("rw", "the installer"),
    ("console", "`boot.serial`"),
];

fn args(node: &Node, path: &str, own: &Own, problems: &mut Problems) -> Option<Vec<BootArg>> {
    list(node, path, problems, |node, path, problems| {
        let arg = value(node, path, problems, BootArg::parse)?;
        if let Some((name, who)) = own.iter().find(|(name, _)| *name == arg.name()) {
            let what = format!("`{name}` is decided by {who}");
            problems.push(Problem::new(node.at, path, what).value(arg.as_str()));
            return None;
        }
        Some(arg)
    })
}

pub(super) fn boot(node: &Node, problems: &mut Problems) -> Option<Boot> {
    let mut section = Section::open(node, "boot", problems)?;
    section.later("entry", "not available yet: a UEFI entry is added where the firmware takes it");
    section.later("secure_boot", "not available yet: Secure Boot has to be off");
    let serial = or_default(section.optional("serial"), |node| {
        value(node, "boot.serial", problems, SerialConsole::parse).map(Some)
    });
    let kernel_args = or_default(section.optional("kernel_args"), |node| {
        args(node, "boot.kernel_args", &KERNEL_OWN, problems)
    });
    section.finish(problems);
    Some(Boot { serial: serial?, kernel_args: kernel_args? })
}

/// Above that the service of bless would be ended.
const HEALTH_MINUTES_MAX: u32 = 14;

pub(super) fn health(node: &Node, problems: &mut Problems) -> Option<Health> {
    let mut section = Section::open(node, "health", problems)?;
    section.later("attempts", "not available yet: a new system has three tries");
    for name in ["checks", "hold", "on_fail"] {
        section.later(name, "not available yet");
    }
    let timeout = or_default(section.optional("timeout"), |node| {
        size(node, "health.timeout", problems, |text| Minutes::parse(text, 1, HEALTH_MINUTES_MAX))
            .map(Some)
    });
    section.finish(problems);
    Some(Health { timeout: timeout? })
}
