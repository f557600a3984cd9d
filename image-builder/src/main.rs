//! The `image-builder` command.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "this is the command line front end")]

mod cli;
mod show;

use std::process::ExitCode;

use clap::Parser as _;
use image_builder::error::Error;

fn main() -> ExitCode {
    let args = cli::Args::parse();
    let show = show::Show::new();
    match cli::run(args, &show) {
        Ok(()) => {
            show.finish();
            ExitCode::SUCCESS
        }
        Err(error) => {
            show.finish();
            // The state of the disk, which the installer tells, stays the last line.
            if matches!(error, Error::Installer { .. }) {
                return ExitCode::from(error.exit().code());
            }
            eprintln!("image-builder: {error}");
            if let Some(hint) = error.hint() {
                eprintln!("    hint: {hint}");
            }
            ExitCode::from(error.exit().code())
        }
    }
}
