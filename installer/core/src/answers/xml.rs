//! `XenServer`'s answer file, read into the same answers as ours.
//!
//! What the old installer ignored in silence or misread is a problem or a warning here, which says
//! what it did and what happens now. What this installer cannot do is refused by name, with what to
//! use instead. Facts about the old installer: its own documentation and behaviour, 7.0 to 8.

use roxmltree::{Document, Error, ParsingOptions};

use super::{Answers, mask};
use crate::problem::{Place, Problem, Problems};

mod disk;
mod element;
mod install;
mod lines;
mod network;
mod others;
mod scripts;
mod secrets;
mod source;

use element::Element;
use lines::Lines;

/// More elements and texts are no answer file.
const NODES_MAX: u32 = 20_000;

/// Whether a text is XML rather than YAML.
pub(super) fn looks_like(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

pub(super) fn read(file: &str, text: &str) -> Result<(Answers, Problems), Problems> {
    let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| {
        let mut problems = Problems::new(file);
        problems.push(broken(&error));
        problems.quote(text, &mask::of_text(text))
    })?;
    let mut problems = Problems::new(file);
    let lines = Lines::of(text);
    let answers = answers(&document, &lines, &mut problems);
    problems.quote(text, &secrets::of(&document, &lines)).finish(answers)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list of mistakes is long")]
fn broken(error: &Error) -> Problem {
    let at = error.pos();
    let at = Place { line: at.row, column: at.col };
    match error {
        Error::DtdDetected => {
            Problem::new(at, "", format!("DTDs are not allowed (line {})", at.line))
                .hint("remove `<!DOCTYPE …>`; entities are not needed in answer files")
        }
        Error::NodesLimitReached => {
            Problem::new(at, "", format!("more than {NODES_MAX} elements are no answer file"))
        }
        // What the library says may quote the text, and that may be a secret.
        Error::UnexpectedEndOfStream | Error::UnclosedRootNode | Error::NoRootNode => {
            let what = format!("not XML: line {}, column {}: unexpected end", at.line, at.column);
            Problem::new(at, "", what)
        }
        _ => {
            let what = format!(
                "not XML: line {}, column {}: this is not what comes next in a well-formed file",
                at.line, at.column
            );
            Problem::new(at, "", what)
        }
    }
}

/// What the root element says is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Fresh,
    Upgrade,
    Restore,
}

fn answers(document: &Document<'_>, lines: &Lines<'_>, problems: &mut Problems) -> Option<Answers> {
    let mut root = Element::of(lines, document.root_element(), String::new());
    let mode = mode(&mut root, problems)?;
    let answers = match mode {
        Mode::Fresh => install::install(&mut root, problems).map(|a| Answers::Install(Box::new(a))),
        Mode::Upgrade => {
            others::upgrade(&mut root, problems).map(|a| Answers::Upgrade(Box::new(a)))
        }
        Mode::Restore => {
            others::rollback(&mut root, problems).map(|a| Answers::Rollback(Box::new(a)))
        }
    };
    root.finish(problems);
    answers
}

fn mode(root: &mut Element<'_, '_>, problems: &mut Problems) -> Option<Mode> {
    let name = root.name().to_owned();
    let written = root.attribute("mode");
    let at = written.as_ref().map_or(root.at(), |(at, _)| *at);
    let text = written.map(|(_, text)| text);
    let problem = match (name.as_str(), text.as_deref()) {
        ("installation", None | Some("fresh")) => return Some(Mode::Fresh),
        ("installation" | "upgrade", Some("upgrade")) => return Some(Mode::Upgrade),
        ("restore", None) => return Some(Mode::Restore),
        ("upgrade", None) => Problem::new(
            at,
            "mode",
            "`<upgrade>` without a mode: the old installer made a fresh installation of this",
        )
        .hint("write mode=\"upgrade\" to upgrade, `<installation>` to install"),
        ("upgrade", Some("fresh")) => {
            Problem::new(at, "mode", "`<upgrade mode=\"fresh\">` says two things")
                .hint("write `<installation>` to install, mode=\"upgrade\" to upgrade")
        }
        ("installation" | "upgrade", Some("reinstall")) => Problem::new(
            at,
            "mode",
            "mode `reinstall`: the old installer made a fresh installation of this, without the \
             backup that its documentation promises",
        )
        .hint("write mode=\"fresh\" if that is what you want"),
        ("installation" | "upgrade", Some(other)) => {
            Problem::new(at, "mode", format!("`{other}` is not fresh or upgrade"))
                .value(other)
                .allowed(["fresh", "upgrade"])
        }
        ("restore", Some(_)) => Problem::new(at, "mode", "`<restore>` has no mode"),
        _ => Problem::new(root.at(), "", "the root element is not one of an answer file")
            .allowed(["installation", "upgrade", "restore"])
            .hint("known here: installation, upgrade, restore"),
    };
    problems.push(problem);
    None
}
