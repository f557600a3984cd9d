//! The pages of vital product data that SCSI disks, and ATA disks through the kernel, identify
//! themselves with (SPC-4, 7.8). The kernel keeps copies in sysfs.

use std::fs;
use std::path::Path;

use crate::release_dir::hex;

/// Pages 80 (serial number) and 83 (designators), as far as the disk has them.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    serial: Vec<u8>,
    designators: Vec<Designator>,
}

/// One name of the disk. Only names of the logical unit are kept, not of its port or target.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Designator {
    kind: u8,
    value: Vec<u8>,
}

const HEADER_BYTES: usize = 4;
/// Not zero for a name of the target or of its port.
const ASSOCIATION: u8 = 0x30;
const KIND_VENDOR_SPECIFIC: u8 = 0;
const KIND_T10: u8 = 1;
const KIND_NAA: u8 = 3;

impl Pages {
    pub(super) fn read(device: &Path) -> Self {
        // A disk without a page has no file for it.
        let page = |name| fs::read(device.join(name)).unwrap_or_default();
        Self::parse(&page("vpd_pg80"), &page("vpd_pg83"))
    }

    fn parse(page_80: &[u8], page_83: &[u8]) -> Self {
        let serial = page_80.get(HEADER_BYTES..).unwrap_or_default().to_vec();
        let mut designators = Vec::new();
        let mut rest = page_83.get(HEADER_BYTES..).unwrap_or_default();
        while let Some((head, tail)) = rest.split_at_checked(HEADER_BYTES) {
            let [_, kind, _, length] = head else { break };
            let Some((value, next)) = tail.split_at_checked(usize::from(*length)) else { break };
            let of_logical_unit = kind & ASSOCIATION == 0;
            if of_logical_unit {
                designators.push(Designator { kind: kind & 0x0F, value: value.to_vec() });
            }
            rest = next;
        }
        Self { serial, designators }
    }

    pub(super) fn serial(&self) -> Option<String> {
        text(&self.serial)
    }

    /// The NAA name in lower-case hexadecimal, the longest where there are several.
    pub(super) fn naa(&self) -> Option<String> {
        let of_kind = self.designators.iter().filter(|d| d.kind == KIND_NAA);
        let longest = of_kind.max_by_key(|d| d.value.len())?;
        (!longest.value.is_empty()).then(|| hex(&longest.value))
    }

    pub(super) fn vendor_specific(&self) -> Option<String> {
        let found = self.designators.iter().find(|d| d.kind == KIND_VENDOR_SPECIFIC)?;
        text(&found.value)
    }

    /// The kernel's ATA translation names a disk `ATA     `, model (40), serial (20).
    pub(super) fn ata_model(&self) -> Option<String> {
        let t10 = self.designators.iter().find(|d| d.kind == KIND_T10)?;
        t10.value.strip_prefix(b"ATA     ").and_then(|rest| text(rest.get(..40)?))
    }
}

/// Printable text without the padding; `None` for nothing but padding.
fn text(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn designator(kind: u8, value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![2, kind, 0, u8::try_from(value.len()).unwrap()];
        bytes.extend_from_slice(value);
        bytes
    }

    #[test]
    fn an_ata_disk_has_its_whole_model() {
        let mut name = b"ATA     ".to_vec();
        name.extend_from_slice(
            format!("{:<40}{:<20}", "QEMU HARDDISK OF MANY LETTERS", "SN42").as_bytes(),
        );
        let mut page = vec![0, 0x83, 0, 0];
        page.extend(designator(KIND_VENDOR_SPECIFIC, b"SN42"));
        page.extend(designator(KIND_T10, &name));
        page.extend(designator(KIND_NAA, &[0x50, 1, 2, 3, 4, 5, 6, 7]));
        // A name of the target port, which other disks share.
        page.extend(designator(0x10 | KIND_NAA, &[0x60; 16]));
        let pages = Pages::parse(b"\0\x80\0\x14                SN42", &page);
        assert_eq!(pages.ata_model().as_deref(), Some("QEMU HARDDISK OF MANY LETTERS"));
        assert_eq!(pages.serial().as_deref(), Some("SN42"));
        assert_eq!(pages.naa().as_deref(), Some("5001020304050607"));
    }

    #[test]
    fn pages_that_are_cut_or_missing_name_nothing() {
        let pages = Pages::parse(&[], &[0, 0x83, 0, 9, 1, 3, 0, 8, 1]);
        assert_eq!((pages.serial(), pages.naa()), (None, None));
    }
}
