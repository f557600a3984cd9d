//! What a person sees while things go on: a bar on a terminal, plain lines elsewhere, and at the
//! end how long each stage took.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::{Failure, Result};

/// Without a terminal, a long stage says that often that it lives.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Times of the stages so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    times: Vec<(String, Duration)>,
}

impl Report {
    /// Does one stage. `work` may tell its latest news through the function it is given.
    pub(crate) fn stage<T>(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut dyn FnMut(&str)) -> Result<T>,
    ) -> Result<T> {
        let begun = Instant::now();
        let result = if std::io::stderr().is_terminal() {
            with_bar(name, work)
        } else {
            with_lines(name, work)
        };
        let took = begun.elapsed();
        match result {
            Ok(value) => {
                println!("{name}: {:.1} s", took.as_secs_f64());
                self.times.push((name.to_owned(), took));
                Ok(value)
            }
            Err(source) => Err(Failure::Stage { stage: name.to_owned(), source: Box::new(source) }),
        }
    }

    /// A table of all stages.
    pub(crate) fn table(&self) -> String {
        let width = self.times.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut text = String::new();
        let total: Duration = self.times.iter().map(|(_, t)| *t).sum();
        let lines = self.times.iter().map(|(n, t)| (&**n, *t)).chain([("total", total)]);
        for (name, time) in lines {
            writeln!(text, "  {name:width$} {:8.1} s", time.as_secs_f64())
                .expect("writing to a string cannot go wrong");
        }
        text
    }
}

fn with_bar<T>(name: &str, work: impl FnOnce(&mut dyn FnMut(&str)) -> Result<T>) -> Result<T> {
    let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}");
    let bar = ProgressBar::new_spinner().with_prefix(name.to_owned());
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(120));
    let result = work(&mut |news| bar.set_message(news.trim().to_owned()));
    bar.finish_and_clear();
    result
}

fn with_lines<T>(name: &str, work: impl FnOnce(&mut dyn FnMut(&str)) -> Result<T>) -> Result<T> {
    println!("{name} ...");
    let begun = Instant::now();
    let mut next = HEARTBEAT;
    work(&mut |news| {
        if begun.elapsed() >= next {
            println!("{name} ... {} s: {}", begun.elapsed().as_secs(), news.trim());
            next = begun.elapsed() + HEARTBEAT;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_timed_and_a_failure_names_its_stage() {
        let mut report = Report::default();
        report.stage("first", |_| Ok(())).unwrap();
        let error = report.stage("second", |_| Err::<(), _>(Failure::check("no"))).unwrap_err();
        assert_eq!(error.to_string(), "second: no");
        let table = report.table();
        assert!(table.contains("first") && !table.contains("second"), "{table}");
    }
}
