//! What is tried: an old disk, what is done to it by the real code, and what may boot on the way.

use std::sync::Arc;

use boot_oracle::known::Known;
use boot_oracle::system::Systems;
use boot_oracle::{BootEntry, Firmware, Machine, Outcome, Slots};
use installer::fat::{FatFile, FatKind, FatName, make_boot};
use installer_core::bootstate::{BootState, reason_block, tries_block};
use partitioner::block::BlockIo;
use partitioner::ids::Guid;
use partitioner::layout::{Role, Scheme};
use partitioner::table::TablePlan;
use partitioner::units::{Extent, Lba};

use crate::epochs::Step;
use crate::image::Image;
use crate::loader::Loader;
use crate::stamps::SECRET;

pub mod fresh;
pub mod grown;
pub mod old;
pub mod takeover;
pub mod upgrade;

/// A run that was recorded.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: String,
    pub firmware: Firmware,
    pub old: Image,
    pub steps: Vec<Step>,
    /// The old system must boot until the new one does, and be there to fall back to.
    pub keeps_old: bool,
    /// The firmware has an entry that must go on working.
    pub entry_must_match: bool,
    pub has_gpt: bool,
    pub entries: Vec<BootEntry>,
    pub known: Known,
    /// What is a system in a slot.
    pub systems: Arc<dyn Systems + Send>,
    pub slots: Slots,
    /// What no step may write, not even with what is there already.
    pub untouched: Vec<Untouched>,
    /// The root file systems: a secret may be written nowhere else.
    pub secret_in: Vec<Extent>,
    /// The version that boots in the end.
    pub ends: &'static str,
}

/// Blocks that stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untouched {
    pub extent: Extent,
    /// From this step on they may be written.
    pub until: Option<&'static str>,
}

impl Untouched {
    /// Everything but these.
    pub fn between(written: &[Extent], blocks: u64) -> Vec<Self> {
        let mut written = written.to_vec();
        written.sort();
        let mut next = 0;
        let mut all = Vec::new();
        let end = Extent::from(Lba::new(blocks)..);
        for extent in written.iter().chain([&end]) {
            let last = extent.first().get().saturating_sub(1);
            all.extend(Extent::new(Lba::new(next), Lba::new(last)));
            next = extent.last().get().saturating_add(1);
        }
        all.into_iter().map(|extent| Self { extent, until: None }).collect()
    }
}

/// A storage repository without the ranges where a signature could be, and what lies at the end
/// of the disk: the guest disks of whoever comes later.
pub fn inside(sr: Extent, plan: &TablePlan) -> Extent {
    let margin = 4 * plan.geometry.blocks_per_mib();
    old::extent(sr.first().get() + margin, sr.blocks() - 2 * margin)
}

impl Scenario {
    pub fn machine(&self) -> Machine<'_> {
        Machine {
            firmware: self.firmware,
            entries: &self.entries,
            known: &self.known,
            systems: self.systems.as_ref(),
            slots: &self.slots,
        }
    }

    /// A new system on trial may give way to the old one again where its tries cannot be counted:
    /// where the table was lost in the middle of a later commit.
    pub fn may_return(&self, outcome: &Outcome) -> bool {
        let lost = boot_oracle::Warning::TableLost;
        matches!(outcome, Outcome::Boots { warnings, .. } if warnings.contains(&lost))
            && self.keeps_old
    }
}

/// What is deliberately wrong about what is planned or written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wrong {
    #[default]
    Nothing,
    /// The boot partition is not number 4.
    BootNumber,
    /// It does not take over the PARTUUID of the old one.
    BootGuid,
    NoBootx64,
    /// `root=` names no partition.
    RootArgument,
    ArrayInPlace,
    StateInTwoSectors,
    /// The copy of the old root has the label of the old root.
    LabelTwice,
    /// The reason of a failed trial, which everyone may read, holds the hash of a password.
    SecretInReason,
}

/// UUIDs of the file systems.
pub const UUID_A: Guid = Guid::from_u128(0xaaaa_aaaa_0000_4000_8000_0000_0000_0001);
pub const UUID_B: Guid = Guid::from_u128(0xbbbb_bbbb_0000_4000_8000_0000_0000_0002);
pub const UUID_OLD: Guid = Guid::from_u128(0xcccc_cccc_0000_4000_8000_0000_0000_0003);

/// The slots by those.
pub fn slots(rescue_at: Vec<u64>) -> Slots {
    Slots {
        uuid_a: UUID_A.to_bytes(),
        uuid_b: UUID_B.to_bytes(),
        uuid_old: Some(UUID_OLD.to_bytes()),
        rescue_at,
    }
}

/// The boot partition, by the installer's own code.
pub fn write_boot(
    disk: &mut dyn BlockIo,
    plan: &TablePlan,
    loader: &Loader,
    state: BootState,
    wrong: Wrong,
) {
    let block = state_block(state, wrong);
    let told = if wrong == Wrong::SecretInReason { SECRET } else { "" };
    let (tries, reason) = (tries_block(3), reason_block(told));
    let dispatch = loader.dispatch.clone().unwrap_or_else(|| "# dispatcher\n".to_owned());
    let file = |path, bytes| FatFile { path, bytes };
    let mut files = vec![
        file("EFI/BOOT/BOOTX64.EFI", &loader.efi[..]),
        file("EFI/xenhost/grubx64.efi", &loader.efi),
        // Where the old host's boot entry looks.
        file("EFI/xenserver/grubx64.efi", &loader.efi),
        file("xenhost/dispatch.cfg", dispatch.as_bytes()),
        file("xenhost/state.env", &block),
        file("xenhost/state2.env", &block),
        file("xenhost/tries.env", &tries),
        file("xenhost/reason.txt", &reason),
    ];
    if let Some(old) = &loader.old_cfg {
        files.push(file("xenhost/old.cfg", old.as_bytes()));
    }
    let kind = match plan.scheme {
        Scheme::Gpt => FatKind::Fat32,
        Scheme::Mbr => FatKind::Small,
    };
    if kind == FatKind::Small {
        files.retain(|file| file.path.starts_with("xenhost/"));
    }
    if wrong == Wrong::NoBootx64 {
        files.retain(|file| !file.path.starts_with("EFI/BOOT"));
    }
    let name = FatName { label: "XENHOSTBOOT", serial: 0x1234_ABCD };
    let extent = takeover::partition(plan, Role::Boot);
    make_boot(disk, extent, kind, name, &files, &mut |_, _| {})
        .expect("the boot partition is made");
    disk.flush().expect("a disk in memory");
}

/// The state as it is encoded; or, wrongly, with the last variables in the second sector.
pub fn state_block(state: BootState, wrong: Wrong) -> Vec<u8> {
    let block = state.encode().to_vec();
    if wrong != Wrong::StateInTwoSectors {
        return block;
    }
    let text = String::from_utf8(block).expect("a state block is text");
    let (first, rest) = text.split_once("other=").expect("a state names another");
    let rest = rest.trim_end_matches('#');
    let mut block = first.as_bytes().to_vec();
    block.resize(511, b'#');
    block.extend(format!("\nother={rest}").into_bytes());
    block.resize(1024, b'#');
    block
}
