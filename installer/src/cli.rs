//! The command line: what is asked, from which files, and how it is told.
//!
//! A command collects its inputs, hands them to the pure core, and shows the outcome. Results go to
//! standard output, everything else to standard error. Nothing here decides what is written.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use installer_core::facts::Firmware;
use installer_core::outcome::{DiskState, Exit};
use partitioner::units::Bytes;

mod answer_file;
mod begun;
mod by_answers;
mod check;
mod console;
mod dom0;
mod give_up;
mod image_arg;
mod init;
mod inputs;
mod install;
mod job;
mod passwords;
mod report;
mod scripts;
mod show;
mod source;
mod status;
mod takeover;
mod upgrade;
mod verify;

pub use image_arg::ImageArg;
#[cfg(test)]
pub(crate) use status::told as told_at_rest;

/// Installs a Xen host from a release, and looks after the installed one.
#[derive(Debug, Parser)]
#[command(name = "host-installer", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what is known of this machine: disks, interfaces, firmware, memory.
    Facts {
        #[command(flatten)]
        machine: MachineArgs,
        /// As JSON, which `--facts` replays.
        #[arg(long)]
        json: bool,
    },
    /// Check an answer file, and whether it fits a recorded machine.
    Validate {
        file: PathBuf,
        /// A recorded machine, as `facts --json` printed it.
        #[arg(long, value_name = "FILE")]
        facts: Option<PathBuf>,
        /// The problems as records.
        #[arg(long)]
        json: bool,
    },
    /// Write an answer file anew, an old one in XML too, as YAML on standard output.
    Convert { file: PathBuf },
    /// Print the JSON Schema of answer files, for editors.
    Schema,
    /// Show what the answers ask for and `install` would do. Writes nothing.
    Plan {
        #[command(flatten)]
        source: SourceArgs,
        #[command(flatten)]
        machine: MachineArgs,
        /// A recorded machine, as `facts --json` printed it.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["disk", "memory", "cpus"])]
        facts: Option<PathBuf>,
        #[arg(long)]
        json: bool,
    },
    /// Do what the answers ask for: install a host on the disk that they choose, upgrade one, or
    /// roll it back.
    Install {
        #[command(flatten)]
        source: SourceArgs,
        #[command(flatten)]
        machine: MachineArgs,
        /// Perform the plan only if it has this digest, which `plan` shows.
        #[arg(long, value_name = "DIGEST")]
        confirm: Option<String>,
        /// Events as JSON lines on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Put a release into the other slot of an installed host. Without `--confirm` it shows the
    /// plan and writes nothing.
    Upgrade(upgrade::UpgradeArgs),
    /// Go back to the system in the other slot, or forward again.
    Rollback(upgrade::RollbackArgs),
    /// Look whether a host is whole: partition table, boot state, both slots. Writes nothing.
    Verify(verify::VerifyArgs),
    /// End a takeover whose new system was blessed: the old one goes to slot b, the log partition
    /// takes its place. In dom0 a unit does so after the bless.
    Finish(takeover::FinishArgs),
    /// In dom0: end the trial of the running system after a good boot.
    Bless,
    /// In dom0: write the boot menu of the running slot anew.
    BootMenu,
    /// In dom0: attach the storage repositories, or make those that do not exist yet.
    Storage {
        #[arg(value_enum)]
        task: StorageTask,
    },
    /// Show what is installed, and what the boot loader will start. Writes nothing.
    Status(status::StatusArgs),
}

/// What is installed, and how.
#[derive(Debug, Args)]
struct SourceArgs {
    /// The answer file. In the installer environment it is looked for: on the kernel line, on the
    /// medium, on a volume labelled ANSWERFILE.
    #[arg(long, value_name = "FILE|URL")]
    answers: Option<PathBuf>,
    #[command(flatten)]
    release: source::ReleaseArgs,
}

/// The machine that is installed: this one, or image files.
#[derive(Debug, Args)]
struct MachineArgs {
    /// An image file as a disk with the serial NAME; may be repeated. Blocks of 4096 bytes with
    /// `:4096`.
    #[arg(long, value_name = "NAME=IMAGE[:4096]")]
    disk: Vec<ImageArg>,
    /// Memory of the machine that the images are for, such as 3GiB.
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "disk")]
    memory: Option<Bytes>,
    /// CPUs of the machine that the images are for.
    #[arg(long, value_name = "COUNT", requires = "disk", default_value_t = 16,
          value_parser = clap::value_parser!(u32).range(1..))]
    cpus: u32,
    /// How the machine starts. Default: as this one does, UEFI for images.
    #[arg(long)]
    firmware: Option<FirmwareArg>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StorageTask {
    Attach,
    Make,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FirmwareArg {
    Bios,
    Uefi,
}

impl From<FirmwareArg> for Firmware {
    fn from(arg: FirmwareArg) -> Self {
        match arg {
            FirmwareArg::Bios => Self::Bios,
            FirmwareArg::Uefi => Self::Uefi,
        }
    }
}

fn size(text: &str) -> Result<Bytes, String> {
    installer_core::values::parse_size(text).map_err(|e| match e.hint {
        Some(hint) => format!("{}; {hint}", e.what),
        None => e.what,
    })
}

/// How a command ended without success: what to say, and the exit code.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) state: DiskState,
}

impl Ended {
    /// Before anything was written.
    fn early(exit: Exit, message: &(impl ToString + ?Sized)) -> Self {
        Self { exit, message: message.to_string(), hint: None, state: DiskState::Untouched }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

type Outcome = Result<(), Ended>;

/// Runs the command that `args` name, the first of which is the program.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    let performs = |arg: &OsString| {
        ["install", "upgrade", "rollback", "finish"].iter().any(|word| arg == word)
    };
    let performing = args.get(1).is_some_and(performs);
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            say(&format!("{error}"));
            return end(performing, Err(Ended::early(Exit::BadAnswers, "")));
        }
        // Help and version.
        Err(help) => {
            print(&help.to_string());
            return Exit::Done;
        }
    };
    end(performing, perform(cli.command))
}

fn perform(command: Command) -> Outcome {
    match command {
        Command::Facts { machine, json } => show::facts(&machine, json),
        Command::Validate { file, facts, json } => check::validate(&file, facts.as_deref(), json),
        Command::Convert { file } => check::convert(&file),
        Command::Schema => check::schema(),
        Command::Plan { source, machine, facts, json } => {
            show::plan(&source, &machine, facts.as_deref(), json)
        }
        Command::Install { source, machine, confirm, json } => {
            by_answers::perform(&source, &machine, confirm.as_deref(), json)
        }
        Command::Upgrade(args) => upgrade::upgrade(&args),
        Command::Rollback(args) => upgrade::rollback(&args),
        Command::Verify(args) => verify::verify(&args),
        Command::Finish(args) => takeover::finish(&args),
        Command::Bless => dom0::bless(),
        Command::BootMenu => dom0::boot_menu(),
        Command::Storage { task } => dom0::storage(task),
        Command::Status(args) => status::status(&args),
    }
}

/// Tells how it ended. The last line of a performing command is the state of the disk.
fn end(performing: bool, outcome: Outcome) -> Exit {
    let (exit, state) = match outcome {
        Ok(()) => (Exit::Done, DiskState::NewSystemBoots),
        Err(ended) => {
            if !ended.message.is_empty() {
                let mark = if ended.exit == Exit::Done { "" } else { "error: " };
                say(&format!("{mark}{}\n", ended.message));
            }
            if let Some(hint) = ended.hint {
                say(&format!("hint: {hint}\n"));
            }
            (ended.exit, ended.state)
        }
    };
    if performing {
        say(&format!("DISK STATE: {state}\n"));
    }
    exit
}

/// To standard output. A reader that went away stops nothing.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// To standard error.
fn say(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

/// How a command ends: for tests, which want its words.
#[cfg(test)]
pub(crate) fn told(args: &[String]) -> (Exit, String) {
    let args = std::iter::once("host-installer".to_owned()).chain(args.iter().cloned());
    match perform(Cli::try_parse_from(args).expect("the command line is sound").command) {
        Ok(()) => (Exit::Done, String::new()),
        Err(ended) => (ended.exit, ended.message),
    }
}

#[cfg(test)]
mod tests;
