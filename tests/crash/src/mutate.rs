//! Ways to spoil a protocol, all in one table. The explorer has to find each of them.

use boot_oracle::Firmware;
use partitioner::block::recorder::Entry;
use partitioner::layout::Scheme;
use partitioner::units::Lba;

use crate::epochs::Step;
use crate::scenario::takeover::Host;
use crate::scenario::{Scenario, Wrong, fresh, grown, upgrade};

/// What is made wrong.
#[derive(Clone, Copy, Debug)]
pub enum Spoil {
    /// The step is not done.
    Skip(&'static str),
    /// The step is done right before another.
    Move(&'static str, &'static str),
    /// Nothing is flushed from the end of the first step to the first write of the second.
    NoBarrier(&'static str, &'static str),
    /// No flush in this step or at its edges.
    NoFlush(&'static str),
    /// No flush from the first step to the end of the second, but for the last.
    NoFlushes(&'static str, &'static str),
    /// A block of garbage is written in this step, here.
    Stray(&'static str, u64),
    /// The writes of the step come in the opposite order.
    Backwards(&'static str),
    /// What is planned or written is wrong.
    Content(Wrong),
}

/// Which run is spoilt.
#[derive(Clone, Copy, Debug)]
pub enum Base {
    Fresh(Firmware),
    Gpt(Firmware),
    Mbr,
    /// With a GRUB before the first partition.
    Gap,
    Upgrade,
    /// A fresh installation of 4 GiB slots in an MBR.
    Legacy,
    LegacyUpgrade,
    Large(fn(&Host) -> Scenario),
    Grown(Firmware),
}

impl Base {
    fn host(self) -> Host {
        match self {
            Self::Fresh(firmware) | Self::Gpt(firmware) | Self::Grown(firmware) => {
                Host::new(Scheme::Gpt, firmware)
            }
            Self::Mbr => Host::new(Scheme::Mbr, Firmware::Bios),
            Self::Gap => Host::in_gap(Firmware::Bios),
            Self::Upgrade => Host::new(Scheme::Gpt, Firmware::Bios),
            Self::Legacy | Self::LegacyUpgrade => Host::legacy(Scheme::Gpt, Firmware::Bios),
            Self::Large(_) => Host::large(),
        }
    }

    fn record(self, host: &Host) -> Scenario {
        match self {
            Self::Fresh(_) | Self::Legacy => fresh::record(host),
            Self::Gpt(_) | Self::Mbr | Self::Gap => host.record(),
            Self::Upgrade | Self::LegacyUpgrade => upgrade::record(host),
            Self::Large(record) => record(host),
            Self::Grown(_) => grown::record(host),
        }
    }
}

/// A protocol with one thing about it made wrong.
#[derive(Clone, Copy, Debug)]
pub struct Mutation {
    pub name: &'static str,
    pub base: Base,
    pub spoil: Spoil,
}

impl Mutation {
    /// The run, spoilt.
    pub fn record(&self) -> Scenario {
        let mut host = self.base.host();
        if let Spoil::Content(wrong) = self.spoil {
            host.wrong = wrong;
        }
        let mut scenario = self.base.record(&host);
        self.spoil.apply(&mut scenario.steps);
        scenario
    }
}

impl Spoil {
    /// Makes it wrong.
    pub fn apply(self, steps: &mut Vec<Step>) {
        match self {
            Self::Skip(name) => {
                let _skipped = steps.remove(find(steps, name));
            }
            Self::Move(name, before) => {
                let step = steps.remove(find(steps, name));
                let at = find(steps, before);
                steps.insert(at, step);
            }
            Self::NoBarrier(one, two) => {
                let (from, to) = (find(steps, one), find(steps, two));
                while steps[from].entries.last() == Some(&Entry::Flush) {
                    steps[from].entries.pop();
                }
                for step in &mut steps[from + 1..to] {
                    step.entries.retain(|entry| *entry != Entry::Flush);
                }
                while steps[to].entries.first() == Some(&Entry::Flush) {
                    steps[to].entries.remove(0);
                }
            }
            Self::NoFlush(name) => {
                let at = find(steps, name);
                for step in &mut steps[at..=at] {
                    step.entries.retain(|entry| *entry != Entry::Flush);
                }
                if let Some(next) = steps.get_mut(at + 1) {
                    while next.entries.first() == Some(&Entry::Flush) {
                        next.entries.remove(0);
                    }
                }
            }
            Self::NoFlushes(one, two) => {
                let (from, to) = (find(steps, one), find(steps, two));
                for step in &mut steps[from..=to] {
                    step.entries.retain(|entry| *entry != Entry::Flush);
                }
                steps[to].entries.push(Entry::Flush);
            }
            Self::Stray(name, lba) => {
                let at = find(steps, name);
                let bytes = vec![0xEE; 512];
                steps[at].entries.insert(0, Entry::Write { first: Lba::new(lba), bytes });
            }
            Self::Backwards(name) => {
                let at = find(steps, name);
                steps[at].entries.reverse();
            }
            Self::Content(_) => {}
        }
    }
}

fn find(steps: &[Step], name: &str) -> usize {
    let found = steps.iter().position(|step| step.name == name);
    found.unwrap_or_else(|| panic!("the run has no step {name}"))
}

const FRESH: Base = Base::Fresh(Firmware::Bios);
const FRESH_UEFI: Base = Base::Fresh(Firmware::Uefi);
const GPT: Base = Base::Gpt(Firmware::Bios);
const GPT_UEFI: Base = Base::Gpt(Firmware::Uefi);
const MBR: Base = Base::Mbr;
const UPGRADE: Base = Base::Upgrade;
const LEGACY: Base = Base::Legacy;
const LARGE_FRESH: Base = Base::Large(fresh::record);
const LARGE_UPGRADE: Base = Base::Large(upgrade::record);
const LARGE_TAKEOVER: Base = Base::Large(Host::record);
const GROWN: Base = Base::Grown(Firmware::Bios);
const GROWN_UEFI: Base = Base::Grown(Firmware::Uefi);

/// Makes the table, and a test of each mutation.
macro_rules! mutations {
    ($($name:ident: $base:expr, $spoil:expr;)*) => {
        /// Every mutation. Each must be caught.
        pub const MUTATIONS: &[Mutation] = &[
            $(Mutation { name: stringify!($name), base: $base, spoil: $spoil },)*
        ];

        #[cfg(test)]
        mod tests {
            $(#[test]
            fn $name() {
                super::is_caught(stringify!($name));
            })*
        }
    };
}

mutations! {
    fresh_not_disarmed: FRESH, Spoil::Skip("disarm");
    fresh_disarmed_without_flush: FRESH, Spoil::NoFlushes("disarm", "wipe");
    fresh_wiped_before_disarm: FRESH, Spoil::Move("wipe", "disarm");
    fresh_table_before_disarm: FRESH, Spoil::Move("table", "disarm");
    fresh_without_table: FRESH, Spoil::Skip("table");
    fresh_without_slot: FRESH, Spoil::Skip("slot");
    fresh_without_boot_partition: FRESH, Spoil::Skip("boot");
    fresh_without_core: FRESH, Spoil::Skip("core");
    fresh_never_armed: FRESH, Spoil::Skip("arm");
    fresh_armed_before_core: FRESH, Spoil::Move("arm", "core");
    fresh_armed_before_slot: FRESH, Spoil::Move("arm", "slot");
    fresh_armed_before_table: FRESH, Spoil::Move("arm", "table");
    fresh_armed_with_core_in_flight: FRESH, Spoil::NoBarrier("core", "arm");
    fresh_armed_with_slot_in_flight: FRESH, Spoil::NoBarrier("slot", "arm");
    fresh_table_without_flush: FRESH_UEFI, Spoil::NoBarrier("table", "arm");
    fresh_bootx64_missing: FRESH_UEFI, Spoil::Content(Wrong::NoBootx64);
    fresh_wrong_partuuid: FRESH, Spoil::Content(Wrong::RootArgument);
    gpt_boot_renumbered: GPT_UEFI, Spoil::Content(Wrong::BootNumber);
    gpt_boot_guid_not_kept: GPT_UEFI, Spoil::Content(Wrong::BootGuid);
    gpt_wrong_partuuid: GPT, Spoil::Content(Wrong::RootArgument);
    gpt_array_in_place: GPT, Spoil::Content(Wrong::ArrayInPlace);
    gpt_array_in_place_uefi: GPT_UEFI, Spoil::Content(Wrong::ArrayInPlace);
    gpt_two_labels: GPT, Spoil::Content(Wrong::LabelTwice);
    gpt_without_core: GPT, Spoil::Skip("core");
    gpt_boot_code_before_core: GPT, Spoil::Move("switch", "core");
    gpt_core_in_flight: GPT, Spoil::NoBarrier("core", "switch");
    gpt_boot_code_not_switched: GPT, Spoil::Skip("switch");
    gpt_commit_before_table: GPT, Spoil::Move("commit", "table");
    gpt_commit_with_table_in_flight: GPT, Spoil::NoFlush("table");
    gpt_commit_before_slot: GPT_UEFI, Spoil::Move("slot", "settle");
    gpt_commit_before_boot: GPT_UEFI, Spoil::Move("boot", "settle");
    gpt_settled_header_first: GPT, Spoil::Backwards("settle");
    gpt_settled_without_flush: GPT, Spoil::NoFlush("settle");
    gpt_logs_before_bless: GPT, Spoil::Move("logs", "bless");
    gpt_logs_before_copy: GPT, Spoil::Move("logs", "copy");
    gpt_logs_before_other: GPT_UEFI, Spoil::Move("logs", "other");
    gpt_last_table_before_bless: GPT, Spoil::Move("last commit", "bless");
    gpt_last_commit_before_table: GPT, Spoil::Move("last commit", "last table");
    gpt_old_not_copied: GPT, Spoil::Skip("copy");
    gpt_other_before_copy: GPT, Spoil::Move("other", "copy");
    gpt_copy_in_flight: GPT, Spoil::NoFlushes("copy", "other");
    gpt_never_committed: GPT, Spoil::Skip("commit");
    mbr_without_rescue_record: MBR, Spoil::Skip("rescue");
    mbr_rescue_after_switch: MBR, Spoil::Move("rescue", "table");
    mbr_without_core: MBR, Spoil::Skip("core");
    mbr_boot_code_before_core: MBR, Spoil::Move("switch", "core");
    mbr_core_in_flight: MBR, Spoil::NoBarrier("core", "switch");
    mbr_commit_before_table: MBR, Spoil::Move("commit", "table");
    mbr_commit_with_table_in_flight: MBR, Spoil::NoFlush("table");
    mbr_commit_before_slot: MBR, Spoil::Move("slot", "settle");
    mbr_logs_before_bless: MBR, Spoil::Move("logs", "bless");
    gap_not_moved: Base::Gap, Spoil::Skip("move");
    gap_moved_after_rescue: Base::Gap, Spoil::Move("move", "wipe");
    gap_lba0_before_core: Base::Gap, Spoil::Backwards("move");
    gap_moved_without_flush: Base::Gap, Spoil::NoFlush("move");
    upgrade_commit_before_slot: UPGRADE, Spoil::Move("commit", "slot");
    upgrade_slot_in_flight: UPGRADE, Spoil::NoBarrier("slot", "commit");
    legacy_not_disarmed: LEGACY, Spoil::Skip("disarm");
    legacy_without_boot_volume: LEGACY, Spoil::Skip("boot");
    legacy_core_before_wipe: LEGACY, Spoil::Move("core", "wipe");
    legacy_without_core: LEGACY, Spoil::Skip("core");
    legacy_armed_before_core: LEGACY, Spoil::Move("arm", "core");
    legacy_core_in_flight: LEGACY, Spoil::NoBarrier("core", "arm");
    legacy_armed_before_slot: LEGACY, Spoil::Move("arm", "slot");
    legacy_wrong_partuuid: LEGACY, Spoil::Content(Wrong::RootArgument);
    legacy_upgrade_commit_before_slot: Base::LegacyUpgrade, Spoil::Move("commit", "slot");
    legacy_upgrade_slot_in_flight: Base::LegacyUpgrade, Spoil::NoBarrier("slot", "commit");
    legacy_upgrade_state_in_two_sectors: Base::LegacyUpgrade,
        Spoil::Content(Wrong::StateInTwoSectors);
    upgrade_never_committed: UPGRADE, Spoil::Skip("commit");
    upgrade_state_in_two_sectors: UPGRADE,
        Spoil::Content(Wrong::StateInTwoSectors);
    fresh_writes_guest_disks: FRESH, Spoil::Stray("slot", 110_000_000);
    gpt_writes_old_root: GPT, Spoil::Stray("wipe", 5_000_000);
    mbr_writes_old_root: MBR, Spoil::Stray("table", 63 + 3_000_000);
    upgrade_writes_running_slot: UPGRADE, Spoil::Stray("slot", 60_000_000);
    upgrade_writes_the_table: UPGRADE, Spoil::Stray("commit", 40);
    fresh_secret_for_everyone: FRESH, Spoil::Content(Wrong::SecretInReason);
    large_fresh_wiped_before_disarm: LARGE_FRESH, Spoil::Move("wipe", "disarm");
    large_fresh_armed_before_slot: LARGE_FRESH, Spoil::Move("arm", "slot");
    large_fresh_table_in_flight: LARGE_FRESH, Spoil::NoBarrier("table", "arm");
    large_upgrade_commit_before_slot: LARGE_UPGRADE, Spoil::Move("commit", "slot");
    large_upgrade_slot_in_flight: LARGE_UPGRADE, Spoil::NoBarrier("slot", "commit");
    large_takeover_array_in_place: LARGE_TAKEOVER, Spoil::Content(Wrong::ArrayInPlace);
    large_takeover_boot_renumbered: LARGE_TAKEOVER, Spoil::Content(Wrong::BootNumber);
    large_takeover_logs_before_other: LARGE_TAKEOVER, Spoil::Move("logs", "other");
    grown_header_before_backup: GROWN_UEFI, Spoil::Backwards("repair");
    grown_backup_in_flight: GROWN_UEFI, Spoil::NoFlush("repair");
    grown_writes_a_partition: GROWN, Spoil::Stray("repair", 60_000_000);
}

/// The explorer finds what is wrong.
#[cfg(test)]
#[track_caller]
fn is_caught(name: &str) {
    use crate::explore::{Budget, explore};
    use crate::judge::Promises;

    let mutation = MUTATIONS.iter().find(|mutation| mutation.name == name);
    let scenario = mutation.expect("a mutation of the table").record();
    let budget = Budget { seed: 1, states: 3000, only: None, first: true, one_of: 1 };
    let mut judge = Promises::new(&scenario);
    let report = explore(&scenario.old, &scenario.steps, &mut judge, budget);
    assert!(!report.violations.is_empty(), "{name} was not caught in {} states", report.states);
}
