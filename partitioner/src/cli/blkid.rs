//! `blkid`, the one program that this command runs: read only, with a cleared environment, from a
//! fixed folder.

use std::path::Path;
use std::process::Stdio;

use partitioner::inspect::foreign;

const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What lies in a range of the device or file, in bytes; `None` where nothing is known.
pub(super) fn look(path: &Path, start: u64, length: u64) -> Option<String> {
    match run(path, start, length) {
        Ok((status, text)) => foreign::describe(status, &text),
        // An unknown content is not a blank one.
        Err(why) => Some(format!("unknown: blkid: {why}")),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that starts a program")]
fn run(path: &Path, start: u64, length: u64) -> Result<(i32, String), String> {
    let programs = FOLDERS.map(|folder| Path::new(folder).join("blkid"));
    let program = programs.iter().find(|program| program.is_file());
    let program = program.ok_or_else(|| format!("not in {}", FOLDERS.join(", ")))?;
    let output = std::process::Command::new(program)
        .args(foreign::args(start, length))
        .arg(path)
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if let Some(status @ (0 | foreign::NOTHING | foreign::AMBIVALENT)) = output.status.code() {
        return Ok((status, String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}", output.status, said.trim()))
}
