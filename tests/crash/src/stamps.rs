//! Root file systems in compact form: a real ext4 superblock, and a stamp with the version in every
//! block that is sampled. A root of 18 GiB takes some twenty blocks, and one that is half written
//! can still be told from a whole one.

use boot_oracle::disk::{Disk, Span, block};
use boot_oracle::system::{RootArgument, System, Systems};
use partitioner::block::{BlockIo, IoError};
use partitioner::units::{Extent, Lba};

/// Samples after the superblock. GRUB reads the first two: configuration and kernel.
const SAMPLES: [u64; 20] = [
    4, 5, 6, 7, 8, 9, 64, 100, 512, 1000, 4096, 5000, 10_000, 65_536, 100_000, 262_144, 524_287,
    1_000_000, 2_000_000, 4_000_000,
];
/// Samples that GRUB reads.
const BOOT_SAMPLES: usize = 2;

/// A system to be stamped onto a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub version: &'static str,
    pub uuid: [u8; 16],
    pub label: &'static str,
    pub root: RootArgument,
    /// What may be nowhere but in a root file system, such as the hash of a password.
    pub secret: &'static str,
}

/// The secret of every root that is stamped.
pub const SECRET: &str = "$6$salt$this-hash-belongs-into-a-root-file-system";

impl Stamp {
    /// The blocks, by their place in the partition.
    fn blocks(&self, blocks: u64, block: usize) -> Vec<(u64, Vec<u8>)> {
        // The superblock is at byte 1024, whatever the size of a block.
        let mut head = vec![0; 2048.max(block)];
        let superblock = &mut head[1024..2048];
        superblock[0x38..0x3A].copy_from_slice(&0xEF53_u16.to_le_bytes());
        superblock[0x60..0x64].copy_from_slice(&0x2C2_u32.to_le_bytes());
        superblock[0x68..0x78].copy_from_slice(&self.uuid);
        superblock[0x78..0x78 + self.label.len()].copy_from_slice(self.label.as_bytes());
        let skip = 1024 / block;
        let mut out: Vec<(u64, Vec<u8>)> =
            (0..).zip(head.chunks(block).map(<[u8]>::to_vec)).skip(skip).collect();
        for at in SAMPLES.iter().filter(|at| **at < blocks) {
            let (version, root, secret) = (self.version, spell(&self.root), self.secret);
            let mut bytes = format!("XHSTAMP\n{version}\n{at}\n{root}\n{secret}\n").into_bytes();
            bytes.resize(block, b'.');
            out.push((*at, bytes));
        }
        out
    }

    /// Writes the system to its partition, the way an image is written: everything, then a flush.
    pub fn write(&self, disk: &mut dyn BlockIo, extent: Extent) -> Result<(), IoError> {
        let block = usize::try_from(disk.block_size().bytes()).expect("a block fits memory");
        for (at, bytes) in self.blocks(extent.blocks(), block) {
            disk.write(Lba::new(extent.first().get() + at), &bytes)?;
        }
        disk.flush()
    }
}

fn spell(root: &RootArgument) -> String {
    let hex = |id: &[u8; 16]| id.map(|byte| format!("{byte:02x}")).concat();
    match root {
        RootArgument::PartUuid(id) => format!("partuuid {}", hex(id)),
        RootArgument::FsUuid(id) => format!("fsuuid {}", hex(id)),
        RootArgument::Label(label) => format!("label {label}"),
    }
}

fn parse(text: &str) -> Option<RootArgument> {
    let (kind, value) = text.split_once(' ')?;
    if kind == "label" {
        return Some(RootArgument::Label(value.to_owned()));
    }
    let mut id = [0; 16];
    for (index, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(value.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(if kind == "fsuuid" { RootArgument::FsUuid(id) } else { RootArgument::PartUuid(id) })
}

/// Reads stamps.
#[derive(Clone, Copy, Debug)]
pub struct Stamps;

impl Systems for Stamps {
    fn look(&self, disk: &dyn Disk, span: Span) -> Result<System, String> {
        let mut found: Option<(String, RootArgument)> = None;
        let mut whole = true;
        for (number, at) in SAMPLES.iter().enumerate().filter(|(_, at)| **at < span.blocks) {
            let bytes = block(disk, span.first + at).map_err(|error| error.to_string());
            let text = bytes.and_then(|b| String::from_utf8(b).map_err(|_| "no text".to_owned()));
            let mut lines = text.as_deref().unwrap_or_default().split('\n');
            let sound = lines.next() == Some("XHSTAMP");
            let version = lines.next().unwrap_or_default();
            let sound = sound && lines.next() == Some(&at.to_string());
            match &found {
                _ if !sound && number < BOOT_SAMPLES => {
                    return Err(format!("GRUB cannot read what it needs at block {at}"));
                }
                None => {
                    let root = lines.next().and_then(parse).ok_or("no root= argument")?;
                    found = Some((version.to_owned(), root));
                }
                Some((first, _)) => whole = whole && sound && first == version,
            }
        }
        let (version, root) = found.ok_or("an empty partition")?;
        Ok(System { version, root, whole })
    }
}
