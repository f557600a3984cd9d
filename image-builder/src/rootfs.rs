//! The dom0 image as a directory: Debian's packages, our files, nothing of the build machine.
//!
//! In: a suite, the archive, the `host-installer` binary. Out: a folder with `root/` (dom0),
//! `tools/` (that suite's GRUB, e2fsprogs, busybox …) and `rootfs.json`, all that a release needs.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::exec::Call;
use crate::progress::Progress;
use crate::sources::{self, Entry, Source};
use crate::{space, tree};

pub mod bootstrap;
pub mod customise;
pub mod overlay;
pub mod packages;

use bootstrap::{Recipe, Variant};
use packages::Profile;

/// File names within the folder.
pub const ROOT: &str = "root";
pub const TOOLS: &str = "tools";
pub const RECORD: &str = "rootfs.json";

/// Space for the tree and the tools; the caches are small beside it.
const SPACE_NEEDED_MINIMAL: u64 = 2 << 30;
const SPACE_NEEDED_STANDARD: u64 = 4 << 30;

/// What to build.
#[derive(Clone, Debug)]
pub struct Options {
    pub suite: String,
    pub profile: Profile,
    pub host_installer: PathBuf,
    pub out: PathBuf,
    /// In place of the build machine's archives.
    pub mirrors: Vec<String>,
    pub keyring: Option<String>,
    pub cache: PathBuf,
    /// `SOURCE_DATE_EPOCH`; without it the archive's own date is used.
    pub epoch: Option<i64>,
}

/// `rootfs.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub suite: String,
    pub profile: String,
    /// The time that every younger file of the tree was given.
    pub epoch: i64,
}

impl Record {
    pub fn read(rootfs: &Path) -> Result<Self> {
        let path = rootfs.join(RECORD);
        let text = std::fs::read(&path).map_err(Error::io(&path))?;
        serde_json::from_slice(&text).map_err(|e| Error::NotA {
            path,
            expected: "the record of a dom0 tree",
            reason: e.to_string(),
        })
    }
}

/// Builds the folder.
pub fn build(options: &Options, progress: &dyn Progress) -> Result<Record> {
    check(options)?;
    progress.stage("reading the package archive's state");
    let sources = archive(options)?;
    let (sources, in_release) = read_in_release(sources, progress)?;
    let epoch = options.epoch.unwrap_or_else(|| newest_date(&in_release));
    let (packages, warning) = packages::packages(options.profile, &sources);
    if let Some(text) = warning {
        progress.warn(&text);
    }
    let dpkg_options = match options.profile {
        Profile::Minimal => packages::DPKG_OPTIONS_MINIMAL,
        Profile::Standard => &[],
    };
    let recipe = Recipe {
        variant: Variant::System,
        suite: &options.suite,
        sources: &sources,
        in_release: &in_release,
        packages: &packages,
        dpkg_options,
        epoch,
        cache: &options.cache,
    };
    customise::remove(&options.out.join(RECORD))?;
    progress.stage("installing the packages of dom0");
    let root = options.out.join(ROOT);
    bootstrap::make(&recipe, &root, progress)?;
    progress.stage("unpacking the tools of the suite");
    let tools = Recipe {
        variant: Variant::Unpacked,
        packages: packages::TOOLS,
        dpkg_options: packages::DPKG_OPTIONS_MINIMAL,
        ..recipe
    };
    bootstrap::make(&tools, &options.out.join(TOOLS), progress)?;
    progress.stage("turning Debian into a dom0");
    customise::customise(&root, &options.host_installer, &sources)?;
    tree::clamp_times(&root, epoch)?;
    let record =
        Record { suite: options.suite.clone(), profile: options.profile.name().into(), epoch };
    write_record(options, &record)?;
    Ok(record)
}

fn check(options: &Options) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if options.suite.is_empty() || !options.suite.chars().all(plain) {
        return Err(Error::BadSuite { suite: options.suite.clone() });
    }
    let binary = &options.host_installer;
    binary.metadata().map_err(Error::io(binary))?;
    let need = match options.profile {
        Profile::Minimal => SPACE_NEEDED_MINIMAL,
        Profile::Standard => SPACE_NEEDED_STANDARD,
    };
    space::require(&options.out, need, "the dom0 tree")
}

fn write_record(options: &Options, record: &Record) -> Result<()> {
    let path = options.out.join(RECORD);
    let text = serde_json::to_string_pretty(record).unwrap_or_default();
    std::fs::write(&path, text + "\n").map_err(Error::io(&path))
}

/// The archives to use: those named, or those of the build machine.
fn archive(options: &Options) -> Result<Vec<Source>> {
    let keyring = options.keyring.as_deref();
    if !options.mirrors.is_empty() {
        let mirrors = options.mirrors.iter();
        return Ok(mirrors.map(|m| sources::from_mirror(m, &options.suite, keyring)).collect());
    }
    let mut found = sources::for_suite(&entries(Path::new("/etc/apt"))?, &options.suite)?;
    if let Some(keyring) = keyring {
        for source in &mut found {
            source.signed_by = Some(keyring.to_owned());
        }
    }
    Ok(found)
}

/// Every entry below `apt`, in the order of their files.
fn entries(apt: &Path) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let read = |path: &Path| std::fs::read_to_string(path).map_err(Error::io(path));
    let list = apt.join("sources.list");
    if list.is_file() {
        found.extend(sources::parse_list(&read(&list)?));
    }
    let parts = apt.join("sources.list.d");
    if !parts.is_dir() {
        return Ok(found);
    }
    for node in tree::walk(&parts)?.iter().filter(|n| !n.meta.is_dir()) {
        let path = parts.join(&node.path);
        match path.extension().and_then(|e| e.to_str()) {
            Some("list") => found.extend(sources::parse_list(&read(&path)?)),
            Some("sources") => found.extend(sources::parse_deb822(&read(&path)?)),
            _ => {}
        }
    }
    Ok(found)
}

/// Fetches what each archive signed about itself. The main one must answer; one of the others may
/// not exist for the suite.
fn read_in_release(
    sources: Vec<Source>,
    progress: &dyn Progress,
) -> Result<(Vec<Source>, Vec<Vec<u8>>)> {
    let (mut kept, mut texts) = (Vec::new(), Vec::new());
    for source in sources {
        let read = match source.folder() {
            Some(folder) => local_in_release(folder, &source.suite),
            None => fetch(&source.in_release_url()),
        };
        match read {
            Ok(text) => {
                kept.push(source);
                texts.push(text);
            }
            Err(error) if kept.is_empty() => return Err(error),
            Err(error) => progress.warn(&format!("going without {}: {error}", source.suite)),
        }
    }
    Ok((kept, texts))
}

/// An archive on this machine may do without the signed form.
fn local_in_release(folder: &str, suite: &str) -> Result<Vec<u8>> {
    let dist = Path::new(folder).join("dists").join(suite);
    let signed = dist.join("InRelease");
    let path = if signed.is_file() { signed } else { dist.join("Release") };
    std::fs::read(&path).map_err(|e| Error::ArchiveUnreachable {
        url: path.display().to_string(),
        reason: e.to_string(),
    })
}

/// With apt's own fetcher, so that its proxies and methods count.
fn fetch(url: &str) -> Result<Vec<u8>> {
    let fetcher = Path::new("/usr/lib/apt/apt-helper");
    let dir = tempfile::tempdir().map_err(Error::io(Path::new("a temporary directory")))?;
    let to = dir.path().join("InRelease");
    let call = Call::host("env", "coreutils")?.arg(fetcher).arg("download-file").arg(url).arg(&to);
    call.output().map_err(|error| Error::ArchiveUnreachable {
        url: url.to_owned(),
        reason: error.stderr_tail().last().cloned().unwrap_or_else(|| error.to_string()),
    })?;
    std::fs::read(&to).map_err(Error::io(&to))
}

/// The youngest `Date:` among the statements, as seconds since 1970.
fn newest_date(in_release: &[Vec<u8>]) -> i64 {
    let dates = in_release.iter().filter_map(|text| {
        let text = String::from_utf8_lossy(text);
        let line = text.lines().find_map(|l| l.strip_prefix("Date:"))?;
        epoch_of(line.trim())
    });
    dates.max().unwrap_or(0)
}

/// Reads `Sat, 09 Aug 2025 08:22:01 UTC`.
fn epoch_of(date: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = date.split_whitespace().collect();
    let &[_, day, month, year, clock, _] = words.as_slice() else { return None };
    let month = i64::try_from(MONTHS.iter().position(|m| *m == month)?).ok()? + 1;
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    let mut seconds = 0;
    for part in clock.split(':') {
        seconds = seconds * 60 + part.parse::<i64>().ok()?;
    }
    // Days since 1970 in the Gregorian calendar, counting years from March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_archives() {
        assert_eq!(epoch_of("Thu, 01 Jan 1970 00:00:00 UTC"), Some(0));
        assert_eq!(epoch_of("Sat, 09 Aug 2025 08:22:01 UTC"), Some(1_754_727_721));
        assert_eq!(epoch_of("Thu, 29 Feb 2024 23:59:59 UTC"), Some(1_709_251_199));
        assert_eq!(epoch_of("yesterday"), None);
        let texts = [b"A: b\nDate: Sat, 09 Aug 2025 08:22:01 UTC\n".to_vec(), b"x".to_vec()];
        assert_eq!(newest_date(&texts), 1_754_727_721);
    }

    #[test]
    fn a_suite_is_a_plain_name() {
        let options = Options {
            suite: "../x".into(),
            profile: Profile::Minimal,
            host_installer: "/bin/true".into(),
            out: "/tmp".into(),
            mirrors: Vec::new(),
            keyring: None,
            cache: "/tmp".into(),
            epoch: None,
        };
        assert!(matches!(check(&options), Err(Error::BadSuite { .. })));
    }
}
