//! Which cuts of a recorded run are tried: all around what decides what boots, some within the bulk
//! of the run, and some where a drive kept this and lost that of what it had not flushed yet.
//!
//! Pure: the same entries give the same cuts.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::writelog::{Entry, Write};

/// At least so many lie in the bulk, whatever the rest needs.
const IN_BULK_MIN: usize = 5;
/// Which of the writes in flight are kept.
const SEED: u64 = 0xC075_2026;

/// A state that a power cut may leave.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cut {
    /// So many entries are on the disk, in their order.
    pub(super) after: usize,
    /// And these of the ones behind them, up to the next flush.
    pub(super) strays: Vec<usize>,
}

/// Some `wanted` cuts, in the order of the run; more where what decides takes more.
pub(super) fn choose(
    entries: &[Entry],
    decides: impl Fn(&Write) -> bool,
    wanted: usize,
) -> Vec<Cut> {
    let plain = |after| Cut { after, strays: Vec::new() };
    let mut cuts = BTreeSet::from([plain(0), plain(entries.len())]);
    for epoch in epochs(entries) {
        let mut writes = entries.get(epoch.clone()).unwrap_or_default().iter();
        if !writes.any(|entry| entry.write().is_some_and(&decides)) {
            continue;
        }
        cuts.extend([plain(epoch.start), plain(epoch.end)]);
        if 1 < epoch.len() {
            cuts.insert(Cut { after: epoch.start, strays: some_of(&epoch) });
        }
    }
    let more = wanted.saturating_sub(cuts.len()).max(IN_BULK_MIN);
    let places = (1..=more).map(|number| number * entries.len() / (more + 1));
    for (number, place) in places.enumerate() {
        // Every second one as a drive leaves it that writes as it likes.
        let epoch = epochs(entries).into_iter().find(|e| e.contains(&place) && 1 < e.len());
        cuts.insert(match epoch.filter(|_| number % 2 == 1) {
            Some(epoch) => Cut { after: epoch.start, strays: some_of(&epoch) },
            None => plain(place),
        });
    }
    cuts.into_iter().collect()
}

/// The writes between two flushes, for each two that have some.
fn epochs(entries: &[Entry]) -> Vec<Range<usize>> {
    let (mut found, mut start) = (Vec::new(), 0);
    for (number, entry) in entries.iter().enumerate() {
        if *entry == Entry::Flush {
            found.push(start..number);
            start = number + 1;
        }
    }
    found.push(start..entries.len());
    found.retain(|epoch| !epoch.is_empty());
    found
}

/// About half of the writes, the last among them, but not all.
fn some_of(epoch: &Range<usize>) -> Vec<usize> {
    let last = epoch.end - 1;
    epoch.clone().skip(1).filter(|number| *number == last || is_kept(*number)).collect()
}

/// A coin for each number (splitmix64).
fn is_kept(number: usize) -> bool {
    let mut word = SEED.wrapping_add(u64::try_from(number).unwrap_or(0)).wrapping_mul(GOLDEN);
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (word ^ (word >> 31)) & 1 == 1
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use super::*;

    /// `w` is a write in the bulk, `D` one that decides, `|` a flush.
    fn entries(text: &str) -> Vec<Entry> {
        let entry = |c| match c {
            '|' => Entry::Flush,
            'D' => Entry::Write(Write::test(0)),
            _ => Entry::Write(Write::test(1000)),
        };
        text.chars().map(entry).collect()
    }

    fn chosen(text: &str, wanted: usize) -> Vec<Cut> {
        choose(&entries(text), |write| write.first < 1000, wanted)
    }

    #[test]
    fn before_and_after_what_decides_is_always_cut() {
        let text = "wwwwwwwwww|D|wwwwwwwww|wDw|wwwwwww|";
        let cuts = chosen(text, 0);
        for after in [0, 11, 12, 23, 26, text.len()] {
            assert!(cuts.contains(&Cut { after, strays: Vec::new() }), "{after}: {cuts:?}");
        }
        let strays = cuts.iter().find(|cut| cut.after == 23 && !cut.strays.is_empty());
        let strays = &strays.unwrap().strays;
        assert!(strays.contains(&25) && !strays.contains(&23), "{strays:?}");
        assert_eq!(cuts, chosen(text, 0));
    }

    #[test]
    fn the_rest_is_spread_over_the_run() {
        let text = "ww|".repeat(200) + "D|";
        let cuts = chosen(&text, 20);
        assert!((20..=22).contains(&cuts.len()), "{}", cuts.len());
        let strays = cuts.iter().filter(|cut| !cut.strays.is_empty()).count();
        assert!(3 < strays, "{strays}");
        let gaps = cuts.windows(2).map(|two| two[1].after - two[0].after);
        assert!(gaps.max().unwrap() < 60, "{cuts:?}");
        // No cut has a write without all that was flushed before it.
        let all = entries(&text);
        for cut in &cuts {
            let first = cut.strays.first().copied().unwrap_or(cut.after);
            assert!(!all[cut.after..first].contains(&Entry::Flush), "{cut:?}");
            let last = cut.strays.last().copied().unwrap_or(cut.after);
            assert!(!all[cut.after..last].contains(&Entry::Flush), "{cut:?}");
        }
    }
}
