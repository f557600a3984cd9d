//! The command line's grammar and its exit codes, without a disk.

use super::*;

fn exit(args: &[&str]) -> Exit {
    main(std::iter::once("host-installer").chain(args.iter().copied()).map(OsString::from))
}

#[test]
fn the_grammar_of_the_command_line_is_sound() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}

#[test]
fn bad_arguments_are_exit_10_and_help_is_0() {
    assert_eq!(exit(&["--help"]), Exit::Done);
    assert_eq!(exit(&["no-such-command"]), Exit::BadAnswers);
    assert_eq!(exit(&["install", "--no-such-option"]), Exit::BadAnswers);
    assert_eq!(exit(&["facts", "--disk", "x"]), Exit::BadAnswers);
    let bare_size = ["facts", "--disk", "A=/nowhere", "--memory", "3"];
    assert_eq!(exit(&bare_size), Exit::BadAnswers);
}

#[test]
fn a_missing_image_is_a_disk_that_was_not_found() {
    let args = ["facts", "--disk", "A=/nowhere/disk.img", "--memory", "3GiB"];
    assert_eq!(exit(&args), Exit::DiskNotFound);
}

#[test]
fn answers_that_are_missing_or_empty_are_exit_10() {
    assert_eq!(exit(&["validate", "/nowhere/answers.yaml"]), Exit::BadAnswers);
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(exit(&["validate", &empty.path().to_string_lossy()]), Exit::BadAnswers);
}
