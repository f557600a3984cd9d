//! What `init` of the installer environment is told to do afterwards, from the answers.

use std::fs;
use std::path::Path;

use installer_core::answers::{Finish, OnError};
use installer_core::outcome::Exit;

use super::{Outcome, say};
use crate::host::linux::Elsewhere;

/// Where `init` finds what to do after success.
const FINISH: &str = "/run/xenhost/finish";
/// And after a failure.
const ON_ERROR: &str = "/run/xenhost/on_error";

/// As soon as the answers are read.
pub(super) fn after_error(on_error: OnError) {
    if Elsewhere::detect() == Elsewhere::Lock {
        tell(ON_ERROR, on_error.word());
    }
}

/// A machine on which there is nothing to do does what it would do afterwards: it must not wait in
/// the installer environment for somebody who never comes.
pub(super) fn after(outcome: &Outcome, finish: Finish) {
    let done = match outcome {
        Ok(()) => true,
        Err(ended) => ended.exit == Exit::Done,
    };
    if done && Elsewhere::detect() == Elsewhere::Lock {
        tell(FINISH, finish.word());
    }
}

/// The work is done whatever becomes of this.
fn tell(file: &str, word: &str) {
    let path = Path::new(file);
    let folder = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, format!("{word}\n")));
    if let Err(error) = written {
        say(&format!("warning: {file}: {error}; {word} by hand\n"));
    }
}
