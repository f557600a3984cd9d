//! How long something may take.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::ValueError;

const SECONDS_MAX: u32 = 24 * 3600;

/// A time limit in whole seconds: `90s`, `5m`, `1h`, up to a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct TimeLimit(u32);

impl TimeLimit {
    pub const fn seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let no = || {
            ValueError::new(format!("`{text}` is not a time limit")).hint("for example 90s or 5m")
        };
        let units = [('s', 1), ('m', 60), ('h', 3600)];
        let (digits, unit) = units
            .into_iter()
            .find_map(|(end, unit)| Some((text.strip_suffix(end)?, unit)))
            .ok_or_else(no)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(no());
        }
        match digits.parse::<u32>().ok().and_then(|n| n.checked_mul(unit)) {
            Some(seconds) if (1..=SECONDS_MAX).contains(&seconds) => Ok(Self(seconds)),
            Some(_) | None => Err(ValueError::new(format!("{text} is not from 1s to 24h"))),
        }
    }

    pub const fn get(self) -> u32 {
        self.0
    }

    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds if seconds.is_multiple_of(3600) => write!(f, "{}h", seconds / 3600),
            seconds if seconds.is_multiple_of(60) => write!(f, "{}m", seconds / 60),
            seconds => write!(f, "{seconds}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["1s", "90s", "5m", "24h"] {
            assert_eq!(TimeLimit::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(TimeLimit::parse("120s").unwrap().to_string(), "2m");
        for bad in ["", "s", "5", "0s", "25h", "+1s", "1.5h", "5M", "99999999999h"] {
            assert!(TimeLimit::parse(bad).is_err(), "{bad}");
        }
    }
}
