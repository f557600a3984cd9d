//! `cargo xtask soak`: the readers of what a disk, an answer file or a kernel line may hold,
//! against inputs that no tool would write. Each target runs for half a minute; what it found worth
//! keeping stays in the cache and is where the next run goes on. An input that breaks a reader is
//! left beside the targets.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::call::Call;
use crate::e2e::Tally;
use crate::failure::{At, Result, ensure};
use crate::folders::Folders;
use crate::report::Report;

/// The readers: tables, volume groups, file systems; answer files, the kernel line, and what is
/// shown of addresses.
const TARGETS: [&str; 8] = ["gpt", "mbr", "lvm", "ext4", "fat", "answers", "boot_line", "redact"];
const SECONDS: u32 = 30;
/// The first run builds the targets and the standard library's checks with them.
const LIMIT: Duration = Duration::from_secs(40 * 60);
/// No reader may ask for more at once, or think longer about one input.
const LIMITS: [&str; 3] = ["-malloc_limit_mb=64", "-rss_limit_mb=1024", "-timeout=10"];

pub(crate) fn soak() -> Result<ExitCode> {
    let folders = Folders::find()?;
    let version = Call::new("rustup").args(["run", "nightly", "cargo", "fuzz", "--version"]);
    let ready = version.output().is_ok_and(|ended| ended.status.success());
    ensure(ready, || {
        let install = "rustup toolchain install nightly && cargo install --locked cargo-fuzz";
        format!("fuzzing needs a nightly compiler and cargo-fuzz: {install}")
    })?;
    let (mut report, mut tally) = (Report::default(), Tally::default());
    let mut lines = Vec::new();
    for target in TARGETS {
        let result = run(&folders, &mut report, target);
        lines.extend(result.as_ref().ok().map(|runs| format!("{target:9} {runs} inputs")));
        tally.count(target, result);
    }
    println!("\nIn {SECONDS} s each:\n{}", lines.join("\n"));
    Ok(tally.last_line())
}

/// How many inputs the target was given; an error where one broke it.
fn run(folders: &Folders, report: &mut Report, target: &str) -> Result<u64> {
    let found = folders.cache.join("fuzz").join(target);
    std::fs::create_dir_all(&found).at("making", &found)?;
    let here = folders.repo.join("tests/fuzz");
    let call = Call::new("rustup")
        .args(["run", "nightly", "cargo", "fuzz", "run", "--fuzz-dir", ".", target])
        .args([&found, &here.join("corpus").join(target)])
        .args(["--", &format!("-max_total_time={SECONDS}"), "-print_final_stats=1"])
        .args(LIMITS)
        .dir(&here)
        .limit(LIMIT);
    let log = folders.cache.join("logs").join(format!("fuzz-{target}.log"));
    let logs = log.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(logs).at("making", logs)?;
    crate::products::run_logged(report, target, &call, &log)?;
    let text = std::fs::read_to_string(&log).at("reading", &log)?;
    let runs = executed(&text);
    ensure(runs != 0, || format!("{target} was given no input; log: {}", log.display()))?;
    Ok(runs)
}

/// The figure in the fuzzer's last words.
fn executed(log: &str) -> u64 {
    let line = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_inputs_is_read_from_the_log() {
        let log = "Done 9 runs\nstat::number_of_executed_units: 512\nstat::peak_rss_mb: 40\n";
        assert_eq!((executed(log), executed("")), (512, 0));
    }
}
