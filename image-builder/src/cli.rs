//! The command line: one list of commands, each handed to the library.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use image_builder::error::{Error, Result};
use image_builder::rootfs::{self, packages::Profile};
use image_builder::{iso, release};

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
        /// Embed these answers: the medium then installs without a question.
        #[arg(long, value_name = "FILE")]
        answers: Option<PathBuf>,
        /// A further kernel argument of every menu entry.
        #[arg(long, value_name = "ARG")]
        append: Vec<String>,
    },
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
        Command::Rootfs(args) => run_rootfs(args, show),
        Command::Release { rootfs, out } => release::build(&rootfs, &out, show).map(drop),
        Command::Iso { release, out, answers, append } => {
            iso::build(&iso::Options { release, out, answers, append, epoch: epoch()? }, show)
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
        cache: args.cache.map_or_else(default_cache, Ok)?,
        epoch: epoch()?,
    };
    rootfs::build(&options, show)?;
    Ok(())
}

fn default_cache() -> Result<PathBuf> {
    match std::env::var_os("HOME") {
        Some(home) => Ok(PathBuf::from(home).join(".cache/xenhost")),
        None => Ok(PathBuf::from("/var/cache/xenhost")),
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
