//! Which of two versions is newer.

use std::cmp::Ordering;

/// `a` is newer than `b`: runs of digits compare as numbers, everything else as text, and a `~`
/// sorts before the end, as in Debian's versions.
pub fn newer(a: &str, b: &str) -> bool {
    compare(a, b) == Ordering::Greater
}

fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !(a.is_empty() && b.is_empty()) {
        let (text_a, rest_a) = split(a, |c| !c.is_ascii_digit());
        let (text_b, rest_b) = split(b, |c| !c.is_ascii_digit());
        let (digits_a, end_a) = split(rest_a, |c| c.is_ascii_digit());
        let (digits_b, end_b) = split(rest_b, |c| c.is_ascii_digit());
        let order = weights(text_a).cmp(&weights(text_b)).then_with(|| number(digits_a, digits_b));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (end_a, end_b);
    }
    Ordering::Equal
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// The end of a text weighs more than `~` and less than anything else.
fn weights(text: &str) -> Vec<u32> {
    let weight = |c| if c == '~' { 0 } else { u32::from(c).saturating_add(2) };
    text.chars().map(weight).chain([1]).collect()
}

/// Of any length, leading zeros aside.
fn number(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_order() {
        let sorted = ["", "0.1~rc1", "0.1", "0.1.0", "0.9", "0.10", "1", "1.0", "1.0a", "10.2"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(newer(a, b), j < i, "{a} {b}");
            }
        }
        assert!(!newer("1.01", "1.1") && !newer("1.1", "1.01"));
    }
}
