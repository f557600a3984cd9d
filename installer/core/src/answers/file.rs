//! What can be said of an answer file before it is read as YAML.

use super::SIZE_MAX;
use crate::problem::{Place, Problem, Problems};

/// The text of the file, without a byte order mark.
pub(super) fn text<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, Problems> {
    if SIZE_MAX < bytes.len() {
        return Err(Problems::whole(
            file,
            format!(
                "the answer file is larger than {} KiB: {} bytes",
                SIZE_MAX / 1024,
                bytes.len()
            ),
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| not_utf8(file, bytes, e.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let start = text.trim_start().get(..64).unwrap_or(text.trim_start()).to_ascii_lowercase();
    if start.is_empty() {
        return Err(Problems::whole(file, "answer file is empty"));
    }
    if start.starts_with("<!doctype html") || start.starts_with("<html") {
        return Err(Problems::whole(
            file,
            "this is an HTML page, not an answer file: the server may have sent an error page",
        ));
    }
    if let Some((before, _)) = text.split_once('\0') {
        let mut problems = Problems::new(file);
        problems.push(Problem::new(place_after(before), "", "a NUL byte: this is not text"));
        return Err(problems);
    }
    Ok(text)
}

fn not_utf8(file: &str, bytes: &[u8], valid: usize) -> Problems {
    let before = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
    let mut problems = Problems::new(file);
    let what = format!("the answer file must be UTF-8 (byte offset {valid})");
    let mut problem = Problem::new(place_after(&before), "", what);
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        problem = problem.hint("it looks like UTF-16; save it as UTF-8");
    }
    problems.push(problem);
    problems
}

/// The place of the character that follows the text.
fn place_after(text: &str) -> Place {
    let lines = text.matches('\n').count();
    let last = text.rsplit('\n').next().unwrap_or_default().chars().count();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
    Place { line: number(lines), column: number(last) }
}
