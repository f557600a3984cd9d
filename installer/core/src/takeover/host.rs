//! The new host that a takeover makes: the same values as for a fresh installation, made from what
//! the old host says of itself.

use partitioner::ids::{Guid, Ids};
use partitioner::takeover::Takeover;
use partitioner::units::Bytes;
use serde::{Deserialize, Serialize};

use super::asked::Wish;
use super::facts::{OldRoot, TakeoverFacts};
use super::xenserver::CarriedOver;
use crate::answers::{Boot, Finish, Hooks, OnExisting, StorageKind, Xen};
use crate::dom0_size::Dom0Size;
use crate::facts::{Firmware, HostFacts, MachineFacts};
use crate::plan::{self, FsIds, Plan, fit};
use crate::release::Manifest;
use crate::request::{InstallRequest, Refusal};
use crate::target::{Body, Mounts, TargetFile, target_files};

/// Whom a host was before; what `finish` begins with. In the copy of the old system it says that
/// the copy is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenOver {
    pub name: Option<String>,
    pub version: Option<String>,
    /// Of the old root's file system, where it was.
    pub uuid: Guid,
}

impl TakenOver {
    pub const PATH: &str = "etc/xenhost/taken-over.json";

    /// The file as it is written.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).expect("its keys are text") + "\n"
    }

    /// `XenServer 7.1.0`.
    pub fn named(&self) -> String {
        let name = self.name.as_deref().unwrap_or("an old system");
        self.version.as_ref().map_or_else(|| name.to_owned(), |version| format!("{name} {version}"))
    }
}

/// For an image file nobody says how much memory its machine has. Enough for a dom0 of any size of
/// host that the old layout is known from; the administrator may change it in boot.conf.
const DOM0_MIB: u32 = 1168;
const DOM0_VCPUS: u32 = 4;

/// What would be asked of an installation that makes the same host.
pub(super) fn request(facts: &TakeoverFacts, carried: &CarriedOver, wish: &Wish) -> InstallRequest {
    InstallRequest {
        deployment_id: wish.deployment_id.clone(),
        disk: facts.disk.clone(),
        chosen_by: "the host that it carries".to_owned(),
        layout: partitioner::table::LayoutChoice::Modern,
        boot_size: None,
        compat: partitioner::table::Compat::None,
        sr: StorageKind::Partition,
        repositories: Vec::new(),
        on_existing: OnExisting::Refuse,
        network: carried.network.clone(),
        system: carried.system.clone(),
        access: carried.access.clone(),
        xen: Xen::default(),
        boot: Boot::default(),
        health: wish.health,
        hooks: Hooks::default(),
        first_boot: Vec::new(),
        finish: Finish::default(),
        plan_digest: None,
    }
}

/// As if it had been installed, with the final table. Its steps are not performed.
pub(super) fn plan(
    facts: &TakeoverFacts,
    firmware: Firmware,
    tables: &Takeover,
    root: &OldRoot,
    manifest: &Manifest,
    ids: &mut Ids,
) -> Result<Plan, Refusal> {
    let dom0 = dom0(facts, root);
    if let Some(machine) = facts.machine {
        fit::memory(dom0, machine.memory)?;
    }
    fit::partitions(&tables.last, manifest)?;
    Ok(Plan {
        firmware,
        disk: facts.disk.clone(),
        table: tables.last.clone(),
        ids: FsIds::draw(ids),
        release: plan::release_id(manifest),
        boot_files: plan::boot_files(manifest)?,
        dom0,
        steps: Vec::new(),
        scripts: Vec::new(),
        destroys: Vec::new(),
        repositories: Vec::new(),
        keeps: Vec::new(),
        digest: String::new(),
    })
}

/// What suits the machine, and not less than dom0 had; of a host of ours, what it had.
fn dom0(facts: &TakeoverFacts, root: &OldRoot) -> Dom0Size {
    let suits = facts.machine.map_or(Dom0Size { memory_mib: DOM0_MIB, vcpus: DOM0_VCPUS }, |m| {
        Dom0Size::for_host(m.memory, m.cpus)
    });
    let boot = root.boot.as_ref().ok();
    let had = boot.and_then(super::old_boot::OldBoot::dom0_memory_mib);
    if root.own().is_some() {
        let vcpus = boot.and_then(super::old_boot::OldBoot::dom0_vcpus);
        return Dom0Size {
            memory_mib: had.unwrap_or(suits.memory_mib),
            vcpus: vcpus.unwrap_or(suits.vcpus),
        };
    }
    let memory_mib = had.map_or(suits.memory_mib, |had| had.max(suits.memory_mib));
    Dom0Size { memory_mib, ..suits }
}

/// In the trial table there is no log partition, and a boot does not wait for it: the other
/// partitions of the disk are there by then. The logs of a trial lie in root.
const LOGS_WAIT: [&str; 2] = ["x-systemd.device-timeout=300s", "x-systemd.device-timeout=10s"];

/// The table of file systems of the new system.
pub(super) fn fstab(host: &Plan) -> String {
    let text = Mounts::of(host).fstab();
    let lines = text.lines().map(|line| {
        let is_logs = line.split_whitespace().nth(1) == Some("/var/log");
        if is_logs { line.replace(LOGS_WAIT[0], LOGS_WAIT[1]) } else { line.to_owned() }
    });
    lines.map(|line| line + "\n").collect()
}

/// Says whom the new system has taken over.
pub(super) fn taken_over(plan: &super::TakeoverPlan) -> TargetFile {
    let taken = TakenOver {
        name: plan.old.name.clone(),
        version: plan.old.version.clone(),
        uuid: plan.old_uuid,
    };
    TargetFile::file(TakenOver::PATH, 0o644, taken.to_text())
}

/// The files of the new system that depend on the host, in the order in which they are written,
/// where they are made as for an installation. `/etc/shadow` is made from the image's own.
pub fn files(
    plan: &super::TakeoverPlan,
    request: &InstallRequest,
    carried: &[TargetFile],
) -> Vec<TargetFile> {
    let facts = HostFacts {
        firmware: plan.host.firmware,
        memory: plan.facts.machine.map_or(Bytes::ZERO, |machine| machine.memory),
        cpus: plan.host.dom0.vcpus,
        machine: MachineFacts::default(),
        disks: vec![plan.facts.disk.clone()],
        nics: Vec::new(),
    };
    let mut files = target_files(&plan.host, request, &facts);
    for file in files.iter_mut().filter(|file| file.path.as_str() == "etc/fstab") {
        file.body = Body::Content(fstab(&plan.host).into_bytes());
    }
    files.push(taken_over(plan));
    files.extend(carried.iter().cloned());
    files
}
