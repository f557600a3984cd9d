//! The lock on a disk or an image that udev respects, and that keeps a second installer away; and
//! who holds it, where it is not to be had.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock, major, minor};

use crate::ports::HostError;
use crate::probe::Machine;
use crate::wait;

/// What the kernel calls our own program (`/proc/PID/comm`).
const OURS: &str = "host-installer";

/// udev holds it for moments while it looks at a disk, which it does after each write; and so does
/// a program that is just being started, until it has given up the files of whoever started it.
pub(crate) fn lock(file: &File, path: &Path) -> Result<(), HostError> {
    let locked =
        wait::until(|| flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()).is_some();
    if locked { Ok(()) } else { Err(held(&Machine::running(), file, path)) }
}

/// Of a whole machine, for those that set its other disks read-only: two at a time would do so to
/// each other's disk. Nobody else knows of the file, so that nothing is waited for.
pub(crate) fn alone(machine: &Machine, folder: &Path) -> Result<File, HostError> {
    let path = folder.join("host-installer.lock");
    let file = File::create(&path).map_err(|source| HostError::File {
        action: "making",
        path: path.clone(),
        source,
    })?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => Err(held(machine, &file, &path)),
    }
}

/// Why it is not to be had.
fn held(machine: &Machine, file: &File, path: &Path) -> HostError {
    let disk = path.display().to_string();
    // Without `/proc`, or where it is gone by now, there is nobody to name.
    let holder = holder(machine, file).ok().flatten();
    match holder.map(|pid| (pid, program(machine, pid))) {
        Some((pid, Some(program))) if program == OURS => HostError::Running { disk, pid },
        Some((pid, Some(program))) => HostError::Busy {
            disk,
            by: format!("{program}, process {pid}, which holds a lock on it"),
        },
        Some((_, None)) | None => {
            HostError::Busy { disk, by: "another program, which holds a lock on it".to_owned() }
        }
    }
}

/// The process that has the lock.
fn holder(machine: &Machine, file: &File) -> io::Result<Option<u32>> {
    let meta = file.metadata()?;
    let device = meta.dev();
    let place = format!("{:02x}:{:02x}:{}", major(device), minor(device), meta.ino());
    let locks = fs::read_to_string(machine.proc.join("locks"))?;
    Ok(locks.lines().find_map(|line| held_by(line, &place)))
}

/// `1: FLOCK  ADVISORY  WRITE 18419 fe:00:10010769 0 EOF`; one that waits has `->` in front
/// (`proc_locks(5)`).
fn held_by(line: &str, place: &str) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    let kind = words.next()?;
    let pid = words.nth(2)?.parse().ok()?;
    (kind == "FLOCK" && words.next()? == place).then_some(pid)
}

fn program(machine: &Machine, pid: u32) -> Option<String> {
    let name = fs::read_to_string(machine.proc.join(pid.to_string()).join("comm")).ok()?;
    Some(name.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: &str = "fe:00:10010769";

    #[track_caller]
    fn check(line: &str, want: Option<u32>) {
        assert_eq!(held_by(line, PLACE), want, "{line}");
    }

    #[test]
    fn the_line_of_the_lock_names_its_process() {
        check("1: FLOCK  ADVISORY  WRITE 18419 fe:00:10010769 0 EOF", Some(18419));
        check("1: -> FLOCK  ADVISORY  WRITE 18419 fe:00:10010769 0 EOF", None);
        check("2: POSIX  ADVISORY  WRITE 18419 fe:00:10010769 0 EOF", None);
        check("3: FLOCK  ADVISORY  WRITE 18419 fe:00:1001 0 EOF", None);
        check("4: FLOCK  ADVISORY  READ -1 fe:00:10010769 0 EOF", None);
        check("", None);
    }

    /// A machine whose kernel tells of one lock, on this file.
    fn told(program: Option<&str>) -> HostError {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.img");
        let file = File::create(&path).unwrap();
        let meta = file.metadata().unwrap();
        let (major, minor) = (major(meta.dev()), minor(meta.dev()));
        let line =
            format!("1: FLOCK  ADVISORY  WRITE 42 {major:02x}:{minor:02x}:{} 0 EOF\n", meta.ino());
        fs::write(folder.path().join("locks"), line).unwrap();
        if let Some(program) = program {
            fs::create_dir(folder.path().join("42")).unwrap();
            fs::write(folder.path().join("42/comm"), format!("{program}\n")).unwrap();
        }
        let machine = Machine { proc: folder.path().to_owned(), ..Machine::running() };
        held(&machine, &file, Path::new("/dev/sdx"))
    }

    #[test]
    fn one_at_a_time_sets_the_disks_of_a_machine_read_only() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::running();
        let first = alone(&machine, folder.path()).unwrap();
        let error = alone(&machine, folder.path()).unwrap_err().to_string();
        let own = format!("process {}, which holds a lock", std::process::id());
        assert!(error.contains(&own), "{error}");
        drop(first);
        // A program that another test starts may have it open until it has begun.
        wait::until(|| alone(&machine, folder.path()).is_ok()).unwrap();
    }

    #[test]
    fn whoever_holds_it_is_named() {
        let says = |program| told(program).to_string();
        assert_eq!(
            says(Some("host-installer")),
            "/dev/sdx: another installation is running (pid 42)"
        );
        assert_eq!(
            says(Some("udevd")),
            "/dev/sdx is in use by udevd, process 42, which holds a lock on it"
        );
        assert_eq!(says(None), "/dev/sdx is in use by another program, which holds a lock on it");
    }
}
