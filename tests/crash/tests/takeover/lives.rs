//! Lives of hosts that are taken over: takeovers, cuts, boots, blesses, failures, rollbacks, ends
//! and upgrades in any order, each by the installer's own code. After every event the oracle turns
//! the machine on, by each firmware that starts the host.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use boot_oracle::{Counter, Slot as Booted};
use crash_explorer::Random;
use installer_core::outcome::Exit;

use super::events::Command;
use super::lab::Lab;
use super::life::{Ending, Life, Stand};
use super::releases::{VERSIONS, release};
use super::running::Health;
use super::scene::Kind;
use super::testing::TinyRelease;
use super::{THREADS, seed};

/// Hosts of other products. One of ours starts its old system by the same boot loader as the new
/// one: what these lives say of slots is not so there.
pub(crate) const KINDS: [Kind; 4] = [Kind::MbrBios, Kind::MbrGap, Kind::GptBios, Kind::GptUefi];
/// Events of a life.
const EVENTS: usize = 50;
/// Lives of each kind of host.
const LIVES: u64 = 1;
/// After so many events a life must have come to rest.
const REST: usize = 12;
/// The last release is for the end of a life.
const NEWEST: usize = VERSIONS.len() - 1;

/// What a few lives are sure to hold.
const SURE: [&str; 18] = [
    "states",
    "takeovers begun",
    "takeovers resumed",
    "takeovers begun over",
    "given up",
    "cuts",
    "torn",
    "reruns",
    "boots",
    "fallbacks",
    "blesses",
    "unwell",
    "finishes",
    "rollbacks",
    "rollbacks to the copy",
    "rollbacks from the copy",
    "upgrades",
    "refusals",
];

/// How often each thing happened, so that a life without events is no proof.
#[derive(Debug, Default)]
pub(crate) struct Seen(BTreeMap<&'static str, u32>);

impl Seen {
    pub(crate) fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }
}

/// What may happen to a host at any time.
#[derive(Clone, Copy)]
enum Event {
    Upgrade,
    Finish,
    Rollback,
    Boot,
    Well,
    Unwell,
}

/// By chance, where the host stands: what has a meaning there more often than what is refused.
fn chosen(life: &mut Life<'_>) -> Event {
    use Event as E;
    let weights = match life.stand() {
        Stand::Old => [(E::Upgrade, 8), (E::Finish, 1), (E::Rollback, 2), (E::Boot, 3)].as_slice(),
        Stand::OnTrial => &[
            (E::Upgrade, 1),
            (E::Finish, 1),
            (E::Rollback, 2),
            (E::Boot, 4),
            (E::Well, 4),
            (E::Unwell, 3),
        ],
        Stand::Blessed => {
            &[(E::Upgrade, 1), (E::Finish, 7), (E::Rollback, 1), (E::Boot, 2), (E::Unwell, 1)]
        }
        Stand::Finished => {
            &[(E::Upgrade, 5), (E::Finish, 1), (E::Rollback, 4), (E::Boot, 2), (E::Well, 2)]
        }
    };
    let mut at = life.below(weights.iter().map(|(_, weight)| weight).sum());
    for (event, weight) in weights {
        if at < *weight {
            return *event;
        }
        at -= weight;
    }
    E::Boot
}

/// One event, by chance. A command that was cut off may be given again.
fn event(life: &mut Life<'_>, broken_off: Option<Command>) -> Option<Command> {
    if let Some(command) = &broken_off
        && life.one_in(2)
    {
        life.rerun(command);
        return None;
    }
    let command = match chosen(life) {
        Event::Upgrade => Command::Upgrade(life.below(NEWEST)),
        Event::Finish => Command::Finish,
        Event::Rollback => Command::Rollback { to: String::new() },
        Event::Boot => {
            life.boot();
            return broken_off;
        }
        Event::Well => {
            life.bless(Health::Well);
            return None;
        }
        Event::Unwell => {
            life.bless(Health::Unwell);
            return None;
        }
    };
    let ending = if life.one_in(3) { Ending::Whole } else { Ending::Cut };
    let broken_off = life.command(command, ending);
    // The power comes back, or the operator restarts the host; or the medium is there still.
    if life.one_in(2) {
        life.boot();
    }
    broken_off
}

/// Whatever came before, the takeover comes to its end, and the host to the newest release.
fn ends_well(life: &mut Life<'_>) {
    for _ in 0..REST {
        life.boot();
        let (slot, version) = life.boots(Counter::OnDisk);
        if slot == Booted::Old {
            life.command(Command::Upgrade(0), Ending::Whole);
        } else if version == "old" {
            life.command(Command::Rollback { to: String::new() }, Ending::Whole);
        } else {
            life.bless(Health::Well);
            if life.stand() == Stand::OnTrial {
                // Its count of tries was torn: the system before it runs. The trial is given up.
                life.command(Command::Rollback { to: String::new() }, Ending::Whole);
            }
            life.command(Command::Finish, Ending::Whole);
            life.command(Command::Upgrade(NEWEST), Ending::Whole);
        }
        if life.boots(Counter::OnDisk).1 == VERSIONS[NEWEST] {
            life.second_opinion();
            assert_eq!(life.lab.scene.verify(), Exit::Done, "after {:#?}", life.events);
            return;
        }
    }
    panic!("it does not come to rest: {:#?}", life.events);
}

fn lives() -> u64 {
    std::env::var("CRASH_LIVES").map_or(LIVES, |text| text.parse().unwrap())
}

fn live(lab: &Lab, releases: &[TinyRelease], random: Random, seen: &mut Seen) {
    let mut life = Life::begin((lab, releases), random, seen);
    let mut broken_off = None;
    for _ in 0..EVENTS {
        let before = life.events.len();
        broken_off = event(&mut life, broken_off);
        if before < life.events.len() {
            life.second_opinion();
        }
    }
    ends_well(&mut life);
}

#[test]
fn no_life_of_a_host_taken_over_ends_in_the_dark() {
    let releases: Vec<TinyRelease> = VERSIONS.into_iter().map(release).collect();
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Seen::default()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(kind) = KINDS.get(index) else { break };
                    let lab = Lab::new(*kind);
                    let mut seen = Seen::default();
                    for number in 0..lives() {
                        let own = number << 8 | u64::try_from(index).unwrap();
                        live(&lab, &releases, Random::new(seed() ^ own), &mut seen);
                    }
                    println!("{} lives of {kind:?}: {seen:?}", lives());
                    all.lock().unwrap().add(&seen);
                }
            });
        }
    });
    let seen = all.into_inner().unwrap();
    println!("all lives, of {EVENTS} events each: {seen:#?}");
    for what in SURE {
        assert!(seen.0.contains_key(what), "no {what}: {seen:#?}");
    }
}
