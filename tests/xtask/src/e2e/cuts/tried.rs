//! Cuts of a recorded run, each tried: judged by the oracle, started by the firmware until the boot
//! loader has said what it starts, and given to the same command again, on an image file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::judge::{Judge, Progress, Verdict, Whole};
use super::points::{self, Cut};
use crate::call::{Call, Ended};
use crate::disks::{self, TARGET};
use crate::dom0;
use crate::failure::{Failure, Result, ensure};
use crate::inside::{self, Partition};
use crate::lab::Lab;
use crate::qemu::Disk;
use crate::writelog::{Entry, Write, WriteLog};

/// Firmware and boot loader, under emulation on a busy machine.
const MARKER_LIMIT: Duration = Duration::from_secs(180);
/// A rerun on an image takes seconds.
const RERUN_LIMIT: Duration = Duration::from_secs(600);
/// The last line of our own boot loader's menu; it waits there for a person.
const MENU: &str = "Power off";
/// Where the first partition of a new table begins.
const HEAD: u64 = 2048;
/// The entries of a GPT, and its header.
const TABLE_SECTORS: u64 = 33;

/// A run that was recorded, and how what it left is judged and gone on with.
pub(super) struct Run {
    pub(super) name: &'static str,
    /// The disk before the run and after it.
    pub(super) before: PathBuf,
    pub(super) after: PathBuf,
    pub(super) log: WriteLog,
    pub(super) judge: Judge,
    /// The same command again, on an image.
    pub(super) rerun: fn(&Lab, &Path) -> Result<Ended>,
    /// What it ends with where the old system boots, and where the new one does.
    pub(super) ends: [(i32, &'static str); 2],
    /// What the console says when old and new system are started.
    pub(super) markers: [&'static str; 2],
    /// How many cuts are tried.
    pub(super) wanted: usize,
}

/// A partition of the run's table, by what the run does to it.
struct Region {
    name: String,
    first: u64,
    end: u64,
}

impl Run {
    /// The log is whole: with all of its writes the first disk is the second.
    fn check_log(&self, lab: &mut Lab, rolling: &Path) -> Result<()> {
        lab.report.stage(&format!("{}: replay the log as a whole", self.name), |_| {
            disks::copy(&self.before, rolling)?;
            self.log.replay(0..self.log.entries().len(), rolling)?;
            let bytes = std::fs::metadata(rolling).map_or(0, |about| about.len());
            match disks::first_difference(rolling, &self.after, 0..bytes)? {
                None => Ok(()),
                Some(at) => Err(Failure::check(format!(
                    "the log is not what was written: at byte {at} {} is not the disk",
                    rolling.display()
                ))),
            }
        })
    }

    /// Tries the cuts, and gives the last one that boots the old system and the first that boots
    /// the new one.
    pub(super) fn try_cuts(&self, lab: &mut Lab) -> Result<[Cut; 2]> {
        let (rolling, state) = (lab.run.join("rolling.img"), lab.run.join("cut.img"));
        self.check_log(lab, &rolling)?;
        let regions = self.regions()?;
        let decides = |write: &Write| decides(&regions, write);
        let cuts = points::choose(self.log.entries(), decides, self.wanted);
        println!("{}: {} cuts of {} entries", self.name, cuts.len(), self.log.entries().len());
        disks::copy(&self.before, &rolling)?;
        let (mut at, mut last_old, mut first_new) = (0, None, None);
        for cut in cuts {
            self.log.replay(at..cut.after, &rolling)?;
            at = cut.after;
            disks::copy(&rolling, &state)?;
            self.log.replay(cut.strays.iter().copied(), &state)?;
            let row = self.row(&regions, &cut);
            let tried = self.try_one(lab, &state);
            let (verdict, told) = tried.map_err(|source| Failure::Stage {
                stage: format!("{}: cut {row}", self.name),
                source: Box::new(source),
            })?;
            println!("  {row}: {}; {told}", verdict.outcome);
            match verdict.progress {
                Progress::Old => {
                    ensure(first_new.is_none() || !cut.strays.is_empty(), || {
                        format!("{}: cut {row} boots the old system again", self.name)
                    })?;
                    last_old = Some(cut);
                }
                Progress::New if cut.strays.is_empty() => {
                    first_new.get_or_insert(cut);
                }
                Progress::New => {}
            }
        }
        let both = last_old.zip(first_new);
        let (old, new) = both.ok_or_else(|| {
            Failure::check(format!("{}: only one of the two systems ever boots", self.name))
        })?;
        Ok([old, new])
    }

    /// What the verdict is, and how boot and rerun went.
    fn try_one(&self, lab: &mut Lab, state: &Path) -> Result<(Verdict, String)> {
        let verdict = self.judge.judge(state, Whole::AsRecorded)?;
        let (exit, words) = match verdict.progress {
            Progress::Old => self.ends[0],
            Progress::New => self.ends[1],
        };
        self.starts(lab, state, verdict.progress)?;
        let ended = (self.rerun)(lab, state)?;
        let said = || format!("{}{}", ended.stdout, ended.stderr);
        ensure(ended.code() == exit && said().contains(words), || {
            format!("the rerun ended with {}, {exit} expected, and said:\n{}", ended.code(), said())
        })?;
        let again = self.judge.judge(state, Whole::ByItsMarker)?;
        ensure(again.progress == Progress::New, || {
            format!("after the rerun it {}", again.outcome)
        })?;
        // A second copy of the boot state may be missing as long as the trial lasts.
        if verdict.progress == Progress::Old {
            verify(lab, state)?;
        }
        let last = ended.stderr.trim_end().lines().next_back().unwrap_or_default();
        let marker = self.marker(verdict.progress);
        let told = format!("says `{marker}`; rerun: exit {exit}, {last}; it {}", again.outcome);
        Ok((verdict, told))
    }

    /// The machine says what it starts. What it writes on the way is forgotten.
    pub(super) fn starts(&self, lab: &Lab, disk: &Path, progress: Progress) -> Result<()> {
        let marker = self.marker(progress);
        let disks = [Disk { path: disk.to_owned(), serial: TARGET }];
        let name = format!("{}-marker", self.name);
        let mut spec = dom0::spec(lab, &name, self.judge.firmware, &disks);
        spec.hardware = vec!["-snapshot".to_owned()];
        let mut machine = spec.start()?;
        let words = [self.markers[0], self.markers[1], MENU];
        let mut word = machine.serial.wait_for_any(&words, MARKER_LIMIT, &mut |_| {})?;
        if words.get(word) == Some(&MENU) {
            machine.serial.type_line("")?;
            word = machine.serial.wait_for_any(&self.markers, MARKER_LIMIT, &mut |_| {})?;
        }
        machine.cut_power()?;
        let said = self.markers.get(word).copied().unwrap_or_default();
        ensure(said == marker, || format!("it says `{said}`, not `{marker}` as by the oracle"))
    }

    const fn marker(&self, progress: Progress) -> &'static str {
        match progress {
            Progress::Old => self.markers[0],
            Progress::New => self.markers[1],
        }
    }

    /// The disk after one of the cuts.
    pub(super) fn disk(&self, lab: &Lab, cut: &Cut, name: &str) -> Result<PathBuf> {
        let disk = lab.run.join(format!("{name}.img"));
        disks::copy(&self.before, &disk)?;
        self.log.replay(0..cut.after, &disk)?;
        self.log.replay(cut.strays.iter().copied(), &disk)?;
        Ok(disk)
    }

    fn regions(&self) -> Result<Vec<Region>> {
        let table = inside::partitions(&self.after)?;
        let region = |partition: &Partition| Region {
            name: partition.name().to_owned(),
            first: partition.start,
            end: partition.start + partition.size,
        };
        let mut regions: Vec<Region> = table.iter().map(region).collect();
        // An old root may begin before the first place of a new partition.
        regions.insert(0, Region { name: "the disk's head".to_owned(), first: 0, end: HEAD });
        Ok(regions)
    }

    /// A cut in words: how much is there, and what was written last.
    fn row(&self, regions: &[Region], cut: &Cut) -> String {
        let entries = self.log.entries();
        let done = entries.get(..cut.after).unwrap_or_default();
        let last = done.iter().rev().find_map(Entry::write);
        let place = last.map_or("nothing", |write| place(regions, write));
        let flushed = if done.last() == Some(&Entry::Flush) { ", flushed" } else { "" };
        let strays = match (cut.strays.first(), cut.strays.last()) {
            (Some(first), Some(last)) => {
                format!(", and {} of the entries {first} to {last}", cut.strays.len())
            }
            _ => String::new(),
        };
        format!("{}, {place}{flushed}{strays}", cut.after)
    }
}

fn place<'a>(regions: &'a [Region], write: &Write) -> &'a str {
    let here = regions.iter().find(|region| (region.first..region.end).contains(&write.first));
    here.map_or("the disk's end", |region| region.name.as_str())
}

/// Blocks of the boot state, of tables and of boot code. Not the file systems that nothing reads
/// before a commit, nor what is written in long pieces, as the files of the boot partition are.
fn decides(regions: &[Region], write: &Write) -> bool {
    let in_bulk = ["root", "backup", "swap", "logs"].contains(&place(regions, write));
    !in_bulk && write.sectors <= TABLE_SECTORS
}

/// `host-installer verify`: another look than the oracle's.
fn verify(lab: &Lab, disk: &Path) -> Result<()> {
    Call::new(&lab.products.binaries.host_installer)
        .args(["verify", "--disk"])
        .arg(format!("{TARGET}={}", disk.display()))
        .limit(RERUN_LIMIT)
        .stdout()
        .map(drop)
}
