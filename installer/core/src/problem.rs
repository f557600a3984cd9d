//! What is wrong with an answer file: every problem at once, each with its place.
//!
//! The value of a secret field never gets into a problem.

use std::fmt;

/// Where something was written. Both numbers count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

/// One thing wrong with an answer file, placed where an editor can jump to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub at: Place,
    /// The path of the key, `system.hostname`; empty for the file as a whole.
    pub path: String,
    pub what: String,
    pub hint: Option<String>,
}

impl Problem {
    pub fn new(at: Place, path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { at, path: path.into(), what: what.into(), hint: None }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Everything wrong with one file. Shows as `FILE:LINE:COLUMN: PATH: WHAT`, in the order of the
/// file. Ends with exit 10.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    file: String,
    found: Vec<Problem>,
}

impl Problems {
    pub fn new(file: impl Into<String>) -> Self {
        Self { file: file.into(), found: Vec::new() }
    }

    /// A file with one problem that concerns all of it.
    pub fn whole(file: impl Into<String>, what: impl Into<String>) -> Self {
        let mut problems = Self::new(file);
        problems.push(Problem::new(Place { line: 1, column: 1 }, "", what));
        problems
    }

    pub fn push(&mut self, problem: Problem) {
        self.found.push(problem);
    }

    /// Keeps the value, or notes why there is none and carries on.
    pub fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problem) => {
                self.push(problem);
                None
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }

    /// The value, if nothing at all was wrong.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Self> {
        self.found.sort_by_key(|p| p.at);
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, p) in self.found.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:{}:{}: ", self.file, p.at.line, p.at.column)?;
            if !p.path.is_empty() {
                write!(f, "{}: ", p.path)?;
            }
            write!(f, "{}", p.what)?;
            if let Some(hint) = &p.hint {
                write!(f, "\n    hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
