//! The known name that was probably meant.

/// The closest of the known names, if one is near enough to suggest.
pub(crate) fn nearest<'n>(text: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // A third of the letters may be wrong, at most three: two letters are never nearly two others.
    let length = text.chars().count();
    let far = (length / 3).min(3);
    let letters = Letters::of(text);
    known
        .filter(|name| length.abs_diff(name.chars().count()) <= far)
        .filter(|name| letters.apart(&Letters::of(name)) <= far)
        .map(|name| (distance(text, name), name))
        .filter(|(steps, _)| *steps <= far)
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, name)| name)
}

/// How often each letter is in a word, in whichever order: what two words differ by in this, they
/// differ by at least. Most names are ruled out by it, at a fraction of the work.
struct Letters([u8; 64]);

impl Letters {
    fn of(text: &str) -> Self {
        let mut counts = [0_u8; 64];
        for c in text.chars().take(64).flat_map(char::to_lowercase) {
            // Letters that share a place make words look nearer, never farther.
            let place = usize::try_from(u32::from(c) & 63).unwrap_or(0);
            if let Some(count) = counts.get_mut(place) {
                *count = count.saturating_add(1);
            }
        }
        Self(counts)
    }

    /// The more of the letters that only one of the two has.
    fn apart(&self, other: &Self) -> usize {
        let (mut here, mut there) = (0_usize, 0_usize);
        for (a, b) in self.0.iter().zip(&other.0) {
            here = here.saturating_add(a.saturating_sub(*b).into());
            there = there.saturating_add(b.saturating_sub(*a).into());
        }
        here.max(there)
    }
}

/// How many letters to insert, remove, replace or swap with a neighbour, case not counted.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().take(64).collect();
    let b: Vec<char> = b.to_lowercase().chars().take(64).collect();
    let width = b.len().saturating_add(1);
    let mut before = vec![usize::MAX; width];
    let mut above: Vec<usize> = (0..width).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i.saturating_add(1)];
        for (j, y) in b.iter().enumerate() {
            let left = row.last().copied().unwrap_or(usize::MAX).saturating_add(1);
            let up = at(&above, j.saturating_add(1)).saturating_add(1);
            let here = at(&above, j).saturating_add(usize::from(x != y));
            let swapped = match (i.checked_sub(1), j.checked_sub(1)) {
                (Some(p), Some(q)) if a.get(p) == Some(y) && b.get(q) == Some(x) => {
                    at(&before, q).saturating_add(1)
                }
                _ => usize::MAX,
            };
            row.push(left.min(up).min(here).min(swapped));
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

fn at(row: &[usize], i: usize) -> usize {
    row.get(i).copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("serial", "serail"), 1);
        assert_eq!(distance("hostname", "hostName"), 0);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    proptest::proptest! {
        /// No name that is near enough is ruled out by its letters.
        #[test]
        fn letters_rule_out_no_near_name(a in "[a-zA-Z_]{0,12}", b in "[a-zA-Z_]{0,12}") {
            proptest::prop_assert!(Letters::of(&a).apart(&Letters::of(&b)) <= distance(&a, &b));
        }
    }

    #[test]
    fn suggestions() {
        let known = ["serial", "wwn", "size"];
        assert_eq!(nearest("seriel", known.into_iter()), Some("serial"));
        assert_eq!(nearest("transport", known.into_iter()), None);
    }
}
