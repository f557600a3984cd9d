//! From power-on to the boot loader.

use crate::disk::{Disk, Span, block};
use crate::fat::Fat;
use crate::grub::{Grub, Started};
use crate::known::{Known, Program, Sector};
use crate::system::Systems;
use crate::table::{self, Mbr, Part, Scheme};
use crate::{Outcome, Slots, Warning};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Firmware {
    Bios,
    Uefi,
}

/// A `Boot####` variable: found again by PARTUUID and number both, wherever the partition starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootEntry {
    /// PARTUUID in GPT byte order.
    pub partition: [u8; 16],
    pub number: u32,
    /// From the root of the volume, with slashes.
    pub path: String,
}

/// How the count of tries is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// As the disk has it.
    OnDisk,
    /// As if all tries were used: what the machine comes to when a trial fails.
    Spent,
    /// As the disk has it, and the chosen system does not start.
    ChosenFails,
}

/// A machine with one disk.
#[derive(Clone, Copy)]
pub struct Machine<'a> {
    pub firmware: Firmware,
    /// Entries of the firmware, in boot order.
    pub entries: &'a [BootEntry],
    pub known: &'a Known,
    pub systems: &'a dyn Systems,
    /// How the installed boot loader finds the slots.
    pub slots: &'a Slots,
}

impl std::fmt::Debug for Machine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("firmware", &self.firmware).finish_non_exhaustive()
    }
}

/// What happens, and what firmware and boot loader write on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booted {
    pub outcome: Outcome,
    /// Blocks, in order.
    pub writes: Vec<(u64, Vec<u8>)>,
}

const REMOVABLE: &str = "EFI/BOOT/BOOTX64.EFI";

impl Machine<'_> {
    /// Turns the machine on.
    pub fn boot(&self, disk: &dyn Disk) -> Booted {
        self.boot_with(disk, Counter::OnDisk)
    }

    /// Turns it on with the count of tries taken so.
    pub fn boot_with(&self, disk: &dyn Disk, counter: Counter) -> Booted {
        match self.firmware {
            Firmware::Bios => {
                let outcome = self.bios(disk, counter).unwrap_or_else(|dead| dead);
                Booted { outcome, writes: Vec::new() }
            }
            Firmware::Uefi => self.uefi(disk, counter),
        }
    }

    /// `Err` is a dead end, as an outcome too.
    fn bios(&self, disk: &dyn Disk, counter: Counter) -> Result<Outcome, Outcome> {
        let dead = |at, why: &str| Outcome::Dead { at, why: why.to_owned() };
        let lba0 = block(disk, 0).map_err(|e| dead("BIOS", &e.to_string()))?;
        let mbr = Mbr::of(lba0).ok_or_else(|| dead("BIOS", "block 0 has no 55 AA"))?;
        self.boot_sector(disk, &mbr, counter, 0)
    }

    /// Runs a boot sector: that of the disk, or the saved one that ours chains to.
    pub(crate) fn boot_sector(
        &self,
        disk: &dyn Disk,
        mbr: &Mbr,
        counter: Counter,
        depth: u32,
    ) -> Result<Outcome, Outcome> {
        let dead = |why: String| Outcome::Dead { at: "boot sector", why };
        match self.known.boot_code(&mbr.sector) {
            Sector::NotFinished => Ok(Outcome::Message),
            Sector::Unknown => Err(dead("unknown boot code".to_owned())),
            Sector::ActivePartition => {
                let active = mbr.active().ok_or_else(|| dead("no active partition".to_owned()))?;
                let first = block(disk, active.span.first).map_err(|e| dead(e.to_string()))?;
                let program = self.known.volume_sector(&first);
                let program = program
                    .ok_or_else(|| dead("the active partition has no boot sector".to_owned()))?;
                Ok(self.foreign(disk, program, Some(active.span)))
            }
            Sector::Core(lba) => match self.known.core_at(disk, lba).map_err(dead)? {
                // A chain that leads back to our own loader would turn in a circle.
                Program::Ours if 0 < depth => {
                    Err(dead("boot sectors chain in a circle".to_owned()))
                }
                Program::Ours => Ok(Grub { machine: self, disk, booted_from: None, counter }.run()),
                program @ (Program::GrubByNumber(_) | Program::ByLabel(_)) => {
                    Ok(self.foreign(disk, program, None))
                }
            },
        }
    }

    /// A loader that is not ours.
    fn foreign(&self, disk: &dyn Disk, program: &Program, own: Option<Span>) -> Outcome {
        let parts = table::grub(disk);
        let span = match program {
            Program::Ours => None,
            Program::GrubByNumber(number) => {
                parts.iter().find(|part| part.number == *number).map(|part| part.span)
            }
            Program::ByLabel(label) => {
                own.into_iter().chain(parts.iter().map(|p| p.span)).find(|span| {
                    crate::system::Superblock::read(disk, *span)
                        .is_some_and(|superblock| superblock.label == *label)
                })
            }
        };
        let Some(span) = span else {
            return Outcome::Dead { at: "old loader", why: "its root is not found".to_owned() };
        };
        match self.systems.look(disk, span) {
            Ok(system) => {
                let started = Started { slot: crate::Slot::Old, span, system, lost: false };
                crate::linux::start(disk, started, Vec::new())
            }
            Err(why) => Outcome::Dead { at: "old loader", why },
        }
    }

    fn uefi(&self, disk: &dyn Disk, counter: Counter) -> Booted {
        let seen = table::uefi(disk);
        // What is repaired is repaired before anything is started.
        let repaired = Patched { disk, writes: &seen.repairs };
        let (program, from, mut warnings) = match self.efi_program(&repaired, &seen.parts) {
            Ok(found) => found,
            Err(why) => {
                let outcome = match Mbr::read(disk).map(|mbr| self.known.boot_code(&mbr.sector)) {
                    // UEFI shows nothing of it; the disk says what it is all the same.
                    Some(Sector::NotFinished) => Outcome::Message,
                    _ => Outcome::Dead { at: "UEFI", why },
                };
                return Booted { outcome, writes: seen.repairs };
            }
        };
        if !seen.repairs.is_empty() {
            warnings.push(Warning::GptRepaired);
        }
        let mut outcome = match program {
            Program::Ours => {
                let grub =
                    Grub { machine: self, disk: &repaired, booted_from: Some(from), counter };
                grub.run()
            }
            other @ (Program::GrubByNumber(_) | Program::ByLabel(_)) => {
                self.foreign(&repaired, other, None)
            }
        };
        if let Outcome::Boots { warnings: told, .. } = &mut outcome {
            told.extend(warnings);
            told.sort();
        }
        Booted { outcome, writes: seen.repairs }
    }

    /// The program that the firmware starts, and the partition it comes from.
    fn efi_program(
        &self,
        disk: &dyn Disk,
        parts: &[Part],
    ) -> Result<(&Program, Part, Vec<Warning>), String> {
        for entry in self.entries {
            let named = parts.iter().find(|part| {
                part.scheme == Scheme::Gpt
                    && part.id == entry.partition
                    && part.number == entry.number
            });
            if let Some(part) = named
                && let Some(program) = self.efi_file(disk, part, &entry.path)
            {
                return Ok((program, *part, Vec::new()));
            }
        }
        let mut warnings = Vec::new();
        if !self.entries.is_empty() {
            warnings.push(Warning::EntryDoesNotMatch);
        }
        let mut found = parts
            .iter()
            .filter(|part| part.is_esp())
            .filter_map(|part| Some((self.efi_file(disk, part, REMOVABLE)?, *part)));
        let (program, part) =
            found.next().ok_or_else(|| format!("no system partition has {REMOVABLE}"))?;
        if found.next().is_some() {
            warnings.push(Warning::AmbiguousRemovablePath);
        }
        Ok((program, part, warnings))
    }

    fn efi_file(&self, disk: &dyn Disk, part: &Part, path: &str) -> Option<&Program> {
        self.known.efi(&Fat::open(disk, part.span)?.read(path)?)
    }
}

/// A disk with a few blocks replaced.
pub(crate) struct Patched<'a> {
    disk: &'a dyn Disk,
    writes: &'a [(u64, Vec<u8>)],
}

impl Disk for Patched<'_> {
    fn block_bytes(&self) -> usize {
        self.disk.block_bytes()
    }

    fn blocks(&self) -> u64 {
        self.disk.blocks()
    }

    fn read(&self, lba: u64, into: &mut [u8]) -> Result<(), crate::disk::Unreadable> {
        match self.writes.iter().rev().find(|(at, _)| *at == lba) {
            Some((_, bytes)) if bytes.len() == into.len() => {
                into.copy_from_slice(bytes);
                Ok(())
            }
            _ => self.disk.read(lba, into),
        }
    }
}
