//! A tiny host on an image file: installed, upgraded, blessed and rolled back by the real code,
//! with every write to the disk recorded.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crash_explorer::epochs::{Step, steps};
use crash_explorer::image::{Block, Image};
use installer::bless::{self, BlessError, BootFiles, Limits, World};
use installer::boot_menu::BootMenuError;
use installer::call::{Call, CallError, Output, Processes, Run};
use installer::cancel::Cancel;
use installer::host::image::ImageHost;
use installer::release_dir::Release;
use installer::upgrade::{self, AtRest, read, rollback, root, root::SlotRoot};
use installer::{engine, probe};
use installer_core::bootstate::Slot;
use installer_core::event::Event;
use installer_core::facts::{Firmware, HostFacts, MachineFacts};
use installer_core::release::{MANIFEST, Manifest};
use installer_core::request::{self, Refusal};
use installer_core::upgrade::{self as core, UpgradeFacts, UpgradePlan, Wish};
use installer_core::{answers, plan};
use partitioner::block::BlockIo;
use partitioner::block::file::FileDisk;
use partitioner::block::recorder::{Log, Recorder};
use partitioner::block::window::Window;
use partitioner::ids::Ids;
use partitioner::layout::Role;
use partitioner::table::{TablePlan, write_set};
use partitioner::units::{BlockSize, Bytes, Extent};
use rustix::fs::{SeekFrom, seek};
use tempfile::TempDir;

use super::testing::{ANSWERS, TinyRelease, dom0};

const SIZE: Bytes = Bytes::gib(46);
const BLOCK: BlockSize = BlockSize::B512;
/// Releases, oldest first. The first is the one that is installed.
pub(crate) const VERSIONS: [&str; 4] = ["0.1.0", "0.2.0", "0.3.0", "0.4.0"];
/// Names the release in a slot; no other file tells it to the oracle.
pub(crate) const VERSION_FILE: &str = "etc/release-mark";
const BLESSED: &str = "var/lib/xenhost/blessed.json";

/// The disk and what may be put on it.
pub(crate) struct TinyHost {
    dir: TempDir,
    releases: Vec<TinyRelease>,
    /// What is on the disk. The file that programs work on is made from it each time.
    pub(crate) image: Image,
    pub(crate) table: TablePlan,
    /// UUIDs of the file systems in slot a and b.
    pub(crate) uuids: [[u8; 16]; 2],
}

fn release(version: &str) -> TinyRelease {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    let files = [
        (VERSION_FILE, version.to_owned()),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n".to_owned()),
        ("etc/group", "root:x:0:\nshadow:x:42:\n".to_owned()),
        ("etc/gshadow", "root:*::\nshadow:*::\n".to_owned()),
        ("var/lib/dpkg/status", String::new()),
        ("var/lib/xenhost/.keep", String::new()),
    ];
    for (path, text) in files {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let tiny = TinyRelease::of_bytes(&dom0(dir.path()));
    let path = tiny.dir().join(MANIFEST);
    let mut manifest: Manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    (manifest.version, manifest.build) = (version.to_owned(), format!("build-{version}"));
    fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    tiny
}

impl TinyHost {
    /// Installs the first release.
    pub(crate) fn install() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let releases: Vec<TinyRelease> = VERSIONS.into_iter().map(release).collect();
        let path = dir.path().join("disk.img");
        FileDisk::create(&path, SIZE, BLOCK).unwrap();
        let facts = HostFacts {
            firmware: Firmware::Uefi,
            memory: Bytes::gib(3),
            cpus: 2,
            machine: MachineFacts::default(),
            disks: vec![probe::probe_image("SN42", &path, BLOCK, &mut Processes).unwrap()],
            nics: Vec::new(),
        };
        let answers = answers::parse("a", ANSWERS.as_bytes()).unwrap();
        let request = request::resolve(&answers, &facts).unwrap();
        let release = Release::open(releases[0].dir()).unwrap();
        let mut ids = Ids::from_seed([7; 32]);
        let plan = plan::plan(&request, &facts, release.manifest(), &mut ids).unwrap();
        let plan = plan::checked(plan).unwrap();
        let table = plan.plan().table.clone();
        let mut host = ImageHost::open(&path, BLOCK, write_set(&table)).unwrap();
        let job = engine::Job { plan: &plan, request: &request, facts: &facts, release: &release };
        engine::run(job, &mut host, &Cancel::default(), &mut |_| {}).unwrap();
        drop(host);
        let ids = &plan.plan().ids;
        let uuids = [ids.root_a, ids.root_b].map(|id| {
            u128::from_str_radix(&id.to_string().replace('-', ""), 16).unwrap().to_be_bytes()
        });
        let image = load(&path);
        let mut host = Self { dir, releases, image, table, uuids };
        host.remember(Slot::A);
        host
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("disk.img")
    }

    pub(crate) fn release_dir(&self, number: usize) -> &Path {
        self.releases[number].dir()
    }

    pub(crate) fn extent(&self, role: Role) -> Extent {
        self.table.partition(role).unwrap().extent
    }

    /// Puts the disk into the file and gives a device that records.
    fn open(&self) -> (Recorder, Log) {
        self.image.dump(&self.path()).unwrap();
        let recorder = Recorder::new(Box::new(FileDisk::open(&self.path(), BLOCK).unwrap()));
        let log = recorder.log();
        (recorder, log)
    }

    /// Reads the file as it is.
    fn facts(&self) -> UpgradeFacts {
        let disk = probe::probe_image("SN42", &self.path(), BLOCK, &mut Processes).unwrap();
        read::read(&disk, None, &mut Processes).unwrap().unwrap()
    }

    /// Performs an upgrade and gives what it wrote; the disk stays as it was.
    pub(crate) fn upgrade(&self, number: usize) -> Result<(UpgradePlan, Vec<Step>), Refusal> {
        let (recorder, log) = self.open();
        let facts = self.facts();
        let release = Release::open(self.release_dir(number)).unwrap();
        let plan = core::plan(&facts, release.manifest(), &Wish::default())?;
        let host = ImageHost::on(Box::new(recorder), &self.path(), plan.write_set()).unwrap();
        let roles = [plan.role(), core::role(plan.from)];
        let mut site = AtRest::on(Box::new(host), &facts, roles).unwrap();
        upgrade::run(&plan, &release, &mut site, &Cancel::default(), &mut |event| {
            if let Event::StepBegun { title, .. } = event {
                log.mark(&title);
            }
        })
        .unwrap();
        Ok((plan, steps(&log.entries())))
    }

    /// The same for a rollback.
    pub(crate) fn rollback(&self) -> Result<Vec<Step>, Refusal> {
        let (recorder, log) = self.open();
        let facts = self.facts();
        let plan = core::rollback::plan(&facts)?;
        let fence = facts.boot.extents.clone();
        let host = ImageHost::on(Box::new(recorder), &self.path(), fence).unwrap();
        let roles = [Role::Backup, Role::Root];
        let mut site = AtRest::on(Box::new(host), &facts, roles).unwrap();
        log.mark("rollback");
        rollback::perform(&plan, &mut site).unwrap();
        Ok(steps(&log.entries()))
    }

    /// The system in `slot` runs and judges itself.
    pub(crate) fn bless(&self, slot: Slot, is_well: bool) -> (bless::Outcome, Vec<Step>) {
        let (recorder, log) = self.open();
        let root = SlotRoot::open(&self.path(), BLOCK, self.extent(core::role(slot))).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let bridge = folder.path().join("sys/class/net/xenbr0");
        for dir in [&bridge.join("bridge"), &bridge.join("brif/eth0")] {
            fs::create_dir_all(dir).unwrap();
        }
        for path in ["etc/xenhost/inventory.json", BLESSED] {
            if let Some(bytes) = root::file(&root, path, 1 << 20).unwrap() {
                let path = folder.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
        }
        log.mark("bless");
        let boot = self.extent(Role::Boot);
        let device = Some((recorder, boot));
        let mut world = Running { folder, is_well, elapsed: Duration::ZERO, device };
        let outcome = bless::bless(&mut world, Limits::DEFAULT).unwrap();
        (outcome, steps(&log.entries()))
    }

    /// What GRUB does before it starts a system on trial.
    pub(crate) fn count(&self, tries: u8) -> Vec<Step> {
        let (mut recorder, log) = self.open();
        log.mark("count");
        let window = Window::new(&mut recorder, self.extent(Role::Boot)).unwrap();
        BootFiles::open(Box::new(window)).unwrap().write_tries(tries).unwrap();
        steps(&log.entries())
    }

    /// The state, and the count of a trial, as the disk has them.
    pub(crate) fn boot(&self) -> core::BootRecord {
        let _device = self.open();
        self.facts().boot
    }

    /// The running system keeps what bless told it to: the file that says so.
    pub(crate) fn remember(&mut self, slot: Slot) {
        let _device = self.open();
        let source = self.dir.path().join("blessed.json");
        fs::write(&source, "{}\n").unwrap();
        let script = self.dir.path().join("script");
        fs::write(&script, format!("rm {BLESSED}\nwrite {} {BLESSED}\n", source.display()))
            .unwrap();
        let offset = self.extent(core::role(slot)).first().byte_offset(BLOCK).unwrap();
        let disk = format!("{}?offset={offset}", self.path().display());
        let call = Call::new("debugfs").args(["-w", "-f"]).arg(&script).arg(disk).accept(1);
        Processes.run(&call).unwrap();
        self.image = load(&self.path());
    }
}

/// All that a file holds.
fn load(path: &Path) -> Image {
    let file = fs::File::open(path).unwrap();
    let mut image = Image::empty(512, SIZE.get() / 512);
    let mut at = 0;
    while let Ok(data) = seek(&file, SeekFrom::Data(at)) {
        let end = seek(&file, SeekFrom::Hole(data)).unwrap();
        let mut bytes = vec![0; usize::try_from(end - data).unwrap()];
        file.read_exact_at(&mut bytes, data).unwrap();
        for (lba, block) in (data / 512..).zip(bytes.chunks(512)) {
            image.put(lba, Block::Bytes(Arc::from(block)));
        }
        at = end;
    }
    image
}

/// The dom0 of a slot that has booted.
#[derive(Debug)]
struct Running {
    folder: TempDir,
    is_well: bool,
    elapsed: Duration,
    device: Option<(Recorder, Extent)>,
}

impl Run for Running {
    fn run(&mut self, call: &Call) -> Result<Output, CallError> {
        if call.program == "xl" && !self.is_well {
            return Err(CallError::Timeout { call: Box::new(call.clone()) });
        }
        Ok(Output { status: 0, stdout: Vec::new(), stderr: Vec::new() })
    }
}

impl World for Running {
    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn elapsed(&self) -> Duration {
        self.elapsed
    }

    fn wait(&mut self, duration: Duration) {
        self.elapsed += duration;
    }

    fn unattached(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn keep_xen(&mut self) -> Result<(), BootMenuError> {
        Ok(())
    }

    fn open_boot(&mut self, _partuuid: &str) -> Result<Box<dyn BlockIo>, BlessError> {
        let (recorder, extent) = self.device.take().expect("it is opened once");
        // Kept for as long as the test runs: a window borrows its disk.
        Ok(Box::new(Window::new(Box::leak(Box::new(recorder)), extent)?))
    }
}
