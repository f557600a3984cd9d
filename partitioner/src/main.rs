//! The `partitioner` command: shows layouts, what is on a disk, and what a plan would do to it.
//!
//! Nothing here writes to a disk.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use partitioner::block::IoError;
use partitioner::block::open::{Opened, open_read_only};
use partitioner::ids::Ids;
use partitioner::inspect::report::report;
use partitioner::inspect::{Inspection, Table, inspect};
use partitioner::layout::{Firmware, LAYOUTS, Layout, Scheme, Size};
use partitioner::table::{
    Compat, Geometry, LayoutChoice, LayoutError, PreserveFirst, SrChoice, TablePlan, TableRequest,
    plan_table,
};
use partitioner::units::{BlockSize, Bytes};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Partition tables for xenhost. No command of this version writes to a disk.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the layouts that a disk can be given.
    Layouts {
        #[arg(long)]
        json: bool,
    },
    /// Shows what is on a disk.
    Inspect {
        /// A block device or an image file.
        disk: PathBuf,
        /// Bytes in a block of an image file: 512 or 4096.
        #[arg(long)]
        sector_size: Option<u32>,
        #[arg(long)]
        json: bool,
    },
    /// Shows the table that a disk would be given, and what that would destroy.
    Plan(PlanArgs),
}

#[derive(Debug, clap::Args)]
struct PlanArgs {
    /// A block device or an image file.
    disk: PathBuf,
    #[arg(long, value_enum, default_value = "auto")]
    layout: LayoutArg,
    /// Size of the boot partition, as in 512MiB.
    #[arg(long)]
    boot_size: Option<Bytes>,
    /// Makes no storage repository.
    #[arg(long)]
    no_sr: bool,
    /// How the machine starts: by default as this one does for a device, and uefi for an image.
    #[arg(long, value_enum)]
    firmware: Option<FirmwareArg>,
    /// Bytes in a block of an image file: 512 or 4096.
    #[arg(long)]
    sector_size: Option<u32>,
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LayoutArg {
    Auto,
    Modern,
    Legacy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FirmwareArg {
    Bios,
    Uefi,
}

/// Why a command ends early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("sector size {0} is not 512 or 4096")]
    SectorSize(u32),
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("{disk}: {source}")]
    Layout { disk: String, source: LayoutError },
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The project's exit codes: 10 bad arguments, 11 disk not found, 13 unsuitable, 20 I/O error.
    fn exit(&self) -> u8 {
        match self {
            Self::SectorSize(_) => 10,
            Self::Io(IoError::Os { source, .. }) if source.kind() == io::ErrorKind::NotFound => 11,
            Self::Layout { .. } => 13,
            Self::Io(_) => 20,
            Self::Output(_) => 1,
        }
    }
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no errors; everything else is a bad argument.
            let code = if error.use_stderr() { 10 } else { 0 };
            return if error.print().is_ok() { code.into() } else { ExitCode::FAILURE };
        }
    };
    match run(&args.command, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where standard error is gone the exit code still tells.
            let _told = writeln!(io::stderr(), "partitioner: {failure}");
            failure.exit().into()
        }
    }
}

fn run(command: &Command, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        Command::Layouts { json: true } => {
            print(out, &json!(LAYOUTS.map(|layout| layout_json(&layout))))
        }
        Command::Layouts { json: false } => {
            LAYOUTS.iter().try_for_each(|layout| layout_text(layout, out)).map_err(Failure::from)
        }
        Command::Inspect { disk, sector_size, json } => {
            let mut opened = open(disk, *sector_size)?;
            let found = report(opened.disk())?;
            let geometry = geometry(&mut opened);
            if *json {
                let mut value = json!(found);
                value["disk"] = disk_json(disk, geometry);
                print(out, &value)
            } else {
                inspection_text(disk, geometry, &found.inspection, out)?;
                let mut more = found.lines().into_iter();
                Ok(more.try_for_each(|line| writeln!(out, "{line}"))?)
            }
        }
        Command::Plan(args) => plan(args, out),
    }
}

fn open(disk: &Path, sector_size: Option<u32>) -> Result<Opened, Failure> {
    let known = |bytes: u32| {
        let size = BlockSize::new(bytes);
        size.filter(|size| [BlockSize::B512, BlockSize::B4096].contains(size))
            .ok_or(Failure::SectorSize(bytes))
    };
    Ok(open_read_only(disk, sector_size.map(known).transpose()?)?)
}

fn geometry(opened: &mut Opened) -> Geometry {
    let disk = opened.disk();
    Geometry { block_size: disk.block_size(), blocks: disk.blocks() }
}

fn print(out: &mut dyn Write, value: &Value) -> Result<(), Failure> {
    Ok(writeln!(out, "{value:#}")?)
}

fn plan(args: &PlanArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let mut opened = open(&args.disk, args.sector_size)?;
    let found = inspect(opened.disk())?;
    let request = TableRequest {
        layout: match args.layout {
            LayoutArg::Auto => LayoutChoice::Auto,
            LayoutArg::Modern => LayoutChoice::Modern,
            LayoutArg::Legacy => LayoutChoice::Legacy,
        },
        firmware: firmware(args.firmware, &opened),
        boot_size: args.boot_size,
        sr: if args.no_sr { SrChoice::None } else { SrChoice::Rest },
        preserve_first: PreserveFirst::IfUtility,
        compat: Compat::None,
    };
    let geometry = geometry(&mut opened);
    // Identifiers are drawn when a plan is performed. Here nothing shows them.
    let plan = plan_table(geometry, &request, &mut Ids::from_seed([0; 32]));
    let disk = args.disk.display().to_string();
    let plan = plan.map_err(|source| Failure::Layout { disk, source })?;
    let value = plan_json(&args.disk, &request, &plan, &found);
    if args.json { print(out, &value) } else { Ok(plan_text(args, &plan, &value, out)?) }
}

/// The running machine's firmware for a device, UEFI for an image, unless told.
fn firmware(told: Option<FirmwareArg>, opened: &Opened) -> Firmware {
    match (told, opened) {
        (Some(FirmwareArg::Uefi), _) | (None, Opened::Image(_)) => Firmware::Uefi,
        (None, Opened::Device(_)) if Path::new("/sys/firmware/efi").exists() => Firmware::Uefi,
        (Some(FirmwareArg::Bios), _) | (None, Opened::Device(_)) => Firmware::Bios,
    }
}

fn disk_json(disk: &Path, geometry: Geometry) -> Value {
    json!({
        "path": disk.display().to_string(),
        "size": geometry.size(),
        "block_size": geometry.block_size,
        "blocks": geometry.blocks,
    })
}

/// The plan with its digest, which covers all of it but the digest. Identifiers are not part of it.
fn plan_json(disk: &Path, request: &TableRequest, plan: &TablePlan, found: &Inspection) -> Value {
    let partitions: Vec<Value> = plan
        .partitions
        .iter()
        .map(|planned| {
            json!({
                "number": planned.number,
                "role": planned.role,
                "name": planned.name,
                "type": planned.type_guid,
                "extent": planned.extent,
                "size": plan.size_of(planned),
            })
        })
        .collect();
    let mut value = json!({
        "layout": plan.layout,
        "firmware": request.firmware,
        "disks": [disk_json(disk, plan.geometry)],
        "destroys": found.content,
        "keeps": [],
        "steps": STEPS,
        "partitions": partitions,
    });
    let digest = Sha256::digest(value.to_string().as_bytes());
    let hex: String = digest.iter().flat_map(|byte| hex(*byte)).collect();
    value["digest"] = json!(hex);
    value
}

/// What writing the table is made of, in order.
const STEPS: [&str; 4] = [
    "take the disk out of service (LBA 0)",
    "remove old signatures",
    "write the partition table",
    "put the disk into service (LBA 0)",
];

fn hex(byte: u8) -> impl Iterator<Item = char> {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    [digit(byte >> 4), digit(byte & 0xF)].into_iter()
}

fn plan_text(
    args: &PlanArgs,
    plan: &TablePlan,
    value: &Value,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (size, bytes) = (plan.geometry.size(), plan.geometry.block_size.bytes());
    let disk = args.disk.display();
    writeln!(out, "{disk}: {size}, blocks of {bytes} bytes, layout {}", plan.layout)?;
    writeln!(out, "{:>6}  {:<8}{:>12}{:>12}  {:>9}", "number", "role", "first", "last", "size")?;
    for planned in &plan.partitions {
        let (first, last) = (planned.extent.first().get(), planned.extent.last().get());
        let size = plan.size_of(planned).to_string();
        let role = planned.role.as_str();
        writeln!(out, "{:>6}  {role:<8}{first:>12}{last:>12}  {size:>9}", planned.number)?;
    }
    lines(out, "destroys", &value["destroys"])?;
    writeln!(out, "Nothing was written.")
}

fn lines(out: &mut dyn Write, title: &str, list: &Value) -> io::Result<()> {
    let items = list.as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        return writeln!(out, "{title}: nothing");
    }
    writeln!(out, "{title}:")?;
    items.iter().filter_map(Value::as_str).try_for_each(|item| writeln!(out, "  {item}"))
}

fn inspection_text(
    disk: &Path,
    geometry: Geometry,
    found: &Inspection,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (size, bytes) = (geometry.size(), geometry.block_size.bytes());
    writeln!(out, "{}: {size}, blocks of {bytes} bytes", disk.display())?;
    match &found.table {
        Table::None => writeln!(out, "no partition table")?,
        Table::Mbr { disk_signature } => writeln!(out, "MBR, signature {disk_signature:#010x}")?,
        Table::Gpt { disk_guid, state } => writeln!(out, "GPT {disk_guid}, {state}")?,
        Table::GptDamaged { why } => writeln!(out, "damaged GPT: {why}")?,
        Table::Unfinished => writeln!(out, "an installation that has not finished")?,
    }
    for one in &found.partitions {
        let name = one.name.as_deref().unwrap_or_default();
        writeln!(
            out,
            "{:>4}  {:<24} {:<36}  {name}",
            one.number,
            one.extent.to_string(),
            one.kind
        )?;
    }
    lines(out, "content", &json!(found.content))
}

fn layout_text(layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
    let scheme = scheme(layout);
    let firmware: Vec<String> = layout.firmware.iter().map(ToString::to_string).collect();
    let (name, min) = (layout.name, layout.disk_min);
    writeln!(out, "{name} ({scheme}, {}), disks from {min}", firmware.join(" and "))?;
    for want in layout.wants {
        writeln!(out, "{:>6}  {:<8} {}", want.number, want.role.as_str(), size_text(want.size))?;
    }
    Ok(())
}

fn layout_json(layout: &Layout) -> Value {
    let partitions: Vec<Value> = layout
        .wants
        .iter()
        .map(|want| json!({"number": want.number, "role": want.role, "size": size_text(want.size)}))
        .collect();
    json!({
        "name": layout.name,
        "scheme": scheme(layout),
        "firmware": layout.firmware,
        "disk_min": layout.disk_min,
        "partitions": partitions,
    })
}

fn scheme(layout: &Layout) -> &'static str {
    match layout.scheme {
        Scheme::Gpt => "gpt",
        Scheme::Mbr => "mbr",
    }
}

fn size_text(size: Size) -> String {
    match size {
        Size::Mib(mib) => Bytes::mib(mib).to_string(),
        Size::Fixed { first, blocks } => format!("{blocks} blocks from {first}"),
        Size::Rest => "rest".to_owned(),
    }
}
