//! Shows a build to a person: bars and a spinner on a terminal, plain lines elsewhere.

use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use image_builder::progress::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// Columns of a tool's line that are shown beside the spinner.
const LINE_COLUMNS_MAX: usize = 60;

#[derive(Debug)]
struct Stage {
    title: String,
    begun: Instant,
    bar: Option<ProgressBar>,
}

/// The front end of every command.
#[derive(Debug)]
pub(crate) struct Show {
    terminal: bool,
    stage: RefCell<Option<Stage>>,
}

impl Show {
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), stage: RefCell::new(None) }
    }

    /// Ends the current stage.
    pub(crate) fn finish(&self) {
        let Some(stage) = self.stage.borrow_mut().take() else { return };
        if let Some(bar) = stage.bar {
            bar.finish_and_clear();
            eprint!("{}", stage.title);
        }
        eprintln!(" ({:.1} s)", stage.begun.elapsed().as_secs_f64());
    }
}

impl Progress for Show {
    fn stage(&self, title: &str) {
        self.finish();
        let bar = self.terminal.then(|| {
            let bar = ProgressBar::new_spinner().with_message(title.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            eprint!("{title}");
        }
        let stage = Stage { title: title.to_owned(), begun: Instant::now(), bar };
        *self.stage.borrow_mut() = Some(stage);
    }

    fn line(&self, line: &str) {
        if let Some(Stage { title, bar: Some(bar), .. }) = self.stage.borrow().as_ref() {
            let line: String = line.chars().take(LINE_COLUMNS_MAX).collect();
            bar.set_message(format!("{title}: {line}"));
        }
    }

    fn bytes(&self, done: u64, total: u64) {
        let stage = self.stage.borrow();
        let Some(bar) = stage.as_ref().and_then(|s| s.bar.as_ref()) else { return };
        if bar.length() != Some(total) {
            let style = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_length(total);
        }
        bar.set_position(done);
    }

    fn warn(&self, text: &str) {
        let stage = self.stage.borrow();
        let line = format!("warning: {text}");
        match stage.as_ref().and_then(|s| s.bar.as_ref()) {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            // The stage's title stands without an end of line.
            None if stage.is_some() => eprintln!("\n{line}"),
            None => eprintln!("{line}"),
        }
    }
}
