//! A tiny host on an image file: installed, upgraded, blessed and rolled back by the real code,
//! with every write to the disk recorded.

use std::path::Path;

use crash_explorer::epochs::{Step, performed};
use installer::bless;
use installer::call::Processes;
use installer::cancel::Cancel;
use installer::engine::{self, Failure};
use installer::host::image::ImageHost;
use installer::ports::Host;
use installer::probe;
use installer::release_dir::Release;
use installer_core::bootstate::Slot;
use installer_core::event::Event;
use installer_core::facts::{Firmware, HostFacts, MachineFacts};
use installer_core::request::{self, Refusal};
use installer_core::upgrade::{self as core, UpgradeFacts, UpgradePlan};
use installer_core::values::Redactor;
use installer_core::{answers, plan};
use partitioner::block::BlockIo;
use partitioner::ids::Ids;
use partitioner::layout::Role;
use partitioner::table::{TablePlan, write_set};
use partitioner::units::{Bytes, Extent};

use super::commands;
use super::disk::{BLOCK, Scratch};
use super::releases::{VERSIONS, release};
use super::running::Health;
use super::testing::{ANSWERS, TinyRelease};

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
        commands::own("SN42", &self.disk.path()).unwrap()
    }

    /// The plan of an upgrade.
    pub(crate) fn plan(&self, number: usize) -> Result<UpgradePlan, Refusal> {
        self.disk.put();
        commands::plan(&self.facts(), self.release_dir(number))
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
        tell: impl FnMut(Event),
    ) -> Result<(), Failure> {
        let (path, job) = (self.disk.path(), (plan, self.release_dir(number)));
        commands::attempt(job, (&path, device), dress, cancel, tell)
    }

    /// Performs an upgrade and gives what it wrote; the disk stays as it was.
    pub(crate) fn upgrade(&self, number: usize) -> Result<(UpgradePlan, Vec<Step>), Refusal> {
        let plan = self.plan(number)?;
        let steps = commands::upgrade(&plan, self.release_dir(number), &self.disk.path());
        Ok((plan, steps))
    }

    /// The same for a rollback.
    pub(crate) fn rollback(&self) -> Result<Vec<Step>, Refusal> {
        self.disk.put();
        commands::rollback(&self.facts(), &self.disk.path())
    }

    /// The system in `slot` runs and judges itself.
    pub(crate) fn bless(&self, slot: Slot, health: Health) -> (bless::Outcome, Vec<Step>) {
        self.disk.put();
        let places = (self.extent(core::role(slot)), self.extent(Role::Boot));
        commands::bless(&self.disk.path(), places, health)
    }

    /// What GRUB does before it starts a system on trial.
    pub(crate) fn count(&self, tries: u8) -> Vec<Step> {
        self.disk.put();
        commands::count(&self.disk.path(), self.extent(Role::Boot), tries)
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
        commands::remember(&self.disk.path(), self.extent(core::role(slot)));
        self.disk.take();
    }
}
