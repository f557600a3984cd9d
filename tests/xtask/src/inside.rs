//! What is on an installed disk, read without mounting anything: the table, and of each file system
//! every file with its mode, owner and content. Two disks that were installed in different ways
//! are compared through this.

pub(crate) mod tree;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ext4_view::{Ext4, Ext4Read};

use self::tree::Tree;
use crate::call::Call;
use crate::digest::Inputs;
use crate::failure::{At, Failure, Result};
use crate::qemu::Kernel;

/// One partition, as sfdisk reads it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct Partition {
    node: String,
    pub(crate) start: u64,
    pub(crate) size: u64,
    /// PARTUUID, of a GPT's.
    #[serde(default)]
    uuid: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
}

impl Partition {
    /// The number after the name of the image.
    pub(crate) fn number(&self) -> u32 {
        let digits: String = self.node.chars().rev().take_while(char::is_ascii_digit).collect();
        digits.chars().rev().collect::<String>().parse().unwrap_or(0)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Everything but the name of the image and the ids.
    pub(crate) fn line(&self) -> String {
        let Self { start, size, kind, name, .. } = self;
        format!("{} start={start} size={size} type={kind} name={name}", self.number())
    }
}

#[derive(Debug, serde::Deserialize)]
struct Dump {
    partitiontable: Table,
}

#[derive(Debug, serde::Deserialize)]
struct Table {
    partitions: Vec<Partition>,
}

fn dump<T: serde::de::DeserializeOwned>(disk: &Path) -> Result<T> {
    let text = Call::new("sfdisk").arg("--json").arg(disk).stdout()?;
    let what = format!("sfdisk's view of {}", disk.display());
    serde_json::from_str(&text).map_err(|source| Failure::Json { what, source })
}

/// The kind of table: `gpt` or `dos`.
pub(crate) fn label(disk: &Path) -> Result<String> {
    let table: serde_json::Value = dump(disk)?;
    let label = table.pointer("/partitiontable/label").and_then(serde_json::Value::as_str);
    Ok(label.unwrap_or("unknown to sfdisk").to_owned())
}

/// The partitions in the order of their numbers.
pub(crate) fn partitions(disk: &Path) -> Result<Vec<Partition>> {
    let mut table = dump::<Dump>(disk)?.partitiontable;
    table.partitions.sort_by_key(Partition::number);
    Ok(table.partitions)
}

/// Bytes of a disk from one place on, as a file of their own.
#[derive(Debug)]
struct Part {
    file: File,
    start: u64,
    size: u64,
    at: u64,
}

impl Part {
    fn open(disk: &Path, partition: &Partition) -> Result<Self> {
        Self::at(disk, partition.start, partition.size)
    }

    fn at(disk: &Path, first: u64, sectors: u64) -> Result<Self> {
        let file = File::open(disk).at("opening", disk)?;
        Ok(Self { file, start: first * 512, size: sectors * 512, at: 0 })
    }
}

/// The file system in these sectors, whatever the table says of them.
pub(crate) fn files_at(disk: &Path, first: u64, sectors: u64) -> Result<Ext4> {
    let wrong = |e| Failure::check(format!("{}, sector {first}: {e}", disk.display()));
    Ext4::load(Box::new(Part::at(disk, first, sectors)?)).map_err(wrong)
}

impl Ext4Read for Part {
    fn read(
        &mut self,
        start: u64,
        into: &mut [u8],
    ) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync + 'static>> {
        use std::os::unix::fs::FileExt;
        Ok(self.file.read_exact_at(into, self.start + start)?)
    }
}

impl Read for Part {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt;
        let left = usize::try_from(self.size.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = into.len().min(left);
        let into = into.get_mut(..length).unwrap_or_default();
        let got = self.file.read_at(into, self.start + self.at)?;
        self.at += u64::try_from(got).unwrap_or(0);
        Ok(got)
    }
}

/// The FAT reader asks for a device that can be written; it is never asked to.
impl Write for Part {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::End(n) => self.size.checked_add_signed(n),
            SeekFrom::Current(n) => self.at.checked_add_signed(n),
        };
        self.at = place.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

/// Copies kernel and initramfs out of slot a into `to`, with what a boot without Xen needs.
pub(crate) fn kernel(disk: &Path, to: &Path) -> Result<Kernel> {
    let slot = Tree::open(disk, 1)?;
    let copy = |name: &str| -> Result<PathBuf> {
        let begin = format!("/boot/{name}-");
        let path = slot.list("/boot")?.into_iter().find(|path| path.starts_with(&begin));
        let missing = || Failure::check(format!("{}: no {begin}*", disk.display()));
        let copy = to.join(name);
        std::fs::write(&copy, slot.bytes(&path.ok_or_else(missing)?)?).at("writing", &copy)?;
        Ok(copy)
    };
    Ok(Kernel {
        vmlinuz: copy("vmlinuz")?,
        initrd: copy("initrd.img")?,
        command_line: format!("root=PARTUUID={} rw console=ttyS0,115200", slot.uuid()),
    })
}

/// Every file of a file system: path, and one line that says all that counts of it.
pub(crate) type Listing = BTreeMap<String, String>;

/// Turns the content of a text file into what is compared, taking out what may differ.
pub(crate) type Normalise = dyn Fn(&str, Vec<u8>) -> Vec<u8>;

/// What an ext4 file system holds.
pub(crate) fn ext4(disk: &Path, partition: &Partition, normal: &Normalise) -> Result<Listing> {
    let wrong = |e: ext4_view::Ext4Error| Failure::check(format!("{}: {e}", partition.node));
    let fs = Ext4::load(Box::new(Part::open(disk, partition)?)).map_err(wrong)?;
    let mut listing = Listing::new();
    let mut folders = vec![String::from("/")];
    while let Some(folder) = folders.pop() {
        for entry in fs.read_dir(folder.as_str()).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let path = entry.path().display().to_string();
            let base = path.rsplit('/').next().unwrap_or_default();
            if base == "." || base == ".." {
                continue;
            }
            let line = ext4_line(&fs, &path, normal).map_err(wrong)?;
            if line.starts_with("Directory") {
                folders.push(path.clone());
            }
            listing.insert(path, line);
        }
    }
    Ok(listing)
}

fn ext4_line(
    fs: &Ext4,
    path: &str,
    normal: &Normalise,
) -> std::result::Result<String, ext4_view::Ext4Error> {
    let meta = fs.symlink_metadata(path)?;
    let kind = meta.file_type();
    let content = if kind.is_symlink() {
        format!("to {}", fs.read_link(path)?.display())
    } else if kind.is_regular_file() {
        digest_of(&normal(path, fs.read(path)?))
    } else {
        String::new()
    };
    Ok(format!("{kind:?} {:04o} {}:{} {content}", meta.mode() & 0o7777, meta.uid(), meta.gid()))
}

/// What a FAT file system holds.
pub(crate) fn fat(disk: &Path, partition: &Partition, normal: &Normalise) -> Result<Listing> {
    let wrong = |e: io::Error| Failure::check(format!("{}: {e}", partition.node));
    let part = Part::open(disk, partition)?;
    let fs = fatfs::FileSystem::new(part, fatfs::FsOptions::new()).map_err(wrong)?;
    let mut listing = Listing::new();
    let mut folders = vec![(String::new(), fs.root_dir())];
    while let Some((above, folder)) = folders.pop() {
        for entry in folder.iter() {
            let entry = entry.map_err(wrong)?;
            let name = entry.file_name();
            if name == "." || name == ".." {
                continue;
            }
            let path = format!("{above}/{name}");
            if entry.is_dir() {
                listing.insert(path.clone(), "folder".to_owned());
                folders.push((path, entry.to_dir()));
                continue;
            }
            let mut content = Vec::new();
            entry.to_file().read_to_end(&mut content).map_err(wrong)?;
            let line = digest_of(&normal(&path, content));
            listing.insert(path, line);
        }
    }
    Ok(listing)
}

fn digest_of(content: &[u8]) -> String {
    let digest = Inputs::default().part("", content).hex();
    format!("{} bytes {digest}", content.len())
}

/// The differences between two listings, one line each.
pub(crate) fn differences(one: &Listing, two: &Listing) -> Vec<String> {
    let paths: std::collections::BTreeSet<&String> = one.keys().chain(two.keys()).collect();
    let absent = "absent".to_owned();
    let line = |listing: &'_ Listing, path| listing.get(path).unwrap_or(&absent).clone();
    let differs = paths.into_iter().filter(|path| one.get(*path) != two.get(*path));
    differs.map(|p| format!("{p}: {} | {}", line(one, p), line(two, p))).collect()
}

/// Replaces everything that looks like a random id: UUIDs in both writings, and the short FAT ones.
pub(crate) fn without_ids(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_hexdigit() || c == '-' {
            word.push(c);
            continue;
        }
        out.push_str(if looks_like_id(&word) { "ID" } else { &word });
        word.clear();
        out.push(c);
    }
    out.pop();
    out
}

fn looks_like_id(word: &str) -> bool {
    let groups: Vec<usize> = word.split('-').map(str::len).collect();
    matches!(groups.as_slice(), [8, 4, 4, 4, 12] | [4, 4] | [32])
        || (groups.as_slice() == [8] && word.chars().any(|c| c.is_ascii_digit()))
        // `root-1a2b3c4d`: the letters before are no hexadecimal digits, the hyphen is taken here.
        || matches!(groups.as_slice(), [0, 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_vanish_and_words_stay() {
        let text = "UUID=0a1b2c3d-0000-4000-8000-0123456789ab / LABEL=root-1a2b3c4d x\n\
                    fat 12AB-34CD, deadline add-feed 0644 facade";
        assert_eq!(
            without_ids(text),
            "UUID=ID / LABEL=rootID x\nfat ID, deadline add-feed 0644 facade"
        );
    }

    #[test]
    fn differences_name_the_path_and_both_sides() {
        let listing = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(p, l)| ((*p).to_owned(), (*l).to_owned())).collect::<Listing>()
        };
        let one = listing(&[("/a", "1"), ("/b", "1"), ("/c", "1")]);
        let two = listing(&[("/a", "1"), ("/b", "2"), ("/d", "1")]);
        assert_eq!(differences(&one, &two), ["/b: 1 | 2", "/c: 1 | absent", "/d: absent | 1"]);
    }

    #[test]
    fn an_ext4_in_a_partition_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        if !Path::new("/usr/sbin/sgdisk").exists() {
            return;
        }
        crate::disks::bystander(&disk, dir.path()).unwrap();
        let table = partitions(&disk).unwrap();
        assert_eq!(table.iter().map(Partition::number).collect::<Vec<_>>(), [1, 2]);
        let listing = ext4(&disk, &table[0], &|_, content| content).unwrap();
        assert!(listing.contains_key("/record-7"), "{listing:?}");
        assert!(listing["/record-7"].contains("100000 bytes"), "{}", listing["/record-7"]);
        let changes = [
            ("/record-7".to_owned(), None),
            ("/record-8".to_owned(), Some("another\n".to_owned())),
        ];
        Tree::open(&disk, 1).unwrap().change(dir.path(), &changes).unwrap();
        let after = Tree::open(&disk, 1).unwrap();
        assert_eq!(after.text("/record-8").unwrap(), "another\n");
        assert!(!after.list("/").unwrap().contains(&"/record-7".to_owned()));
        let no_file = [("/none".to_owned(), None)];
        assert!(after.change(dir.path(), &no_file).is_err());
    }
}
