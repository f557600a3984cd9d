//! The command line: one list of commands, each handed to the library.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use image_builder::error::{Error, Result};
use image_builder::rootfs::{self, packages::Profile};
use image_builder::{disk, inspect, iso, release, userns};
use installer_core::values;
use partitioner::units::Bytes;

use crate::show::Show;

/// Builds xenhost's dom0 image, release, installation medium and disk images.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build dom0 as a directory from Debian packages.
    Rootfs(RootfsArgs),
    /// Make a release from what `rootfs` built.
    Release {
        #[arg(long, value_name = "DIR")]
        rootfs: PathBuf,
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Make the installation medium from a release.
    Iso {
        #[arg(long, value_name = "DIR")]
        release: PathBuf,
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Embed these answers: the medium then does what they say, without a question.
        #[arg(long, value_name = "FILE")]
        answers: Option<PathBuf>,
        /// A further kernel argument of every menu entry.
        #[arg(long, value_name = "ARG")]
        append: Vec<String>,
    },
    /// Install on a new disk image, without a machine: no root, no mounts.
    Disk(DiskArgs),
    /// Show what a release or an installation medium holds, and check a release's files.
    Inspect {
        #[arg(value_name = "RELEASE|ISO")]
        path: PathBuf,
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct DiskArgs {
    #[arg(long, value_name = "FILE")]
    answers: PathBuf,
    #[arg(long, value_name = "DIR")]
    release: PathBuf,
    /// The image; it must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[arg(long, default_value = "60GiB", value_parser = size)]
    size: Bytes,
    /// Serial number of the disk; default: the one the answers ask for.
    #[arg(long)]
    serial: Option<String>,
    /// Memory of the machine that the disk is for; decides how much dom0 gets.
    #[arg(long, default_value = "4GiB", value_parser = size)]
    memory: Bytes,
    /// Processors of that machine.
    #[arg(long, default_value_t = 16)]
    cpus: u32,
    #[arg(long, value_enum, default_value_t = Firmware::Uefi)]
    firmware: Firmware,
    /// Blocks of the disk, in bytes.
    #[arg(long, value_enum, default_value_t = SectorSize::B512)]
    sector_size: SectorSize,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Firmware {
    Bios,
    Uefi,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum SectorSize {
    #[value(name = "512")]
    B512,
    #[value(name = "4096")]
    B4096,
}

fn size(text: &str) -> std::result::Result<Bytes, String> {
    values::parse_size(text).map_err(|e| e.what)
}

#[derive(Debug, clap::Args)]
struct RootfsArgs {
    /// Debian suite.
    #[arg(long, default_value = "trixie")]
    suite: String,
    #[arg(long, value_enum, default_value_t = Profile::Standard)]
    profile: Profile,
    /// The statically linked host-installer binary.
    #[arg(long, value_name = "BIN")]
    host_installer: PathBuf,
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Package archive in place of this machine's own: a URL or a whole `deb …` line.
    #[arg(long, value_name = "URL")]
    mirror: Vec<String>,
    /// Keyring that signs the archive.
    #[arg(long, value_name = "FILE")]
    keyring: Option<String>,
    /// Where packages are kept for the next build.
    #[arg(long, value_name = "DIR", env = "XENHOST_CACHE")]
    cache: Option<PathBuf>,
}

pub(crate) fn run(args: Args, show: &Show) -> Result<()> {
    match args.command {
        Command::Rootfs(args) => {
            userns::enter()?;
            run_rootfs(args, show)
        }
        Command::Release { rootfs, out } => {
            // For the owners of the tree's files.
            userns::enter()?;
            release::build(&rootfs, &out, show).map(drop)
        }
        Command::Iso { release, out, answers, append } => {
            iso::build(&iso::Options { release, out, answers, append, epoch: epoch()? }, show)
        }
        Command::Disk(args) => run_disk(args),
        Command::Inspect { path, json } => {
            let found = inspect::inspect(&path)?;
            if json {
                println!("{:#}", found.to_json());
            } else {
                print!("{}", found.to_text());
            }
            match found.damaged.first() {
                Some(file) => Err(Error::Damaged { file: file.clone() }),
                None => Ok(()),
            }
        }
    }
}

fn run_rootfs(args: RootfsArgs, show: &Show) -> Result<()> {
    let options = rootfs::Options {
        suite: args.suite,
        profile: args.profile,
        host_installer: args.host_installer,
        out: args.out,
        mirrors: args.mirror,
        keyring: args.keyring,
        cache: args.cache.unwrap_or_else(default_cache),
        epoch: epoch()?,
    };
    rootfs::build(&options, show)?;
    Ok(())
}

fn run_disk(args: DiskArgs) -> Result<()> {
    disk::build(&disk::Options {
        answers: args.answers,
        release: args.release,
        out: args.out,
        size: args.size,
        serial: args.serial,
        memory: args.memory,
        cpus: args.cpus,
        firmware: match args.firmware {
            Firmware::Bios => "bios",
            Firmware::Uefi => "uefi",
        },
        sectors_4k: args.sector_size == SectorSize::B4096,
    })
}

fn default_cache() -> PathBuf {
    match std::env::var_os("HOME") {
        Some(home) => PathBuf::from(home).join(".cache/xenhost"),
        None => PathBuf::from("/var/cache/xenhost"),
    }
}

/// `SOURCE_DATE_EPOCH`, read once, here.
fn epoch() -> Result<Option<i64>> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(value) => match value.trim().parse() {
            Ok(seconds) if 0 <= seconds => Ok(Some(seconds)),
            _ => Err(Error::BadEpoch { value }),
        },
        Err(_) => Ok(None),
    }
}
