//! A path below the target's root.

use std::fmt;

/// Not empty, not absolute, without `.` or `..`, without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelPath(String);

/// The text is no path below a root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a path below the target: relative, without empty parts, `.` or `..`")]
pub struct RelPathError {
    path: String,
}

impl RelPath {
    pub fn new(path: &str) -> Result<Self, RelPathError> {
        let bad = |part: &str| matches!(part, "" | "." | "..");
        if path.split('/').any(bad) || path.chars().any(char::is_control) {
            return Err(RelPathError { path: path.to_owned() });
        }
        Ok(Self(path.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directories above it, outermost first.
    pub fn parents(&self) -> Vec<Self> {
        self.0.match_indices('/').map(|(end, _)| Self(self.0[..end].to_owned())).collect()
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let path = RelPath::new("etc/xenhost/boot.conf").unwrap();
        let parents: Vec<String> = path.parents().iter().map(ToString::to_string).collect();
        assert_eq!(parents, ["etc", "etc/xenhost"]);
        for bad in ["", "/etc", "etc/", "a//b", "a/../b", ".", "..", "a\nb"] {
            assert!(RelPath::new(bad).is_err(), "{bad:?}");
        }
    }
}
