//! Our GRUB: the first script, which finds the boot partition, and the dispatcher, which chooses.

use crate::boot::{Counter, Machine};
use crate::disk::{Disk, Span, blocks};
use crate::dispatch::{DISPATCH, Scripts};
use crate::env::{State, Tries, variables};
use crate::fat::Fat;
use crate::system::{Superblock, System};
use crate::table::{self, Mbr, Part, Scheme};
use crate::{Outcome, Slot, Warning, linux};

/// What the dispatcher and the first script of an installation hold: which file systems the slots
/// are, and where the rescue record may lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// UUIDs of the file systems in slot a and b.
    pub uuid_a: [u8; 16],
    pub uuid_b: [u8; 16],
    /// UUID of the file system of the system that was taken over.
    pub uuid_old: Option<[u8; 16]>,
    /// Blocks at which the first script looks for the rescue record.
    pub rescue_at: Vec<u64>,
}

/// The part of the rescue record that GRUB reads: an environment block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RescueRecord {
    pub boot: Option<Span>,
    pub slot_a: Option<Span>,
    pub slot_b: Option<Span>,
    pub old: Option<Span>,
    /// A byte copy of the boot sector that was there before.
    pub old_lba0: Option<u64>,
}

impl RescueRecord {
    /// The first record that can be read.
    fn read(disk: &dyn Disk, places: &[u64]) -> Option<Self> {
        let count = 1024_u64.div_ceil(u64::try_from(disk.block_bytes()).ok()?);
        places.iter().find_map(|at| {
            let words = variables(&blocks(disk, *at, count).ok()?)?;
            let number = |name: &str| words.get(name)?.parse::<u64>().ok();
            let span = |name: &str| {
                let first = number(&format!("{name}_first"))?;
                Some(Span::new(first, number(&format!("{name}_blocks"))?))
            };
            Some(Self {
                boot: span("boot"),
                slot_a: span("a"),
                slot_b: span("b"),
                old: span("old"),
                old_lba0: number("old_lba0"),
            })
        })
    }
}

/// A system that GRUB has loaded.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    pub(crate) slot: Slot,
    pub(crate) span: Span,
    pub(crate) system: System,
    /// The partition table could not be read, so that the kernel got `gpt`.
    pub(crate) lost: bool,
}

/// GRUB at work.
pub(crate) struct Grub<'a> {
    pub(crate) machine: &'a Machine<'a>,
    pub(crate) disk: &'a dyn Disk,
    /// UEFI: the partition that it was loaded from.
    pub(crate) booted_from: Option<Part>,
    pub(crate) counter: Counter,
}

/// In the order in which the first script tries them.
const BOOT_NUMBERS: [u32; 7] = [4, 5, 1, 2, 3, 6, 7];

impl Grub<'_> {
    pub(crate) fn run(&self) -> Outcome {
        let parts = table::grub(self.disk);
        if let Some(span) = self.boot_partition(&parts) {
            return self.dispatch(span, &parts, false);
        }
        let record = RescueRecord::read(self.disk, &self.machine.slots.rescue_at);
        let Some(record) = record else {
            let why = "no boot partition and no rescue record".to_owned();
            return Outcome::Dead { at: "GRUB", why };
        };
        // With an MBR that rules, the new table is not committed yet.
        if parts.iter().any(|part| part.scheme == Scheme::Msdos) {
            return self.chain(&record);
        }
        match record.boot.filter(|span| self.has_dispatcher(*span)) {
            Some(span) => self.dispatch(span, &parts, true),
            None => {
                Outcome::Dead { at: "GRUB", why: "no boot partition by the rescue record".into() }
            }
        }
    }

    fn has_dispatcher(&self, span: Span) -> bool {
        Fat::open(self.disk, span).is_some_and(|fat| fat.has(DISPATCH))
    }

    fn boot_partition(&self, parts: &[Part]) -> Option<Span> {
        let own = self.booted_from.map(|part| part.span).filter(|span| self.has_dispatcher(*span));
        own.or_else(|| {
            let numbered = BOOT_NUMBERS.iter().filter_map(|number| {
                parts.iter().find(|part| part.number == *number && may_boot(part))
            });
            numbered.map(|part| part.span).find(|span| self.has_dispatcher(*span))
        })
    }

    /// The boot sector that ruled before, from its copy.
    fn chain(&self, record: &RescueRecord) -> Outcome {
        let dead = |why: &str| Outcome::Dead { at: "GRUB", why: why.to_owned() };
        let Some(at) = record.old_lba0 else { return dead("no old boot sector is saved") };
        let saved = crate::disk::block(self.disk, at).ok().and_then(Mbr::of);
        let Some(saved) = saved else { return dead("the saved boot sector is damaged") };
        let outcome = self.machine.boot_sector(self.disk, &saved, self.counter, 1);
        outcome.unwrap_or_else(|dead| dead)
    }

    /// The choice of a slot: state.env, else its copy, else slot a; the tries while on trial.
    fn dispatch(&self, boot: Span, parts: &[Part], lost: bool) -> Outcome {
        let Some(fat) = Fat::open(self.disk, boot) else {
            return Outcome::Dead { at: "GRUB", why: "the boot partition is no FAT".into() };
        };
        let mut warnings = Vec::new();
        if lost {
            warnings.push(Warning::TableLost);
        }
        let state = |path: &str| State::of(&fat.read(path)?);
        let state = state("xenhost/state.env").unwrap_or_else(|| {
            let copy = state("xenhost/state2.env");
            warnings.push(if copy.is_some() { Warning::StateFromCopy } else { Warning::StateLost });
            copy.unwrap_or(State { slot: 'a', other: 'b', pending: false })
        });
        let mut chosen = state.slot;
        if state.pending {
            let tries = fat.read("xenhost/tries.env");
            let tries = match self.counter {
                Counter::OnDisk | Counter::ChosenFails => Tries::of(tries.as_deref()),
                Counter::Spent => Tries::Left(0),
            };
            match tries {
                // A file in a loop device cannot be written.
                Tries::Left(1..) if !lost => {}
                Tries::Left(0) => chosen = state.other,
                Tries::Left(_) | Tries::Unreadable => {
                    warnings.push(Warning::NotCounted);
                    chosen = state.other;
                }
            }
        }
        if chosen == 'n' {
            return Outcome::Menu { why: "there is no other system to boot".to_owned() };
        }
        let scripts = Scripts::read(&fat, self.machine.slots);
        let record = RescueRecord::read(self.disk, &self.machine.slots.rescue_at);
        let first = match self.counter {
            Counter::ChosenFails if chosen == state.slot => Err("it is taken not to".to_owned()),
            Counter::OnDisk | Counter::Spent | Counter::ChosenFails => {
                self.start(chosen, &scripts, parts, record.as_ref(), lost)
            }
        };
        let first = match first {
            Ok(started) => return linux::start(self.disk, started, warnings),
            Err(why) => why,
        };
        if chosen == state.slot && state.other != 'n' {
            warnings.push(Warning::FellBack);
            if let Ok(started) = self.start(state.other, &scripts, parts, record.as_ref(), lost) {
                return linux::start(self.disk, started, warnings);
            }
        }
        Outcome::Menu { why: format!("slot {chosen} did not start: {first}") }
    }

    /// Finds a slot by the UUID of its file system and loads Xen and kernel from it.
    fn start(
        &self,
        slot: char,
        scripts: &Scripts,
        parts: &[Part],
        record: Option<&RescueRecord>,
        lost: bool,
    ) -> Result<Started, String> {
        let (slot, uuid, saved) = match slot {
            'a' => (Slot::A, Some(scripts.uuid_a), record.and_then(|record| record.slot_a)),
            'b' => (Slot::B, Some(scripts.uuid_b), record.and_then(|record| record.slot_b)),
            _ => (Slot::Old, scripts.uuid_old, record.and_then(|record| record.old)),
        };
        let uuid = uuid.ok_or_else(|| format!("{slot} is not known to this boot loader"))?;
        let saved = saved.filter(|_| lost);
        let mut spans = parts.iter().map(|part| part.span).chain(saved);
        let found = spans.find_map(|span| {
            let superblock = Superblock::read(self.disk, span)?;
            (superblock.uuid == uuid).then_some((span, superblock))
        });
        let (span, superblock) = found.ok_or_else(|| format!("{slot} is not on the disk"))?;
        let unknown = superblock.unknown_features();
        if unknown != 0 {
            return Err(format!("{slot} has the features {unknown:#x}, which GRUB does not read"));
        }
        let mut system = self.machine.systems.look(self.disk, span)?;
        if let (Slot::Old, Some(root)) = (slot, &scripts.old_root) {
            system.root = root.clone();
        }
        Ok(Started { slot, span, system, lost })
    }
}

/// The volume of the MBR layout is number 4 alone.
fn may_boot(part: &Part) -> bool {
    part.scheme == Scheme::Gpt || part.number == 4
}
