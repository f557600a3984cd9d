//! What a command works on: answers, machine, release, and the plan that follows from them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use installer_core::answers::{self, Answers, RawAnswers, Reading};
use installer_core::facts::{Firmware, HostFacts, MachineFacts};
use installer_core::outcome::Exit;
use installer_core::plan::{self, CheckedPlan};
use installer_core::problem::Problems;
use installer_core::request::{self, InstallRequest, Refusal};
use partitioner::ids::Ids;
use rustix::rand::{GetRandomFlags, getrandom};

use super::answer_file::AnswerFile;
use super::source::ReleaseArgs;
use super::{Ended, MachineArgs, passwords, say};
use crate::call::Processes;
use crate::probe;
use crate::release_dir::Release;

/// A facts file larger than this is not one.
const FACTS_BYTES_MAX: u64 = 16 << 20;

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        let ended = Self::early(refusal.exit, &refusal.message);
        match refusal.hint {
            Some(hint) => ended.hint(hint),
            None => ended,
        }
    }
}

/// Everything that an installation needs to know.
pub(super) struct Inputs {
    pub(super) request: InstallRequest,
    pub(super) facts: HostFacts,
    pub(super) release: Release,
    pub(super) plan: CheckedPlan,
}

/// Reads an answer file for the machine: warnings to standard error, a password in clear to a hash.
pub(super) fn answers(file: &AnswerFile, facts: Facts<'_>) -> Result<Answers, Ended> {
    let mut read = read_answers(file);
    if read.is_ok() && answers::has_overrides(&file.bytes) {
        read = answers::read_for(&file.name, &file.bytes, &facts.get()?);
    }
    settled(&file.name, read)
}

/// The same for a command that installs nothing: only an installation has `overrides`.
pub(super) fn answers_for_a_host(file: &AnswerFile) -> Result<Answers, Ended> {
    settled(&file.name, read_answers(file))
}

fn settled(name: &str, read: Reading) -> Result<Answers, Ended> {
    let (mut answers, warnings) = read.map_err(|problems| bad(&problems))?;
    if !warnings.is_empty() {
        say(&format!("{warnings}\n"));
    }
    if let Answers::Install(answers) = &mut answers {
        let password = std::mem::take(&mut answers.access.root_password);
        answers.access.root_password =
            password.settle(&mut passwords::ThisMachine).map_err(|e| {
                Ended::early(Exit::BadAnswers, &format!("{name}: access.root_password: {e}"))
            })?;
    }
    Ok(answers)
}

/// What is in the file, or what is wrong with it.
pub(super) fn read_answers(file: &AnswerFile) -> Reading {
    answers::read(&file.name, &file.bytes)
}

pub(super) fn bad(problems: &Problems) -> Ended {
    Ended::early(Exit::BadAnswers, problems.to_string().trim_end())
}

fn read_bounded(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The machine: image files where some are given, else the one this runs on.
pub(super) fn machine(args: &MachineArgs) -> Result<HostFacts, Ended> {
    if args.disk.is_empty() {
        let mut facts = probe::probe(&mut Processes).map_err(|e| {
            Ended::early(Exit::InternalError, &format!("looking at this machine: {e}"))
        })?;
        if let Some(firmware) = args.firmware {
            facts.firmware = firmware.into();
        }
        return Ok(facts);
    }
    let memory = args.memory.ok_or_else(|| {
        Ended::early(Exit::BadAnswers, "--disk needs --memory")
            .hint("the memory of the machine that the image is for, such as --memory 3GiB")
    })?;
    let mut disks = Vec::new();
    let mut files = BTreeMap::new();
    for image in &args.disk {
        let same = image.path.canonicalize().ok().and_then(|path| files.insert(path, &image.name));
        if let Some(other) = same {
            let both = format!("--disk {other} and --disk {} are the same file", image.name);
            return Err(Ended::early(Exit::BadAnswers, &both));
        }
        let disk = probe::probe_image(&image.name, &image.path, image.block_size, &mut Processes)
            .map_err(|e| {
            Ended::early(Exit::DiskNotFound, &format!("disk {}: {e}", image.name))
        })?;
        disks.push(disk);
    }
    Ok(HostFacts {
        firmware: args.firmware.map_or(Firmware::Uefi, Firmware::from),
        memory,
        cpus: args.cpus,
        machine: MachineFacts::default(),
        disks,
        nics: Vec::new(),
    })
}

/// A machine that was recorded.
pub(super) fn recorded(path: &Path) -> Result<HostFacts, Ended> {
    let wrong = |e: String| Ended::early(Exit::BadAnswers, &format!("{}: {e}", path.display()));
    let bytes = read_bounded(path, FACTS_BYTES_MAX).map_err(|e| wrong(e.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))
}

/// Answers, then machine, then release: the cheapest mistakes are told first.
pub(super) fn collect(
    answers: &RawAnswers,
    release: &ReleaseArgs,
    facts: Facts<'_>,
) -> Result<Inputs, Ended> {
    let facts = facts.get()?;
    let release = release.open(&answers.source)?;
    let request = request::resolve(answers, &facts)?;
    let mut ids = Ids::from_seed(seed()?);
    let plan = plan::plan(&request, &facts, release.manifest(), &mut ids)?;
    let plan = plan::checked(plan).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        Ended::early(
            Exit::InternalError,
            &format!("the plan is wrong, which is a mistake in this program: {}", lines.join("; ")),
        )
    })?;
    Ok(Inputs { request, facts, release, plan })
}

/// Where facts come from.
#[derive(Clone, Copy)]
pub(super) enum Facts<'a> {
    Of(&'a MachineArgs),
    Recorded(&'a Path),
}

impl Facts<'_> {
    fn get(self) -> Result<HostFacts, Ended> {
        match self {
            Self::Of(args) => machine(args),
            Self::Recorded(path) => recorded(path),
        }
    }
}

/// 32 bytes from the kernel. Identifiers are drawn once, for the plan that is shown and performed.
pub(super) fn seed() -> Result<[u8; 32], Ended> {
    let mut seed = [0; 32];
    // Up to 256 bytes come whole, once the kernel's source is ready (getrandom(2)).
    match getrandom(&mut seed, GetRandomFlags::empty()) {
        Ok(got) if got == seed.len() => Ok(seed),
        Ok(got) => Err(Ended::early(Exit::InternalError, &format!("getrandom gave {got} bytes"))),
        Err(e) => Err(Ended::early(Exit::InternalError, &format!("getrandom: {e}"))),
    }
}
