//! Finishes a takeover whose new system was blessed: `host-installer finish`, which a unit in dom0
//! runs.
//!
//! The new system boots all the while. What fails here is found again by the next run.

use std::path::Path;

use installer_core::event::Event;
use installer_core::outcome::{DiskState, Exit};
use installer_core::request::Refusal;
use installer_core::takeover::finish::{FinishFacts, FinishPlan, OldTexts};
use installer_core::takeover::{FinishStep, TakenOver};
use installer_core::target::label;
use installer_core::upgrade::UpgradeFacts;
use partitioner::block::{IoError, open};
use partitioner::ids::Guid;
use partitioner::inspect::inspect;
use partitioner::layout::Role;
use partitioner::partuuid::PartUuid;
use partitioner::takeover::again;
use partitioner::units::{Bytes, Extent, Lba};
use partitioner::write::takeover as steps;
use xxhash_rust::xxh3::xxh3_64;

use super::read::{boot, esp_file};
use super::{boot_files, own};
use crate::cancel::Cancel;
use crate::engine::{Failure, StepError};
use crate::payload;
use crate::ports::{Host, HostError};
use crate::upgrade::read::{Live, check, root_of};
use crate::upgrade::root::{RootError, SlotRoot, file, text};
use crate::{fresh, slot};

const SMALL: u64 = 1 << 20;
/// How much is copied at once.
const PIECE: Bytes = Bytes::mib(4);

fn no(disk: &str, what: impl std::fmt::Display) -> Refusal {
    Refusal::new(Exit::NotUpgradeable, format!("{disk}: {what}"))
}

/// Reads where the takeover is. `Ok(None)` for a host that was not taken over.
pub fn read(
    host: &UpgradeFacts,
    live: Option<Live<'_>>,
    run: &mut dyn crate::call::Run,
) -> Result<Option<FinishFacts>, Refusal> {
    let path = host.disk.path.as_str();
    let io = |e: &dyn std::fmt::Display| Refusal::new(Exit::IoBeforeCommit, format!("{path}: {e}"));
    let slot_a = host.table.partition(Role::Root).ok_or_else(|| no(path, "it has no slot a"))?;
    let live_a = live.filter(|live| live.slot == installer_core::bootstate::Slot::A);
    let Some(inventory) = host.slot(installer_core::bootstate::Slot::A).inventory else {
        return Ok(None);
    };
    let root = root_of(&host.disk, slot_a.extent, live_a).map_err(|e| io(&e))?;
    let Some(taken) = file(root.as_ref(), TakenOver::PATH, SMALL).map_err(|e| io(&e))? else {
        return Ok(None);
    };
    let taken: TakenOver = serde_json::from_slice(&taken)
        .map_err(|e| no(path, format!("/{}: {e}", TakenOver::PATH)))?;
    let logs = inventory.partuuid.get("logs").and_then(|id| match id {
        PartUuid::Gpt(guid) => Some(*guid),
        PartUuid::Mbr { .. } => None,
    });
    let logs = logs.ok_or_else(|| no(path, "the inventory names no log partition"))?;
    let device = Path::new(path);
    let mut opened =
        open::open_read_only(device, Some(host.disk.block_size)).map_err(|e| io(&e))?;
    let found = inspect(opened.disk()).map_err(|e| io(&e))?;
    let again = again(opened.disk(), &found, inventory.firmware.into(), logs)
        .map_err(|e| io(&e))?
        .map_err(|e| no(path, e))?;
    let trial = &again.takeover.trial;
    let old = match trial.partition(Role::OldRoot) {
        None => None,
        Some(old) => {
            let esp = trial.partition(Role::OldBoot);
            let esp = esp.and_then(|p| esp_file(opened.disk(), p.extent, super::read::ESP_CFG));
            Some(old_texts(host, old.extent, esp.as_deref()).map_err(|e| no(path, e))?)
        }
    };
    let at = again.takeover.last.partition(Role::Logs).map(|planned| planned.extent);
    let logs_made = at.is_some_and(|at| {
        let uuid = inventory.fs_uuid.get("logs");
        has_logs(host, at, uuid, live.is_some(), run)
    });
    let host = host.clone();
    Ok(Some(FinishFacts { host, inventory, taken, again, old, logs_made }))
}

fn old_texts(host: &UpgradeFacts, at: Extent, esp: Option<&[u8]>) -> Result<OldTexts, String> {
    let root = SlotRoot::open(Path::new(&host.disk.path), host.disk.block_size, at)
        .map_err(|e| e.to_string())?;
    let fstab = text(&root, "etc/fstab", SMALL).map_err(|e| e.to_string())?;
    let Some(own) = own::texts(&root).map_err(|e| e.to_string())? else {
        return Ok(OldTexts { boot: boot(&root, esp)?, fstab, own: None });
    };
    let own = own.map_err(|e| e.to_string())?;
    let uuid = root.uuid().parse().unwrap_or(Guid::NIL);
    Ok(OldTexts { boot: own::boot(&root, uuid, &own)?, fstab, own: Some(own) })
}

/// The file system of the logs is there and whole. Where dom0 has it mounted it is in use.
fn has_logs(
    host: &UpgradeFacts,
    at: Extent,
    uuid: Option<&Guid>,
    live: bool,
    run: &mut dyn crate::call::Run,
) -> bool {
    let root = SlotRoot::open(Path::new(&host.disk.path), host.disk.block_size, at);
    let named = root.is_ok_and(|root| {
        uuid.is_some_and(|uuid| root.uuid().eq_ignore_ascii_case(&uuid.to_string()))
    });
    let mounted = || {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        live && mounts.lines().any(|line| line.split_whitespace().nth(1) == Some("/var/log"))
    };
    named && (mounted() || check(&host.disk, at, run).is_none())
}

/// Performs the plan.
pub fn run(
    plan: &FinishPlan,
    host: &mut dyn Host,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Event),
) -> Result<(), Failure> {
    let fail = |step: Option<FinishStep>, error: StepError| {
        let cancelled = matches!(error, StepError::Cancelled);
        let exit = if cancelled { Exit::Cancelled } else { Exit::CleanupPending };
        let state = DiskState::NewSystemBootsCleanupPending;
        Failure { step: step.map(FinishStep::title), error: Box::new(error), exit, state }
    };
    let last = &plan.facts.again.takeover.last;
    prepare(plan, host).map_err(|error| fail(None, error))?;
    let count = u32::try_from(plan.steps.len()).unwrap_or(u32::MAX);
    tell(Event::Started { steps: count, digest: String::new() });
    host.announce(last).map_err(|error| fail(None, error.into()))?;
    for (number, step) in (1..).zip(plan.steps.iter().copied()) {
        if cancel.is_set() {
            return Err(fail(Some(step), StepError::Cancelled));
        }
        tell(Event::StepBegun { step: number, title: step.title() });
        let mut work = Work { plan, host: &mut *host, cancel };
        work.perform(step, &mut |done, total| {
            tell(Event::Progress { step: number, done, total });
        })
        .map_err(|error| fail(Some(step), error))?;
        tell(Event::StepDone { step: number });
    }
    tell(Event::Finished);
    Ok(())
}

/// The boot state is what the plan was made from, and there is room for the copy.
fn prepare(plan: &FinishPlan, host: &mut dyn Host) -> Result<(), StepError> {
    let facts = &plan.facts;
    let want = facts.host.boot.state;
    let have = boot_files(&facts.again.takeover.last, host)?.state()?;
    if have != want {
        let (have, want) = (format!("{have:?}"), format!("{want:?}"));
        return Err(StepError::StateChanged { have, want });
    }
    if plan.steps.contains(&FinishStep::CopyOld) {
        let trial = &facts.again.takeover.trial;
        let size = trial.partition(Role::OldRoot).map_or(Bytes::ZERO, |old| trial.size_of(old));
        // Half of it: a check of room takes what is written twice.
        host.check_room(size.get() / 2)?;
    }
    Ok(())
}

struct Work<'a> {
    plan: &'a FinishPlan,
    host: &'a mut dyn Host,
    cancel: &'a Cancel,
}

impl Work<'_> {
    fn perform(
        &mut self,
        step: FinishStep,
        progress: payload::Progress<'_>,
    ) -> Result<(), StepError> {
        let again = &self.plan.facts.again;
        match step {
            FinishStep::CopyOld => self.copy_old(progress),
            FinishStep::Verify => self.verify(),
            FinishStep::Other => {
                let table = &again.takeover.last;
                Ok(boot_files(table, self.host)?.commit(self.plan.other)?)
            }
            FinishStep::PrepareTable => Ok(steps::prepare_last(self.host.disk(), &again.takeover)?),
            FinishStep::Commit => {
                steps::commit_last(self.host.disk(), &again.takeover)?;
                Ok(())
            }
            FinishStep::Settle => self.settle(),
            FinishStep::MakeLogs => {
                let inventory = &self.plan.facts.inventory;
                let uuid = inventory.fs_uuid.get("logs").copied().unwrap_or(Guid::NIL);
                let path = self.host.tool_path(Role::Logs)?;
                fresh::make_ext4(self.host, &path, uuid, &label("logs", inventory.disk_id))?;
                Ok(self.host.settle(Role::Logs)?)
            }
        }
    }

    /// Of the table that counts: that of the trial before the commit, the final one behind it.
    fn settle(&mut self) -> Result<(), StepError> {
        let tables = &self.plan.facts.again.takeover;
        let disk = self.host.disk();
        match steps::settle(disk, &tables.last) {
            Err(partitioner::write::WriteError::OtherTable { .. }) => {
                Ok(steps::settle(disk, &tables.trial)?)
            }
            settled => Ok(settled?),
        }
    }

    /// The old root, block by block, then a name and a boot menu of its own. It reaches the disk
    /// as a whole and under its own name: two file systems with one label are never there.
    fn copy_old(&mut self, progress: payload::Progress<'_>) -> Result<(), StepError> {
        let tables = &self.plan.facts.again.takeover;
        let old = tables.trial.partition(Role::OldRoot);
        let old = old.ok_or(HostError::NoPartition { role: Role::OldRoot })?.extent;
        let sums = self.copy_blocks(old, progress)?;
        self.compare(old, &sums)?;
        let path = self.host.tool_path(Role::Backup)?;
        slot::identify(self.host, &path, self.plan.place.fs_uuid, &self.plan.label)?;
        let scratch = self.host.scratch().to_owned();
        slot::configure(self.host, &path, &scratch, &self.plan.files)?;
        slot::check(self.host, &path)?;
        Ok(self.host.settle(Role::Backup)?)
    }

    fn pieces(&mut self, old: Extent) -> Vec<Extent> {
        let blocks = PIECE.blocks_floor(self.host.disk().block_size()).max(1);
        let last = old.last().get();
        let mut pieces = Vec::new();
        let mut at = old.first().get();
        while at <= last {
            let count = blocks.min(last - at + 1);
            pieces.extend(Extent::with_len(Lba::new(at), count));
            at += count;
        }
        pieces
    }

    fn read_piece(&mut self, piece: Extent) -> Result<Vec<u8>, IoError> {
        let disk = self.host.disk();
        let len = piece.blocks() * disk.block_size().bytes();
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        disk.read(piece.first(), &mut bytes)?;
        Ok(bytes)
    }

    /// Gives the checksum of each piece; `None` for one of zeros.
    fn copy_blocks(
        &mut self,
        old: Extent,
        progress: payload::Progress<'_>,
    ) -> Result<Vec<Option<u64>>, StepError> {
        let mut sums = Vec::new();
        for piece in self.pieces(old) {
            if self.cancel.is_set() {
                return Err(StepError::Cancelled);
            }
            let start = piece.first().get() - old.first().get();
            let to = Extent::with_len(Lba::new(start), piece.blocks()).unwrap_or(piece);
            // Most of it is holes, which an image file knows without a look.
            if self.host.disk().is_zero(piece)? {
                self.host.open_slot(Role::Backup)?.zero(to)?;
                sums.push(None);
            } else {
                let bytes = self.read_piece(piece)?;
                self.host.open_slot(Role::Backup)?.write(to.first(), &bytes)?;
                sums.push(Some(xxh3_64(&bytes)));
            }
            progress(start + piece.blocks(), old.blocks());
        }
        self.host.open_slot(Role::Backup)?.flush()?;
        Ok(sums)
    }

    fn compare(&mut self, old: Extent, sums: &[Option<u64>]) -> Result<(), StepError> {
        for (piece, sum) in self.pieces(old).into_iter().zip(sums) {
            let start = Lba::new(piece.first().get() - old.first().get());
            let mut slot = self.host.open_slot(Role::Backup)?;
            let is_same = if let Some(sum) = sum {
                let len = piece.blocks() * slot.block_size().bytes();
                let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
                slot.read(start, &mut bytes)?;
                xxh3_64(&bytes) == *sum
            } else {
                slot.is_zero(Extent::with_len(start, piece.blocks()).unwrap_or(piece))?
            };
            if !is_same {
                return Err(StepError::ReadBack { what: "copy of the old system", extent: piece });
            }
        }
        Ok(())
    }

    /// Reads the copy from the disk, as a boot would.
    fn verify(&mut self) -> Result<(), StepError> {
        let plan = self.plan;
        let facts = &plan.facts.host.disk;
        let not_whole = |what: String| StepError::NotWhole { what };
        let backup = plan.facts.again.takeover.last.partition(Role::Backup);
        let extent = backup.ok_or(HostError::NoPartition { role: Role::Backup })?.extent;
        let root = SlotRoot::open(Path::new(&facts.path), facts.block_size, extent)?;
        if !root.uuid().eq_ignore_ascii_case(&plan.place.fs_uuid.to_string()) {
            return Err(not_whole(format!("its UUID is {}", root.uuid())));
        }
        let marker = text(&root, TakenOver::PATH, SMALL)?;
        if marker != plan.facts.taken.to_text() {
            return Err(not_whole(format!("/{} is not the old system's", TakenOver::PATH)));
        }
        let old = plan.facts.old.as_ref().map(|old| &old.boot);
        for loaded in old.iter().flat_map(|boot| &boot.files) {
            let path = loaded.path.trim_start_matches('/');
            file_or_link(&root, path).map_err(not_whole)?;
        }
        Ok(())
    }
}

fn file_or_link(root: &SlotRoot, path: &str) -> Result<(), String> {
    use crate::upgrade::root::{Kind, Root as _};
    let stat = root.stat(path).map_err(|e: RootError| e.to_string())?;
    match stat.map(|stat| stat.kind) {
        Some(Kind::File | Kind::Link) => Ok(()),
        Some(Kind::Folder | Kind::Other) | None => Err(format!("/{path} is missing")),
    }
}
