//! Whether what boots may boot.

use boot_oracle::disk::Disk;
use boot_oracle::table::{Gpt, Mbr};
use boot_oracle::{Booted, Counter, Outcome, Warning};
use partitioner::block::recorder::Entry;
use partitioner::units::Extent;

use crate::epochs::{Epoch, Step};
use crate::image::{Image, Overlay, View};
use crate::scenario::{Scenario, Untouched};
use crate::stamps::SECRET;

/// What must not be, and in which step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub step: String,
    pub what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "in step {}: {}", self.step, self.what)
    }
}

/// What was found about one state.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// One word for the figures.
    pub kind: &'static str,
    /// What the firmware would write.
    pub repairs: Vec<(u64, Vec<u8>)>,
    pub violation: Option<Violation>,
}

/// Judges states, and is told where in the run they are.
pub trait Judge {
    /// The states that follow are of this epoch.
    fn enter(&mut self, steps: &[Step], epoch: &Epoch);
    fn judge(&mut self, view: &View<'_>) -> Verdict;
    /// The epoch has been flushed: this is on the disk now.
    fn leave(&mut self, steps: &[Step], epoch: &Epoch, durable: &Image);
    /// The run is over.
    fn end(&mut self, durable: &Image) -> Result<(), Violation>;
}

/// How far a run has come. The order is that of the promises: never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    Old,
    /// "installation not finished".
    Message,
    New,
}

/// The judge of every scenario: old, or (where that was consented to) the message, or new, and
/// never back; on trial the other system is whole; one copy of a GPT and of the state is whole, and
/// both in the end.
#[derive(Debug)]
pub struct Promises<'a> {
    scenario: &'a Scenario,
    /// What the old disk does, whatever it is.
    initial: Outcome,
    durable: Progress,
    step: String,
    /// A write that may not be, wherever a cut comes.
    stray: Option<Violation>,
}

impl<'a> Promises<'a> {
    pub fn new(scenario: &'a Scenario) -> Self {
        let overlay = Overlay::new();
        let view = View { image: &scenario.old, overlay: &overlay };
        let initial = scenario.machine().boot(&view).outcome;
        let Scenario { steps, untouched, secret_in, .. } = scenario;
        let stray = stray(steps, scenario.old.block_bytes(), untouched, secret_in);
        Self { scenario, initial, durable: Progress::Old, step: String::new(), stray }
    }

    /// Where a state stands, or what is wrong with it.
    fn progress(&self, outcome: &Outcome) -> Result<Progress, String> {
        let progress = match outcome {
            // First: what begins with the new system, as a trial does, has to keep it.
            Outcome::Boots { version, .. } if version == "new" => Progress::New,
            _ if *outcome == self.initial => Progress::Old,
            Outcome::Boots { version, .. } if version == "old" && self.scenario.keeps_old => {
                Progress::Old
            }
            Outcome::Message if !self.scenario.keeps_old => Progress::Message,
            Outcome::Boots { .. }
            | Outcome::Message
            | Outcome::Menu { .. }
            | Outcome::Corrupt { .. }
            | Outcome::Dead { .. } => return Err(outcome.to_string()),
        };
        if progress < self.durable && !self.scenario.may_return(outcome) {
            return Err(format!("back to {progress:?} from {:?}: {outcome}", self.durable));
        }
        Ok(progress)
    }

    fn check(&self, view: &View<'_>, booted: &Booted) -> Result<Progress, String> {
        let progress = self.progress(&booted.outcome)?;
        if self.scenario.has_gpt {
            copies(view)?;
        }
        if let Outcome::Boots { warnings, .. } = &booted.outcome {
            if warnings.contains(&Warning::StateLost) {
                return Err("neither copy of the boot state can be read".to_owned());
            }
            if warnings.contains(&Warning::EntryDoesNotMatch) && self.scenario.entry_must_match {
                return Err("the firmware's boot entry leads nowhere any more".to_owned());
            }
        }
        if progress == Progress::New && self.scenario.keeps_old {
            self.other_is_whole(view)?;
        }
        Ok(progress)
    }

    /// What the machine falls back to, by the counter and at once, is the old system, whole.
    fn other_is_whole(&self, view: &View<'_>) -> Result<(), String> {
        for counter in [Counter::Spent, Counter::ChosenFails] {
            let outcome = self.scenario.machine().boot_with(view, counter).outcome;
            match &outcome {
                // After the bless the counter is not asked.
                Outcome::Boots { version, .. } if counter == Counter::Spent && version == "new" => {
                }
                Outcome::Boots { version, .. } if version == "old" => {}
                Outcome::Boots { .. }
                | Outcome::Message
                | Outcome::Menu { .. }
                | Outcome::Corrupt { .. }
                | Outcome::Dead { .. } => {
                    return Err(format!("there is nothing to fall back to: it {outcome}"));
                }
            }
        }
        Ok(())
    }
}

/// The first write of a run to blocks that stay as they are, or of a secret to where everyone may
/// read it: that is, outside of these root file systems. A block has so many bytes.
pub fn stray(
    steps: &[Step],
    block_bytes: usize,
    untouched: &[Untouched],
    secret_in: &[Extent],
) -> Option<Violation> {
    let unit = u64::try_from(block_bytes).unwrap_or(u64::MAX);
    let begins = |name: &str| steps.iter().position(|step| step.name == name);
    for (number, step) in steps.iter().enumerate() {
        for entry in &step.entries {
            let (extent, bytes) = match entry {
                Entry::Write { first, bytes } => {
                    let blocks = u64::try_from(bytes.len()).unwrap_or(0) / unit;
                    (Extent::with_len(*first, blocks), bytes.as_slice())
                }
                Entry::Zero { extent } => (Some(*extent), &[][..]),
                Entry::Flush | Entry::Mark(_) => continue,
            };
            let Some(extent) = extent else { continue };
            let kept = untouched.iter().find(|kept| {
                let over = kept.until.and_then(begins).is_some_and(|begin| begin <= number);
                !over && kept.extent.overlaps(extent)
            });
            let has_secret = holds(bytes, SECRET.as_bytes());
            let at_home = secret_in.iter().any(|root| root.contains(extent));
            let what = match kept {
                Some(kept) => format!("blocks {extent} are written, {} stay", kept.extent),
                None if has_secret && !at_home => format!("a secret goes to blocks {extent}"),
                None => continue,
            };
            return Some(Violation { step: step.name.clone(), what });
        }
    }
    None
}

/// Horspool's search. Most of what is written are zeros, which it passes by the length of what is
/// looked for.
fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    let len = wanted.len();
    let mut next = 0;
    while let Some(part) = bytes.get(next..next + len) {
        if part == wanted {
            return true;
        }
        let last = part.last();
        let before = wanted.iter().take(len - 1).rposition(|byte| Some(byte) == last);
        next += before.map_or(len, |at| len - 1 - at);
    }
    false
}

/// Where a GPT counts, both of its copies are whole, and the same.
fn agree(view: &View<'_>) -> Result<(), String> {
    if !Mbr::read(view).is_some_and(|mbr| mbr.is_protective()) {
        return Ok(());
    }
    let parts = |at| Gpt::strict(view, at).map(|gpt| gpt.parts());
    match (parts(1), parts(view.blocks() - 1)) {
        (Some(primary), Some(backup)) if primary == backup => Ok(()),
        (Some(_), Some(_)) => Err("the copies of the GPT differ".to_owned()),
        (None, _) | (_, None) => Err("a copy of the GPT is damaged".to_owned()),
    }
}

/// At most one copy of a GPT that counts is damaged.
pub fn copies(view: &View<'_>) -> Result<(), String> {
    if !Mbr::read(view).is_some_and(|mbr| mbr.is_protective()) {
        return Ok(());
    }
    let last = view.blocks() - 1;
    if Gpt::strict(view, 1).is_none() && Gpt::strict(view, last).is_none() {
        return Err("both copies of the GPT are damaged".to_owned());
    }
    Ok(())
}

impl Judge for Promises<'_> {
    fn enter(&mut self, steps: &[Step], epoch: &Epoch) {
        self.step = steps.get(epoch.step).map(|step| step.name.clone()).unwrap_or_default();
    }

    fn judge(&mut self, view: &View<'_>) -> Verdict {
        let booted = self.scenario.machine().boot(view);
        let checked = self.check(view, &booted);
        let kind = match &booted.outcome {
            Outcome::Boots { version, .. } if version == "new" => "boots new",
            Outcome::Boots { .. } => "boots old",
            Outcome::Message => "says not finished",
            Outcome::Menu { .. } => "waits at the menu",
            Outcome::Corrupt { .. } => "starts a broken system",
            Outcome::Dead { .. } if booted.outcome == self.initial => "does not start, as before",
            Outcome::Dead { .. } => "does not start",
        };
        let step = self.step.clone();
        let stray = self.stray.clone().filter(|stray| stray.step == step);
        let violation = checked.err().map(|what| Violation { step, what }).or(stray);
        Verdict { kind, repairs: booted.writes, violation }
    }

    fn leave(&mut self, steps: &[Step], epoch: &Epoch, durable: &Image) {
        self.enter(steps, epoch);
        let overlay = Overlay::new();
        let view = View { image: durable, overlay: &overlay };
        let outcome = self.scenario.machine().boot(&view).outcome;
        if let Ok(progress) = self.progress(&outcome) {
            self.durable = self.durable.max(progress);
        }
    }

    fn end(&mut self, durable: &Image) -> Result<(), Violation> {
        let overlay = Overlay::new();
        let view = View { image: durable, overlay: &overlay };
        let outcome = self.scenario.machine().boot(&view).outcome;
        let copies = if self.scenario.has_gpt { agree(&view) } else { Ok(()) };
        let what = match copies {
            _ if outcome.version() != Some(self.scenario.ends) => {
                format!("ends so that it {outcome}")
            }
            Err(what) => what,
            Ok(()) => return Ok(()),
        };
        Err(Violation { step: "end".to_owned(), what })
    }
}
