//! Says what a disk boots, reading it as firmware, GRUB and Linux do: each with the checks that it
//! makes, and none that it does not make.
//!
//! Shares no code with what writes disks, so that one mistake cannot hide in both. In go a disk
//! (anything that reads blocks), the firmware, and the loaders that may be on it; out comes what
//! would happen at power-on. It decides nothing and writes nothing: what firmware or boot loader
//! would write (a repaired GPT, a counted try) is part of the answer.

mod boot;
pub mod disk;
mod dispatch;
pub mod env;
pub mod ext4;
pub mod fat;
mod grub;
pub mod installed;
pub mod known;
mod linux;
pub mod system;
pub mod table;

pub use boot::{BootEntry, Booted, Counter, Firmware, Machine};
pub use grub::{RescueRecord, Slots};

use std::fmt;

/// Which system boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    A,
    B,
    /// The system of a host that is being taken over.
    Old,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "slot a",
            Self::B => "slot b",
            Self::Old => "the old system",
        })
    }
}

/// Something that a boot survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// UEFI: no boot entry names a partition of this disk; the removable path was taken.
    EntryDoesNotMatch,
    /// UEFI: more than one system partition has the removable path.
    AmbiguousRemovablePath,
    /// UEFI: the firmware writes one copy of the GPT anew.
    GptRepaired,
    /// BIOS: no table could be read; boot partition and slot were found by the rescue record.
    TableLost,
    /// state.env was unreadable, its copy was used.
    StateFromCopy,
    /// Neither was readable; slot a was taken.
    StateLost,
    /// The chosen system did not start, another did.
    FellBack,
    /// The count of tries could not be read or saved, so that the other system was started.
    NotCounted,
}

/// What happens at power-on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Boots {
        slot: Slot,
        version: String,
        warnings: Vec<Warning>,
    },
    /// "installation not finished".
    Message,
    /// The boot loader waits for a person: nothing may be started without asking.
    Menu {
        why: String,
    },
    /// A system starts whose root is not whole, or whose kernel finds no root.
    Corrupt {
        slot: Slot,
        why: String,
    },
    Dead {
        /// Where it ends: firmware, boot sector, GRUB.
        at: &'static str,
        why: String,
    },
}

impl Outcome {
    /// Which version boots.
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Boots { version, .. } => Some(version),
            Self::Message | Self::Menu { .. } | Self::Corrupt { .. } | Self::Dead { .. } => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boots { slot, version, warnings } => {
                write!(f, "boots {version} from {slot}")?;
                if warnings.is_empty() { Ok(()) } else { write!(f, ", {warnings:?}") }
            }
            Self::Message => f.write_str("says that the installation is not finished"),
            Self::Menu { why } => write!(f, "waits at the menu: {why}"),
            Self::Corrupt { slot, why } => write!(f, "starts {slot}, which is not whole: {why}"),
            Self::Dead { at, why } => write!(f, "ends in {at}: {why}"),
        }
    }
}

#[cfg(test)]
mod tests;
