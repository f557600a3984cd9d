//! The states that a cut can leave: every prefix, subsets of what was not flushed, torn blocks,
//! and each of them after the firmware has repaired what it found damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::Random;
use crate::epochs::{Epoch, Step, epochs};
use crate::image::{Block, Image, Overlay, View};
use crate::judge::{Judge, Verdict, Violation};

/// Up to so many blocks in flight, every subset is made.
const EXHAUSTIVE: usize = 12;
/// Up to so many, every subset beside each torn block.
const EXHAUSTIVE_TORN: usize = 6;
/// Up to so many, a cut at every place; in larger epochs, which are images being written, at
/// [`PLACES`] of them.
const EVERY_PLACE: usize = 1024;
const PLACES: usize = 64;
/// Blocks from here on are of the head and of the boot partition's first sectors: pairs of them are
/// taken together.
const CRITICAL_LAST: u64 = 65;

/// How one state comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    pub epoch: usize,
    /// Which blocks of the epoch persisted.
    pub kept: Vec<bool>,
    /// One that was being written: garbage, or unreadable.
    pub torn: Option<(usize, Tear)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    Garbage,
    Unreadable,
}

/// How much is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub seed: u64,
    /// So many states in all, as far as the systematic ones leave room.
    pub states: usize,
    /// Only this state.
    pub only: Option<usize>,
    /// End at the first violation.
    pub first: bool,
    /// Of the states of a large epoch one in so many is judged, by chance.
    pub one_of: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub states: usize,
    /// By what boots.
    pub outcomes: BTreeMap<&'static str, usize>,
    /// States in which the block being written was LBA 0, and the machine does not start.
    pub torn_lba0: usize,
    pub torn: usize,
    pub repaired: usize,
    pub violations: Vec<(usize, Violation)>,
}

impl Report {
    /// What came of another run, counted with this one.
    pub fn add(&mut self, other: Self) {
        let Self { states, outcomes, torn_lba0, torn, repaired, violations } = other;
        self.states += states;
        self.torn_lba0 += torn_lba0;
        self.torn += torn;
        self.repaired += repaired;
        self.violations.extend(violations);
        for (what, count) in outcomes {
            *self.outcomes.entry(what).or_default() += count;
        }
    }
}

/// Makes and judges the states of a run.
pub fn explore(old: &Image, steps: &[Step], judge: &mut dyn Judge, budget: Budget) -> Report {
    let epochs = epochs(old, steps);
    let mut report = Report::default();
    let mut durable = old.clone();
    let mut number = 0;
    let share = share(&epochs, budget.states);
    for (index, epoch) in epochs.iter().enumerate() {
        judge.enter(steps, epoch);
        let mut random = Random::new(budget.seed ^ u64::try_from(index).unwrap_or(0) << 32);
        let mut chosen = Random::new(!budget.seed ^ u64::try_from(index).unwrap_or(0) << 32);
        for recipe in recipes(index, epoch, share, &mut random) {
            let this = number;
            number += 1;
            if budget.only.is_some_and(|only| only != this) {
                continue;
            }
            let by_chance = EXHAUSTIVE < epoch.atoms.len()
                && !is_apart(epoch, &recipe)
                && !is_critical(epoch, &recipe);
            if by_chance && !chosen.next().is_multiple_of(budget.one_of) {
                continue;
            }
            let overlay = lay(epoch, &recipe);
            one(&durable, &overlay, &recipe, epoch, judge, this, &mut report);
            if budget.first && !report.violations.is_empty() {
                return report;
            }
        }
        durable = durable.with(&lay(epoch, &whole(index, epoch)));
        judge.leave(steps, epoch, &durable);
    }
    if budget.only.is_none()
        && let Err(violation) = judge.end(&durable)
    {
        report.violations.push((number, violation));
    }
    report
}

/// One state, as the explorer made it: to be booted for real, or dumped.
pub fn state(
    old: &Image,
    steps: &[Step],
    budget: Budget,
    wanted: usize,
) -> Option<(Image, Recipe)> {
    let epochs = epochs(old, steps);
    let mut durable = old.clone();
    let mut number = 0;
    let share = share(&epochs, budget.states);
    for (index, epoch) in epochs.iter().enumerate() {
        let mut random = Random::new(budget.seed ^ u64::try_from(index).unwrap_or(0) << 32);
        for recipe in recipes(index, epoch, share, &mut random) {
            if number == wanted {
                return Some((durable.with(&lay(epoch, &recipe)), recipe));
            }
            number += 1;
        }
        durable = durable.with(&lay(epoch, &whole(index, epoch)));
    }
    None
}

/// So many states of each epoch, by chance: to go on from.
pub fn samples(old: &Image, steps: &[Step], seed: u64, of_each: usize) -> Vec<Image> {
    let mut durable = old.clone();
    let mut all = Vec::new();
    for (index, epoch) in epochs(old, steps).iter().enumerate() {
        let mut random = Random::new(seed ^ u64::try_from(index).unwrap_or(0) << 32);
        for _ in 0..of_each {
            let recipe = by_chance(index, epoch.atoms.len(), &mut random);
            all.push(durable.with(&lay(epoch, &recipe)));
        }
        durable = durable.with(&lay(epoch, &whole(index, epoch)));
    }
    all
}

fn one(
    durable: &Image,
    overlay: &Overlay,
    recipe: &Recipe,
    epoch: &Epoch,
    judge: &mut dyn Judge,
    number: usize,
    report: &mut Report,
) {
    report.states += 1;
    report.torn += usize::from(recipe.torn.is_some());
    let torn_at = recipe.torn.and_then(|(atom, _)| epoch.atoms.get(atom)).map(|atom| atom.lba);
    let view = View { image: durable, overlay };
    let Verdict { kind, repairs, violation } = judge.judge(&view);
    *report.outcomes.entry(kind).or_default() += 1;
    match violation {
        Some(_) if torn_at == Some(0) => report.torn_lba0 += 1,
        Some(violation) => report.violations.push((number, violation)),
        None => {}
    }
    if repairs.is_empty() || torn_at == Some(0) {
        return;
    }
    // The firmware has written what it repairs: all of it, or the entries and not yet the header.
    for upto in [repairs.len(), repairs.len() - 1] {
        let mut overlay = overlay.clone();
        for (lba, bytes) in repairs.iter().take(upto) {
            overlay.insert(*lba, Block::Bytes(Arc::from(&**bytes)));
        }
        report.states += 1;
        report.repaired += 1;
        let verdict = judge.judge(&View { image: durable, overlay: &overlay });
        *report.outcomes.entry(verdict.kind).or_default() += 1;
        report.violations.extend(verdict.violation.map(|violation| (number, violation)));
    }
}

/// States for each epoch that has room for chance.
fn share(epochs: &[Epoch], states: usize) -> usize {
    let large = epochs.iter().filter(|epoch| EXHAUSTIVE < epoch.atoms.len()).count();
    states.div_ceil(large.max(1))
}

/// Everything of the epoch.
fn whole(epoch: usize, of: &Epoch) -> Recipe {
    Recipe { epoch, kept: vec![true; of.atoms.len()], torn: None }
}

/// The blocks that a recipe leaves on the disk. A block written twice has what was kept last.
fn lay(epoch: &Epoch, recipe: &Recipe) -> Overlay {
    let mut overlay = Overlay::new();
    for (number, atom) in epoch.atoms.iter().enumerate() {
        if recipe.kept.get(number) == Some(&true) {
            overlay.insert(atom.lba, atom.block.clone());
        }
        if let Some((torn, tear)) = recipe.torn
            && torn == number
        {
            let block = match (tear, &atom.block) {
                (Tear::Garbage, Block::Bytes(bytes)) => {
                    Block::Bytes(Arc::from(vec![0xA5; bytes.len()]))
                }
                (Tear::Garbage | Tear::Unreadable, _) => Block::Unreadable,
            };
            overlay.insert(atom.lba, block);
        }
    }
    overlay
}

/// The states of one epoch. The empty subset is the state before it, and made once, here.
fn recipes(index: usize, epoch: &Epoch, share: usize, random: &mut Random) -> Vec<Recipe> {
    let count = epoch.atoms.len();
    let mut kept: Vec<Vec<bool>> = Vec::new();
    if count <= EXHAUSTIVE {
        kept.extend(
            (0..1_u32 << count).map(|bits| (0..count).map(|i| bits >> i & 1 == 1).collect()),
        );
    } else {
        for k in places(count).chain([count]) {
            kept.push((0..count).map(|i| i < k).collect());
            kept.push((0..count).map(|i| i == k).collect());
            kept.push((0..count).map(|i| i != k).collect());
        }
        kept.extend(apart(epoch));
        let critical: Vec<usize> =
            (0..count).filter(|i| epoch.atoms[*i].lba <= CRITICAL_LAST).collect();
        for (n, a) in critical.iter().enumerate() {
            for b in &critical[..n] {
                kept.push((0..count).map(|i| i == *a || i == *b).collect());
                kept.push((0..count).map(|i| i != *a && i != *b).collect());
            }
        }
    }
    let plain = |kept| Recipe { epoch: index, kept, torn: None };
    let mut all: Vec<Recipe> = kept.into_iter().map(plain).collect();
    for torn in places(count) {
        for kept in beside(torn, count) {
            for tear in [Tear::Garbage, Tear::Unreadable] {
                let kept = kept.clone();
                all.push(Recipe { epoch: index, kept, torn: Some((torn, tear)) });
            }
        }
    }
    // Small epochs have no further states than these.
    while EXHAUSTIVE < count && all.len() < share {
        all.push(by_chance(index, count, random));
    }
    all
}

/// Steps that are in flight together, which nothing keeps in order: each alone, and all but it.
fn apart(epoch: &Epoch) -> Vec<Vec<bool>> {
    let steps: BTreeSet<usize> = epoch.atoms.iter().map(|atom| atom.step).collect();
    let alone = |step| epoch.atoms.iter().map(|atom| atom.step == step).collect::<Vec<_>>();
    let each = steps.iter().filter(|_| 1 < steps.len()).map(|step| alone(*step));
    each.flat_map(|alone| [alone.iter().map(|kept| !kept).collect(), alone]).collect()
}

/// One of those.
fn is_apart(epoch: &Epoch, recipe: &Recipe) -> bool {
    let of = |kept| {
        let all = epoch.atoms.iter().zip(&recipe.kept).filter(move |(_, k)| **k == kept);
        all.map(|(atom, _)| atom.step).collect::<BTreeSet<_>>()
    };
    let (kept, lost) = (of(true), of(false));
    let is_split = kept.is_disjoint(&lost) && !kept.is_empty() && !lost.is_empty();
    is_split && recipe.torn.is_none() && (kept.len() == 1 || lost.len() == 1)
}

/// No more than two blocks are there, or missing, and they are critical ones.
fn is_critical(epoch: &Epoch, recipe: &Recipe) -> bool {
    let few = |kept| {
        let all = epoch.atoms.iter().zip(&recipe.kept).filter(|(_, k)| **k == kept);
        let all: Vec<u64> = all.take(3).map(|(atom, _)| atom.lba).collect();
        (1..=2).contains(&all.len()) && all.iter().all(|lba| *lba <= CRITICAL_LAST)
    };
    recipe.torn.is_none() && (few(true) || few(false))
}

/// Where an epoch of so many blocks is cut.
fn places(count: usize) -> impl Iterator<Item = usize> {
    let step = if count <= EVERY_PLACE { 1 } else { count / PLACES };
    (0..count).step_by(step)
}

/// What may have persisted beside a block that was being written.
fn beside(torn: usize, count: usize) -> Vec<Vec<bool>> {
    if count <= EXHAUSTIVE_TORN {
        let subsets = (0..1_u32 << count).filter(|bits| bits >> torn & 1 == 0);
        return subsets.map(|bits| (0..count).map(|i| bits >> i & 1 == 1).collect()).collect();
    }
    // In order: all before it is there. Out of order: all but it is there.
    let mut all = vec![(0..count).map(|i| i < torn).collect()];
    if torn + 1 < count {
        all.push((0..count).map(|i| i != torn).collect());
    }
    all
}

fn by_chance(epoch: usize, count: usize, random: &mut Random) -> Recipe {
    let kept: Vec<bool> = (0..count).map(|_| random.next() & 1 == 1).collect();
    let torn = random.next().is_multiple_of(4).then(|| {
        let bound = u64::try_from(count).unwrap_or(1);
        let which = usize::try_from(random.next() % bound).unwrap_or(0);
        (which, if random.next() & 1 == 0 { Tear::Garbage } else { Tear::Unreadable })
    });
    Recipe { epoch, kept, torn }
}
