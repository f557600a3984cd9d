//! The signatures that `blkid` knows: some hundred file systems, RAID members and encrypted
//! volumes.

use std::path::Path;

use crate::call::{Call, Output, Run};

/// Nothing was found.
const NOTHING: i32 = 2;
/// Several signatures that contradict each other.
const AMBIVALENT: i32 = 8;

/// What lies in the byte range of the device or file; `None` where nothing is known.
pub(super) fn look(path: &Path, start: u64, length: u64, run: &mut dyn Run) -> Option<String> {
    let call = Call::new("blkid")
        .args(["-p", "-o", "export", "-O", &start.to_string(), "-S", &length.to_string()])
        .arg(path)
        .accept(NOTHING)
        .accept(AMBIVALENT);
    match run.run(&call) {
        Ok(output) => describe(&output),
        // An unknown content is not a blank one.
        Err(error) => Some(format!("unknown: {error}")),
    }
}

fn describe(output: &Output) -> Option<String> {
    if output.status == AMBIVALENT {
        return Some("several signatures that contradict each other".to_owned());
    }
    let text = output.stdout_text();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        // `blkid` quotes what a shell would not take.
        Some(line.replace('\\', ""))
    };
    let kind = match (value("TYPE"), value("PTTYPE")) {
        (Some(kind), _) => kind,
        // Tables that our own reader knows, and found empty.
        (None, Some(table)) if table == "gpt" || table == "dos" || table == "PMBR" => return None,
        (None, Some(table)) => format!("a partition table of type {table}"),
        (None, None) => return None,
    };
    Some(match value("LABEL") {
        Some(label) => format!("{kind} \"{label}\""),
        None => kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: i32, text: &str, want: Option<&str>) {
        let output = Output { status, stdout: text.into(), stderr: Vec::new() };
        assert_eq!(describe(&output).as_deref(), want);
    }

    #[test]
    fn what_blkid_says() {
        check(0, "DEVNAME=x\nLABEL=my\\ disk\nTYPE=ext4\n", Some("ext4 \"my disk\""));
        check(0, "DEVNAME=x\nUUID=1\nTYPE=LVM2_member\n", Some("LVM2_member"));
        check(0, "DEVNAME=x\nPTTYPE=sun\n", Some("a partition table of type sun"));
        check(0, "DEVNAME=x\nPTUUID=1\nPTTYPE=gpt\n", None);
        check(NOTHING, "", None);
        check(AMBIVALENT, "", Some("several signatures that contradict each other"));
    }
}
