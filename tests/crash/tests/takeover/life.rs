//! One life of a host that is taken over: what is on its disk, what may boot from it, and what must
//! be true of each state in which the power may go.

use std::collections::BTreeSet;

use boot_oracle::disk::{Disk as _, Span};
use boot_oracle::fat::Fat;
use boot_oracle::known::Known;
use boot_oracle::table::Gpt;
use boot_oracle::{Counter, Firmware, Machine, Outcome, Slot as Booted, Slots, Warning};
use crash_explorer::Random;
use crash_explorer::epochs::{Epoch, Step, epochs};
use crash_explorer::image::{Block, Image, Overlay, View};
use crash_explorer::judge::{copies, stray};
use crash_explorer::scenario::{Untouched, inside};
use installer_core::bootcfg::Dispatch;
use installer_core::bootstate::{Slot, Trial};
use partitioner::layout::Role;
use partitioner::takeover::kept;

use super::lab::{LOGS, Lab, extent};
use super::lives::Seen;
use super::systems::ByPlace;
use super::testing::TinyRelease;

/// What an epoch that was cut may have left, so many times over; the life goes on with the last.
const SUBSETS: usize = 3;
/// Partitions of the trial table alone: from this number on.
const OLD_PARTITIONS: u32 = 10;

/// Where a host stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// The old system starts from where it always was.
    Old,
    OnTrial,
    /// The takeover is not finished yet.
    Blessed,
    Finished,
}

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Whole,
    Cut,
}

pub(crate) struct Life<'l> {
    pub(crate) lab: &'l Lab,
    pub(crate) releases: &'l [TinyRelease],
    known: Known,
    pub(crate) random: Random,
    /// What is on the disk, and in the file.
    pub(crate) disk: Image,
    /// The systems that are whole.
    pub(crate) roots: ByPlace,
    /// What runs. Nothing of the host does where the power went, or the medium runs.
    pub(crate) running: Option<(Booted, String)>,
    /// What may boot next.
    pub(crate) may: Vec<String>,
    /// What is fallen back to from anything else.
    pub(crate) safe: String,
    /// The host has made its storage repository.
    pub(crate) has_guests: bool,
    /// What happened, in order.
    pub(crate) events: Vec<String>,
    pub(crate) seen: &'l mut Seen,
}

fn has_old(table: &Gpt) -> bool {
    table.parts().iter().any(|part| OLD_PARTITIONS <= part.number)
}

impl<'l> Life<'l> {
    /// An old host, before anything was done to it.
    pub(crate) fn begin(
        (lab, releases): (&'l Lab, &'l [TinyRelease]),
        random: Random,
        seen: &'l mut Seen,
    ) -> Self {
        lab.put(&lab.old);
        Self {
            lab,
            releases,
            known: lab.scene.known(),
            random,
            disk: lab.old.clone(),
            roots: ByPlace(vec![lab.old_whole()]),
            running: Some((Booted::Old, "old".to_owned())),
            may: vec!["old".to_owned()],
            safe: "old".to_owned(),
            has_guests: false,
            events: Vec::new(),
            seen,
        }
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    pub(crate) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    /// How the boot loader on this disk finds the slots: a takeover that is begun over may have
    /// drawn other identifiers.
    pub(crate) fn slots(&self, view: &View<'_>) -> Slots {
        let boot = self.lab.boot();
        let span = Span::new(boot.first().get(), boot.blocks());
        let script = Fat::open(view, span).and_then(|fat| fat.read("xenhost/dispatch.cfg"));
        let script = String::from_utf8(script.unwrap_or_default()).unwrap_or_default();
        let ids = Dispatch::parse(&script).map(|d| [d.slot_a.to_bytes(), d.slot_b.to_bytes()]);
        let [uuid_a, uuid_b] = ids.unwrap_or_default();
        let uuid_old = Some(self.lab.scene.old_uuid);
        Slots { uuid_a, uuid_b, uuid_old, rescue_at: vec![66, 34] }
    }

    /// What happens at power-on, by these systems.
    fn turned_on(
        &self,
        (image, systems): (&Image, &ByPlace),
        firmware: Firmware,
        counter: Counter,
    ) -> (Outcome, Vec<(u64, Vec<u8>)>) {
        let overlay = Overlay::new();
        let view = View { image, overlay: &overlay };
        let entries = self.lab.entries();
        let slots = &self.slots(&view);
        let machine = Machine { firmware, entries: &entries, known: &self.known, systems, slots };
        let booted = machine.boot_with(&view, counter);
        (booted.outcome, booted.writes)
    }

    /// What boots from the disk as it is, by the firmware that the host has.
    pub(crate) fn boots(&self, counter: Counter) -> (Booted, String) {
        let all = (&self.disk, &self.roots);
        let (outcome, _) = self.turned_on(all, self.lab.scene.made.kind.firmware(), counter);
        let Outcome::Boots { slot, version, .. } = outcome else {
            panic!("{counter:?}: it {outcome} after {:#?}", self.events)
        };
        (slot, version)
    }

    pub(crate) fn stand(&self) -> Stand {
        let overlay = Overlay::new();
        let view = View { image: &self.disk, overlay: &overlay };
        if self.boots(Counter::OnDisk).0 == Booted::Old {
            Stand::Old
        } else if self.boot_state().0.trial == Trial::Pending {
            Stand::OnTrial
        } else if Gpt::strict(&view, 1).is_some_and(|table| has_old(&table)) {
            Stand::Blessed
        } else {
            Stand::Finished
        }
    }

    /// What firmware writes when it starts the disk as it is.
    pub(crate) fn repairs(&self) -> Vec<(u64, Vec<u8>)> {
        let all = (&self.disk, &self.roots);
        self.turned_on(all, self.lab.scene.made.kind.firmware(), Counter::OnDisk).1
    }

    /// The version that is whole in a slot, or nothing.
    pub(crate) fn version_in(&self, slot: Slot) -> String {
        self.roots.version_at(&self.disk, self.lab.slot(slot)).unwrap_or_default()
    }

    /// What must be true of any state in which the power may go.
    fn check(&self, image: &Image, systems: &ByPlace) {
        let overlay = Overlay::new();
        let both = copies(&View { image, overlay: &overlay });
        assert_eq!(both, Ok(()), "after {:#?}", self.events);
        let own = self.lab.scene.made.kind.firmware();
        let slot = self.check_in(image, systems, own);
        // Once our boot loader and its table count, the other firmware starts the host as well.
        if own == Firmware::Bios && slot != Booted::Old {
            self.check_in(image, systems, Firmware::Uefi);
        }
    }

    /// The same in one firmware. Gives what boots.
    fn check_in(&self, image: &Image, systems: &ByPlace, firmware: Firmware) -> Booted {
        let all = (image, systems);
        let (outcome, _) = self.turned_on(all, firmware, Counter::OnDisk);
        let Outcome::Boots { slot, version, warnings } = &outcome else {
            panic!("{firmware:?}: it {outcome} after {:#?}", self.events)
        };
        let lost = warnings.contains(&Warning::TableLost);
        assert!(
            self.may.contains(version) || (lost && *version == self.safe),
            "{firmware:?}: it {outcome}, {:?} may, after {:#?}",
            self.may,
            self.events
        );
        let own = self.lab.scene.made.kind.firmware();
        for never in [Warning::StateLost, Warning::EntryDoesNotMatch] {
            let allowed = never == Warning::EntryDoesNotMatch && firmware != own;
            assert!(allowed || !warnings.contains(&never), "{outcome} after {:#?}", self.events);
        }
        if *version != self.safe {
            for counter in [Counter::Spent, Counter::ChosenFails] {
                let (outcome, _) = self.turned_on(all, firmware, counter);
                let version = outcome.version().unwrap_or_default();
                let fine = self.may.iter().any(|may| may == version) || version == self.safe;
                assert!(fine, "{firmware:?}, {counter:?}: it {outcome} after {:#?}", self.events);
            }
        }
        *slot
    }

    /// No write may ever go to what stays as it is, nor a secret to where everyone reads it.
    fn no_stray(&self, steps: &[Step]) {
        let tables = &self.lab.tables;
        let old = kept(tables).into_iter().map(|extent| Untouched { extent, until: Some(LOGS) });
        let sr = extent(&tables.last, Role::Sr);
        let sr = if self.has_guests { sr } else { inside(sr, &tables.last) };
        let untouched: Vec<Untouched> =
            old.chain([Untouched { extent: sr, until: None }]).collect();
        let secret_in =
            [extent(&tables.trial, Role::OldRoot), self.lab.slot(Slot::A), self.lab.slot(Slot::B)];
        let found = stray(steps, self.disk.block_bytes(), &untouched, &secret_in);
        assert!(found.is_none(), "{found:?} after {:#?}", self.events);
    }

    /// Nothing boots from where the old system lay, and the table has no place for it.
    fn old_is_given_up(&self, image: &Image, systems: &ByPlace) {
        let firmware = self.lab.scene.made.kind.firmware();
        for counter in [Counter::OnDisk, Counter::Spent, Counter::ChosenFails] {
            let (outcome, _) = self.turned_on((image, systems), firmware, counter);
            let fine = matches!(&outcome, Outcome::Boots { slot: Booted::A | Booted::B, .. });
            assert!(fine, "{counter:?}: it {outcome} before {LOGS}, after {:#?}", self.events);
        }
        let overlay = Overlay::new();
        let view = View { image, overlay: &overlay };
        let last = view.blocks() - 1;
        let table = Gpt::strict(&view, 1).or_else(|| Gpt::strict(&view, last)).expect("a GPT");
        assert!(!has_old(&table), "before {LOGS}, after {:#?}", self.events);
    }

    /// In which epoch. Most of them are of a slot that is being written: every other time each step
    /// has the same chance.
    fn place_of_cut(&mut self, epochs: &[Epoch]) -> usize {
        let at = self.below(epochs.len());
        let steps: BTreeSet<usize> = epochs.iter().map(|epoch| epoch.step).collect();
        let step = *steps.iter().nth(self.below(steps.len())).unwrap();
        let of_step: Vec<usize> = (0..epochs.len()).filter(|n| epochs[*n].step == step).collect();
        if self.one_in(2) { at } else { of_step[self.below(of_step.len())] }
    }

    /// Part of what was in flight, by chance; one block of it may be torn.
    fn part_of(&mut self, image: &Image, epoch: &Epoch) -> Image {
        let mut state = image.clone();
        for atom in &epoch.atoms {
            if self.random.next() & 1 == 0 {
                state.put(atom.lba, atom.block.clone());
            }
        }
        if self.one_in(3) {
            let torn = &epoch.atoms[self.below(epoch.atoms.len())];
            // The one block whose loss no order of writes can prevent.
            if torn.lba == 0 {
                self.seen.note("lba0 torn");
                return state;
            }
            self.seen.note("torn");
            let garbage = Block::Bytes(vec![0xA5; image.block_bytes()].into());
            let block = if self.one_in(2) { garbage } else { Block::Unreadable };
            state.put(torn.lba, block);
        }
        state
    }

    /// Puts what was written on the disk: all of it, or what was there when the power went.
    pub(crate) fn happen(&mut self, steps: &[Step], ending: Ending) {
        self.no_stray(steps);
        let mut systems = self.roots.clone();
        systems.leave_out(&self.disk, steps);
        let epochs = epochs(&self.disk, steps);
        let cut = ending == Ending::Cut && !epochs.is_empty();
        let last = if cut { self.place_of_cut(&epochs) } else { usize::MAX };
        let mut image = self.disk.clone();
        self.seen.note("states");
        for (number, epoch) in epochs.iter().enumerate() {
            if epoch.atoms.iter().any(|atom| steps[atom.step].name == LOGS) {
                self.old_is_given_up(&image, &systems);
            }
            if number == last {
                let mut state = image.clone();
                for _ in 0..SUBSETS {
                    state = self.part_of(&image, epoch);
                    self.check(&state, &systems);
                    self.seen.note("states");
                }
                image = state.readable();
                break;
            }
            for atom in &epoch.atoms {
                image.put(atom.lba, atom.block.clone());
            }
            self.check(&image, &systems);
            self.seen.note("states");
        }
        self.disk = image;
        self.roots.forget(&self.disk);
        if cut {
            self.running = None;
            self.lab.put(&self.disk);
        }
    }

    /// The disk was changed by the system that runs, in its slot.
    pub(crate) fn took(&mut self, image: Image) {
        self.disk = image;
        self.roots.forget(&self.disk);
    }

    /// The file systems themselves say the same of what boots as the comparison of their blocks.
    pub(crate) fn second_opinion(&self) {
        let overlay = Overlay::new();
        let slots = self.slots(&View { image: &self.disk, overlay: &overlay });
        let [now, ..] = self.lab.scene.boots(&slots);
        let (slot, version) = self.boots(Counter::OnDisk);
        let want = format!("boots {version} from {slot}");
        assert!(now.starts_with(&want), "it {now}, not {want}, after {:#?}", self.events);
    }
}
