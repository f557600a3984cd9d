//! What happens in a life: commands, each by the installer's own code, boots, and what the system
//! that runs does.

use boot_oracle::{Counter, Slot as Booted};
use crash_explorer::epochs::Step;
use crash_explorer::image::Block;
use installer::bless;
use installer::release_dir::Release;
use installer_core::bootstate::{BootState, Other, Slot, Trial};
use installer_core::outcome::Exit;
use installer_core::request::Refusal;
use installer_core::takeover::{FinishStep, TakeoverFacts, Wish, plan};
use partitioner::ids::Ids;
use partitioner::layout::Role;

use super::lab::{by_partuuid, extent};
use super::life::{Ending, Life};
use super::releases::VERSIONS;
use super::running::Health;
use super::systems::Whole;
use super::{commands, disk};

/// How a command that wrote nothing is told of.
const REFUSED: &str = "was refused";

/// A command, and what boots when it has ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Upgrade(usize),
    Finish,
    Rollback { to: String },
}

/// A command that was performed: the file holds what it has left.
struct Performed {
    steps: Vec<Step>,
    /// What boots until it counts, and what boots then.
    from: String,
    to: String,
}

fn slot(booted: Booted) -> Option<Slot> {
    match booted {
        Booted::A => Some(Slot::A),
        Booted::B => Some(Slot::B),
        Booted::Old => None,
    }
}

impl Life<'_> {
    /// `upgrade`, whatever that means on this disk.
    fn upgrade(&mut self, number: usize) -> Result<Performed, Refusal> {
        let dir = self.releases[number].dir();
        let path = self.lab.scene.disk();
        if let Some(facts) = self.lab.to_take_over()? {
            return self.take_over(&facts, number);
        }
        let none = || Refusal::new(Exit::DiskNotFound, "no disk carries a host of ours");
        let facts = self.lab.own().ok_or_else(none)?;
        let plan = commands::plan(&facts, dir)?;
        let from = self.version_in(plan.from);
        let steps = commands::upgrade(&plan, dir, &path);
        self.learn(VERSIONS[number], plan.into, &steps);
        self.seen.note("upgrades");
        if facts.boot.state.trial == Trial::Pending {
            self.seen.note("upgrades after a trial that failed");
        }
        Ok(Performed { steps, from, to: VERSIONS[number].to_owned() })
    }

    fn take_over(&mut self, facts: &TakeoverFacts, number: usize) -> Result<Performed, Refusal> {
        let dir = self.releases[number].dir();
        let seed = self.random.next().to_le_bytes();
        let mut ids = Ids::from_seed([seed; 4].concat().try_into().unwrap());
        let release = Release::open(dir).unwrap();
        let plan = plan(facts, release.manifest(), &Wish::default(), &mut ids)?;
        let what = match (&facts.trial, &plan.failed) {
            (None, _) if plan.resumed => "takeovers resumed",
            (None, _) => "takeovers begun",
            (Some(_), None) => "takeovers with their commit mended",
            (Some(_), Some(_)) => "takeovers begun over",
        };
        self.seen.note(what);
        self.events.push(what.to_owned());
        let steps = self.lab.take_over_by(&plan, dir);
        self.learn(VERSIONS[number], Slot::A, &steps);
        Ok(Performed { steps, from: "old".to_owned(), to: VERSIONS[number].to_owned() })
    }

    fn finish(&mut self) -> Result<Performed, Refusal> {
        let steps = self.lab.try_finish()?;
        if steps.iter().any(|step| step.name == FinishStep::CopyOld.title()) {
            let end = crash_explorer::epochs::performed(&self.disk, &steps);
            self.roots.0.push(self.lab.copy_whole(&end));
        }
        self.seen.note("finishes");
        let (_, from) = self.boots(Counter::OnDisk);
        Ok(Performed { steps, to: from.clone(), from })
    }

    fn rollback(&mut self) -> Result<Performed, Refusal> {
        let none = || Refusal::new(Exit::DiskNotFound, "no disk carries a host of ours");
        let facts = self.lab.own().ok_or_else(none)?;
        let steps = commands::rollback(&facts, &self.lab.scene.disk())?;
        let (_, from) = self.boots(Counter::OnDisk);
        let is_trial = facts.boot.state.other == Other::Old;
        let to = if is_trial {
            self.seen.note("given up");
            "old".to_owned()
        } else {
            self.seen.note("rollbacks");
            self.version_in(facts.boot.state.slot.opposite())
        };
        if !is_trial && to == "old" {
            self.seen.note("rollbacks to the copy");
        } else if !is_trial && from == "old" {
            self.seen.note("rollbacks from the copy");
        }
        Ok(Performed { steps, from, to })
    }

    /// What the slot holds when the steps are done, by what the file has now.
    fn learn(&mut self, version: &str, slot: Slot, steps: &[Step]) {
        let end = crash_explorer::epochs::performed(&self.disk, steps);
        let inventory = self.lab.own().unwrap().slot(slot).inventory.unwrap();
        let root = by_partuuid(&inventory, slot);
        self.roots.0.push(Whole::of(&end, self.lab.slot(slot), version, root));
    }

    fn perform(&mut self, command: &Command) -> Result<Performed, Refusal> {
        match command {
            Command::Upgrade(number) => self.upgrade(*number),
            Command::Finish => self.finish(),
            Command::Rollback { .. } => self.rollback(),
        }
    }

    /// Gives a command. Gives it back where it was cut off.
    pub(crate) fn command(&mut self, command: Command, ending: Ending) -> Option<Command> {
        let before = self.disk.clone();
        let done = match self.perform(&command) {
            Ok(done) => done,
            Err(refusal) => {
                self.events.push(format!("{command:?} {REFUSED}: {}", refusal.message));
                self.seen.note("refusals");
                return None;
            }
        };
        let Performed { steps, from, to } = done;
        self.events.push(format!("{command:?}, from {from} to {to}, {ending:?}"));
        match &command {
            Command::Upgrade(_) => {
                // By the medium.
                self.running = None;
                self.safe.clone_from(&from);
                self.may = vec![from, to.clone()];
            }
            Command::Finish => {}
            Command::Rollback { .. } => self.may.extend([from, to.clone()]),
        }
        self.happen(&steps, ending);
        if ending == Ending::Cut {
            self.seen.note("cuts");
            if self.disk.used().eq(before.used()) {
                self.seen.note("cuts before anything was written");
            }
            return Some(match command {
                Command::Rollback { .. } => Command::Rollback { to },
                Command::Upgrade(_) | Command::Finish => command,
            });
        }
        let (_, boots) = self.boots(Counter::OnDisk);
        assert_eq!(boots, to, "{command:?} after {:#?}", self.events);
        None
    }

    /// The same command again. It ends where it would have, or has nothing left to do.
    pub(crate) fn rerun(&mut self, command: &Command) {
        let (_, now) = self.boots(Counter::OnDisk);
        if matches!(command, Command::Rollback { to } if *to == now) {
            return;
        }
        self.seen.note("reruns");
        let again = self.command(command.clone(), Ending::Whole);
        assert_eq!(again, None);
        let last = self.events.last().unwrap();
        let fine = match command {
            Command::Upgrade(number) => now == VERSIONS[*number],
            Command::Finish => last.contains("nothing to finish"),
            Command::Rollback { to } => now == *to,
        };
        assert!(!last.contains(REFUSED) || fine, "{now} boots, after {:#?}", self.events);
        if *command == Command::Finish {
            assert_eq!(self.lab.scene.verify(), Exit::Done, "after {:#?}", self.events);
        }
    }

    /// State and count, where our boot loader has started something.
    pub(crate) fn boot_state(&self) -> (BootState, Option<u8>) {
        let mut found = None;
        let path = self.lab.scene.disk();
        let steps = commands::boot_state(&path, self.lab.boot(), "look", |files| {
            found = Some((files.state().unwrap(), files.tries().unwrap()));
        });
        assert_eq!(steps, []);
        found.unwrap()
    }

    /// The machine is turned on. The firmware mends the table, the boot loader counts a try.
    pub(crate) fn boot(&mut self) {
        let repairs = self.repairs();
        if !repairs.is_empty() {
            self.seen.note("repairs");
            for (lba, bytes) in repairs {
                self.disk.put(lba, Block::Bytes(bytes.into()));
            }
            self.lab.put(&self.disk);
        }
        let running = self.boots(Counter::OnDisk);
        assert!(
            self.may.contains(&running.1) || running.1 == self.safe,
            "{running:?} after {:#?}",
            self.events
        );
        self.events.push(format!("boot of {} from {}", running.1, running.0));
        self.running = Some(running.clone());
        self.seen.note("boots");
        if let Some(slot) = slot(running.0) {
            let (state, tries) = self.boot_state();
            let on_trial = state.trial == Trial::Pending;
            if on_trial && slot == state.slot {
                let left = tries.unwrap_or(0).saturating_sub(1);
                let steps = commands::count(&self.lab.scene.disk(), self.lab.boot(), left);
                self.may = vec![running.1.clone(), self.safe.clone()];
                let ending = if self.one_in(4) { Ending::Cut } else { Ending::Whole };
                self.happen(&steps, ending);
            } else if on_trial {
                self.seen.note("fallbacks");
            } else {
                self.may = vec![running.1.clone()];
            }
        } else if self.may.iter().any(|may| *may != running.1) {
            self.seen.note("fallbacks");
        }
    }

    /// The system that runs judges itself. Old ones do not.
    pub(crate) fn bless(&mut self, health: Health) {
        let Some((booted, version)) = self.running.clone() else { return };
        let Some(slot) = slot(booted).filter(|_| version != "old") else { return };
        let path = self.lab.scene.disk();
        let places = (self.lab.slot(slot), self.lab.boot());
        let (outcome, steps) = commands::bless(&path, places, health);
        let ending = if self.one_in(4) { Ending::Cut } else { Ending::Whole };
        self.events.push(format!("bless of {version}, {health:?}, {ending:?}: {outcome}"));
        self.happen(&steps, ending);
        match outcome {
            bless::Outcome::Blessed { .. } if ending == Ending::Whole => {
                self.live_on(slot, &version);
                self.seen.note("blesses");
            }
            bless::Outcome::Aside { .. } => {}
            bless::Outcome::Unwell { .. } | bless::Outcome::Rebooting { .. } => {
                self.seen.note("unwell");
                self.boot();
            }
            bless::Outcome::Blessed { .. } => self.boot(),
        }
    }

    /// What a system does once it was blessed: it notes that, and guests come.
    fn live_on(&mut self, slot: Slot, version: &str) {
        let path = self.lab.scene.disk();
        let root = self.roots.root_at(&self.disk, self.lab.slot(slot)).unwrap();
        commands::remember(&path, self.lab.slot(slot));
        let mut image = disk::load(&path);
        if !self.has_guests {
            self.has_guests = true;
            let sr = extent(&self.lab.tables.last, Role::Sr);
            for at in [sr.first().get(), sr.first().get() + sr.blocks() / 2, sr.last().get()] {
                image.put(at, Block::Bytes(vec![0x6E; image.block_bytes()].into()));
            }
            self.lab.put(&image);
        }
        self.roots.0.push(Whole::of(&image, self.lab.slot(slot), version, root));
        self.took(image);
        self.may = vec![version.to_owned()];
    }
}
