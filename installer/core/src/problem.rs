//! What is wrong with an answer file: every problem at once, each with its place.
//!
//! The value of a secret field never gets into a problem, and no line that may hold one is quoted.

use std::fmt;

use serde::Serialize;

mod excerpt;

pub use excerpt::{Excerpt, Secrets};

/// Where something was written. Both numbers count from 1; columns are characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl Place {
    pub const START: Self = Self { line: 1, column: 1 };
}

/// One thing wrong with an answer file, placed where an editor can jump to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub at: Place,
    /// The path of the key, `system.hostname`; empty for the file as a whole.
    pub path: String,
    pub what: String,
    /// What stands there, where that is no secret.
    pub value: Option<String>,
    /// The words that could stand there, where they can be counted.
    pub allowed: Vec<String>,
    pub hint: Option<String>,
    /// The line of the file. Filled in by [`Problems::quote`].
    pub excerpt: Option<Excerpt>,
}

impl Problem {
    pub fn new(at: Place, path: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            at,
            path: path.into(),
            what: what.into(),
            value: None,
            allowed: Vec::new(),
            hint: None,
            excerpt: None,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    #[must_use]
    pub fn allowed<'w>(mut self, words: impl IntoIterator<Item = &'w str>) -> Self {
        self.allowed = words.into_iter().map(str::to_owned).collect();
        self
    }
}

/// One problem as `--json` shows it.
#[derive(Debug, Serialize)]
pub struct Record<'p> {
    pub file: &'p str,
    pub line: u32,
    pub column: u32,
    /// `error`, or `warning` for what is read all the same.
    pub severity: &'static str,
    pub path: &'p str,
    pub message: &'p str,
    pub value: Option<&'p str>,
    pub allowed: &'p [String],
    pub hint: Option<&'p str>,
}

/// Whether a file with these problems is read all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Error,
    Warning,
}

/// Problems that are kept of one file; of further ones only the number. Nobody reads more, and a
/// file that is wrong in every line is judged as fast as a good one.
const KEPT_MAX: usize = 1000;

/// What is wrong with one file. Shows as `FILE:LINE:COLUMN: PATH: WHAT`, in the order of the file,
/// with the line itself where it may be shown. Errors end with exit 10.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    file: String,
    found: Vec<Problem>,
    /// What stops nothing, as long as nothing else does.
    warned: Vec<Problem>,
    /// Where values begin that turned out to be none: they may be secrets in the wrong place.
    hidden: Vec<Place>,
    /// Problems beyond those that are kept.
    more: usize,
    severity: Severity,
}

impl Problems {
    pub fn new(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            found: Vec::new(),
            warned: Vec::new(),
            hidden: Vec::new(),
            more: 0,
            severity: Severity::Error,
        }
    }

    /// A file with one problem that concerns all of it.
    pub fn whole(file: impl Into<String>, what: impl Into<String>) -> Self {
        let mut problems = Self::new(file);
        problems.push(Problem::new(Place::START, "", what));
        problems
    }

    pub fn push(&mut self, problem: Problem) {
        if !self.only_counted() {
            self.found.push(problem);
        }
    }

    /// Counts a problem where no more are kept: it need not be worked out then.
    pub fn only_counted(&mut self) -> bool {
        let full = KEPT_MAX <= self.found.len();
        if full {
            self.more = self.more.saturating_add(1);
        }
        full
    }

    /// Notes what is worth a word and stops nothing.
    pub fn warn(&mut self, problem: Problem) {
        if self.warned.len() < KEPT_MAX {
            self.warned.push(problem);
        }
    }

    /// The value that begins here is never quoted.
    pub fn hide(&mut self, at: Place) {
        self.hidden.push(at);
    }

    pub fn hidden(&self) -> &[Place] {
        &self.hidden
    }

    /// The warnings, as a list of their own.
    #[must_use]
    pub fn into_warnings(self) -> Self {
        let mut found = self.warned;
        found.sort_by_key(|p| p.at);
        // A file with overrides is read more than once.
        found.dedup();
        Self { found, severity: Severity::Warning, ..Self::new(self.file) }
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

    /// Shows each problem's line of `text`, as far as it holds no secret, and sorts by place.
    #[must_use]
    pub fn quote(mut self, text: &str, secrets: &Secrets) -> Self {
        self.found.sort_by_key(|p| p.at);
        self.found.dedup();
        let lines: Vec<&str> = text.lines().collect();
        let secrets = secrets.sorted();
        for problem in self.found.iter_mut().chain(&mut self.warned) {
            if !problem.path.is_empty() || problem.at != Place::START {
                problem.excerpt = secrets.excerpt(&lines, problem.at);
            }
        }
        self
    }

    /// The value and the warnings, if nothing at all was wrong.
    pub fn finish<T>(self, value: Option<T>) -> Result<(T, Self), Self> {
        match value {
            Some(value) if self.found.is_empty() => Ok((value, self.into_warnings())),
            _ => Err(self),
        }
    }

    /// For `--json`.
    pub fn records(&self) -> Vec<Record<'_>> {
        self.found.iter().map(|problem| self.record(problem)).collect()
    }

    /// Of problems that are not listed.
    pub const fn more(&self) -> usize {
        self.more
    }

    fn record<'p>(&'p self, problem: &'p Problem) -> Record<'p> {
        let Problem { at, path, what, value, allowed, hint, excerpt: _ } = problem;
        Record {
            file: &self.file,
            line: at.line,
            column: at.column,
            severity: match self.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            path,
            message: what,
            value: value.as_deref(),
            allowed,
            hint: hint.as_deref(),
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
            if self.severity == Severity::Warning {
                write!(f, "warning: ")?;
            }
            if !p.path.is_empty() {
                write!(f, "{}: ", p.path)?;
            }
            write!(f, "{}", p.what)?;
            if let Some(excerpt) = &p.excerpt {
                write!(f, "\n{excerpt}")?;
            }
            if let Some(hint) = &p.hint {
                write!(f, "\n    hint: {hint}")?;
            }
        }
        if 0 < self.more {
            write!(f, "\nand {} more problems", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_problems_than_anybody_reads_are_counted() {
        let mut problems = Problems::new("f");
        for line in 1..=1500 {
            problems.push(Problem::new(Place { line, column: 1 }, "", "bad"));
        }
        assert_eq!((problems.records().len(), problems.more()), (1000, 500));
        assert!(problems.to_string().ends_with("f:1000:1: bad\nand 500 more problems"));
        assert!(problems.finish(Some(())).is_err());
    }
}
