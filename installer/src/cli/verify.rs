//! `verify`: whether a host is whole, and a release beside it.

use std::path::{Path, PathBuf};

use clap::Args;
use installer_core::outcome::Exit;
use installer_core::upgrade::{self, Check};

use super::image_arg::ImageArg;
use super::show::to_json;
use super::upgrade::Target;
use super::{Ended, Outcome, print};
use crate::release_dir::Release;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// An image file that carries the host; default: the running dom0, and from the medium or the
    /// rescue entry the one disk that carries a host.
    #[arg(long, value_name = "NAME=IMAGE[:4096]")]
    disk: Vec<ImageArg>,
    /// And this release: each of its files, by length and SHA-256.
    #[arg(long, value_name = "DIR")]
    release: Option<PathBuf>,
    #[arg(long)]
    json: bool,
}

pub(super) fn verify(args: &VerifyArgs) -> Outcome {
    let mut checks = upgrade::verify(&Target::find_begun(&args.disk)?.facts);
    if let Some(dir) = &args.release {
        checks.push(release_check(dir));
    }
    if args.json {
        print(&to_json(&checks)?);
    } else {
        for Check { what, problems } in &checks {
            let mark = if problems.is_empty() { "whole" } else { "WRONG" };
            print(&format!("{mark}  {what}\n"));
            for problem in problems {
                print(&format!("         {problem}\n"));
            }
        }
    }
    let wrong = checks.iter().filter(|check| !check.problems.is_empty()).count();
    if wrong == 0 {
        return Ok(());
    }
    Err(Ended::early(Exit::NotUpgradeable, &format!("{wrong} of {} are not whole", checks.len())))
}

fn release_check(dir: &Path) -> Check {
    let problems = match Release::open(dir) {
        Ok(release) => release.damaged().iter().map(|(_, error)| error.to_string()).collect(),
        Err(error) => vec![error.to_string()],
    };
    Check { what: format!("release {}", dir.display()), problems }
}
