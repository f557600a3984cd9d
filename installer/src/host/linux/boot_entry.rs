//! A line in the firmware's boot menu, through efivarfs (UEFI 2.10, sections 3.1.3 and 10.3).
//!
//! The new entry is written first, then the order that names it, and only then go older entries for
//! the same partition: a cut leaves one entry too many, never one too few. Nothing needs the entry,
//! since firmware also looks for `BOOTX64.EFI`.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use partitioner::ids::Guid;

use crate::ports::{BootEntry, HostError};

/// The vendor of the variables that UEFI itself defines.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Non-volatile, boot service access, runtime access.
const ATTRIBUTES: u32 = 7;
const ATTRIBUTES_BYTES: usize = 4;
const LOAD_OPTION_ACTIVE: u32 = 1;
const MEDIA: u8 = 4;
const HARD_DRIVE: u8 = 1;
const FILE_PATH: u8 = 4;
const HARD_DRIVE_BYTES: u16 = 42;
const END_OF_PATH: [u8; 4] = [0x7F, 0xFF, 4, 0];

/// Adds the entry in front of all others. `efi` is `/sys/firmware/efi`.
pub(super) fn add(efi: &Path, entry: &BootEntry<'_>) -> Result<String, HostError> {
    if !efi.is_dir() {
        return Ok("this machine was started by its BIOS, which has no boot entries".to_owned());
    }
    let folder = efi.join("efivars");
    let variables = Variables { folder };
    let entries = variables.entries()?;
    let number = free_number(&entries)
        .ok_or_else(|| refused("all 65536 boot entries are taken".to_owned()))?;
    let option = load_option(entry).ok_or_else(|| refused("its path is too long".to_owned()))?;
    variables.write(&name_of(number), &option)?;
    let partition = entry.partition.guid;
    let old: Vec<u16> = entries
        .iter()
        .filter(|(_, option)| partition_of(option) == Some(partition))
        .map(|(number, _)| *number)
        .collect();
    let rest = variables.order()?.into_iter().filter(|n| *n != number && !old.contains(n));
    let order: Vec<u8> = std::iter::once(number).chain(rest).flat_map(u16::to_le_bytes).collect();
    variables.write("BootOrder", &order)?;
    for number in old {
        variables.remove(&name_of(number))?;
    }
    Ok(format!("{} is the first boot entry, \"{}\"", name_of(number), entry.label))
}

/// The folder where the kernel shows the firmware's variables.
struct Variables {
    folder: PathBuf,
}

impl Variables {
    /// All `Boot####` variables, without their attributes.
    fn entries(&self) -> Result<BTreeMap<u16, Vec<u8>>, HostError> {
        let listing = fs::read_dir(&self.folder).map_err(self.failed("listing"))?;
        let mut entries = BTreeMap::new();
        let mut seen: usize = 0;
        for file in listing {
            let file = file.map_err(self.failed("listing"))?;
            seen += 1;
            let name = file.file_name().to_string_lossy().into_owned();
            if let Some(number) = entry_number(&name) {
                entries.insert(number, self.read(&name_of(number))?);
            }
        }
        if seen == 0 {
            return Err(refused(format!("efivarfs is not mounted on {}", self.folder.display())));
        }
        Ok(entries)
    }

    fn order(&self) -> Result<Vec<u16>, HostError> {
        match self.read("BootOrder") {
            Ok(bytes) => {
                Ok(bytes.as_chunks().0.iter().map(|two| u16::from_le_bytes(*two)).collect())
            }
            // A machine without any entry has no order either.
            Err(HostError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, HostError> {
        let bytes = fs::read(self.path(name)).map_err(self.failed_at("reading", name))?;
        Ok(bytes.get(ATTRIBUTES_BYTES..).unwrap_or_default().to_vec())
    }

    /// A variable is one write: attributes, then its value.
    fn write(&self, name: &str, value: &[u8]) -> Result<(), HostError> {
        let mut bytes = ATTRIBUTES.to_le_bytes().to_vec();
        bytes.extend_from_slice(value);
        let path = self.path(name);
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .and_then(|mut file| file.write_all(&bytes));
        written.map_err(self.failed_at("writing", name))
    }

    fn remove(&self, name: &str) -> Result<(), HostError> {
        fs::remove_file(self.path(name)).map_err(self.failed_at("removing", name))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}-{GLOBAL}"))
    }

    fn failed(&self, action: &'static str) -> impl Fn(io::Error) -> HostError + use<> {
        let path = self.folder.clone();
        move |source| HostError::File { action, path: path.clone(), source }
    }

    fn failed_at(
        &self,
        action: &'static str,
        name: &str,
    ) -> impl Fn(io::Error) -> HostError + use<> {
        let path = self.path(name);
        move |source| HostError::File { action, path: path.clone(), source }
    }
}

fn refused(why: String) -> HostError {
    HostError::BootEntry { why }
}

fn name_of(number: u16) -> String {
    format!("Boot{number:04X}")
}

/// `Boot001A-8be4df61-…`
fn entry_number(file: &str) -> Option<u16> {
    let digits = file.strip_suffix(GLOBAL)?.strip_suffix('-')?.strip_prefix("Boot")?;
    let hexadecimal = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    hexadecimal.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
}

fn free_number(taken: &BTreeMap<u16, Vec<u8>>) -> Option<u16> {
    (0..=u16::MAX).find(|number| !taken.contains_key(number))
}

/// `EFI_LOAD_OPTION`: attributes, length of the path, description, path.
fn load_option(entry: &BootEntry<'_>) -> Option<Vec<u8>> {
    let planned = entry.partition;
    let mut path = vec![MEDIA, HARD_DRIVE];
    path.extend(HARD_DRIVE_BYTES.to_le_bytes());
    path.extend(planned.number.to_le_bytes());
    path.extend(planned.extent.first().get().to_le_bytes());
    path.extend(planned.extent.blocks().to_le_bytes());
    path.extend(planned.guid.to_gpt_bytes());
    path.extend([2, 2]); // A GPT, and the signature is a GUID.
    let loader = utf16(entry.loader);
    let file_bytes = u16::try_from(loader.len().checked_add(4)?).ok()?;
    path.extend([MEDIA, FILE_PATH]);
    path.extend(file_bytes.to_le_bytes());
    path.extend(loader);
    path.extend(END_OF_PATH);
    let mut option = LOAD_OPTION_ACTIVE.to_le_bytes().to_vec();
    option.extend(u16::try_from(path.len()).ok()?.to_le_bytes());
    option.extend(utf16(entry.label));
    option.extend(path);
    Some(option)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// The GUID of the partition that an entry starts from, where it names one.
fn partition_of(option: &[u8]) -> Option<Guid> {
    let path_bytes = usize::from(u16::from_le_bytes(option.get(4..6)?.try_into().ok()?));
    let text = option.get(6..)?.as_chunks::<2>().0;
    let text_bytes =
        text.iter().position(|unit| *unit == [0, 0])?.checked_add(1)?.checked_mul(2)?;
    let start = text_bytes.checked_add(6)?;
    let mut path = option.get(start..start.checked_add(path_bytes)?)?;
    while let [kind, subtype, low, high, ..] = *path {
        let length = usize::from(u16::from_le_bytes([low, high]));
        if kind == MEDIA && subtype == HARD_DRIVE {
            let is_gpt = path.get(40..42)? == [2, 2];
            let guid: [u8; 16] = path.get(24..40)?.try_into().ok()?;
            return is_gpt.then(|| Guid::from_gpt_bytes(guid));
        }
        // A node shorter than its own head would never end.
        path = path.get(length.max(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use partitioner::layout::Role;
    use partitioner::table::Planned;
    use partitioner::units::{Extent, Lba};

    use super::*;

    const LOADER: &str = r"\EFI\xenhost\grubx64.efi";

    fn planned(guid: u128) -> Planned {
        Planned {
            number: 4,
            role: Role::Boot,
            name: "boot".into(),
            type_guid: Guid::NIL,
            mbr_type: 0,
            guid: Guid::from_u128(guid),
            extent: Extent::new(Lba::new(2048), Lba::new(4095)).unwrap(),
            attributes: 0,
            kept: false,
        }
    }

    /// A folder like efivarfs, with the entries of a machine that came with another system.
    fn machine() -> (tempfile::TempDir, Variables) {
        let folder = tempfile::tempdir().unwrap();
        let efivars = folder.path().join("efivars");
        fs::create_dir(&efivars).unwrap();
        let variables = Variables { folder: efivars };
        let other = planned(7);
        let entry = BootEntry { label: "other", loader: LOADER, partition: &other };
        variables.write("Boot0000", &load_option(&entry).unwrap()).unwrap();
        variables.write("Boot0002", &[1, 0, 0, 0, 0, 0, b'x', 0, 0, 0]).unwrap();
        variables.write("BootOrder", &[2, 0, 0, 0]).unwrap();
        (folder, variables)
    }

    fn order(variables: &Variables) -> Vec<u16> {
        variables.order().unwrap()
    }

    #[test]
    fn the_entry_comes_first_and_others_stay() {
        let (folder, variables) = machine();
        let boot = planned(42);
        let entry = BootEntry { label: "xenhost", loader: LOADER, partition: &boot };
        let said = add(folder.path(), &entry).unwrap();
        assert_eq!(said, "Boot0001 is the first boot entry, \"xenhost\"");
        assert_eq!(order(&variables), [1, 2, 0]);
        let option = variables.read("Boot0001").unwrap();
        assert_eq!(partition_of(&option), Some(Guid::from_u128(42)));
    }

    #[test]
    fn an_older_entry_for_the_same_partition_goes() {
        let (folder, variables) = machine();
        let boot = planned(7);
        let entry = BootEntry { label: "xenhost", loader: LOADER, partition: &boot };
        add(folder.path(), &entry).unwrap();
        assert_eq!(order(&variables), [1, 2]);
        assert_eq!(variables.entries().unwrap().into_keys().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn the_bytes_are_those_that_firmware_writes() {
        let boot = planned(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
        let entry = BootEntry { label: "x", loader: r"\a", partition: &boot };
        let want: &[u8] = &[
            1, 0, 0, 0, 56, 0, b'x', 0, 0, 0, // active, length of the path, description
            4, 1, 42, 0, 4, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0,
            0, // partition
            0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
            0xee, 0xff, 2, 2, // its GUID, mixed endian
            4, 4, 10, 0, b'\\', 0, b'a', 0, 0, 0, 0x7f, 0xff, 4, 0,
        ];
        assert_eq!(load_option(&entry).unwrap(), want);
    }

    #[test]
    fn damaged_entries_name_no_partition() {
        let boot = planned(7);
        let entry = BootEntry { label: "x", loader: LOADER, partition: &boot };
        let whole = load_option(&entry).unwrap();
        for end in 0..whole.len() {
            assert_eq!(partition_of(&whole[..end]), None, "{end}");
        }
    }

    #[test]
    fn a_machine_without_efi_or_efivarfs() {
        let folder = tempfile::tempdir().unwrap();
        let boot = planned(7);
        let entry = BootEntry { label: "x", loader: LOADER, partition: &boot };
        assert!(add(&folder.path().join("efi"), &entry).unwrap().contains("BIOS"));
        fs::create_dir(folder.path().join("efivars")).unwrap();
        let error = add(folder.path(), &entry).unwrap_err().to_string();
        assert!(error.contains("efivarfs is not mounted"), "{error}");
    }
}
