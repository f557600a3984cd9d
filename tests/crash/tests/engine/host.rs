//! A tiny host on an image file: installed, upgraded, blessed and rolled back by the real code,
//! with every write to the disk recorded.

use std::fs;
use std::path::Path;

use crash_explorer::epochs::{Step, performed, steps};
use installer::bless::{self, BootFiles, Limits};
use installer::call::{Call, Processes, Run};
use installer::cancel::Cancel;
use installer::engine::Failure;
use installer::host::image::ImageHost;
use installer::ports::Host;
use installer::release_dir::Release;
use installer::upgrade::root::SlotRoot;
use installer::upgrade::{self, AtRest, read, rollback};
use installer::{engine, probe};
use installer_core::bootstate::Slot;
use installer_core::event::Event;
use installer_core::facts::{Firmware, HostFacts, MachineFacts};
use installer_core::request::{self, Refusal};
use installer_core::upgrade::{self as core, UpgradeFacts, UpgradePlan, Wish};
use installer_core::values::Redactor;
use installer_core::{answers, plan};
use partitioner::block::BlockIo;
use partitioner::block::window::Window;
use partitioner::ids::Ids;
use partitioner::layout::Role;
use partitioner::table::{TablePlan, write_set};
use partitioner::units::{Bytes, Extent};

use super::disk::{BLOCK, Scratch};
use super::releases::{VERSIONS, release};
use super::running::{Health, Running};
use super::testing::{ANSWERS, TinyRelease};

const INVENTORY: &str = "etc/xenhost/inventory.json";
const BLESSED: &str = "var/lib/xenhost/blessed.json";

/// What decides a host's table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    size: Bytes,
    installed_by: Firmware,
    /// What starts it.
    pub(crate) started_by: &'static [boot_oracle::Firmware],
}

const BOTH: &[boot_oracle::Firmware] = &[boot_oracle::Firmware::Bios, boot_oracle::Firmware::Uefi];

impl Shape {
    pub(crate) const MODERN: Self = Self {
        name: "modern",
        size: Bytes::gib(46),
        installed_by: Firmware::Uefi,
        started_by: BOTH,
    };
    pub(crate) const LEGACY_GPT: Self = Self {
        name: "legacy gpt",
        size: Bytes::gib(20),
        installed_by: Firmware::Uefi,
        started_by: BOTH,
    };
    pub(crate) const LEGACY_MBR: Self = Self {
        name: "legacy mbr",
        size: Bytes::gib(20),
        installed_by: Firmware::Bios,
        started_by: &[boot_oracle::Firmware::Bios],
    };
    pub(crate) const ALL: [Self; 3] = [Self::MODERN, Self::LEGACY_GPT, Self::LEGACY_MBR];
}

/// The disk and what may be put on it.
pub(crate) struct TinyHost {
    pub(crate) shape: Shape,
    pub(crate) disk: Scratch,
    releases: Vec<TinyRelease>,
    pub(crate) table: TablePlan,
    /// UUIDs of the file systems in slot a and b.
    pub(crate) uuids: [[u8; 16]; 2],
}

impl TinyHost {
    /// Installs the first release.
    pub(crate) fn install(shape: Shape) -> Self {
        let releases: Vec<TinyRelease> = VERSIONS.into_iter().map(release).collect();
        let mut disk = Scratch::blank(shape.size);
        let path = disk.path();
        let facts = HostFacts {
            firmware: shape.installed_by,
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
        let job = engine::Job {
            plan: &plan,
            request: &request,
            facts: &facts,
            release: &release,
            redactor: &Redactor::default(),
        };
        engine::run(job, &mut host, &Cancel::default(), &mut |_| {}).unwrap();
        drop(host);
        let ids = &plan.plan().ids;
        let uuids = [ids.root_a, ids.root_b].map(|id| {
            u128::from_str_radix(&id.to_string().replace('-', ""), 16).unwrap().to_be_bytes()
        });
        disk.take();
        let mut host = Self { shape, disk, releases, table, uuids };
        host.remember(Slot::A);
        host
    }

    pub(crate) fn release_dir(&self, number: usize) -> &Path {
        self.releases[number].dir()
    }

    pub(crate) fn extent(&self, role: Role) -> Extent {
        self.table.partition(role).unwrap().extent
    }

    /// Reads the file as it is.
    fn facts(&self) -> UpgradeFacts {
        let disk = probe::probe_image("SN42", &self.disk.path(), BLOCK, &mut Processes).unwrap();
        read::read(&disk, None, &mut Processes).unwrap().unwrap()
    }

    /// The plan of an upgrade.
    pub(crate) fn plan(&self, number: usize) -> Result<UpgradePlan, Refusal> {
        self.disk.put();
        let release = Release::open(self.release_dir(number)).unwrap();
        core::plan(&self.facts(), release.manifest(), &Wish::default())
    }

    /// Performs an upgrade on a device of the file, in a host that may be dressed up. The disk
    /// stays as it was, the file does not.
    pub(crate) fn attempt(
        &self,
        plan: &UpgradePlan,
        number: usize,
        device: Box<dyn BlockIo>,
        dress: &dyn Fn(ImageHost) -> Box<dyn Host>,
        cancel: &Cancel,
        mut tell: impl FnMut(Event),
    ) -> Result<(), Failure> {
        let release = Release::open(self.release_dir(number)).unwrap();
        let host = ImageHost::on(device, &self.disk.path(), plan.write_set()).unwrap();
        let roles = [plan.role(), core::role(plan.from)];
        let mut site = AtRest::on(dress(host), &plan.facts, roles).unwrap();
        upgrade::run(plan, &release, &mut site, cancel, &mut tell)
    }

    /// Performs an upgrade and gives what it wrote; the disk stays as it was.
    pub(crate) fn upgrade(&self, number: usize) -> Result<(UpgradePlan, Vec<Step>), Refusal> {
        let plan = self.plan(number)?;
        let (recorder, log) = self.disk.record();
        let (device, cancel) = (Box::new(recorder), Cancel::default());
        let as_it_is = |host| -> Box<dyn Host> { Box::new(host) };
        self.attempt(&plan, number, device, &as_it_is, &cancel, |event| {
            if let Event::StepBegun { title, .. } = event {
                log.mark(&title);
            }
        })
        .unwrap();
        Ok((plan, steps(&log.entries())))
    }

    /// The same for a rollback.
    pub(crate) fn rollback(&self) -> Result<Vec<Step>, Refusal> {
        let (recorder, log) = self.disk.record();
        let facts = self.facts();
        let plan = core::rollback::plan(&facts)?;
        let fence = facts.boot.extents.clone();
        let host = ImageHost::on(Box::new(recorder), &self.disk.path(), fence).unwrap();
        let roles = [Role::Backup, Role::Root];
        let mut site = AtRest::on(Box::new(host), &facts, roles).unwrap();
        log.mark("rollback");
        rollback::perform(&plan, &mut site).unwrap();
        Ok(steps(&log.entries()))
    }

    /// The system in `slot` runs and judges itself.
    pub(crate) fn bless(&self, slot: Slot, health: Health) -> (bless::Outcome, Vec<Step>) {
        let (recorder, log) = self.disk.record();
        let extent = self.extent(core::role(slot));
        let root = SlotRoot::open(&self.disk.path(), BLOCK, extent).unwrap();
        log.mark("bless");
        let device = (recorder, self.extent(Role::Boot));
        let mut world = Running::new(&root, &[INVENTORY, BLESSED], health, device);
        let outcome = bless::bless(&mut world, Limits::DEFAULT).unwrap();
        (outcome, steps(&log.entries()))
    }

    /// What GRUB does before it starts a system on trial.
    pub(crate) fn count(&self, tries: u8) -> Vec<Step> {
        let (mut recorder, log) = self.disk.record();
        log.mark("count");
        let window = Window::new(&mut recorder, self.extent(Role::Boot)).unwrap();
        BootFiles::open(Box::new(window)).unwrap().write_tries(tries).unwrap();
        steps(&log.entries())
    }

    /// The state, and the count of a trial, as the disk has them.
    pub(crate) fn boot(&self) -> core::BootRecord {
        self.disk.put();
        self.facts().boot
    }

    /// All of this reaches the disk.
    pub(crate) fn happens(&mut self, steps: &[Step]) {
        self.disk.image = performed(&self.disk.image, steps);
    }

    /// The running system keeps what bless told it to: the file that says so.
    pub(crate) fn remember(&mut self, slot: Slot) {
        self.disk.put();
        let source = self.disk.folder().join("blessed.json");
        fs::write(&source, "{}\n").unwrap();
        let script = self.disk.folder().join("script");
        fs::write(&script, format!("rm {BLESSED}\nwrite {} {BLESSED}\n", source.display()))
            .unwrap();
        let offset = self.extent(core::role(slot)).first().byte_offset(BLOCK).unwrap();
        let disk = format!("{}?offset={offset}", self.disk.path().display());
        let call = Call::new("debugfs").args(["-w", "-f"]).arg(&script).arg(disk).accept(1);
        Processes.run(&call).unwrap();
        self.disk.take();
    }
}
