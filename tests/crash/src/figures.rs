//! What was tried, as figures for the README: a JSON file of this run, and a table for people.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::Serialize;

use crate::explore::Report;

/// Begins the second part of the file.
const TAKEOVERS: &str = "## The installer's own takeovers";

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Protocols,
    Takeovers,
}

/// Renews one part of the file in this folder; the other stays.
pub fn renew(folder: &Path, part: Part, text: &str) -> io::Result<()> {
    let path = folder.join("FIGURES.md");
    let old = fs::read_to_string(&path)?;
    let at = old.find(TAKEOVERS).unwrap_or(old.len());
    let (protocols, takeovers) = old.split_at(at);
    let new = match part {
        Part::Protocols => format!("{text}\n{takeovers}"),
        Part::Takeovers => format!("{}\n\n{text}", protocols.trim_end()),
    };
    fs::write(path, new.trim_end().to_owned() + "\n")
}

/// The figures of one scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub scenario: String,
    pub states: usize,
    pub torn: usize,
    pub after_firmware_repair: usize,
    /// States in which LBA 0 itself was torn and nothing starts.
    pub lba0_torn: usize,
    pub violations: usize,
    pub outcomes: BTreeMap<&'static str, usize>,
}

/// All of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    pub seed: u64,
    pub seconds: f64,
    pub rows: Vec<Row>,
}

impl Figures {
    pub fn add(&mut self, scenario: &str, report: &Report) {
        self.rows.push(Row {
            scenario: scenario.to_owned(),
            states: report.states,
            torn: report.torn,
            after_firmware_repair: report.repaired,
            lba0_torn: report.torn_lba0,
            violations: report.violations.len(),
            outcomes: report.outcomes.clone(),
        });
        self.rows.sort_by(|a, b| a.scenario.cmp(&b.scenario));
    }

    pub fn states(&self) -> usize {
        self.rows.iter().map(|row| row.states).sum()
    }

    pub fn lba0_torn(&self) -> usize {
        self.rows.iter().map(|row| row.lba0_torn).sum()
    }

    pub fn violations(&self) -> usize {
        self.rows.iter().map(|row| row.violations).sum()
    }

    /// What the protocols make, as a part of the file: `mutations` of them are caught.
    pub fn of_protocols(&self, mutations: usize) -> String {
        let head = "# What the crash lane tried\n\n\
                    Made by `CRASH_FIGURES=write cargo test -p crash-explorer --test explore`.";
        self.text(head, &format!("{mutations} mutations of the protocols are caught."))
    }

    /// The same of the installer's own takeovers, of which so many wrong orders are seen.
    pub fn of_takeovers(&self, wrong: usize) -> String {
        let head = format!(
            "{TAKEOVERS}\n\n\
             Made by `CRASH_FIGURES=write cargo test -p crash-explorer --test takeover`."
        );
        self.text(&head, &format!("{wrong} wrong orders of theirs are seen."))
    }

    /// A table in Markdown.
    fn text(&self, head: &str, caught: &str) -> String {
        let columns = "\
| scenario | states | with a torn block | after firmware repair | LBA 0 torn | violations |
| --- | --- | --- | --- | --- | --- |";
        let mut text = format!(
            "{head} Seed {:#x}, {:.0} seconds.\n\n{} states, {} violations; in {} more LBA 0 \
             itself was torn and nothing starts. {caught}\n\n{columns}\n",
            self.seed,
            self.seconds,
            self.states(),
            self.violations(),
            self.lba0_torn(),
        );
        let row = |row: &Row| {
            format!(
                "| {} | {} | {} | {} | {} | {} |\n",
                row.scenario,
                row.states,
                row.torn,
                row.after_firmware_repair,
                row.lba0_torn,
                row.violations
            )
        };
        text.extend(self.rows.iter().map(row));
        text
    }
}
