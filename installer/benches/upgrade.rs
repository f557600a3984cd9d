//! How long an upgrade on an image takes, beside writing the same release to a fresh slot: the
//! steps of an installation that make slot a, the copy through the fence and its reading back with
//! them. Both in turn, on one file system, so that what else the machine does meets both. What was
//! written before is brought to the disk first, and the order changes from round to round: who
//! comes second meets what the first has left to the kernel.
//!
//!   cargo bench -p installer --bench upgrade -- RELEASE [ROUNDS]
//!
//! RELEASE is the folder of a release, in which nothing is written. Without it nothing is measured:
//! a made-up release would say nothing of a real one. Images lie in the folder for temporary files
//! (`TMPDIR`).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "what a benchmark finds is printed")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use installer::call::{Call, Processes, Run};
use installer::cancel::Cancel;
use installer::engine;
use installer::host::image::ImageHost;
use installer::probe;
use installer::release_dir::Release;
use installer::upgrade::{self, AtRest, Rest, read};
use installer_core::event::Event;
use installer_core::facts::{DiskFacts, Firmware, HostFacts, MachineFacts};
use installer_core::plan::{self, Step};
use installer_core::release::{MANIFEST, Manifest};
use installer_core::upgrade::Wish;
use installer_core::values::Redactor;
use installer_core::{answers, request};
use partitioner::block::file::FileDisk;
use partitioner::ids::Ids;
use partitioner::layout::Role;
use partitioner::table::write_set;
use partitioner::units::{BlockSize, Bytes};

#[path = "../src/testing.rs"]
#[allow(dead_code, reason = "its releases are for tests")]
mod testing;

const SIZE: BlockSize = BlockSize::B512;
const ROUNDS: usize = 9;
const ROLE: Role = Role::Root;
/// What an installation does for slot a.
const OF_SLOT: [Step; 4] = [
    Step::WriteSlot { role: ROLE },
    Step::IdentifySlot { role: ROLE },
    Step::ConfigureSlot { role: ROLE },
    Step::CheckSlot { role: ROLE },
];

/// Each step with the time that it took, in order.
type Steps = Vec<(String, Duration)>;

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let Some(release) = args.next().map(PathBuf::from) else {
        println!("nothing is measured without the folder of a release; see benches/upgrade.rs");
        return;
    };
    let rounds = args.next().map_or(ROUNDS, |text| text.parse().unwrap());
    let second = second(&release);
    let (first, second) = (Release::open(&release).unwrap(), Release::open(second.path()).unwrap());
    let image = &first.manifest().image;
    let data: u64 = image.chunks.iter().filter(|c| !c.zero).map(|c| c.length).sum();
    println!(
        "dom0 image of {}, of which {} are not zero, {} packed; {rounds} rounds",
        Bytes::new(image.size),
        Bytes::new(data),
        Bytes::new(image.file_size)
    );
    let mut fresh = Times::new("slot a of an installation");
    let mut whole = Times::new("upgrade");
    for round in 1..=rounds {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let host = path("host.img");
        install(&first, &host);
        bless(dir.path(), &host);
        let fresh_slot = || {
            rustix::fs::sync();
            let mut slot = install(&first, &path("fresh.img"));
            slot.retain(|(title, _)| OF_SLOT.iter().any(|step| step.title() == *title));
            assert_eq!(slot.len(), OF_SLOT.len(), "{slot:?}");
            slot
        };
        let upgraded = || {
            rustix::fs::sync();
            upgrade(&second, &host)
        };
        let (slot, upgrade) = if round % 2 == 0 {
            let upgrade = upgraded();
            (fresh_slot(), upgrade)
        } else {
            (fresh_slot(), upgraded())
        };
        println!(
            "round {round}: {:.2} s, {:.2} s",
            fresh.add(slot).as_secs_f64(),
            whole.add(upgrade).as_secs_f64()
        );
    }
    let (fresh, whole) = (fresh.told(), whole.told());
    println!("upgrade / slot a: {:.2}", whole.as_secs_f64() / fresh.as_secs_f64());
}

/// The same release, as the next one: another build, and links to the same files.
fn second(release: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read(release.join(MANIFEST)).unwrap();
    let mut manifest: Manifest = serde_json::from_slice(&text).unwrap();
    manifest.build.push_str("-next");
    let folder = release.canonicalize().unwrap();
    for entry in folder.read_dir().unwrap() {
        let (from, name) = (entry.as_ref().unwrap().path(), entry.as_ref().unwrap().file_name());
        if name.as_os_str() != MANIFEST {
            std::os::unix::fs::symlink(from, dir.path().join(name)).unwrap();
        }
    }
    std::fs::write(dir.path().join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
    dir
}

fn probed(disk: &Path) -> DiskFacts {
    probe::probe_image("SN42", disk, SIZE, &mut Processes).unwrap()
}

/// Times the steps that events tell of.
#[derive(Default)]
struct Watch {
    steps: Steps,
    begun: Option<(String, Instant)>,
}

impl Watch {
    fn hear(&mut self, event: Event) {
        match event {
            Event::StepBegun { title, .. } => self.begun = Some((title, Instant::now())),
            Event::StepDone { .. } => {
                let (title, begun) = self.begun.take().unwrap();
                self.steps.push((title, begun.elapsed()));
            }
            Event::Started { .. }
            | Event::Progress { .. }
            | Event::Warning { .. }
            | Event::Script(_)
            | Event::Committed
            | Event::Finished => {}
        }
    }
}

fn install(release: &Release, disk: &Path) -> Steps {
    FileDisk::create(disk, Bytes::gib(46), SIZE).unwrap();
    let facts = HostFacts {
        firmware: Firmware::Uefi,
        memory: Bytes::gib(3),
        cpus: 2,
        machine: MachineFacts::default(),
        disks: vec![probed(disk)],
        nics: Vec::new(),
    };
    let answers = answers::parse("answers", testing::ANSWERS.as_bytes()).unwrap();
    let request = request::resolve(&answers, &facts).unwrap();
    let mut ids = Ids::from_seed([7; 32]);
    let plan = plan::plan(&request, &facts, release.manifest(), &mut ids).unwrap();
    let plan = plan::checked(plan).unwrap();
    let mut host = ImageHost::open(disk, SIZE, write_set(&plan.plan().table)).unwrap();
    let redactor = Redactor::default();
    let job =
        engine::Job { plan: &plan, request: &request, facts: &facts, release, redactor: &redactor };
    let mut watch = Watch::default();
    engine::run(job, &mut host, &Cancel::default(), &mut |event| watch.hear(event)).unwrap();
    watch.steps
}

/// The file that the first good boot leaves.
fn bless(dir: &Path, disk: &Path) {
    let facts = read::read(&probed(disk), None, &mut Processes).unwrap().unwrap();
    let root = facts.table.partition(Role::Root).unwrap().extent.first();
    let (file, script) = (dir.join("blessed"), dir.join("script"));
    std::fs::write(&file, "{}\n").unwrap();
    let at = "var/lib/xenhost";
    let lines = format!("mkdir {at}\nwrite {} {at}/blessed.json\n", file.display());
    std::fs::write(&script, lines).unwrap();
    let image = format!("{}?offset={}", disk.display(), root.byte_offset(SIZE).unwrap());
    Processes.run(&Call::new("debugfs").args(["-w", "-f"]).arg(script).arg(image)).unwrap();
}

/// From the disk as it is found to the commit.
fn upgrade(release: &Release, disk: &Path) -> Steps {
    let begun = Instant::now();
    let facts = read::read(&probed(disk), None, &mut Processes).unwrap().unwrap();
    let plan = installer_core::upgrade::plan(&facts, release.manifest(), &Wish::default()).unwrap();
    let mut site = AtRest::open(Rest::Image, &plan).unwrap();
    let mut watch =
        Watch { steps: vec![("read and plan".to_owned(), begun.elapsed())], begun: None };
    let cancel = Cancel::default();
    upgrade::run(&plan, release, &mut site, &cancel, &mut |event| watch.hear(event)).unwrap();
    watch.steps
}

/// All rounds of one of the two.
struct Times {
    what: &'static str,
    titles: Vec<String>,
    of_step: BTreeMap<String, Vec<Duration>>,
    whole: Vec<Duration>,
}

impl Times {
    fn new(what: &'static str) -> Self {
        Self { what, titles: Vec::new(), of_step: BTreeMap::new(), whole: Vec::new() }
    }

    fn add(&mut self, steps: Steps) -> Duration {
        let whole = steps.iter().map(|(_, time)| *time).sum();
        self.titles = steps.iter().map(|(title, _)| title.clone()).collect();
        for (title, time) in steps {
            self.of_step.entry(title).or_default().push(time);
        }
        self.whole.push(whole);
        whole
    }

    /// Prints the medians of the steps, and gives that of the whole.
    fn told(&self) -> Duration {
        println!("{}, medians:", self.what);
        for title in &self.titles {
            println!("  {:>7.3} s  {title}", median(&self.of_step[title]).as_secs_f64());
        }
        let whole = median(&self.whole);
        println!("  {:>7.3} s  all of it", whole.as_secs_f64());
        whole
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}
