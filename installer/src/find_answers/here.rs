//! The installer environment as it is.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use installer_core::boot_line::{self, BootLine};
use installer_core::values::{MachineNames, WebUrl};

use super::{FindError, Labelled, MEDIUM, MOUNTED, Places, bring_up, label, read_max};
use crate::call::{Call, Processes, Run};
use crate::fetch::{Fetch as _, Patience, Trust, Web};
use crate::host::linux::Elsewhere;
use crate::probe::{self, Machine};

/// Block devices that are no volumes of their own; floppies take seconds to say that none is there.
const MADE_UP: [&str; 6] = ["dm-", "fd", "loop", "nbd", "ram", "zram"];

/// How long a medium may take to appear, and the program that looks for it to end.
const MEDIUM_SECONDS: &str = "60";
const MEDIUM_LIMIT: Duration = Duration::from_secs(180);

/// The machine that this program runs on.
#[derive(Debug)]
pub struct Here {
    pub machine: Machine,
}

impl Default for Here {
    fn default() -> Self {
        Self { machine: Machine::running() }
    }
}

impl Here {
    /// Whom to trust: a pinned key, certificates that the kernel line names, or the system's.
    pub fn trust(line: &BootLine) -> Trust {
        if let Some(key) = line.key {
            return Trust::Key(key);
        }
        let Some(path) = &line.ca else { return Trust::default() };
        Trust::Authorities(Self::file_or_medium(path))
    }

    /// A file that is named by its whole path, or lies on the medium under it.
    pub(crate) fn file_or_medium(path: &str) -> PathBuf {
        let here = PathBuf::from(path);
        if here.exists() {
            return here;
        }
        // Whoever opens the file tells that it is not there.
        if Elsewhere::detect() == Elsewhere::Lock {
            drop(Self::medium());
        }
        Path::new(MEDIUM).join(path.trim_start_matches('/'))
    }

    /// The medium in the installer environment, mounted. Where the kernel line names the web,
    /// nobody has waited for it yet.
    pub(crate) fn medium() -> Result<&'static Path, FindError> {
        medium(Path::new(MOUNTED), &mut Processes)?;
        Ok(Path::new(MEDIUM))
    }

    /// Brings the network up as the kernel line says, unless it is.
    pub(crate) fn connect_now(&mut self) -> Result<(), FindError> {
        let line = boot_line::parse(&self.kernel_line()?).map_err(FindError::Line)?;
        self.connect(&line).map(drop)
    }
}

impl Places for Here {
    fn kernel_line(&mut self) -> Result<String, FindError> {
        let path = self.machine.proc.join("cmdline");
        std::fs::read_to_string(&path).map_err(|e| unreadable(&path, &e))
    }

    fn file(&mut self, path: &str) -> Result<Option<Vec<u8>>, FindError> {
        let path = Path::new(path);
        if path.is_dir() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|f| f.take(read_max()).read_to_end(&mut bytes));
        match read {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
            Err(error) => Err(unreadable(path, &error)),
        }
    }

    fn labelled(&mut self) -> Result<Vec<Labelled>, FindError> {
        let class = self.machine.sys.join("class/block");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&class).map_err(|e| unreadable(&class, &e))? {
            let entry = entry.map_err(|e| unreadable(&class, &e))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        // Disks, partitions and discs; not what was made from them.
        names.retain(|name| !MADE_UP.iter().any(|start| name.starts_with(start)));
        names.sort();
        let devices = names.iter().map(|name| self.machine.dev.join(name.replace('!', "/")));
        // A drive without a disc, a sector that cannot be read: not the one.
        let found = devices.filter_map(|device| label::read(&device).ok().flatten()).collect();
        Ok(found)
    }

    fn connect(&mut self, line: &BootLine) -> Result<MachineNames, FindError> {
        let mac = bring_up(line, &self.machine, Path::new("/"), &mut Processes)?;
        let told = probe::machine_names(&self.machine);
        Ok(MachineNames { mac: Some(mac), serial: told.serial, uuid: told.system_uuid })
    }

    fn fetch(&mut self, url: &WebUrl, line: &BootLine) -> Result<Vec<u8>, FindError> {
        let web = Web::new(&Self::trust(line), Patience::default())?;
        Ok(web.get(url, read_max().saturating_sub(1))?)
    }
}

fn medium(mounted: &Path, run: &mut dyn Run) -> Result<(), FindError> {
    if mounted.exists() {
        return Ok(());
    }
    // Its one line is the reason.
    let call = Call::new("xenhost-medium").arg(MEDIUM_SECONDS).accept(1).timeout(MEDIUM_LIMIT);
    let told = run.run(&call).map_err(|error| FindError::NoMedium(error.to_string()))?;
    match told.status {
        0 => Ok(()),
        _ => Err(FindError::NoMedium(told.stdout_text().trim().to_owned())),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> FindError {
    FindError::Read { place: path.display().to_string(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{CallError, Output};

    /// A program that ends with this status and says why.
    #[derive(Debug)]
    struct Finder(Option<i32>);

    impl Run for Finder {
        fn run(&mut self, call: &Call) -> Result<Output, CallError> {
            assert_eq!(call.to_string(), "xenhost-medium 60");
            let status = self.0.expect("the medium is mounted, nobody looks for it");
            Ok(Output { status, stdout: b"told\n".to_vec(), stderr: Vec::new() })
        }
    }

    #[test]
    fn the_medium_is_looked_for_when_it_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let mounted = folder.path().join("medium");
        medium(&mounted, &mut Finder(Some(0))).unwrap();
        let error = medium(&mounted, &mut Finder(Some(1))).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.exit().code()), ("told", 15));
        std::fs::write(&mounted, "sr0\n").unwrap();
        medium(&mounted, &mut Finder(None)).unwrap();
    }
}
