//! The line that a problem is in, with a caret under the place; never what may be secret.

use std::fmt;

use super::Place;

/// A line as it is shown, and where the caret stands below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    line: u32,
    text: String,
    /// Characters before the caret.
    before: usize,
}

/// Longer lines are shown in part.
const WIDTH: usize = 88;
/// What is kept before the caret of such a line.
const LEAD: usize = 40;
/// Bytes of a line beyond which none of it is shown: a file that is one long line would be walked
/// through for each of its mistakes.
const LINE_MAX: usize = 4096;

/// The parts of a file that are never shown: from a place up to another, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    ranges: Vec<(Place, Place)>,
    all: bool,
}

impl Secrets {
    /// Nothing of the file is shown.
    pub const fn everything() -> Self {
        Self { ranges: Vec::new(), all: true }
    }

    /// Hides what lies between two places, the second not included.
    pub fn hide(&mut self, from: Place, to: Place) {
        self.ranges.push((from, to));
    }

    /// Hides everything from a place on.
    pub fn hide_from(&mut self, from: Place) {
        self.hide(from, Place { line: u32::MAX, column: u32::MAX });
    }

    /// The line of a place, up to the first secret in it; none if the place lies behind that. Asks
    /// for [`Secrets::sorted`].
    pub(super) fn excerpt(&self, lines: &[&str], at: Place) -> Option<Excerpt> {
        if self.all {
            return None;
        }
        let index = usize::try_from(at.line).ok()?.checked_sub(1)?;
        let text = lines.get(index).filter(|text| text.len() <= LINE_MAX)?;
        let secret = self.first_secret(at.line);
        if secret.is_some_and(|column| column < at.column || column == 1) {
            return None;
        }
        let mut shown: String = match secret {
            Some(column) => {
                let keep = usize::try_from(column).ok()?.saturating_sub(1);
                text.chars().take(keep).chain("***".chars()).collect()
            }
            None => (*text).to_owned(),
        };
        shown = shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut before = usize::try_from(at.column).ok()?.saturating_sub(1);
        shown = without_comment(&shown, before);
        if WIDTH < shown.chars().count() {
            let skip = before.saturating_sub(LEAD);
            shown = shown.chars().skip(skip).take(WIDTH).collect();
            before = before.saturating_sub(skip);
        }
        (before <= shown.chars().count()).then(|| Excerpt {
            line: at.line,
            text: shown.trim_end().to_owned(),
            before,
        })
    }

    /// The column of the first secret in a line.
    fn first_secret(&self, line: u32) -> Option<u32> {
        let start = Place { line, column: 1 };
        // Sorted and apart: of those that begin above, only the last can reach into this line.
        let next = self.ranges.partition_point(|(from, _)| *from < start);
        let above = next.checked_sub(1).and_then(|i| self.ranges.get(i));
        if above.is_some_and(|(_, to)| start < *to) {
            return Some(1);
        }
        self.ranges.get(next).filter(|(from, _)| from.line == line).map(|(from, _)| from.column)
    }

    /// Puts the ranges in order, and makes one of those that touch.
    pub(super) fn sorted(&self) -> Self {
        let mut all = self.ranges.clone();
        all.sort_unstable();
        let mut ranges: Vec<(Place, Place)> = Vec::new();
        for (from, to) in all {
            match ranges.last_mut() {
                Some((_, end)) if from <= *end => *end = to.max(*end),
                _ => ranges.push((from, to)),
            }
        }
        Self { ranges, all: self.all }
    }
}

/// A comment behind the place may say anything.
fn without_comment(text: &str, before: usize) -> String {
    let head: String = text.chars().take(before).collect();
    let tail: String = text.chars().skip(before).collect();
    let tail = tail.split_once(" #").map_or(tail.as_str(), |(tail, _)| tail);
    head + tail
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, text, before } = self;
        write!(f, "{line:>5} | {text}\n      | {:before$}^", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shows(secrets: &Secrets, text: &str, at: Place, want: Option<&str>) {
        let lines: Vec<&str> = text.lines().collect();
        let got = secrets.sorted().excerpt(&lines, at).map(|e| e.to_string());
        assert_eq!(got.as_deref(), want);
    }

    const fn place(line: u32, column: u32) -> Place {
        Place { line, column }
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        let text = "a: b\n\tc: 1\n";
        shows(&Secrets::default(), text, place(2, 5), Some("    2 |  c: 1\n      |     ^"));
        shows(&Secrets::default(), text, place(9, 1), None);
        shows(&Secrets::everything(), text, place(2, 5), None);
    }

    #[test]
    fn a_long_line_is_shown_in_part() {
        let text = format!("{}x{}", "a".repeat(200), "b".repeat(200));
        let got = Secrets::default().excerpt(&[&text], place(1, 201)).unwrap();
        assert_eq!(got.text.chars().count(), WIDTH);
        assert_eq!(got.text.chars().nth(got.before), Some('x'));
    }

    #[test]
    fn what_is_hidden_is_not_shown() {
        let text = "a: {b: hunter2, c: d}\nhunter2\n  hunter2, e: f\nend\n";
        let mut secrets = Secrets::default();
        secrets.hide(place(1, 8), place(1, 17));
        secrets.hide(place(2, 1), place(3, 12));
        shows(&secrets, text, place(1, 5), Some("    1 | a: {b: ***\n      |     ^"));
        shows(&secrets, text, place(1, 17), None);
        shows(&secrets, text, place(2, 3), None);
        shows(&secrets, text, place(3, 12), None);
        shows(&secrets, text, place(4, 1), Some("    4 | end\n      | ^"));
    }
}
