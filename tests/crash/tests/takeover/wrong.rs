//! Takeovers and their ends with one thing about the order made wrong, which must be seen.

use crash_explorer::epochs::{epochs, performed};
use crash_explorer::explore::{Budget, explore};
use crash_explorer::judge::{Judge as _, Promises};
use crash_explorer::mutate::Spoil;
use crash_explorer::scenario::Scenario;
use partitioner::layout::{Role, Scheme};
use partitioner::table::TablePlan;
use partitioner::takeover::Takeover;
use partitioner::write::takeover::needs_boot_code;

use super::lab::{FINAL, LOGS};
use super::seed;

/// States of each, as far as those that are systematic leave room.
const STATES: usize = 500;
/// Of its states, so that the test takes seconds.
const ONE_OF: u64 = 16;

const RESCUE: &str = "save the old head of the disk";
const SLOT: &str = "check the file system on root";
const BOOT: &str = "make boot: boot loader, boot state, rescue system";
const CORE: &str = "write the BIOS boot loader";
const SWITCH: &str = "boot code: ours, which starts the old system for now";
const TABLE: &str = "prepare the new partition table";
const COMMIT: &str = "the new table counts: the new system boots, on trial";
const SETTLE: &str = "bring the table to its usual place";
const BLESS: &str = "bless";
const COPY: &str = "copy the old system to backup";
const OTHER: &str = "boot state: the copy is what is fallen back to";
const LAST_TABLE: &str = "prepare the final partition table";
const RETRY: &str = "three tries: the new system boots, on trial again";

/// On which hosts it matters. UEFI takes the other copy of a GPT where one is damaged, and mends
/// that one.
#[derive(Clone, Copy, Debug)]
enum On {
    All,
    /// LBA 0 gets our boot code.
    BootCode,
    /// The same, and it needs the rescue record while the old table counts: it finds the old boot
    /// partition of an MBR of ours without.
    Record,
    /// The log partition does not begin with the old root, which is found there until it is made.
    Elsewhere,
    /// The old table is a GPT.
    Gpt,
    /// The same, and LBA 0 gets our boot code.
    GptBootCode,
    /// The old boot loader lies before the first partition.
    Moved,
}

impl On {
    fn matters(self, tables: &Takeover) -> bool {
        let (boot_code, gpt) = (needs_boot_code(tables), tables.source == Scheme::Gpt);
        match self {
            Self::All => true,
            Self::BootCode => boot_code,
            Self::Record => boot_code && (gpt || tables.trial.partition(Role::OldBoot).is_none()),
            Self::Elsewhere => {
                let begins = |table: &TablePlan, role| {
                    table.partition(role).map(|planned| planned.extent.first())
                };
                begins(&tables.trial, Role::OldRoot) != begins(&tables.last, Role::Logs)
            }
            Self::Gpt => gpt,
            Self::GptBootCode => boot_code && gpt,
            Self::Moved => tables.moved.is_some(),
        }
    }
}

/// Of the takeover, up to its trial.
const OF_TRIAL: [(Spoil, On); 22] = [
    (Spoil::Skip(RESCUE), On::Record),
    (Spoil::Move(RESCUE, TABLE), On::Record),
    (Spoil::NoFlushes(RESCUE, SWITCH), On::BootCode),
    (Spoil::Backwards(RESCUE), On::Moved),
    (Spoil::NoFlush(RESCUE), On::Moved),
    (Spoil::Skip(SLOT), On::All),
    (Spoil::Move(SLOT, SETTLE), On::All),
    (Spoil::NoFlushes(SLOT, COMMIT), On::All),
    (Spoil::Skip(BOOT), On::All),
    (Spoil::Move(BOOT, SETTLE), On::All),
    (Spoil::NoFlushes(BOOT, COMMIT), On::All),
    (Spoil::Skip(CORE), On::BootCode),
    (Spoil::Move(SWITCH, CORE), On::BootCode),
    (Spoil::NoBarrier(CORE, SWITCH), On::BootCode),
    // From an MBR the commit brings the boot code once more.
    (Spoil::Skip(SWITCH), On::GptBootCode),
    (Spoil::Skip(TABLE), On::All),
    (Spoil::Move(COMMIT, TABLE), On::BootCode),
    (Spoil::NoFlush(TABLE), On::All),
    // From an MBR the header alone is in flight then, and the rescue record stands in for it.
    (Spoil::NoBarrier(TABLE, COMMIT), On::Gpt),
    (Spoil::Skip(COMMIT), On::BootCode),
    (Spoil::Backwards(SETTLE), On::GptBootCode),
    (Spoil::NoFlush(SETTLE), On::GptBootCode),
];

/// Of the bless, and the end of the takeover.
const OF_END: [(Spoil, On); 16] = [
    (Spoil::Skip(COPY), On::All),
    (Spoil::Move(OTHER, COPY), On::All),
    (Spoil::NoFlushes(COPY, OTHER), On::All),
    (Spoil::Skip(OTHER), On::All),
    (Spoil::Move(OTHER, SETTLE), On::Elsewhere),
    (Spoil::Skip(LAST_TABLE), On::All),
    (Spoil::Move(FINAL, LAST_TABLE), On::BootCode),
    (Spoil::NoFlush(LAST_TABLE), On::All),
    (Spoil::NoBarrier(LAST_TABLE, FINAL), On::All),
    (Spoil::Skip(FINAL), On::BootCode),
    (Spoil::Move(LOGS, BLESS), On::All),
    (Spoil::Move(LOGS, COPY), On::All),
    (Spoil::Move(LOGS, OTHER), On::All),
    (Spoil::Move(LOGS, FINAL), On::All),
    (Spoil::Backwards(SETTLE), On::BootCode),
    (Spoil::NoFlush(SETTLE), On::BootCode),
];

/// Of one that is begun over.
const OF_RETRY: [(Spoil, On); 4] = [
    (Spoil::Skip(RETRY), On::All),
    (Spoil::Skip(SLOT), On::All),
    (Spoil::Move(RETRY, SLOT), On::All),
    (Spoil::NoFlushes(SLOT, RETRY), On::All),
];

/// How many states it took, or nothing. What is as in the good run is not judged again.
fn seen(good: &Scenario, spoil: Spoil) -> Option<usize> {
    let mut bad = good.clone();
    spoil.apply(&mut bad.steps);
    let same = bad.steps.iter().zip(&good.steps).take_while(|(bad, good)| bad == good).count();
    let (before, rest) = bad.steps.split_at(same);
    let begun = performed(&bad.old, before);
    let mut judge = Promises::new(&bad);
    if let Some(epoch) = epochs(&bad.old, before).last() {
        judge.leave(before, epoch, &begun);
    }
    let budget = Budget { seed: seed(), states: STATES, only: None, first: true, one_of: ONE_OF };
    let report = explore(&begun, rest, &mut judge, budget);
    (!report.violations.is_empty()).then_some(report.states)
}

/// How many there were. Each must be seen.
fn each(good: &Scenario, tables: &Takeover, spoils: &[(Spoil, On)]) -> usize {
    let (mut unseen, mut states, mut tried) = (Vec::new(), 0, 0);
    for (spoil, _) in spoils.iter().filter(|(_, on)| on.matters(tables)) {
        match seen(good, *spoil) {
            Some(count) => states += count,
            None => unseen.push(*spoil),
        }
        tried += 1;
    }
    println!("{}: {tried} wrong orders, seen in {states} states", good.name);
    assert!(unseen.is_empty(), "{}: not seen: {unseen:#?}", good.name);
    tried
}

/// Of a whole takeover, its bless, and its end.
pub(crate) fn takeover(good: &Scenario, tables: &Takeover) -> usize {
    let bless = good.steps.iter().position(|step| step.name == BLESS).unwrap();
    let (trial, end) = good.steps.split_at(bless);
    let (trial, end) = (trial.to_vec(), end.to_vec());
    let on_trial = performed(&good.old, &trial);
    let first = each(&Scenario { steps: trial, ..good.clone() }, tables, &OF_TRIAL);
    first + each(&Scenario { old: on_trial, steps: end, ..good.clone() }, tables, &OF_END)
}

/// Of a takeover that is begun over.
pub(crate) fn retry(good: &Scenario, tables: &Takeover) -> usize {
    each(good, tables, &OF_RETRY)
}
