//! The answer files in `answerfiles/`: each is read, and what comes of it is compared with the
//! text beside it. A new file needs no change here.
//!
//! `XENHOST_GOLDENS=write` writes the texts instead of comparing them.
#![expect(clippy::disallowed_methods, reason = "this test reads the checked-in files")]
#![expect(
    clippy::unwrap_used,
    reason = "a test may stop wherever something is not as it should be"
)]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use installer_core::answers::{self, Answers, RawAnswers, parse, yaml};
use installer_core::facts::{DiskFacts, HostFacts};
use installer_core::plan::{Plan, checked, plan, render, to_json};
use installer_core::problem::Problems;
use installer_core::release::Manifest;
use installer_core::request::{InstallRequest, Refusal, Selector, resolve};
use installer_core::values::RootPassword;
use partitioner::ids::Ids;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../answerfiles").join(name)
}

/// Every answer file of a folder, sorted.
fn cases(name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(is_answer_file)).collect();
    paths.sort();
    assert!(!paths.is_empty(), "answerfiles/{name} has no answer file");
    paths
}

fn is_answer_file(extension: &OsStr) -> bool {
    extension == "yaml" || extension == "xml"
}

fn read(path: &Path) -> Result<RawAnswers, String> {
    let name = path.file_name().unwrap().to_str().unwrap();
    parse(name, &fs::read(path).unwrap()).map_err(|problems| problems.to_string())
}

/// Answers of any mode, and the warnings.
fn read_all(path: &Path) -> Result<(Answers, Problems), String> {
    let name = path.file_name().unwrap().to_str().unwrap();
    answers::read(name, &fs::read(path).unwrap()).map_err(|problems| problems.to_string())
}

fn facts(path: &Path) -> HostFacts {
    let path = path.with_extension("facts.json");
    serde_json::from_str(&fs::read_to_string(&path).unwrap())
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn decide(path: &Path, seed: u8) -> Result<(Plan, InstallRequest), Refusal> {
    decide_for(path, &facts(path), seed)
}

fn decide_for(path: &Path, facts: &HostFacts, seed: u8) -> Result<(Plan, InstallRequest), Refusal> {
    let answers = read(path).unwrap_or_else(|problems| panic!("{problems}"));
    let manifest = fs::read_to_string(folder("release.json")).unwrap();
    let manifest: Manifest = serde_json::from_str(&manifest).unwrap();
    let request = resolve(&answers, facts)?;
    let plan = plan(&request, facts, &manifest, &mut Ids::from_seed([seed; 32]))?;
    Ok((plan, request))
}

/// Compares with the text beside the answer file, or writes it.
fn golden(path: &Path, end: &str, got: &str) -> Result<(), String> {
    let path = path.with_extension(end);
    if std::env::var_os("XENHOST_GOLDENS").is_some_and(|what| what == "write") {
        fs::write(&path, got).unwrap();
        return Ok(());
    }
    let want = fs::read_to_string(&path).unwrap_or_default();
    if want == got {
        return Ok(());
    }
    Err(format!("{}: expected\n{want}\ngot\n{got}", path.display()))
}

#[track_caller]
fn all_good(results: Vec<Result<(), String>>) {
    let wrong: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_problem_of_a_bad_file_is_told() {
    let mut results = Vec::new();
    for path in cases("bad") {
        let Err(problems) = read_all(&path) else {
            results.push(Err(format!("{}: no problem was found", path.display())));
            continue;
        };
        assert!(!problems.contains("hunter2"), "a secret is shown: {problems}");
        let end = if path.extension().is_some_and(|end| end == "xml") {
            "xml.errors.txt"
        } else {
            "errors.txt"
        };
        results.push(golden(&path, end, &format!("{problems}\n")));
    }
    all_good(results);
}

#[test]
fn a_good_file_becomes_a_plan() {
    let mut results = Vec::new();
    for path in cases("good") {
        let (plan, _) = decide(&path, 1).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let text = render(&plan);
        assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 80), "{text}");
        results.push(golden(&path, "plan.txt", &text));
        let json = serde_json::to_string_pretty(&to_json(&plan)).unwrap();
        results.push(golden(&path, "plan.json", &format!("{json}\n")));
        checked(plan).unwrap_or_else(|findings| panic!("{findings:?}"));
    }
    all_good(results);
}

#[test]
fn a_plan_and_its_digest_do_not_depend_on_drawn_identifiers() {
    for path in cases("good") {
        let (one, _) = decide(&path, 1).unwrap();
        let (two, _) = decide(&path, 2).unwrap();
        assert_ne!(one.table.disk_guid, two.table.disk_guid);
        assert_eq!(render(&one), render(&two));
        assert_eq!(to_json(&one), to_json(&two));
    }
}

#[test]
fn a_file_that_does_not_fit_the_machine_is_refused() {
    let mut results = Vec::new();
    for path in cases("refused") {
        let Err(refusal) = decide(&path, 1) else {
            results.push(Err(format!("{}: nothing was refused", path.display())));
            continue;
        };
        let hint = refusal.hint.map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
        let text = format!("exit {}\n{}\n{hint}", refusal.exit.code(), refusal.message);
        results.push(golden(&path, "refusal.txt", &text));
    }
    all_good(results);
}

#[test]
fn the_examples_are_good() {
    for path in cases("examples") {
        let (answers, warnings) = read_all(&path).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(warnings.is_empty(), "{warnings}");
        // What is written of them is read as the same.
        let (again, _) = answers::read("written", yaml(&answers).as_bytes()).unwrap();
        assert_eq!(answers, again, "{}", path.display());
    }
}

/// An old answer file and what `convert` makes of it mean the same, on a machine too.
#[test]
fn a_converted_file_resolves_to_the_same_request() {
    let mut results = Vec::new();
    for path in cases("xenserver").into_iter().filter(|p| p.extension().unwrap() == "xml") {
        let (answers, warnings) = read_all(&path).unwrap_or_else(|problems| panic!("{problems}"));
        let text = yaml(&answers);
        results.push(golden(&path, "yaml", &text));
        results.push(golden(&path, "warnings.txt", &format!("{warnings}\n")));
        assert!(!warnings.to_string().contains("hunter2"), "a secret is shown: {warnings}");
        let (again, more) = answers::read("converted.yaml", text.as_bytes()).unwrap();
        assert_eq!(answers, again, "{}", path.display());
        // What is taken with a warning is as good in one file as in the other.
        let known = ["clear", "two starts", "without sha256"];
        assert!(more.iter().all(|p| known.iter().any(|words| p.what.contains(words))));
        if let (Answers::Install(old), Answers::Install(new)) = (answers, again) {
            let machine = machine_of(&old);
            let request = resolve(&hashed(*old), &machine);
            assert!(request.is_ok(), "{}: {request:?}", path.display());
            assert_eq!(request, resolve(&hashed(*new), &machine));
        }
    }
    all_good(results);
}

/// A machine whose disks and one interface are the ones that the answers name.
fn machine_of(answers: &RawAnswers) -> HostFacts {
    let mut machine = facts(&folder("good/blank-60gib-uefi"));
    machine.disks.truncate(1);
    let disk = machine.disks[0].clone();
    let named = |selector: &Selector, path: &str| DiskFacts {
        by_id: selector.by_id.iter().cloned().collect(),
        by_path: selector.by_path.iter().cloned().collect(),
        path: selector.path.clone().unwrap_or_else(|| path.to_owned()),
        serial: Some(format!("SN {path}")),
        ..disk.clone()
    };
    machine.disks = answers.disks.iter().map(|(name, one)| named(one, name)).collect();
    machine.nics.truncate(1);
    machine.nics[0].name = "eth0".into();
    machine.nics[0].mac = "00:16:3e:aa:bb:cc".into();
    machine
}

/// The password takes no part in the comparison of requests: its hash has a fresh salt.
fn hashed(mut answers: RawAnswers) -> RawAnswers {
    answers.access.root_password = RootPassword::Ask;
    answers
}

/// Machines that `facts` recorded: each has an answer file of its own, and one that fits no disk.
#[test]
fn a_recorded_machine_is_planned_for() {
    let none = folder("facts/no-such-disk.yaml");
    let mut results = Vec::new();
    let machines = cases("facts").into_iter().filter(|path| *path != none);
    for path in machines {
        let recorded = fs::read_to_string(path.with_extension("json")).unwrap();
        let facts: HostFacts = serde_json::from_str(&recorded).unwrap();
        // What `facts` prints is what the types write.
        let again = serde_json::to_string_pretty(&facts).unwrap() + "\n";
        assert_eq!(recorded, again, "{}", path.display());
        let (plan, _) =
            decide_for(&path, &facts, 1).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        results.push(golden(&path, "plan.txt", &render(&plan)));
        checked(plan).unwrap_or_else(|findings| panic!("{findings:?}"));
        let refusal = decide_for(&none, &facts, 1).unwrap_err();
        assert!(facts.disks.iter().all(|disk| refusal.message.contains(&disk.path)));
        results.push(golden(&path, "refusal.txt", &format!("{refusal}\n")));
    }
    all_good(results);
}
