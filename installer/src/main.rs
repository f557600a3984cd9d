//! The `host-installer` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = installer::cli::main(std::env::args_os());
    ExitCode::from(exit.code())
}
