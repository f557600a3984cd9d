//! The commands about answer files. They need no root, no release and no disk.

use std::path::Path;

use installer_core::answers::{self, Answers};
use installer_core::facts::HostFacts;
use installer_core::outcome::Exit;
use installer_core::problem::{Problems, Record};
use installer_core::request;
use installer_core::upgrade::asked::Asked;
use installer_core::values::{RootPassword, redact_url};
use serde::Serialize;

use super::answer_file::AnswerFile;
use super::inputs::{self, bad, read_answers};
use super::passwords::ThisMachine;
use super::show::to_json;
use super::{Ended, Outcome, print, say};

/// What `validate --json` tells.
#[derive(Serialize)]
struct Verdict<'p> {
    valid: bool,
    /// What the file asks for; nothing for a file that is not valid.
    mode: Option<&'static str>,
    /// Errors, or else warnings.
    problems: Vec<Record<'p>>,
    /// Problems that are counted only, of a file with very many.
    more: usize,
    /// Why the machine of `--facts` is not installed with it.
    refusal: Option<Refused>,
}

#[derive(Serialize)]
struct Refused {
    exit: u8,
    message: String,
    hint: Option<String>,
}

pub(super) fn validate(file: &Path, facts: Option<&Path>, json: bool) -> Outcome {
    let facts = facts.map(inputs::recorded).transpose()?;
    let answer_file = AnswerFile::read(file)?;
    let read = match &facts {
        Some(facts) => answers::read_for(&answer_file.name, &answer_file.bytes, facts),
        None => read_answers(&answer_file),
    };
    let (answers, warnings) = match read {
        Ok(good) => good,
        Err(problems) if json => {
            let (more, problems) = (problems.more(), problems.records());
            print(&to_json(&Verdict { valid: false, mode: None, problems, more, refusal: None })?);
            return Err(Ended::early(Exit::BadAnswers, ""));
        }
        Err(problems) => return Err(bad(&problems)),
    };
    let mode = answers.mode();
    let refusal = facts.and_then(|facts| refused(answers, &facts));
    if json {
        let told = refusal.as_ref().map(|refusal| Refused {
            exit: refusal.exit.code(),
            message: refusal.message.clone(),
            hint: refusal.hint.clone(),
        });
        let problems = warnings.records();
        let valid = refusal.is_none();
        print(&to_json(&Verdict { valid, mode: Some(mode), problems, more: 0, refusal: told })?);
    } else {
        tell(&warnings);
        if refusal.is_none() {
            print(&format!("{}: valid\n", redact_url(&file.display().to_string())));
        }
    }
    match refusal {
        Some(refusal) if json => Err(Ended::early(refusal.exit, "")),
        Some(refusal) => Err(refusal.into()),
        None => Ok(()),
    }
}

/// Whether the answers fit the machine, as far as that can be said without a release.
fn refused(answers: Answers, facts: &HostFacts) -> Option<request::Refusal> {
    let mut answers = match answers {
        Answers::Install(answers) => answers,
        // Whether the disk carries a host is not recorded.
        Answers::Upgrade(answers) => return Asked::from(&*answers).disk(facts).err(),
        Answers::Rollback(answers) => return Asked::from(&*answers).disk(facts).err(),
    };
    // Whether the password can be read is a matter of the machine that installs.
    answers.access.root_password = RootPassword::Ask;
    request::resolve(&answers, facts).err()
}

/// An old answer file as one of ours, on standard output; what differs, on standard error. A
/// password in clear is a hash in what is written.
pub(super) fn convert(file: &Path) -> Outcome {
    let answer_file = AnswerFile::read(file)?;
    let (mut answers, warnings) = read_answers(&answer_file).map_err(|problems| bad(&problems))?;
    if answers::has_overrides(&answer_file.bytes) {
        let what = format!("{}: a file with `overrides` is not written anew", answer_file.name);
        return Err(Ended::early(Exit::BadAnswers, &what)
            .hint("it is YAML already; what would be written holds for no machine"));
    }
    tell(&warnings);
    if let Answers::Install(answers) = &mut answers
        && let RootPassword::Plain(_) = answers.access.root_password
    {
        let password = std::mem::take(&mut answers.access.root_password);
        answers.access.root_password = password
            .settle(&mut ThisMachine)
            .map_err(|e| Ended::early(Exit::InternalError, &format!("root password: {e}")))?;
    }
    print(&answers::yaml(&answers));
    Ok(())
}

pub(super) fn schema() -> Outcome {
    print(&to_json(&answers::json_schema())?);
    Ok(())
}

fn tell(warnings: &Problems) {
    if !warnings.is_empty() {
        say(&format!("{warnings}\n"));
    }
}
