//! Lives of a host: upgrades, cuts, boots, blesses, failures and rollbacks in any order, each by
//! the installer's own code. After every event the oracle turns the machine on, in both firmwares.

use boot_oracle::installed::Installed;
use boot_oracle::known::Known;
use boot_oracle::{Counter, Machine, Outcome, Slot as Booted};
use crash_explorer::Random;
use crash_explorer::epochs::{Step, epochs};
use crash_explorer::image::{Image, Overlay, View};
use installer::bless;
use installer_core::bootstate::{Slot, Trial};

use super::host::{Shape, TinyHost};
use super::recorded::{known, slots};
use super::releases::{VERSION_FILE, VERSIONS};
use super::running::Health;
use super::seed;

/// Events of a life.
const EVENTS: usize = 50;
/// Lives of each layout.
const LIVES: u64 = 3;

/// One life.
struct Life<'h> {
    host: &'h mut TinyHost,
    known: Known,
    random: Random,
    /// What runs, or ran when the power went.
    running: (Slot, String),
    /// What may boot next.
    may: Vec<String>,
    /// What a trial falls back to.
    safe: String,
    /// What happened, in order.
    events: Vec<String>,
}

/// How often each thing happened, so that a life without events is no proof.
#[derive(Debug, Default)]
struct Seen {
    upgrades: u32,
    cuts: u32,
    fallbacks: u32,
    blesses: u32,
    rollbacks: u32,
    refusals: u32,
}

impl<'h> Life<'h> {
    fn begin(host: &'h mut TinyHost, seed: u64) -> Self {
        let first = VERSIONS[0].to_owned();
        Self {
            known: known(host),
            host,
            random: Random::new(seed),
            running: (Slot::A, first.clone()),
            may: vec![first.clone()],
            safe: first,
            events: Vec::new(),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    /// What boots; in every firmware the same.
    fn boots(&self, image: &Image, counter: Counter) -> (Slot, String) {
        let (known, slots) = (&self.known, slots(self.host));
        let overlay = Overlay::new();
        let view = View { image, overlay: &overlay };
        let mut all = self.host.shape.started_by.iter().map(|&firmware| {
            let systems = &Installed { version_file: VERSION_FILE };
            let machine = Machine { firmware, entries: &[], known, systems, slots: &slots };
            match machine.boot_with(&view, counter).outcome {
                Outcome::Boots { slot: Booted::A, version, .. } => (Slot::A, version),
                Outcome::Boots { slot: Booted::B, version, .. } => (Slot::B, version),
                other @ (Outcome::Boots { slot: Booted::Old, .. }
                | Outcome::Message
                | Outcome::Menu { .. }
                | Outcome::Corrupt { .. }
                | Outcome::Dead { .. }) => {
                    panic!("{firmware:?} {other} after {:#?}", self.events)
                }
            }
        });
        let one = all.next().expect("something starts the host");
        assert!(all.all(|other| other == one), "{one:?} after {:#?}", self.events);
        one
    }

    /// What must be true of any state in which the power may go.
    fn check(&self, image: &Image) {
        let (_, version) = self.boots(image, Counter::OnDisk);
        assert!(
            self.may.contains(&version),
            "{version} boots, {:?} may, after {:#?}",
            self.may,
            self.events
        );
        if version != self.safe {
            for counter in [Counter::Spent, Counter::ChosenFails] {
                let (_, version) = self.boots(image, counter);
                let fine = self.may.contains(&version) || version == self.safe;
                assert!(fine, "{counter:?}: {version} after {:#?}", self.events);
            }
        }
    }

    /// Puts what was written on the disk: all of it, or what was there when the power went.
    fn happen(&mut self, steps: &[Step], is_cut: bool) {
        let epochs = epochs(&self.host.disk.image, steps);
        let mut image = self.host.disk.image.clone();
        let last = if is_cut && !epochs.is_empty() { self.below(epochs.len()) } else { usize::MAX };
        for (number, epoch) in epochs.iter().enumerate().take_while(|(n, _)| *n <= last) {
            for atom in &epoch.atoms {
                // Of what was in flight, anything may be there.
                if number != last || self.random.next() & 1 == 0 {
                    image.put(atom.lba, atom.block.clone());
                }
            }
            if number != last {
                self.check(&image);
            }
        }
        self.check(&image);
        self.host.disk.image = image;
    }

    fn upgrade(&mut self, seen: &mut Seen) {
        // The last one is for the end of the life. The one that runs would be refused.
        let others: Vec<usize> =
            (0..VERSIONS.len() - 1).filter(|n| VERSIONS[*n] != self.running.1).collect();
        let number = others[self.below(others.len())];
        let to = VERSIONS[number].to_owned();
        let is_cut = self.one_in(2);
        match self.host.upgrade(number) {
            Ok((plan, steps)) => {
                let from = self.version_in(plan.from);
                self.events.push(format!("upgrade from {from} to {to}, cut: {is_cut}"));
                self.safe.clone_from(&from);
                self.may = vec![from, to];
                self.happen(&steps, is_cut);
                seen.upgrades += 1;
                seen.cuts += u32::from(is_cut);
            }
            Err(refusal) => {
                self.events.push(format!("upgrade to {to} refused: {}", refusal.message));
                seen.refusals += 1;
                return;
            }
        }
        if is_cut {
            self.boot(seen);
        }
    }

    /// The version in a slot, by what boots when that slot is chosen.
    fn version_in(&self, slot: Slot) -> String {
        let all = [Counter::OnDisk, Counter::ChosenFails, Counter::Spent];
        let found = all.into_iter().map(|counter| self.boots(&self.host.disk.image, counter));
        found.into_iter().find(|(at, _)| *at == slot).map_or_else(String::new, |(_, v)| v)
    }

    fn boot(&mut self, seen: &mut Seen) {
        let before = self.host.boot();
        let running = self.boots(&self.host.disk.image, Counter::OnDisk);
        assert!(self.may.contains(&running.1), "{running:?} after {:#?}", self.events);
        self.events.push(format!("boot of {} from slot {}", running.1, running.0));
        if before.state.trial == Trial::Pending {
            if running.0 == before.state.slot {
                let left = before.tries.unwrap_or(0).saturating_sub(1);
                let steps = self.host.count(left);
                let is_cut = self.one_in(4);
                self.may = vec![running.1.clone(), self.safe.clone()];
                self.happen(&steps, is_cut);
            } else {
                seen.fallbacks += 1;
            }
        }
        self.running = running;
    }

    fn bless(&mut self, health: Health, seen: &mut Seen) {
        let (slot, version) = self.running.clone();
        let (outcome, steps) = self.host.bless(slot, health);
        let is_cut = self.one_in(4);
        self.events.push(format!("bless of {version}, {health:?}, cut: {is_cut}: {outcome}"));
        self.happen(&steps, is_cut);
        match outcome {
            bless::Outcome::Blessed { .. } if !is_cut => {
                self.host.remember(slot);
                (self.may, self.safe) = (vec![version.clone()], version);
                seen.blesses += 1;
            }
            bless::Outcome::Aside { .. } => {}
            bless::Outcome::Blessed { .. }
            | bless::Outcome::Unwell { .. }
            | bless::Outcome::Rebooting { .. } => self.boot(seen),
        }
    }

    fn rollback(&mut self, seen: &mut Seen) {
        match self.host.rollback() {
            Ok(steps) => {
                let other = self.version_in(self.host.boot().state.slot.opposite());
                let is_cut = self.one_in(2);
                self.events.push(format!("rollback to {other}, cut: {is_cut}"));
                self.may.extend([other, self.running.1.clone()]);
                self.happen(&steps, is_cut);
                seen.rollbacks += 1;
                self.boot(seen);
            }
            Err(refusal) => {
                self.events.push(format!("rollback refused: {}", refusal.message));
                seen.refusals += 1;
            }
        }
    }

    fn event(&mut self, seen: &mut Seen) {
        match self.below(8) {
            0..=2 => self.upgrade(seen),
            3 | 4 => self.boot(seen),
            5 => self.bless(Health::Well, seen),
            6 => self.bless(Health::Unwell, seen),
            _ => self.rollback(seen),
        }
    }
}

/// Whatever came before, a host can be brought up to date.
fn ends_well(life: &mut Life<'_>, seen: &mut Seen) {
    for _ in 0..8 {
        life.boot(seen);
        let (outcome, steps) = life.host.bless(life.running.0, Health::Well);
        life.happen(&steps, false);
        match outcome {
            bless::Outcome::Blessed { .. } => {
                life.host.remember(life.running.0);
                return;
            }
            bless::Outcome::Aside { .. } => {
                let steps = life.host.rollback().unwrap();
                life.happen(&steps, false);
            }
            bless::Outcome::Unwell { .. } | bless::Outcome::Rebooting { .. } => {
                panic!("{outcome} after {:#?}", life.events)
            }
        }
    }
    panic!("it does not settle: {:#?}", life.events);
}

fn lives() -> u64 {
    std::env::var("CRASH_LIVES").map_or(LIVES, |text| text.parse().unwrap())
}

/// One life from its installation, by a number of its own.
fn live(host: &mut TinyHost, number: u64, seen: &mut Seen) {
    let mut life = Life::begin(host, seed() ^ number);
    for _ in 0..EVENTS {
        life.event(seen);
    }
    ends_well(&mut life, seen);
    let newest = VERSIONS.len() - 1;
    let (plan, steps) = life.host.upgrade(newest).unwrap();
    life.safe = life.version_in(plan.from);
    life.may = vec![life.safe.clone(), VERSIONS[newest].to_owned()];
    life.happen(&steps, false);
    let want = (plan.into, VERSIONS[newest].to_owned());
    assert_eq!(life.boots(&life.host.disk.image, Counter::OnDisk), want);
}

#[test]
fn no_life_of_a_host_ends_in_the_dark() {
    let mut seen = Seen::default();
    for (index, shape) in (0..).zip(Shape::ALL) {
        let mut host = TinyHost::install(shape);
        let first = host.disk.image.clone();
        for number in 0..lives() {
            host.disk.image = first.clone();
            live(&mut host, number << 8 | index, &mut seen);
        }
    }
    println!("{} lives of {EVENTS} events: {seen:?}", 3 * lives());
    let least = seen.upgrades.min(seen.cuts).min(seen.blesses).min(seen.rollbacks);
    assert!(least != 0 && seen.fallbacks != 0, "{seen:?}");
}
