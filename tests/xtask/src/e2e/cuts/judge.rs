//! What the boot oracle says of a disk that the power left: the old system boots, or the new one,
//! whole, and never the old one again once the new one did; on trial the old one is behind it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use boot_oracle::disk::{Disk, Span, Unreadable};
use boot_oracle::installed::Installed;
use boot_oracle::known::{BootCode, Known, Program};
use boot_oracle::system::{RootArgument, System, Systems};
use boot_oracle::table::{Gpt, Mbr};
use boot_oracle::{Counter, Machine, Outcome, Slots, Warning};
use installer_core::release::{BOOT_IMG, CORE_IMG, GRUB_EFI};
use installer_core::upgrade::MARKER;

use crate::disks;
use crate::failure::{At, Failure, Result, ensure};
use crate::inside::tree::Tree;
use crate::inside::{self, Partition};
use crate::oldhost::{self, LABEL};
use crate::qemu::Firmware;

const SECTOR: u64 = crate::writelog::SECTOR;

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    Old,
    New,
}

impl Progress {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

/// Whose files lie in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    ByUs,
    /// A stand-in for an old host.
    Before,
}

/// A place in which a system may lie.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) span: Span,
    pub(super) progress: Progress,
    pub(super) made: Made,
    /// A disk on which the system is whole in this place.
    pub(super) whole_on: PathBuf,
}

/// What a new system is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// The one that was recorded, byte by byte.
    AsRecorded,
    /// Its own word: another run makes the same files in other blocks.
    ByItsMarker,
}

/// The machine, and what may be on its disk.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) firmware: Firmware,
    pub(super) known: Known,
    pub(super) slots: Slots,
    pub(super) places: Vec<Place>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) progress: Progress,
    pub(super) outcome: Outcome,
}

impl Judge {
    /// An error is a broken promise.
    pub(super) fn judge(&self, disk: &Path, whole: Whole) -> Result<Verdict> {
        let image = Image::open(disk)?;
        let systems = OnDisk { judge: self, disk, whole };
        let firmware = match self.firmware {
            Firmware::Bios => boot_oracle::Firmware::Bios,
            Firmware::Uefi => boot_oracle::Firmware::Uefi,
        };
        // A takeover that is begun again draws ids of its own.
        let slots = match whole {
            Whole::AsRecorded => self.slots.clone(),
            Whole::ByItsMarker => Slots { uuid_old: self.slots.uuid_old, ..slots(disk)? },
        };
        // A machine that knows nothing of the disk: what boots does not hang on its memory.
        let machine = Machine {
            firmware,
            entries: &[],
            known: &self.known,
            systems: &systems,
            slots: &slots,
        };
        let outcome = machine.boot(&image).outcome;
        let progress = progress(&outcome)?;
        tables(&image)?;
        if progress == Progress::New {
            for counter in [Counter::Spent, Counter::ChosenFails] {
                let behind = machine.boot_with(&image, counter).outcome;
                ensure(behind.version() == Some(Progress::Old.word()), || {
                    format!("there is nothing to fall back to: with {counter:?} it {behind}")
                })?;
            }
        }
        Ok(Verdict { progress, outcome })
    }
}

fn progress(outcome: &Outcome) -> Result<Progress> {
    let Outcome::Boots { version, warnings, .. } = outcome else {
        return Err(Failure::check(format!("by the oracle it {outcome}")));
    };
    let bad = [Warning::StateLost, Warning::FellBack, Warning::NotCounted];
    ensure(!bad.iter().any(|warning| warnings.contains(warning)), || {
        format!("by the oracle it {outcome}")
    })?;
    let all = [Progress::Old, Progress::New];
    let progress = all.into_iter().find(|progress| progress.word() == version);
    progress.ok_or_else(|| Failure::check(format!("by the oracle it {outcome}")))
}

/// Where a GPT counts, one copy of it is whole.
fn tables(image: &Image) -> Result<()> {
    let counts = Mbr::read(image).is_some_and(|mbr| mbr.is_protective());
    let whole = |at| Gpt::strict(image, at).is_some();
    ensure(!counts || whole(1) || whole(image.blocks - 1), || {
        "both copies of the GPT are damaged".to_owned()
    })
}

/// The boot loaders of a release.
pub(super) fn loaders(release: &Path) -> Result<Known> {
    let read = |name: &str| {
        let path = release.join(name);
        std::fs::read(&path).at("reading", &path)
    };
    Ok(Known {
        boot_codes: vec![(read(BOOT_IMG)?, BootCode::Grub)],
        cores: vec![(read(CORE_IMG)?, Program::Ours)],
        volume_sectors: Vec::new(),
        efi: vec![(read(GRUB_EFI)?, Program::Ours)],
    })
}

/// The file systems by which our boot loader knows the slots of an installed disk.
pub(super) fn slots(disk: &Path) -> Result<Slots> {
    let text = Tree::open(disk, 1)?.text("/etc/xenhost/inventory.json")?;
    let what = format!("the inventory of {}", disk.display());
    let inventory: serde_json::Value = serde_json::from_str(&text)
        .map_err(|source| Failure::Json { what: what.clone(), source })?;
    let uuid = |role: &str| -> Result<[u8; 16]> {
        let text = inventory.pointer(&format!("/fs_uuid/{role}")).and_then(|id| id.as_str());
        let digits = text.map(|text| text.replace('-', "")).unwrap_or_default();
        let number = u128::from_str_radix(&digits, 16);
        let number =
            number.map_err(|_| Failure::check(format!("{what}: {role} has the UUID {text:?}")))?;
        Ok(number.to_be_bytes())
    };
    Ok(Slots {
        uuid_a: uuid("root_a")?,
        uuid_b: uuid("root_b")?,
        uuid_old: None,
        rescue_at: vec![66, 34],
    })
}

/// Where a partition lies.
pub(super) fn span(disk: &Path, number: u32) -> Result<Span> {
    let table = inside::partitions(disk)?;
    let found = table.iter().find(|partition| partition.number() == number);
    let missing = || Failure::check(format!("{}: no partition {number}", disk.display()));
    let Partition { start, size, .. } = found.ok_or_else(missing)?;
    Ok(Span::new(*start, *size))
}

/// The disk, block by block.
#[derive(Debug)]
pub(super) struct Image {
    file: File,
    blocks: u64,
}

impl Image {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).at("opening", path)?;
        let blocks = file.metadata().at("looking at", path)?.len() / SECTOR;
        Ok(Self { file, blocks })
    }
}

impl Disk for Image {
    fn block_bytes(&self) -> usize {
        512
    }

    fn blocks(&self) -> u64 {
        self.blocks
    }

    fn read(&self, lba: u64, block: &mut [u8]) -> std::result::Result<(), Unreadable> {
        let at = lba.checked_mul(SECTOR).ok_or(Unreadable(lba))?;
        self.file.read_exact_at(block, at).map_err(|_| Unreadable(lba))
    }
}

/// The systems of one disk.
#[derive(Debug)]
struct OnDisk<'a> {
    judge: &'a Judge,
    disk: &'a Path,
    whole: Whole,
}

impl Systems for OnDisk<'_> {
    fn look(&self, disk: &dyn Disk, span: Span) -> std::result::Result<System, String> {
        let place = self.judge.places.iter().find(|place| place.span == span);
        let place = place.ok_or_else(|| format!("no system is to lie at {}", span.first))?;
        let mut system = match place.made {
            Made::ByUs => Installed { version_file: MARKER }.look(disk, span)?,
            Made::Before => {
                oldhost::can_start(self.disk, span.first, span.blocks)
                    .map_err(|error| error.to_string())?;
                let root = RootArgument::Label(LABEL.to_owned());
                System { version: String::new(), root, whole: true }
            }
        };
        // Nothing ever writes to the old one.
        if place.progress == Progress::Old || self.whole == Whole::AsRecorded {
            let bytes = span.first * SECTOR..(span.first + span.blocks) * SECTOR;
            let differs = disks::first_difference(self.disk, &place.whole_on, bytes);
            let differs = differs.map_err(|error| error.to_string())?;
            system.whole &= differs.is_none();
        }
        place.progress.word().clone_into(&mut system.version);
        Ok(system)
    }
}
