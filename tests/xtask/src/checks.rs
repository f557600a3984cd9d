//! `cargo xtask test`: everything that must hold before a change is accepted.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::call::Call;
use crate::demo;
use crate::e2e::Tally;
use crate::failure::{At, Failure, Result};
use crate::folders::Folders;
use crate::lab::Lab;
use crate::qemu::{Display, Firmware};
use crate::report::Report;

/// A cold build of the workspace and all its tests, on two cores that others use too.
const CARGO_LIMIT: Duration = Duration::from_secs(40 * 60);

pub(crate) fn test() -> Result<ExitCode> {
    let folders = Folders::find()?;
    let mut report = Report::default();
    report.stage("set up", |_| crate::setup::setup())?;
    let mut tally = Tally::default();
    let logs = folders.cache.join("logs");
    std::fs::create_dir_all(&logs).at("making", &logs)?;
    let mut cargo = |name: &str, args: &[&str]| -> Result<String> {
        let log = logs.join(format!("{name}.log"));
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let call = Call::new(cargo).args(args).dir(&folders.repo).limit(CARGO_LIMIT);
        let result = crate::products::run_logged(&mut report, name, &call, &log);
        result.and_then(|()| std::fs::read_to_string(&log).at("reading", &log))
    };
    tally.count("rustfmt", cargo("rustfmt", &["fmt", "--all", "--check"]));
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    tally.count("clippy", cargo("clippy", &clippy));
    let tests = cargo("tests", &["test", "--workspace", "--no-fail-fast"]);
    tally_tests(&mut tally, &logs.join("tests.log"), tests)?;
    match Lab::open("test", Display::Headless) {
        Ok(mut lab) => {
            in_machines(&mut tally, &mut lab);
            println!("\nStages:\n{}", report.table());
            println!("{}", lab.report.table());
            if tally.failed == 0 {
                crate::cache::remove(&lab.root)?;
            }
        }
        Err(failure) => tally.count("build", Err::<(), _>(failure)),
    }
    Ok(tally.last_line())
}

/// The same path as the demo's, in both firmwares.
fn in_machines(tally: &mut Tally, lab: &mut Lab) {
    for firmware in Firmware::BOTH {
        let name = format!("install-{}", firmware.name());
        let result = lab.apart(&name, |lab| demo::core_path(lab, &name, firmware));
        tally.count(&name, result);
    }
}

/// Counts every test, not the command as one.
fn tally_tests(tally: &mut Tally, log: &Path, result: Result<String>) -> Result<()> {
    let text = std::fs::read_to_string(log).at("reading", log)?;
    let (passed, failed) = sums(&text);
    tally.passed += passed;
    println!("tests: {passed} passed, {failed} failed; log: {}", log.display());
    for line in text.lines().filter(|l| l.starts_with("test ") && l.ends_with("FAILED")) {
        println!("FAIL {line}");
    }
    tally.failed += failed;
    match result {
        // What did not compile has no failed test to count.
        Err(failure) if failed == 0 => tally.count("tests", Err::<(), Failure>(failure)),
        Ok(_) | Err(_) => {}
    }
    Ok(())
}

/// Adds up the `test result:` lines of cargo.
fn sums(text: &str) -> (u32, u32) {
    let number = |line: &str, word: &str| {
        let words: Vec<&str> = line.split([' ', ';', '.']).filter(|w| !w.is_empty()).collect();
        let at = words.iter().position(|w| *w == word)?;
        words.get(at.checked_sub(1)?)?.parse::<u32>().ok()
    };
    let results = text.lines().filter(|line| line.starts_with("test result:"));
    results.fold((0, 0), |(passed, failed), line| {
        (passed + number(line, "passed").unwrap_or(0), failed + number(line, "failed").unwrap_or(0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_s_results_are_added_up() {
        let text = "running 3 tests\ntest result: ok. 3 passed; 0 failed; 0 ignored; finished\n\
                    test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured\n";
        assert_eq!(sums(text), (13, 2));
    }
}
