//! A host of another product is taken over: trial table, bless, final table.

use std::sync::Arc;

use boot_oracle::system::RootArgument;
use boot_oracle::{BootEntry, Firmware};
use installer::bless::BootFiles;
use installer_core::bootstate::{BootState, Other, Slot, Trial};
use partitioner::block::BlockIo;
use partitioner::block::fence::Fence;
use partitioner::block::memory::MemDisk;
use partitioner::block::recorder::{Log, Recorder};
use partitioner::ids::{Guid, Ids};
use partitioner::inspect::inspect;
use partitioner::layout::{Role, Scheme};
use partitioner::partuuid::PartUuid;
use partitioner::table::{Compat, Geometry, LayoutChoice, SrChoice, TablePlan};
use partitioner::takeover::{
    self, OldNumbers, SrProof, Takeover, TakeoverRequest, final_write_set, plan_takeover,
    trial_write_set,
};
use partitioner::units::{BlockSize, Bytes, Extent};
use partitioner::write::{WriteError, takeover as write};

use super::{Scenario, UUID_A, UUID_B, Untouched, Wrong, inside, old, slots, write_boot};
use crate::epochs::steps;
use crate::image::Image;
use crate::loader::{Loader, OLD_LABEL, OldLoader, known};
use crate::stamps::{SECRET, Stamp, Stamps};

/// Everything that a takeover is made of.
#[derive(Debug)]
pub struct Host {
    pub source: Scheme,
    pub firmware: Firmware,
    pub block_size: BlockSize,
    pub loader: Loader,
    pub old_loader: OldLoader,
    pub chain: Chain,
    pub wrong: Wrong,
    /// What a fresh installation lays out.
    pub layout: LayoutChoice,
    /// The half up to the first commit and its clean-up alone.
    pub trial_only: bool,
}

/// How an old host with an MBR starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chain {
    /// By the boot sector of the active partition.
    #[default]
    Active,
    /// By a GRUB between LBA 0 and the first partition.
    Gap,
}

impl Host {
    pub fn new(source: Scheme, firmware: Firmware) -> Self {
        Self {
            source,
            firmware,
            block_size: BlockSize::B512,
            loader: Loader::made_up(),
            old_loader: OldLoader::made_up(),
            chain: Chain::Active,
            wrong: Wrong::Nothing,
            layout: LayoutChoice::Modern,
            trial_only: false,
        }
    }

    /// One with an MBR whose GRUB lies before the first partition.
    pub fn in_gap(firmware: Firmware) -> Self {
        Self { chain: Chain::Gap, ..Self::new(Scheme::Mbr, firmware) }
    }

    /// One that gets 4 GiB slots.
    pub fn legacy(source: Scheme, firmware: Firmware) -> Self {
        Self { layout: LayoutChoice::Legacy, ..Self::new(source, firmware) }
    }

    /// A disk with a GPT and blocks of 4096 bytes, which UEFI alone starts.
    pub fn large() -> Self {
        Self { block_size: BlockSize::B4096, ..Self::new(Scheme::Gpt, Firmware::Uefi) }
    }

    /// As the names of scenarios have it.
    pub fn suffix(&self) -> &'static str {
        match (self.chain, self.block_size) {
            (Chain::Gap, _) => " gap",
            (Chain::Active, BlockSize::B512) => "",
            (Chain::Active, _) => " 4kn",
        }
    }

    /// Where the boot loader looks for the rescue record.
    pub fn rescue_at(&self) -> Vec<u64> {
        if self.block_size == BlockSize::B512 { vec![66, 34] } else { vec![10] }
    }

    pub fn old_disk(&self) -> MemDisk {
        match self.source {
            Scheme::Mbr => old::mbr(&self.old_loader, self.chain),
            Scheme::Gpt => {
                old::gpt(&self.old_loader, self.firmware == Firmware::Uefi, self.block_size)
            }
        }
    }

    /// The real plan, or one that is wrong in one way.
    pub fn plan(&self, disk: &mut MemDisk) -> Takeover {
        let inspection = inspect(disk).expect("a disk in memory");
        let boot = match self.source {
            Scheme::Mbr => None,
            Scheme::Gpt => Some(4),
        };
        let request = TakeoverRequest {
            firmware: match self.firmware {
                Firmware::Bios => partitioner::layout::Firmware::Bios,
                Firmware::Uefi => partitioner::layout::Firmware::Uefi,
            },
            boot_size: Some(Bytes::mib(300)),
            sr: SrChoice::Rest,
            compat: Compat::None,
            old: OldNumbers { root: 1, backup: Some(2), boot, sr: Some(3) },
            proof: SrProof::Empty,
            loader: takeover::OldLoader::read(disk, &inspection).expect("a disk in memory"),
        };
        let geometry = Geometry { block_size: disk.block_size(), blocks: disk.blocks() };
        let mut ids = Ids::from_seed([6; 32]);
        let mut takeover =
            plan_takeover(geometry, &inspection, &request, &mut ids).expect("a host to take over");
        for plan in [&mut takeover.trial, &mut takeover.last] {
            spoil(plan, self.wrong);
        }
        takeover
    }

    /// Runs the real code on the recording device.
    pub fn record(&self) -> Scenario {
        let mut old = self.old_disk();
        let takeover = self.plan(&mut old);
        let image = Image::of(&old);
        let recorder = Recorder::new(Box::new(old));
        let log = recorder.log();
        let disk = self.trial(Box::new(recorder), &log, &takeover);
        if !self.trial_only {
            self.last(disk, &log, &takeover);
        }
        Scenario {
            name: format!("takeover {:?} {:?}{}", self.source, self.firmware, self.suffix())
                .to_lowercase(),
            firmware: self.firmware,
            old: image,
            steps: steps(&log.entries()),
            keeps_old: self.firmware == Firmware::Bios || self.source == Scheme::Gpt,
            entry_must_match: self.source == Scheme::Gpt,
            has_gpt: true,
            entries: self.entries(),
            known: known(&self.loader, &self.old_loader),
            systems: Arc::new(Stamps),
            slots: slots(self.rescue_at()),
            untouched: vec![
                Untouched { extent: old::kept(self.source, self.block_size), until: Some("logs") },
                Untouched {
                    extent: inside(partition(&takeover.last, Role::Sr), &takeover.last),
                    until: None,
                },
            ],
            secret_in: vec![
                old::kept(self.source, self.block_size),
                partition(&takeover.trial, Role::Root),
                partition(&takeover.last, Role::Backup),
            ],
            ends: "new",
        }
    }

    fn entries(&self) -> Vec<BootEntry> {
        let entry = BootEntry {
            partition: old::OLD_BOOT_GUID.to_gpt_bytes(),
            number: 4,
            path: "EFI/xenserver/grubx64.efi".to_owned(),
        };
        let has = self.firmware == Firmware::Uefi && self.source == Scheme::Gpt;
        has.then_some(entry).into_iter().collect()
    }

    /// From the old system to the new one on trial. The fence holds the plan's ranges.
    pub fn trial(
        &self,
        disk: Box<dyn BlockIo>,
        log: &Log,
        takeover: &Takeover,
    ) -> Box<dyn BlockIo> {
        let plan = &takeover.trial;
        let mut disk = Fence::new(disk, trial_write_set(takeover));
        if takeover.moved.is_some() {
            log.mark("move");
            write::move_old_core(&mut disk, takeover).expect("move");
        }
        log.mark("rescue");
        write::write_rescue(&mut disk, takeover).expect("rescue");
        log.mark("wipe");
        write::wipe_trial(&mut disk, takeover).expect("wipe");
        log.mark("slot");
        let root = partition(plan, Role::Root);
        new_stamp(partuuid(plan, Role::Root), self.wrong).write(&mut disk, root).expect("slot");
        log.mark("boot");
        write_boot(&mut disk, plan, &self.loader, ON_TRIAL, self.wrong);
        if write::needs_boot_code(takeover) {
            log.mark("core");
            partitioner::write::write_core(&mut disk, plan, &self.loader.core_img).expect("core");
            log.mark("switch");
            write::switch_boot_code(&mut disk, takeover, &self.loader.boot_img).expect("switch");
        }
        log.mark("table");
        write::prepare_trial(&mut disk, takeover).expect("table");
        log.mark("commit");
        write::commit_trial(&mut disk, takeover, &self.loader.boot_img).expect("commit");
        log.mark("settle");
        write::settle(&mut disk, plan).expect("settle");
        disk.into_inner()
    }

    /// The clean-up of the first commit, alone.
    pub fn settle(&self, disk: Box<dyn BlockIo>, takeover: &Takeover) -> Box<dyn BlockIo> {
        let mut disk = Fence::new(disk, trial_write_set(takeover));
        match write::settle(&mut disk, &takeover.trial) {
            // The final table counts already.
            Ok(()) | Err(WriteError::OtherTable { .. }) => {}
            Err(error) => panic!("settle: {error}"),
        }
        disk.into_inner()
    }

    /// From the bless to the final table.
    pub fn last(&self, disk: Box<dyn BlockIo>, log: &Log, takeover: &Takeover) {
        let (plan, boot) = (&takeover.last, partition(&takeover.last, Role::Boot));
        let shared = Shared::new(Fence::new(disk, final_write_set(takeover)));
        let mut disk = shared.clone();
        let blessed = ON_TRIAL.blessed();
        log.mark("bless");
        commit_state(&shared, boot, blessed);
        log.mark("copy");
        let copy = old_copy(self.wrong);
        copy.write(&mut disk, partition(plan, Role::Backup)).expect("copy");
        log.mark("other");
        let other = BootState { other: Other::B, generation: 3, ..blessed };
        commit_state(&shared, boot, other);
        log.mark("last table");
        write::prepare_last(&mut disk, takeover).expect("last table");
        log.mark("last commit");
        write::commit_last(&mut disk, takeover).expect("last commit");
        log.mark("last settle");
        write::settle(&mut disk, plan).expect("last settle");
        log.mark("logs");
        let logs = partition(plan, Role::Logs);
        let everything = old::extent(logs.first().get(), logs.blocks());
        // A new file system: its blocks lie over the old root's.
        let (version, uuid) = ("logs", [7; 16]);
        let fresh = Stamp { version, uuid, label: "logs", secret: "", ..old::stamp() };
        fresh.write(&mut disk, everything).expect("logs");
        let half = old::extent(logs.first().get(), logs.blocks() / 2);
        disk.zero(half).expect("logs");
        disk.flush().expect("logs");
    }
}

/// What the boot state says from the first commit on.
const ON_TRIAL: BootState =
    BootState { slot: Slot::A, other: Other::Old, trial: Trial::Pending, generation: 1 };

pub(crate) fn partition(plan: &TablePlan, role: Role) -> Extent {
    plan.partition(role).expect("a partition of the layout").extent
}

/// As the oracle keeps it: a GUID in GPT byte order, or signature and number.
pub(crate) fn partuuid(plan: &TablePlan, role: Role) -> [u8; 16] {
    match plan.partuuid(plan.partition(role).expect("a partition of the layout")) {
        PartUuid::Gpt(guid) => guid.to_gpt_bytes(),
        PartUuid::Mbr { signature, number } => boot_oracle::table::msdos_id(signature, number),
    }
}

/// The new system in slot a.
pub(crate) fn new_stamp(partuuid: [u8; 16], wrong: Wrong) -> Stamp {
    let partuuid = if wrong == Wrong::RootArgument { [0xBA; 16] } else { partuuid };
    Stamp {
        version: "new",
        uuid: UUID_A.to_bytes(),
        label: "root-new",
        root: RootArgument::PartUuid(partuuid),
        secret: SECRET,
    }
}

/// The old system as it is copied to slot b: the UUID of the slot, a label of its own.
fn old_copy(wrong: Wrong) -> Stamp {
    let label = if wrong == Wrong::LabelTwice { OLD_LABEL } else { "root-old-b" };
    Stamp {
        version: "old",
        uuid: UUID_B.to_bytes(),
        label,
        root: RootArgument::FsUuid(UUID_B.to_bytes()),
        secret: SECRET,
    }
}

fn spoil(plan: &mut TablePlan, wrong: Wrong) {
    if wrong == Wrong::ArrayInPlace
        && let Some(gpt) = &mut plan.head.gpt
    {
        gpt.spare = gpt.array;
    }
    for planned in plan.partitions.iter_mut().filter(|planned| planned.role == Role::Boot) {
        if wrong == Wrong::BootNumber {
            planned.number = 12;
        }
        if wrong == Wrong::BootGuid {
            planned.guid = Guid::from_u128(0xBAD);
        }
    }
}

/// The real code of the bless, on a window of the disk.
fn commit_state(disk: &Shared, boot: Extent, state: BootState) {
    let volume = Part { disk: disk.clone(), extent: boot };
    let mut files = BootFiles::open(Box::new(volume)).expect("the boot state");
    files.commit(state).expect("the boot state");
}

pub(crate) use shared::{Part, Shared};

mod shared;
