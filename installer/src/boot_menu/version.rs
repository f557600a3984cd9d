//! The order of Debian's version numbers (Debian Policy, 5.6.12): digits count as numbers, letters
//! before other characters, and `~` before everything, even the end.

use std::cmp::Ordering;

/// A version as it stands in a file name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version(Vec<Piece>);

/// Text and number in turns, beginning with text, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    text: Vec<i32>,
    /// Without leading zeros, so that the longer one is the larger one.
    number: String,
}

impl Version {
    pub(super) fn new(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let digits_at = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let (letters, tail) = rest.split_at(digits_at);
            let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
            let (number, tail) = tail.split_at(end);
            let number = number.trim_start_matches('0').to_owned();
            // The end of the text sorts after `~` and before all else.
            let text = letters.chars().map(weight).chain([0]).collect();
            pieces.push(Piece { text, number });
            rest = tail;
        }
        Self(pieces)
    }
}

fn weight(c: char) -> i32 {
    let code = i32::try_from(u32::from(c)).unwrap_or(i32::MAX);
    match c {
        '~' => -1,
        c if c.is_ascii_alphabetic() => code,
        _ => code.saturating_add(256),
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let empty = Piece { text: vec![0], number: String::new() };
        for at in 0..self.0.len().max(other.0.len()) {
            let (one, two) = (self.0.get(at).unwrap_or(&empty), other.0.get(at).unwrap_or(&empty));
            let order = one
                .text
                .cmp(&two.text)
                .then(one.number.len().cmp(&two.number.len()))
                .then(one.number.cmp(&two.number));
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Call, Processes, Run};

    #[test]
    fn the_order_is_that_of_dpkg() {
        let versions = [
            "6.12.9-amd64",
            "6.12.48+deb13-amd64",
            "6.12.41+deb13-amd64",
            "6.1.0-41-amd64",
            "6.12~rc1-amd64",
            "6.12-amd64",
            "4.20-amd64",
            "4.9-amd64",
            "4.20.1-amd64",
            "10",
            "1a",
            "1",
            "1+",
            "01",
        ];
        for one in versions {
            for two in versions {
                let dpkg = |relation: &str| {
                    let call = Call::new("dpkg")
                        .args(["--compare-versions", one, relation, two])
                        .accept(1);
                    Processes.run(&call).unwrap().status == 0
                };
                let want = if dpkg("lt") {
                    Ordering::Less
                } else if dpkg("gt") {
                    Ordering::Greater
                } else {
                    Ordering::Equal
                };
                assert_eq!(Version::new(one).cmp(&Version::new(two)), want, "{one} {two}");
            }
        }
    }
}
