//! A slot as an installed host has it: slot.cfg, and the files that it names.

use crate::disk::{Disk, Span};
use crate::ext4::Ext4;
use crate::system::{RootArgument, System, Systems};
use crate::table::msdos_id;

const SLOT_CFG: &str = "boot/xenhost/slot.cfg";
/// Longer than any that is made: eight entries of a few hundred bytes.
const ENTRIES_MAX: usize = 64;

/// Reads real file systems.
#[derive(Clone, Copy, Debug)]
pub struct Installed {
    /// The file whose first line is the version. It is written last, so that a slot without it is
    /// not whole.
    pub version_file: &'static str,
}

/// One way to start the system, as slot.cfg has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    xen: String,
    kernel: String,
    initrd: String,
    root: Option<RootArgument>,
}

impl Systems for Installed {
    /// The first entry whose three files are there, as GRUB goes through them.
    fn look(&self, disk: &dyn Disk, span: Span) -> Result<System, String> {
        let files = Ext4::open(disk, span)?;
        let cfg = files.read(SLOT_CFG)?;
        let cfg = String::from_utf8(cfg).map_err(|_| format!("{SLOT_CFG} is no text"))?;
        let mut missing = format!("{SLOT_CFG} starts nothing");
        for entry in entries(&cfg) {
            let all = [&entry.xen, &entry.kernel, &entry.initrd];
            if let Some(none) = all.into_iter().find(|path| !files.has(path)) {
                missing = format!("{none} is missing");
                continue;
            }
            let Some(root) = entry.root else {
                missing = format!("{} gets no root= that is known", entry.kernel);
                continue;
            };
            let version = files.read(self.version_file).ok();
            let version = version.and_then(|bytes| String::from_utf8(bytes).ok());
            let line = version.as_deref().and_then(|text| text.lines().next());
            let (version, whole) = (line.unwrap_or("unknown").to_owned(), line.is_some());
            return Ok(System { version, root, whole });
        }
        Err(missing)
    }
}

/// What `multiboot2` and the two `module2` lines behind it load.
fn entries(cfg: &str) -> Vec<Entry> {
    let mut all = Vec::new();
    let (mut xen, mut kernel): (Option<String>, Option<(String, Option<RootArgument>)>) =
        (None, None);
    for line in cfg.lines().take(ENTRIES_MAX.saturating_mul(64)) {
        let mut words = line.split_whitespace().filter(|word| *word != "if");
        let command = words.next().unwrap_or_default();
        let words: Vec<&str> = words.filter(|word| !word.starts_with("--")).collect();
        let path = words.first().and_then(|word| word.strip_prefix("($root)"));
        let Some(path) = path.map(|path| path.trim_end_matches(';').to_owned()) else { continue };
        match (command, kernel.take()) {
            ("multiboot2", _) => xen = Some(path),
            ("module2", None) => kernel = Some((path, words.iter().find_map(|w| root_of(w)))),
            ("module2", Some((kernel, root))) => {
                all.extend(xen.take().map(|xen| Entry { xen, kernel, initrd: path, root }));
            }
            _ => {}
        }
    }
    all.truncate(ENTRIES_MAX);
    all
}

/// `'root=PARTUUID=…'` and the like.
pub(crate) fn root_of(word: &str) -> Option<RootArgument> {
    let value = word.trim_matches('\'').strip_prefix("root=")?;
    if let Some(label) = value.strip_prefix("LABEL=") {
        return Some(RootArgument::Label(label.to_owned()));
    }
    if let Some(text) = value.strip_prefix("PARTUUID=") {
        if let Some(id) = msdos(text) {
            return Some(RootArgument::PartUuid(id));
        }
        // The first three fields of a GPT's GUID are little endian (UEFI 2.10 appendix A).
        let mut id = guid(text)?;
        for field in [0..4, 4..6, 6..8] {
            id.get_mut(field)?.reverse();
        }
        return Some(RootArgument::PartUuid(id));
    }
    value.strip_prefix("UUID=").and_then(guid).map(RootArgument::FsUuid)
}

/// `12345678-01`: signature of the disk and number of the partition, both hexadecimal.
fn msdos(text: &str) -> Option<[u8; 16]> {
    let (signature, number) = text.split_once('-')?;
    if (signature.len(), number.len()) != (8, 2) {
        return None;
    }
    let hex = |digits| u32::from_str_radix(digits, 16).ok();
    Some(msdos_id(hex(signature)?, hex(number)?))
}

/// The bytes of a GUID in the order of its text.
pub(crate) fn guid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let number = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32)?;
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CFG: &str = "
function xenhost_start_0 {
  for file in /boot/xen.gz /boot/vmlinuz /boot/initrd; do
  if multiboot2 ($root)/boot/xen.gz placeholder 'dom0_mem=1G' $xenhost_xen; then
    if module2 ($root)/boot/vmlinuz placeholder \
        'root=PARTUUID=01020304-0506-0708-090a-0b0c0d0e0f10' 'ro' $xenhost_lost; then
      if module2 --nounzip ($root)/boot/initrd; then
        boot
";

    #[test]
    fn an_entry_is_what_its_three_lines_load() {
        let want = Entry {
            xen: "/boot/xen.gz".to_owned(),
            kernel: "/boot/vmlinuz".to_owned(),
            initrd: "/boot/initrd".to_owned(),
            root: Some(RootArgument::PartUuid([
                4, 3, 2, 1, 6, 5, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16,
            ])),
        };
        assert_eq!(entries(CFG), [want]);
        // A kernel without an initrd, and an initrd without a Xen, start nothing.
        assert_eq!(entries(&CFG.replace("module2 --nounzip", "echo")), []);
        assert_eq!(entries(&CFG.replace("multiboot2", "echo")), []);
    }

    #[test]
    fn roots_are_named_in_three_ways() {
        let id = [0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        let uuid = "aabbccdd-eeff-0001-0203-040506070809";
        assert_eq!(root_of(&format!("'root=UUID={uuid}'")), Some(RootArgument::FsUuid(id)));
        assert_eq!(root_of("root=LABEL=root-x"), Some(RootArgument::Label("root-x".to_owned())));
        assert_eq!(root_of("root=/dev/sda1"), None);
        assert_eq!(root_of("root=UUID=aabb"), None);
        assert_eq!(root_of("ro"), None);
    }

    #[test]
    fn a_partition_of_an_mbr_is_named_by_signature_and_number() {
        let want = RootArgument::PartUuid(msdos_id(0x1a2b_3c4d, 0x12));
        assert_eq!(root_of("'root=PARTUUID=1a2b3c4d-12'"), Some(want));
        assert_eq!(root_of("'root=PARTUUID=1a2b3c4d-123'"), None);
    }
}
