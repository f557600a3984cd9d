//! What may be asked.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use partitioner::layout::Firmware;
use partitioner::table::{Compat, LayoutChoice, PreserveFirst, SrChoice, TableRequest};
use partitioner::units::Bytes;

/// Partition tables for xenhost. `apply` and `repair` write to the disk that they name, after they
/// were told the digest of their plan or were allowed to on the terminal; the others never write.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the layouts that a disk can be given.
    Layouts {
        #[arg(long)]
        json: bool,
    },
    /// Shows what is on a disk.
    Inspect {
        #[command(flatten)]
        disk: DiskArg,
        #[arg(long)]
        json: bool,
    },
    /// Shows the table that a disk would be given, and what that would destroy.
    Plan(PlanArgs),
    /// Writes the planned table and nothing else: afterwards the disk says that it has no system.
    Apply(ApplyArgs),
    /// Writes a damaged copy of a GPT anew, from the whole one.
    Repair(RepairArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct DiskArg {
    /// A block device or an image file.
    pub(crate) disk: PathBuf,
    /// Bytes in a block of an image file: 512 or 4096.
    #[arg(long)]
    pub(crate) sector_size: Option<u32>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) disk: DiskArg,
    #[arg(long, value_enum, default_value = "auto")]
    layout: LayoutArg,
    /// Size of the boot partition, as in 512MiB.
    #[arg(long)]
    boot_size: Option<Bytes>,
    /// Makes no storage repository.
    #[arg(long)]
    no_sr: bool,
    /// Keeps the first partition bit for bit, with all others after it.
    #[arg(long, value_enum, default_value = "if-utility")]
    preserve_first: PreserveArg,
    /// Types, names and sizes of existing hosts.
    #[arg(long, value_enum)]
    compat: Option<CompatArg>,
    /// How the machine starts: by default as this one does for a device, and uefi for an image.
    #[arg(long, value_enum)]
    pub(crate) firmware: Option<FirmwareArg>,
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    /// The digest that `plan` showed. Without it the terminal is asked.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) confirm: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    pub(crate) disk: DiskArg,
    /// The digest that `repair` shows where it is not given. Without it the terminal is asked.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) confirm: Option<String>,
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LayoutArg {
    Auto,
    Modern,
    Legacy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PreserveArg {
    Yes,
    No,
    /// Where it is a utility partition of the manufacturer.
    IfUtility,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CompatArg {
    Xenserver,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FirmwareArg {
    Bios,
    Uefi,
}

impl PlanArgs {
    pub(crate) fn request(&self, firmware: Firmware) -> TableRequest {
        TableRequest {
            layout: match self.layout {
                LayoutArg::Auto => LayoutChoice::Auto,
                LayoutArg::Modern => LayoutChoice::Modern,
                LayoutArg::Legacy => LayoutChoice::Legacy,
            },
            firmware,
            boot_size: self.boot_size,
            sr: if self.no_sr { SrChoice::None } else { SrChoice::Rest },
            preserve_first: match self.preserve_first {
                PreserveArg::Yes => PreserveFirst::Yes,
                PreserveArg::No => PreserveFirst::No,
                PreserveArg::IfUtility => PreserveFirst::IfUtility,
            },
            compat: match self.compat {
                Some(CompatArg::Xenserver) => Compat::Xenserver,
                None => Compat::None,
            },
        }
    }
}
